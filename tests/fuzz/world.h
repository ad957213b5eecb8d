/* A core on a small tree and a state area of its own, made anew for each input. The tree is a tmpfs
 * without a path where that is permitted, else a directory in /dev/shm. */
#ifndef MAPPINGFS_TESTS_FUZZ_WORLD_H
#define MAPPINGFS_TESTS_FUZZ_WORLD_H

#include "core/core.h"

#include <stdbool.h>
#include <stdint.h>

struct world {
	struct core *core;
	struct core_config config;
	uint64_t unique;  /* of the newest request */
	uint32_t last_id; /* backing id */
	unsigned waited;  /* waits that were answered */
};

extern struct world world;

/* Makes it empty. cached: without passthrough; rootless: inodes by their places. */
void world_empty(bool cached, bool rootless);
int world_start(void); /* a worker begins; 0 or -errno */
void world_stop(void); /* it ends; tree and state stay */
/* Makes an object of this type under the name, and opens it: its node, and its handle if it is one
 * to wait on. */
uint64_t world_object(enum object_type type, const char *name, uint64_t *handle);
void world_request(void);
/* The same, by another user. */
void world_request_from(uid_t uid);

#endif
