/* What `mapctl watch` tells: exactly what happened, in this order. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/sys/objects.h"
#include "tests/sys/watcher.h"

enum { SIZE = 1 << 20, RW = PROT_READ | PROT_WRITE };

static struct watcher watcher;

static int open_in(struct sys *sys, const char *name, int flags)
{
	int fd = open(sys_path(sys, "%s", name), flags | O_CLOEXEC, 0600);

	if (fd < 0)
		fail_msg("%s: %s", name, strerror(errno));
	return fd;
}

static void a_life(void **state)
{
	struct sys *sys = *state;
	char *view;
	int fd;

	sys_mount(sys, NULL);
	watcher_start(&watcher, sys, 0, "");
	fd = open_in(sys, "a", O_RDWR | O_CREAT);
	watcher_expect(&watcher, "created a\nopened a rw\n");
	assert_int_equal(ftruncate(fd, SIZE), 0);
	view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	close(fd);
	memset(view, 'x', SIZE);
	close(open_in(sys, "a", O_RDONLY));
	watcher_expect(&watcher, "opened a r\n"); /* the view is left */
	munmap(view, SIZE);
	watcher_expect(&watcher, "last-view a\n");
	close(open_in(sys, "a", O_WRONLY));
	watcher_expect(&watcher, "opened a w\nlast-view a\n");
	assert_int_equal(unlink(sys_path(sys, "a")), 0);
	watcher_expect(&watcher, "removed a unlink 0\n");
	watcher_end(&watcher);
}

static void names(void **state)
{
	struct sys *sys = *state;
	int fd;

	sys_mount(sys, NULL);
	watcher_start(&watcher, sys, 0, "");
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	assert_int_equal(mknod(sys_path(sys, "d/a"), S_IFREG | 0600, 0), 0);
	assert_int_equal(link(sys_path(sys, "d/a"), sys_path(sys, "b")), 0);
	watcher_expect(&watcher, "created d/a\nlinked b\n");
	assert_int_equal(unlink(sys_path(sys, "d/a")), 0);
	watcher_expect(&watcher, "removed d/a unlink 1\n");
	assert_int_equal(mknod(sys_path(sys, "d/\"\\\t\xff"), S_IFREG | 0600, 0), 0);
	assert_int_equal(rename(sys_path(sys, "b"), sys_path(sys, "d/\"\\\t\xff")), 0);
	watcher_expect(&watcher, "created d/\"\\\t\xef\xbf\xbd\n"
				 "removed d/\"\\\t\xef\xbf\xbd replaced 0\n"
				 "renamed d/\"\\\t\xef\xbf\xbd<b\n");
	assert_int_equal(rename(sys_path(sys, "d"), sys_path(sys, "e")), 0);
	watcher_expect(&watcher, "renamed e<d [directory]\n");
	/* A directory's objects are told with its name of now; without a name there is none. */
	fd = open_in(sys, "e/\"\\\t\xff", O_RDONLY);
	assert_int_equal(unlink(sys_path(sys, "e/\"\\\t\xff")), 0);
	close(fd);
	watcher_expect(&watcher, "opened e/\"\\\t\xef\xbf\xbd r\n"
				 "removed e/\"\\\t\xef\xbf\xbd unlink 0\nlast-view -\n");
	watcher_end(&watcher);
}

static int hold_a_view(void *context)
{
	AUTO_CLOSE int fd = open(context, O_RDWR | O_CLOEXEC);
	char *view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);

	CHECK(view != MAP_FAILED);
	close(steal_fd(&fd));
	view[0] = 'h';
	for (;;)
		pause();
}

static void a_holder_is_killed(void **state)
{
	struct sys *sys = *state;
	pid_t one, two;

	sys_mount(sys, NULL);
	object_make(sys, "a", WIRE_SET_SIZE, SIZE, -1);
	watcher_start(&watcher, sys, 0, "");
	one = sys_fork(sys, hold_a_view, (void *)sys_path(sys, "a"));
	watcher_expect(&watcher, "opened a rw\n");
	two = sys_fork(sys, hold_a_view, (void *)sys_path(sys, "a"));
	watcher_expect(&watcher, "opened a rw\n");
	sys_kill(sys, one);
	watcher_expect(&watcher, "");
	sys_kill(sys, two);
	watcher_expect(&watcher, "last-view a\n");
	watcher_end(&watcher);
}

/* Opened, mapped and closed before anybody watched. */
static void the_watcher_comes_late(void **state)
{
	struct sys *sys = *state;
	const char *path;
	char *view;

	sys_mount(sys, NULL);
	path = object_make(sys, "a", WIRE_SET_SIZE, SIZE, -1);
	object_make(sys, "idle", WIRE_SET_SIZE, SIZE, -1);
	munmap(view_of(sys_path(sys, "idle"), O_RDWR, SIZE, RW, MAP_SHARED), SIZE);
	view = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);
	view[0] = 'x';
	watcher_start(&watcher, sys, 0, "");
	watcher_expect(&watcher, "");
	munmap(view, SIZE);
	watcher_expect(&watcher, "last-view a\n");
	watcher_end(&watcher);
}

static void lifetimes(void **state)
{
	struct sys *sys = *state;
	char *view;

	sys_mount(sys, NULL);
	watcher_start(&watcher, sys, 0, "");
	assert_int_equal(
	    sys_shell(sys, "mapctl --mount %s create t --size 1M --temporary", sys->mnt), 0);
	watcher_expect(&watcher, "created t\n");
	view = view_of(sys_path(sys, "t"), O_RDWR, SIZE, RW, MAP_SHARED);
	watcher_expect(&watcher, "opened t rw\n");
	munmap(view, SIZE);
	watcher_expect(&watcher, "last-view t\nremoved t temporary 0\n");
	assert_int_equal(
	    sys_shell(sys, "mapctl --mount %s create h --size 1M --lifetime handle", sys->mnt), 0);
	view = view_of(sys_path(sys, "h"), O_RDWR, SIZE, RW, MAP_SHARED);
	if (sys->mode == SYS_PASSTHROUGH) {
		watcher_expect(&watcher, "created h\nopened h rw\nremoved h handle 0\n");
		munmap(view, SIZE);
		watcher_expect(&watcher, "last-view -\n");
	} else {
		watcher_expect(&watcher, "created h\nopened h rw\n");
		munmap(view, SIZE);
		watcher_expect(&watcher, "last-view h\nremoved h temporary 0\n");
	}
	watcher_end(&watcher);
}

static void waitables(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, NULL);
	watcher_start(&watcher, sys, 0, "");
	assert_int_equal(sys_shell(sys,
				   "cd %s; mapctl create e --type event --set && cat e && "
				   "mapctl create s --type semaphore --initial 1 --max 2 && rm s e",
				   sys->mnt),
			 0);
	watcher_expect(&watcher, "created e [event]\nopened e r [event]\ncreated s [semaphore]\n"
				 "removed s unlink 0 [semaphore]\nremoved e unlink 0 [event]\n");
	watcher_end(&watcher);
}

static void flushes(void **state)
{
	struct sys *sys = *state;
	char *view;
	int fd;

	sys_mount(sys, NULL);
	AUTO_CLOSE int file = make_plain_file(sys, "data", SIZE, NULL);
	object_make(sys, "b", WIRE_BIND, 0, file);
	watcher_start(&watcher, sys, 0, "");
	fd = open_in(sys, "b", O_RDWR);
	view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	assert_int_equal(fsync(fd), 0);
	watcher_expect(&watcher, "opened b rw\nflushed b fsync\n");
	close(fd);
	view[5] = 'x';
	munmap(view, SIZE);
	watcher_expect(&watcher, "last-view b\nflushed b last-view\n");
	watcher_end(&watcher);
}

/* ext4 on a loop device whose own file cannot grow. */
static void a_flush_fails(void **state)
{
	enum { BIG = 8 << 20 };
	struct sys *sys = *state;
	const char *words;
	char *view;

	sys_mount(sys, NULL);
	if (sys_shell(
		sys,
		"set -e; cd %s; mkdir small big; mount -t tmpfs -o size=16m small small\n"
		"truncate -s 64m small/image; mkfs.ext4 -q -O ^has_journal small/image\n"
		"mount -o loop small/image big; fallocate -l 8m big/file; sync\n"
		"mapctl --mount mnt create b --file big/file; cat /dev/zero >small/filler ||:",
		sys->dir) != 0)
		sys_skip("no loop device here: %s", sys->output);
	watcher_start(&watcher, sys, 0, "");
	view = view_of(sys_path(sys, "b"), O_RDWR, BIG, RW, MAP_SHARED);
	memset(view, 'x', BIG);
	munmap(view, BIG);
	assert_string_equal(watcher_next(&watcher, 10), "opened b rw");
	assert_string_equal(watcher_next(&watcher, 10), "last-view b");
	words = watcher_next(&watcher, 20);
	assert_non_null(words);
	if (strcmp(words, "failed b EIO last-view") && strcmp(words, "failed b ENOSPC last-view"))
		fail_msg("told: %s", words);
	assert_int_equal(sys_shell(sys, "rm %s/small/filler", sys->dir), 0);
	while ((words = watcher_next(&watcher, 20)) && !strncmp(words, "failed", 6))
		continue;
	assert_non_null(words);
	assert_string_equal(words, "flushed b last-view"); /* tried again */
	watcher_end(&watcher);
	assert_int_equal(unlink(sys_path(sys, "b")), 0);
	WAIT_UNTIL(10, sys_status_number(sys, "bound_files") == 0);
	assert_int_equal(sys_shell(sys, "cd %s; umount big && umount small", sys->dir), 0);
}

static void plain_words(void **state)
{
	struct sys *sys = *state;
	char line[256] = "";
	int output;
	pid_t pid;

	sys_mount(sys, NULL);
	pid = sys_start(sys, NULL, &output, "exec mapctl --mount %s watch --plain", sys->mnt);
	fcntl(output, F_SETFL, O_NONBLOCK);
	WAIT_UNTIL(10, (mknod(sys_path(sys, "a b"), S_IFREG | 0600, 0),
			unlink(sys_path(sys, "a b")), read(output, line, sizeof line - 1) > 0));
	*strchr(line, '\n') = '\0';
	assert_true(strlen(line) > 24);
	/* Watching may begin between the two. */
	if (strcmp(line + 23, "  removed    a b  unlink") != 0)
		assert_string_equal(line + 23, "  created    a b");
	close(output);
	assert_int_equal(sys_wait(sys, pid), 0);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(a_life),
    SYS_TEST_BOTH_MODES(names),
    SYS_TEST_BOTH_MODES(a_holder_is_killed),
    SYS_TEST_BOTH_MODES(the_watcher_comes_late),
    SYS_TEST_BOTH_MODES(lifetimes),
    SYS_TEST_BOTH_MODES(waitables),
    SYS_TEST_BOTH_MODES(flushes),
    SYS_TEST_BOTH_MODES(a_flush_fails),
    SYS_TEST_CACHED(plain_words),
};

int main(void)
{
	return sys_run_tests("watch", tests);
}
