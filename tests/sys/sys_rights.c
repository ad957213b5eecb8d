/* Who may do what to objects: read-only bindings, owners, groups and modes, umask and --mode, from
 * several users, and execution. What a plain tmpfs has as well is compared
 * with one in sys_tmpfs_rights.c and sys_tmpfs_acl.c. */
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/sys/objects.h"

enum { RW = PROT_READ | PROT_WRITE, SIZE = 1 << 16 };

/* --- as somebody else --- */

struct someone {
	uid_t uid;
	gid_t gid, extra; /* extra: a supplementary group, or 0 */
	int (*act)(const char *path);
	const char *path;
};

static int become_and_act(void *context)
{
	const struct someone *who = context;

	CHECK(setgroups(who->extra ? 1 : 0, &who->extra) == 0);
	CHECK(setresgid(who->gid, who->gid, who->gid) == 0);
	CHECK(setresuid(who->uid, who->uid, who->uid) == 0);
	return who->act(who->path);
}

static void as(struct sys *sys, uid_t uid, gid_t gid, gid_t extra, int (*act)(const char *path),
	       const char *path)
{
	struct someone who = {uid, gid, extra, act, path};

	if (sys_wait(sys, sys_fork(sys, become_and_act, &who)) != 0)
		fail_msg("as %u:%u (%u): see above", uid, gid, extra);
}

static int error_of_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int may_read_and_write(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char *view;

	CHECK(fd >= 0);
	view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	view[0]++;
	CHECK(error_of_open(path, O_RDONLY) == 0 && error_of_open(path, O_WRONLY) == 0);
	CHECK(truncate(path, SIZE) == 0);
	return 0;
}

static int may_only_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *view;

	CHECK(fd >= 0);
	CHECK(error_of_open(path, O_RDWR) == EACCES && error_of_open(path, O_WRONLY) == EACCES);
	CHECK(error_of_open(path, O_RDONLY | O_TRUNC) == EACCES);
	CHECK(truncate(path, 0) == -1 && errno == EACCES);
	CHECK(mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES);
	view = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	CHECK(mprotect(view, SIZE, RW) == -1 && errno == EACCES);
	CHECK(ftruncate(fd, 0) == -1 && errno == EINVAL);
	CHECK(write(fd, "x", 1) == -1 && errno == EBADF);
	view = mmap(NULL, SIZE, RW, MAP_PRIVATE, fd, 0);
	CHECK(view != MAP_FAILED);
	view[0]++;
	return 0;
}

static int may_nothing(const char *path)
{
	CHECK(error_of_open(path, O_RDONLY) == EACCES && error_of_open(path, O_RDWR) == EACCES &&
	      error_of_open(path, O_WRONLY) == EACCES);
	CHECK(truncate(path, 0) == -1 && errno == EACCES);
	CHECK(setxattr(path, "user.mapping.lifetime", "temporary", 9, 0) == -1);
	CHECK(getxattr(path, "user.mapping.type", NULL, 0) == -1 && errno == EACCES);
	CHECK(chmod(path, 0666) == -1 && errno == EPERM);
	CHECK(chown(path, getuid(), getgid()) == -1 && errno == EPERM);
	return 0;
}

/* Can neither read nor write, but change that. */
static int only_owns(const char *path)
{
	CHECK(error_of_open(path, O_RDONLY) == EACCES && error_of_open(path, O_WRONLY) == EACCES);
	CHECK(chmod(path, 0600) == 0);
	CHECK(error_of_open(path, O_RDWR) == 0);
	CHECK(chmod(path, 0006) == 0);
	return 0;
}

/* --- owner, group, mode --- */

static void modes_decide(void **state)
{
	struct sys *sys = *state;
	const char *path;

	sys_mount(sys, "size=64m");
	path = object_make(sys, "object", WIRE_SET_SIZE, SIZE, -1);
	assert_int_equal(chown(path, 1000, 2000), 0);
	assert_int_equal(chmod(path, 0640), 0);
	as(sys, 1000, 1000, 0, may_read_and_write, path);
	as(sys, 1001, 2000, 0, may_only_read, path);
	as(sys, 1001, 1001, 2000, may_only_read, path);
	as(sys, 1001, 1001, 2001, may_nothing, path);
	assert_int_equal(chmod(path, 0006), 0);
	as(sys, 1000, 1000, 0, only_owns, path);
	as(sys, 1001, 2000, 0, may_nothing, path);
	as(sys, 1001, 1001, 0, may_read_and_write, path);
	as(sys, 0, 0, 0, may_read_and_write, path);
	assert_int_equal(chmod(path, 0), 0);
	as(sys, 1001, 1001, 0, may_nothing, path);
	as(sys, 0, 0, 0, may_read_and_write, path);
}

/* A handle carries the right it was opened with, whoever has it; another needs the right anew. */
static int with_a_handle(const char *path)
{
	char self[64];
	char *view;
	int rw = 100, ro = 101;

	CHECK(error_of_open(path, O_RDONLY) == EACCES);
	view = mmap(NULL, SIZE, RW, MAP_SHARED, rw, 0);
	CHECK(view != MAP_FAILED);
	view[0]++;
	CHECK(mmap(NULL, SIZE, RW, MAP_SHARED, ro, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mmap(NULL, SIZE, PROT_READ, MAP_SHARED, ro, 0) != MAP_FAILED);
	snprintf(self, sizeof self, "/proc/self/fd/%d", ro);
	CHECK(error_of_open(self, O_RDWR) == EACCES && error_of_open(self, O_RDONLY) == EACCES);
	return 0;
}

static void handles_carry_rights(void **state)
{
	struct sys *sys = *state;
	const char *path;
	int fd;

	sys_mount(sys, "size=64m");
	path = object_make(sys, "object", WIRE_SET_SIZE, SIZE, -1);
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(dup2(fd, 100), 100);
	close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(dup2(fd, 101), 101);
	close(fd);
	as(sys, 1000, 1000, 0, with_a_handle, path);
	close(100);
	close(101);
}

static int create_plain(const char *path)
{
	int fd;

	umask(027);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	CHECK(fd >= 0);
	return 0;
}

static void assert_owner(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
	assert_int_equal(st.st_mode & 07777, mode);
}

static void umask_and_mode(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=64m");
	as(sys, 1000, 1001, 0, create_plain, sys_path(sys, "plain"));
	assert_owner(sys_path(sys, "plain"), 1000, 1001, 0640);
	assert_int_equal(sys_shell(sys,
				   "umask 077; cd %s && mapctl create %s/exact --size 4096 --mode "
				   "0664 --group 2000 && mapctl create %s/masked --size 4096",
				   sys->mnt, sys->mnt, sys->mnt),
			 0);
	assert_owner(sys_path(sys, "exact"), 0, 2000, 0664);
	assert_owner(sys_path(sys, "masked"), 0, 0, 0600);
	assert_int_equal(sys_shell(sys,
				   "setpriv --reuid 1000 --regid 1000 --clear-groups "
				   "mapctl create %s/theirs --size 4096 --mode 0600 --group 2000",
				   sys->mnt),
			 1); /* not a group of theirs: nothing is made */
	assert_int_equal(size_of(sys_path(sys, "theirs")), -1);
}

/* --- directories --- */

static int make_in_setgid(const char *directory)
{
	char path[300], self[64];
	int fd;

	umask(022);
	snprintf(path, sizeof path, "%s/created", directory);
	CHECK(close(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0664)) == 0);
	snprintf(path, sizeof path, "%s/dir", directory);
	CHECK(mkdir(path, 0775) == 0);
	fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0664);
	CHECK(fd >= 0);
	snprintf(path, sizeof path, "%s/linked", directory);
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	CHECK(linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0);
	return 0;
}

static void setgid_directory(void **state)
{
	struct sys *sys = *state;
	char dir[300];

	sys_mount(sys, "size=64m");
	snprintf(dir, sizeof dir, "%s/shared", sys->mnt);
	assert_int_equal(mkdir(dir, 0), 0);
	assert_int_equal(chown(dir, 0, 2000), 0);
	assert_int_equal(chmod(dir, 02777), 0);
	as(sys, 1000, 1000, 0, make_in_setgid, dir);
	assert_owner(sys_path(sys, "shared/created"), 1000, 2000, 0644);
	assert_owner(sys_path(sys, "shared/dir"), 1000, 2000, 02755);
	assert_owner(sys_path(sys, "shared/linked"), 1000, 2000, 0644);
	assert_int_equal(sys_shell(sys,
				   "setpriv --reuid 1000 --regid 1000 --clear-groups "
				   "mapctl create %s/made --size 4096 --mode 0660",
				   dir),
			 0);
	assert_owner(sys_path(sys, "shared/made"), 1000, 2000, 0660);
}

static int cannot_take_away(const char *path)
{
	char moved[320];

	snprintf(moved, sizeof moved, "%s.moved", path);
	CHECK(unlink(path) == -1 && errno == EPERM);
	CHECK(rename(path, moved) == -1 && errno == EPERM);
	return 0;
}

static int can_take_away(const char *path)
{
	CHECK(unlink(path) == 0);
	return 0;
}

static int use_temporary(const char *path)
{
	CHECK(error_of_open(path, O_RDONLY) == 0);
	return 0;
}

/* Only owners remove, but an object's own end is nobody's removal: neither the sticky bit nor a
 * directory that its last user may not write to keep the name. */
static void sticky_directory(void **state)
{
	static const uint32_t ending[] = {WIRE_TEMPORARY, WIRE_HANDLE_BOUND};
	struct sys *sys = *state;
	char path[300];

	sys_mount(sys, "size=64m");
	assert_int_equal(mkdir(sys_path(sys, "t"), 0), 0);
	assert_int_equal(chmod(sys_path(sys, "t"), 01777), 0);
	snprintf(path, sizeof path, "%s/t/object", sys->mnt);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++) {
		object_make(sys, "t/object", WIRE_SET_SIZE | ending[i], SIZE, -1);
		as(sys, 1001, 1001, 0, cannot_take_away, path);
		as(sys, 1001, 1001, 0, use_temporary, path);
		WAIT_UNTIL(5, size_of(path) < 0);
	}
	object_make(sys, "t/object", WIRE_SET_SIZE, SIZE, -1);
	assert_int_equal(chown(path, 1000, 1000), 0);
	as(sys, 1001, 1001, 0, cannot_take_away, path);
	as(sys, 1000, 1000, 0, can_take_away, path);
}

/* --- read-only bindings --- */

static int change_what_an_owner_may(const char *path)
{
	struct stat st;

	CHECK(chmod(path, 0777) == 0);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0555); /* never writable */
	return may_only_read(path);
}

static void read_only_for_everyone(void **state)
{
	struct sys *sys = *state;
	const char *file;
	struct stat st;
	char path[300];
	int fd, read_only;

	sys_mount(sys, "size=64m");
	fd = make_plain_file(sys, "data", SIZE, &file);
	read_only = open(file, O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 2; i++) { /* by the descriptor, by the flag */
		snprintf(path, sizeof path, "%s",
			 object_make(sys, i ? "by-flag" : "by-descriptor",
				     i ? WIRE_BIND | WIRE_READ_ONLY : WIRE_BIND, 0,
				     i ? fd : read_only));
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0444);
		as(sys, 0, 0, 0, may_only_read, path);
		as(sys, 1000, 1000, 0, may_only_read, path);
		assert_int_equal(chown(path, 1000, 1000), 0);
		as(sys, 1000, 1000, 0, change_what_an_owner_may, path);
		as(sys, 0, 0, 0, change_what_an_owner_may, path);
		assert_int_equal(sys_shell(sys, "setfacl -m u:1001:rwx %s", path), 0);
		as(sys, 1001, 1001, 0, may_only_read, path);
		sys_kill_worker(sys);
		as(sys, 0, 0, 0, may_only_read, path);
		assert_int_equal(error_of_open(path, O_RDWR | O_CREAT), EACCES);
		assert_int_equal(error_of_open(path, O_RDWR | O_APPEND), EACCES);
		assert_int_equal(fallocate(open(path, O_WRONLY), 0, 0, SIZE), -1);
		assert_int_equal(unlink(path), 0); /* the name is the directory's business */
	}
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	close(read_only);
	close(fd);
}

/* --- execution --- */

static int can_execute(const char *path)
{
	pid_t pid = vfork();
	int status;

	if (pid == 0) {
		execl(path, "true", (char *)NULL);
		_exit(errno == EACCES ? 2 : 3);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int executes(const char *path)
{
	CHECK(can_execute(path) == 0);
	return 0;
}

static int executes_not(const char *path)
{
	CHECK(can_execute(path) == 2);
	return 0;
}

/* 0 or errno */
static int map_to_execute(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *view = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	return view == MAP_FAILED ? errno : munmap(view, 4096);
}

static void execution_needs_x(void **state)
{
	struct sys *sys = *state;
	char path[300];

	sys_mount(sys, "size=64m");
	snprintf(path, sizeof path, "%s/true", sys->mnt);
	assert_int_equal(sys_shell(sys, "cp /bin/true %s && chmod 644 %s", path, path), 0);
	as(sys, 0, 0, 0, executes_not, path);
	as(sys, 1000, 1000, 0, executes_not, path);
	assert_int_equal(chmod(path, 0744), 0);
	as(sys, 0, 0, 0, executes, path);
	as(sys, 1000, 1000, 0, executes_not, path);
	assert_int_equal(chmod(path, 0755), 0);
	as(sys, 1000, 1000, 0, executes, path);
	assert_int_equal(map_to_execute(path), 0);
	assert_int_equal(sys_shell(sys, "setfacl -m u:1000:r %s", path), 0);
	as(sys, 1000, 1000, 0, executes_not, path);
	as(sys, 1001, 1001, 0, executes, path);
	assert_int_equal(sys_shell(sys,
				   "chmod 644 %s && mapctl create %s/bound --file /bin/true "
				   "--read-only --mode 0555 && %s/bound",
				   path, sys->mnt, sys->mnt),
			 0);
}

static void noexec_mount(void **state)
{
	struct sys *sys = *state;
	char path[300];

	sys_mount(sys, "size=64m,noexec");
	snprintf(path, sizeof path, "%s/true", sys->mnt);
	assert_int_equal(sys_shell(sys, "cp /bin/true %s && chmod 755 %s", path, path), 0);
	as(sys, 0, 0, 0, executes_not, path);
	as(sys, 1000, 1000, 0, executes_not, path);
	assert_int_equal(map_to_execute(path), EPERM);
	assert_int_equal(sys_shell(sys,
				   "mapctl create %s/bound --file /bin/true --read-only "
				   "--mode 0555 && if %s/bound; then exit 1; fi",
				   sys->mnt, sys->mnt),
			 0);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(modes_decide),      SYS_TEST_BOTH_MODES(handles_carry_rights),
    SYS_TEST_BOTH_MODES(umask_and_mode),    SYS_TEST_BOTH_MODES(setgid_directory),
    SYS_TEST_BOTH_MODES(sticky_directory),  SYS_TEST_BOTH_MODES(read_only_for_everyone),
    SYS_TEST_BOTH_MODES(execution_needs_x), SYS_TEST_BOTH_MODES(noexec_mount),
};

int main(void)
{
	return sys_run_tests("rights", tests);
}
