/* Greedy and hostile users of names: as many objects, links, attributes, bytes as they can get, the
 * worst names and sizes. It is their own problem: another's opens stay as fast as they were, the
 * daemon stays as small, and when they are gone nothing of it is left. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/sys/hostile.h"
#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"

enum { LIMIT = 20000, GREEDY = 2, MEMORY = 48 << 20 };

static const char *const options = "size=256m,user_objects=20000,user_size=32m";

static struct honest *start(struct sys *sys)
{
	sys_time_limit(sys, 120);
	sys_mount(sys, options);
	return honest_start(sys);
}

static void remove_all(struct sys *sys)
{
	sys_shell(sys, "cd %s && find . -mindepth 1 ! -name .control ! -name honest -delete",
		  sys->mnt);
	WAIT_UNTIL(20, !user_has(sys, HOSTILE_UID, "objects"));
	WAIT_UNTIL(20, !user_has(sys, HOSTILE_UID, "bytes"));
}

/* While they do it, and after. */
static void run(struct sys *sys, struct honest *honest, const char *what,
		int (*act)(struct flood *, int, long), double times)
{
	assert_true(flood_run(sys, honest, what, act, GREEDY, times) > 0);
	worker_memory_below(sys, MEMORY);
	assert_true(user_has(sys, HOSTILE_UID, "objects") <= LIMIT);
	remove_all(sys);
}

static void clean(struct sys *sys, struct honest *honest)
{
	honest_end(honest);
	remove_all(sys);
	assert_int_equal(sys_status_number(sys, "restarts"), 0);
	object_check_service(sys);
}

/* --- what they do --- */

static int make_object(struct flood *f, int who, long count)
{
	int fd = open(sys_path(f->sys, "g%d/%ld", who, count), O_CREAT | O_RDWR | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : close(fd);
}

static int make_links(struct flood *f, int who, long count)
{
	const char *first = sys_path(f->sys, "g%d/first", who);

	if (!count)
		return mknod(first, S_IFREG | 0644, 0);
	return count % 2 ? link(first, sys_path(f->sys, "g%d/l%ld", who, count))
			 : symlink(first, sys_path(f->sys, "g%d/s%ld", who, count));
}

static int make_attributes(struct flood *f, int who, long count)
{
	static char value[60 << 10];
	char name[32];
	const char *path = sys_path(f->sys, "g%d/a%ld", who, count / 3);

	if (count % 3 == 0)
		return mknod(path, S_IFREG | 0644, 0);
	snprintf(name, sizeof name, "user.%ld", count);
	return setxattr(path, name, value, count % 3 == 1 ? sizeof value : 3 << 10, 0);
}

/* Held by a process as far as it may, without names. */
static int make_nameless(struct flood *f, int who, long count)
{
	int fd = open(sys_path(f->sys, "g%d", who), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);

	if (fd >= 0 && count % 1024 == 1023)
		close_range(10, 2000, 0);
	return fd < 0 ? -1 : 0;
}

static int take_bytes(struct flood *f, int who, long count)
{
	static const off_t sizes[] = {1L << 62, INT64_MAX, 31 << 20, 1, 33 << 20, 0};
	const char *path = sys_path(f->sys, "g%d/b%ld", who, count % 50);
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644), rc;

	if (fd < 0)
		return -1;
	rc = ftruncate(fd, sizes[count % 6]);
	close(fd);
	if (count % 7 == 0)
		unlink(path);
	return rc;
}

static int rename_around(struct flood *f, int who, long count)
{
	const char *a = sys_path(f->sys, "g%d/ring%ld", who, count % 10),
		   *b = sys_path(f->sys, "g%d/ring%ld", who, (count + 1) % 10);

	if (count < 10)
		return mkdir(a, 0755);
	/* Into itself, into each other, back. */
	rename(a, sys_path(f->sys, "g%d/ring%ld/in", who, count % 10));
	if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0 && rename(a, b) < 0)
		return mkdir(a, 0755);
	return 0;
}

/* --- tests --- */

static int hold_it_all(void *context)
{
	struct sys *sys = context;
	long made = 0, tries = 100000;

	CHECK(become(HOSTILE_UID) == 0);
	CHECK(mkdir(sys_path(sys, "all"), 0755) == 0);
	for (long i = 0; i < tries; i++)
		made += mknod(sys_path(sys, "all/%ld", i), S_IFREG | 0644, 0) == 0;
	sys_say("of %ld objects %ld could be made", tries, made);
	return made == LIMIT - 1 ? 0 : 1;
}

/* A hundred thousand objects, as far as they may; then another's opens are as fast as before. */
static void hundred_thousand_objects(void **state)
{
	struct sys *sys = *state;
	struct honest *honest = start(sys);
	uint64_t before = honest_median(honest, 300), after = 0;

	assert_int_equal(sys_wait(sys, sys_fork(sys, hold_it_all, sys)), 0);
	for (int try = 0; try < 20; try++) { /* the machine has other things to do, too */
		after = honest_median(honest, 300);
		if (after <= 2 * before)
			break;
	}
	sys_say("another's median open+close: %.0f us, with them there %.0f us: %.2f times",
		(double)before / 1e3, (double)after / 1e3, (double)after / (double)before);
	assert_true(after <= 2 * before);
	worker_memory_below(sys, MEMORY);
	sys_kill_worker(sys);
	assert_int_equal(user_has(sys, HOSTILE_UID, "objects"), LIMIT);
	honest_end(honest);
	assert_int_equal(sys_shell(sys, "rm -r %s/all", sys->mnt), 0);
	WAIT_UNTIL(20, !user_has(sys, HOSTILE_UID, "objects"));
}

/* Two processes that do nothing else, on a machine of two processors: one of them is always in
 * front in the kernel's queue, and what it asked for is more work than an open is. */
static void floods(void **state)
{
	struct sys *sys = *state;
	struct honest *honest = start(sys);

	run(sys, honest, "objects", make_object, HAMMERED);
	run(sys, honest, "links", make_links, HAMMERED);
	run(sys, honest, "attributes", make_attributes, HAMMERED);
	run(sys, honest, "nameless", make_nameless, HAMMERED);
	run(sys, honest, "bytes", take_bytes, HAMMERED);
	run(sys, honest, "renames", rename_around, HAMMERED);
	clean(sys, honest);
}

static int worst_names(void *context)
{
	struct sys *sys = context;
	char name[300], path[600];
	int fd, deep = 0;

	CHECK(become(HOSTILE_UID) == 0);
	for (int c = 1; c < 256; c++) {
		if (c == '/')
			continue;
		snprintf(path, sizeof path, "%s/x%cy\n", sys->mnt, c);
		CHECK(mknod(path, S_IFREG | 0644, 0) == 0 && unlink(path) == 0);
	}
	memset(name, 0xff, sizeof name);
	name[255] = '\0';
	snprintf(path, sizeof path, "%s/%s", sys->mnt, name);
	CHECK(mknod(path, S_IFREG | 0644, 0) == 0 && unlink(path) == 0);
	snprintf(path, sizeof path, "%s/%sx", sys->mnt, name);
	CHECK(mknod(path, S_IFREG | 0644, 0) < 0 && errno == ENAMETOOLONG);
	CHECK(unlink(sys_path(sys, ".control")) < 0);
	CHECK(rename(sys_path(sys, "honest"), sys_path(sys, ".control")) < 0);
	/* Deeper than a path can say. */
	CHECK(chdir(sys->mnt) == 0);
	for (; deep < 400; deep++)
		if (mkdir(name + 55, 0755) < 0 || chdir(name + 55) < 0)
			break;
	CHECK(deep == 400);
	fd = open("bottom", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
	CHECK(setxattr("bottom", "user.mapping.lifetime", "temporary", 9, 0) < 0 || close(fd) == 0);
	for (; deep; deep--) {
		unlink("bottom");
		CHECK(chdir("..") == 0 && (rmdir(name + 55) == 0 || errno == ENOTEMPTY));
	}
	return 0;
}

static void names(void **state)
{
	struct sys *sys = *state;
	struct honest *honest = start(sys);

	assert_int_equal(sys_wait(sys, sys_fork(sys, worst_names, sys)), 0);
	clean(sys, honest);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_PASSTHROUGH(hundred_thousand_objects),
    SYS_TEST_PASSTHROUGH(floods),
    SYS_TEST_PASSTHROUGH(names),
};

int main(void)
{
	return sys_run_tests("hostile_files", tests);
}
