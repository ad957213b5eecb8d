/* What the daemon holds, before and after: descriptors of both processes, inodes known, handles,
 * bytes committed, bound files. */
#ifndef MAPPINGFS_TESTS_SYS_LEAKS_H
#define MAPPINGFS_TESTS_SYS_LEAKS_H

#include "tests/sys/harness.h"

struct leaks {
	int worker_fds, supervisor_fds;
	long long known, handles, committed, bound;
};

/* Forgets what the kernel caches (the whole machine's) and counts. */
struct leaks leaks_count(struct sys *sys);
/* Waits until the counts are as before; fails the test, saying which is not. */
void leaks_check(struct sys *sys, const struct leaks *before);

#endif
