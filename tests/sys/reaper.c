#include "tests/sys/reaper.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct processes {
	pid_t pid[VICTIMS];
};

static pid_t number(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? atoi(at + strlen(key)) : 0;
}

/* What the mount says of itself; false: not all of them are there. */
static bool look(const struct reaper *reaper, struct processes *out)
{
	AUTO_FREE char *status = sys_xattr(reaper->sys->mnt, "user.mapping.status");

	if (!status)
		return false;
	*out = (struct processes){{number(status, "\"supervisor_pid\": "),
				   number(status, "\"standby_pid\": "),
				   number(status, "\"worker_pid\": ")}};
	return out->pid[0] > 0 && out->pid[1] > 0 && out->pid[2] > 0 && out->pid[0] != out->pid[1];
}

static bool replaced(const struct reaper *reaper, const struct processes *before,
		     enum victim victim, struct processes *now)
{
	const pid_t killed = before->pid[victim];

	if (!look(reaper, now))
		return false;
	for (int i = 0; i < VICTIMS; i++)
		if (now->pid[i] == killed)
			return false;
	return true;
}

static int reap(void *context)
{
	struct reaper *reaper = context;
	struct processes now, before;
	struct drand48_data seed;
	double random;

	srand48_r(getpid(), &seed);
	CHECK(BECOMES_TRUE(20, look(reaper, &now)));
	while (!reaper->stop) {
		enum victim victim;
		uint64_t begin;
		unsigned took;

		drand48_r(&seed, &random);
		usleep(1000 *
		       (reaper->min_ms + (unsigned)(random * (reaper->max_ms - reaper->min_ms))));
		drand48_r(&seed, &random);
		victim = (enum victim)(random * VICTIMS);
		before = now;
		begin = clock_ns(CLOCK_MONOTONIC);
		CHECK(kill(before.pid[victim], SIGKILL) == 0);
		CHECK(BECOMES_TRUE(30, replaced(reaper, &before, victim, &now)));
		took = (unsigned)((clock_ns(CLOCK_MONOTONIC) - begin) / 1000000);
		if (took > reaper->longest_ms)
			reaper->longest_ms = took;
		/* Nobody else was harmed, and no second worker was made. */
		if (victim != VICTIM_WORKER)
			CHECK(now.pid[VICTIM_WORKER] == before.pid[VICTIM_WORKER]);
		if (victim == VICTIM_SUPERVISOR)
			CHECK(now.pid[VICTIM_SUPERVISOR] == before.pid[VICTIM_STANDBY]);
		reaper->kills[victim]++;
	}
	return 0;
}

struct reaper *reaper_start(struct sys *sys, unsigned min_ms, unsigned max_ms, pid_t *pid)
{
	struct reaper *reaper =
	    mmap(NULL, sizeof *reaper, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(reaper != MAP_FAILED);
	*reaper = (struct reaper){.sys = sys, .min_ms = min_ms, .max_ms = max_ms};
	*pid = sys_fork(sys, reap, reaper);
	return reaper;
}

unsigned reaper_stop(struct reaper *reaper, pid_t pid)
{
	struct sys *sys = reaper->sys;
	unsigned total = 0;

	reaper->stop = true;
	assert_int_equal(sys_wait(sys, pid), 0);
	for (int i = 0; i < VICTIMS; i++)
		total += reaper->kills[i];
	sys_say("%u kills: %u of the supervisor, %u of the standby, %u of the worker; all there "
		"again after %u ms at most",
		total, reaper->kills[0], reaper->kills[1], reaper->kills[2], reaper->longest_ms);
	if (reaper->kills[VICTIM_SUPERVISOR])
		sys_learn_successor(sys);
	munmap(reaper, sizeof *reaper);
	return total;
}
