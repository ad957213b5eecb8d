/* Limits of users on a real mount: over one of them EDQUOT or EMFILE, for that user only; what is
 * counted survives workers, and is nothing again when all is gone. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/sys/hostile.h"
#include "tests/sys/waitables.h"

enum { OBJECTS = 300, MIB = 1 << 20 };

static bool over(int rc)
{
	return rc < 0 && errno == EDQUOT;
}

static int take_all_objects(void *context)
{
	static char value[2048];
	struct sys *sys = context;
	char name[32];
	int made = 0, rc;

	CHECK(become(HOSTILE_UID) == 0);
	CHECK(mkdir(sys_path(sys, "d"), 0755) == 0);
	do {
		snprintf(name, sizeof name, "d/%d", ++made);
		rc = made % 3 == 0   ? mkdir(sys_path(sys, "%s", name), 0755)
		     : made % 3 == 1 ? symlink("x", sys_path(sys, "%s", name))
				     : mknod(sys_path(sys, "%s", name), S_IFREG | 0644, 0);
	} while (rc == 0);
	CHECK(errno == EDQUOT);
	CHECK(made == OBJECTS);
	CHECK(over(open(sys_path(sys, "d/x"), O_RDWR | O_CREAT, 0644)));
	CHECK(over(open(sys_path(sys, "d"), O_TMPFILE | O_RDWR, 0644)));
	CHECK(over(link(sys_path(sys, "d/2"), sys_path(sys, "d/x"))));
	CHECK(over(setxattr(sys_path(sys, "d/2"), "user.x", value, sizeof value, 0)));
	CHECK(rename(sys_path(sys, "d/2"), sys_path(sys, "d/moved")) == 0);
	CHECK(rename(sys_path(sys, "d/5"), sys_path(sys, "d/moved")) == 0);
	CHECK(mknod(sys_path(sys, "d/5"), S_IFREG | 0644, 0) == 0);
	return 0;
}

static int make_some(void *context)
{
	struct sys *sys = context;

	CHECK(become(HONEST_UID) == 0);
	for (int i = 0; i < 50; i++)
		CHECK(mknod(sys_path(sys, "honest%d", i), S_IFREG | 0644, 0) == 0);
	return 0;
}

static void objects(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=64m,user_objects=300");
	assert_int_equal(sys_wait(sys, sys_fork(sys, take_all_objects, sys)), 0);
	assert_int_equal(user_has(sys, HOSTILE_UID, "objects"), OBJECTS);
	assert_int_equal(sys_wait(sys, sys_fork(sys, make_some, sys)), 0);
	for (int i = 0; i < 400; i++) /* root may */
		assert_int_equal(mknod(sys_path(sys, "r%d", i), S_IFREG | 0644, 0), 0);
	sys_kill_worker(sys);
	assert_int_equal(user_has(sys, HOSTILE_UID, "objects"), OBJECTS);
	assert_int_equal(user_has(sys, HONEST_UID, "objects"), 50);
	assert_int_equal(chown(sys_path(sys, "d/moved"), HONEST_UID, 0), 0);
	assert_int_equal(user_has(sys, HOSTILE_UID, "objects"), OBJECTS - 1);
	assert_int_equal(user_has(sys, HONEST_UID, "objects"), 51);
	assert_int_equal(sys_shell(sys, "rm -r %s/*", sys->mnt), 0);
	WAIT_UNTIL(10, !user_has(sys, HOSTILE_UID, "objects"));
	WAIT_UNTIL(10, !user_has(sys, HONEST_UID, "objects"));
}

static int take_all_bytes(void *context)
{
	struct sys *sys = context;
	static char block[MIB];
	struct typed huge = {.flags = WIRE_SET_SIZE | WIRE_SPARSE, .size = 1ULL << 62};
	int fd;

	CHECK(become(HOSTILE_UID) == 0);
	fd = open(sys_path(sys, "b"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	CHECK(over(ftruncate(fd, 9 * MIB)));
	CHECK(ftruncate(fd, 8 * MIB) == 0);
	CHECK(over(ftruncate(fd, 8 * MIB + 1)));
	CHECK(posix_fallocate(fd, 0, 9 * MIB) == EDQUOT);
	CHECK(typed_create(sys->mnt, sys_path(sys, "s"), &huge) == -EDQUOT);
	CHECK(ftruncate(fd, 0) == 0);
	/* Past us: it is seen when the handle has gone, and then nothing grows. */
	for (int i = 0; i < 12 && write(fd, block, sizeof block) == sizeof block; i++)
		continue;
	close(fd);
	return 0;
}

static int grow_nothing(void *context)
{
	struct sys *sys = context;
	AUTO_CLOSE int fd = -1;

	CHECK(become(HOSTILE_UID) == 0);
	fd = open(sys_path(sys, "c"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	CHECK(fd >= 0);
	CHECK(over((int)write(fd, "x", 1)));
	CHECK(over(ftruncate(fd, 4096)));
	CHECK(unlink(sys_path(sys, "c")) == 0);
	return 0;
}

static int use_own(void *context)
{
	struct sys *sys = context;

	CHECK(become(HONEST_UID) == 0);
	AUTO_CLOSE int fd = open(sys_path(sys, "own"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	CHECK(ftruncate(fd, 8 * MIB) == 0);
	return 0;
}

static void bytes(void **state)
{
	struct sys *sys = *state;
	bool cached = sys->mode == SYS_CACHED;

	sys_mount(sys, "size=64m,user_size=8m");
	assert_int_equal(sys_wait(sys, sys_fork(sys, take_all_bytes, sys)), 0);
	WAIT_UNTIL(10, user_has(sys, HOSTILE_UID, "bytes") == (cached ? 8 : 12) * MIB);
	assert_int_equal(sys_wait(sys, sys_fork(sys, grow_nothing, sys)), 0);
	assert_int_equal(sys_wait(sys, sys_fork(sys, use_own, sys)), 0);
	sys_kill_worker(sys);
	assert_int_equal(user_has(sys, HOSTILE_UID, "bytes"), (cached ? 8 : 12) * MIB);
	assert_int_equal(sys_wait(sys, sys_fork(sys, grow_nothing, sys)), 0);
	assert_int_equal(truncate(sys_path(sys, "b"), 20 * MIB), 0); /* root may, for others, too */
	assert_int_equal(unlink(sys_path(sys, "b")), 0);
	WAIT_UNTIL(10, !user_has(sys, HOSTILE_UID, "bytes"));
}

static int wait_for_much(void *context)
{
	struct sys *sys = context;
	struct wire_wait out;
	struct waiter *waiters[4];
	int fds[60];

	CHECK(become(HOSTILE_UID) == 0);
	catch_interrupts();
	for (int i = 0; i < 60; i++)
		CHECK((fds[i] = open(sys_path(sys, "e"), O_RDWR | O_CLOEXEC)) >= 0);
	for (int i = 0; i < 3; i++)
		waiters[i] = waiter_start_many(fds, 60, 0, NO_DEADLINE);
	CHECK(wait_many(fds, 60, 0, NO_DEADLINE, &out) == -EDQUOT);
	for (int i = 0; i < 20; i++) {
		struct pollfd one = {.fd = fds[i], .events = POLLIN};
		CHECK(poll(&one, 1, 1) == 0);
	}
	struct pollfd one = {.fd = fds[40], .events = POLLIN};
	CHECK(poll(&one, 1, 10) == 1 && (one.revents & POLLERR));
	for (int i = 0; i < 3; i++)
		CHECK(waiter_interrupt(waiters[i]) == -EINTR);
	CHECK(poll(&one, 1, 10) == 0);
	return 0;
}

static void waits(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=64m,user_waits=200");
	make_event(sys, "e", 0);
	assert_int_equal(chmod(sys_path(sys, "e"), 0666), 0);
	AUTO_CLOSE int fd = open_object(sys_path(sys, "e"), O_RDWR);
	struct waiter *mine = waiter_start(fd);

	assert_int_equal(sys_wait(sys, sys_fork(sys, wait_for_much, sys)), 0);
	assert_int_equal(user_has(sys, 0, "waits"), 1);
	sys_kill_worker(sys);
	WAIT_UNTIL(10, user_has(sys, 0, "waits") == 1);
	WAIT_UNTIL(10, !user_has(sys, HOSTILE_UID, "waits"));
	WAIT_UNTIL(10, !user_has(sys, HOSTILE_UID, "wait_handles"));
	assert_int_equal(words(fd, "set"), 3);
	assert_int_equal(waiter_end(mine), WAIT_SIGNALED);
}

static int connect_much(void *context)
{
	struct sys *sys = context;
	struct wire_request request = wire_request_of(WIRE_STATUS, 0, 0);
	struct wire_reply reply;
	int socks[5], fd;

	CHECK(become(HOSTILE_UID) == 0);
	for (int i = 0; i < 4; i++) {
		CHECK((socks[i] = control_connect(sys->mnt)) >= 0);
		CHECK(control_send(socks[i], &request, sizeof request, NULL, 0) == 0);
		CHECK(control_receive(socks[i], &reply, &fd) == 0 && !reply.error);
		close(fd);
	}
	CHECK((socks[4] = control_connect(sys->mnt)) >= 0);
	CHECK(control_receive(socks[4], &reply, &fd) == 0 && reply.error == EMFILE);
	close(socks[0]);
	CHECK(BECOMES_TRUE(10, control_call(sys->mnt, &request, NULL, 0, &reply, &fd) == 0 &&
				   !reply.error));
	return 0;
}

static void connections(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=64m,user_connections=4");
	assert_int_equal(sys_wait(sys, sys_fork(sys, connect_much, sys)), 0);
	object_check_service(sys);
}

/* Root in a namespace of its own is who it is outside. */
static void root_of_a_namespace(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=64m,user_objects=5,user_size=1m");
	if (sys_shell(sys,
		      "setpriv --reuid 65534 --regid 65534 --clear-groups unshare --user "
		      "--map-root-user sh -c 'cd %s; for i in 1 2 3 4 5 6 7; do touch $i; done; "
		      "truncate -s 2m 1; truncate -s 1m 2; ls | wc -l'",
		      sys->mnt) != 0)
		sys_skip("no user namespaces: %s", sys->output);
	assert_non_null(strstr(sys->output, "quota exceeded"));
	assert_non_null(strstr(sys->output, "\n5\n"));
	assert_int_equal(user_has(sys, HOSTILE_UID, "objects"), 5);
	assert_int_equal(user_has(sys, HOSTILE_UID, "bytes"), MIB);
}

/* mapctl shows it, to each what is theirs. */
static void told(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=64m,user_objects=77");
	assert_int_equal(sys_wait(sys, sys_fork(sys, make_some, sys)), 0);
	assert_int_equal(mkdir(sys_path(sys, "roots"), 0700), 0);
	assert_int_equal(sys_shell(sys, "%s/mapctl --mount %s status", TEST_BIN_DIR, sys->mnt), 0);
	assert_non_null(strstr(sys->output, "objects 77"));
	assert_non_null(strstr(sys->output, "1000"));
	assert_int_equal(sys_shell(sys,
				   "setpriv --reuid 65534 --regid 65534 --clear-groups "
				   "%s/mapctl --mount %s --json status",
				   TEST_BIN_DIR, sys->mnt),
			 0);
	assert_null(strstr(sys->output, "\"uid\": 1000"));
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_PASSTHROUGH(objects),
    SYS_TEST_BOTH_MODES(bytes),
    SYS_TEST_PASSTHROUGH(waits),
    SYS_TEST_PASSTHROUGH(connections),
    SYS_TEST_PASSTHROUGH(root_of_a_namespace),
    SYS_TEST_PASSTHROUGH(told),
};

int main(void)
{
	return sys_run_tests("user_limits", tests);
}
