/* Deadlines of the main thread on one timerfd: a binary heap. A timer is embedded in its owner. */
#ifndef MAPPINGFS_CORE_TIMERS_H
#define MAPPINGFS_CORE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
	uint64_t deadline; /* CLOCK_MONOTONIC, nanoseconds */
	size_t position;   /* heap index + 1; 0: not armed */
	void (*fire)(struct timer *timer);
	bool vital; /* one of TIMERS_VITAL at most, which never lack memory */
};

#define TIMERS_VITAL 4

struct timers {
	int fd;
	struct timer **heap;
	size_t count, capacity;
};

int timers_init(struct timers *timers);
void timers_finish(struct timers *timers);                                     /* fires nothing */
int timers_arm(struct timers *timers, struct timer *timer, uint64_t delay_ns); /* re-arms too */
void timers_cancel(struct timers *timers, struct timer *timer);
void timers_dispatch(struct timers *timers);

#endif
