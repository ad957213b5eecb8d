/* Objects to wait on, for unit tests of core: each call a kernel request of its own, whose outcome
 * is returned, not judged. How deferred waits ended stands in the fixture's world. */
#ifndef MAPPINGFS_TESTS_UNIT_CORE_WAITS_H
#define MAPPINGFS_TESTS_UNIT_CORE_WAITS_H

#include "tests/unit/core_fixture.h"

#define BLOCKED       CORE_DEFERRED
#define GIVEN(result) (100 + (int)(result)) /* at once */

/* In the root, configured, not open; the node, or 0. */
uint64_t waits_make(struct fixture *f, const char *name, struct core_setup setup);
uint64_t waits_make_event(struct fixture *f, const char *name, bool manual, bool signaled);
uint64_t waits_make_semaphore(struct fixture *f, const char *name, uint32_t initial, uint32_t max);
uint64_t waits_make_type(struct fixture *f, const char *name, enum object_type type);
uint64_t waits_open(struct fixture *f, uint64_t node, int flags); /* the handle, or 0 */
void waits_close(struct fixture *f, uint64_t node, uint64_t handle);

/* A wait of the number `unique`, sent for the first time or again. BLOCKED, -errno, or
 * GIVEN(result). */
int waits_wait(struct fixture *f, uint64_t node, uint64_t handle, uint64_t unique, bool resent);
int waits_try(struct fixture *f, uint64_t node, uint64_t handle); /* with a number of its own */
/* For several handles. */
int waits_many(struct fixture *f, const uint64_t *handles, uint32_t count, bool all,
	       uint64_t deadline, uint64_t unique, bool resent);

int waits_say(struct fixture *f, uint64_t node, uint64_t handle, const char *text);
/* How often the wait has ended; *last (may be NULL) is how. */
unsigned waits_ended(struct fixture *f, uint64_t unique, struct core_waited *last);
unsigned waits_polled(struct fixture *f, uint64_t poll);
bool waits_state_is(struct fixture *f, uint64_t node, const char *expected);

#endif
