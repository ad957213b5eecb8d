/* A round: all loads under chaos, then all at rest, and everything must balance. */
#ifndef MAPPINGFS_TESTS_SOAK_ROUND_H
#define MAPPINGFS_TESTS_SOAK_ROUND_H

#include "tests/soak/chaos.h"

/* Each load does each operation once, in peace; then the baseline is taken. */
void round_warm_up(struct mounted *mounts);
struct round {
	double seconds;
	unsigned pause_ms; /* between deeds, on the average */
	bool second_half;  /* of the run */
	bool remount;      /* mounts with a store are unmounted and mounted again */
	pid_t watchdog;
};
void round_run(const struct round *round, struct chaos *chaos);
/* All objects are removed, and nothing stays. */
void round_last(struct mounted *mounts);

#endif
