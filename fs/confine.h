/* What a worker gives up before it serves: it goes on with the descriptors it was handed, /proc to
 * look at, the capabilities and system calls listed here, and nothing else. What cannot be given up
 * (no right to, or an older kernel) is said once in the log and in `mapctl status`, and is no
 * failure unless confine=strict asks for it.
 *
 * confine.c               the order of it
 * confine_root.c          the file system: /proc is the root, and "." the own descriptors
 * confine_capabilities.c  which are kept, and what for
 * confine_calls.c         the table of system calls
 * confine_filter.c        the table as a program for seccomp(2)
 * confine_violation.c     a call that is not in the table fails, is counted and logged
 * confine_sanitizer.c     its report still finds its file
 * confine_status.c        what `mapctl status` shows of it */
#ifndef MAPPINGFS_FS_CONFINE_H
#define MAPPINGFS_FS_CONFINE_H

#include "fs/handover.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One process has one. A reason is empty where the step was taken. */
struct confinement {
	bool root, no_new_privs;
	uint64_t capabilities; /* a set of 1 << CAP_*, as it is now */
	unsigned calls;        /* in the filter; 0: no filter */
	char root_reason[80], capabilities_reason[80], calls_reason[80];
};

/* Before the first thread, with every path opened that is needed. 0, or with confine=strict -EPERM
 * and the reason in `why`. */
int confine(struct handover *handover, struct confinement *out, char *why, size_t size);

/* The member "confinement" of the status; NULL without memory. */
json_t *confine_status(const struct handover *handover, const struct confinement *confinement);

/* --- the steps: 0 or -errno --- */
int confine_root(void);
int confine_capabilities(void); /* and what could bring back one that was given up */
uint64_t confine_effective(void);
int confine_filter(unsigned *calls);
void confine_open_log(bool to_stderr); /* while /dev/log can be reached; else to syslog */
void confine_open_report(void);        /* a sanitizer's, if we are built with one */
int confine_violations(struct handover *handover);
const char *confine_call_name(long number); /* "?" if it is not known */

/* --- confine_calls.c --- */
/* A row allows a system call: any, or one whose argument is (argument & mask) == value; or refuses
 * one with such an argument; or says what error it gets, which is then no violation. Rows of one
 * call lie together, and the first that fits counts. */
struct confine_call {
	int number;
	enum { CALL_ANY, CALL_ARGUMENT, CALL_NOT, CALL_ERROR } how;
	unsigned argument; /* 0 to 5 */
	uint32_t mask, value;
};

extern const struct confine_call confine_calls[];
extern const size_t confine_call_count;

#endif
