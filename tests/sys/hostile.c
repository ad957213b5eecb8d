#include "tests/sys/hostile.h"

#include <fcntl.h>
#include <grp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAMPLES = 1 << 16, BURST = 40 };

int become(uid_t uid)
{
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	prctl(PR_SET_DUMPABLE, 1); /* its own threads can be looked at again */
	return 0;
}

long long user_has(struct sys *sys, uid_t uid, const char *what)
{
	json_t *status = sys_status(sys), *row;
	long long found = 0;
	size_t i;

	json_array_foreach(json_object_get(status, "users"), i, row)
	{
		if (json_integer_value(json_object_get(row, "uid")) == (json_int_t)uid)
			found = json_integer_value(json_object_get(row, what));
	}
	json_decref(status);
	return found;
}

/* --- the honest client --- */

struct honest {
	struct sys *sys;
	pid_t pid;
	char path[300];
	_Atomic int end, errors;
	_Atomic uint64_t count;
	_Atomic uint32_t ns[SAMPLES];
};

static int be_honest(void *context)
{
	struct honest *h = context;

	CHECK(become(HONEST_UID) == 0);
	/* In bursts, so that the worker is awake: else its waking up is what is measured. */
	for (unsigned i = 0; !h->end; i++) {
		uint64_t began = clock_ns(CLOCK_MONOTONIC);
		int fd = open(h->path, O_RDWR | O_CLOEXEC);

		if (fd < 0)
			h->errors++;
		else
			close(fd);
		if (i % BURST >= BURST / 4) {
			h->ns[h->count % SAMPLES] = (uint32_t)(clock_ns(CLOCK_MONOTONIC) - began);
			h->count++;
		}
		if (i % BURST == BURST - 1)
			usleep(2000); /* it is not greedy itself */
	}
	return 0;
}

struct honest *honest_start(struct sys *sys)
{
	struct honest *h =
	    mmap(NULL, sizeof *h, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd;

	assert_ptr_not_equal(h, MAP_FAILED);
	h->sys = sys;
	snprintf(h->path, sizeof h->path, "%s", sys_path(sys, "honest"));
	fd = open(h->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	assert_true(fd >= 0 && fchmod(fd, 0666) == 0);
	close(fd);
	h->pid = sys_fork(sys, be_honest, h);
	return h;
}

static int by_size(const void *a, const void *b)
{
	uint32_t l = *(const uint32_t *)a, r = *(const uint32_t *)b;

	return l < r ? -1 : l > r;
}

uint64_t honest_median(struct honest *h, unsigned milliseconds)
{
	static uint32_t sorted[SAMPLES];
	uint64_t first = h->count, count;

	usleep(milliseconds * 1000);
	/* A machine that is busy otherwise gives it few turns. */
	WAIT_UNTIL(20, h->count >= first + 50);
	count = h->count - first;
	if (count > SAMPLES)
		count = SAMPLES;
	for (uint64_t i = 0; i < count; i++)
		sorted[i] = h->ns[(first + i) % SAMPLES];
	qsort(sorted, count, sizeof sorted[0], by_size);
	return sorted[count / 2];
}

void honest_end(struct honest *h)
{
	h->end = 1;
	assert_int_equal(sys_wait(h->sys, h->pid), 0);
	assert_int_equal(h->errors, 0);
	assert_int_equal(unlink(h->path), 0);
	munmap(h, sizeof *h);
}

static uint64_t median_of(uint64_t *values, size_t count)
{
	for (size_t i = 1; i < count; i++)
		for (size_t k = i; k && values[k] < values[k - 1]; k--) {
			uint64_t one = values[k];
			values[k] = values[k - 1];
			values[k - 1] = one;
		}
	return values[count / 2];
}

void honest_compare(struct honest *h, const char *what, double times, void (*quiet)(void *),
		    void (*loud)(void *), void *context)
{
	enum { ROUNDS = 3 };
	uint64_t off[ROUNDS], on[ROUNDS];
	double ratio = 0;

	for (int try = 0; try < 3; try++) {
		for (int i = 0; i < ROUNDS; i++) {
			if (quiet)
				quiet(context);
			off[i] = honest_median(h, 150);
			if (loud)
				loud(context);
			on[i] = honest_median(h, 150);
		}
		ratio = (double)median_of(on, ROUNDS) / (double)median_of(off, ROUNDS);
		sys_say("%s: another's median open+close %.0f us, quiet %.0f us: %.2f times", what,
			(double)median_of(on, ROUNDS) / 1e3, (double)median_of(off, ROUNDS) / 1e3,
			ratio);
		if (ratio <= times)
			break;
	}
	if (quiet)
		quiet(context);
	if (ratio > times)
		fail_msg("%s: %.2f times, more than %.1f", what, ratio, times);
}

/* --- floods --- */

static int be_greedy(void *context)
{
	struct flood *f = context;
	int who = f->next++;

	CHECK(become(HOSTILE_UID) == 0);
	mkdir(sys_path(f->sys, "g%d", who), 0777);
	for (long i = 0; !f->end; i++) {
		while (!f->go && !f->end)
			usleep(1000);
		if (f->act(f, who, i) == 0)
			f->done++;
		else
			f->refused++;
	}
	return 0;
}

static void quiet(void *context)
{
	((struct flood *)context)->go = 0;
}

static void loud(void *context)
{
	((struct flood *)context)->go = 1;
}

long flood_run(struct sys *sys, struct honest *honest, const char *what,
	       int (*act)(struct flood *, int who, long count), int processes, double times)
{
	struct flood *f =
	    mmap(NULL, sizeof *f, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[FLOOD_MOST];
	long done;

	assert_true(processes <= FLOOD_MOST);
	assert_ptr_not_equal(f, MAP_FAILED);
	f->sys = sys;
	f->act = act;
	for (int i = 0; i < processes; i++)
		pids[i] = sys_fork(sys, be_greedy, f);
	honest_compare(honest, what, times, quiet, loud, f);
	f->end = 1;
	for (int i = 0; i < processes; i++)
		assert_int_equal(sys_wait(sys, pids[i]), 0);
	done = f->done;
	sys_say("%s: %ld done, %ld refused; the worker has %lld KiB and %d descriptors", what, done,
		(long)f->refused, sys_worker_memory(sys) >> 10, sys_count_fds(sys_worker(sys)));
	munmap(f, sizeof *f);
	return done;
}

/* --- the daemon --- */

void worker_memory_below(struct sys *sys, long long limit)
{
	long long memory = sys_worker_memory(sys);

	assert_true(memory > 0);
	if (!TEST_SANITIZED && memory >= limit)
		fail_msg("the worker has %lld KiB, at most %lld are right", memory >> 10,
			 limit >> 10);
}
