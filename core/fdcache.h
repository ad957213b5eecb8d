/* Descriptors of backing inodes in recent use, by slot index: least recently used goes first.
 * Bounded, so the number of objects in use is not the number of descriptors. */
#ifndef MAPPINGFS_CORE_FDCACHE_H
#define MAPPINGFS_CORE_FDCACHE_H

#include "core/map.h"

#define FDCACHE_CAPACITY 1024

struct fdcache_entry {
	uint32_t key;
	int fd; /* -1: free */
	uint16_t newer, older;
};

struct fdcache {
	struct map index;
	struct fdcache_entry entries[FDCACHE_CAPACITY];
	uint16_t newest, oldest, free;
	uint16_t limit; /* so many at most: FDCACHE_CAPACITY, or less */
};

void fdcache_init(struct fdcache *cache);
void fdcache_finish(struct fdcache *cache);
int fdcache_get(struct fdcache *cache, uint32_t key); /* borrowed; -1: not there */
/* The cache owns fd, also on failure (then it is closed); an old one of the key is closed. Returns
 * fd or -errno. A borrowed fd is valid until the next put or drop. */
int fdcache_put(struct fdcache *cache, uint32_t key, int fd);
/* Lets go of the oldest until so many are left. False: there were no more. */
bool fdcache_shrink(struct fdcache *cache, size_t keep);
void fdcache_drop(struct fdcache *cache, uint32_t key);

#endif
