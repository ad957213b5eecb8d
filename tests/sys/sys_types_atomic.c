/* Creation is atomic: nobody ever sees an object half made, and a creator that is killed leaves
 * nothing. What may be made into an object, and by whom. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/sys/leaks.h"
#include "tests/sys/waitables.h"

enum { CREATIONS = TEST_SANITIZED ? 200 : 1000 };

static const struct typed made = {
    .type = OBJECT_SEMAPHORE, .initial = 7, .maximum = 9, .mode = 0640};

struct observed {
	struct sys *sys;
	volatile int stop;
	_Atomic unsigned looks, seen;
};

/* What stands there is an object complete in every respect, or is gone again. */
static int check_complete(const char *path)
{
	struct stat st;
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	char text[32] = "";

	if (fd < 0) {
		CHECK(errno == ENOENT);
		return 0;
	}
	CHECK(fstat(fd, &st) == 0);
	CHECK(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0640 && st.st_size == 0);
	CHECK(fgetxattr(fd, "user.mapping.type", text, sizeof text) == 9);
	CHECK(!strncmp(text, "semaphore", 9));
	CHECK(fgetxattr(fd, "user.mapping.state", text, sizeof text) == 6);
	CHECK(!strncmp(text, "7 of 9", 6));
	return 0;
}

/* Names of the directory, all of them. */
static int look_once(struct observed *o, const char *directory)
{
	char path[1100];
	struct dirent *entry;
	DIR *dir = opendir(directory);
	int bad = 0;

	CHECK(dir);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (strncmp(entry->d_name, "made", 4) != 0) {
			sys_say("a name that nobody made: %s", entry->d_name);
			bad = 1;
		}
		snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		bad |= check_complete(path);
		o->seen++;
	}
	closedir(dir);
	o->looks++;
	return bad;
}

static int observe(void *context)
{
	struct observed *o = context;
	char directory[300], path[400];

	snprintf(directory, sizeof directory, "%s/dir", o->sys->mnt);
	snprintf(path, sizeof path, "%s/made0", directory);
	while (!o->stop)
		if (look_once(o, directory) || check_complete(path))
			return 1;
	return 0;
}

static struct observed *new_observed(struct sys *sys)
{
	struct observed *o =
	    mmap(NULL, sizeof *o, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(o != MAP_FAILED);
	o->sys = sys;
	return o;
}

static void make_and_remove(struct sys *sys, struct observed *o, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		const char *path = sys_path(sys, "dir/made%u", i % 3);
		int rc = typed_create(sys->mnt, path, &made);
		if (rc < 0)
			fail_msg("creation %u: %s", i, strerror(-rc));
		if (i % 10 == 0) { /* on few CPUs: let it be seen */
			unsigned looks = o->looks;
			WAIT_UNTIL(10, o->looks > looks + 1);
		}
		assert_int_equal(unlink(path), 0);
	}
}

static void nobody_sees_it_half_made(void **state)
{
	struct sys *sys = *state;
	sys_time_limit(sys, 120);
	sys_mount(sys, NULL);
	struct observed *o = new_observed(sys);

	assert_int_equal(mkdir(sys_path(sys, "dir"), 0755), 0);
	pid_t pid = sys_fork(sys, observe, o);
	make_and_remove(sys, o, CREATIONS);
	o->stop = 1;
	assert_int_equal(sys_wait(sys, pid), 0);
	sys_say("%u creations, %u looks, %u objects seen", CREATIONS, o->looks, o->seen);
	assert_true(o->seen > CREATIONS / 20);
	munmap(o, sizeof *o);
}

static void nor_when_workers_die(void **state)
{
	struct sys *sys = *state;
	sys_time_limit(sys, 120);
	sys_mount(sys, NULL);
	struct observed *o = new_observed(sys);

	assert_int_equal(mkdir(sys_path(sys, "dir"), 0755), 0);
	pid_t pid = sys_fork(sys, observe, o);
	const uint64_t end = clock_ns(CLOCK_MONOTONIC) + (TEST_SANITIZED ? 6 : 2) * 1000000000ULL;
	sys_start_killer(sys, TEST_SANITIZED ? 40 : 5, TEST_SANITIZED ? 80 : 20);
	while (clock_ns(CLOCK_MONOTONIC) < end)
		make_and_remove(sys, o, 10);
	unsigned kills = sys_stop_killer(sys);
	o->stop = 1;
	assert_int_equal(sys_wait(sys, pid), 0);
	sys_say("%u kills, %u objects seen", kills, o->seen);
	assert_true(kills > 3);
	munmap(o, sizeof *o);
}

/* --- killed creators --- */

enum { STEPS = 5 };

struct creator {
	struct sys *sys;
	int steps; /* then it is killed */
};

static int create_and_die(void *context)
{
	struct creator *c = context;
	char directory[300], path[400];

	snprintf(directory, sizeof directory, "%s/dir", c->sys->mnt);
	snprintf(path, sizeof path, "%s/made", directory);
	int unborn = typed_unborn(directory, 0600);
	CHECK(unborn >= 0);
	if (c->steps > 1)
		CHECK(typed_configure(c->sys->mnt, unborn, &made, NULL) == 0);
	if (c->steps > 2)
		CHECK(fchmod(unborn, 0640) == 0);
	if (c->steps > 3)
		CHECK(typed_publish(unborn, path) == 0);
	raise(SIGKILL);
	return 1;
}

static bool directory_is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		count++;
	closedir(dir);
	return count == 2;
}

static void killed_between_each_step(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = sys_path(sys, "dir/made"), *directory = sys_path(sys, "dir");

	assert_int_equal(mkdir(directory, 0755), 0);
	typed_make(sys, "dir/made", made); /* so that everything was done once */
	assert_int_equal(unlink(path), 0);
	struct leaks before = leaks_count(sys);
	for (int steps = 1; steps < STEPS; steps++) {
		struct creator creator = {sys, steps};
		assert_int_equal(sys_wait(sys, sys_fork(sys, create_and_die, &creator)),
				 128 + SIGKILL);
		assert_int_equal(directory_is_empty(directory), steps < 4);
		if (steps == 4) {
			assert_int_equal(check_complete(path), 0);
			assert_int_equal(unlink(path), 0);
		}
		leaks_check(sys, &before);
		typed_make(sys, "dir/made", made); /* the name is free */
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(directory), 0);
}

static int create_forever(void *context)
{
	struct sys *sys = context;
	char path[400];

	snprintf(path, sizeof path, "%s/dir/made", sys->mnt);
	for (;;) {
		CHECK(typed_create(sys->mnt, path, &made) == 0);
		CHECK(unlink(path) == 0);
	}
}

static void killed_at_any_moment(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = sys_path(sys, "dir/made"), *directory = sys_path(sys, "dir");
	unsigned left = 0;

	assert_int_equal(mkdir(directory, 0755), 0);
	typed_make(sys, "dir/made", made);
	assert_int_equal(unlink(path), 0);
	struct leaks before = leaks_count(sys);
	for (unsigned i = 0; i < 200; i++) {
		pid_t pid = sys_fork(sys, create_forever, sys);
		usleep(1000 + i * 37 % 3000); /* the moment is the test's matter */
		sys_kill(sys, pid);
		if (size_of(path) < 0)
			continue;
		left++;
		assert_int_equal(check_complete(path), 0);
		assert_int_equal(unlink(path), 0);
	}
	assert_true(directory_is_empty(directory));
	leaks_check(sys, &before);
	sys_say("200 creators killed, %u had just made it", left);
}

/* --- what may be configured --- */

static int refused(struct sys *sys, int object, struct typed typed)
{
	struct wire_reply reply;
	int rc = typed_configure(sys->mnt, object, &typed, &reply);

	if (rc < 0)
		assert_true(reply.text[0] != '\0');
	return rc;
}

static void only_fresh_files_become_objects(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const struct typed event = {.type = OBJECT_EVENT};
	const char *path = sys_path(sys, "x");
	AUTO_CLOSE int unborn = typed_unborn(sys->mnt, 0600);
	AUTO_CLOSE int mapping = open(sys->mnt, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	AUTO_CLOSE int plain = open(sys_path(sys, "plain"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	AUTO_CLOSE int directory = open(sys->mnt, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(refused(sys, unborn, made), 0);
	assert_int_equal(typed_publish(unborn, path), 0);
	assert_true(refused(sys, unborn, event) < 0); /* it is a semaphore, and stays one */
	assert_true(text_xattr_is(path, "user.mapping.type", "semaphore"));
	assert_true(state_is(path, "7 of 9"));
	assert_true(refused(sys, mapping, event) < 0);
	assert_true(refused(sys, plain, event) < 0);
	assert_true(refused(sys, directory, event) < 0);
	assert_true(text_xattr_is(sys_path(sys, "plain"), "user.mapping.type", "mapping"));
}

static void a_file_in_use_becomes_no_object(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const struct typed event = {.type = OBJECT_EVENT};
	char self[64];

	AUTO_CLOSE int unborn = typed_unborn(sys->mnt, 0600);
	snprintf(self, sizeof self, "/proc/self/fd/%d", unborn);
	AUTO_CLOSE int second = open_object(self, O_RDWR);
	assert_true(refused(sys, unborn, event) < 0);
	AUTO_CLOSE int written = typed_unborn(sys->mnt, 0600);
	assert_int_equal(pwrite(written, "data", 4, 0), 4);
	assert_true(refused(sys, written, event) < 0);
	AUTO_CLOSE int sized = typed_unborn(sys->mnt, 0600);
	assert_int_equal(ftruncate(sized, 4096), 0);
	assert_true(refused(sys, sized, event) < 0);
}

static int configure_anothers(void *context)
{
	struct sys *sys = context;
	uid_t uid;
	gid_t gid;
	AUTO_CLOSE int unborn = typed_unborn(sys->mnt, 0666);

	sys_ordinary_user(&uid, &gid);
	CHECK(unborn >= 0);
	CHECK(setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0);
	CHECK(typed_configure(sys->mnt, unborn, &made, NULL) == -EPERM);
	AUTO_CLOSE int own = typed_unborn(sys->mnt, 0600);
	CHECK(own >= 0);
	CHECK(typed_configure(sys->mnt, own, &made, NULL) == 0);
	CHECK(typed_publish(own, sys_path(sys, "own")) == 0);
	return 0;
}

static void only_by_their_owner(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);

	assert_int_equal(chmod(sys->mnt, 01777), 0);
	assert_int_equal(sys_wait(sys, sys_fork(sys, configure_anothers, sys)), 0);
	assert_true(state_is(sys_path(sys, "own"), "7 of 9"));
}

/* Refused as a whole: the file can be configured rightly, or thrown away. */
static void wrong_attributes_change_nothing(void **state)
{
	static const struct typed wrong[] = {
	    {.type = OBJECT_SEMAPHORE},
	    {.type = OBJECT_SEMAPHORE, .initial = 2, .maximum = 1},
	    {.type = OBJECT_SEMAPHORE, .maximum = UINT32_MAX},
	    {.type = OBJECT_SEMAPHORE, .maximum = 1, .flags = WIRE_MANUAL},
	    {.type = OBJECT_EVENT, .maximum = 1},
	    {.type = OBJECT_EVENT, .flags = WIRE_KILL_ON_CLOSE},
	    {.type = OBJECT_EVENT, .flags = WIRE_SPARSE},
	    {.type = OBJECT_EVENT, .flags = WIRE_SET_SIZE, .size = 4096},
	    {.type = OBJECT_MUTEX, .flags = WIRE_SIGNALED},
	    {.type = OBJECT_TIMER, .flags = WIRE_SIGNALED},
	    {.type = OBJECT_JOB, .flags = WIRE_MANUAL},
	    {.type = OBJECT_MAPPING, .flags = WIRE_MANUAL},
	    {.type = OBJECT_MAPPING, .initial = 1},
	    {.type = OBJECT_TYPES},
	    {.type = OBJECT_EVENT, .flags = WIRE_TEMPORARY | WIRE_PERMANENT},
	    {.type = OBJECT_EVENT, .flags = WIRE_TEMPORARY | WIRE_HANDLE_BOUND},
	};
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int unborn = typed_unborn(sys->mnt, 0600);

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(refused(sys, unborn, wrong[i]), -EINVAL);
	assert_int_equal(refused(sys, unborn, made), 0);
	assert_int_equal(typed_publish(unborn, sys_path(sys, "x")), 0);
	assert_true(state_is(sys_path(sys, "x"), "7 of 9"));
}

static void without_a_name(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	char self[64];
	struct leaks before = leaks_count(sys);
	int fd = typed_unnamed(sys, (struct typed){.type = OBJECT_EVENT});

	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	int other = open_object(self, O_RDWR);
	struct waiter *waiter = waiter_start(other);
	sys_kill_worker(sys);
	assert_int_equal(words(fd, "set\n"), 4);
	assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(other), 0);
	WAIT_UNTIL(5, sys_status_number(sys, "handles") == before.handles);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(nobody_sees_it_half_made),
    SYS_TEST_BOTH_MODES(nor_when_workers_die),
    SYS_TEST_BOTH_MODES(killed_between_each_step),
    SYS_TEST_BOTH_MODES(killed_at_any_moment),
    SYS_TEST_BOTH_MODES(only_fresh_files_become_objects),
    SYS_TEST_BOTH_MODES(a_file_in_use_becomes_no_object),
    SYS_TEST_BOTH_MODES(only_by_their_owner),
    SYS_TEST_BOTH_MODES(wrong_attributes_change_nothing),
    SYS_TEST_BOTH_MODES(without_a_name),
};

int main(void)
{
	return sys_run_tests("types_atomic", tests);
}
