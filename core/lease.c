/* Do leases tell the truth here? A write lease on a file that nobody else can have must be granted.
 * Where it is not (a kernel without, a file system that refuses, a security module), an object's
 * end would never be found by asking: then /proc is looked through. */
#include "core/probe.h"

#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"

#include <string.h>

#define CHECK_EVERY_NS 10000000000ULL

bool lease_works(struct core *core)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	AUTO_CLOSE int fd = -1;
	int rc;

	if (core->lease_checked && now - core->lease_checked < CHECK_EVERY_NS)
		return !core->leases_broken;
	fd = sys->openat(core->tree.orphans_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return !core->leases_broken; /* that cannot be told now */
	core->lease_checked = now;
	rc = sys->lease(fd, F_WRLCK);
	if (rc >= 0)
		sys->lease_end(fd);
	if ((rc < 0) != core->leases_broken)
		log_warn(rc < 0
			     ? "leases are refused even where nobody is (%s): the end of objects "
			       "is found by looking through /proc"
			     : "leases are granted again (%s)",
			 strerror(rc < 0 ? -rc : 0));
	core->leases_broken = rc < 0;
	return rc >= 0;
}
