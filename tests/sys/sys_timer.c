/* Waitable timers: relative and absolute times, periods, manual and auto, cancel. */
#include <poll.h>
#include <stdio.h>

#include "tests/sys/waitables.h"

enum { AUTO = 0, MANUAL = WIRE_MANUAL };

#define SECOND 1000000000ULL

static uint64_t now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Sets, waits once, and gives the time it took. */
static uint64_t time_of(int fd, const char *text)
{
	uint64_t begin = now();

	assert_int_equal(words(fd, text), strlen(text));
	assert_int_equal(wait_here(fd), WAIT_SIGNALED);
	return now() - begin;
}

static void relative_times(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} times[] = {
	    {"set 100ms\n", SECOND / 10},
	    {"set 0.1s\n", SECOND / 10},
	    {"set 50000us\n", SECOND / 20},
	    {"set 0.05\n", SECOND / 20},
	    {"set 1.5ms\n", 1500000},
	    {"set 0s\n", 0},
	    {"set 0\n", 0},
	    {"set 1us\n", 1000},
	    {"set 00.10s\n", SECOND / 10},
	};
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_timer(sys, "t", AUTO), O_RDWR);

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		uint64_t took = time_of(fd, times[i].text);
		if (took < times[i].ns || took > times[i].ns + 5 * SECOND)
			fail_msg("%s took %llu ns", times[i].text, (unsigned long long)took);
	}
}

/* As it is when the machine has nothing else to do; the best of several. */
static void it_comes_in_time(void **state)
{
	struct sys *sys = *state;
	uint64_t best = UINT64_MAX;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_timer(sys, "t", AUTO), O_RDWR);

	for (int i = 0; i < 20; i++) {
		uint64_t late = time_of(fd, "set 5ms\n") - SECOND / 200;
		best = late < best ? late : best;
	}
	sys_say("%llu us late at best", (unsigned long long)best / 1000);
	assert_true(best < SECOND / 100);
}

static void absolute_times(void **state)
{
	struct sys *sys = *state;
	char text[64];
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_timer(sys, "t", AUTO), O_RDWR);

	for (int i = 0; i < 3; i++) {
		uint64_t due = clock_ns(CLOCK_REALTIME) + SECOND / 10;
		snprintf(text, sizeof text, "set @%llu.%09llu\n",
			 (unsigned long long)(due / SECOND), (unsigned long long)(due % SECOND));
		time_of(fd, text);
		uint64_t end = clock_ns(CLOCK_REALTIME);
		assert_true(end >= due && end < due + 5 * SECOND);
	}
	snprintf(text, sizeof text, "set @%llu\n",
		 (unsigned long long)(clock_ns(CLOCK_REALTIME) / SECOND) + 1);
	assert_true(time_of(fd, text) < 6 * SECOND);
}

static void past_times(void **state)
{
	static const char *const past[] = {"set @0\n", "set @1\n", "set @1000000000.5\n",
					   "set @1000000000\n"};
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_timer(sys, "t", AUTO);

	for (size_t i = 0; i < ARRAY_SIZE(past); i++) {
		assert_int_equal(words_to(path, past[i]), strlen(past[i]));
		assert_int_equal(try_wait(path), WAIT_SIGNALED); /* at once */
		assert_int_equal(try_wait(path), -EAGAIN);
	}
	AUTO_CLOSE int fd = open_object(path, O_RDWR);
	assert_true(time_of(fd, "set @1000000000 50ms\n") < SECOND); /* and the periods go on */
	assert_int_equal(wait_here(fd), WAIT_SIGNALED);
	assert_int_equal(wait_here(fd), WAIT_SIGNALED);
	assert_int_equal(words(fd, "cancel\n"), 7);
}

/* Far away: taken, and not signaled. */
static void far_times(void **state)
{
	static const char *const far[] = {"set 1000000s\n", "set 86400000ms 1s\n",
					  "set @4000000000\n", "set 3000000000us\n"};
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_timer(sys, "t", AUTO);

	for (size_t i = 0; i < ARRAY_SIZE(far); i++) {
		assert_int_equal(words_to(path, far[i]), strlen(far[i]));
		assert_int_equal(try_wait(path), -EAGAIN);
	}
	/* Too large for any clock: refused, never wrapped around. */
	assert_true(words_to(path, "set 99999999999999999999s\n") < 0);
	assert_true(words_to(path, "set @99999999999999999999\n") < 0);
	assert_true(words_to(path, "set 1s 99999999999999999999s\n") < 0);
	assert_int_equal(try_wait(path), -EAGAIN);
}

static void bad_words(void **state)
{
	static const char *const bad[] = {
	    "\n",         "set\n",        "set -1s\n",  "set -1\n",       "set x\n",
	    "set 1m\n",   "set 1h\n",     "set 1 s\n",  "set 1s 1s 1s\n", "set @\n",
	    "set @-5\n",  "set @x\n",     "set @1s\n",  "set +1s\n",      "set 1.s\n",
	    "set .5s\n",  "set 1.2.3s\n", "set 1e3s\n", "set 0x10s\n",    "set 1s -1s\n",
	    "set 1s x\n", "set 1s @5\n",  "set s\n",    "set ms\n",       "cancel 1\n",
	    "reset\n",    "pulse\n",      "release\n",  "Set 1s\n",       "set nan\n",
	    "set inf\n",
	};
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_timer(sys, "t", MANUAL), *running = make_timer(sys, "r", MANUAL);

	assert_int_equal(words_to(path, "set 0s\n"), 7);
	assert_int_equal(try_wait(path), WAIT_SIGNALED);
	assert_int_equal(words_to(running, "set 100s\n"), 9);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (words_to(path, bad[i]) != -EINVAL || words_to(running, bad[i]) != -EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
		assert_int_equal(try_wait(path), WAIT_SIGNALED); /* and has changed nothing */
		assert_int_equal(try_wait(running), -EAGAIN);
	}
}

static void set_makes_it_unsignaled(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const uint32_t kinds[] = {AUTO, MANUAL};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *path = make_timer(sys, "t", kinds[i]);
		assert_int_equal(try_wait(path), -EAGAIN);
		assert_int_equal(words_to(path, "set 0s\n"), 7);
		AUTO_CLOSE int fd = open_object(path, O_RDONLY);
		WAIT_UNTIL(5, ready(fd));
		assert_int_equal(words_to(path, "set 100s\n"), 9);
		assert_false(ready(fd));
		assert_int_equal(try_wait(path), -EAGAIN);
		assert_int_equal(unlink(path), 0);
	}
}

static void manual_and_auto(void **state)
{
	enum { WAITERS = 5 };
	struct sys *sys = *state;
	struct waiter *waiters[WAITERS];
	sys_mount(sys, NULL);
	const char *path = make_timer(sys, "m", MANUAL);
	AUTO_CLOSE int manual = open_object(path, O_RDWR);

	for (int i = 0; i < WAITERS; i++)
		waiters[i] = waiter_start(manual);
	assert_int_equal(words(manual, "set 10ms\n"), 9);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(waiter_end(waiters[i]), WAIT_SIGNALED);
	assert_int_equal(try_wait(path), WAIT_SIGNALED);
	assert_int_equal(try_wait(path), WAIT_SIGNALED);

	path = make_timer(sys, "a", AUTO);
	AUTO_CLOSE int automatic = open_object(path, O_RDWR);
	for (int i = 0; i < WAITERS; i++)
		waiters[i] = waiter_start(automatic);
	for (int i = 0; i < WAITERS; i++) {
		assert_int_equal(words(automatic, "set 10ms\n"), 9);
		assert_int_equal(waiter_end(waiters[i]), WAIT_SIGNALED);
		for (int j = i + 1; j < WAITERS; j++)
			assert_false(waiters[j]->ended);
	}
}

static void cancel_keeps_the_state(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_timer(sys, "t", MANUAL);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	assert_int_equal(words(fd, "cancel\n"), 7); /* of one that is not set */
	assert_int_equal(try_wait(path), -EAGAIN);
	assert_int_equal(words(fd, "set 100ms\n"), 10);
	assert_int_equal(words(fd, "cancel\n"), 7);
	assert_false(BECOMES_TRUE(0.3, ready(fd)));
	assert_int_equal(words(fd, "set 0s\n"), 7);
	WAIT_UNTIL(5, ready(fd));
	assert_int_equal(words(fd, "cancel\n"), 7);
	assert_true(ready(fd));
	assert_int_equal(words(fd, "set 1ms 10ms\n"), 13);
	WAIT_UNTIL(5, ready(fd));
	assert_int_equal(words(fd, "cancel\n"), 7); /* the periods, too */
	assert_int_equal(words(fd, "set 100s\n"), 9);
	assert_false(BECOMES_TRUE(0.2, ready(fd)));
}

static void a_new_set_replaces_the_old(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_timer(sys, "t", AUTO);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	assert_int_equal(words(fd, "set 50ms 10ms\n"), 14);
	assert_int_equal(words(fd, "set 800ms\n"), 10);
	assert_false(BECOMES_TRUE(0.1, ready(fd)));
	assert_int_equal(wait_here(fd), WAIT_SIGNALED);
	assert_false(BECOMES_TRUE(0.1, ready(fd))); /* no period is left of the old one */
	assert_int_equal(words(fd, "set 100s\nset 10ms\n"), 18);
	assert_int_equal(wait_here(fd), WAIT_SIGNALED);
}

static void periods(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_timer(sys, "t", AUTO), O_RDWR);
	uint64_t begin = now();

	assert_int_equal(words(fd, "set 30ms 20ms\n"), 14);
	for (int i = 0; i < 10; i++)
		assert_int_equal(wait_here(fd), WAIT_SIGNALED);
	uint64_t took = now() - begin;
	assert_true(took >= SECOND / 1000 * 210); /* 30 + 9 * 20: no tick is early */
	sys_say("10 ticks in %llu ms; 210 is exact", (unsigned long long)took / 1000000);
	assert_true(took < 5 * SECOND);
	assert_int_equal(words(fd, "cancel\n"), 7);
}

/* However many ticks nobody waited for: they are one. */
static void missed_ticks_are_one(void **state)
{
	struct sys *sys = *state;
	unsigned taken = 0;
	sys_mount(sys, NULL);
	const char *path = make_timer(sys, "t", AUTO);
	AUTO_CLOSE int fd = open_object(path, O_RDWR | O_NONBLOCK);

	assert_int_equal(words(fd, "set 1ms 10ms\n"), 13);
	assert_false(BECOMES_TRUE(0.3, false)); /* some thirty ticks */
	uint64_t begin = now();
	for (int i = 0; i < 20; i++)
		taken += wait_here(fd) == WAIT_SIGNALED;
	uint64_t ticks = (now() - begin) / (SECOND / 100) + 1;
	assert_true(taken >= 1);
	assert_true(taken <= 1 + ticks);
	assert_int_equal(words(fd, "cancel\n"), 7);
}

/* A tick too short to be counted does not keep the daemon busy for ever. */
static void tiny_periods(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_timer(sys, "t", AUTO);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	if (words(fd, "set 1us 1us\n") == 12) {
		for (int i = 0; i < 100; i++)
			assert_int_equal(wait_here(fd), WAIT_SIGNALED);
		assert_true(sys_status_number(sys, "restarts") == 0); /* it still answers */
	}
	assert_int_equal(words(fd, "cancel\n"), 7);
	while (ready(fd))
		assert_int_equal(wait_here(fd), WAIT_SIGNALED);
	assert_false(BECOMES_TRUE(0.1, ready(fd)));
}

/* --- workers --- */

static void it_outlives_workers(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_timer(sys, "t", AUTO);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);
	uint64_t begin = now();

	assert_int_equal(words(fd, "set 300ms\n"), 10);
	struct waiter *waiter = waiter_start(fd);
	sys_kill_worker(sys);
	sys_kill_worker(sys);
	assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
	assert_true(now() - begin >= SECOND / 1000 * 300);

	assert_int_equal(words(fd, "set 10ms 10ms\n"), 14);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(wait_here(fd), WAIT_SIGNALED);
		sys_kill_worker(sys);
	}
	assert_int_equal(words(fd, "cancel\n"), 7);
	while (try_wait(path) == WAIT_SIGNALED)
		;
	sys_kill_worker(sys);
	assert_false(BECOMES_TRUE(0.1, ready(fd)));
}

/* Nobody holds it and the kernel has forgotten it: the time comes all the same. */
static void it_needs_no_handle(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_timer(sys, "t", AUTO), *late = make_timer(sys, "l", AUTO);

	assert_int_equal(words_to(path, "set 50ms\n"), 9);
	assert_int_equal(words_to(late, "set 100s\n"), 9);
	assert_int_equal(sys_shell(sys, "echo 2 >/proc/sys/vm/drop_caches"), 0);
	sys_kill_worker(sys);
	assert_int_equal(sys_shell(sys, "echo 2 >/proc/sys/vm/drop_caches"), 0);
	assert_false(BECOMES_TRUE(0.1, false));
	assert_int_equal(try_wait(path), WAIT_SIGNALED);
	assert_int_equal(try_wait(path), -EAGAIN);
	assert_int_equal(try_wait(late), -EAGAIN);
}

static void poll_is_woken(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_timer(sys, "t", AUTO), O_RDWR);

	for (int i = 0; i < 20; i++) {
		struct pollfd polled = {.fd = fd, .events = POLLIN};
		assert_int_equal(words(fd, "set 5ms\n"), 8);
		assert_int_equal(poll(&polled, 1, 10000), 1);
		assert_int_equal(polled.revents, POLLIN);
		assert_int_equal(wait_here(fd), WAIT_SIGNALED);
	}
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(relative_times),
    SYS_TEST_BOTH_MODES(it_comes_in_time),
    SYS_TEST_BOTH_MODES(absolute_times),
    SYS_TEST_BOTH_MODES(past_times),
    SYS_TEST_BOTH_MODES(far_times),
    SYS_TEST_BOTH_MODES(bad_words),
    SYS_TEST_BOTH_MODES(set_makes_it_unsignaled),
    SYS_TEST_BOTH_MODES(manual_and_auto),
    SYS_TEST_BOTH_MODES(cancel_keeps_the_state),
    SYS_TEST_BOTH_MODES(a_new_set_replaces_the_old),
    SYS_TEST_BOTH_MODES(periods),
    SYS_TEST_BOTH_MODES(missed_ticks_are_one),
    SYS_TEST_BOTH_MODES(tiny_periods),
    SYS_TEST_BOTH_MODES(it_outlives_workers),
    SYS_TEST_BOTH_MODES(it_needs_no_handle),
    SYS_TEST_BOTH_MODES(poll_is_woken),
};

int main(void)
{
	return sys_run_tests("timer", tests);
}
