/* store=DIR after everything has died or been unmounted: permanent objects are there again, with
 * what they are bound to. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/sys/objects.h"

enum { BYTES = 3 * 4096 };

static void mount_store(struct sys *sys)
{
	char options[120];

	snprintf(options, sizeof options, "store=%s/store", sys->dir);
	sys_mount(sys, options);
}

static void remount(struct sys *sys)
{
	sys_unmount(sys);
	mount_store(sys);
}

static void bind_file(struct sys *sys, const char *name, const char *file, bool read_only)
{
	int fd = make_plain_file(sys, file, BYTES, NULL);

	object_make(sys, name, WIRE_BIND | (read_only ? WIRE_READ_ONLY : 0), 0, fd);
	close(fd);
}

static void assert_backing(struct sys *sys, const char *name, const char *kind, const char *file)
{
	AUTO_FREE char *text = sys_xattr(sys_path(sys, "%s", name), "user.mapping.backing");
	char wanted[300];

	snprintf(wanted, sizeof wanted, "%s%s/%s", kind, sys->dir, file);
	assert_non_null(text);
	assert_string_equal(text, wanted);
}

static void assert_missing(struct sys *sys, const char *name, const char *file)
{
	assert_backing(sys, name, "file missing: ", file);
	assert_int_equal(open(sys_path(sys, "%s", name), O_RDONLY), -1);
	assert_int_equal(errno, ENXIO);
}

/* What is stored through a view is in the file. */
static void assert_works(struct sys *sys, const char *name, const char *file, char mark)
{
	char path[300], byte = 0;
	unsigned char *view =
	    view_of(sys_path(sys, "%s", name), O_RDWR, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED);
	AUTO_CLOSE int fd = -1;

	assert_true(has_pattern(view, 1, BYTES));
	view[0] = (unsigned char)mark;
	assert_int_equal(munmap(view, BYTES), 0);
	assert_int_equal(sys_shell(sys, "mapctl flush %s", sys_path(sys, "%s", name)), 0);
	snprintf(path, sizeof path, "%s/%s", sys->dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, mark);
}

static unsigned noted(struct sys *sys)
{
	assert_int_equal(sys_shell(sys, "ls %s/store/bindings | wc -l", sys->dir), 0);
	return (unsigned)atoi(sys->output);
}

static void bindings_survive(void **state)
{
	struct sys *sys = *state;

	mount_store(sys);
	bind_file(sys, "rw", "one", false);
	bind_file(sys, "ro", "two", true);
	assert_works(sys, "rw", "one", 'a');
	for (int i = 0; i < 2; i++) {
		remount(sys);
		assert_backing(sys, "rw", "file:", "one");
		assert_backing(sys, "ro", "file-ro:", "two");
		assert_works(sys, "rw", "one", (char)('b' + i));
		sys_kill_worker(sys);
		assert_works(sys, "rw", "one", (char)('d' + i));
		assert_int_equal(open(sys_path(sys, "ro"), O_RDWR), -1);
		assert_int_equal(errno, EACCES);
	}
	/* New ones do not get an old number. */
	bind_file(sys, "third", "three", false);
	remount(sys);
	assert_backing(sys, "third", "file:", "three");
	assert_backing(sys, "rw", "file:", "one");
	assert_int_equal(noted(sys), 3);
	assert_int_equal(unlink(sys_path(sys, "rw")), 0);
	sys_unmount(sys);
	assert_int_equal(noted(sys), 2);
}

/* Only the very inode counts. */
static void the_same_inode_or_none(void **state)
{
	struct sys *sys = *state;

	mount_store(sys);
	assert_int_equal(sys_shell(sys, "mkdir %s/in", sys->dir), 0);
	bind_file(sys, "moved", "in/moved", false);
	bind_file(sys, "replaced", "replaced", false);
	bind_file(sys, "linked", "linked", false);
	sys_unmount(sys);
	assert_int_equal(sys_shell(sys,
				   "cd %s && mv in/moved elsewhere && rmdir in && "
				   "mv replaced kept && cp kept replaced && "
				   "mkdir x && mv kept x && mv linked x && ln -s x/linked linked",
				   sys->dir),
			 0);
	mount_store(sys);
	/* By their handles. */
	assert_backing(sys, "moved", "file:", "elsewhere");
	assert_backing(sys, "replaced", "file:", "x/kept");
	assert_works(sys, "moved", "elsewhere", 'm');
	assert_backing(sys, "linked", "file:", "x/linked");
	sys_unmount(sys);
	assert_int_equal(sys_shell(sys,
				   "cd %s && rm x/kept && mkfifo pipe && rm linked && "
				   "mv pipe linked && rm x/linked",
				   sys->dir),
			 0);
	mount_store(sys);
	assert_missing(sys, "replaced", "replaced");
	assert_missing(sys, "linked", "linked");
	assert_int_equal(noted(sys), 3);
	assert_int_equal(unlink(sys_path(sys, "replaced")), 0);
}

/* On a file system that is not mounted, until it is again. */
static void back_with_its_file_system(void **state)
{
	struct sys *sys = *state;

	if (geteuid() != 0 || access("/dev/loop-control", F_OK) < 0)
		sys_skip("no loop devices here");
	assert_int_equal(sys_shell(sys,
				   "cd %s && mkdir ext && truncate -s 16M image && "
				   "mkfs.ext4 -q -F image && mount -o loop image ext",
				   sys->dir),
			 0);
	mount_store(sys);
	bind_file(sys, "a", "ext/a", false);
	sys_unmount(sys);
	assert_int_equal(sys_shell(sys, "umount %s/ext && cp -r %s/one %s/ext/a 2>/dev/null; true",
				   sys->dir, sys->dir, sys->dir),
			 0);
	mount_store(sys);
	assert_missing(sys, "a", "ext/a");
	sys_unmount(sys);
	assert_int_equal(sys_shell(sys, "cd %s && mount -o loop image ext", sys->dir), 0);
	mount_store(sys);
	assert_works(sys, "a", "ext/a", 'z');
	sys_unmount(sys);
	assert_int_equal(sys_shell(sys, "umount %s/ext", sys->dir), 0);
}

/* What others may write in is not believed. */
static void not_from_others(void **state)
{
	struct sys *sys = *state;

	mount_store(sys);
	bind_file(sys, "a", "one", false);
	sys_unmount(sys);
	assert_int_equal(sys_shell(sys, "chmod 0777 %s/store", sys->dir), 0);
	mount_store(sys);
	assert_missing(sys, "a", "one");
	sys_unmount(sys);
	assert_int_equal(sys_shell(sys, "chmod 0700 %s/store", sys->dir), 0);
	mount_store(sys);
	assert_works(sys, "a", "one", 'y');
}

static bool is_dead(struct sys *sys)
{
	AUTO_FREE char *text = sys_xattr(sys->mnt, "user.mapping.status");

	return !text && errno == ENOTCONN;
}

/* Worker and supervisor die at once; the next mount has all again. */
static void all_die(void **state)
{
	struct sys *sys = *state;
	unsigned back = 0;

	mount_store(sys);
	assert_int_equal(
	    sys_shell(sys,
		      "cd %s && mkdir d t && setfattr -n user.mapping.lifetime -v "
		      "temporary t && for i in 1 2 3 4 5 6 7 8; do echo plain$i >d/$i; "
		      "done && mapctl create sem --type semaphore --initial 3 --max 9 "
		      "&& mapctl create big --size 1M --sparse",
		      sys->mnt),
	    0);
	bind_file(sys, "bound", "one", false);
	int held = open(sys_path(sys, "t/held"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(held >= 0);
	pid_t worker = sys_worker(sys);
	assert_true(worker > 0 && sys->supervisor > 0);
	kill(sys->supervisor, SIGSTOP); /* or it would make another standby */
	assert_true(sys_standby(sys) > 1);
	kill(sys_standby(sys), SIGKILL);
	assert_int_equal(kill(sys->supervisor, SIGKILL), 0);
	assert_int_equal(kill(worker, SIGKILL), 0);
	close(held);
	WAIT_UNTIL(20, is_dead(sys));
	assert_int_equal(umount2(sys->mnt, MNT_DETACH), 0);
	if (sys->supervisor_pidfd >= 0)
		close(sys->supervisor_pidfd);
	sys->supervisor_pidfd = -1;
	mount_store(sys);
	for (int i = 1; i <= 8; i++) {
		assert_int_equal(sys_shell(sys, "cat %s/d/%d", sys->mnt, i), 0);
		char wanted[16];
		snprintf(wanted, sizeof wanted, "plain%d\n", i);
		assert_string_equal(sys->output, wanted);
		back++;
	}
	assert_true(text_xattr_is(sys_path(sys, "sem"), "user.mapping.state", "3 of 9"));
	assert_true(text_xattr_is(sys_path(sys, "big"), "user.mapping.backing", "sparse"));
	assert_int_equal(size_of(sys_path(sys, "big")), 1 << 20);
	assert_works(sys, "bound", "one", 'q');
	assert_true(text_xattr_is(sys_path(sys, "t"), "user.mapping.lifetime", "temporary"));
	assert_int_equal(sys_shell(sys, "ls -A %s/t %s/store/orphans", sys->mnt, sys->dir), 0);
	assert_null(strstr(sys->output, "held"));
	sys_say("%u objects are back, and 3 of other kinds; no temporary one", back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_BOTH_MODES(bindings_survive),
	    SYS_TEST_BOTH_MODES(the_same_inode_or_none),
	    SYS_TEST_PASSTHROUGH(back_with_its_file_system),
	    SYS_TEST_PASSTHROUGH(not_from_others),
	    SYS_TEST_BOTH_MODES(all_die),
	};

	return sys_run_tests("store: bound", tests);
}
