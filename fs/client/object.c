/* Plain calls with good error texts: open, flush, remove. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Opening a FIFO or the like would block or do something: what it is is looked at first. */
static int find_object(const struct mapping_mount *mount, const char *name,
		       struct mapping_error *error)
{
	AUTO_CLOSE int fd = mapping_open_name(mount, name, O_PATH, error);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return mapping_fail_errno(error, errno, "cannot look at it");
	if (S_ISDIR(st.st_mode))
		return mapping_fail(error, EISDIR, "this is a directory, not a mapping");
	if (!S_ISREG(st.st_mode))
		return mapping_fail(error, EINVAL, "this is not a mapping");
	return steal_fd(&fd);
}

static int reopen(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return neg_errno(open(path, flags | O_CLOEXEC));
}

int mapping_open(const struct mapping_mount *mount, const char *name, int flags,
		 struct mapping_error *error)
{
	AUTO_CLOSE int object = find_object(mount, name, error);
	int fd;

	if (object < 0)
		return object;
	fd = reopen(object, flags & ~(O_CREAT | O_EXCL));
	return fd < 0 ? mapping_fail_errno(error, -fd, "cannot open it") : fd;
}

int mapping_open_directory(const struct mapping_mount *mount, const char *name,
			   struct mapping_error *error)
{
	return mapping_open_name(mount, name, O_RDONLY | O_DIRECTORY, error);
}

int mapping_flush(const struct mapping_mount *mount, const char *name, struct mapping_error *error)
{
	AUTO_CLOSE int object = find_object(mount, name, error);
	AUTO_CLOSE int fd = -1;

	if (object < 0)
		return object;
	fd = reopen(object, O_RDONLY);
	if (fd == -EACCES)
		fd = reopen(object, O_WRONLY);
	if (fd < 0)
		return mapping_fail_errno(error, -fd, "cannot open it");
	if (fsync(fd) < 0)
		return mapping_fail(error, errno,
				    "flushing failed: %s; its pages are kept and it is tried again",
				    strerrordesc_np(errno));
	return 0;
}

int mapping_remove(const struct mapping_mount *mount, const char *name, struct mapping_error *error)
{
	char base[NAME_MAX + 1];
	AUTO_CLOSE int directory = mapping_open_parent(mount, name, base, error);

	if (directory < 0)
		return directory;
	if (!unlinkat(directory, base, 0))
		return 0;
	if (errno == EISDIR)
		return mapping_fail(error, EISDIR,
				    "this is a directory; use rmdir for an empty one");
	if (errno == EPERM || errno == EACCES)
		return mapping_fail(error, errno,
				    "cannot remove it: %s; you need write permission on its "
				    "directory, and in a sticky one to own it",
				    strerrordesc_np(errno));
	return mapping_fail_errno(error, errno, "cannot remove it");
}
