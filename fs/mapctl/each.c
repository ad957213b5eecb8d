#include "fs/mapctl/each.h"

int mapctl_each(struct mapctl *mapctl, mapctl_action action)
{
	int code = EXIT_OK;

	for (int i = 0; i < mapctl->count; i++) {
		struct mapping_mount *mount = mapctl_find(mapctl, mapctl->names[i]);
		struct mapping_error error = {0};

		if (!mount) {
			code = EXIT_FAILED;
			continue;
		}
		if (action(mount, mapctl->names[i], &error))
			code = mapctl_fail(mapctl, mapctl->names[i], "%s", error.text);
		mapping_mount_close(mount);
	}
	return code;
}
