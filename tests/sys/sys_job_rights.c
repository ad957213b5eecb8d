/* Who may add a process to a job, and whom a signal to a job reaches: what kill(2) would say. */
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sys/job_world.h"

#ifndef NS_GET_PID_FROM_PIDNS /* Linux 6.11 */
#define NS_GET_PID_FROM_PIDNS _IOR(0xb7, 0x6, int)
#endif

static char *adding(pid_t pid)
{
	static char text[2][32];
	static int turn;

	turn = !turn;
	snprintf(text[turn], sizeof text[turn], "add %d\n", pid);
	return text[turn];
}

static void strangers_are_refused(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	pid_t roots = start_sleeper(sys);
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	pid_t own = start_sleeper_as(sys, uid, gid), other = start_sleeper_as(sys, uid + 1, gid);
	assert_int_equal(words_as(sys, uid, gid, path, adding(roots)), -EPERM);
	assert_int_equal(words_as(sys, uid, gid, path, adding(other)), -EPERM);
	assert_int_equal(words_as(sys, uid, gid, path, adding(getpid())), -EPERM);
	assert_true(state_is(path, "empty"));
	assert_int_equal(words_as(sys, uid, gid, path, adding(own)), 0);
	assert_true(state_is(path, "running 1"));
	assert_int_equal(words_as(sys, uid + 1, gid, path, "kill\n"), -EPERM);
	assert_true(runs(own));
	assert_int_equal(words_as(sys, uid, gid, path, "kill\n"), 0);
	assert_int_equal(sys_wait(sys, own), KILLED);
	wait_for_state(path, "signaled");
	sys_kill(sys, roots);
	sys_kill(sys, other);
}
JOB_TEST(strangers_are_refused)

/* Whom the caller may not signal is left; whom it may is not. */
static void mixed_members(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	pid_t roots = start_sleeper(sys);
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	pid_t own = start_sleeper_as(sys, uid, gid), other = start_sleeper_as(sys, uid + 1, gid);
	assert_true(add(path, roots) > 0 && add(path, own) > 0 && add(path, other) > 0);
	assert_int_equal(words_as(sys, uid, gid, path, "kill\n"), 0);
	assert_int_equal(sys_wait(sys, own), KILLED);
	wait_for_state(path, "running 2");
	assert_true(runs(roots) && runs(other));
	assert_int_equal(words_as(sys, uid, gid, path, "kill TERM\n"), -EPERM);
	assert_int_equal(words_as(sys, uid + 1, gid, path, "kill TERM\n"), 0);
	assert_int_equal(sys_wait(sys, other), 128 + SIGTERM);
	assert_true(runs(roots));
	assert_true(words_to(path, "kill\n") > 0);
	assert_int_equal(sys_wait(sys, roots), KILLED);
	wait_for_state(path, "signaled");
}
JOB_TEST(mixed_members)

static void file_rights_come_first(struct sys *sys)
{
	const char *path = typed_make(sys, "j", (struct typed){.type = OBJECT_JOB, .mode = 0644});
	AUTO_CLOSE int read_only = open_object(path, O_RDONLY);
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	pid_t own = start_sleeper_as(sys, uid, gid);
	assert_int_equal(words_as(sys, uid, gid, path, adding(own)), -EACCES);
	assert_int_equal(words(read_only, adding(own)), -EBADF);
	assert_true(add(path, own) > 0);
	assert_int_equal(words_as(sys, uid, gid, path, "kill\n"), -EACCES);
	assert_int_equal(words(read_only, "kill\n"), -EBADF);
	sys_kill(sys, own);
	wait_for_state(path, "signaled");
}
JOB_TEST(file_rights_come_first)

/* Whoever adds to it, the cgroup is not his to write to. */
static void cgroups_are_ours(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	pid_t own = start_sleeper_as(sys, uid, gid);
	/* The worker makes files as their owner. */
	assert_int_equal(sys_shell(sys,
				   "setpriv --reuid=%u --regid=%u --clear-groups touch %s/file",
				   uid, gid, sys->mnt),
			 0);
	assert_int_equal(words_as(sys, uid, gid, path, adding(own)), 0);
	assert_int_equal(cgroups_left(), 1);
	assert_true(job_cgroups_are(0));
	sys_kill(sys, own);
	wait_for_state(path, "signaled");
}
CGROUP_TEST(cgroups_are_ours)

struct deed {
	const char *path, *text;
	uid_t uid;
	bool keep;
};

/* As uid, with CAP_KILL or with no capability at all. */
static int do_deed(void *context)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
	const struct deed *d = context;
	int fd = open(d->path, O_WRONLY | O_CLOEXEC);

	if (d->keep)
		data[0].effective = data[0].permitted = 1U << CAP_KILL;
	prctl(PR_SET_KEEPCAPS, 1);
	if (fd < 0 || setresuid(d->uid, d->uid, d->uid) < 0 ||
	    syscall(SYS_capset, &header, data) < 0)
		return 255;
	int rc = words(fd, d->text);
	return rc < 0 ? -rc : 0;
}

static int deed(struct sys *sys, const char *path, const char *text, uid_t uid, bool keep)
{
	struct deed d = {path, text, uid, keep};

	return -sys_wait(sys, sys_fork(sys, do_deed, &d));
}

/* It is the capability that makes the difference, not the number 0. */
static void capabilities_count(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	pid_t roots = start_sleeper(sys), users = start_sleeper_as(sys, uid, gid);
	assert_int_equal(deed(sys, path, adding(users), 0, false), -EPERM);
	assert_int_equal(deed(sys, path, adding(roots), uid + 1, false), -EPERM);
	assert_int_equal(deed(sys, path, adding(roots), 0, false), 0);
	assert_int_equal(deed(sys, path, adding(users), uid + 1, true), 0);
	assert_true(state_is(path, "running 2"));
	assert_int_equal(deed(sys, path, "kill\n", 0, false), 0); /* root's own */
	assert_int_equal(sys_wait(sys, roots), KILLED);
	assert_true(runs(users));
	assert_int_equal(deed(sys, path, "kill\n", 0, false), -EPERM);
	assert_int_equal(deed(sys, path, "kill\n", uid + 1, true), 0);
	assert_int_equal(sys_wait(sys, users), KILLED);
	wait_for_state(path, "signaled");
}
JOB_TEST(capabilities_count)

/* Root of a user namespace has all capabilities, and none here. */
static int from_user_namespace(void *context)
{
	const struct deed *d = context;
	int fd = open(d->path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || setgid(d->uid) < 0 || setuid(d->uid) < 0 || unshare(CLONE_NEWUSER) < 0)
		return 255;
	int rc = words(fd, d->text);
	return rc < 0 ? -rc : 0;
}

static void user_namespaces(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	pid_t roots = start_sleeper(sys), own = start_sleeper_as(sys, uid, gid);
	struct deed d = {.path = path, .text = adding(roots), .uid = uid};
	int status = sys_wait(sys, sys_fork(sys, from_user_namespace, &d));
	if (status == 255)
		sys_skip("no user namespaces for ordinary users");
	assert_int_equal(status, EPERM);
	d.text = adding(own);
	assert_int_equal(sys_wait(sys, sys_fork(sys, from_user_namespace, &d)), 0);
	assert_true(state_is(path, "running 1"));
	sys_kill(sys, roots);
	sys_kill(sys, own);
	wait_for_state(path, "signaled");
}
JOB_TEST(user_namespaces)

/* In a pid namespace of its own, where the numbers are others: its second process is number 2
 * there, a kernel thread here. */
static int from_pid_namespace(void *context)
{
	const char *path = context;
	int status;

	if (unshare(CLONE_NEWPID) < 0)
		return 255;
	pid_t init = fork();
	if (init == 0) {
		enter_test_cgroup(0);
		pid_t member = fork();
		if (member == 0)
			while (pause() < 0)
				;
		int rc = member == 2 ? words_to(path, "add 2\n") : -ENOMSG;
		if (rc == -EPERM)
			_exit(EPERM); /* translating is Linux 6.11's */
		bool mine = rc > 0 && words_to(path, "kill\n") > 0 &&
			    waitpid(member, &status, 0) == member && WIFSIGNALED(status);
		_exit(mine ? 0 : 254);
	}
	return waitpid(init, &status, 0) == init && WIFEXITED(status) ? WEXITSTATUS(status) : 253;
}

static bool translates_numbers(void)
{
	AUTO_CLOSE int ns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	return ioctl(ns, NS_GET_PID_FROM_PIDNS, getpid()) == getpid();
}

static void pid_namespaces(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	int status = sys_wait(sys, sys_fork(sys, from_pid_namespace, (void *)(uintptr_t)path));

	if (status == EPERM && !translates_numbers())
		sys_skip("this kernel does not translate process numbers");
	assert_int_equal(status, 0);
	wait_for_state(path, "signaled");
}
JOB_TEST(pid_namespaces)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    JOB_ROWS(strangers_are_refused),
	    JOB_ROWS(mixed_members),
	    JOB_ROWS(file_rights_come_first),
	    JOB_ROWS(capabilities_count),
	    SYS_TEST_BOTH_MODES(cgroups_are_ours_by_cgroup),
	    JOB_ROWS(user_namespaces),
	    JOB_ROWS(pid_namespaces),
	};

	return sys_run_tests("job rights", tests);
}
