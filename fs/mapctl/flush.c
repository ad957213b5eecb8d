/* mapctl flush: durable when it returns. */
#include "fs/mapctl/each.h"

#include "core/util.h"

#include <fcntl.h>

static int flush(const struct mapping_mount *mount, const char *name, struct mapping_error *error)
{
	AUTO_CLOSE int fd = mapping_open(mount, name, MAPPING_MAPPING, O_RDONLY, error);

	if (fd == -EACCES)
		fd = mapping_open(mount, name, MAPPING_MAPPING, O_WRONLY, error);
	return fd < 0 ? fd : mapping_flush(fd, error);
}

static int run(struct mapctl *mapctl)
{
	return mapctl_each(mapctl, flush);
}

const struct verb verb_flush = {
    .name = "flush",
    .usage = "NAME...",
    .summary = "make objects durable now",
    .min_names = 1,
    .max_names = -1,
    .run = run,
};
