/* Where an object's lifetime comes from: the call, the directory, the mount; and that it can be
 * changed in the middle of a life. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/sys/objects.h"

enum { RW = PROT_READ | PROT_WRITE, SIZE = 1 << 16 };

#define LIFETIME "user.mapping.lifetime"

#define GOES(path)  WAIT_UNTIL(5, size_of(path) < 0)
#define STAYS(path) assert_false(BECOMES_TRUE(0.2, size_of(path) < 0))

static int set(const char *path, const char *lifetime)
{
	return setxattr(path, LIFETIME, lifetime, strlen(lifetime), 0) < 0 ? -errno : 0;
}

static void assert_lifetime(const char *path, const char *expected)
{
	AUTO_FREE char *got = sys_xattr(path, LIFETIME);

	if (!got || strcmp(got, expected) != 0)
		fail_msg("%s is %s, not %s", path, got ? got : "without a lifetime", expected);
}

static int created(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		fail_msg("cannot create %s: %s", path, strerror(errno));
	return fd;
}

/* open(O_TMPFILE), then its first name. */
static int linked(const char *directory, const char *path)
{
	char self[64];
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);

	if (fd < 0)
		fail_msg("O_TMPFILE in %s: %s", directory, strerror(errno));
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
		fail_msg("cannot link %s: %s", path, strerror(errno));
	return fd;
}

/* Every way to make an object in a directory gives it this lifetime, unless it says otherwise. */
static void check_every_way(struct sys *sys, const char *directory, const char *lifetime)
{
	bool ends = strcmp(lifetime, "permanent") != 0;
	char path[4][300];
	int fds[3];

	for (int i = 0; i < 4; i++)
		snprintf(path[i], sizeof path[i], "%s/object%d", directory, i);
	fds[0] = created(path[0]);
	assert_int_equal(mknod(path[1], S_IFREG | 0644, 0), 0);
	fds[1] = open(path[1], O_RDONLY | O_CLOEXEC);
	fds[2] = linked(directory, path[2]);
	assert_int_equal(object_create(sys->mnt, path[3], 0644, WIRE_SET_SIZE, SIZE, -1), 0);
	for (int i = 0; i < 4; i++)
		assert_lifetime(path[i], lifetime);
	STAYS(path[3]); /* nobody had it open yet */
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	close(open(path[3], O_RDONLY | O_CLOEXEC));
	for (int i = 0; i < 4; i++) {
		if (ends)
			GOES(path[i]);
		else
			assert_int_equal(unlink(path[i]), 0);
	}
	assert_int_equal(object_create(sys->mnt, path[0], 0644,
				       WIRE_SET_SIZE | (ends ? WIRE_PERMANENT : WIRE_TEMPORARY),
				       SIZE, -1),
			 0);
	assert_lifetime(path[0], ends ? "permanent" : "temporary");
	assert_int_equal(unlink(path[0]), 0);
}

static void mount_with(struct sys *sys, const char *lifetime)
{
	char options[64];

	snprintf(options, sizeof options, "size=64m,lifetime=%s", lifetime);
	sys_mount(sys, options);
}

static void only_objects_have_one(struct sys *sys)
{
	const char *fifo = sys_path(sys, "fifo"), *link = sys_path(sys, "link");

	assert_int_equal(mkfifo(fifo, 0644), 0);
	assert_int_equal(symlink("fifo", link), 0);
	assert_int_equal(lgetxattr(fifo, LIFETIME, NULL, 0), -1);
	assert_int_equal(lgetxattr(link, LIFETIME, NULL, 0), -1);
	STAYS(fifo);
	assert_int_equal(unlink(fifo), 0);
	assert_int_equal(unlink(link), 0);
}

static void permanent_by_mount(void **state)
{
	mount_with(*state, "permanent");
	check_every_way(*state, ((struct sys *)*state)->mnt, "permanent");
}

static void temporary_by_mount(void **state)
{
	mount_with(*state, "temporary");
	check_every_way(*state, ((struct sys *)*state)->mnt, "temporary");
	only_objects_have_one(*state);
}

static void handle_by_mount(void **state)
{
	mount_with(*state, "handle");
	check_every_way(*state, ((struct sys *)*state)->mnt, "handle");
	only_objects_have_one(*state);
}

static void status_says_what_handle_means(void **state)
{
	struct sys *sys = *state;
	json_t *status;
	const char *text;

	sys_mount(sys, NULL);
	status = sys_status(sys);
	text = json_string_value(json_object_get(status, "handle_lifetime"));
	assert_non_null(text);
	if (sys->mode == SYS_PASSTHROUGH)
		assert_string_equal(text, "handle");
	else
		assert_true(strncmp(text, "temporary: ", 11) == 0 && strlen(text) > 20);
	json_decref(status);
}

/* --- by directory --- */

static void directories_give_it(void **state)
{
	struct sys *sys = *state;
	char dir[300], sub[300], deep[300], moved[300];
	int fd;

	sys_mount(sys, "size=64m");
	snprintf(dir, sizeof dir, "%s/dir", sys->mnt);
	snprintf(sub, sizeof sub, "%s/dir/sub", sys->mnt);
	snprintf(deep, sizeof deep, "%s/dir/sub/deep", sys->mnt);
	snprintf(moved, sizeof moved, "%s/moved", sys->mnt);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(getxattr(dir, LIFETIME, NULL, 0), -1);
	assert_int_equal(errno, ENODATA);
	assert_int_equal(set(dir, "eternal"), -EINVAL);
	assert_int_equal(set(dir, ""), -EINVAL);
	assert_int_equal(set(dir, "temporary"), 0);
	check_every_way(sys, dir, "temporary");
	check_every_way(sys, sys->mnt, "permanent");
	assert_int_equal(mkdir(sub, 0755), 0);
	assert_int_equal(set(dir, "handle"), 0);
	assert_int_equal(mkdir(deep, 0755), 0);
	assert_lifetime(deep, "temporary"); /* its parent's, as of mkdir */
	sys_kill_worker(sys);
	check_every_way(sys, deep, "temporary");
	check_every_way(sys, dir, "handle");
	assert_int_equal(rename(deep, moved), 0); /* it is the directory's own */
	check_every_way(sys, moved, "temporary");
	fd = created(sys_path(sys, "dir/file"));
	assert_int_equal(rename(sys_path(sys, "dir/file"), sys_path(sys, "file")), 0);
	assert_lifetime(sys_path(sys, "file"), "handle"); /* the object's own */
	close(fd);
	GOES(sys_path(sys, "file"));
	assert_int_equal(removexattr(dir, LIFETIME), 0);
	assert_int_equal(removexattr(dir, LIFETIME), -1);
	assert_int_equal(errno, ENODATA);
	check_every_way(sys, dir, "permanent");
	check_every_way(sys, sub, "temporary");
}

static void nearer_than_the_mounts(void **state)
{
	struct sys *sys = *state;
	char dir[300];

	sys_mount(sys, "size=64m,lifetime=handle");
	snprintf(dir, sizeof dir, "%s/dir", sys->mnt);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(getxattr(dir, LIFETIME, NULL, 0), -1);
	assert_int_equal(set(dir, "permanent"), 0);
	check_every_way(sys, dir, "permanent");
	assert_int_equal(set(sys->mnt, "temporary"), 0);
	check_every_way(sys, sys->mnt, "temporary");
	assert_int_equal(removexattr(sys->mnt, LIFETIME), 0);
	check_every_way(sys, sys->mnt, "handle");
}

static int as_stranger(void *context)
{
	const char *dir = context;
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	CHECK(setegid(gid) == 0 && seteuid(uid) == 0);
	CHECK(set(dir, "temporary") == -EPERM);
	CHECK(removexattr(dir, LIFETIME) == -1 && errno == EPERM);
	return 0;
}

static int as_owner(void *context)
{
	const char *dir = context;
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	CHECK(setegid(gid) == 0 && seteuid(uid) == 0);
	CHECK(set(dir, "temporary") == 0);
	CHECK(removexattr(dir, LIFETIME) == 0);
	CHECK(set(dir, "handle") == 0);
	return 0;
}

static void only_by_the_directorys_owner(void **state)
{
	struct sys *sys = *state;
	const char *dir = sys_path(sys, "dir");
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	sys_mount(sys, NULL);
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_int_equal(chmod(dir, 0777), 0); /* who may write in it may still not */
	assert_int_equal(set(dir, "handle"), 0);
	assert_int_equal(sys_wait(sys, sys_fork(sys, as_stranger, (void *)(uintptr_t)dir)), 0);
	assert_lifetime(dir, "handle");
	assert_int_equal(chown(dir, uid, gid), 0);
	assert_int_equal(sys_wait(sys, sys_fork(sys, as_owner, (void *)(uintptr_t)dir)), 0);
	assert_lifetime(dir, "handle");
	assert_int_equal(set(dir, "permanent"), 0); /* root always */
}

static void kept_in_a_store(void **state)
{
	struct sys *sys = *state;
	char store[100], options[200];

	snprintf(store, sizeof store, "%s/store", sys->dir);
	snprintf(options, sizeof options, "store=%s", store);
	assert_int_equal(mkdir(store, 0700), 0);
	sys_mount(sys, options);
	assert_int_equal(mkdir(sys_path(sys, "dir"), 0755), 0);
	assert_int_equal(set(sys_path(sys, "dir"), "handle"), 0);
	assert_int_equal(mkdir(sys_path(sys, "dir/sub"), 0755), 0);
	assert_int_equal(set(sys->mnt, "temporary"), 0);
	sys_unmount(sys);
	sys_mount(sys, options);
	assert_lifetime(sys->mnt, "temporary");
	assert_lifetime(sys_path(sys, "dir"), "handle");
	check_every_way(sys, sys_path(sys, "dir/sub"), "handle");
}

/* --- in the middle of a life --- */

/* The kernel was told that the name of a permanent object stays: it must not go on believing it. */
static void name_is_not_believed(void **state)
{
	struct sys *sys = *state;
	const char *path = sys_path(sys, "x");
	struct stat old, st;
	char *view;
	int fd, again;

	sys_mount(sys, "size=64m");
	fd = created(path);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_int_equal(fstat(fd, &old), 0);
	view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	strcpy(view, "old");
	close(fd);
	if (sys->mode == SYS_PASSTHROUGH) {
		assert_int_equal(set(path, "handle"), -EBUSY); /* it has no handle to go with */
		assert_lifetime(path, "permanent");
	}
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(set(path, "handle"), 0);
	assert_lifetime(path, "handle");
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	if (sys->mode == SYS_CACHED) {
		STAYS(path);
		munmap(view, SIZE);
		GOES(path);
		return;
	}
	/* At once, by every call that takes a name. */
	assert_int_equal(open(path, O_RDWR | O_CLOEXEC), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(truncate(path, 0), -1);
	assert_int_equal(unlink(path), -1);
	assert_int_equal(errno, ENOENT);
	again = created(path);
	assert_int_equal(fstat(again, &st), 0);
	assert_int_not_equal(st.st_ino, old.st_ino);
	assert_int_equal(st.st_size, 0);
	assert_string_equal(view, "old");
	munmap(view, SIZE);
	close(again);
	STAYS(path); /* made by a plain call, where the default is permanent */
}

/* close(2), and the name is free: who asks for it next gets a new object, every time. */
static void free_as_soon_as_closed(void **state)
{
	enum { TIMES = 300 };
	struct sys *sys = *state;
	const char *path = sys_path(sys, "x");
	static char *views[TIMES];

	sys_mount(sys, "size=64m,lifetime=handle");
	for (int i = 0; i < TIMES; i++) {
		int fd = created(path);

		assert_int_equal(ftruncate(fd, 4096), 0);
		views[i] = mmap(NULL, 4096, RW, MAP_SHARED, fd, 0);
		assert_int_equal(views[i][0], 0);
		snprintf(views[i], 64, "%d", i);
		close(fd);
	}
	assert_int_equal(sys_status_number(sys, "committed_bytes"), TIMES * 4096);
	for (int i = 0; i < TIMES; i++) {
		assert_int_equal(atoi(views[i]), i);
		munmap(views[i], 4096);
	}
	WAIT_UNTIL(10, sys_status_number(sys, "committed_bytes") == 0);
	/* Nothing is remembered of them. */
	WAIT_UNTIL(10, sys_status_number(sys, "objects_known") <= 1);
}

/* --- many at once --- */

struct race {
	const char *path;
	volatile unsigned long opened, stale, made;
	volatile bool stop;
};

static int open_and_close(void *context)
{
	struct race *race = context;

	while (!race->stop) {
		int fd = open(race->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		struct stat st;
		char *view;

		if (fd < 0 && errno == ESTALE) {
			__atomic_add_fetch(&race->stale, 1, __ATOMIC_RELAXED);
			continue;
		}
		CHECK(fd >= 0);
		__atomic_add_fetch(&race->opened, 1, __ATOMIC_RELAXED);
		CHECK(fstat(fd, &st) == 0);
		if (st.st_size == 0)
			__atomic_add_fetch(&race->made, 1, __ATOMIC_RELAXED);
		CHECK(ftruncate(fd, SIZE) == 0);
		view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
		CHECK(view != MAP_FAILED);
		view[0] = 1;
		close(fd);
		view[SIZE - 1] = 1;
		munmap(view, SIZE);
	}
	return 0;
}

static void many_users_of_one_name(void **state)
{
	struct sys *sys = *state;
	struct race *race = mmap(NULL, sizeof *race, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[2];

	sys_mount(sys, "size=64m,lifetime=handle");
	race->path = sys_path(sys, "x");
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = sys_fork(sys, open_and_close, race);
	WAIT_UNTIL(30, race->opened > 2000 && race->made > 50);
	sys_kill_worker(sys);
	WAIT_UNTIL(30, race->opened > 4000);
	race->stop = true;
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		assert_int_equal(sys_wait(sys, pids[i]), 0);
	sys_say("%lu opened, %lu of them anew, %lu told to look again", race->opened, race->made,
		race->stale);
	GOES(race->path);
	WAIT_UNTIL(10, sys_status_number(sys, "committed_bytes") == 0);
	munmap(race, sizeof *race);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(permanent_by_mount),
    SYS_TEST_BOTH_MODES(temporary_by_mount),
    SYS_TEST_BOTH_MODES(handle_by_mount),
    SYS_TEST_BOTH_MODES(status_says_what_handle_means),
    SYS_TEST_BOTH_MODES(directories_give_it),
    SYS_TEST_BOTH_MODES(nearer_than_the_mounts),
    SYS_TEST_BOTH_MODES(only_by_the_directorys_owner),
    SYS_TEST_BOTH_MODES(kept_in_a_store),
    SYS_TEST_BOTH_MODES(name_is_not_believed),
    SYS_TEST_PASSTHROUGH(free_as_soon_as_closed),
    SYS_TEST_BOTH_MODES(many_users_of_one_name),
};

int main(void)
{
	return sys_run_tests("lifetimes_given", tests);
}
