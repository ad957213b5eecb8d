/* The worker is killed while waits are blocked: they go on, in their order, and are told. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "tests/sys/waitables.h"

enum { AUTO = 0, MANUAL = WIRE_MANUAL, SET = WIRE_SIGNALED, ALL = WIRE_WAIT_ALL };

static void all_kinds_of_waits_survive(void **state)
{
	struct sys *sys = *state;
	struct wire_wait out;
	sys_mount(sys, NULL);
	AUTO_CLOSE int automatic = open_object(make_event(sys, "a", AUTO), O_RDWR);
	AUTO_CLOSE int manual = open_object(make_event(sys, "m", MANUAL), O_RDWR);
	AUTO_CLOSE int semaphore = open_object(make_semaphore(sys, "s", 0, 5), O_RDWR);
	AUTO_CLOSE int timer = open_object(make_timer(sys, "t", AUTO), O_RDWR);
	const char *path = make_mutex(sys, "mutex");
	AUTO_CLOSE int owner = open_object(path, O_RDWR), mutex = open_object(path, O_RDWR);
	const int several[] = {automatic, manual, semaphore};

	assert_int_equal(wait_here(owner), WAIT_ACQUIRED);
	struct waiter *on_manual = waiter_start(manual), *on_semaphore = waiter_start(semaphore),
		      *on_timer = waiter_start(timer), *on_mutex = waiter_start(mutex),
		      *on_all = waiter_start_many(several, 3, ALL, NO_DEADLINE),
		      *on_any = waiter_start_many(several, 3, 0, NO_DEADLINE),
		      *on_auto = waiter_start(automatic);
	for (int i = 0; i < 3; i++)
		sys_kill_worker(sys);
	assert_false(on_manual->ended || on_semaphore->ended || on_timer->ended ||
		     on_mutex->ended || on_all->ended || on_any->ended || on_auto->ended);
	assert_int_equal(words(automatic, "set\n"), 4);
	assert_int_equal(waiter_end_many(on_any, &out), 0);
	assert_int_equal(out.index, 0);
	assert_int_equal(words(automatic, "set\n"), 4);
	assert_int_equal(waiter_end(on_auto), WAIT_SIGNALED);
	assert_int_equal(words(manual, "set\n"), 4);
	assert_int_equal(waiter_end(on_manual), WAIT_SIGNALED);
	assert_int_equal(words(semaphore, "release\n"), 8);
	assert_int_equal(waiter_end(on_semaphore), WAIT_ACQUIRED);
	assert_int_equal(words(semaphore, "release\n"), 8);
	assert_int_equal(words(automatic, "set\n"), 4);
	assert_int_equal(waiter_end_many(on_all, NULL), 0);
	assert_int_equal(words(timer, "set 1ms\n"), 8);
	assert_int_equal(waiter_end(on_timer), WAIT_SIGNALED);
	assert_int_equal(words(owner, "release\n"), 8);
	assert_int_equal(waiter_end(on_mutex), WAIT_ACQUIRED);
}

static void state_survives(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *mutex = make_mutex(sys, "m"), *semaphore = make_semaphore(sys, "s", 2, 5);
	const char *event = make_event(sys, "e", MANUAL);
	AUTO_CLOSE int fd = open_object(mutex, O_RDWR);

	assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
	assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
	assert_int_equal(words_to(semaphore, "release\n"), 8);
	assert_int_equal(words_to(event, "set\n"), 4);
	sys_kill_worker(sys);
	assert_int_equal(try_wait(mutex), -EAGAIN);
	assert_int_equal(words(fd, "release\n"), 8);
	assert_int_equal(try_wait(mutex), -EAGAIN);
	int owner = open_object(mutex, O_RDWR);
	sys_kill_worker(sys);
	assert_int_equal(words(owner, "release\n"), -EPERM);
	assert_int_equal(words(fd, "release\n"), 8);
	assert_int_equal(wait_here(owner), WAIT_ACQUIRED);
	strike_worker(sys);
	close(owner); /* nobody may be there to hear of it */
	assert_int_equal(wait_here(fd), WAIT_WAS_ABANDONED);
	sys_kill_worker(sys);
	assert_int_equal(wait_here(fd), WAIT_ACQUIRED); /* told once */
	assert_true(state_is(semaphore, "3 of 5"));
	assert_int_equal(try_wait(event), WAIT_SIGNALED);
}

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
	CHECK(wait_here(fd) == WAIT_ACQUIRED);
	place->line->turn_of[place->number] = atomic_fetch_add(&place->line->turns, 1);
	return 0;
}

static void order_is_kept(void **state)
{
	enum { PROCESSES = 60 };
	struct sys *sys = *state;
	pid_t pids[PROCESSES];
	struct line *line =
	    mmap(NULL, sizeof *line, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sys_time_limit(sys, 120);
	sys_mount(sys, NULL);
	line->path = make_semaphore(sys, "s", 0, 5);
	AUTO_CLOSE int fd = open_object(line->path, O_WRONLY);

	for (unsigned i = 0; i < PROCESSES; i++) {
		struct place place = {line, i};
		pids[i] = sys_fork(sys, stand_in_line, &place);
		WAIT_UNTIL(10, blocked_in(pids[i], SYS_pread64));
		if (i % 20 == 19) /* some came before a worker's end, some after it */
			sys_kill_worker(sys);
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		if (i % 10 == 5)
			sys_kill_worker(sys);
		if (i % 10 == 7) /* the release itself finds nobody there */
			strike_worker(sys);
		assert_int_equal(words(fd, "release\n"), 8);
		WAIT_UNTIL(10, line->turns == i + 1);
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		assert_int_equal(sys_wait(sys, pids[i]), 0);
		assert_int_equal(line->turn_of[i], i);
	}
	munmap(line, sizeof *line);
}

static void *poll_forever(void *context)
{
	struct pollfd polled = {.fd = *(int *)context, .events = POLLIN};
	int rc = poll(&polled, 1, 20000);

	return (void *)(intptr_t)(rc == 1 && polled.revents == POLLIN);
}

static void *epoll_forever(void *context)
{
	struct epoll_event event;
	int rc = epoll_wait(*(int *)context, &event, 1, 20000);

	return (void *)(intptr_t)(rc == 1);
}

static int epoll_of(int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	assert_true(epoll >= 0);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	return epoll;
}

static void pollers_are_woken_after(void **state)
{
	struct sys *sys = *state;
	pthread_t threads[3];
	void *good;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", MANUAL);

	for (int round = 0; round < 12; round++) {
		int fds[] = {open_object(path, O_RDONLY), open_object(path, O_RDONLY),
			     open_object(path, O_RDONLY)};
		int epolls[] = {epoll_of(fds[1], EPOLLIN), epoll_of(fds[2], EPOLLIN | EPOLLET)};
		pthread_create(&threads[0], NULL, poll_forever, &fds[0]);
		pthread_create(&threads[1], NULL, epoll_forever, &epolls[0]);
		pthread_create(&threads[2], NULL, epoll_forever, &epolls[1]);
		if (round % 3)
			usleep(3000); /* with and without time to fall asleep */
		if (round % 4 < 2)
			sys_kill_worker(sys);
		else
			strike_worker(sys);
		assert_int_equal(words_to(path, "set\n"), 4);
		if (round % 4 == 3)
			strike_worker(sys);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(pthread_join(threads[i], &good), 0);
			assert_non_null(good);
			close(fds[i]);
		}
		close(epolls[0]);
		close(epolls[1]);
		assert_int_equal(words_to(path, "reset\n"), 6);
	}
}

static void interrupted_while_nobody_is_there(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 0, 100);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	catch_interrupts();
	for (int round = 0; round < 20; round++) {
		struct waiter *waiter = waiter_start(fd);
		strike_worker(sys);
		if (round % 2)
			usleep((unsigned)round * 200);
		assert_int_equal(waiter_interrupt(waiter), -EINTR);
		pid_t pid = waiter_process(sys, path);
		strike_worker(sys);
		sys_kill(sys, pid);
	}
	assert_int_equal(words(fd, "release 3\n"), 10);
	assert_true(state_is(path, "3 of 100"));
}

static void deadlines_are_kept(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	int fds[] = {open_object(make_event(sys, "a", AUTO), O_RDWR),
		     open_object(make_event(sys, "b", AUTO), O_RDWR)};
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	struct waiter *soon = waiter_start_many(fds, 2, 0, deadline_in(0.3));
	struct waiter *late = waiter_start_many(fds, 2, ALL, deadline_in(100));

	sys_kill_worker(sys);
	assert_int_equal(waiter_end_many(soon, NULL), -ETIMEDOUT);
	assert_true(clock_ns(CLOCK_MONOTONIC) - begin >= 300000000);
	/* One that passes while nobody is there. */
	soon = waiter_start_many(fds, 2, 0, deadline_in(0.05));
	strike_worker(sys);
	assert_int_equal(waiter_end_many(soon, NULL), -ETIMEDOUT);
	assert_int_equal(words(fds[0], "set\n"), 4);
	assert_int_equal(words(fds[1], "set\n"), 4);
	assert_int_equal(waiter_end_many(late, NULL), 0);
	close(fds[0]);
	close(fds[1]);
}

/* What a wait took is not lost when its answer is: the request comes again. */
static void nonblocking_waits_meet_kills(void **state)
{
	struct sys *sys = *state;
	unsigned taken = 0, released = 0;
	char expected[32];
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 0, 1000000);
	AUTO_CLOSE int fd = open_object(path, O_RDWR | O_NONBLOCK);

	sys_start_killer(sys, TEST_SANITIZED ? 40 : 2, TEST_SANITIZED ? 80 : 8);
	uint64_t end = sys_deadline(4);
	while (clock_ns(CLOCK_MONOTONIC) < end) {
		assert_int_equal(words(fd, "release 2\nrelease\n"), 18);
		released += 3;
		assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
		assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
		taken += 2;
	}
	unsigned kills = sys_stop_killer(sys);
	snprintf(expected, sizeof expected, "%u of 1000000", released - taken);
	sys_say("%u kills, %u released, %u taken", kills, released, taken);
	assert_true(state_is(path, expected));
	assert_true(kills > 10);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(all_kinds_of_waits_survive),
    SYS_TEST_BOTH_MODES(state_survives),
    SYS_TEST_BOTH_MODES(order_is_kept),
    SYS_TEST_BOTH_MODES(pollers_are_woken_after),
    SYS_TEST_BOTH_MODES(interrupted_while_nobody_is_there),
    SYS_TEST_BOTH_MODES(deadlines_are_kept),
    SYS_TEST_BOTH_MODES(nonblocking_waits_meet_kills),
};

int main(void)
{
	return sys_run_tests("waits_restart", tests);
}
