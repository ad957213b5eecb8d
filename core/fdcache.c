#include "core/fdcache.h"

#include "core/util.h"

#define NONE UINT16_MAX

void fdcache_init(struct fdcache *cache)
{
	cache->index = (struct map){0};
	cache->newest = cache->oldest = NONE;
	cache->free = 0;
	cache->limit = FDCACHE_CAPACITY;
	for (uint16_t i = 0; i < FDCACHE_CAPACITY; i++)
		cache->entries[i] = (struct fdcache_entry){
		    .fd = -1, .older = i + 1 < FDCACHE_CAPACITY ? (uint16_t)(i + 1) : NONE};
}

void fdcache_finish(struct fdcache *cache)
{
	for (size_t i = 0; i < FDCACHE_CAPACITY; i++)
		if (cache->entries[i].fd >= 0)
			close(cache->entries[i].fd);
	map_finish(&cache->index);
}

static void unlink_entry(struct fdcache *c, uint16_t i)
{
	struct fdcache_entry *e = &c->entries[i];

	if (e->newer == NONE)
		c->newest = e->older;
	else
		c->entries[e->newer].older = e->older;
	if (e->older == NONE)
		c->oldest = e->newer;
	else
		c->entries[e->older].newer = e->newer;
}

static void push_newest(struct fdcache *c, uint16_t i)
{
	struct fdcache_entry *e = &c->entries[i];

	e->newer = NONE;
	e->older = c->newest;
	if (c->newest == NONE)
		c->oldest = i;
	else
		c->entries[c->newest].newer = i;
	c->newest = i;
}

static void release(struct fdcache *c, uint16_t i)
{
	struct fdcache_entry *e = &c->entries[i];

	unlink_entry(c, i);
	map_remove(&c->index, e->key);
	close(e->fd);
	e->fd = -1;
	e->older = c->free;
	c->free = i;
}

int fdcache_get(struct fdcache *cache, uint32_t key)
{
	uint32_t i;

	if (!map_get(&cache->index, key, &i))
		return -1;
	if (cache->newest != i) {
		unlink_entry(cache, (uint16_t)i);
		push_newest(cache, (uint16_t)i);
	}
	return cache->entries[i].fd;
}

int fdcache_put(struct fdcache *cache, uint32_t key, int fd)
{
	uint16_t i;
	int rc;

	fdcache_drop(cache, key);
	if (cache->index.count >= cache->limit)
		release(cache, cache->oldest);
	i = cache->free;
	rc = map_put(&cache->index, key, i);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	cache->free = cache->entries[i].older;
	cache->entries[i].key = key;
	cache->entries[i].fd = fd;
	push_newest(cache, i);
	return fd;
}

void fdcache_drop(struct fdcache *cache, uint32_t key)
{
	uint32_t i;

	if (map_get(&cache->index, key, &i))
		release(cache, (uint16_t)i);
}

bool fdcache_shrink(struct fdcache *cache, size_t keep)
{
	if (cache->index.count <= keep)
		return false;
	while (cache->index.count > keep)
		release(cache, cache->oldest);
	return true;
}
