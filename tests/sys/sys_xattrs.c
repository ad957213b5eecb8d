/* What can be read of objects as extended attributes: exactly those that make sense for the type,
 * listed as they can be read, and the creator, for ever. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/sys/objects.h"

#define PREFIX "user.mapping."

static const char mapping[] = "backing commit creator flush handles lifetime type views";
static const char waitable[] = "creator handles lifetime state type";

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names behind "user.mapping." that are listed, sorted; each is read on the way. */
static void list_of(const char *path, char *out, size_t size)
{
	char list[4096], *names[32];
	ssize_t length = llistxattr(path, list, sizeof list);
	size_t count = 0;

	assert_true(length >= 0);
	for (char *at = list; at < list + length; at += strlen(at) + 1) {
		char value[4096];

		if (strncmp(at, PREFIX, strlen(PREFIX)) != 0)
			continue;
		if (lgetxattr(path, at, value, sizeof value) <= 0)
			fail_msg("%s of %s is listed and cannot be read: %s", at, path,
				 strerror(errno));
		assert_true(count < ARRAY_SIZE(names));
		names[count++] = at + strlen(PREFIX);
	}
	qsort(names, count, sizeof names[0], by_text);
	out[0] = '\0';
	for (size_t i = 0; i < count; i++)
		snprintf(out + strlen(out), size - strlen(out), "%s%s", i ? " " : "", names[i]);
}

/* What is not listed is not there, and nothing can be set but the lifetime. */
static void check(const char *path, const char *expected)
{
	static const char *const all[] = {"type",  "lifetime", "backing", "commit", "handles",
					  "views", "flush",    "state",   "creator"};
	char got[256], name[64];

	list_of(path, got, sizeof got);
	assert_string_equal(got, expected);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		snprintf(name, sizeof name, PREFIX "%s", all[i]);
		if (!strstr(expected, all[i])) {
			assert_int_equal(getxattr(path, name, NULL, 0), -1);
			assert_int_equal(errno, ENODATA);
		}
		if (strcmp(all[i], "lifetime") == 0)
			continue;
		assert_int_equal(setxattr(path, name, "x", 1, 0), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(removexattr(path, name), -1);
		assert_int_equal(errno, EPERM);
	}
}

static void is(const char *path, const char *name, const char *expected)
{
	char whole[64];

	snprintf(whole, sizeof whole, PREFIX "%s", name);
	if (!text_xattr_is(path, whole, expected)) {
		AUTO_FREE char *got = sys_xattr(path, whole);
		fail_msg("%s of %s is %s, not %s", name, path, got ? got : "absent", expected);
	}
}

static void each_type_has_its_own(void **state)
{
	static const struct {
		const char *type, *options, *state;
	} types[] = {
	    {"event", "--set", "signaled auto"},
	    {"semaphore", "--initial 3 --max 5", "3 of 5"},
	    {"mutex", "", "free"},
	    {"timer", "", NULL},
	    {"job", "", NULL},
	};
	struct sys *sys = *state;

	sys_mount(sys, "size=64m");
	check(object_make(sys, "memory", WIRE_SET_SIZE, 4096, -1), mapping);
	is(sys_path(sys, "memory"), "type", "mapping");
	is(sys_path(sys, "memory"), "commit", "4096");
	close(open(sys_path(sys, "plain"), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	check(sys_path(sys, "plain"), mapping);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		const char *path = sys_path(sys, "%s", types[i].type);

		if (sys_shell(sys, "mapctl create %s --type %s %s", path, types[i].type,
			      types[i].options) != 0)
			fail_msg("mapctl create --type %s: %s", types[i].type, sys->output);
		check(path, waitable);
		is(path, "type", types[i].type);
		is(path, "handles", "0");
		is(path, "lifetime", "permanent");
		if (types[i].state)
			is(path, "state", types[i].state);
		assert_int_equal(setxattr(path, PREFIX "lifetime", "handle", 6, 0), 0);
		is(path, "lifetime", "handle");
		assert_int_equal(setxattr(path, PREFIX "lifetime", "permanent", 9, 0), 0);
	}
}

static void others_have_none(void **state)
{
	struct sys *sys = *state;
	char got[256];

	sys_mount(sys, NULL);
	assert_int_equal(mkdir(sys_path(sys, "dir"), 0755), 0);
	assert_int_equal(mkfifo(sys_path(sys, "fifo"), 0644), 0);
	assert_int_equal(symlink("x", sys_path(sys, "link")), 0);
	check(sys_path(sys, "dir"), "");
	list_of(sys_path(sys, "fifo"), got, sizeof got);
	assert_string_equal(got, "");
	list_of(sys_path(sys, "link"), got, sizeof got);
	assert_string_equal(got, "");
	assert_int_equal(setxattr(sys_path(sys, "dir"), PREFIX "lifetime", "handle", 6, 0), 0);
	check(sys_path(sys, "dir"), "lifetime");
	assert_int_equal(sys_shell(sys, "getfattr -d %s", sys_path(sys, "dir")), 0);
	assert_non_null(strstr(sys->output, "user.mapping.lifetime=\"handle\""));
	assert_int_equal(removexattr(sys_path(sys, "dir"), PREFIX "lifetime"), 0);
	check(sys_path(sys, "dir"), "");
}

/* --- the creator --- */

static int create_as_user(void *context)
{
	const char *path = context;
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	CHECK(setegid(gid) == 0 && seteuid(uid) == 0);
	CHECK(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644) >= 0);
	return 0;
}

static double now(void)
{
	return (double)clock_ns(CLOCK_REALTIME) / 1e9;
}

/* Names and inodes that nobody uses are forgotten by the kernel. */
static void forget_all(struct sys *sys)
{
	assert_int_equal(sys_shell(sys, "echo 2 >/proc/sys/vm/drop_caches"), 0);
	WAIT_UNTIL(10, sys_status_number(sys, "objects_known") <= 1);
}

static void creator_is_kept(void **state)
{
	struct sys *sys = *state;
	char path[300], options[200], expected[64];
	double before = now(), time;
	AUTO_FREE char *first = NULL;
	pid_t pid;
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	snprintf(options, sizeof options, "store=%s/store", sys->dir);
	assert_int_equal(sys_shell(sys, "mkdir %s/store", sys->dir), 0);
	sys_mount(sys, options);
	assert_int_equal(chmod(sys->mnt, 01777), 0);
	snprintf(path, sizeof path, "%s/object", sys->mnt);
	pid = sys_fork(sys, create_as_user, path);
	assert_int_equal(sys_wait(sys, pid), 0);
	first = sys_xattr(path, PREFIX "creator");
	assert_non_null(first);
	snprintf(expected, sizeof expected, "%u %d ", uid, pid);
	assert_int_equal(strncmp(first, expected, strlen(expected)), 0);
	time = atof(first + strlen(expected));
	assert_true(time >= before - 1 && time <= now() + 1);

	assert_int_equal(chown(path, 0, 0), 0); /* who owns it is another matter */
	sys_kill_worker(sys);
	is(path, "creator", first);
	forget_all(sys);
	is(path, "creator", first);
	assert_int_equal(rename(path, sys_path(sys, "moved")), 0);
	forget_all(sys);
	sys_kill_worker(sys);
	is(sys_path(sys, "moved"), "creator", first);
	sys_unmount(sys);
	sys_mount(sys, options);
	is(sys_path(sys, "moved"), "creator", first);
}

/* Put there past us: nobody knows. */
static void creator_is_not_made_up(void **state)
{
	struct sys *sys = *state;
	char options[200];

	snprintf(options, sizeof options, "store=%s/store", sys->dir);
	assert_int_equal(sys_shell(sys, "mkdir -p %s/store", sys->dir), 0);
	sys_mount(sys, options);
	sys_unmount(sys);
	assert_int_equal(sys_shell(sys, "echo text >%s/store/tree/file", sys->dir), 0);
	sys_mount(sys, options);
	check(sys_path(sys, "file"), "backing commit flush handles lifetime type views");
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(each_type_has_its_own),
    SYS_TEST_BOTH_MODES(others_have_none),
    SYS_TEST_BOTH_MODES(creator_is_kept),
    SYS_TEST_BOTH_MODES(creator_is_not_made_up),
};

int main(void)
{
	return sys_run_tests("xattrs", tests);
}
