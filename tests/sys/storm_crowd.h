/* Several loads (storm_load.h) at a time: their places, their processes, and what they did. */
#ifndef MAPPINGFS_TESTS_SYS_STORM_CROWD_H
#define MAPPINGFS_TESTS_SYS_STORM_CROWD_H

#include "tests/sys/storm_load.h"

struct storm_crowd {
	struct storm *storm; /* shared with its processes */
	unsigned count;
	struct storm_load loads[STORM_LOADS];
	pid_t pids[STORM_LOADS];
};

struct storm_total {
	uint64_t rounds, locked, longest_ns;
	const char *longest;
	unsigned failed; /* loads that said something was wrong */
};

/* Makes what `count` loads want in the mount; each third one is an ordinary user's. */
void storm_prepare(struct storm_crowd *crowd, struct sys *sys, unsigned count);

void storm_start(struct storm_crowd *crowd, struct sys *sys);
bool storm_goes_on(const struct storm_crowd *crowd); /* false: one has ended */

/* Ends them. If none failed, the file that they counted in must be right. */
struct storm_total storm_stop(struct storm_crowd *crowd, struct sys *sys);

#endif
