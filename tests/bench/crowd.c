/* Many wait for one thing, and all are let go at once: the time to the last one awake. */
#include "tests/bench/channel.h"

#include <pthread.h>
#include <sys/syscall.h>

#include "core/util.h"

#define WAITERS     1000
#define STACK_BYTES (64 << 10)
#define ROUNDS_MIN  3
#define ROUNDS_MAX  256

struct waiter {
	struct channel *channel;
	pthread_t thread;
	_Atomic pid_t tid;
	uint64_t woken_at;
	int error;
};

static void *wait_once(void *arg)
{
	struct waiter *waiter = arg;

	waiter->tid = (pid_t)syscall(SYS_gettid);
	waiter->error = waiter->channel->type->receive(waiter->channel);
	waiter->woken_at = clock_ns(CLOCK_MONOTONIC);
	return NULL;
}

/* How many could be started; the error of the first that could not. */
static size_t start_all(struct waiter *waiters, size_t count, struct channel *channel, int *error)
{
	pthread_attr_t attr;
	size_t started = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (*error = 0; started < count; started++) {
		waiters[started] = (struct waiter){.channel = channel};
		*error =
		    -pthread_create(&waiters[started].thread, &attr, wait_once, &waiters[started]);
		if (*error)
			break;
	}
	pthread_attr_destroy(&attr);
	return started;
}

static int wait_until_all_wait(struct waiter *waiters, size_t count, struct channel *channel)
{
	for (size_t i = 0; i < count; i++) {
		while (!waiters[i].tid)
			usleep(100);
		int rc = bench_wait_asleep(getpid(), waiters[i].tid);
		if (rc < 0)
			return rc;
	}
	return channel->type->settle(channel);
}

/* When the last one awoke, or 0 with *error. */
static uint64_t join_all(struct waiter *waiters, size_t count, int *error)
{
	uint64_t last = 0;

	for (size_t i = 0; i < count; i++) {
		pthread_join(waiters[i].thread, NULL);
		if (waiters[i].error < 0)
			*error = waiters[i].error;
		if (waiters[i].woken_at > last)
			last = waiters[i].woken_at;
	}
	return last;
}

static int release_once(const struct bench_options *options, struct waiter *waiters, size_t count,
			double *ns)
{
	struct channel channel;
	uint64_t begin, last;
	size_t started;
	int sent, rc = channel_open(&channel, options, "crowd", true);

	if (rc < 0)
		return rc;
	started = start_all(waiters, count, &channel, &rc);
	if (rc == 0)
		rc = wait_until_all_wait(waiters, count, &channel);
	begin = clock_ns(CLOCK_MONOTONIC);
	sent = channel.type->send(&channel);
	if (sent < 0)
		return sent; /* they wait still: the end of the process ends them */
	last = join_all(waiters, started, &rc);
	*ns = (double)(last - begin);
	channel_close(&channel);
	return rc;
}

int bench_crowd(const struct bench_options *options, struct bench_result *result)
{
	size_t count = options->count ? options->count : WAITERS, rounds = 0;
	AUTO_FREE struct waiter *waiters = calloc(count, sizeof *waiters);
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	double times[ROUNDS_MAX];

	if (!waiters)
		return -ENOMEM;
	while (rounds < ROUNDS_MIN ||
	       (rounds < ROUNDS_MAX &&
		(double)(clock_ns(CLOCK_MONOTONIC) - begin) < options->seconds * 1e9)) {
		int rc = release_once(options, waiters, count, &times[rounds]);
		if (rc < 0)
			return rc;
		rounds++;
	}
	bench_add(result, "crowd", bench_median(times, rounds));
	return 0;
}
