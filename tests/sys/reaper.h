/* Kills supervisor, standby and worker of a mount at random, one at a time, and watches that the
 * other two go on. */
#ifndef MAPPINGFS_TESTS_SYS_REAPER_H
#define MAPPINGFS_TESTS_SYS_REAPER_H

#include "tests/sys/harness.h"

enum victim { VICTIM_SUPERVISOR, VICTIM_STANDBY, VICTIM_WORKER, VICTIMS };

struct reaper {
	struct sys *sys;
	volatile bool stop;
	volatile unsigned kills[VICTIMS];
	unsigned longest_ms;     /* until all three were there again */
	unsigned min_ms, max_ms; /* between two kills */
};

/* In a process of its own. */
struct reaper *reaper_start(struct sys *sys, unsigned min_ms, unsigned max_ms, pid_t *pid);
/* Ends it, says what it did, returns the kills; sys->supervisor is the one there is now. */
unsigned reaper_stop(struct reaper *reaper, pid_t pid);

#endif
