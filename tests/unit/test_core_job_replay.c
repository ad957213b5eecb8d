/* kill -9 of the worker at every point of what changes a job: the members are the same as if it had
 * not happened, and no cgroup is left. */
#include "core/wait_internal.h"
#include "tests/unit/core_crash_steps.h"
#include "tests/unit/core_job.h"

#include <sys/wait.h>

#define HANDLE f->world->nodes[4]
#define FIRST  ((pid_t)f->world->nodes[5])
#define SECOND ((pid_t)f->world->nodes[6])

#define USER 4711 /* has no rights over the others' processes */

static void opened(struct fixture *f, bool kill_on_close)
{
	NODE = waits_make(f, "file",
			  (struct core_setup){.type = OBJECT_JOB, .kill_on_close = kill_on_close});
	HANDLE = waits_open(f, NODE, O_RDWR);
	f->world->nodes[5] = (uint64_t)job_process(0);
	f->world->nodes[6] = (uint64_t)job_process(USER);
	CHECK(NODE && HANDLE && FIRST > 0 && SECOND > 0);
}

static void prepare_empty(struct fixture *f)
{
	opened(f, false);
}

static void prepare_one(struct fixture *f)
{
	opened(f, false);
	begin_request(f);
	CHECK(job_say(f, NODE, HANDLE, 0, "add %d\n", FIRST) > 0);
}

static void prepare_both(struct fixture *f)
{
	prepare_one(f);
	begin_request(f);
	CHECK(job_say(f, NODE, HANDLE, 0, "add %d\n", SECOND) > 0);
}

static void prepare_killing(struct fixture *f)
{
	opened(f, true);
	begin_request(f);
	CHECK(job_say(f, NODE, HANDLE, 0, "add %d\nadd %d\n", FIRST, SECOND) > 0);
}

/* --- what is done --- */

/* A change that is sent again is carried out when all that waits has been taken again. */
static int say(struct fixture *f, uid_t uid, const char *verb, pid_t pid)
{
	if (f->core->waits->gathering) {
		core_resumed(f->core);
		core_request(f->core, CRASH_UNIQUE, true);
	}
	return pid ? job_say(f, NODE, HANDLE, uid, "%s %d\n", verb, pid)
		   : job_say(f, NODE, HANDLE, uid, "%s\n", verb);
}

static void act_add_first(struct fixture *f)
{
	CHECK(say(f, 0, "add", FIRST) > 0);
}

static void act_add_second(struct fixture *f)
{
	CHECK(say(f, USER, "add", SECOND) > 0);
}

static void act_add_stranger(struct fixture *f)
{
	CHECK(say(f, USER, "add", FIRST) == -EPERM);
}

static void act_kill(struct fixture *f)
{
	CHECK(say(f, 0, "kill", 0) > 0);
}

static void act_kill_own(struct fixture *f)
{
	int rc = say(f, USER, "kill", 0);

	/* The second time there may be none left of whom it may kill. */
	CHECK(rc > 0 || (rc == -EPERM && !job_process_runs(SECOND)));
}

static void act_close(struct fixture *f)
{
	core_release(f->core, NODE, HANDLE);
}

/* The process is a child of the worker that is killed here. */
static void act_end(struct fixture *f)
{
	struct pollfd told = {.fd = core_poll_fd(f->core), .events = POLLIN};

	job_process_kill(FIRST);
	waitpid(FIRST, NULL, 0);
	while (f->core->state.members[1].node && poll(&told, 1, 1000) == 1)
		core_dispatch(f->core);
}

/* --- how it has to be --- */

static void given_back(struct fixture *f)
{
	core_resumed(f->core);
	job_process_end(FIRST);
	job_process_end(SECOND);
	for (int i = 0; i < 1000 && job_group_count(f); i++)
		serve(f, 2);
	CHECK(job_group_count(f) == 0);
	begin_request(f);
	if (f->core->state.slots[(uint32_t)NODE].handles)
		waits_close(f, NODE, HANDLE);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
	for (uint32_t i = 1; i < f->core->state.header->members_high; i++)
		CHECK(f->core->state.members[i].node == 0);
}

static bool by_cgroup(void)
{
	return fixture_cgroup_fd > 0;
}

static void check_first(struct fixture *f)
{
	CHECK(job_becomes(f, NODE, "running 1"));
	CHECK(!by_cgroup() || (in_job_cgroup(FIRST) && !in_job_cgroup(SECOND)));
	CHECK(job_group_count(f) == by_cgroup());
	job_process_kill(FIRST);
	CHECK(job_becomes(f, NODE, "signaled"));
	CHECK(job_process_runs(SECOND));
	given_back(f);
}

static void check_both(struct fixture *f)
{
	CHECK(job_becomes(f, NODE, "running 2"));
	CHECK(!by_cgroup() || (in_job_cgroup(FIRST) && in_job_cgroup(SECOND)));
	CHECK(job_group_count(f) == by_cgroup());
	job_process_kill(FIRST);
	CHECK(job_becomes(f, NODE, "running 1"));
	job_process_kill(SECOND);
	CHECK(job_becomes(f, NODE, "signaled"));
	given_back(f);
}

static void check_killed(struct fixture *f)
{
	CHECK(job_becomes(f, NODE, "signaled"));
	CHECK(!job_process_runs(FIRST) && !job_process_runs(SECOND));
	given_back(f);
}

static void check_own_killed(struct fixture *f)
{
	CHECK(job_becomes(f, NODE, "running 1"));
	CHECK(job_process_runs(FIRST) && !job_process_runs(SECOND));
	given_back(f);
}

/* Nobody asked again: it is a member with all that belongs to it, or none. */
static void check_either(struct fixture *f)
{
	serve(f, 20);
	core_resumed(f->core);
	if (waits_state_is(f, NODE, "running 1")) {
		check_first(f);
		return;
	}
	CHECK(waits_state_is(f, NODE, "empty"));
	CHECK(!in_job_cgroup(FIRST) && job_group_count(f) == 0);
	given_back(f);
}

static void check_none_added(struct fixture *f)
{
	CHECK(waits_state_is(f, NODE, "empty"));
	CHECK(job_group_count(f) == 0 && job_process_runs(FIRST));
	given_back(f);
}

static void check_ended(struct fixture *f)
{
	job_process_kill(FIRST); /* it may have died before it could */
	CHECK(job_becomes(f, NODE, "signaled"));
	CHECK(job_process_runs(SECOND));
	given_back(f);
}

#define UNSENT(what, p, a, c)                                                                      \
	{                                                                                          \
		.name = what, .passthrough = true, .unsent = true, CRASH_STEPS(p, a, c)            \
	}

static const struct crash_case cases[] = {
    BY_HANDLE("add", prepare_empty, act_add_first, check_first),
    BY_HANDLE("add another", prepare_one, act_add_second, check_both),
    BY_HANDLE("add a stranger", prepare_empty, act_add_stranger, check_none_added),
    UNSENT("add, not sent again", prepare_empty, act_add_first, check_either),
    BY_HANDLE("kill", prepare_both, act_kill, check_killed),
    BY_HANDLE("kill what one may", prepare_both, act_kill_own, check_own_killed),
    BY_HANDLE("close", prepare_killing, act_close, check_killed),
    UNSENT("member ends", prepare_one, act_end, check_ended),
    TWICE("start after add", IN_START, prepare_empty, act_add_first, check_first),
    TWICE("add again", AGAIN, prepare_empty, act_add_first, check_first),
};

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	int rc = crash_main("jobs, by pidfd", cases, ARRAY_SIZE(cases), only);

	if (geteuid() == 0 && job_group_make()) {
		rc += crash_main("jobs, by cgroup", cases, ARRAY_SIZE(cases), only);
		job_group_remove();
	}
	return rc;
}
