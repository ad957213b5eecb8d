/* Two processes and what goes between them: how long until the other one is awake, and there and
 * back again. */
#include "tests/bench/channel.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/util.h"

#define SAMPLES_MAX 8192
#define SAMPLES_MIN 20
/* Until the worker, too, has stopped looking for more and sleeps. */
#define REST_US    300
#define GIVE_UP_NS 10000000000ULL

struct waker {
	struct channel channel;
	_Atomic uint64_t *woken_at;
	pid_t pid; /* of the waiting process */
};

struct pair {
	struct channel there, back;
	bool joined; /* telling and being told is one request, where there is such a thing */
};

static void run_waiter(void *arg)
{
	struct waker *waker = arg;

	while (waker->channel.type->receive(&waker->channel) >= 0)
		*waker->woken_at = clock_ns(CLOCK_MONOTONIC);
}

static void run_echo(void *arg)
{
	struct pair *pair = arg;

	if (pair->joined) {
		if (pair->there.type->receive(&pair->there) < 0)
			return;
		while (pair->back.type->exchange(&pair->back, &pair->there) >= 0)
			continue;
		return;
	}
	while (pair->there.type->receive(&pair->there) >= 0)
		if (pair->back.type->send(&pair->back) < 0)
			break;
}

/* Whoever waits for it would do so for ever. */
static void on_end(int sig)
{
	static const char message[] = "mapbench: the other process has ended\n";

	(void)sig;
	_exit(write(STDERR_FILENO, message, sizeof message - 1) < 0 ? 2 : 1);
}

static pid_t start(const struct bench_options *options, void (*run)(void *arg), void *arg)
{
	pid_t parent = getpid(), pid;

	signal(SIGCHLD, on_end);
	pid = fork();
	if (pid)
		return pid < 0 ? -errno : pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent && (options->peer_cpu < 0 || bench_pin(options->peer_cpu) == 0))
		run(arg);
	_exit(1);
}

static void stop(pid_t pid)
{
	signal(SIGCHLD, SIG_DFL);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* --- wake --- */

static int let_it_sleep(struct waker *waker)
{
	int rc = bench_wait_asleep(waker->pid, waker->pid);

	if (rc == 0)
		rc = waker->channel.type->settle(&waker->channel);
	if (rc == 0)
		usleep(REST_US);
	return rc;
}

static int wake_once(struct waker *waker, double *ns)
{
	uint64_t begin;
	int rc = let_it_sleep(waker);

	if (rc < 0)
		return rc;
	*waker->woken_at = 0;
	begin = clock_ns(CLOCK_MONOTONIC);
	rc = waker->channel.type->send(&waker->channel);
	while (rc >= 0 && !*waker->woken_at) {
		if (clock_ns(CLOCK_MONOTONIC) - begin > GIVE_UP_NS)
			return -ETIMEDOUT;
		usleep(50);
	}
	*ns = (double)(*waker->woken_at - begin);
	return rc < 0 ? rc : 0;
}

static int wake_repeatedly(struct waker *waker, double seconds, double *median)
{
	AUTO_FREE double *times = calloc(SAMPLES_MAX, sizeof *times);
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	size_t count = 0;

	if (!times)
		return -ENOMEM;
	while (count < SAMPLES_MIN || (count < SAMPLES_MAX && (double)(clock_ns(CLOCK_MONOTONIC) -
								       begin) < seconds * 1e9)) {
		int rc = wake_once(waker, &times[count]);
		if (rc < 0)
			return rc;
		count++;
	}
	*median = bench_median(times, count);
	return 0;
}

int bench_wake(const struct bench_options *options, struct bench_result *result)
{
	struct waker waker;
	double ns;
	int rc = channel_open(&waker.channel, options, "wake", false);

	if (rc < 0)
		return rc;
	waker.woken_at =
	    mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	waker.pid = waker.woken_at == MAP_FAILED ? -errno : start(options, run_waiter, &waker);
	rc = waker.pid < 0 ? waker.pid : wake_repeatedly(&waker, options->seconds, &ns);
	if (waker.pid > 0)
		stop(waker.pid);
	channel_close(&waker.channel);
	if (rc == 0)
		bench_add(result, "wake", ns);
	return rc;
}

/* --- there and back --- */

static int op_there_and_back(void *arg)
{
	struct pair *pair = arg;
	int rc;

	if (pair->joined)
		return pair->there.type->exchange(&pair->there, &pair->back);
	rc = pair->there.type->send(&pair->there);
	return rc < 0 ? rc : pair->back.type->receive(&pair->back);
}

static int time_pair(struct pair *pair, const struct bench_options *options, const char *name,
		     struct bench_result *result)
{
	double ns;
	pid_t pid = start(options, run_echo, pair);
	int rc = pid < 0 ? pid : bench_loop(op_there_and_back, pair, options->seconds, &ns);

	if (pid > 0)
		stop(pid);
	if (rc == 0)
		bench_add(result, name, ns);
	return rc;
}

/* Fresh channels: what one echo left unread would be the next one's beginning. */
static int ping_pong(const struct bench_options *options, bool joined, const char *name,
		     struct bench_result *result)
{
	struct pair pair = {0};
	int rc = channel_open(&pair.there, options, "there", false);

	if (rc < 0)
		return rc;
	rc = channel_open(&pair.back, options, "back", false);
	if (rc == 0) {
		pair.joined = joined && pair.there.type->exchange;
		rc = time_pair(&pair, options, name, result);
		channel_close(&pair.back);
	}
	channel_close(&pair.there);
	return rc;
}

int bench_ping_pong(const struct bench_options *options, struct bench_result *result)
{
	int rc = ping_pong(options, false, "ping_pong", result);

	return rc < 0 ? rc : ping_pong(options, true, "signal_wait", result);
}
