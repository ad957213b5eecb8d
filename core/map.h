/* A hash map from 64-bit keys to 32-bit values: open addressing, linear probing, deletion by
 * shifting back, at most 7/8 full. Key 0 is allowed. */
#ifndef MAPPINGFS_CORE_MAP_H
#define MAPPINGFS_CORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_entry {
	uint64_t key;
	uint32_t value;
	uint32_t used;
};

struct map {
	struct map_entry *entries;
	size_t capacity; /* power of two, or 0 */
	size_t count;
};

void map_finish(struct map *map);
int map_put(struct map *map, uint64_t key, uint32_t value); /* replaces; 0 or -ENOMEM */
bool map_get(const struct map *map, uint64_t key, uint32_t *value);
bool map_remove(struct map *map, uint64_t key);

#endif
