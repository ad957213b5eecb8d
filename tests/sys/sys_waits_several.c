/* Waiting for several objects at once: any of them or all together, with a time-out; who may name
 * which handle. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "tests/sys/waitables.h"

enum { AUTO = 0, MANUAL = WIRE_MANUAL, SET = WIRE_SIGNALED, ALL = WIRE_WAIT_ALL };
enum { PAST = 0 };

struct set {
	const char *paths[3];
	int fds[3];
};

static struct set make_set(struct sys *sys)
{
	struct set set = {.paths = {make_event(sys, "e", AUTO), make_semaphore(sys, "s", 0, 5),
				    make_mutex(sys, "m")}};

	for (int i = 0; i < 3; i++)
		set.fds[i] = open_object(set.paths[i], O_RDWR);
	return set;
}

static void close_set(struct set *set)
{
	for (int i = 0; i < 3; i++)
		close(set->fds[i]);
}

static void any_takes_the_first_one(void **state)
{
	struct sys *sys = *state;
	struct wire_wait out;
	sys_mount(sys, NULL);
	struct set set = make_set(sys);

	assert_int_equal(wait_many(set.fds, 3, 0, PAST, &out), 0);
	assert_int_equal(out.index, 2); /* the mutex was free */
	assert_int_equal(out.result, WAIT_ACQUIRED);
	assert_int_equal(wait_many(set.fds, 2, 0, PAST, &out), -ETIMEDOUT);
	assert_int_equal(words(set.fds[1], "release 2\n"), 10);
	assert_int_equal(words(set.fds[0], "set\n"), 4);
	assert_int_equal(wait_many(set.fds, 3, 0, NO_DEADLINE, &out), 0);
	assert_int_equal(out.index, 0);
	assert_int_equal(out.result, WAIT_SIGNALED);
	assert_true(state_is(set.paths[1], "2 of 5")); /* only one was taken from */
	assert_int_equal(wait_many(set.fds, 3, 0, NO_DEADLINE, &out), 0);
	assert_int_equal(out.index, 1);
	assert_true(state_is(set.paths[1], "1 of 5"));
	close_set(&set);
}

static void any_blocks_until_one(void **state)
{
	struct sys *sys = *state;
	struct wire_wait out;
	sys_mount(sys, NULL);
	struct set set = make_set(sys);
	const char *const change[] = {"set\n", "release\n", "release\n"};
	AUTO_CLOSE int owner = open_object(set.paths[2], O_RDWR);

	for (unsigned i = 0; i < 3; i++) {
		if (i == 0)
			assert_int_equal(wait_here(owner), WAIT_ACQUIRED);
		struct waiter *w = waiter_start_many(set.fds, 3, 0, NO_DEADLINE);
		assert_false(w->ended);
		assert_true(words(i == 2 ? owner : set.fds[i], change[i]) > 0);
		assert_int_equal(waiter_end_many(w, &out), 0);
		assert_int_equal(out.index, i);
		assert_int_equal(out.result, i == 0 ? WAIT_SIGNALED : WAIT_ACQUIRED);
	}
	assert_int_equal(try_wait(set.paths[0]), -EAGAIN);
	assert_true(state_is(set.paths[1], "0 of 5"));
	close_set(&set);
}

static void all_or_none(void **state)
{
	struct sys *sys = *state;
	struct wire_wait out;
	sys_mount(sys, NULL);
	struct set set = make_set(sys);

	struct waiter *w = waiter_start_many(set.fds, 3, ALL, NO_DEADLINE);
	assert_int_equal(words(set.fds[0], "set\n"), 4);
	assert_false(w->ended);
	assert_int_equal(try_wait(set.paths[0]), WAIT_SIGNALED); /* it was not taken */
	assert_int_equal(words(set.fds[1], "release\n"), 8);
	assert_int_equal(try_wait(set.paths[1]), WAIT_ACQUIRED);
	assert_int_equal(words(set.fds[0], "set\n"), 4);
	assert_false(w->ended);
	assert_int_equal(words(set.fds[1], "release 2\n"), 10);
	assert_int_equal(waiter_end_many(w, &out), 0);
	assert_int_equal(out.result, WAIT_ACQUIRED);
	assert_int_equal(try_wait(set.paths[0]), -EAGAIN);
	assert_true(state_is(set.paths[1], "1 of 5"));
	assert_int_equal(try_wait(set.paths[2]), -EAGAIN);
	assert_int_equal(words(set.fds[2], "release\n"), 8); /* by the handle that was named */
	assert_int_equal(wait_many(set.fds, 3, ALL, PAST, NULL), -ETIMEDOUT);
	assert_true(state_is(set.paths[1], "1 of 5"));
	close_set(&set);
}

static void abandoned_is_told(void **state)
{
	struct sys *sys = *state;
	struct wire_wait out;
	sys_mount(sys, NULL);

	for (uint32_t flags = 0; flags <= ALL; flags++) {
		for (int blocked = 0; blocked < 2; blocked++) {
			struct set set = make_set(sys);
			struct waiter *w = NULL;
			int order[] = {set.fds[0], set.fds[2], set.fds[1]};
			int owner = open_object(set.paths[2], O_RDWR);

			assert_int_equal(wait_here(owner), WAIT_ACQUIRED);
			if (flags == ALL)
				assert_int_equal(words(set.fds[1], "release\n"), 8);
			if (flags == ALL)
				assert_int_equal(words(set.fds[0], "set\n"), 4);
			if (blocked)
				w = waiter_start_many(order, 3, flags, NO_DEADLINE);
			close(owner);
			assert_int_equal(w ? waiter_end_many(w, &out)
					   : wait_many(order, 3, flags, NO_DEADLINE, &out),
					 0);
			assert_int_equal(out.result, WAIT_WAS_ABANDONED);
			assert_int_equal(out.index, 1);
			assert_int_equal(words(set.fds[2], "release\n"), 8);
			assert_int_equal(wait_here(set.fds[2]), WAIT_ACQUIRED); /* once */
			close_set(&set);
			for (int i = 0; i < 3; i++)
				assert_int_equal(unlink(set.paths[i]), 0);
		}
	}
}

static void time_out(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	struct set set = make_set(sys);
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);

	assert_int_equal(wait_many(set.fds, 2, 0, deadline_in(0.1), NULL), -ETIMEDOUT);
	uint64_t took = clock_ns(CLOCK_MONOTONIC) - begin;
	assert_true(took >= 100000000 && took < 5000000000ULL);
	assert_int_equal(wait_many(set.fds, 3, ALL, deadline_in(0.05), NULL), -ETIMEDOUT);
	assert_int_equal(wait_many(set.fds, 1, 0, deadline_in(0.05), NULL), -ETIMEDOUT);
	assert_int_equal(words(set.fds[0], "set\n"), 4); /* none of them still waits */
	assert_int_equal(words(set.fds[1], "release\n"), 8);
	assert_int_equal(try_wait(set.paths[0]), WAIT_SIGNALED);
	assert_true(state_is(set.paths[1], "1 of 5"));
	struct waiter *w = waiter_start_many(set.fds, 1, 0, deadline_in(20));
	assert_int_equal(words(set.fds[0], "set\n"), 4);
	assert_int_equal(waiter_end_many(w, NULL), 0);
	assert_int_equal(wait_many(set.fds, 1, 0, deadline_in(-1), NULL), -ETIMEDOUT);
	close_set(&set);
}

/* O_NONBLOCK of the descriptor says nothing here: the deadline does. */
static void nonblocking_descriptor(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_event(sys, "e", AUTO), O_RDWR | O_NONBLOCK);
	struct waiter *w = waiter_start_many(&fd, 1, 0, deadline_in(20));

	assert_false(w->ended);
	assert_int_equal(words(fd, "set\n"), 4);
	assert_int_equal(waiter_end_many(w, NULL), 0);
}

/* --- handles --- */

static int wait_named(int fd, struct wire_handle handle)
{
	struct wire_wait many = {.count = 1, .deadline = PAST, .handles = {handle}};

	return neg_errno(ioctl(fd, WIRE_IOC_WAIT, &many));
}

static struct wire_handle handle_of(int fd)
{
	struct wire_handle handle;

	assert_int_equal(ioctl(fd, WIRE_IOC_HANDLE, &handle), 0);
	return handle;
}

static void wrong_handles(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", MANUAL | SET);
	AUTO_CLOSE int fd = open_object(path, O_RDWR), other = open_object(path, O_RDWR);
	AUTO_CLOSE int writer = open_object(path, O_WRONLY);
	struct wire_handle good = handle_of(fd), second = handle_of(other), bad = good;

	assert_int_equal(wait_named(fd, good), 0);
	assert_int_equal(wait_named(fd, second), 0);
	assert_int_equal(wait_named(writer, good), 0); /* it carries the request, no more */
	bad.key ^= 1;
	assert_int_equal(wait_named(fd, bad), -EBADF);
	bad.key = 0;
	assert_int_equal(wait_named(fd, bad), -EBADF);
	bad.key = second.key;
	assert_int_equal(wait_named(fd, bad), -EBADF);
	for (int bit = 0; bit < 64; bit++) {
		bad = good;
		bad.handle ^= 1ULL << bit;
		assert_int_equal(wait_named(fd, bad), -EBADF);
	}
	/* All zero is the descriptor itself, with its own rights. */
	assert_int_equal(wait_named(fd, (struct wire_handle){0, 0}), 0);
	assert_int_equal(wait_named(writer, (struct wire_handle){0, 0}), -EACCES);
	assert_int_equal(wait_named(fd, handle_of(writer)), -EACCES);
	close(steal_fd(&other));
	WAIT_UNTIL(5, wait_named(fd, second) == -EBADF);
	AUTO_CLOSE int again = open_object(path, O_RDWR); /* may have the number now */
	assert_int_equal(wait_named(fd, second), -EBADF);
	assert_int_equal(wait_named(fd, handle_of(again)), 0);
}

static void keys_differ(void **state)
{
	enum { HANDLES = 64 };
	struct sys *sys = *state;
	struct wire_handle handles[HANDLES];
	int fds[HANDLES];
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO);

	for (int i = 0; i < HANDLES; i++) {
		fds[i] = open_object(path, O_RDONLY);
		handles[i] = handle_of(fds[i]);
		assert_true(handles[i].key != 0);
		for (int k = 0; k < i; k++)
			assert_true(handles[k].key != handles[i].key &&
				    handles[k].handle != handles[i].handle);
	}
	sys_kill_worker(sys);
	for (int i = 0; i < HANDLES; i++) {
		struct wire_handle now = handle_of(fds[i]);
		assert_true(now.key == handles[i].key && now.handle == handles[i].handle);
		close(fds[i]);
	}
}

static void other_ioctls_and_files(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_event(sys, "e", AUTO), O_RDWR);
	AUTO_CLOSE int mapping =
	    open_object(object_make(sys, "x", WIRE_SET_SIZE, 4096, -1), O_RDWR);
	AUTO_CLOSE int directory = open_object(sys->mnt, O_RDONLY | O_DIRECTORY);
	struct wire_handle handle;
	struct wire_wait many = {.count = 1, .handles = {handle_of(fd)}};

	assert_int_equal(ioctl(fd, _IOR('M', 99, int), &handle), -1);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(ioctl(mapping, WIRE_IOC_HANDLE, &handle), -1);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(ioctl(mapping, WIRE_IOC_WAIT, &many), -1);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(ioctl(directory, WIRE_IOC_HANDLE, &handle), -1);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(ioctl(fd, WIRE_IOC_WAIT, (void *)8), -1);
	assert_int_equal(errno, EFAULT);
}

static void closed_while_it_is_waited_for(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *first = make_event(sys, "a", AUTO), *second = make_event(sys, "b", AUTO);
	int fds[] = {open_object(first, O_RDWR), open_object(second, O_RDWR)};

	for (uint32_t flags = 0; flags <= ALL; flags++) {
		struct waiter *w = waiter_start_many(fds, 2, flags, NO_DEADLINE);
		close(fds[1]);
		assert_int_equal(waiter_end_many(w, NULL), -EBADF);
		fds[1] = open_object(second, O_RDWR);
		assert_int_equal(words(fds[0], "set\n"), 4);
		assert_int_equal(try_wait(first), WAIT_SIGNALED);
	}
	close(fds[0]);
	close(fds[1]);
}

/* --- how many --- */

static void sixty_four_and_no_more(void **state)
{
	enum { MANY = WIRE_WAIT_MAX };
	struct sys *sys = *state;
	struct wire_wait many = {.deadline = PAST}, out;
	int fds[MANY];
	sys_mount(sys, NULL);

	for (unsigned i = 0; i < MANY; i++) {
		char name[16];
		snprintf(name, sizeof name, "s%u", i);
		fds[i] = open_object(make_semaphore(sys, name, 0, 1), O_RDWR);
		many.handles[i] = handle_of(fds[i]);
	}
	for (unsigned i = 0; i < MANY; i += 21) {
		struct waiter *w = waiter_start_many(fds, MANY, 0, NO_DEADLINE);
		assert_int_equal(words(fds[i], "release\n"), 8);
		assert_int_equal(waiter_end_many(w, &out), 0);
		assert_int_equal(out.index, i);
	}
	struct waiter *w = waiter_start_many(fds, MANY, ALL, NO_DEADLINE);
	for (unsigned i = 0; i < MANY; i++) {
		assert_false(w->ended);
		assert_int_equal(words(fds[i], "release\n"), 8);
	}
	assert_int_equal(waiter_end_many(w, &out), 0);
	assert_int_equal(wait_many(fds, MANY, 0, PAST, NULL), -ETIMEDOUT);
	const uint32_t wrong[] = {0, MANY + 1, 1000, UINT32_MAX};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		many.count = wrong[i];
		assert_int_equal(ioctl(fds[0], WIRE_IOC_WAIT, &many), -1);
		assert_int_equal(errno, EINVAL);
	}
	many.count = 1;
	many.flags = 2; /* not known */
	assert_int_equal(ioctl(fds[0], WIRE_IOC_WAIT, &many), -1);
	assert_int_equal(errno, EINVAL);
	for (unsigned i = 0; i < MANY; i++)
		close(fds[i]);
}

/* The same object twice: fine for any; all could never have it twice. */
static void duplicates(void **state)
{
	struct sys *sys = *state;
	struct wire_wait out;
	sys_mount(sys, NULL);
	const char *path = make_semaphore(sys, "s", 2, 5);
	AUTO_CLOSE int fd = open_object(path, O_RDWR), other = open_object(path, O_RDWR);
	const int fds[] = {fd, other, fd};

	assert_int_equal(wait_many(fds, 3, 0, PAST, &out), 0);
	assert_int_equal(out.index, 0);
	assert_true(state_is(path, "1 of 5"));
	assert_int_equal(wait_many(fds, 3, ALL, PAST, NULL), -EINVAL);
	assert_int_equal(wait_many(fds, 2, ALL, PAST, NULL), -EINVAL);
	assert_true(state_is(path, "1 of 5"));
	assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
	struct waiter *w = waiter_start_many(fds, 3, 0, NO_DEADLINE);
	assert_int_equal(words(fd, "release 3\n"), 10);
	assert_int_equal(waiter_end_many(w, &out), 0);
	assert_true(state_is(path, "2 of 5")); /* one taken, however often it was named */
}

/* --- order and others --- */

static void in_one_line_with_single_waits(void **state)
{
	struct sys *sys = *state;
	struct wire_wait out;
	sys_mount(sys, NULL);
	struct set set = make_set(sys);

	struct waiter *first = waiter_start_many(set.fds, 2, 0, NO_DEADLINE);
	struct waiter *second = waiter_start(set.fds[1]);
	struct waiter *third = waiter_start_many(set.fds, 2, ALL, NO_DEADLINE);
	struct waiter *fourth = waiter_start(set.fds[1]);
	assert_int_equal(words(set.fds[1], "release\n"), 8);
	assert_int_equal(waiter_end_many(first, &out), 0);
	assert_int_equal(out.index, 1);
	assert_false(second->ended);
	assert_int_equal(words(set.fds[1], "release\n"), 8);
	assert_int_equal(waiter_end(second), WAIT_ACQUIRED);
	assert_int_equal(words(set.fds[1], "release\n"), 8); /* third needs the event as well */
	assert_int_equal(waiter_end(fourth), WAIT_ACQUIRED);
	assert_false(third->ended);
	assert_int_equal(words(set.fds[1], "release\n"), 8);
	assert_int_equal(words(set.fds[0], "set\n"), 4);
	assert_int_equal(waiter_end_many(third, NULL), 0);
	close_set(&set);
}

static void pulse_and_several(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "p", MANUAL);
	int fds[] = {open_object(path, O_RDWR), open_object(make_event(sys, "q", AUTO), O_RDWR)};

	struct waiter *any = waiter_start_many(fds, 2, 0, NO_DEADLINE);
	struct waiter *all = waiter_start_many(fds, 2, ALL, NO_DEADLINE);
	assert_int_equal(words(fds[0], "pulse\n"), 6);
	assert_int_equal(waiter_end_many(any, NULL), 0);
	assert_int_equal(words(fds[1], "set\n"), 4); /* too late for all: the pulse is over */
	assert_false(all->ended);
	assert_int_equal(words(fds[0], "pulse\n"), 6); /* now both are there in one instant */
	assert_int_equal(waiter_end_many(all, NULL), 0);
	assert_int_equal(wait_many(fds, 2, 0, PAST, NULL), -ETIMEDOUT);
	close(fds[0]);
	close(fds[1]);
}

static void interrupted_takes_nothing(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	struct set set = make_set(sys);

	catch_interrupts();
	assert_int_equal(words(set.fds[0], "set\n"), 4);
	for (int i = 0; i < 10; i++) {
		struct waiter *w = waiter_start_many(set.fds, 2, ALL, NO_DEADLINE);
		assert_int_equal(waiter_interrupt(w), -EINTR);
		w = waiter_start_many(set.fds, 2, ALL, deadline_in(100));
		assert_int_equal(waiter_interrupt(w), -EINTR);
	}
	assert_int_equal(words(set.fds[1], "release\n"), 8);
	assert_int_equal(wait_many(set.fds, 3, ALL, PAST, NULL), 0);
	close_set(&set);
}

/* Each wants both, named in opposite order, again and again. */
struct crossing {
	int fds[2];
	_Atomic unsigned rounds, inside;
};

static void *cross(void *context)
{
	struct crossing *c = context;
	unsigned turn = c->rounds++ % 2;
	int fds[] = {c->fds[turn], c->fds[!turn]};

	for (int i = 0; i < 500; i++) {
		if (wait_many(fds, 2, ALL, deadline_in(30), NULL) != 0)
			return "wait";
		if (c->inside++ != 0)
			return "two inside";
		sched_yield();
		c->inside--;
		if (words(c->fds[turn], turn ? "release\n" : "set\n") < 0 ||
		    words(c->fds[!turn], turn ? "set\n" : "release\n") < 0)
			return "change";
	}
	return NULL;
}

static void two_that_cross(void **state)
{
	struct sys *sys = *state;
	pthread_t threads[2];
	void *wrong;
	sys_mount(sys, NULL);
	static struct crossing c;

	memset(&c, 0, sizeof c);
	c.fds[0] = open_object(make_event(sys, "e", AUTO | SET), O_RDWR);
	c.fds[1] = open_object(make_semaphore(sys, "s", 1, 1), O_RDWR);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, cross, &c), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		if (wrong)
			fail_msg("%s", (char *)wrong);
	}
	close(c.fds[0]);
	close(c.fds[1]);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(any_takes_the_first_one),
    SYS_TEST_BOTH_MODES(any_blocks_until_one),
    SYS_TEST_BOTH_MODES(all_or_none),
    SYS_TEST_BOTH_MODES(abandoned_is_told),
    SYS_TEST_BOTH_MODES(time_out),
    SYS_TEST_BOTH_MODES(nonblocking_descriptor),
    SYS_TEST_BOTH_MODES(wrong_handles),
    SYS_TEST_BOTH_MODES(keys_differ),
    SYS_TEST_BOTH_MODES(other_ioctls_and_files),
    SYS_TEST_BOTH_MODES(closed_while_it_is_waited_for),
    SYS_TEST_BOTH_MODES(sixty_four_and_no_more),
    SYS_TEST_BOTH_MODES(duplicates),
    SYS_TEST_BOTH_MODES(in_one_line_with_single_waits),
    SYS_TEST_BOTH_MODES(pulse_and_several),
    SYS_TEST_BOTH_MODES(interrupted_takes_nothing),
    SYS_TEST_BOTH_MODES(two_that_cross),
};

int main(void)
{
	return sys_run_tests("waits_several", tests);
}
