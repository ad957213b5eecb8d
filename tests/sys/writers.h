/* Several processes that write, some of them killed with -9 at any moment and replaced, for some
 * seconds. What each of them had surely done is known at the end. */
#ifndef MAPPINGFS_TESTS_SYS_WRITERS_H
#define MAPPINGFS_TESTS_SYS_WRITERS_H

#include "tests/sys/harness.h"

#define WRITERS 4

struct writers_shared {
	volatile bool stop;
	volatile uint64_t
	    done[WRITERS]; /* written by writer i after its step is durable; survives it */
};

struct writers {
	struct sys *sys;
	const char *path;
	unsigned flags; /* the test's own */
	struct writers_shared *shared;
	unsigned kills;
	const char *lock_file; /* with robust mutexes in it, or NULL: see waker.h */
	unsigned wakes;        /* how often somebody had to be woken there */
	/* Runs in a process: works until shared->stop, then returns 0. After a kill the next one
	 * starts with done[which] as the last one left it: the step after that may have been done
	 * too. */
	int (*write)(struct writers *writers, unsigned which);
};

void writers_run(struct writers *writers, double seconds);
void writers_finish(struct writers *writers);

/* The content of a record: the same for writer and checker. */
size_t writers_record(unsigned which, uint64_t step, char *buffer, size_t room);

#endif
