/* One process of a mixed load: it keeps a model of its own directory and checks every answer
 * against it, so that an operation lost, or done twice, shows as a wrong error or a wrong content.
 */
#ifndef MAPPINGFS_TESTS_SYS_STORM_LOAD_H
#define MAPPINGFS_TESTS_SYS_STORM_LOAD_H

#include <stdint.h>

#include "tests/sys/harness.h"

#define STORM_LOADS 6

/* Shared by all of them and by the test. */
struct storm {
	volatile int stop;
	uint64_t rounds[STORM_LOADS];     /* operations done */
	uint64_t locked[STORM_LOADS];     /* how often it held the lock file */
	uint64_t longest_ns[STORM_LOADS]; /* the longest single operation */
	const char *longest[STORM_LOADS]; /* and its name */
};

struct storm_load {
	struct storm *storm;
	const char *mnt, *dir; /* the mount; a directory beside it for plain files */
	unsigned id;
	uid_t uid;
	bool reference; /* the mount is a plain tmpfs: leave out what only mappingfs has */
};

/* For sys_fork(): runs until storm->stop, checks everything once more, removes what it made. Wants
 * the directory MNT/load<id>, owned by uid, and MNT/shared of mode 0777 with a file "counter" of a
 * page. 0, or 1 after saying what was wrong. */
int storm_load_run(void *load);

#endif
