#include "tests/sys/writers.h"

#include "tests/sys/waker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct start {
	struct writers *writers;
	unsigned which;
};

static int run_writer(void *context)
{
	struct start *start = context;

	return start->writers->write(start->writers, start->which);
}

static pid_t start_writer(struct writers *writers, unsigned which)
{
	struct start start = {writers, which};

	return sys_fork(writers->sys, run_writer, &start);
}

static void nap(unsigned ms)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + ms * 1000000ULL;

	while (!sys_past(until))
		;
}

void writers_run(struct writers *writers, double seconds)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
	struct waker waker = {0};
	pid_t pids[WRITERS];

	writers->shared = mmap(NULL, sizeof *writers->shared, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(writers->shared != MAP_FAILED);
	if (writers->lock_file)
		waker_start(&waker, writers->shared, writers->lock_file);
	for (unsigned i = 0; i < WRITERS; i++)
		pids[i] = start_writer(writers, i);
	while (clock_ns(CLOCK_MONOTONIC) < until) {
		unsigned victim = (unsigned)rand() % WRITERS;

		nap(20 + (unsigned)rand() % 150);
		kill(pids[victim], SIGKILL);
		assert_int_equal(sys_wait(writers->sys, pids[victim]), 128 + SIGKILL);
		writers->kills++;
		pids[victim] = start_writer(writers, victim);
	}
	writers->shared->stop = true;
	for (unsigned i = 0; i < WRITERS; i++)
		assert_int_equal(sys_wait(writers->sys, pids[i]), 0);
	if (waker.pid)
		writers->wakes = waker_stop(&waker);
}

void writers_finish(struct writers *writers)
{
	munmap(writers->shared, sizeof *writers->shared);
}

size_t writers_record(unsigned which, uint64_t step, char *buffer, size_t room)
{
	size_t length = 10 + (which * 7919 + step * 104729) % 1500;

	if (length > room)
		length = room;
	for (size_t i = 0; i < length; i++)
		buffer[i] = (char)('a' + (which + step * 31 + i * 7) % 26);
	return length;
}
