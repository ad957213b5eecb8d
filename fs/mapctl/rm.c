/* mapctl rm: takes the names away. */
#include "fs/mapctl/each.h"

static int run(struct mapctl *mapctl)
{
	return mapctl_each(mapctl, mapping_remove);
}

const struct verb verb_rm = {
    .name = "rm",
    .usage = "NAME...",
    .summary = "remove names; objects in use live on until the last user goes",
    .min_names = 1,
    .max_names = -1,
    .run = run,
};
