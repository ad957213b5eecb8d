/* The pool: everything run once and finished on this thread; one that blocks does not stop others.
 */
#include "core/jobs.h"
#include "tests/unit/core_fixture.h"

#include <pthread.h>

#define MANY 2000

static struct jobs *jobs;
static size_t fds_before;
static pthread_t main_thread;
static unsigned finished;
static _Atomic unsigned running, most_running;
static _Atomic bool open_gate;

struct work {
	struct job job;
	_Atomic unsigned ran;
	unsigned done;
	bool again;
};

static int setup(void **state)
{
	(void)state;
	alarm(30);
	fds_before = open_fds();
	main_thread = pthread_self();
	finished = 0;
	running = most_running = 0;
	open_gate = false;
	jobs = jobs_create();
	return jobs ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	open_gate = true;
	jobs_destroy(jobs);
	return open_fds() == fds_before ? 0 : -1;
}

static void run(struct job *job)
{
	struct work *work = CONTAINER_OF(job, struct work, job);
	sigset_t blocked;

	work->ran++;
	if (pthread_self() == main_thread)
		abort();
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (!sigismember(&blocked, SIGTERM) || !sigismember(&blocked, SIGIO))
		abort();
}

static void run_at_gate(struct job *job)
{
	unsigned now = ++running;

	run(job);
	if (now > most_running)
		most_running = now;
	while (!open_gate)
		usleep(200);
	running--;
}

static void done(struct job *job)
{
	struct work *work = CONTAINER_OF(job, struct work, job);

	if (pthread_self() != main_thread)
		abort();
	work->done++;
	finished++;
	if (work->again) {
		work->again = false;
		assert_int_equal(jobs_submit(jobs, job), 0);
	}
}

static void dispatch_until(unsigned count)
{
	struct pollfd pfd = {.fd = jobs_poll_fd(jobs), .events = POLLIN};

	while (finished < count) {
		assert_int_equal(poll(&pfd, 1, 10000), 1);
		jobs_dispatch(jobs);
	}
}

static bool reaches(_Atomic unsigned *value, unsigned wanted)
{
	for (int i = 0; i < 3000 && *value < wanted; i++)
		usleep(1000);
	return *value >= wanted;
}

static void each_runs_once(void **state)
{
	static struct work work[MANY];

	(void)state;
	memset(work, 0, sizeof work);
	for (size_t i = 0; i < MANY; i++) {
		work[i].job = (struct job){.run = run, .done = done};
		work[i].again = i % 2;
		assert_int_equal(jobs_submit(jobs, &work[i].job), 0);
	}
	dispatch_until(MANY + MANY / 2);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(work[i].ran, 1 + i % 2);
		assert_int_equal(work[i].done, 1 + i % 2);
	}
}

/* A disk that hangs holds one thread, not the pool. */
static void blocked_job_does_not_stop_others(void **state)
{
	struct work stuck = {.job = {.run = run_at_gate, .done = done}};
	struct work other = {.job = {.run = run, .done = done}};

	(void)state;
	assert_int_equal(jobs_submit(jobs, &stuck.job), 0);
	assert_true(reaches(&running, 1));
	assert_int_equal(jobs_submit(jobs, &other.job), 0);
	dispatch_until(1);
	assert_int_equal(other.done, 1);
	open_gate = true;
	dispatch_until(2);
}

/* The same in one go, with a thread that is idle already. */
static void burst_uses_all_threads(void **state)
{
	static struct work work[JOBS_THREADS];
	struct work first = {.job = {.run = run, .done = done}};

	(void)state;
	memset(work, 0, sizeof work);
	assert_int_equal(jobs_submit(jobs, &first.job), 0);
	dispatch_until(1);
	usleep(20000); /* its thread goes to sleep; nothing tells when */
	for (size_t i = 0; i < JOBS_THREADS; i++) {
		work[i].job = (struct job){.run = run_at_gate, .done = done};
		assert_int_equal(jobs_submit(jobs, &work[i].job), 0);
	}
	assert_true(reaches(&most_running, JOBS_THREADS));
	open_gate = true;
	dispatch_until(1 + JOBS_THREADS);
}

static void destroy_finishes_all(void **state)
{
	static struct work work[64];

	(void)state;
	memset(work, 0, sizeof work);
	for (size_t i = 0; i < ARRAY_SIZE(work); i++) {
		work[i].job = (struct job){.run = run, .done = done};
		assert_int_equal(jobs_submit(jobs, &work[i].job), 0);
	}
	jobs_destroy(jobs);
	jobs = NULL;
	assert_int_equal(finished, ARRAY_SIZE(work));
}

static void idle_pool_is_silent(void **state)
{
	struct pollfd pfd = {.fd = jobs_poll_fd(jobs), .events = POLLIN};

	(void)state;
	assert_int_equal(poll(&pfd, 1, 0), 0);
	jobs_dispatch(jobs);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(each_runs_once),         TEST(blocked_job_does_not_stop_others),
	    TEST(burst_uses_all_threads), TEST(destroy_finishes_all),
	    TEST(idle_pool_is_silent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
