/* Plain calls with good error texts: open, flush, remove. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

int mapping_reopen(int fd, int flags)
{
	return neg_errno(open(mapping_proc_path(fd).text, flags | O_CLOEXEC));
}

/* Opening a FIFO would block, and a wrong object is not to be touched: what it is is looked at
 * first. */
int mapping_open(const struct mapping_mount *mount, const char *name, enum mapping_type type,
		 int flags, struct mapping_error *error)
{
	AUTO_CLOSE int object = -1;
	int rc;

	if (flags & ~(O_ACCMODE | O_NONBLOCK | O_TRUNC | O_CLOEXEC))
		return mapping_fail(error, EINVAL,
				    "open it with O_RDONLY, O_WRONLY or O_RDWR, and O_NONBLOCK or "
				    "O_TRUNC");
	object = mapping_open_name(mount, name, O_PATH, error);
	rc = object < 0 ? object : mapping_check_type(object, type, error);
	if (rc)
		return rc;
	rc = mapping_reopen(object, flags);
	return rc < 0 ? mapping_fail_errno(error, -rc, "cannot open it") : rc;
}

int mapping_open_directory(const struct mapping_mount *mount, const char *name,
			   struct mapping_error *error)
{
	return mapping_open_name(mount, name, O_RDONLY | O_DIRECTORY, error);
}

int mapping_flush(int fd, struct mapping_error *error)
{
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
