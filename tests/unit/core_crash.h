/* Kills a worker at every point of a call where something outside its own memory has changed: after
 * each system call, and after each store to the state area. Then another worker takes over, is sent
 * the same request again, and must come to the same end as if nothing had happened. */
#ifndef MAPPINGFS_TESTS_UNIT_CORE_CRASH_H
#define MAPPINGFS_TESTS_UNIT_CORE_CRASH_H

#include "tests/unit/core_fixture.h"

#define CRASH_UNIQUE 2000 /* of the request during which the worker dies */

struct crash_case {
	const char *name;
	bool passthrough, rootless;
	bool temporary; /* default lifetime of the mount */
	bool unsent;    /* the request is not sent again: its client was killed, too */
	enum {
		ONCE,
		IN_START,
		AGAIN
	} second; /* the next worker dies, too: in core_create(), in act() */
	void (*prepare)(struct fixture *f); /* in the first worker */
	void (*act)(struct fixture *f);     /* the call, after core_request() */
	void (*check)(
	    struct fixture *f); /* in the last worker: all is as it must be; gives all back */
};

/* Only within prepare, act and check: ends this process, the case has failed. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			crash_complain(f, "%s:%d: %s", __FILE_NAME__, __LINE__, #condition);       \
	} while (0)
_Noreturn void crash_complain(struct fixture *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Runs the case with a kill at every point and fails with those that came out wrong. */
void crash_run(const struct crash_case *c);

/* Of a node, in the state area itself. */
uint64_t crash_lookups(struct fixture *f, uint64_t node);

#endif
