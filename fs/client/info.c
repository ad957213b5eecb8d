/* What can be read of a name: stat and the attributes user.mapping.*. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

/* xattr calls do not take O_PATH descriptors; their name in /proc is as good. */
static void proc_path(int fd, char *out, size_t size)
{
	snprintf(out, size, "/proc/self/fd/%d", fd);
}

static void read_text(const char *path, const char *name, char *out, size_t size)
{
	ssize_t got = getxattr(path, name, out, size - 1);

	out[got < 0 ? 0 : got] = '\0';
}

static int64_t read_number(const char *path, const char *name)
{
	char text[32], *end;
	long long value;

	read_text(path, name, text, sizeof text);
	value = strtoll(text, &end, 10);
	return end == text || *end ? MAPPING_UNKNOWN : value;
}

static const char *type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "file";
	}
}

static void read_attributes(int fd, struct mapping_info *out)
{
	char path[32];

	proc_path(fd, path, sizeof path);
	read_text(path, "user.mapping.type", out->type, sizeof out->type);
	read_text(path, "user.mapping.lifetime", out->lifetime, sizeof out->lifetime);
	read_text(path, "user.mapping.backing", out->backing, sizeof out->backing);
	read_text(path, "user.mapping.flush", out->flush, sizeof out->flush);
	out->committed = read_number(path, "user.mapping.commit");
	out->handles = read_number(path, "user.mapping.handles");
	out->views = read_number(path, "user.mapping.views");
}

static int read_info(int fd, struct mapping_info *out, struct mapping_error *error)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx) < 0)
		return mapping_fail_errno(error, errno, "cannot look at it");
	*out = (struct mapping_info){
	    .mode = stx.stx_mode,
	    .uid = stx.stx_uid,
	    .gid = stx.stx_gid,
	    .inode = stx.stx_ino,
	    .size = (int64_t)stx.stx_size,
	    .resident = (int64_t)stx.stx_blocks * 512,
	    .committed = MAPPING_UNKNOWN,
	    .handles = MAPPING_UNKNOWN,
	    .views = MAPPING_UNKNOWN,
	    .modified = {.tv_sec = stx.stx_mtime.tv_sec, .tv_nsec = stx.stx_mtime.tv_nsec},
	};
	if (S_ISREG(stx.stx_mode))
		read_attributes(fd, out);
	if (!out->type[0])
		snprintf(out->type, sizeof out->type, "%s", type_of(stx.stx_mode));
	return 0;
}

int mapping_get(const struct mapping_mount *mount, const char *name, struct mapping_info *out,
		struct mapping_error *error)
{
	AUTO_CLOSE int fd = mapping_open_name(mount, name, O_PATH | O_NOFOLLOW, error);

	return fd < 0 ? fd : read_info(fd, out, error);
}

int mapping_get_at(int directory, const char *name, struct mapping_info *out,
		   struct mapping_error *error)
{
	AUTO_CLOSE int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return mapping_fail_errno(error, errno, "cannot open it");
	return read_info(fd, out, error);
}
