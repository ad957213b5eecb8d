/* Objects to wait on under hundreds of kills of the worker, each checked against a model: no token
 * is lost or made, a lock locks, nobody waits for ever. */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/sys/waitables.h"

enum { KILLS = TEST_SANITIZED ? 40 : 200, WORKERS = 6, MAX_TOKENS = 1 << 30 };
/* A worker needs some time to get to work, with sanitizers a long one. */
enum { SOONEST_MS = TEST_SANITIZED ? 40 : 4, LATEST_MS = TEST_SANITIZED ? 80 : 15 };
enum { AUTO = 0, SET = WIRE_SIGNALED, ALL = WIRE_WAIT_ALL };

/* Shared by the processes of a storm. */
struct storm {
	struct sys *sys;
	volatile int stop;
	_Atomic uint64_t taken, released, rounds, interrupted;
	_Atomic int inside; /* of the lock: how many, or who */
	uint64_t guarded;   /* changed by its holder only */
	_Atomic uint64_t abandoned, died_inside;
};

static struct storm *new_storm(struct sys *sys)
{
	struct storm *storm =
	    mmap(NULL, sizeof *storm, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(storm != MAP_FAILED);
	storm->sys = sys;
	sys_time_limit(sys, 180);
	sys_mount(sys, NULL);
	return storm;
}

static bool all_alive(const pid_t *pids, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		siginfo_t ended = {0};
		if (waitid(P_PID, (id_t)pids[i], &ended, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    ended.si_pid != 0)
			return false;
	}
	return true;
}

/* Runs the processes under kills; each must see its rounds go on all the time. */
static unsigned rage(struct storm *storm, const pid_t *pids, unsigned count)
{
	uint64_t rounds = 0, since = sys_deadline(20);

	sys_start_killer(storm->sys, SOONEST_MS, LATEST_MS);
	while (all_alive(pids, count) && sys_status_number(storm->sys, "restarts") < KILLS) {
		usleep(20000);
		if (storm->rounds != rounds)
			since = sys_deadline(20);
		rounds = storm->rounds;
		if (clock_ns(CLOCK_MONOTONIC) > since)
			fail_msg("nothing moves any more after %llu rounds",
				 (unsigned long long)rounds);
	}
	unsigned kills = sys_stop_killer(storm->sys);
	storm->stop = 1;
	return kills;
}

static void all_end_well(struct storm *storm, const pid_t *pids, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(sys_wait(storm->sys, pids[i]), 0);
}

static int open_in(struct storm *storm, const char *name)
{
	return open(sys_path(storm->sys, "%s", name), O_RDWR | O_CLOEXEC);
}

/* --- tokens --- */

static int take_tokens(void *context)
{
	struct storm *storm = context;
	AUTO_CLOSE int fd = open_in(storm, "s");

	CHECK(fd >= 0);
	for (;;) {
		int rc = wait_here(fd);
		CHECK(rc == WAIT_ACQUIRED);
		storm->taken++;
		storm->rounds++;
		if (storm->stop)
			return 0;
	}
}

static int release_tokens(void *context)
{
	struct storm *storm = context;
	AUTO_CLOSE int fd = open_in(storm, "s");

	CHECK(fd >= 0);
	while (!storm->stop) {
		CHECK(words(fd, "release\nrelease 2\n") == 18);
		storm->released += 3;
		while (!storm->stop && storm->released > storm->taken + 1000)
			sched_yield();
	}
	return 0;
}

static void tokens_are_conserved(void **state)
{
	struct storm *storm = new_storm(*state);
	const char *path = make_semaphore(*state, "s", 0, MAX_TOKENS);
	pid_t pids[WORKERS];
	char expected[40];

	for (unsigned i = 0; i < WORKERS; i++)
		pids[i] = sys_fork(*state, i % 3 ? take_tokens : release_tokens, storm);
	unsigned kills = rage(storm, pids, WORKERS);
	assert_int_equal(words_to(path, "release 100\n"), 12); /* so that none waits on */
	storm->released += 100;
	all_end_well(storm, pids, WORKERS);
	snprintf(expected, sizeof expected, "%llu of %d",
		 (unsigned long long)(storm->released - storm->taken), MAX_TOKENS);
	AUTO_FREE char *left = sys_xattr(path, "user.mapping.state");
	sys_say("%u kills, %llu released, %llu taken, left: %s", kills,
		(unsigned long long)storm->released, (unsigned long long)storm->taken, left);
	assert_string_equal(left, expected);
	assert_true(kills >= KILLS - 1);
	munmap(storm, sizeof *storm);
}

/* The same when many wait, and signals hit the waiters: what is interrupted has taken nothing. */
static int take_interrupted(void *context)
{
	struct storm *storm = context;
	AUTO_CLOSE int fd = open_in(storm, "s");

	catch_interrupts();
	CHECK(fd >= 0);
	storm->inside++;
	while (!storm->stop) {
		int rc = wait_here(fd);
		CHECK(rc == WAIT_ACQUIRED || rc == -EINTR);
		storm->rounds++;
		if (rc == WAIT_ACQUIRED)
			storm->taken++;
		else
			storm->interrupted++;
	}
	return 0;
}

static pid_t victims[WORKERS];

static int interrupt_them(void *context)
{
	struct storm *storm = context;
	unsigned turn = 0;

	while (!storm->stop) {
		kill(victims[turn++ % WORKERS], SIGUSR1);
		usleep(300);
	}
	while (getppid() > 1) { /* until they have seen the end, and we are killed */
		for (unsigned i = 0; i < WORKERS; i++)
			kill(victims[i], SIGUSR1);
		usleep(1000);
	}
	return 0;
}

static void interrupted_takers_conserve_them(void **state)
{
	struct storm *storm = new_storm(*state);
	const char *path = make_semaphore(*state, "s", 0, MAX_TOKENS);
	pid_t pids[WORKERS + 1];
	char expected[40];

	for (unsigned i = 0; i < WORKERS; i++)
		victims[i] = pids[i] = sys_fork(*state, take_interrupted, storm);
	pids[WORKERS] = sys_fork(*state, release_tokens, storm);
	WAIT_UNTIL(20, storm->inside == WORKERS); /* until all catch it */
	pid_t interrupter = sys_fork(*state, interrupt_them, storm);
	unsigned kills = rage(storm, pids, WORKERS + 1);
	all_end_well(storm, pids, WORKERS + 1);
	sys_kill(*state, interrupter);
	snprintf(expected, sizeof expected, "%llu of %d",
		 (unsigned long long)(storm->released - storm->taken), MAX_TOKENS);
	sys_say("%u kills, %llu released, %llu taken, %llu times interrupted", kills,
		(unsigned long long)storm->released, (unsigned long long)storm->taken,
		(unsigned long long)storm->interrupted);
	assert_true(state_is(path, expected));
	assert_true(storm->interrupted > 0);
	munmap(storm, sizeof *storm);
}

/* --- the mutex as a lock --- */

static volatile uint64_t *counter_in(struct storm *storm)
{
	AUTO_CLOSE int fd = open_in(storm, "counter");
	void *view = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return view == MAP_FAILED ? NULL : view;
}

static int count_under_lock(void *context)
{
	struct storm *storm = context;
	AUTO_CLOSE int fd = open_in(storm, "m");
	volatile uint64_t *counter = counter_in(storm);

	CHECK(fd >= 0 && counter);
	while (!storm->stop) {
		CHECK(wait_here(fd) == WAIT_ACQUIRED);
		bool twice = storm->rounds % 7 == 0;
		if (twice)
			CHECK(wait_here(fd) == WAIT_ACQUIRED);
		CHECK(storm->inside++ == 0);
		uint64_t value = *counter;
		sched_yield();
		*counter = value + 1;
		storm->inside--;
		storm->rounds++;
		CHECK(words(fd, twice ? "release\nrelease\n" : "release\n") == (twice ? 16 : 8));
	}
	return 0;
}

static uint64_t counter_value(struct storm *storm)
{
	volatile uint64_t *counter = counter_in(storm);

	assert_non_null((void *)(uintptr_t)counter);
	uint64_t value = *counter;
	munmap((void *)(uintptr_t)counter, 4096);
	return value;
}

static void a_mutex_locks(void **state)
{
	struct storm *storm = new_storm(*state);
	pid_t pids[WORKERS];
	make_mutex(*state, "m");
	object_make(*state, "counter", WIRE_SET_SIZE, 4096, -1);

	for (unsigned i = 0; i < WORKERS; i++)
		pids[i] = sys_fork(*state, count_under_lock, storm);
	unsigned kills = rage(storm, pids, WORKERS);
	all_end_well(storm, pids, WORKERS);
	sys_say("%u kills, %llu rounds", kills, (unsigned long long)storm->rounds);
	assert_int_equal(counter_value(storm), storm->rounds);
	assert_true(kills >= KILLS - 1);
	munmap(storm, sizeof *storm);
}

/* Holders are killed, too: the next one is told if it happened inside. */
static int hold_until_killed(void *context)
{
	struct storm *storm = context;
	AUTO_CLOSE int fd = open_in(storm, "m");

	CHECK(fd >= 0);
	while (!storm->stop) {
		int rc = wait_here(fd);
		CHECK(rc == WAIT_ACQUIRED || rc == WAIT_WAS_ABANDONED);
		if (storm->inside) {
			CHECK(rc == WAIT_WAS_ABANDONED);
			storm->died_inside++;
		}
		storm->abandoned += rc == WAIT_WAS_ABANDONED;
		storm->inside = getpid();
		for (int i = 0; i < 20; i++) {
			sched_yield();
			CHECK(storm->inside == getpid());
		}
		storm->inside = 0;
		storm->rounds++;
		CHECK(words(fd, "release\n") == 8);
	}
	return 0;
}

static void owners_die(void **state)
{
	struct sys *sys = *state;
	struct storm *storm = new_storm(sys);
	unsigned killed = 0, turn = 0;
	pid_t pids[WORKERS];
	const char *path = make_mutex(sys, "m");

	for (unsigned i = 0; i < WORKERS; i++)
		pids[i] = sys_fork(sys, hold_until_killed, storm);
	sys_start_killer(sys, SOONEST_MS, LATEST_MS);
	uint64_t rounds = 0, since = sys_deadline(20);
	while (sys_status_number(sys, "restarts") < KILLS && all_alive(pids, WORKERS)) {
		int inside = storm->inside;
		for (unsigned i = 0; i < WORKERS; i++) {
			if (pids[i] != inside && ++turn % 50)
				continue;
			sys_kill(sys, pids[i]);
			killed++;
			pids[i] = sys_fork(sys, hold_until_killed, storm);
			break;
		}
		usleep(1000 + turn % 7 * 500);
		if (storm->rounds != rounds)
			since = sys_deadline(20);
		rounds = storm->rounds;
		if (clock_ns(CLOCK_MONOTONIC) > since)
			fail_msg("nothing moves any more");
	}
	unsigned kills = sys_stop_killer(sys);
	storm->stop = 1;
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(sys_wait(sys, pids[i]), 0);
	sys_say("%u kills of workers, %u of holders, %llu abandoned (%llu inside), %llu rounds",
		kills, killed, (unsigned long long)storm->abandoned,
		(unsigned long long)storm->died_inside, (unsigned long long)storm->rounds);
	assert_true(storm->abandoned > 0 && storm->died_inside > 0);
	assert_true(storm->abandoned <= killed);
	assert_int_equal(try_wait(path), WAIT_ACQUIRED);
	munmap(storm, sizeof *storm);
}

/* --- events --- */

static int ping(void *context)
{
	struct storm *storm = context;
	AUTO_CLOSE int mine = open_in(storm, "ping"), other = open_in(storm, "pong");

	CHECK(mine >= 0 && other >= 0);
	while (!storm->stop) {
		CHECK(words(mine, "set\n") == 4);
		CHECK(wait_here(other) == WAIT_SIGNALED);
		CHECK(storm->taken == storm->rounds + 1);
		storm->rounds++;
	}
	return 0;
}

/* The other side; by poll(2) it is told of a change, by read(2) it is answered. */
static int pong(struct storm *storm, bool polls)
{
	AUTO_CLOSE int mine = open_in(storm, "pong"), other = open_in(storm, "ping");
	struct pollfd polled = {.fd = other, .events = POLLIN};

	CHECK(mine >= 0 && other >= 0);
	for (;;) {
		if (polls)
			CHECK(poll(&polled, 1, 30000) == 1 && polled.revents == POLLIN);
		CHECK(wait_here(other) == WAIT_SIGNALED);
		if (storm->taken == UINT64_MAX)
			return 0;
		CHECK(storm->taken == storm->rounds);
		storm->taken++;
		CHECK(words(mine, "set\n") == 4);
	}
}

static int pong_by_read(void *context)
{
	return pong(context, false);
}

static int pong_by_poll(void *context)
{
	return pong(context, true);
}

static void play_ping_pong(struct sys *sys, int (*other)(void *))
{
	struct storm *storm = new_storm(sys);
	pid_t pids[2];
	const char *path = make_event(sys, "ping", AUTO);
	make_event(sys, "pong", AUTO);

	pids[0] = sys_fork(sys, other, storm);
	pids[1] = sys_fork(sys, ping, storm);
	unsigned kills = rage(storm, pids, 2);
	assert_int_equal(sys_wait(sys, pids[1]), 0);
	uint64_t rounds = storm->rounds;
	storm->taken = UINT64_MAX;
	assert_int_equal(words_to(path, "set\n"), 4);
	assert_int_equal(sys_wait(sys, pids[0]), 0);
	sys_say("%u kills, %llu rounds", kills, (unsigned long long)rounds);
	assert_true(kills >= KILLS - 1 && rounds > kills);
	munmap(storm, sizeof *storm);
}

static void ping_pong_by_read(void **state)
{
	play_ping_pong(*state, pong_by_read);
}

static void ping_pong_by_poll(void **state)
{
	play_ping_pong(*state, pong_by_poll);
}

/* --- several at once --- */

/* Philosophers: each needs two of the forks, and takes them together. */
static int dine(void *context)
{
	struct storm *storm = context;
	unsigned seat = (unsigned)(storm->interrupted++ % WORKERS);
	char left[16], right[16];

	snprintf(left, sizeof left, "fork%u", seat);
	snprintf(right, sizeof right, "fork%u", (seat + 1) % WORKERS);
	int fds[] = {open_in(storm, left), open_in(storm, right)};
	CHECK(fds[0] >= 0 && fds[1] >= 0);
	while (!storm->stop) {
		CHECK(wait_many(fds, 2, ALL, deadline_in(60), NULL) == 0);
		storm->rounds++;
		sched_yield();
		CHECK(words(fds[0], "release\n") == 8);
		CHECK(words(fds[1], "release\n") == 8);
	}
	return 0;
}

static void philosophers_dine(void **state)
{
	struct storm *storm = new_storm(*state);
	pid_t pids[WORKERS];
	char name[16];

	for (unsigned i = 0; i < WORKERS; i++) {
		snprintf(name, sizeof name, "fork%u", i);
		make_semaphore(*state, name, 1, 1);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		pids[i] = sys_fork(*state, dine, storm);
	unsigned kills = rage(storm, pids, WORKERS);
	all_end_well(storm, pids, WORKERS);
	sys_say("%u kills, %llu meals", kills, (unsigned long long)storm->rounds);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_true(state_is(sys_path(*state, "fork%u", i), "1 of 1"));
	munmap(storm, sizeof *storm);
}

/* A tick is taken once, by one of them. */
static int take_ticks(void *context)
{
	struct storm *storm = context;
	AUTO_CLOSE int fd = open_in(storm, "t");

	CHECK(fd >= 0);
	while (!storm->stop) {
		CHECK(wait_here(fd) == WAIT_SIGNALED);
		storm->rounds++;
	}
	return 0;
}

static void ticks_go_on(void **state)
{
	struct storm *storm = new_storm(*state);
	pid_t pids[3];
	const char *path = make_timer(*state, "t", AUTO);
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);

	assert_int_equal(words_to(path, "set 2ms 2ms\n"), 12);
	for (unsigned i = 0; i < 3; i++)
		pids[i] = sys_fork(*state, take_ticks, storm);
	unsigned kills = rage(storm, pids, 3);
	uint64_t possible = (clock_ns(CLOCK_MONOTONIC) - begin) / 2000000 + 1;
	uint64_t ticks = storm->rounds;
	all_end_well(storm, pids, 3);
	sys_say("%u kills, %llu of %llu ticks taken", kills, (unsigned long long)ticks,
		(unsigned long long)possible);
	assert_true(ticks <= possible);
	munmap(storm, sizeof *storm);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(tokens_are_conserved),
    SYS_TEST_BOTH_MODES(interrupted_takers_conserve_them),
    SYS_TEST_BOTH_MODES(a_mutex_locks),
    SYS_TEST_BOTH_MODES(owners_die),
    SYS_TEST_BOTH_MODES(ping_pong_by_read),
    SYS_TEST_BOTH_MODES(ping_pong_by_poll),
    SYS_TEST_BOTH_MODES(philosophers_dine),
    SYS_TEST_BOTH_MODES(ticks_go_on),
};

int main(void)
{
	return sys_run_tests("waits_storm", tests);
}
