/* What the tests of greedy and hostile clients share: being somebody else, an honest client whose
 * opens are measured all the while, the worker's memory and descriptors, what a user has. */
#ifndef MAPPINGFS_TESTS_SYS_HOSTILE_H
#define MAPPINGFS_TESTS_SYS_HOSTILE_H

#include "tests/sys/harness.h"

enum { HOSTILE_UID = 65534, HONEST_UID = 1000 };

/* For children. 0 or -errno. */
int become(uid_t uid);

/* A number of status' row of a user ("objects", "bytes", ...); 0: no such row. */
long long user_has(struct sys *sys, uid_t uid, const char *what);

/* --- an honest client, of HONEST_UID: opens and closes an object over and over --- */
struct honest;
struct honest *honest_start(struct sys *sys);
/* Median of its opens from now on, for so long; nanoseconds. */
uint64_t honest_median(struct honest *honest, unsigned milliseconds);
void honest_end(struct honest *honest); /* it must have had no error */

/* Says both, and fails the test when `loud` is more than `times` quiet; three tries, because a
 * machine has other things to do, too. quiet() and loud() may be NULL: nothing is to be done. */
void honest_compare(struct honest *honest, const char *what, double times, void (*quiet)(void *),
		    void (*loud)(void *), void *context);

/* --- processes of HOSTILE_UID that do one thing over and over --- */
struct flood {
	struct sys *sys;
	int (*act)(struct flood *, int who, long count); /* 0, or -1: it was refused */
	_Atomic int go, end, next;
	_Atomic long done, refused;
};

/* With two processors and two who are never quiet, one of them is always in front of the kernel's
 * queue, and the worker shares its processor: what is asserted of that is service, not speed. */
#define HAMMERED 15.0

enum { FLOOD_MOST = 64 };
/* So many of them (they start in the mount, in a directory of theirs, "gWHO"), the honest client
 * compared with and without them. Returns how often they had what they wanted. */
long flood_run(struct sys *sys, struct honest *honest, const char *what,
	       int (*act)(struct flood *, int who, long count), int processes, double times);

/* --- the daemon --- */
/* sys_worker_memory(). Asserted of the plain build only: AddressSanitizer keeps what was freed. */
void worker_memory_below(struct sys *sys, long long limit);

#endif
