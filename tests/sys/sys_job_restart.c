/* Jobs outlive the worker: their members are still theirs, and who ends meanwhile is noticed. */
#include <linux/sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sys/job_world.h"

static void members_stay(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);
	pid_t first = start_sleeper(sys), second = start_sleeper(sys);

	assert_true(add(path, first) > 0);
	struct waiter *waiter = waiter_start(fd);
	sys_kill_worker(sys);
	assert_true(state_is(path, "running 1"));
	assert_true(add(path, second) > 0 && add(path, first) > 0);
	assert_true(state_is(path, "running 2"));
	sys_kill(sys, first);
	wait_for_state(path, "running 1");
	sys_kill_worker(sys);
	assert_false(waiter->ended);
	assert_true(words_to(path, "kill\n") > 0);
	assert_int_equal(sys_wait(sys, second), KILLED);
	assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
	sys_kill_worker(sys);
	assert_true(state_is(path, "signaled"));
	assert_int_equal(wait_here(fd), WAIT_SIGNALED);
}
JOB_TEST(members_stay)

/* No worker from here on, until resume(). */
static void halt(struct sys *sys)
{
	pid_t worker = sys_worker(sys);

	signal_one(sys->supervisor, SIGSTOP);
	signal_one(worker, SIGKILL);
	WAIT_UNTIL(10, !runs(worker));
}

static void resume(struct sys *sys)
{
	signal_one(sys->supervisor, SIGCONT);
}

static void members_end_without_worker(struct sys *sys)
{
	const char *path = make_job(sys, "j", 0), *other = make_job(sys, "k", 0);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);
	pid_t first = start_sleeper(sys), second = start_sleeper(sys), third = start_sleeper(sys);

	assert_true(add(path, first) > 0 && add(path, second) > 0);
	assert_true(add(other, third) > 0);
	struct waiter *waiter = waiter_start(fd);
	halt(sys);
	sys_kill(sys, first);
	sys_kill(sys, second);
	resume(sys);
	assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
	assert_true(state_is(path, "signaled") && state_is(other, "running 1"));
	halt(sys);
	sys_kill(sys, third);
	resume(sys);
	wait_for_state(other, "signaled");
	assert_int_equal(cgroups_left(), 0);
}
JOB_TEST(members_end_without_worker)

static void holder_ends_without_worker(struct sys *sys)
{
	pid_t member = start_sleeper(sys);
	const char *path = make_job(sys, "j", WIRE_KILL_ON_CLOSE);
	int fd = open_object(path, O_RDWR);
	char text[32];

	snprintf(text, sizeof text, "add %d\n", member);
	assert_true(words(fd, text) > 0);
	halt(sys);
	close(fd);
	assert_true(runs(member));
	resume(sys);
	assert_int_equal(sys_wait(sys, member), KILLED);
	wait_for_state(path, "signaled");
}
JOB_TEST(holder_ends_without_worker)

/* --- numbers are given again --- */

static int clone_with_number(void *context)
{
	const struct {
		_Atomic int *up;
		pid_t number;
	} *want = context;
	struct clone_args args = {.exit_signal = SIGCHLD,
				  .set_tid = (uint64_t)(uintptr_t)&want->number,
				  .set_tid_size = 1};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	int status;

	if (pid == 0)
		while (pause() < 0)
			;
	*want->up = pid < 0 ? -errno : 1;
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 1;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? 0 : 2; /* ours, at the end */
}

static void a_number_is_not_a_process(struct sys *sys)
{
	pid_t member = start_sleeper(sys);
	struct {
		_Atomic int *up;
		pid_t number;
	} want = {.number = member};

	want.up = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *path = make_job(sys, "j", WIRE_KILL_ON_CLOSE);
	int fd = open_object(path, O_RDWR);
	char text[32];
	snprintf(text, sizeof text, "add %d\n", member);
	assert_true(words(fd, text) > 0);
	halt(sys);
	sys_kill(sys, member);
	pid_t parent = sys_fork(sys, clone_with_number, &want);
	WAIT_UNTIL(10, *want.up);
	if (*want.up < 0) {
		resume(sys);
		sys_skip("a process number cannot be chosen: errno %d", -*want.up);
	}
	resume(sys);
	wait_for_state(path, "signaled");
	assert_true(words(fd, "kill\n") > 0);
	close(fd);
	assert_true(state_is(path, "signaled"));
	assert_true(runs(member)); /* the stranger */
	signal_one(member, SIGTERM);
	assert_int_equal(sys_wait(sys, parent), 0);
	munmap((void *)want.up, 4096);
}
JOB_TEST(a_number_is_not_a_process)

/* Under fire: every add is carried out, none twice, and each job ends. */
static void storm(struct sys *sys)
{
	enum { ROUNDS = 60, MEMBERS = 4 };
	const char *path = make_job(sys, "j", 0);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	sys_start_killer(sys, 1, 30);
	for (int round = 0; round < ROUNDS; round++) {
		pid_t pids[MEMBERS];

		for (int i = 0; i < MEMBERS; i++) {
			pids[i] = start_sleeper(sys);
			assert_true(add(path, pids[i]) > 0);
		}
		assert_int_equal(try_wait(path), -EAGAIN);
		struct waiter *waiter = waiter_start(fd);
		assert_false(waiter->ended);
		if (round % 2)
			assert_true(words(fd, "kill\n") > 0);
		for (int i = 0; i < MEMBERS; i++) {
			if (round % 2 == 0)
				signal_one(pids[i], SIGKILL);
			assert_int_equal(sys_wait(sys, pids[i]), KILLED);
		}
		assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
	}
	assert_true(sys_stop_killer(sys) > 10);
	assert_true(state_is(path, "signaled"));
	WAIT_UNTIL(10, cgroups_left() == 0);
}
JOB_TEST(storm)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    JOB_ROWS(members_stay),
	    JOB_ROWS(members_end_without_worker),
	    JOB_ROWS(holder_ends_without_worker),
	    JOB_ROWS(a_number_is_not_a_process),
	    JOB_ROWS(storm),
	};

	return sys_run_tests("job restart", tests);
}
