/* Changing one object and waiting for another in one request: the change is made once, whatever
 * becomes of the wait and of the worker. */
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/sys/waitables.h"

enum { AUTO = 0, SET = WIRE_SIGNALED, PAST = 0 };
enum { KILLS = TEST_SANITIZED ? 40 : 200 };
enum { SOONEST_MS = TEST_SANITIZED ? 40 : 4, LATEST_MS = TEST_SANITIZED ? 80 : 15 };

static void signals_and_waits(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *semaphore = make_semaphore(sys, "s", 0, 5);
	AUTO_CLOSE int signal = open_object(semaphore, O_RDWR);
	AUTO_CLOSE int event = open_object(make_event(sys, "e", AUTO | SET), O_RDWR);

	assert_int_equal(signal_and_wait(signal, "release 2", event, NO_DEADLINE), WAIT_SIGNALED);
	assert_true(state_is(semaphore, "2 of 5"));
	assert_int_equal(signal_and_wait(event, "set\n", signal, NO_DEADLINE), WAIT_ACQUIRED);
	assert_true(state_is(semaphore, "1 of 5"));
	assert_int_equal(signal_and_wait(signal, "release", signal, PAST), WAIT_ACQUIRED);
	assert_true(state_is(semaphore, "1 of 5")); /* one and the same object */
	assert_int_equal(wait_here(event), WAIT_SIGNALED);
}

/* An error of the change: there was no wait; one of the handles: there was no change. */
static void errors(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *event_path = make_event(sys, "e", AUTO | SET), *path, *mutex_path;
	path = make_semaphore(sys, "s", 1, 2);
	mutex_path = make_mutex(sys, "m");
	AUTO_CLOSE int event = open_object(event_path, O_RDWR), sema = open_object(path, O_RDWR);
	AUTO_CLOSE int reader = open_object(path, O_RDONLY),
		       mutex = open_object(mutex_path, O_RDWR);
	AUTO_CLOSE int writer = open_object(event_path, O_WRONLY);
	AUTO_CLOSE int mapping =
	    open_object(object_make(sys, "x", WIRE_SET_SIZE, 4096, -1), O_RDWR);

	assert_int_equal(signal_and_wait(sema, "release 2", event, PAST), -EOVERFLOW);
	assert_int_equal(signal_and_wait(sema, "nonsense", event, PAST), -EINVAL);
	assert_int_equal(signal_and_wait(sema, "", event, PAST), -EINVAL);
	assert_int_equal(signal_and_wait(sema, "\n", event, PAST), -EINVAL);
	assert_int_equal(signal_and_wait(sema, "release\nrelease\n", event, PAST), -EINVAL);
	assert_int_equal(
	    signal_and_wait(sema, "release                               ", event, PAST),
	    -EINVAL); /* longer than there is room */
	assert_int_equal(signal_and_wait(mutex, "release", event, PAST), -EPERM);
	assert_int_equal(signal_and_wait(reader, "release", event, PAST), -EACCES);
	assert_int_equal(signal_and_wait(sema, "release", writer, PAST), -EACCES);
	assert_int_equal(signal_and_wait(mapping, "release", event, PAST), -ENOTTY);
	assert_int_equal(signal_and_wait(sema, "release", mapping, PAST), -ENOTTY);
	assert_true(state_is(path, "1 of 2"));
	assert_int_equal(try_wait(event_path), WAIT_SIGNALED); /* nobody took it */
}

static void wrong_handles(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 0, 5);
	AUTO_CLOSE int fd = open_object(path, O_RDWR), other = open_object(path, O_RDWR);
	AUTO_CLOSE int event = open_object(make_event(sys, "e", WIRE_MANUAL | SET), O_RDWR);
	struct wire_signal_wait both = {.length = 7, .deadline = PAST, .words = "release"};

	assert_int_equal(ioctl(event, WIRE_IOC_SIGNAL_WAIT, &both), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(ioctl(fd, WIRE_IOC_HANDLE, &both.signal), 0);
	both.signal.key ^= 1;
	assert_int_equal(ioctl(event, WIRE_IOC_SIGNAL_WAIT, &both), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(ioctl(other, WIRE_IOC_HANDLE, &both.signal), 0);
	close(steal_fd(&other));
	WAIT_UNTIL(5, number_xattr(path, "user.mapping.handles") == 1);
	assert_int_equal(ioctl(event, WIRE_IOC_SIGNAL_WAIT, &both), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(ioctl(fd, WIRE_IOC_HANDLE, &both.signal), 0);
	const uint32_t lengths[] = {0, 37, 1 << 20, UINT32_MAX};
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		both.length = lengths[i];
		assert_int_equal(ioctl(event, WIRE_IOC_SIGNAL_WAIT, &both), -1);
		assert_int_equal(errno, EINVAL);
	}
	assert_true(state_is(path, "0 of 5"));
	both.length = 7;
	assert_int_equal(ioctl(event, WIRE_IOC_SIGNAL_WAIT, &both), 0);
	assert_true(state_is(path, "1 of 5"));
}

/* --- in a thread --- */

struct both {
	pthread_t thread;
	int signal, wait;
	uint64_t deadline;
	_Atomic pid_t tid;
	_Atomic int ended;
	int result;
};

static void *run_both(void *context)
{
	struct both *b = context;

	b->tid = (pid_t)syscall(SYS_gettid);
	b->result = signal_and_wait(b->signal, "release", b->wait, b->deadline);
	b->ended = 1;
	return NULL;
}

/* Returns when it is blocked and its change is made. */
static struct both *both_start(int signal, int wait, const char *path, const char *made)
{
	struct both *b = calloc(1, sizeof *b);

	assert_non_null(b);
	b->signal = signal;
	b->wait = wait;
	b->deadline = NO_DEADLINE;
	assert_int_equal(pthread_create(&b->thread, NULL, run_both, b), 0);
	WAIT_UNTIL(10, state_is(path, made) && b->tid && blocked_in(b->tid, SYS_ioctl));
	return b;
}

static int both_end(struct both *b)
{
	WAIT_UNTIL(10, b->ended);
	assert_int_equal(pthread_join(b->thread, NULL), 0);
	int result = b->result;
	free(b);
	return result;
}

static void the_change_stays(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 0, 5);
	AUTO_CLOSE int sema = open_object(path, O_RDWR);
	AUTO_CLOSE int event = open_object(make_event(sys, "e", AUTO), O_RDWR);

	catch_interrupts();
	assert_int_equal(signal_and_wait(sema, "release", event, PAST), -ETIMEDOUT);
	assert_true(state_is(path, "1 of 5"));
	assert_int_equal(signal_and_wait(sema, "release", event, deadline_in(0.05)), -ETIMEDOUT);
	assert_true(state_is(path, "2 of 5"));
	struct both *b = both_start(sema, event, path, "3 of 5");
	pthread_kill(b->thread, SIGUSR1);
	assert_int_equal(both_end(b), -EINTR);
	assert_true(state_is(path, "3 of 5"));
	assert_int_equal(words(event, "set\n"), 4); /* none of them waits any more */
	assert_int_equal(wait_here(event), WAIT_SIGNALED);
}

static void one_at_a_time_through_a_handle(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 0, 9);
	AUTO_CLOSE int sema = open_object(path, O_RDWR), other = open_object(path, O_RDWR);
	AUTO_CLOSE int event = open_object(make_event(sys, "e", AUTO), O_RDWR);

	struct both *first = both_start(sema, event, path, "1 of 9");
	assert_int_equal(signal_and_wait(sema, "release", event, PAST), -EBUSY);
	assert_true(state_is(path, "1 of 9"));
	struct both *second = both_start(other, event, path, "2 of 9");
	sys_kill_worker(sys);
	assert_int_equal(signal_and_wait(sema, "release", event, PAST), -EBUSY);
	assert_int_equal(words(sema, "release\n"), 8); /* a plain change is nobody's business */
	assert_int_equal(words(event, "set\n"), 4);
	assert_int_equal(both_end(first), WAIT_SIGNALED);
	assert_int_equal(words(event, "set\n"), 4);
	assert_int_equal(both_end(second), WAIT_SIGNALED);
	assert_true(state_is(path, "3 of 9"));
	assert_int_equal(signal_and_wait(sema, "release", event, PAST), -ETIMEDOUT);
	assert_true(state_is(path, "4 of 9"));
}

static void not_twice_in_a_new_worker(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 0, 9);
	AUTO_CLOSE int sema = open_object(path, O_RDWR);
	AUTO_CLOSE int event = open_object(make_event(sys, "e", AUTO), O_RDWR);

	struct both *b = both_start(sema, event, path, "1 of 9");
	for (int i = 0; i < 5; i++) {
		sys_kill_worker(sys);
		assert_true(state_is(path, "1 of 9"));
	}
	assert_false(b->ended);
	assert_int_equal(words(event, "set\n"), 4);
	assert_int_equal(both_end(b), WAIT_SIGNALED);
	assert_true(state_is(path, "1 of 9"));
}

/* --- a condition variable: the mutex is given back and the event waited for --- */

static void a_mutex_is_released(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");
	AUTO_CLOSE int mine = open_object(path, O_RDWR), other = open_object(path, O_RDWR);
	AUTO_CLOSE int event = open_object(make_event(sys, "e", AUTO), O_RDWR);

	assert_int_equal(wait_here(mine), WAIT_ACQUIRED);
	struct waiter *waiter = waiter_start(other);
	struct both *b = both_start(mine, event, path, "owned 1"); /* by the other one now */
	assert_int_equal(waiter_end(waiter), WAIT_ACQUIRED);
	assert_false(b->ended);
	assert_int_equal(words(event, "set\n"), 4);
	assert_int_equal(both_end(b), WAIT_SIGNALED);
	assert_int_equal(words(mine, "release\n"), -EPERM);
	assert_int_equal(words(other, "release\n"), 8);
}

/* --- storms --- */

struct game {
	struct sys *sys;
	volatile int stop;
	_Atomic uint64_t rounds, calls, interrupted;
};

static struct game *new_game(struct sys *sys)
{
	struct game *game =
	    mmap(NULL, sizeof *game, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(game != MAP_FAILED);
	game->sys = sys;
	sys_time_limit(sys, 180);
	sys_mount(sys, NULL);
	return game;
}

static unsigned kill_workers(struct game *game, pid_t player)
{
	uint64_t rounds = 0, since = sys_deadline(20);
	siginfo_t ended = {0};

	sys_start_killer(game->sys, SOONEST_MS, LATEST_MS);
	while (sys_status_number(game->sys, "restarts") < KILLS && ended.si_pid == 0) {
		usleep(20000);
		waitid(P_PID, (id_t)player, &ended, WEXITED | WNOHANG | WNOWAIT);
		since = game->rounds == rounds ? since : sys_deadline(20);
		rounds = game->rounds;
		if (clock_ns(CLOCK_MONOTONIC) > since)
			fail_msg("nothing moves any more");
	}
	return sys_stop_killer(game->sys);
}

/* The semaphores hold one token at most: one that is given twice is too many, and one that is lost
 * ends the game. */
static int play(struct game *game, const char *mine, const char *others)
{
	AUTO_CLOSE int signal = open(sys_path(game->sys, "%s", others), O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int wait = open(sys_path(game->sys, "%s", mine), O_RDWR | O_CLOEXEC);

	CHECK(signal >= 0 && wait >= 0);
	while (!game->stop) {
		int rc = signal_and_wait(signal, "release", wait, deadline_in(60));
		CHECK(rc == WAIT_ACQUIRED || (game->stop && rc == -EOVERFLOW));
		game->rounds++;
	}
	return 0;
}

static int play_ping(void *context)
{
	return play(context, "ping", "pong");
}

static int play_pong(void *context)
{
	return play(context, "pong", "ping");
}

static void ping_pong(void **state)
{
	struct game *game = new_game(*state);
	make_semaphore(*state, "ping", 0, 1);
	make_semaphore(*state, "pong", 0, 1);
	pid_t one = sys_fork(*state, play_ping, game);
	pid_t other = sys_fork(*state, play_pong, game);
	unsigned kills = kill_workers(game, one);

	game->stop = 1;
	words_to(sys_path(*state, "ping"), "release\n"); /* that neither waits for who has ended */
	words_to(sys_path(*state, "pong"), "release\n");
	assert_int_equal(sys_wait(*state, one), 0);
	assert_int_equal(sys_wait(*state, other), 0);
	sys_say("%u kills, %llu rounds", kills, (unsigned long long)game->rounds);
	assert_true(kills >= KILLS - 1 && game->rounds > 2 * kills);
	munmap(game, sizeof *game);
}

/* Each call releases one, whatever becomes of its wait. */
static int count_calls(void *context)
{
	struct game *game = context;
	AUTO_CLOSE int signal = open(sys_path(game->sys, "s"), O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int wait = open(sys_path(game->sys, "e"), O_RDWR | O_CLOEXEC);

	catch_interrupts();
	CHECK(signal >= 0 && wait >= 0);
	game->calls = 0;
	while (!game->stop) {
		int rc = signal_and_wait(signal, "release", wait, deadline_in(0.003));
		if (rc == -EBUSY) /* the one before was interrupted and is not all gone yet */
			continue;
		if (rc == -EINTR) {
			game->interrupted++;
		} else {
			CHECK(rc == -ETIMEDOUT || rc == WAIT_SIGNALED);
		}
		game->calls++;
		game->rounds++;
	}
	return 0;
}

static int interrupt_it(void *context)
{
	pid_t victim = *(pid_t *)context;

	while (getppid() > 1) {
		usleep(700);
		kill(victim, SIGUSR1);
	}
	return 0;
}

static void counted_exactly(struct sys *sys, bool interrupts)
{
	struct game *game = new_game(sys);
	const char *path = make_semaphore(sys, "s", 0, 1 << 30);
	char expected[40];
	make_event(sys, "e", AUTO);
	pid_t player = sys_fork(sys, count_calls, game), interrupter = 0;

	WAIT_UNTIL(10, game->rounds > 0);
	if (interrupts)
		interrupter = sys_fork(sys, interrupt_it, &player);
	unsigned kills = kill_workers(game, player);
	if (interrupts)
		sys_kill(sys, interrupter);
	game->stop = 1;
	assert_int_equal(sys_wait(sys, player), 0);
	snprintf(expected, sizeof expected, "%llu of %d", (unsigned long long)game->calls, 1 << 30);
	AUTO_FREE char *left = sys_xattr(path, "user.mapping.state");
	sys_say("%u kills, %llu calls, %llu interrupted: %s", kills,
		(unsigned long long)game->calls, (unsigned long long)game->interrupted, left);
	assert_string_equal(left, expected);
	munmap(game, sizeof *game);
}

static void changed_once_each(void **state)
{
	counted_exactly(*state, false);
}

static void changed_once_each_interrupted(void **state)
{
	counted_exactly(*state, true);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(signals_and_waits),
    SYS_TEST_BOTH_MODES(errors),
    SYS_TEST_BOTH_MODES(wrong_handles),
    SYS_TEST_BOTH_MODES(the_change_stays),
    SYS_TEST_BOTH_MODES(one_at_a_time_through_a_handle),
    SYS_TEST_BOTH_MODES(not_twice_in_a_new_worker),
    SYS_TEST_BOTH_MODES(a_mutex_is_released),
    SYS_TEST_BOTH_MODES(ping_pong),
    SYS_TEST_BOTH_MODES(changed_once_each),
    SYS_TEST_BOTH_MODES(changed_once_each_interrupted),
};

int main(void)
{
	return sys_run_tests("waits_signal", tests);
}
