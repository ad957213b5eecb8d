/* Jobs: what no plain sequence of system calls brings about. */
#include "core/job.h"
#include "tests/unit/core_job.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct made {
	uint64_t node, handle;
};

static struct made make_job(struct fixture *f, const char *name, bool kill_on_close)
{
	struct made job;

	job.node = waits_make(
	    f, name, (struct core_setup){.type = OBJECT_JOB, .kill_on_close = kill_on_close});
	assert_true(job.node != 0);
	job.handle = waits_open(f, job.node, O_RDWR);
	assert_true(job.handle != 0);
	return job;
}

static int add(struct fixture *f, struct made job, pid_t pid)
{
	begin_request(f);
	return job_say(f, job.node, job.handle, 0, "add %d\n", pid);
}

static void drop_job(struct fixture *f, struct made job, const char *name)
{
	waits_close(f, job.node, job.handle);
	unlink_name(f, CORE_ROOT_NODE, name);
	forget_node(f, job.node, 1);
}

static unsigned members(struct fixture *f)
{
	unsigned count = 0;

	for (uint32_t i = 1; i < f->core->state.header->members_high; i++)
		count += f->core->state.members[i].node != 0;
	return count;
}

static bool by_cgroup(void)
{
	return fixture_cgroup_fd > 0;
}

/* --- the kernel forgets the job, and finds it again --- */

static void members_sleep_and_wake(void **state)
{
	struct fixture *f = *state;
	struct made job = make_job(f, "j", false);
	pid_t first = job_process(0), second = job_process(0);

	assert_true(add(f, job, first) > 0);
	assert_true(add(f, job, second) > 0);
	waits_close(f, job.node, job.handle);
	forget_node(f, job.node, 1);
	job_process_end(first);
	serve(f, 30);
	job.node = look_up(f, CORE_ROOT_NODE, "j");
	assert_true(job_becomes(f, job.node, "running 1"));
	forget_node(f, job.node, 1);
	fixture_restart(f); /* asleep in another worker, too */
	core_resumed(f->core);
	job_process_end(second);
	WAIT_FOR(f, job_group_count(f) == 0, 2000);
	serve(f, 30);
	job.node = look_up(f, CORE_ROOT_NODE, "j");
	assert_true(waits_state_is(f, job.node, "signaled"));
	job.handle = waits_open(f, job.node, O_RDWR);
	assert_int_equal(waits_try(f, job.node, job.handle), GIVEN(WAIT_SIGNALED));
	assert_int_equal(members(f), 0);
	drop_job(f, job, "j");
	assert_nothing_left(f);
}

static void worker_dies_while_waking(void **state)
{
	struct fixture *f = *state;
	struct made job = make_job(f, "j", false);
	pid_t pid = job_process(0);

	assert_true(add(f, job, pid) > 0);
	waits_close(f, job.node, job.handle);
	forget_node(f, job.node, 1);
	/* As if it had been given to a slot that never came to life. */
	f->core->state.members[1].node = 7ULL << 32 | 99;
	fixture_restart(f);
	serve(f, 20);
	job.node = look_up(f, CORE_ROOT_NODE, "j");
	assert_true(waits_state_is(f, job.node, "running 1"));
	job_process_end(pid);
	assert_true(job_becomes(f, job.node, "signaled"));
	job.handle = waits_open(f, job.node, O_RDWR);
	drop_job(f, job, "j");
	assert_nothing_left(f);
}

/* Its members go on; their cgroup goes with the last of them. */
static void job_goes_first(void **state)
{
	struct fixture *f = *state;
	struct made job = make_job(f, "j", false);
	pid_t pid = job_process(0);

	assert_true(add(f, job, pid) > 0);
	drop_job(f, job, "j");
	assert_true(job_process_runs(pid));
	assert_int_equal(members(f), by_cgroup());
	fixture_restart(f);
	serve(f, 20);
	assert_int_equal(job_group_count(f), by_cgroup());
	job_process_end(pid);
	WAIT_FOR(f, members(f) == 0, 2000);
	assert_int_equal(job_group_count(f), 0);
	assert_nothing_left(f);
}

/* --- the mount ends --- */

static void end_of_the_mount(void **state)
{
	struct fixture *f = *state;
	struct made kept = make_job(f, "kept", false), killed = make_job(f, "killed", true);
	pid_t first = job_process(0), second = job_process(0);

	assert_true(add(f, kept, first) > 0);
	assert_true(add(f, killed, second) > 0);
	assert_int_equal(job_group_count(f), by_cgroup() ? 2 : 0);
	fixture_stop(f);
	core_end_jobs(f->config.state_fd, f->config.state_offset, f->config.cgroup_fd);
	assert_int_equal(job_group_count(f), 0);
	assert_true(job_process_runs(first));
	assert_false(in_job_cgroup(first));
	assert_int_equal(waitpid(second, NULL, 0), second); /* killed */
	job_process_end(first);
}

/* --- cgroups that cannot be had, or kept --- */

static void falls_back_to_processes(void **state)
{
	struct fixture *f = *state;
	struct made job = make_job(f, "j", false);
	pid_t pid = job_process(0);

	if (!by_cgroup() || !job_group_write("cgroup.max.descendants", "0"))
		skip();
	assert_true(add(f, job, pid) > 0);
	assert_int_equal(f->core->state.members[1].pid, pid);
	job_process_end(pid);
	assert_true(job_becomes(f, job.node, "signaled"));
	f->config.cgroups_only = true;
	fixture_restart(f);
	pid = job_process(0);
	assert_int_equal(add(f, job, pid), -EAGAIN);
	assert_true(job_group_write("cgroup.max.descendants", "max"));
	assert_true(add(f, job, pid) > 0 && in_job_cgroup(pid));
	job_process_end(pid);
	assert_true(job_becomes(f, job.node, "signaled"));
	assert_int_equal(members(f), 0);
	drop_job(f, job, "j");
	assert_nothing_left(f);
}

static void without_cgroups_only(void **state)
{
	struct fixture *f = *state;
	struct made job = make_job(f, "j", false);
	pid_t pid = job_process(0);

	if (by_cgroup())
		skip();
	f->config.cgroups_only = true;
	fixture_restart(f);
	assert_int_equal(add(f, job, pid), -EOPNOTSUPP);
	assert_int_equal(members(f), 0);
	job_process_end(pid);
	drop_job(f, job, "j");
}

/* Somebody with rights over the cgroup moves the process out and removes ours. */
static void removed_behind_our_back(void **state)
{
	struct fixture *f = *state;
	struct made job = make_job(f, "j", false);
	pid_t pid = job_process(0);

	if (!by_cgroup())
		skip();
	assert_true(add(f, job, pid) > 0 && in_job_cgroup(pid));
	serve(f, 20); /* the kernel tells of changes once in 10 ms */
	assert_true(job_group_take_back(pid));
	assert_true(job_becomes(f, job.node, "signaled"));
	assert_true(add(f, job, pid) > 0 && in_job_cgroup(pid));
	assert_true(waits_state_is(f, job.node, "running 1"));
	job_process_end(pid);
	assert_true(job_becomes(f, job.node, "signaled"));
	drop_job(f, job, "j");
	assert_nothing_left(f);
}

static void set_capability(unsigned number, bool on)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	if (on)
		data[number / 32].effective |= 1U << number % 32;
	else
		data[number / 32].effective &= ~(1U << number % 32);
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

/* As an ordinary user's mount in a cgroup of his own. */
static void cgroups_are_found_without_handles(void **state)
{
	struct fixture *f = *state;
	struct made job = make_job(f, "j", false);
	pid_t pid = job_process(0), other = job_process(0);

	if (!by_cgroup())
		skip();
	assert_true(add(f, job, pid) > 0);
	set_capability(CAP_DAC_READ_SEARCH, false);
	fixture_restart(f);
	assert_true(add(f, job, other) > 0);
	assert_int_equal(job_group_count(f), 1);
	begin_request(f);
	assert_true(job_say(f, job.node, job.handle, 0, "kill\n") > 0);
	assert_true(job_becomes(f, job.node, "signaled"));
	assert_int_equal(job_group_count(f), 0);
	set_capability(CAP_DAC_READ_SEARCH, true);
	job_process_end(pid);
	job_process_end(other);
	drop_job(f, job, "j");
}

/* --- limits --- */

static void descriptors_run_out(void **state)
{
	struct fixture *f = *state;
	struct made job = make_job(f, "j", false);
	pid_t pid = job_process(0);
	struct rlimit before, low;
	int filler;

	assert_true(add(f, job, pid) > 0);
	fixture_restart(f);
	getrlimit(RLIMIT_NOFILE, &before);
	low = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
	filler = setrlimit(RLIMIT_NOFILE, &low);
	serve(f, 20); /* the member is not found now */
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(filler, 0);
	assert_true(waits_state_is(f, job.node, "running 1"));
	job_process_end(pid);
	assert_true(job_becomes(f, job.node, "signaled"));
	drop_job(f, job, "j");
	assert_nothing_left(f);
}

static void table_is_full(void **state)
{
	struct fixture *f = *state;
	struct made job = make_job(f, "j", false);
	pid_t pid = job_process(0), other = job_process(0);
	struct job_member *table = f->core->state.members;
	uint32_t high;

	assert_true(add(f, job, pid) > 0);
	high = f->core->state.header->members_high;
	for (uint32_t i = high; i < STATE_MEMBERS; i++)
		table[i] = (struct job_member){.node = MEMBER_ASLEEP, .state = MEMBER_ENDED};
	f->core->state.header->members_high = STATE_MEMBERS;
	assert_int_equal(add(f, make_job(f, "k", false), other), -ENOSPC);
	for (uint32_t i = high; i < STATE_MEMBERS; i++)
		table[i] = (struct job_member){0};
	f->core->state.header->members_high = high;
	job_process_end(pid);
	job_process_end(other);
	assert_true(job_becomes(f, job.node, "signaled"));
}

static void callers_from_nowhere(void **state)
{
	const struct core_caller nowhere = {.uid = 0, .pid = 0};
	struct fixture *f = *state;
	struct made job = make_job(f, "j", false);
	pid_t pid = job_process(0);
	char text[32];

	snprintf(text, sizeof text, "add %d\n", pid);
	begin_request(f);
	assert_int_equal(core_signal(f->core, job.node, job.handle, text, strlen(text), &nowhere),
			 -EPERM);
	assert_true(add(f, job, pid) > 0);
	begin_request(f);
	assert_int_equal(core_signal(f->core, job.node, job.handle, "kill", 4, &nowhere), -EPERM);
	assert_true(job_process_runs(pid));
	job_process_end(pid);
	assert_true(job_becomes(f, job.node, "signaled"));
	drop_job(f, job, "j");
	assert_nothing_left(f);
}

/* What older kernels tell processes by. */
static void what_proc_says(void **state)
{
	uint64_t mine = 0, again = 1, others = 0;
	bool kernel = true;
	char name[16];
	pid_t pid;

	(void)state;
	prctl(PR_GET_NAME, name);
	assert_int_equal(prctl(PR_SET_NAME, "a) R 1 (b"), 0);
	assert_int_equal(process_begin(getpid(), &mine, &kernel), 0);
	prctl(PR_SET_NAME, name);
	assert_false(kernel);
	assert_int_equal(process_begin(getpid(), &again, &kernel), 0);
	assert_int_equal(mine, again);
	usleep(50000); /* some ticks */
	pid = job_process(0);
	assert_int_equal(process_begin(pid, &others, &kernel), 0);
	assert_true(others > mine && !kernel);
	assert_int_equal(process_begin(2, &others, &kernel), 0);
	assert_true(kernel);
	job_process_end(pid);
	assert_int_equal(process_begin(pid, &others, &kernel), -ESRCH);
}

static int setup_cgroup(void **state)
{
	job_use_cgroups(true);
	if (fixture_cgroup_fd <= 0)
		print_message("no cgroup v2 tree that could be written: without\n");
	return fixture_setup(state);
}

static int setup_pidfd(void **state)
{
	job_use_cgroups(false);
	return fixture_setup(state);
}

#define ROWS(test)                                                                                 \
	{#test " [cgroup]", test, setup_cgroup, fixture_teardown, NULL},                           \
	{                                                                                          \
#test " [pidfd]", test, setup_pidfd, fixture_teardown, NULL                        \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    ROWS(members_sleep_and_wake),  ROWS(worker_dies_while_waking),
	    ROWS(job_goes_first),          ROWS(end_of_the_mount),
	    ROWS(falls_back_to_processes), ROWS(without_cgroups_only),
	    ROWS(removed_behind_our_back), ROWS(cgroups_are_found_without_handles),
	    ROWS(descriptors_run_out),     ROWS(table_is_full),
	    ROWS(callers_from_nowhere),    cmocka_unit_test(what_proc_says),
	};
	int rc;

	if (geteuid() == 0)
		job_group_make();
	rc = cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
	job_use_cgroups(true);
	job_group_remove();
	return rc;
}
