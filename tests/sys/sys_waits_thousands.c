/* Ten thousand waiters of one event: what they cost, and how soon they are released. */
#include <dirent.h>
#include <stdio.h>

#include "tests/sys/waitables.h"

enum { MANY = TEST_SANITIZED ? 1000 : 10000 };

static struct thousands {
	int fd;
	_Atomic unsigned released, wrong;
	_Atomic uint64_t last_ns;
} thousands;

static void *wait_among_thousands(void *unused)
{
	if (wait_here(thousands.fd) != WAIT_SIGNALED)
		thousands.wrong++;
	uint64_t end = clock_ns(CLOCK_MONOTONIC), last = thousands.last_ns;
	while (end > last && !atomic_compare_exchange_weak(&thousands.last_ns, &last, end))
		;
	thousands.released++;
	return unused;
}

static int worker_threads(struct sys *sys)
{
	char path[64];
	int count = 0;

	snprintf(path, sizeof path, "/proc/%d/task", sys_worker(sys));
	DIR *dir = opendir(path);
	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count - 2;
}

static pthread_t *start_thousands(int fd)
{
	pthread_t *threads = calloc(MANY, sizeof *threads);
	pthread_attr_t small;

	memset(&thousands, 0, sizeof thousands);
	thousands.fd = fd;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(pthread_create(&threads[i], &small, wait_among_thousands, NULL),
				 0);
	pthread_attr_destroy(&small);
	return threads;
}

static void ten_thousand_waiters(void **state)
{
	struct sys *sys = *state;
	sys_time_limit(sys, 180);
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_event(sys, "e", WIRE_MANUAL), O_RDWR);
	long long memory = sys_worker_memory(sys);
	int worker = worker_threads(sys);

	AUTO_FREE pthread_t *threads = start_thousands(fd);
	WAIT_UNTIL(60, count_blocked(getpid(), SYS_pread64) == MANY);
	long long more = (sys_worker_memory(sys) - memory) >> 10;
	assert_int_equal(worker_threads(sys), worker); /* a wait costs no thread */
	assert_int_equal(thousands.released, 0);
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	assert_int_equal(words(fd, "set\n"), 4);
	uint64_t told = clock_ns(CLOCK_MONOTONIC) - begin;
	for (int i = 0; i < MANY; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(thousands.released, MANY);
	assert_int_equal(thousands.wrong, 0);
	sys_say("%d waiters: %lld KiB more of the worker, `set` took %llu ms, the last was awake "
		"after %llu ms",
		MANY, more, (unsigned long long)told / 1000000,
		(unsigned long long)(thousands.last_ns - begin) / 1000000);
	assert_true(TEST_SANITIZED || more < MANY); /* less than a KiB each */
}

/* The same with the worker killed while they are blocked. */
static void ten_thousand_waiters_and_a_kill(void **state)
{
	struct sys *sys = *state;
	sys_time_limit(sys, 180);
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_event(sys, "e", WIRE_MANUAL), O_RDWR);

	AUTO_FREE pthread_t *threads = start_thousands(fd);
	WAIT_UNTIL(60, count_blocked(getpid(), SYS_pread64) == MANY);
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	sys_kill_worker(sys);
	uint64_t back = clock_ns(CLOCK_MONOTONIC) - begin;
	assert_int_equal(thousands.released, 0);
	begin = clock_ns(CLOCK_MONOTONIC);
	assert_int_equal(words(fd, "set\n"), 4);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(thousands.released, MANY);
	assert_int_equal(thousands.wrong, 0);
	sys_say("%d waiters: a new worker after %llu ms, all released after %llu ms", MANY,
		(unsigned long long)back / 1000000,
		(unsigned long long)(thousands.last_ns - begin) / 1000000);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(ten_thousand_waiters),
    SYS_TEST_BOTH_MODES(ten_thousand_waiters_and_a_kill),
};

int main(void)
{
	return sys_run_tests("waits_thousands", tests);
}
