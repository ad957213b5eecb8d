/* mapctl flush: durable when it returns. */
#include "fs/mapctl/each.h"

static int run(struct mapctl *mapctl)
{
	return mapctl_each(mapctl, mapping_flush);
}

const struct verb verb_flush = {
    .name = "flush",
    .usage = "NAME...",
    .summary = "make objects durable now",
    .min_names = 1,
    .max_names = -1,
    .run = run,
};
