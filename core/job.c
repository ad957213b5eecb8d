/* Job: signaled while no member is left and one was. wait_state.maximum counts its members. */
#include "core/job.h"

#include "core/util.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static int job_configure(struct core *core, struct slot *slot, const struct core_setup *setup,
			 const char **why)
{
	(void)why;
	STAGE(&core->state, slot->wait.options, setup->kill_on_close ? WAIT_KILL_ON_CLOSE : 0);
	return 0;
}

static bool job_signaled(struct core *core, const struct slot *slot, uint64_t handle)
{
	(void)core;
	(void)handle;
	return slot->wait.value;
}

static enum wait_result job_take(struct core *core, struct slot *slot, uint64_t handle)
{
	(void)core;
	(void)slot;
	(void)handle;
	return WAIT_SIGNALED;
}

static int parse_pid(const char *word, pid_t *pid)
{
	char *end;
	long number;

	if (!word || word[0] < '0' || word[0] > '9')
		return -EINVAL;
	errno = 0;
	number = strtol(word, &end, 10);
	if (errno || *end || number < 1 || number > INT32_MAX)
		return -EINVAL;
	*pid = (pid_t)number;
	return 0;
}

/* The first process, the kernel's threads and those that serve this mount belong to no job. */
static int check_process(const struct core *core, pid_t pid)
{
	const struct core_listener *l = &core->config.listener;
	uint64_t begin;
	bool kernel;
	int rc;

	if (pid == 1 || pid == getpid() || pid == getppid() ||
	    (l->serves && l->serves(l->context, pid)))
		return -EPERM;
	rc = process_begin(pid, &begin, &kernel);
	return rc == 0 && kernel ? -EPERM : rc;
}

static int add(struct core *core, struct slot *slot, pid_t number, const struct core_caller *who)
{
	AUTO_CLOSE int pidfd = -1;
	struct actor actor;
	pid_t pid;
	int rc = actor_init(&actor, who);

	if (rc < 0)
		return rc;
	pid = actor_pid(who, number);
	pidfd = pid < 0 ? pid : pidfd_of(pid);
	if (pidfd < 0)
		return pidfd;
	actor_signal(&actor, &pidfd, 1, 0, &rc);
	if (rc == 0)
		rc = check_process(core, pid);
	if (rc == 0 && process_ended(pidfd))
		rc = -ESRCH;
	return rc < 0 ? rc : job_join(core, slot, pid, pidfd);
}

static int kill_all(struct core *core, struct slot *slot, int signal, const struct core_caller *who)
{
	struct actor actor;
	int rc = actor_init(&actor, who);

	return rc < 0 ? rc : job_kill(core, state_node(&core->state, slot), &actor, signal);
}

static int job_change(struct core *core, struct slot *slot, char **words,
		      const struct wait_caller *caller)
{
	bool is_add = strcmp(words[0], "add") == 0;
	int signal = SIGKILL, rc = 0;
	pid_t pid = 0;

	if (is_add)
		rc = words[1] && !words[2] ? parse_pid(words[1], &pid) : -EINVAL;
	else if (strcmp(words[0], "kill") == 0 && words[1])
		rc = signal = words[2] ? -EINVAL : signal_number(words[1]);
	else if (strcmp(words[0], "kill") != 0)
		rc = -EINVAL;
	if (rc >= 0)
		rc = members_prepare(core);
	if (rc < 0)
		return rc;
	return is_add ? add(core, slot, pid, caller->who)
		      : kill_all(core, slot, signal, caller->who);
}

/* The last handle is closed. A worker that dies before this leaves it to the next one, see
 * job_members.c. */
static void keep_promise(struct core *core, struct slot *slot)
{
	const struct actor self = {.any = true};

	if (members_prepare(core) == 0)
		job_kill(core, state_node(&core->state, slot), &self, SIGKILL);
}

static void job_changed(struct core *core, struct slot *slot)
{
	/* Just found again; one that is about to be freed has been used. */
	if (!slot->lookups && !(slot->flags & SLOT_USED))
		members_wake(core, slot);
	else if ((slot->wait.options & WAIT_KILL_ON_CLOSE) && !slot->handles && slot->wait.maximum)
		keep_promise(core, slot);
}

static void job_forget(struct core *core, struct slot *slot)
{
	struct stat st;
	bool gone = slot->flags & SLOT_DEAD;

	if (slot->flags & SLOT_ORPHAN)
		gone = gone || slot_stat(core, slot, &st) < 0 || st.st_nlink <= 1;
	members_sleep(core, slot, gone);
}

static void count_processes(struct core *core, uint32_t index, void *context)
{
	const struct job_member *member = &core->state.members[index];
	AUTO_CLOSE int cgroup = member->pid || (member->state & MEMBER_MAKING)
				    ? -1
				    : cgroup_open(core->config.cgroup_fd, member->id);
	struct pid_list list = {0};
	size_t *count = context;

	if (cgroup >= 0) {
		cgroup_processes(cgroup, &list);
		*count += list.count;
		pid_list_finish(&list);
	} else {
		*count += member->pid != 0;
	}
}

static int job_print(struct core *core, const struct slot *slot, char *buffer, size_t size)
{
	size_t count = 0;

	if (slot->wait.value)
		return snprintf(buffer, size, "signaled");
	if (!slot->wait.maximum)
		return snprintf(buffer, size, "empty");
	members_each(core, state_node(&core->state, slot), count_processes, &count);
	return snprintf(buffer, size, "running %zu", count);
}

const struct wait_type wait_job = {
    .configure = job_configure,
    .signaled = job_signaled,
    .take = job_take,
    .change = job_change,
    .changed = job_changed,
    .forget = job_forget,
    .print = job_print,
};
