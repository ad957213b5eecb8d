/* What a name means, and that it stays inside the mount. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

bool mapping_is_path(const char *name)
{
	return name[0] == '/' || !strcmp(name, ".") || !strcmp(name, "..") ||
	       !strncmp(name, "./", 2) || !strncmp(name, "../", 3);
}

/* As paths go: the kernel says ENAMETOOLONG too, but not which part it means. */
static int check_length(const char *name, struct mapping_error *error)
{
	for (const char *part = name; *part;) {
		size_t length = strcspn(part, "/");

		if (length > NAME_MAX)
			return mapping_fail(error, ENAMETOOLONG,
					    "the name is too long: %zu bytes; "
					    "a name has at most %d bytes",
					    length, NAME_MAX);
		part += length;
		part += strspn(part, "/");
	}
	return 0;
}

static int check_inside(const struct mapping_mount *mount, int fd, struct mapping_error *error)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &stx) < 0)
		return mapping_fail_errno(error, errno, "cannot look at it");
	if (stx.stx_dev_major != mount->device_major || stx.stx_dev_minor != mount->device_minor)
		return mapping_fail(error, EXDEV,
				    "this path is not in the mount at %s; "
				    "name the other mount with --mount, or another path",
				    mount->path);
	return 0;
}

int mapping_open_at(const struct mapping_mount *mount, int directory, const char *name, int flags,
		    struct mapping_error *error)
{
	AUTO_CLOSE int fd = openat(directory, name, flags | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return mapping_fail_errno(error, errno, "cannot open it");
	rc = check_inside(mount, fd, error);
	return rc ? rc : steal_fd(&fd);
}

int mapping_open_name(const struct mapping_mount *mount, const char *name, int flags,
		      struct mapping_error *error)
{
	int rc = check_length(name, error);

	if (rc)
		return rc;
	return mapping_open_at(mount, mapping_is_path(name) ? AT_FDCWD : mount->root_fd,
			       *name ? name : ".", flags, error);
}

int mapping_open_parent(const struct mapping_mount *mount, const char *name, char *base,
			struct mapping_error *error)
{
	const char *slash = strrchr(name, '/');
	const char *last = slash ? slash + 1 : name;
	AUTO_FREE char *parent = NULL;
	int rc = check_length(name, error);

	if (rc)
		return rc;
	if (!*last || !strcmp(last, ".") || !strcmp(last, ".."))
		return mapping_fail(error, EINVAL,
				    "this names a directory; give the name of an object in it");
	snprintf(base, NAME_MAX + 1, "%s", last);
	parent = slash ? strndup(name, (size_t)(last - name)) : strdup("");
	if (!parent)
		return mapping_fail_errno(error, ENOMEM, "cannot open its directory");
	return mapping_open_name(mount, parent, O_PATH | O_DIRECTORY, error);
}
