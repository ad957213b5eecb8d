/* Steps of the crash tests of waiting: an object "file" with two handles, and waits that stand
 * since prepare(), which are sent again to each new worker. Only in prepare, act and check. */
#ifndef MAPPINGFS_TESTS_UNIT_CORE_WAIT_STEPS_H
#define MAPPINGFS_TESTS_UNIT_CORE_WAIT_STEPS_H

#include "core/wait_internal.h"
#include "tests/unit/core_crash_steps.h"
#include "tests/unit/core_waits.h"

#define HANDLE  f->world->nodes[4] /* of NODE: changes go through it */
#define HANDLE2 f->world->nodes[5] /* waits */
#define OTHER   f->world->nodes[6] /* TARGET's handle */
#define WAITING f->world->nodes[7] /* how many stand since prepare(), or BOTH */

#define SIGNALED  GIVEN(WAIT_SIGNALED)
#define ACQUIRED  GIVEN(WAIT_ACQUIRED)
#define ABANDONED GIVEN(WAIT_WAS_ABANDONED)

enum { BOTH = 9 }; /* FIRST waits for NODE and TARGET together */
enum { FIRST = 100, SECOND = 102, THIRD = 104 };

/* HANDLE and HANDLE2 of a node that was just made, which is NODE from now on. */
void waits_opened(struct fixture *f, uint64_t node);
/* FIRST, SECOND and THIRD wait for it. */
void waits_three(struct fixture *f);
/* A wait for NODE and TARGET, as core_wait_many(). */
int waits_for_both(struct fixture *f, bool all, struct core_waited *waited);

/* The kernel sends those again that have no answer, here the last one first; what a former worker
 * granted is answered at once. Answers go to the world as if they had been deferred. Once in each
 * new worker. */
void waits_resend(struct fixture *f);
/* What is carried out in a new worker only when all that waits has been taken again: does that,
 * and begins the request in hand anew. */
void waits_resend_first(struct fixture *f);
/* Words through HANDLE, as the request in hand. */
int waits_said(struct fixture *f, const char *text);

/* GIVEN(), -errno, or BLOCKED: it still waits. */
int waits_end_of(struct fixture *f, uint64_t unique);
/* How the three have ended; those that still wait are interrupted. */
void waits_all_ended(struct fixture *f, int first, int second, int third);
/* HANDLE and HANDLE2 (where not 0), the name, and NODE. */
void waits_given_back(struct fixture *f);

#endif
