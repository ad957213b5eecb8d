#include "core/map.h"

#include <errno.h>
#include <stdlib.h>

static size_t home(const struct map *map, uint64_t key)
{
	uint64_t h = key * 0x9e3779b97f4a7c15ULL;
	return (size_t)(h ^ (h >> 32)) & (map->capacity - 1);
}

static size_t next(const struct map *map, size_t i)
{
	return (i + 1) & (map->capacity - 1);
}

/* The entry of key, or the free one where it belongs. */
static size_t find(const struct map *map, uint64_t key)
{
	size_t i = home(map, key);
	while (map->entries[i].used && map->entries[i].key != key)
		i = next(map, i);
	return i;
}

static int grow(struct map *map)
{
	struct map bigger = {.capacity = map->capacity ? map->capacity * 2 : 64};

	bigger.entries = calloc(bigger.capacity, sizeof *bigger.entries);
	if (!bigger.entries)
		return -ENOMEM;
	for (size_t i = 0; i < map->capacity; i++)
		if (map->entries[i].used)
			bigger.entries[find(&bigger, map->entries[i].key)] = map->entries[i];
	bigger.count = map->count;
	free(map->entries);
	*map = bigger;
	return 0;
}

void map_finish(struct map *map)
{
	free(map->entries);
	*map = (struct map){0};
}

int map_put(struct map *map, uint64_t key, uint32_t value)
{
	size_t i;

	if (map->count + 1 > map->capacity / 8 * 7) {
		int rc = grow(map);
		if (rc < 0)
			return rc;
	}
	i = find(map, key);
	if (!map->entries[i].used)
		map->count++;
	map->entries[i] = (struct map_entry){.key = key, .value = value, .used = 1};
	return 0;
}

bool map_get(const struct map *map, uint64_t key, uint32_t *value)
{
	size_t i;

	if (!map->capacity)
		return false;
	i = find(map, key);
	if (map->entries[i].used)
		*value = map->entries[i].value;
	return map->entries[i].used;
}

bool map_remove(struct map *map, uint64_t key)
{
	size_t hole, i;

	if (!map->capacity)
		return false;
	hole = find(map, key);
	if (!map->entries[hole].used)
		return false;
	/* Entries after the hole move into it unless their home lies between the hole and them. */
	for (i = next(map, hole); map->entries[i].used; i = next(map, i)) {
		size_t from = home(map, map->entries[i].key);
		bool stays = hole <= i ? (hole < from && from <= i) : (hole < from || from <= i);
		if (stays)
			continue;
		map->entries[hole] = map->entries[i];
		hole = i;
	}
	map->entries[hole].used = 0;
	map->count--;
	return true;
}
