/* Verbs that do one thing to each name: a failure is told, and the others are done all the same. */
#ifndef MAPPINGFS_MAPCTL_EACH_H
#define MAPPINGFS_MAPCTL_EACH_H

#include "fs/mapctl/mapctl.h"

typedef int (*mapctl_action)(const struct mapping_mount *mount, const char *name,
			     struct mapping_error *error);

int mapctl_each(struct mapctl *mapctl, mapctl_action action);

#endif
