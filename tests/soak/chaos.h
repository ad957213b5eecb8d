/* Chaos: one row a kind. */
#ifndef MAPPINGFS_TESTS_SOAK_CHAOS_H
#define MAPPINGFS_TESTS_SOAK_CHAOS_H

#include "tests/soak/mounts.h"

struct chaos {
	struct mounted *mounts;
	bool calm;              /* no worker, supervisor or standby is killed */
	bool kill_supervisor;   /* allowed */
	const char *fault_plan; /* program to be run with a mount point: injects a fault; or NULL */
};

/* Finds out what there is: mapctl upgrade. */
void chaos_prepare(struct chaos *chaos);
void chaos_once(struct chaos *chaos); /* one deed, chosen at random */
void chaos_thaw(bool all);            /* frozen clients whose time has come go on */
void chaos_settle(void);              /* all that is under way ends */

/* faults.c: in a build with MAPPINGFS_TEST_POINTS, whose daemons fail on order; else they do
 * nothing. */
void faults_prepare(const char *directory); /* before the mounts */
bool faults_inject(void);
void faults_end(void); /* none is due any more */

/* How often each was done: calls each(). */
void chaos_report(void (*each)(const char *name, unsigned long long times));

#endif
