/* Jobs: processes that are waited for and ended together. */
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sys/job_world.h"

static void signaled_when_empty(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	AUTO_CLOSE int fd = open_object(path, O_RDONLY);
	pid_t first = start_sleeper(sys), second = start_sleeper(sys);

	assert_true(state_is(path, "empty"));
	assert_int_equal(try_wait(path), -EAGAIN); /* nobody was there */
	assert_true(add(path, first) > 0 && add(path, second) > 0);
	assert_true(state_is(path, "running 2"));
	assert_true(add(path, second) > 0); /* again: nothing new */
	assert_true(state_is(path, "running 2"));
	struct waiter *waiter = waiter_start(fd);
	sys_kill(sys, first);
	wait_for_state(path, "running 1");
	assert_false(waiter->ended || ready(fd));
	sys_kill(sys, second);
	assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
	assert_true(ready(fd) && state_is(path, "signaled"));
	assert_int_equal(wait_here(fd), WAIT_SIGNALED); /* nothing was taken */
	assert_int_equal(wait_here(fd), WAIT_SIGNALED);
	pid_t third = start_sleeper(sys);
	assert_true(add(path, third) > 0);
	assert_int_equal(try_wait(path), -EAGAIN);
	sys_kill(sys, third);
	assert_int_equal(wait_here(fd), WAIT_SIGNALED);
}
JOB_TEST(signaled_when_empty)

static void poll_tells(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	AUTO_CLOSE int fd = open_object(path, O_RDONLY);
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	pid_t member = start_sleeper(sys);

	assert_true(add(path, member) > 0);
	assert_int_equal(poll(&polled, 1, 0), 0);
	signal_one(member, SIGKILL);
	assert_int_equal(poll(&polled, 1, 10000), 1); /* a zombie has ended, too */
	assert_int_equal(sys_wait(sys, member), KILLED);
}
JOB_TEST(poll_tells)

static void kill_words(struct sys *sys)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {
	    {"kill\n", KILLED},   {"kill TERM\n", 7},      {"kill SIGTERM\n", 7},
	    {"kill term\n", 7},   {"kill USR1\n", 7},      {"kill 15\n", 7},
	    {"kill 9\n", KILLED}, {"kill KILL\n", KILLED}, {"kill INT\n", 128 + SIGINT},
	};
	const char *path = make_job(sys, "j", 0);

	assert_true(words_to(path, "kill\n") > 0); /* nobody there: nothing to do */
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pid_t one = start_polite(sys, 7), other = start_polite(sys, 7);

		assert_true(add(path, one) > 0 && add(path, other) > 0);
		assert_int_equal(words_to(path, cases[i].text), strlen(cases[i].text));
		assert_int_equal(sys_wait(sys, one), cases[i].status);
		assert_int_equal(sys_wait(sys, other), cases[i].status);
		wait_for_state(path, "signaled");
	}
}
JOB_TEST(kill_words)

static void bad_words(struct sys *sys)
{
	static const char *const bad[] = {
	    "add\n",
	    "add x\n",
	    "add 0\n",
	    "add -5\n",
	    "add +5\n",
	    "add 5 6\n",
	    "add 5x\n",
	    "remove 5\n",
	    "ADD 5\n",
	    "kill FOO\n",
	    "kill -9\n",
	    "kill 0\n",
	    "kill 65\n",
	    "kill 9 9\n",
	    "killl\n",
	    "set\n",
	    "release\n",
	    "\n",
	    "add 99999999999999999999\n",
	    "kill SIGSIGKILL\n",
	};
	const char *path = make_job(sys, "j", 0);
	pid_t member = start_sleeper(sys);

	assert_true(add(path, member) > 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(words_to(path, bad[i]), -EINVAL);
	assert_true(runs(member) && state_is(path, "running 1"));
	assert_true(words_to(path, "kill\n") > 0);
	assert_int_equal(sys_wait(sys, member), KILLED);
}
JOB_TEST(bad_words)

/* Only what is a process of its own right, and not what serves the mount. */
static void refused_processes(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	AUTO_CLOSE int fd = open_object(path, O_RDONLY);
	pid_t gone = start_sleeper(sys), zombie = start_sleeper(sys);

	sys_kill(sys, gone);
	signal_one(zombie, SIGKILL);
	WAIT_UNTIL(10, !runs(zombie));
	assert_int_equal(add(path, 1), -EPERM);
	assert_int_equal(add(path, 2), -EPERM); /* kthreadd */
	assert_int_equal(add(path, sys_worker(sys)), -EPERM);
	assert_int_equal(add(path, sys->supervisor), -EPERM);
	WAIT_UNTIL(10, sys_standby(sys) > 0); /* it may not have its name yet */
	assert_int_equal(add(path, sys_standby(sys)), -EPERM);
	assert_int_equal(add(path, gone), -ESRCH);
	assert_int_equal(add(path, zombie), -ESRCH);
	assert_int_equal(sys_wait(sys, zombie), KILLED);
	assert_true(state_is(path, "empty"));
	struct waiter *waiter = waiter_start(fd); /* a thread of ours */
	assert_int_equal(add(path, waiter->tid), -EINVAL);
	pid_t member = start_sleeper(sys);
	assert_true(add(path, member) > 0);
	sys_kill(sys, member);
	assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
}
JOB_TEST(refused_processes)

/* --- children --- */

static void children_follow(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	int input, output;
	pid_t shell =
	    sys_start(sys, &input, &output,
		      "read go; sleep 1000 & setsid sleep 1000 & echo up; read on; exit 5");
	char text[8];

	enter_test_cgroup(shell);
	assert_true(add(path, shell) > 0);
	assert_true(is_in_job_cgroup(shell)); /* below where it was: within its limits */
	assert_int_equal(write(input, "go\n", 3), 3);
	assert_int_equal(read(output, text, sizeof text), 3);
	wait_for_state(path, "running 3");
	assert_int_equal(write(input, "on\n", 3), 3);
	assert_int_equal(sys_wait(sys, shell), 5);
	wait_for_state(path, "running 2"); /* the parent's end is not theirs */
	assert_int_equal(try_wait(path), -EAGAIN);
	assert_true(words_to(path, "kill TERM\n") > 0);
	wait_for_state(path, "signaled");
	assert_int_equal(cgroups_left(), 0);
	close(input);
	close(output);
}
CGROUP_TEST(children_follow)

static void children_stay_out(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	pid_t children[2], parent = start_family(sys, children, 2);

	assert_true(add(path, parent) > 0);
	assert_true(state_is(path, "running 1"));
	assert_true(words_to(path, "kill\n") > 0);
	assert_int_equal(sys_wait(sys, parent), KILLED);
	wait_for_state(path, "signaled");
	for (int i = 0; i < 2; i++) {
		assert_true(runs(children[i]));
		signal_one(children[i], SIGKILL);
	}
}
PIDFD_TEST(children_stay_out)

/* A job within a job, and a process of both. */
static void nested(struct sys *sys)
{
	const char *outer = make_job(sys, "outer", 0), *inner = make_job(sys, "inner", 0);
	pid_t both = start_sleeper(sys), outside = start_sleeper(sys);

	assert_true(add(outer, both) > 0 && add(outer, outside) > 0);
	assert_true(add(inner, both) > 0);
	assert_true(add(outer, both) > 0); /* still is */
	assert_true(state_is(outer, "running 2") && state_is(inner, "running 1"));
	assert_true(words_to(inner, "kill\n") > 0);
	assert_int_equal(sys_wait(sys, both), KILLED);
	wait_for_state(inner, "signaled");
	wait_for_state(outer, "running 1");
	pid_t again = start_sleeper(sys);
	assert_true(add(outer, again) > 0 && add(inner, again) > 0);
	assert_true(words_to(outer, "kill\n") > 0);
	assert_int_equal(sys_wait(sys, again), KILLED);
	assert_int_equal(sys_wait(sys, outside), KILLED);
	wait_for_state(outer, "signaled");
	wait_for_state(inner, "signaled");
	WAIT_UNTIL(10, cgroups_left() == 0);
}
JOB_TEST(nested)

/* Never the same process for long. */
static int hop(void *context)
{
	_Atomic int *up = context;
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	enter_test_cgroup(0);
	if (setgid(gid) < 0 || setuid(uid) < 0)
		return 1;
	*up = 1;
	while (*up == 1)
		usleep(100); /* to be added first */
	for (;;)
		if (fork() > 0)
			_exit(0);
}

/* Nobody slips away by forking, though each process is signaled with its owner's rights. */
static void forking_is_no_way_out(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	_Atomic int *up =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	for (int round = 0; round < 10; round++) {
		*up = 0;
		pid_t member = sys_fork(sys, hop, (void *)up);
		WAIT_UNTIL(10, *up);
		assert_true(add(path, member) > 0);
		*up = 2;
		assert_int_equal(sys_wait(sys, member), 0); /* its children go on */
		assert_int_equal(try_wait(path), -EAGAIN);
		assert_int_equal(words_as(sys, uid, gid, path, "kill\n"), 0);
		wait_for_state(path, "signaled");
	}
	munmap((void *)up, 4096);
}
CGROUP_TEST(forking_is_no_way_out)

/* --- closing --- */

struct holding {
	const char *path;
	pid_t member;
	_Atomic int *added;
};

static int hold_job(void *context)
{
	const struct holding *h = context;
	char text[32];
	int fd = open(h->path, O_RDWR | O_CLOEXEC);

	snprintf(text, sizeof text, "add %d\n", h->member);
	CHECK(fd >= 0 && words(fd, text) > 0);
	*h->added = 1;
	while (pause() < 0)
		;
	return 0;
}

static void kill_on_close(struct sys *sys)
{
	struct holding h = {.path = make_job(sys, "j", WIRE_KILL_ON_CLOSE)};

	h.added = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int round = 0; round < 3; round++) {
		*h.added = 0;
		h.member = start_sleeper(sys);
		pid_t holder = sys_fork(sys, hold_job, &h);
		WAIT_UNTIL(10, *h.added);
		int second = open_object(h.path, O_RDONLY);
		sys_kill(sys, holder);
		assert_true(state_is(h.path, "running 1")); /* not the last handle */
		if (round == 1)
			sys_kill_worker(sys);
		close(second);
		assert_int_equal(sys_wait(sys, h.member), KILLED);
		wait_for_state(h.path, "signaled");
	}
	munmap((void *)h.added, 4096);
}
JOB_TEST(kill_on_close)

/* Without a name the end of its holder is the end of the job. */
static void unnamed(struct sys *sys)
{
	/* First: they would inherit the handle. */
	pid_t member = start_sleeper(sys), other = start_sleeper(sys);
	int fd =
	    typed_unnamed(sys, (struct typed){.type = OBJECT_JOB, .flags = WIRE_KILL_ON_CLOSE});
	char text[64];

	snprintf(text, sizeof text, "add %d\nadd %d\n", member, other);
	assert_int_equal(words(fd, text), strlen(text));
	close(fd);
	assert_int_equal(sys_wait(sys, member), KILLED);
	assert_int_equal(sys_wait(sys, other), KILLED);
	WAIT_UNTIL(10, cgroups_left() == 0);
}
JOB_TEST(unnamed)

/* A job that ends lets its members go, unless it was told otherwise. */
static void members_outlive_the_job(struct sys *sys)
{
	pid_t member = start_sleeper(sys);
	int fd = typed_unnamed(sys, (struct typed){.type = OBJECT_JOB});
	char text[64];

	snprintf(text, sizeof text, "add %d\n", member);
	assert_true(words(fd, text) > 0);
	close(fd);
	const char *other = make_job(sys, "other", 0);
	assert_true(add(other, member) > 0 && runs(member));
	assert_true(words_to(other, "kill\n") > 0);
	assert_int_equal(sys_wait(sys, member), KILLED);
	wait_for_state(other, "signaled");
	WAIT_UNTIL(10, cgroups_left() == 0);
}
JOB_TEST(members_outlive_the_job)

static void unmounting_lets_go(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	pid_t member = start_sleeper(sys);

	assert_true(add(path, member) > 0);
	sys_unmount(sys);
	assert_int_equal(cgroups_left(), 0);
	assert_true(runs(member));
	sys_kill(sys, member);
}
JOB_TEST(unmounting_lets_go)

static void many_members(struct sys *sys)
{
	enum { COUNT = 300 };
	const char *path = make_job(sys, "j", 0);
	pid_t pids[COUNT];

	assert_true(add(path, start_sleeper(sys)) > 0);
	assert_true(words_to(path, "kill\n") > 0);
	wait_for_state(path, "signaled");
	int before = sys_count_fds(sys_worker(sys));
	for (int i = 0; i < COUNT; i++) {
		pids[i] = start_sleeper(sys);
		assert_true(add(path, pids[i]) > 0);
	}
	assert_true(state_is(path, "running 300"));
	assert_true(words_to(path, "kill TERM\n") > 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(sys_wait(sys, pids[i]), 128 + SIGTERM);
	wait_for_state(path, "signaled");
	WAIT_UNTIL(10, sys_count_fds(sys_worker(sys)) <= before);
}
JOB_TEST(many_members)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    JOB_ROWS(signaled_when_empty),
	    JOB_ROWS(poll_tells),
	    JOB_ROWS(kill_words),
	    JOB_ROWS(bad_words),
	    JOB_ROWS(refused_processes),
	    SYS_TEST_BOTH_MODES(children_follow_by_cgroup),
	    SYS_TEST_BOTH_MODES(children_stay_out_by_pidfd),
	    JOB_ROWS(nested),
	    SYS_TEST_PASSTHROUGH(forking_is_no_way_out_by_cgroup),
	    JOB_ROWS(kill_on_close),
	    JOB_ROWS(unnamed),
	    JOB_ROWS(members_outlive_the_job),
	    JOB_ROWS(unmounting_lets_go),
	    JOB_ROWS(many_members),
	};

	return sys_run_tests("job", tests);
}
