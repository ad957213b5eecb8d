/* System calls made by another process that did not want to: what somebody who has taken it over
 * could do. x86-64 only. */
#ifndef MAPPINGFS_TESTS_SYS_INJECT_H
#define MAPPINGFS_TESTS_SYS_INJECT_H

#include "tests/sys/harness.h"

#include <sys/user.h>

bool inject_possible(void);

struct inject {
	pid_t pid;
	struct user_regs_struct before;
	unsigned long at; /* of a syscall instruction */
};

/* The process sleeps in a system call, and is stopped until inject_end(). False: it is not to be
 * had. */
bool inject_begin(struct inject *inject, pid_t pid);
/* What the call returned; if it ended in a signal that was handled, what the handler left. */
long inject_call(struct inject *inject, long number, const long arguments[6]);
/* Puts text below its stack; its address there. One at a time. */
long inject_text(struct inject *inject, const char *text);
void inject_end(struct inject *inject);

#endif
