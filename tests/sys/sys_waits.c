/* How waits are made and end: blocking and not, by signals and kills, in order of arrival, when the
 * object goes. */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/sys/waitables.h"

enum { AUTO = 0 };

/* --- blocking or not --- */

static void nonblock_by_open_and_by_fcntl(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO);
	AUTO_CLOSE int opened = open_object(path, O_RDWR | O_NONBLOCK);
	AUTO_CLOSE int later = open_object(path, O_RDWR);

	assert_int_equal(wait_here(opened), -EAGAIN);
	assert_int_equal(fcntl(later, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(wait_here(later), -EAGAIN);
	assert_int_equal(fcntl(opened, F_SETFL, 0), 0);
	struct waiter *waiter = waiter_start(opened);
	assert_false(waiter->ended);
	assert_int_equal(wait_here(later), -EAGAIN);
	assert_int_equal(words(later, "set\n"), 4);
	assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
}

static void *read_once(void *context)
{
	char text[16] = "";

	return (void *)(intptr_t)(read(*(int *)context, text, sizeof text) == 9 &&
				  !memcmp(text, "signaled\n", 9));
}

static void read_blocks_too(void **state)
{
	struct sys *sys = *state;
	pthread_t thread;
	void *good = NULL;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO);
	AUTO_CLOSE int fd = open_object(path, O_RDONLY);

	assert_int_equal(pthread_create(&thread, NULL, read_once, &fd), 0);
	usleep(10000); /* blocked or not yet: both must come to the same */
	assert_int_equal(words_to(path, "set\n"), 4);
	assert_int_equal(pthread_join(thread, &good), 0);
	assert_non_null(good);
}

/* --- signals and kills --- */

static void a_signal_interrupts_and_takes_nothing(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *paths[] = {make_event(sys, "e", AUTO), make_semaphore(sys, "s", 0, 5),
			       make_timer(sys, "t", AUTO), make_mutex(sys, "m")};
	const char *const change[] = {"set\n", "release\n", "set 0s\n", "release\n"};
	AUTO_CLOSE int owner = open_object(paths[3], O_RDWR);

	catch_interrupts();
	assert_int_equal(wait_here(owner), WAIT_ACQUIRED);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		AUTO_CLOSE int fd = open_object(paths[i], O_RDWR);
		for (int k = 0; k < 20; k++)
			assert_int_equal(waiter_interrupt(waiter_start(fd)), -EINTR);
		assert_false(ready(fd));
		assert_true(words(i == 3 ? owner : fd, change[i]) > 0);
		assert_true(wait_here(fd) >= 0); /* all of them left it */
		AUTO_CLOSE int again = open_object(paths[i], O_RDONLY | O_NONBLOCK);
		assert_int_equal(wait_here(again), -EAGAIN);
	}
}

/* The one behind an interrupted one moves up. */
static void interrupted_in_the_queue(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_event(sys, "e", AUTO), O_RDWR);

	catch_interrupts();
	struct waiter *first = waiter_start(fd), *second = waiter_start(fd),
		      *third = waiter_start(fd);
	assert_int_equal(waiter_interrupt(second), -EINTR);
	assert_int_equal(words(fd, "set\n"), 4);
	assert_int_equal(waiter_end(first), WAIT_SIGNALED);
	assert_false(third->ended);
	assert_int_equal(words(fd, "set\n"), 4);
	assert_int_equal(waiter_end(third), WAIT_SIGNALED);
}

static void killed_waiters_take_nothing(void **state)
{
	enum { WAITERS = 10 };
	struct sys *sys = *state;
	pid_t pids[WAITERS];
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 0, 100);

	for (int i = 0; i < WAITERS; i++)
		pids[i] = waiter_process(sys, path);
	for (int i = 0; i < WAITERS; i += 2)
		sys_kill(sys, pids[i]);
	assert_int_equal(words_to(path, "release 5\n"), 10);
	for (int i = 1; i < WAITERS; i += 2)
		assert_int_equal(sys_wait(sys, pids[i]), ENDED_WITH(WAIT_ACQUIRED));
	assert_true(state_is(path, "0 of 100"));
	WAIT_UNTIL(5, number_xattr(path, "user.mapping.handles") == 0);
}

/* Signals and tokens at once: each token is taken by somebody, or still there. */
struct rush {
	int fd;
	_Atomic unsigned taken, interrupted;
	_Atomic int stop, running;
};

static void *take_all_along(void *context)
{
	struct rush *rush = context;

	rush->running++;
	while (!rush->stop) {
		int rc = wait_here(rush->fd);
		if (rc == WAIT_ACQUIRED)
			rush->taken++;
		else if (rc == -EINTR)
			rush->interrupted++;
		else
			return "neither taken nor interrupted";
	}
	return NULL;
}

static void signals_against_tokens(void **state)
{
	enum { THREADS = 4, TOKENS = 3000 };
	struct sys *sys = *state;
	static struct rush rush;
	pthread_t threads[THREADS];
	void *wrong;
	char expected[32];
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 0, TOKENS);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	catch_interrupts();
	memset(&rush, 0, sizeof rush);
	rush.fd = fd;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_all_along, &rush), 0);
	WAIT_UNTIL(5, rush.running == THREADS);
	for (int i = 0; i < TOKENS; i++) {
		pthread_kill(threads[i % THREADS], SIGUSR1);
		assert_int_equal(words(fd, "release\n"), 8);
		pthread_kill(threads[(i + 1) % THREADS], SIGUSR1);
	}
	rush.stop = 1;
	for (int i = 0; i < THREADS; i++) {
		while (pthread_tryjoin_np(threads[i], &wrong) != 0) {
			pthread_kill(threads[i], SIGUSR1);
			usleep(100);
		}
		assert_null(wrong);
	}
	snprintf(expected, sizeof expected, "%u of %u", TOKENS - rush.taken, TOKENS);
	sys_say("%u taken, %u interrupted, \"%s\" left", rush.taken, rush.interrupted, expected);
	assert_true(state_is(path, expected));
	assert_true(rush.taken > 0 && rush.interrupted > 0);
}

/* --- order of arrival --- */

struct line {
	const char *path;
	_Atomic unsigned turns;
	unsigned turn_of[100];
};

struct place {
	struct line *line;
	unsigned number;
};

static int stand_in_line(void *context)
{
	struct place *place = context;
	AUTO_CLOSE int fd = open(place->line->path, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(wait_here(fd) >= 0);
	place->line->turn_of[place->number] = atomic_fetch_add(&place->line->turns, 1);
	return 0;
}

static void served_in_order(struct sys *sys, const char *path, const char *change)
{
	enum { PROCESSES = TEST_SANITIZED ? 30 : 100 };
	struct line *line =
	    mmap(NULL, sizeof *line, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[PROCESSES];
	AUTO_CLOSE int fd = open_object(path, O_WRONLY);

	line->path = path;
	for (unsigned i = 0; i < PROCESSES; i++) {
		struct place place = {line, i};
		pids[i] = sys_fork(sys, stand_in_line, &place);
		WAIT_UNTIL(10, blocked_in(pids[i], SYS_pread64));
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		assert_true(words(fd, change) > 0);
		WAIT_UNTIL(10, line->turns == i + 1);
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		assert_int_equal(sys_wait(sys, pids[i]), 0);
		assert_int_equal(line->turn_of[i], i);
	}
	munmap(line, sizeof *line);
}

static void in_order_of_arrival(void **state)
{
	struct sys *sys = *state;
	sys_time_limit(sys, 120);
	sys_mount(sys, NULL);

	served_in_order(sys, make_semaphore(sys, "s", 0, 5), "release\n");
	served_in_order(sys, make_event(sys, "e", AUTO), "set\n");
}

/* --- the object goes --- */

static void unlinked_while_waited_for(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);
	struct waiter *waiter = waiter_start(fd);

	assert_int_equal(unlink(path), 0);
	sys_kill_worker(sys);
	assert_false(waiter->ended);
	assert_int_equal(words(fd, "set\n"), 4);
	assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
}

/* close(2) of the number in another thread: the wait holds the description. */
static void closed_while_waited_for(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO);
	int fd = open_object(path, O_RDWR);
	struct waiter *waiter = waiter_start(fd);

	assert_int_equal(close(fd), 0);
	assert_int_equal(words_to(path, "set\n"), 4);
	assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(nonblock_by_open_and_by_fcntl),
    SYS_TEST_BOTH_MODES(read_blocks_too),
    SYS_TEST_BOTH_MODES(a_signal_interrupts_and_takes_nothing),
    SYS_TEST_BOTH_MODES(interrupted_in_the_queue),
    SYS_TEST_BOTH_MODES(killed_waiters_take_nothing),
    SYS_TEST_BOTH_MODES(signals_against_tokens),
    SYS_TEST_BOTH_MODES(in_order_of_arrival),
    SYS_TEST_BOTH_MODES(unlinked_while_waited_for),
    SYS_TEST_BOTH_MODES(closed_while_waited_for),
};

int main(void)
{
	return sys_run_tests("waits", tests);
}
