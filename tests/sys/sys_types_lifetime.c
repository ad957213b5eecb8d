/* Names of objects to wait on: how long they stay, and what is kept of them in a store. */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/sys/leaks.h"
#include "tests/sys/waitables.h"

#define FOR_EACH_WAITABLE(t)                                                                       \
	for (enum object_type t = OBJECT_EVENT; t < OBJECT_TYPES; t = (enum object_type)(t + 1))
#define GOES(path)  WAIT_UNTIL(5, size_of(path) < 0)
#define STAYS(path) assert_false(BECOMES_TRUE(0.2, size_of(path) < 0))

static const char *make_bound_to_handles(struct sys *sys, const char *name, enum object_type type,
					 uint32_t lifetime)
{
	return typed_make(
	    sys, name,
	    (struct typed){.type = type, .flags = lifetime, .maximum = type == OBJECT_SEMAPHORE});
}

static void name_goes_with_the_last_handle(void **state)
{
	static const uint32_t lifetimes[] = {WIRE_TEMPORARY, WIRE_HANDLE_BOUND};
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	make_any(sys, "warm", OBJECT_EVENT);
	struct leaks before = leaks_count(sys);

	for (int i = 0; i < 2; i++) {
		FOR_EACH_WAITABLE(type)
		{
			const char *path = make_bound_to_handles(sys, "t", type, lifetimes[i]);
			STAYS(path); /* nobody held it yet */
			int first = open_object(path, O_RDWR), second = open_object(path, O_RDONLY);
			close(first);
			STAYS(path);
			close(second);
			GOES(path);
			make_bound_to_handles(sys, "t", type, lifetimes[i]); /* the name is free */
			assert_int_equal(unlink(path), 0);
		}
	}
	leaks_check(sys, &before);
}

/* A blocked wait holds the handle; SIGKILL of the last one is its end. */
static void waiters_hold_it(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_bound_to_handles(sys, "t", OBJECT_EVENT, WIRE_TEMPORARY);
	pid_t one = waiter_process(sys, path), two = waiter_process(sys, path);

	STAYS(path);
	sys_kill_worker(sys);
	sys_kill(sys, one);
	STAYS(path);
	sys_kill(sys, two);
	GOES(path);

	path = make_bound_to_handles(sys, "t", OBJECT_EVENT, WIRE_TEMPORARY);
	one = waiter_process(sys, path);
	strike_worker(sys); /* nobody may be there to hear of it */
	sys_kill(sys, one);
	GOES(path);
}

static void permanent_ones_stay(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "lifetime=temporary");

	FOR_EACH_WAITABLE(type)
	{
		const char *path =
		    make_bound_to_handles(sys, object_type_name(type), type, WIRE_PERMANENT);
		close(open_object(path, O_RDWR));
		STAYS(path);
		path = make_bound_to_handles(sys, "t", type, 0); /* the mount's default */
		assert_true(text_xattr_is(path, "user.mapping.lifetime", "temporary"));
		close(open_object(path, O_RDWR));
		GOES(path);
	}
}

static void the_name_anew_is_another_object(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_bound_to_handles(sys, "t", OBJECT_EVENT, WIRE_TEMPORARY);
	AUTO_CLOSE int old = open_object(path, O_RDWR);
	struct waiter *waiter = waiter_start(old);

	assert_int_equal(unlink(path), 0);
	make_semaphore(sys, "t", 1, 1);
	assert_int_equal(try_wait(path), WAIT_ACQUIRED);
	assert_false(waiter->ended);
	assert_int_equal(words(old, "set\n"), 4);
	assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
	close(steal_fd(&old)); /* the end of the old one does not take the new one's name */
	STAYS(path);
}

/* --- a store --- */

static void mount_store(struct sys *sys)
{
	char options[128];

	snprintf(options, sizeof options, "store=%s/store", sys->dir);
	mkdir(options + strlen("store="), 0755);
	sys_mount(sys, options);
}

static void kept_in_a_store(void **state)
{
	struct sys *sys = *state;
	mount_store(sys);
	make_semaphore(sys, "semaphore", 3, 5);
	make_event(sys, "event", WIRE_MANUAL);
	make_mutex(sys, "mutex");
	make_mutex(sys, "left");
	make_timer(sys, "timer", WIRE_MANUAL);
	make_timer(sys, "late", 0);

	assert_int_equal(try_wait(sys_path(sys, "semaphore")), WAIT_ACQUIRED);
	assert_int_equal(words_to(sys_path(sys, "event"), "set\n"), 4);
	assert_int_equal(words_to(sys_path(sys, "timer"), "set 0s\n"), 7);
	assert_int_equal(words_to(sys_path(sys, "late"), "set 300ms\n"), 10);
	AUTO_CLOSE int timer = open_object(sys_path(sys, "timer"), O_RDONLY);
	WAIT_UNTIL(5, ready(timer));
	close(steal_fd(&timer));
	assert_int_equal(try_wait(sys_path(sys, "left")), WAIT_ACQUIRED); /* abandoned by closing */
	sys_unmount(sys);
	mount_store(sys);
	assert_true(state_is(sys_path(sys, "semaphore"), "2 of 5"));
	assert_int_equal(try_wait(sys_path(sys, "event")), WAIT_SIGNALED);
	assert_int_equal(try_wait(sys_path(sys, "timer")), WAIT_SIGNALED);
	assert_int_equal(try_wait(sys_path(sys, "mutex")), WAIT_ACQUIRED);
	assert_int_equal(try_wait(sys_path(sys, "left")), WAIT_WAS_ABANDONED);
	AUTO_CLOSE int late = open_object(sys_path(sys, "late"), O_RDONLY);
	assert_int_equal(wait_here(late), WAIT_SIGNALED);
}

/* The mount goes down with its worker while somebody owns it. */
static void owned_when_the_mount_ended(void **state)
{
	struct sys *sys = *state;
	mount_store(sys);
	const char *path = make_mutex(sys, "m"), *other = make_mutex(sys, "other");
	int fd = open_object(path, O_RDWR);

	assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
	close(fd);
	strike_worker(sys);
	sys_unmount(sys);
	mount_store(sys);
	/* Handles that have the numbers of the former mount's are others. */
	AUTO_CLOSE int one = open_object(other, O_RDWR), two = open_object(other, O_RDWR);
	assert_int_equal(wait_here(one), WAIT_ACQUIRED);
	assert_int_equal(try_wait(path), WAIT_WAS_ABANDONED);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(name_goes_with_the_last_handle),
    SYS_TEST_BOTH_MODES(waiters_hold_it),
    SYS_TEST_BOTH_MODES(permanent_ones_stay),
    SYS_TEST_BOTH_MODES(the_name_anew_is_another_object),
    SYS_TEST_BOTH_MODES(kept_in_a_store),
    SYS_TEST_BOTH_MODES(owned_when_the_mount_ended),
};

int main(void)
{
	return sys_run_tests("types_lifetime", tests);
}
