/* Supervisor, standby and worker are killed at once: views of the passthrough mode go on, all else
 * says ENOTCONN, and the next mappingfs on the mount point takes over, whoever still holds the dead
 * mount. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/sys/objects.h"

enum { SIZE = 1 << 20, OBJECTS = 200 };

static bool is_dead(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st) < 0 &&
	       errno == ENOTCONN;
}

/* --- who holds it: a view, a handle, a working directory --- */

struct holder {
	struct sys *sys;
	int stage[2], go[2]; /* pipes: "I have come so far", "go on" */
};

static int step(struct holder *holder)
{
	char byte = 0;

	CHECK(write(holder->stage[1], &byte, 1) == 1);
	CHECK(read(holder->go[0], &byte, 1) == 1);
	return 0;
}

static int hold_everything(void *context)
{
	struct holder *holder = context;
	struct sys *sys = holder->sys;
	char byte;
	int fd = open(sys_path(sys, "dir/object"), O_RDWR | O_CLOEXEC);
	char *view = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(fd >= 0 && view != MAP_FAILED);
	CHECK(chdir(sys_path(sys, "dir")) == 0);
	memset(view, 7, SIZE / 2);
	CHECK(step(holder) == 0); /* all are killed */
	CHECK(is_dead("."));
	CHECK(open("object", O_RDONLY | O_CLOEXEC) < 0 && errno == ENOTCONN);
	CHECK(ftruncate(fd, 2 * SIZE) < 0 && errno == ENOTCONN);
	if (sys->mode == SYS_PASSTHROUGH) {
		CHECK(pread(fd, &byte, 1, 100) == 1 && byte == 7);
		memset(view + SIZE / 2, 8, SIZE / 2); /* pages that were never touched */
	}
	CHECK(step(holder) == 0); /* another one is mounted over it */
	CHECK(is_dead("."));
	if (sys->mode == SYS_PASSTHROUGH)
		for (int i = 0; i < SIZE; i++)
			CHECK(view[i] == (i < SIZE / 2 ? 7 : 8));
	CHECK(open(sys_path(sys, "dir/object"), O_RDONLY | O_CLOEXEC) < 0 && errno == ENOENT);
	CHECK(open(sys_path(sys, "new"), O_RDWR | O_CREAT | O_CLOEXEC, 0600) >= 0);
	return 0;
}

static void await_stage(struct holder *holder)
{
	char byte;

	assert_int_equal(read(holder->stage[0], &byte, 1), 1);
}

static void go_on(struct holder *holder)
{
	assert_int_equal(write(holder->go[1], "", 1), 1);
}

static void holder_open(struct holder *holder, struct sys *sys)
{
	holder->sys = sys;
	assert_int_equal(pipe2(holder->stage, O_CLOEXEC), 0);
	assert_int_equal(pipe2(holder->go, O_CLOEXEC), 0);
}

static void holder_close(struct holder *holder)
{
	for (int i = 0; i < 2; i++) {
		close(holder->stage[i]);
		close(holder->go[i]);
	}
}

static void clients_hold_it(void **state)
{
	struct sys *sys = *state;
	struct holder holder;
	pid_t pid;

	sys_mount(sys, NULL);
	assert_int_equal(mkdir(sys_path(sys, "dir"), 0755), 0);
	object_make(sys, "dir/object", WIRE_SET_SIZE, SIZE, -1);
	holder_open(&holder, sys);
	pid = sys_fork(sys, hold_everything, &holder);
	await_stage(&holder);
	sys_kill_all(sys);
	WAIT_UNTIL(20, is_dead(sys->mnt));
	go_on(&holder);
	await_stage(&holder);
	sys_mount(sys, NULL);
	object_check_service(sys);
	go_on(&holder);
	assert_int_equal(sys_wait(sys, pid), 0);
	holder_close(&holder);
	sys_unmount(sys);
	assert_int_not_equal(sys_shell(sys, "grep -q ' %s ' /proc/self/mountinfo", sys->mnt), 0);
}

/* --- a container that was given a directory of it --- */

static int be_container(void *context)
{
	struct holder *holder = context;
	struct sys *sys = holder->sys;
	char inside[300];
	AUTO_CLOSE int fd = -1;

	snprintf(inside, sizeof inside, "%s/inside", sys->dir);
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount(sys_path(sys, "dir"), inside, NULL, MS_BIND, NULL) == 0);
	CHECK(umount2(sys->mnt, MNT_DETACH) == 0);
	CHECK(chdir(inside) == 0);
	fd = open("object", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(step(holder) == 0);
	CHECK(is_dead(inside));
	CHECK(step(holder) == 0); /* a new mount is none of ours */
	CHECK(is_dead(inside));
	CHECK(is_dead("."));
	CHECK(chdir("/") == 0 && umount2(inside, MNT_DETACH) == 0);
	return 0;
}

static void a_container_holds_it(void **state)
{
	struct sys *sys = *state;
	struct holder holder;
	pid_t pid;

	sys_mount(sys, NULL);
	assert_int_equal(mkdir(sys_path(sys, "dir"), 0755), 0);
	assert_int_equal(sys_shell(sys, "mkdir %s/inside %s/beside", sys->dir, sys->dir), 0);
	object_make(sys, "dir/object", WIRE_SET_SIZE, SIZE, -1);
	holder_open(&holder, sys);
	pid = sys_fork(sys, be_container, &holder);
	await_stage(&holder);
	/* And one in our own namespace. */
	assert_int_equal(sys_shell(sys, "mount --bind %s/dir %s/beside", sys->mnt, sys->dir), 0);
	sys_kill_all(sys);
	WAIT_UNTIL(20, is_dead(sys->mnt));
	go_on(&holder);
	await_stage(&holder);
	for (int i = 0; i < 3; i++) { /* the next one, and the next */
		sys_mount(sys, NULL);
		object_check_service(sys);
		assert_int_equal(sys_shell(sys, "stat %s/beside", sys->dir), 1);
		if (i == 2)
			break;
		sys_kill_all(sys);
	}
	go_on(&holder);
	assert_int_equal(sys_wait(sys, pid), 0);
	assert_int_equal(sys_shell(sys, "umount %s/beside", sys->dir), 0);
	holder_close(&holder);
	sys_unmount(sys);
}

/* --- a store --- */

static void make_permanent(struct sys *sys)
{
	for (int i = 0; i < OBJECTS; i++) {
		const char *path = sys_path(sys, i % 2 ? "d/o%d" : "o%d", i);
		AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
		char text[64];

		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, 4096 + i), 0);
		snprintf(text, sizeof text, "object %d", i);
		assert_int_equal(pwrite(fd, text, strlen(text), 4000), strlen(text));
	}
	assert_int_equal(sys_shell(sys,
				   "cd %s && ln -s d/o1 link && ln o0 hard && chmod 0604 o2 && "
				   "mapctl create tickets --type semaphore --initial 1 --max 9 "
				   "&& echo release 4 >tickets",
				   sys->mnt),
			 0);
}

static void check_permanent(struct sys *sys)
{
	for (int i = 0; i < OBJECTS; i++) {
		const char *path = sys_path(sys, i % 2 ? "d/o%d" : "o%d", i);
		AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
		char text[64], found[64] = "";

		assert_true(fd >= 0);
		assert_int_equal(size_of(path), 4096 + i);
		snprintf(text, sizeof text, "object %d", i);
		assert_int_equal(pread(fd, found, strlen(text), 4000), strlen(text));
		assert_string_equal(found, text);
	}
	assert_int_equal(sys_shell(sys,
				   "cd %s && test -L link && test o0 -ef hard && "
				   "test $(stat -c %%a o2) = 604 && test $(ls -R | wc -l) = %d",
				   sys->mnt, OBJECTS + 7),
			 0);
	AUTO_FREE char *tickets = sys_xattr(sys_path(sys, "tickets"), "user.mapping.state");
	assert_non_null(tickets);
	assert_non_null(strstr(tickets, " of 9"));
	sys_say("a semaphore at 5 is back at %s", tickets);
}

/* Names that end with their users, files without one: with the daemon gone they are nobody's. */
static void a_store_is_complete(void **state)
{
	struct sys *sys = *state;
	char options[300];
	int held[4];

	snprintf(options, sizeof options, "store=%s/store", sys->dir);
	sys_mount(sys, options);
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	make_permanent(sys);
	object_make(sys, "temporary", WIRE_SET_SIZE | WIRE_TEMPORARY, SIZE, -1);
	object_make(sys, "d/bound-to-handle", WIRE_SET_SIZE | WIRE_HANDLE_BOUND, SIZE, -1);
	object_make(sys, "unlinked", WIRE_SET_SIZE, SIZE, -1);
	held[0] = open(sys_path(sys, "temporary"), O_RDWR | O_CLOEXEC);
	held[1] = open(sys_path(sys, "d/bound-to-handle"), O_RDWR | O_CLOEXEC);
	held[2] = open(sys_path(sys, "unlinked"), O_RDWR | O_CLOEXEC);
	assert_true(held[0] >= 0 && held[1] >= 0 && held[2] >= 0);
	assert_int_equal(unlink(sys_path(sys, "unlinked")), 0);
	held[3] = open(sys->mnt, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(held[3] >= 0);
	for (int i = 0; i < 2; i++) {
		sys_kill_all(sys);
		WAIT_UNTIL(20, is_dead(sys->mnt));
		sys_mount(sys, options);
		check_permanent(sys);
		assert_int_equal(size_of(sys_path(sys, "temporary")), -1);
		assert_int_equal(size_of(sys_path(sys, "d/bound-to-handle")), -1);
		object_check_service(sys);
	}
	for (int i = 0; i < 4; i++)
		close(held[i]);
	sys_unmount(sys);
	/* Nothing is left in it of what had no name. */
	assert_int_equal(sys_shell(sys, "find %s/store -type f -size +512k | grep .", sys->dir), 1);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(clients_hold_it),
    SYS_TEST_BOTH_MODES(a_container_holds_it),
    SYS_TEST_BOTH_MODES(a_store_is_complete),
};

int main(void)
{
	return sys_run_tests("supervisor_dead", tests);
}
