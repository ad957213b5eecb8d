/* A function's system calls, one by one: each can be the last that its process makes, or fail.
 *
 * The kernel asks before each call (seccomp's user notification), so this needs no stops of the
 * traced process, no knowledge of the machine, and no seam in the code under test. Only calls by
 * which the outside changes or is looked at are asked about: not memory, locks and close(2). */
#ifndef MAPPINGFS_TESTS_SYS_STEPS_H
#define MAPPINGFS_TESTS_SYS_STEPS_H

#include "tests/sys/harness.h"

struct steps {
	int (*function)(void *context); /* in a child; its value is the child's exit status */
	void *context;
	int number;      /* of the call, from 0 on; -1: none, they are counted */
	int error;       /* the call is not made and fails with it; 0: the child is killed */
	bool no_tmpfile; /* all along, open(O_TMPFILE) fails as on an older kernel */
	/* out */
	int calls;  /* how many were asked about */
	int status; /* as sys_wait() */
	int left;   /* descriptors more than before in the child, if it was not killed */
};

/* Skips the test where seccomp(2) cannot do this. */
void steps_run(struct sys *sys, struct steps *steps);

#endif
