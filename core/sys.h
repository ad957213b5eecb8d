/* The seam for system calls whose failure matters: all go through the table `sys`, and tests put
 * another in its place. Every function returns a value >= 0 or -errno. Newer calls that an older
 * kernel lacks answer -ENOSYS and have a fallback where they are used.
 *
 * The list (sys_calls.h) says it all once: the table, its real entries and those that fail on order
 * (fault.h, and the unit tests' own) are made from it. */
#ifndef MAPPINGFS_CORE_SYS_H
#define MAPPINGFS_CORE_SYS_H

#include "core/sys_calls.h"

#define SYS_DECLARE(name, NAME, parameters, arguments) int(*name) parameters;
struct sys_calls {
	SYS_CALLS(SYS_DECLARE)
};
#undef SYS_DECLARE

/* Pages of a file that are in memory, and those of them not written back yet. */
int sys_cached_pages(int fd, uint64_t *cached, uint64_t *dirty);

extern const struct sys_calls sys_real;
extern const struct sys_calls *sys;

#endif
