/* What can be read of a name, and set: stat and the attributes user.mapping.*. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

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

static const char *file_type(mode_t mode)
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

/* "UID PID UNIXTIME.NANOS"; a pid of 0 is one that was not visible from where the file system runs.
 */
static void read_creator(const char *path, struct mapping_info *out)
{
	long long uid, pid, seconds = 0;
	long nanos = 0;
	char text[96];

	read_text(path, "user.mapping.creator", text, sizeof text);
	if (sscanf(text, "%lld %lld %lld.%9ld", &uid, &pid, &seconds, &nanos) < 2)
		return;
	out->creator_uid = uid;
	out->creator_pid = pid ? pid : MAPPING_UNKNOWN;
	out->created = (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = nanos};
}

static void read_object(const char *path, struct mapping_info *out)
{
	read_text(path, "user.mapping.type", out->type_name, sizeof out->type_name);
	read_text(path, "user.mapping.backing", out->backing, sizeof out->backing);
	read_text(path, "user.mapping.flush", out->flush, sizeof out->flush);
	read_text(path, "user.mapping.state", out->state, sizeof out->state);
	out->committed = read_number(path, "user.mapping.commit");
	out->handles = read_number(path, "user.mapping.handles");
	out->views = read_number(path, "user.mapping.views");
	out->type = mapping_type_of(out->type_name);
	read_creator(path, out);
}

static void read_attributes(const char *path, struct mapping_info *out)
{
	if (S_ISREG(out->mode))
		read_object(path, out);
	if (S_ISDIR(out->mode))
		out->limit = read_number(path, "user.mapping.limit");
	if (S_ISREG(out->mode) || S_ISDIR(out->mode))
		read_text(path, "user.mapping.lifetime", out->lifetime, sizeof out->lifetime);
	if (!out->type_name[0])
		snprintf(out->type_name, sizeof out->type_name, "%s", file_type(out->mode));
}

int mapping_get_fd(int fd, struct mapping_info *out, struct mapping_error *error)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx) < 0)
		return mapping_fail_errno(error, errno, "cannot look at it");
	*out = (struct mapping_info){
	    .type = MAPPING_ANY,
	    .mode = stx.stx_mode,
	    .uid = stx.stx_uid,
	    .gid = stx.stx_gid,
	    .inode = stx.stx_ino,
	    .size = (int64_t)stx.stx_size,
	    .resident = (int64_t)stx.stx_blocks * 512,
	    .committed = MAPPING_UNKNOWN,
	    .handles = MAPPING_UNKNOWN,
	    .views = MAPPING_UNKNOWN,
	    .limit = MAPPING_UNKNOWN,
	    .creator_uid = MAPPING_UNKNOWN,
	    .creator_pid = MAPPING_UNKNOWN,
	    .modified = {.tv_sec = stx.stx_mtime.tv_sec, .tv_nsec = stx.stx_mtime.tv_nsec},
	};
	read_attributes(mapping_proc_path(fd).text, out);
	return 0;
}

int mapping_get(const struct mapping_mount *mount, const char *name, struct mapping_info *out,
		struct mapping_error *error)
{
	AUTO_CLOSE int fd = mapping_open_name(mount, name, O_PATH | O_NOFOLLOW, error);

	return fd < 0 ? fd : mapping_get_fd(fd, out, error);
}

int mapping_get_at(int directory, const char *name, struct mapping_info *out,
		   struct mapping_error *error)
{
	AUTO_CLOSE int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return mapping_fail_errno(error, errno, "cannot open it");
	return mapping_get_fd(fd, out, error);
}

/* value NULL: the attribute is taken away. */
static int set(const struct mapping_mount *mount, const char *name, const char *key,
	       const char *value, struct mapping_error *error)
{
	AUTO_CLOSE int fd = mapping_open_name(mount, name, O_PATH, error);
	struct proc_path path;
	int rc;

	if (fd < 0)
		return fd;
	path = mapping_proc_path(fd);
	rc =
	    value ? setxattr(path.text, key, value, strlen(value), 0) : removexattr(path.text, key);
	if (!rc || (!value && errno == ENODATA))
		return 0;
	if (errno == EPERM || errno == EACCES)
		return mapping_fail(error, errno, "only its owner may set this, or root");
	return mapping_fail_errno(error, errno, "cannot set it");
}

int mapping_set_lifetime(const struct mapping_mount *mount, const char *name,
			 enum mapping_lifetime lifetime, struct mapping_error *error)
{
	static const char *const names[] = {
	    [MAPPING_DEFAULT] = NULL,
	    [MAPPING_PERMANENT] = "permanent",
	    [MAPPING_TEMPORARY] = "temporary",
	    [MAPPING_HANDLE_BOUND] = "handle",
	};

	if ((int)lifetime < MAPPING_DEFAULT || (int)lifetime > MAPPING_HANDLE_BOUND)
		return mapping_fail(error, EINVAL, "there is no such lifetime");
	return set(mount, name, "user.mapping.lifetime", names[lifetime], error);
}

int mapping_set_limit(const struct mapping_mount *mount, const char *name, uint64_t bytes,
		      struct mapping_error *error)
{
	char value[32];
	int rc;

	if (bytes > INT64_MAX)
		return mapping_fail(error, EFBIG, "a limit of at most 9223372036854775807 bytes");
	snprintf(value, sizeof value, "%llu", (unsigned long long)bytes);
	rc = set(mount, name, "user.mapping.limit", bytes ? value : NULL, error);
	if (rc == -ENOTEMPTY)
		return mapping_fail(error, ENOTEMPTY,
				    "its owner may limit a directory only while it is empty; root "
				    "at any time");
	return rc;
}
