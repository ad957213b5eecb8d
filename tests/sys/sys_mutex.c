/* Mutexes: owned by an open file description, recursive for it, abandoned with it. */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/sys/waitables.h"

static void owner_and_others(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");
	AUTO_CLOSE int mine = open_object(path, O_RDWR);
	AUTO_CLOSE int other = open_object(path, O_RDWR);

	assert_true(ready(mine) && ready(other));
	assert_int_equal(wait_here(mine), WAIT_ACQUIRED);
	assert_true(ready(mine)); /* for its owner: it may take it again */
	assert_false(ready(other));
	assert_int_equal(try_wait(path), -EAGAIN);
	assert_int_equal(words(other, "release\n"), -EPERM);
	assert_int_equal(try_wait(path), -EAGAIN);
	assert_int_equal(words(mine, "release\n"), 8);
	assert_true(ready(other));
	assert_int_equal(words(mine, "release\n"), -EPERM); /* nobody owns it */
	assert_int_equal(wait_here(other), WAIT_ACQUIRED);
	assert_int_equal(words(mine, "release\n"), -EPERM);
	assert_int_equal(words(other, "release\n"), 8);
}

static void recursion(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");
	AUTO_CLOSE int mine = open_object(path, O_RDWR);
	AUTO_CLOSE int other = open_object(path, O_RDWR);

	for (int i = 0; i < 100; i++)
		assert_int_equal(wait_here(mine), WAIT_ACQUIRED);
	struct waiter *waiter = waiter_start(other);
	for (int i = 0; i < 99; i++) {
		assert_int_equal(words(mine, "release\n"), 8);
		assert_false(ready(other));
	}
	assert_false(waiter->ended);
	assert_int_equal(words(mine, "release\n"), 8);
	assert_int_equal(waiter_end(waiter), WAIT_ACQUIRED);
	assert_int_equal(words(mine, "release\n"), -EPERM);
}

/* The owner's own second wait does not stand behind those who wait for it. */
static void recursion_past_the_queue(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");
	AUTO_CLOSE int mine = open_object(path, O_RDWR);
	AUTO_CLOSE int other = open_object(path, O_RDWR);

	assert_int_equal(wait_here(mine), WAIT_ACQUIRED);
	struct waiter *waiter = waiter_start(other);
	assert_int_equal(wait_here(mine), WAIT_ACQUIRED);
	assert_int_equal(words(mine, "release\nrelease\n"), 16);
	assert_int_equal(waiter_end(waiter), WAIT_ACQUIRED);
}

static void bad_words(void **state)
{
	static const char *const bad[] = {"\n",        "set\n",  "release 1\n", "release 2\n",
					  "RELEASE\n", "lock\n", "unlock\n",    "acquire\n"};
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");
	AUTO_CLOSE int mine = open_object(path, O_RDWR);

	assert_int_equal(wait_here(mine), WAIT_ACQUIRED);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (words(mine, bad[i]) != -EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
		assert_int_equal(try_wait(path), -EAGAIN);
	}
	assert_int_equal(words(mine, "release\nrelease\n"), 8); /* the second is one too many */
}

static void a_copy_of_the_handle_is_the_owner(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");
	int mine = open_object(path, O_RDWR);
	AUTO_CLOSE int copy = dup(mine);

	assert_int_equal(wait_here(mine), WAIT_ACQUIRED);
	assert_int_equal(wait_here(copy), WAIT_ACQUIRED);
	close(mine);
	assert_int_equal(try_wait(path), -EAGAIN); /* the description is still open */
	assert_int_equal(words(copy, "release\nrelease\n"), 16);
	assert_int_equal(try_wait(path), WAIT_ACQUIRED);
}

/* --- abandonment --- */

/* The next owner is told, once. */
static void check_abandoned(const char *path)
{
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	assert_int_equal(wait_here(fd), WAIT_WAS_ABANDONED);
	assert_int_equal(wait_here(fd), WAIT_ACQUIRED); /* recursion: it is told already */
	assert_int_equal(words(fd, "release\nrelease\n"), 16);
	assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
	assert_int_equal(words(fd, "release\n"), 8);
}

static void abandoned_by_close(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");

	for (int depth = 1; depth < 4; depth++) {
		int fd = open_object(path, O_RDWR);
		for (int i = 0; i < depth; i++)
			assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
		close(fd);
		WAIT_UNTIL(5, number_xattr(path, "user.mapping.handles") == 0);
		check_abandoned(path);
	}
	WAIT_UNTIL(5, number_xattr(path, "user.mapping.handles") == 0);
	close(open_object(path, O_RDWR)); /* of one that owns nothing: no abandonment */
	assert_int_equal(try_wait(path), WAIT_ACQUIRED);
}

static void abandoned_to_who_waits(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");
	int owner = open_object(path, O_RDWR);
	AUTO_CLOSE int first = open_object(path, O_RDWR), second = open_object(path, O_RDWR);

	assert_int_equal(wait_here(owner), WAIT_ACQUIRED);
	struct waiter *one = waiter_start(first), *two = waiter_start(second);
	close(owner);
	assert_int_equal(waiter_end(one), WAIT_WAS_ABANDONED);
	assert_false(two->ended);
	assert_int_equal(words(first, "release\n"), 8);
	assert_int_equal(waiter_end(two), WAIT_ACQUIRED);
}

struct owner {
	const char *path;
	_Atomic int owns;
	enum { EXITS, IS_KILLED, EXECS, EXECS_KEEPING } end;
};

static int own_and_end(void *context)
{
	struct owner *owner = context;
	int fd = open(owner->path, O_RDWR | (owner->end == EXECS ? O_CLOEXEC : 0));

	CHECK(fd >= 0);
	CHECK(wait_here(fd) == WAIT_ACQUIRED);
	owner->owns = 1;
	if (owner->end == IS_KILLED)
		pause();
	if (owner->end == EXECS || owner->end == EXECS_KEEPING)
		execlp("sleep", "sleep", "300", NULL);
	return 0;
}

static struct owner *new_owner(const char *path)
{
	struct owner *owner =
	    mmap(NULL, sizeof *owner, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(owner != MAP_FAILED);
	owner->path = path;
	return owner;
}

static void abandoned_by_the_end_of_a_process(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");
	struct owner *owner = new_owner(path);

	for (int waited = 0; waited < 2; waited++) {
		AUTO_CLOSE int fd = open_object(path, O_RDWR);
		struct waiter *waiter = NULL;

		for (int end = EXITS; end <= EXECS; end++) {
			owner->end = (__typeof__(owner->end))end;
			owner->owns = 0;
			pid_t pid = sys_fork(sys, own_and_end, owner);
			WAIT_UNTIL(10, owner->owns);
			if (waited)
				waiter = waiter_start(fd);
			if (end == IS_KILLED)
				sys_kill(sys, pid);
			if (end == EXITS)
				assert_int_equal(sys_wait(sys, pid), 0);
			if (waited) {
				assert_int_equal(waiter_end(waiter), WAIT_WAS_ABANDONED);
				assert_int_equal(words(fd, "release\n"), 8);
			} else {
				check_abandoned(path);
			}
			assert_int_equal(try_wait(path), WAIT_ACQUIRED);
			WAIT_UNTIL(5, number_xattr(path, "user.mapping.handles") == 1);
			check_abandoned(path); /* by ourselves, in try_wait() */
			if (end == EXECS)
				sys_kill(sys, pid);
		}
	}
	munmap(owner, sizeof *owner);
}

/* A description that lives on owns on. */
static void not_abandoned_while_held(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");
	struct owner *owner = new_owner(path);

	owner->end = EXECS_KEEPING;
	pid_t pid = sys_fork(sys, own_and_end, owner);
	WAIT_UNTIL(10, owner->owns);
	assert_false(BECOMES_TRUE(0.3, try_wait(path) != -EAGAIN));
	sys_kill(sys, pid);
	check_abandoned(path);
	munmap(owner, sizeof *owner);
}

static void a_handle_in_flight_owns(void **state)
{
	struct sys *sys = *state;
	int pair[2];
	char byte = 0;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");
	int fd = open_object(path, O_RDWR);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
	assert_int_equal(control_send(pair[0], &byte, 1, &fd, 1), 0);
	close(fd);
	assert_false(BECOMES_TRUE(0.3, try_wait(path) != -EAGAIN));
	close(pair[1]);
	close(pair[0]);
	check_abandoned(path);
}

/* The thread that ends is nobody: the description owns. */
static void *take_it(void *context)
{
	return (void *)(intptr_t)wait_here(*(int *)context);
}

static void a_thread_does_not_own(void **state)
{
	struct sys *sys = *state;
	pthread_t thread;
	void *result;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = open_object(make_mutex(sys, "m"), O_RDWR);

	assert_int_equal(pthread_create(&thread, NULL, take_it, &fd), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, WAIT_ACQUIRED);
	assert_int_equal(words(fd, "release\n"), 8);
}

/* Killed while it only waits: nothing is abandoned, and it does not become the owner. */
static void a_killed_waiter_abandons_nothing(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	assert_int_equal(wait_here(fd), WAIT_ACQUIRED);
	pid_t pid = waiter_process(sys, path);
	sys_kill(sys, pid);
	assert_int_equal(words(fd, "release\n"), 8);
	assert_int_equal(try_wait(path), WAIT_ACQUIRED);
}

static void removed_while_owned(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_mutex(sys, "m");
	AUTO_CLOSE int mine = open_object(path, O_RDWR), other = open_object(path, O_RDWR);

	assert_int_equal(wait_here(mine), WAIT_ACQUIRED);
	struct waiter *waiter = waiter_start(other);
	assert_int_equal(unlink(path), 0);
	make_mutex(sys, "m"); /* another one */
	assert_int_equal(try_wait(path), WAIT_ACQUIRED);
	close(steal_fd(&mine));
	assert_int_equal(waiter_end(waiter), WAIT_WAS_ABANDONED);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(owner_and_others),
    SYS_TEST_BOTH_MODES(recursion),
    SYS_TEST_BOTH_MODES(recursion_past_the_queue),
    SYS_TEST_BOTH_MODES(bad_words),
    SYS_TEST_BOTH_MODES(a_copy_of_the_handle_is_the_owner),
    SYS_TEST_BOTH_MODES(abandoned_by_close),
    SYS_TEST_BOTH_MODES(abandoned_to_who_waits),
    SYS_TEST_BOTH_MODES(abandoned_by_the_end_of_a_process),
    SYS_TEST_BOTH_MODES(not_abandoned_while_held),
    SYS_TEST_BOTH_MODES(a_handle_in_flight_owns),
    SYS_TEST_BOTH_MODES(a_thread_does_not_own),
    SYS_TEST_BOTH_MODES(a_killed_waiter_abandons_nothing),
    SYS_TEST_BOTH_MODES(removed_while_owned),
};

int main(void)
{
	return sys_run_tests("mutex", tests);
}
