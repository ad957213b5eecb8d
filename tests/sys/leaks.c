#include "tests/sys/leaks.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static void drop_caches(void)
{
	AUTO_CLOSE int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "2", 1) != 1)
		sys_say("cannot drop caches");
}

static struct leaks count(struct sys *sys)
{
	if (sys->reference)
		return (struct leaks){0};
	drop_caches();
	json_t *status = sys_status(sys);
	struct leaks now = {
	    .worker_fds = sys_count_fds(sys_worker(sys)),
	    .supervisor_fds = sys_count_fds(sys->supervisor),
	    .known = json_integer_value(json_object_get(status, "objects_known")),
	    .handles = json_integer_value(json_object_get(status, "handles")),
	    .committed = json_integer_value(json_object_get(status, "committed_bytes")),
	    .bound = json_integer_value(json_object_get(status, "bound_files")),
	};
	json_decref(status);
	return now;
}

/* What was let go of a moment ago may still be counted: until nothing changes for a while. */
struct leaks leaks_count(struct sys *sys)
{
	struct leaks last = count(sys), now;

	for (int same = 0; same < 20; same++) {
		usleep(5000);
		now = count(sys);
		if (memcmp(&now, &last, sizeof(now)) != 0)
			same = 0;
		last = now;
	}
	return last;
}

static bool no_more_than(const struct leaks *now, const struct leaks *before)
{
	return now->worker_fds <= before->worker_fds &&
	       now->supervisor_fds <= before->supervisor_fds && now->known <= before->known &&
	       now->handles == before->handles && now->committed == before->committed &&
	       now->bound == before->bound;
}

void leaks_check(struct sys *sys, const struct leaks *before)
{
	struct leaks now;

	if (BECOMES_TRUE(10, (now = count(sys), no_more_than(&now, before))))
		return;
	sys_shell(sys, "%s/mapctl --mount %s --json top --count 1", TEST_BIN_DIR, sys->mnt);
	sys_say("what is known: %s", sys->output);
	fail_msg(
	    "before and now: worker fds %d %d, supervisor fds %d %d, known %lld %lld, handles %lld "
	    "%lld, committed %lld %lld, bound %lld %lld",
	    before->worker_fds, now.worker_fds, before->supervisor_fds, now.supervisor_fds,
	    before->known, now.known, before->handles, now.handles, before->committed,
	    now.committed, before->bound, now.bound);
}
