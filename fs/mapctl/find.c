#include "fs/mapctl/mapctl.h"

#include "core/util.h"

#include <string.h>

static bool is_path(const char *name)
{
	return name[0] == '/' || !strcmp(name, ".") || !strcmp(name, "..") ||
	       !strncmp(name, "./", 2) || !strncmp(name, "../", 3);
}

/* By the directory, since the name itself may not be there yet, or be a link to elsewhere; by the
 * name itself where it is the mount point. */
static int find_by_path(const char *path, struct mapping_mount **out, struct mapping_error *error)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *parent = NULL;
	int rc;

	if (!slash || !slash[1])
		return mapping_mount_find(path, out, error);
	parent = strndup(path, (size_t)(slash - path) + 1);
	if (!parent)
		return -ENOMEM;
	rc = mapping_mount_find(parent, out, error);
	return rc == -ENODEV ? mapping_mount_find(path, out, error) : rc;
}

struct mapping_mount *mapctl_find(const struct mapctl *mapctl, const char *name)
{
	struct mapping_error error = {0};
	struct mapping_mount *mount = NULL;
	int rc;

	if (mapctl->mount_dir) {
		rc = mapping_mount_find(mapctl->mount_dir, &mount, &error);
	} else if (name && is_path(name)) {
		rc = find_by_path(name, &mount, &error);
	} else {
		rc = mapping_mount_find(NULL, &mount, &error);
		if (rc)
			mapctl_fail(mapctl, name, "%s", error.text);
		return mount;
	}
	if (rc) /* the text begins with the path that is wrong */
		mapctl_fail(mapctl, NULL, "%s", error.text);
	return mount;
}
