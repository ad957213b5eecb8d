/* What the measures of mappingfs itself need to know of a mount; `dir` is its root. */
#ifndef MAPPINGFS_TESTS_BENCH_MOUNT_H
#define MAPPINGFS_TESTS_BENCH_MOUNT_H

#include "tests/bench/bench.h"

/* A number of the mount's status, or -errno. */
int64_t mount_status(const char *dir, const char *key);

/* Requests the worker has answered so far, give or take what else it writes, or -errno. */
int64_t mount_answers(const char *dir);

struct mount_object {
	uint32_t type;  /* enum object_type */
	uint32_t flags; /* WIRE_... */
	uint32_t initial, maximum;
};

/* A new object to wait on, by the control socket; path as bench_path() makes it. */
int mount_create(const char *dir, const char *tag, const struct mount_object *object,
		 char path[BENCH_PATH_MAX]);

/* One request that the kernel cannot answer by itself: an fstat(2) that must be true now. */
int mount_round_trip(int fd);

/* Makes the kernel forget all names that are not in use, and waits until the worker knows. */
int mount_evict(const char *dir);

#endif
