/* Clock, calibrated loops, and the few file calls all measures share. */
#include "tests/bench/bench.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "core/util.h"

#define NS_PER_S    1e9
#define WARM_UP_NS  20000000ULL
#define BATCH_NS    1000000ULL
#define BATCHES_MAX 8192

static int run_batch(bench_op op, void *arg, uint64_t calls)
{
	for (uint64_t i = 0; i < calls; i++) {
		int rc = op(arg);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Doubles the batch until one takes a millisecond, so that reading the clock costs nothing beside
 * it, and goes on until caches and an adaptive server have settled. */
static int calibrate(bench_op op, void *arg, uint64_t *batch)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	uint64_t start, end;

	*batch = 1;
	do {
		start = clock_ns(CLOCK_MONOTONIC);
		int rc = run_batch(op, arg, *batch);
		if (rc < 0)
			return rc;
		end = clock_ns(CLOCK_MONOTONIC);
		if (end - start < BATCH_NS)
			*batch *= 2;
	} while (end - begin < WARM_UP_NS || end - start < BATCH_NS / 2);
	return 0;
}

static int by_value(const void *left, const void *right)
{
	double l, r;

	memcpy(&l, left, sizeof(l));
	memcpy(&r, right, sizeof(r));
	return (l > r) - (l < r);
}

/* The median over batches, not the mean over all: a neighbour that takes the CPU for some
 * milliseconds spoils a few batches and no more. */
int bench_loop(bench_op op, void *arg, double seconds, double *ns_per_op)
{
	AUTO_FREE double *times = calloc(BATCHES_MAX, sizeof(*times));
	uint64_t batch, begin, start, now;
	size_t count = 0;
	int rc = times ? calibrate(op, arg, &batch) : -ENOMEM;

	if (rc < 0)
		return rc;
	begin = start = clock_ns(CLOCK_MONOTONIC);
	do {
		rc = run_batch(op, arg, batch);
		if (rc < 0)
			return rc;
		now = clock_ns(CLOCK_MONOTONIC);
		times[count++] = (double)(now - start) / (double)batch;
		start = now;
	} while ((double)(now - begin) < seconds * NS_PER_S && count < BATCHES_MAX);
	*ns_per_op = bench_median(times, count);
	return 0;
}

int bench_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return neg_errno(sched_setaffinity(0, sizeof(set), &set));
}

double bench_median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), by_value);
	return values[count / 2];
}

int bench_wait_asleep(pid_t pid, pid_t tid)
{
	char path[64], text[128];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	for (;; usleep(50)) {
		AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		const char *state;

		if (n < 0)
			return errno == ENOENT ? -ESRCH : -errno;
		text[n] = '\0';
		state = strrchr(text, ')');
		if (!state || strspn(state, ") ZX") > 2)
			return -ESRCH;
		if (state[2] == 'S')
			return 0;
	}
}

int bench_create(const char *path, uint64_t size)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0) {
		int rc = -errno;
		unlink(path);
		return rc;
	}
	return steal_fd(&fd);
}

uint8_t *bench_map(int fd, uint64_t size)
{
	void *view = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return view == MAP_FAILED ? NULL : view;
}

void bench_touch_pages(uint8_t *view, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += PAGE_BYTES)
		((volatile uint8_t *)view)[at] = 1;
}

int bench_path(char path[BENCH_PATH_MAX], const char *dir, const char *tag)
{
	int n = snprintf(path, BENCH_PATH_MAX, "%s/mapbench.%d.%s", dir, (int)getpid(), tag);
	return n < 0 || n >= BENCH_PATH_MAX ? -ENAMETOOLONG : 0;
}
