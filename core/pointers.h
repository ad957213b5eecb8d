/* A hash map from 64-bit keys to pointers, over struct map. The pointers stay the caller's. */
#ifndef MAPPINGFS_CORE_POINTERS_H
#define MAPPINGFS_CORE_POINTERS_H

#include "core/map.h"

struct pointers {
	struct map index;
	void **items;
	uint32_t *free;
	uint32_t high, capacity, free_count;
};

void pointers_finish(struct pointers *p);
int pointers_put(struct pointers *p, uint64_t key, void *item); /* a new key; 0 or -ENOMEM */
void *pointers_get(const struct pointers *p, uint64_t key);     /* NULL: not there */
void pointers_remove(struct pointers *p, uint64_t key);
/* Calls each() for all; it may remove the one it is called for. */
void pointers_each(struct pointers *p, void (*each)(void *context, void *item), void *context);

#endif
