/* Objects to wait on in poll, select and epoll: told when a wait would succeed at once, and nothing
 * is taken by it. */
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "tests/sys/waitables.h"

enum { AUTO = 0, MANUAL = WIRE_MANUAL };

static void poll_takes_nothing(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);
	struct pollfd polled = {.fd = fd, .events = POLLIN | POLLPRI | POLLERR | POLLHUP};

	assert_int_equal(poll(&polled, 1, 0), 0);
	assert_int_equal(words(fd, "set\n"), 4);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(poll(&polled, 1, 0), 1);
		assert_int_equal(polled.revents, POLLIN);
	}
	assert_int_equal(wait_here(fd), WAIT_SIGNALED);
	assert_int_equal(poll(&polled, 1, 0), 0);
	polled.events = POLLOUT; /* a change is always possible */
	assert_int_equal(poll(&polled, 1, 0), 1);
}

static void *poll_forever(void *context)
{
	struct pollfd polled = {.fd = *(int *)context, .events = POLLIN};
	int rc = poll(&polled, 1, 10000);

	return (void *)(intptr_t)(rc == 1 && polled.revents == POLLIN);
}

static void all_pollers_are_woken(void **state)
{
	enum { POLLERS = 8 };
	struct sys *sys = *state;
	pthread_t threads[POLLERS];
	int fds[POLLERS];
	void *good;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO);

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < POLLERS; i++) {
			fds[i] = i % 2 ? dup(fds[i - 1]) : open_object(path, O_RDONLY);
			assert_int_equal(pthread_create(&threads[i], NULL, poll_forever, &fds[i]),
					 0);
		}
		if (round % 2)
			usleep(5000);
		assert_int_equal(words_to(path, "set\n"), 4);
		for (int i = 0; i < POLLERS; i++) {
			assert_int_equal(pthread_join(threads[i], &good), 0);
			assert_non_null(good);
			close(fds[i]);
		}
		assert_int_equal(try_wait(path), WAIT_SIGNALED);
	}
}

static void select_on_many(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int a = open_object(make_event(sys, "a", AUTO), O_RDWR);
	AUTO_CLOSE int b = open_object(make_semaphore(sys, "b", 0, 1), O_RDWR);
	AUTO_CLOSE int c = open_object(make_timer(sys, "c", MANUAL), O_RDWR);
	struct timeval limit = {.tv_sec = 10};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(a, &set);
	FD_SET(b, &set);
	FD_SET(c, &set);
	assert_int_equal(words(c, "set 50ms\n"), 9);
	assert_int_equal(select(c + 20, &set, NULL, NULL, &limit), 1);
	assert_true(FD_ISSET(c, &set) && !FD_ISSET(a, &set) && !FD_ISSET(b, &set));
	assert_int_equal(words(b, "release\n"), 8);
	assert_int_equal(words(a, "set\n"), 4);
	FD_SET(a, &set);
	FD_SET(b, &set);
	assert_int_equal(select(c + 20, &set, NULL, NULL, &limit), 3);
}

static int epoll_of(int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	assert_true(epoll >= 0);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	return epoll;
}

static int epoll_events(int epoll, int milliseconds)
{
	struct epoll_event events[4];

	return epoll_wait(epoll, events, 4, milliseconds);
}

static void epoll_level_triggered(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_semaphore(sys, "s", 0, 5), O_RDWR);
	AUTO_CLOSE int epoll = epoll_of(fd, EPOLLIN);

	for (int round = 0; round < 5; round++) {
		assert_int_equal(epoll_events(epoll, 0), 0);
		assert_int_equal(words(fd, "release 2\n"), 10);
		assert_int_equal(epoll_events(epoll, 10000), 1);
		assert_int_equal(epoll_events(epoll, 10000), 1); /* as long as it is so */
		assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
		assert_int_equal(epoll_events(epoll, 10000), 1);
		assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
	}
}

static void epoll_edge_triggered(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_event(sys, "e", AUTO), O_RDWR);
	AUTO_CLOSE int epoll = epoll_of(fd, EPOLLIN | EPOLLET);

	assert_int_equal(epoll_events(epoll, 0), 0);
	for (int round = 0; round < 20; round++) {
		assert_int_equal(words(fd, "set\n"), 4);
		assert_int_equal(epoll_events(epoll, 10000), 1);
		assert_int_equal(epoll_events(epoll, 0), 0); /* told once */
		assert_int_equal(wait_here(fd), WAIT_SIGNALED);
	}
	assert_int_equal(epoll_events(epoll, 0), 0);
}

static void epoll_one_shot_among_others(void **state)
{
	enum { OBJECTS = 50 };
	struct sys *sys = *state;
	struct epoll_event event;
	int fds[OBJECTS];
	sys_mount(sys, NULL);
	AUTO_CLOSE int epoll = epoll_create1(EPOLL_CLOEXEC);

	for (int i = 0; i < OBJECTS; i++) {
		char name[16];
		snprintf(name, sizeof name, "e%d", i);
		fds[i] = open_object(make_event(sys, name, AUTO), O_RDWR);
		event = (struct epoll_event){.events = EPOLLIN | (i % 3 ? EPOLLET : 0U),
					     .data.u32 = (uint32_t)i};
		assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event), 0);
	}
	for (int round = 0; round < 200; round++) {
		int which = round * 17 % OBJECTS;
		assert_int_equal(words(fds[which], "set\n"), 4);
		assert_int_equal(epoll_wait(epoll, &event, 1, 10000), 1);
		assert_int_equal(event.data.u32, which);
		assert_int_equal(wait_here(fds[which]), WAIT_SIGNALED);
	}
	for (int i = 0; i < OBJECTS; i++)
		close(fds[i]);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(poll_takes_nothing),   SYS_TEST_BOTH_MODES(all_pollers_are_woken),
    SYS_TEST_BOTH_MODES(select_on_many),       SYS_TEST_BOTH_MODES(epoll_level_triggered),
    SYS_TEST_BOTH_MODES(epoll_edge_triggered), SYS_TEST_BOTH_MODES(epoll_one_shot_among_others),
};

int main(void)
{
	return sys_run_tests("waits_poll", tests);
}
