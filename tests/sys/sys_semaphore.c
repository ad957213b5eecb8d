/* Semaphores: counts, limits, who gets a token. */
#include <sched.h>
#include <stdio.h>

#include "tests/sys/waitables.h"

static void takes_until_zero(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 3, 5);

	assert_true(state_is(path, "3 of 5"));
	for (int i = 0; i < 3; i++)
		assert_int_equal(try_wait(path), WAIT_ACQUIRED);
	assert_int_equal(try_wait(path), -EAGAIN);
	assert_true(state_is(path, "0 of 5"));
	assert_int_equal(words_to(path, "release\n"), 8);
	assert_true(state_is(path, "1 of 5"));
	assert_int_equal(try_wait(path), WAIT_ACQUIRED);
	assert_int_equal(words_to(path, "release 5\n"), 10);
	assert_true(state_is(path, "5 of 5"));
}

static void over_the_maximum(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 3, 5);

	assert_int_equal(words_to(path, "release 3\n"), -EOVERFLOW);
	assert_true(state_is(path, "3 of 5"));
	assert_int_equal(words_to(path, "release 4294967295\n"), -EOVERFLOW);
	assert_true(state_is(path, "3 of 5"));
	assert_int_equal(words_to(path, "release 2\n"), 10);
	assert_int_equal(words_to(path, "release\n"), -EOVERFLOW);
	assert_true(state_is(path, "5 of 5"));

	path = make_semaphore(sys, "large", INT32_MAX - 1, INT32_MAX);
	assert_int_equal(words_to(path, "release 2147483647\n"), -EOVERFLOW);
	assert_int_equal(words_to(path, "release 1\n"), 10);
	assert_true(state_is(path, "2147483647 of 2147483647"));
}

/* A release that would only fit because somebody waits is a release over the maximum all the same:
 * never more than the maximum is free at once. Here there is room. */
static void release_counts_before_waiters_take(void **state)
{
	struct sys *sys = *state;
	struct waiter *waiters[2];
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 0, 2);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	waiters[0] = waiter_start(fd);
	waiters[1] = waiter_start(fd);
	assert_int_equal(words(fd, "release 3\n"), -EOVERFLOW);
	assert_false(waiters[0]->ended);
	assert_int_equal(words(fd, "release 2\n"), 10);
	assert_int_equal(waiter_end(waiters[0]), WAIT_ACQUIRED);
	assert_int_equal(waiter_end(waiters[1]), WAIT_ACQUIRED);
	assert_true(state_is(path, "0 of 2"));
}

static void release_lets_go_as_many(void **state)
{
	enum { WAITERS = 9 };
	struct sys *sys = *state;
	struct waiter *waiters[WAITERS];
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 0, 100);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	for (int i = 0; i < WAITERS; i++)
		waiters[i] = waiter_start(fd);
	assert_int_equal(words(fd, "release 4\n"), 10);
	for (int i = 0; i < 4; i++)
		assert_int_equal(waiter_end(waiters[i]), WAIT_ACQUIRED);
	assert_true(state_is(path, "0 of 100"));
	for (int i = 4; i < WAITERS; i++)
		assert_false(waiters[i]->ended);
	assert_int_equal(words(fd, "release 7\n"), 10);
	for (int i = 4; i < WAITERS; i++)
		assert_int_equal(waiter_end(waiters[i]), WAIT_ACQUIRED);
	assert_true(state_is(path, "2 of 100"));
}

static void bad_words(void **state)
{
	static const char *const bad[] = {
	    "\n",
	    "set\n",
	    "reset\n",
	    "release 0\n",
	    "release -1\n",
	    "release 1.5\n",
	    "release x\n",
	    "release 1x\n",
	    "release 1 1\n",
	    "release +\n",
	    "release 0x1\n",
	    "acquire\n",
	    "Release\n",
	    "release release\n",
	};
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 1, 3);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (words_to(path, bad[i]) != -EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
	/* Beyond any number: refused, one way or the other. */
	assert_true(words_to(path, "release 99999999999999999999999\n") < 0);
	assert_true(words_to(path, "release 18446744073709551617\n") < 0);
	assert_true(words_to(path, "release 4294967297\n") < 0);
	assert_true(state_is(path, "1 of 3"));
}

static void several_lines(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 0, 5);

	assert_int_equal(words_to(path, "release\nrelease 2\n"), 18);
	assert_true(state_is(path, "3 of 5"));
	assert_int_equal(words_to(path, "release\nrelease 2\nrelease\n"),
			 8); /* the second is too much */
	assert_true(state_is(path, "4 of 5"));
	assert_int_equal(words_to(path, "release\nrelease 0\n"), 8);
	assert_true(state_is(path, "5 of 5"));
}

static void a_token_is_not_bound_to_a_handle(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 1, 1);
	int fd = open_object(path, O_RDWR);

	assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
	close(fd);
	assert_true(state_is(path, "0 of 1")); /* closing gives nothing back */
	assert_int_equal(words_to(path, "release\n"), 8);
	assert_int_equal(try_wait(path), WAIT_ACQUIRED);
}

static void poll_follows_the_count(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 1, 2);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	for (int i = 0; i < 10; i++)
		assert_true(ready(fd));
	assert_true(state_is(path, "1 of 2"));
	assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
	assert_false(ready(fd));
	assert_int_equal(words_to(path, "release\n"), 8);
	assert_true(ready(fd));
}

/* Those who take and give back: the count is never wrong. */
struct crowd {
	const char *path;
	_Atomic int inside, most;
	_Atomic unsigned rounds;
};

static struct crowd crowd;

static void *take_and_give(void *unused)
{
	AUTO_CLOSE int fd = open(crowd.path, O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 200; i++) {
		if (wait_here(fd) != WAIT_ACQUIRED)
			return "wait";
		int inside = ++crowd.inside, most = crowd.most;
		while (inside > most && !atomic_compare_exchange_weak(&crowd.most, &most, inside))
			;
		sched_yield();
		crowd.inside--;
		crowd.rounds++;
		if (words(fd, "release\n") != 8)
			return "release";
	}
	return unused;
}

static void never_more_than_the_maximum_inside(void **state)
{
	enum { THREADS = 12 };
	struct sys *sys = *state;
	pthread_t threads[THREADS];
	void *wrong;
	sys_mount(sys, NULL);
	memset(&crowd, 0, sizeof crowd);
	crowd.path = make_semaphore(sys, "s", 3, 3);

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	assert_true(state_is(crowd.path, "3 of 3"));
	assert_int_equal(crowd.rounds, THREADS * 200);
	assert_true(crowd.most <= 3);
	sys_say("at most %d inside at once", crowd.most);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(takes_until_zero),
    SYS_TEST_BOTH_MODES(over_the_maximum),
    SYS_TEST_BOTH_MODES(release_counts_before_waiters_take),
    SYS_TEST_BOTH_MODES(release_lets_go_as_many),
    SYS_TEST_BOTH_MODES(bad_words),
    SYS_TEST_BOTH_MODES(several_lines),
    SYS_TEST_BOTH_MODES(a_token_is_not_bound_to_a_handle),
    SYS_TEST_BOTH_MODES(poll_follows_the_count),
    SYS_TEST_BOTH_MODES(never_more_than_the_maximum_inside),
};

int main(void)
{
	return sys_run_tests("semaphore", tests);
}
