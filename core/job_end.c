/* After the mount: jobs end with it. Members of those that kill on close are killed, the others are
 * let go: everybody moves back to where he came from, and no cgroup of ours is left.
 *
 * Nothing of core runs any more: all there is, is the state area. */
#include "core/job.h"
#include "core/log.h"
#include "core/util.h"

#include <poll.h>
#include <signal.h>
#include <string.h>

#define PATIENCE_NS 2000000000ULL /* for the killed to be gone */
#define NAP_MS      10

static bool dies_with_job(struct state *state, const struct job_member *member)
{
	const struct slot *slot = state_slot(state, member->node);

	return slot && slot->type == OBJECT_JOB && slot->ino == member->ino &&
	       (slot->wait.options & WAIT_KILL_ON_CLOSE);
}

static void end_process(const struct job_member *member, bool dies)
{
	AUTO_CLOSE int fd = dies ? process_open((pid_t)member->pid, member->id) : -1;

	if (fd >= 0)
		pidfd_signal(fd, SIGKILL);
}

static int open_cgroup(int root, int state_fd, uint32_t index, const struct job_member *member)
{
	AUTO_CLOSE int parent = -1;
	char name[CGROUP_NAME_MAX];

	if (!(member->state & MEMBER_MAKING))
		return cgroup_open(root, member->id);
	parent = cgroup_open(root, member->parent);
	job_cgroup_name(state_fd, index, member, name);
	return parent < 0 ? parent
			  : neg_errno(openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* True: it is gone. */
static bool end_cgroup(int cgroup, bool dies, bool patient)
{
	AUTO_CLOSE int events = -1;

	if (dies)
		job_kill_cgroup(cgroup);
	events = cgroup_events(cgroup);
	/* Who is killed is not moved out first: the limits it lives in are its own to the end. */
	if (patient && dies && events >= 0 && cgroup_populated(events) == 1)
		return false;
	cgroup_evacuate(cgroup);
	return cgroup_remove(cgroup, true) == 0;
}

/* How many are left. A cgroup inside of another goes first. */
static unsigned end_all(struct state *state, int state_fd, int root, bool patient)
{
	unsigned left = 0;

	for (uint32_t i = 1; i < state->header->members_high; i++) {
		struct job_member *member = &state->members[i];
		bool dies = dies_with_job(state, member);
		AUTO_CLOSE int cgroup = -1;

		if (!member->node || (member->state & MEMBER_ENDED))
			continue;
		if (member->pid)
			end_process(member, dies);
		else if (root > 0)
			cgroup = open_cgroup(root, state_fd, i, member);
		if (cgroup >= 0 && !end_cgroup(cgroup, dies, patient))
			left++;
		else
			member->node = 0;
	}
	return left;
}

void core_end_jobs(int state_fd, uint64_t offset, int cgroup_fd)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
	unsigned left, before = 0;
	struct state state;

	if (state_open(&state, state_fd, offset) < 0)
		return;
	while ((left = end_all(&state, state_fd, cgroup_fd, clock_ns(CLOCK_MONOTONIC) < until))) {
		if (left == before && clock_ns(CLOCK_MONOTONIC) > until)
			break;
		if (left == before)
			poll(NULL, 0, NAP_MS);
		before = left;
	}
	if (left)
		log_warn("%u cgroups of jobs stay: somebody uses them", left);
	state_close(&state);
}
