/* The options of mapctl create. */
#ifndef MAPPINGFS_MAPCTL_ATTRIBUTES_H
#define MAPPINGFS_MAPCTL_ATTRIBUTES_H

#include "fs/mapctl/mapctl.h"

extern const struct mapctl_option attribute_options[];

/* EXIT_OK and they are for attributes_drop() (a file to bind is open), or another exit code, said
 * why. */
int attributes_take(const struct mapctl *mapctl, struct mapping_attributes *a);
void attributes_drop(struct mapping_attributes *a);

#endif
