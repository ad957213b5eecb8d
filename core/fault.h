/* Faults in a running daemon, in a build with MAPPINGFS_TEST_POINTS only: each call of the seam
 * (sys.h), and each allocation, fails when the plan says so.
 *
 * MAPPINGFS_FAULTS="cachestat=ENOSYS,fdatasync=EIO:3" is the plan a process begins with: fails
 * always, or so many times. MAPPINGFS_FAULTS_FILE names a file with a struct fault_plan, which all
 * the daemon's processes share with the test: it may change it at any time, and sees what was
 * called. */
#ifndef MAPPINGFS_CORE_FAULT_H
#define MAPPINGFS_CORE_FAULT_H

#ifdef MAPPINGFS_TEST_POINTS

#include "core/sys_calls.h"

#include <stdatomic.h>

#define FAULT_NUMBER(name, NAME, parameters, arguments) FAULT_##NAME,
enum fault_call {
	SYS_CALLS(FAULT_NUMBER) FAULT_MEMORY, /* malloc(3) and its kin, of our own code */
	FAULTS
};
#undef FAULT_NUMBER

struct fault_row {
	_Atomic int error;            /* errno; 0: none */
	_Atomic int times;            /* how often yet; -1: always */
	_Atomic unsigned calls, hits; /* all there were, and those that failed */
};

struct fault_plan {
	struct fault_row rows[FAULTS];
};

struct sys_calls;
extern const struct sys_calls sys_faulty;

/* 0, or what this call is to fail with: -errno. */
int fault_due(enum fault_call call);
/* Adds to the plan what the text says. 0 or -EINVAL. */
int fault_parse(struct fault_plan *plan, const char *text);
const char *fault_name(enum fault_call call);

#endif
#endif
