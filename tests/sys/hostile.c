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

enum { SAMPLES = 1 << 16 };

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
	while (!h->end) {
		uint64_t began = clock_ns(CLOCK_MONOTONIC);
		int fd = open(h->path, O_RDWR | O_CLOEXEC);

		if (fd < 0)
			h->errors++;
		else
			close(fd);
		h->ns[h->count % SAMPLES] = (uint32_t)(clock_ns(CLOCK_MONOTONIC) - began);
		h->count++;
		usleep(200); /* it is not greedy itself */
	}
	return 0;
}

struct honest *honest_start(struct sys *sys)
{
	struct honest *h = mmap(NULL, sizeof *h, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				-1, 0);
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

/* --- the daemon --- */

long long worker_memory(struct sys *sys)
{
	char path[64], line[200];
	long long kilobytes = -1;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", sys_worker(sys));
	file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		sscanf(line, "RssAnon: %lld", &kilobytes);
	if (file)
		fclose(file);
	return kilobytes * 1024;
}
