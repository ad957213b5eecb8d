/* Small helpers every room may use: cleanup attributes, arithmetic, time. */
#ifndef MAPPINGFS_CORE_UTIL_H
#define MAPPINGFS_CORE_UTIL_H

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define PAGE_BYTES 4096ULL

/* Closes a descriptor at the end of its scope; errno is kept. */
static inline void cleanup_close(int *fd)
{
	int saved = errno;
	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_free(void *p)
{
	int saved = errno;
	free(*(void **)p);
	errno = saved;
}

#define AUTO_CLOSE __attribute__((cleanup(cleanup_close)))
#define AUTO_FREE  __attribute__((cleanup(cleanup_free)))

/* Takes the descriptor out of an AUTO_CLOSE variable: the caller owns it now. */
static inline int steal_fd(int *fd)
{
	int got = *fd;
	*fd = -1;
	return got;
}

/* -1 with errno becomes -errno; anything else is passed on. */
static inline int neg_errno(int rc)
{
	return rc < 0 ? -errno : rc;
}

/* One component of a path, and neither "." nor "..". */
static inline bool is_component(const char *name)
{
	return name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* What "k", "m", "g", "t" behind a number of bytes multiply it by, as a shift; -1: none of them. */
static inline int size_shift(char suffix)
{
	static const char suffixes[] = "kmgt";
	const char *at = suffix ? strchr(suffixes, tolower((unsigned char)suffix)) : NULL;

	return at ? 10 * (int)(at - suffixes + 1) : -1;
}

static inline uint64_t page_round_up(uint64_t bytes)
{
	return (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

/* Sizes and offsets of what two programs share, as one number: FNV-1a. */
static inline uint64_t layout_of(const size_t *parts, size_t count)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < count; i++)
		hash = (hash ^ parts[i]) * 0x100000001b3ULL;
	return hash;
}

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

#endif
