/* Members come to their end: what is seen of it, and what follows. */
#include "core/job.h"
#include "core/log.h"
#include "core/util.h"

#include <string.h>
#include <sys/epoll.h>

#define TRY_AGAIN_NS 1000000000ULL
#define SETTLE_NS    100000000ULL /* the kernel tells of a cgroup's end within 10 ms */

/* Commits that a member is no more. then: 0, or MEMBER_GONE: its cgroup is still to be removed. */
static void member_end(struct core *core, uint32_t index, uint64_t then)
{
	struct job_member *member = &core->state.members[index];
	struct slot *slot = state_slot(&core->state, member->node);

	if (member->node == MEMBER_GONE && !then)
		member_drop(core, index);
	if (member->node == MEMBER_ASLEEP && !then) {
		member->state |= MEMBER_ENDED; /* the job is told when it is awake */
		member_close(core, index);
	}
	if (member->node <= MEMBER_GONE)
		return;
	STAGE(&core->state, member->node, then);
	if (slot && slot->wait.maximum) {
		STAGE(&core->state, slot->wait.maximum, slot->wait.maximum - 1);
		if (slot->wait.maximum == 1)
			STAGE(&core->state, slot->wait.value, 1);
		wait_stage_unsaved(core, slot);
	}
	state_commit(&core->state);
	if (!then)
		member_forgotten(core, index);
	if (slot)
		wait_changed(core, slot);
}

/* --- looking at one --- */

/* A cgroup without processes goes, and with it the member. Empty ones below it are in the way: of
 * another job, which removes it when it is told of its end, and is not told if we do. What is there
 * later is nobody's. */
static void cgroup_emptied(struct core *core, uint32_t index, bool later)
{
	uint64_t id = core->state.members[index].id, then = 0;
	AUTO_CLOSE int cgroup = cgroup_open(core->config.cgroup_fd, id);
	int rc = cgroup < 0 ? 0 : cgroup_remove(cgroup, later);

	if (rc == -EBUSY && cgroup_populated(member_descriptor(core, index)) == 1)
		return; /* somebody has come meanwhile */
	if (rc == -EBUSY && !later) {
		then = MEMBER_GONE;
		if (!core->members->again.position)
			timers_arm(&core->timers, &core->members->again, SETTLE_NS);
	} else if (rc < 0) {
		log_warn("a job's cgroup (%llu) stays: %s", (unsigned long long)id, strerror(-rc));
	}
	member_end(core, index, then);
}

static void look_at(struct core *core, uint32_t index, bool later)
{
	const struct job_member *member = &core->state.members[index];
	int fd = member_descriptor(core, index);

	if (!member->node || (member->state & (MEMBER_ENDED | MEMBER_MAKING)))
		member_close(core, index);
	else if (member->pid && process_ended(fd))
		member_end(core, index, 0);
	else if (!member->pid && cgroup_populated(fd) == 0)
		cgroup_emptied(core, index, later);
}

static int open_member(struct core *core, const struct job_member *member)
{
	AUTO_CLOSE int cgroup = -1;

	if (member->pid)
		return process_open((pid_t)member->pid, member->id);
	cgroup =
	    core->config.cgroup_fd > 0 ? cgroup_open(core->config.cgroup_fd, member->id) : -ESTALE;
	return cgroup < 0 ? cgroup : cgroup_events(cgroup);
}

/* Of what a former worker left. False: it cannot be opened now. */
static bool adopt(struct core *core, uint32_t index)
{
	struct job_member *member = &core->state.members[index];
	int rc = open_member(core, member);

	if (rc == -ESRCH || rc == -ESTALE || rc == -ENOENT) {
		member_end(core, index, 0);
		return true;
	}
	if (rc >= 0)
		rc = member_watch(core, index, rc);
	if (rc < 0)
		log_warn("a job's member cannot be watched: %s", strerror(-rc));
	return rc >= 0;
}

/* False: look again. */
static bool look_after(struct core *core, uint32_t index)
{
	struct job_member *member = &core->state.members[index];

	if (member->node && (member->state & MEMBER_MAKING))
		job_join_finish(core, index);
	if (!member->node || (member->state & MEMBER_ENDED))
		return true;
	if (member_descriptor(core, index) < 0 && !adopt(core, index))
		return false;
	look_at(core, index, true);
	return true;
}

/* The last handle may have gone in a worker that did not live to see to it. */
static void keep_promise(struct core *core, uint32_t index)
{
	const struct slot *slot = state_slot(&core->state, core->state.members[index].node);

	if (slot && (slot->wait.options & WAIT_KILL_ON_CLOSE) && !slot->handles)
		job_kill_member(core, index);
}

/* Twice: what was removed below one member may be the cgroup of another. */
void members_look_after(struct core *core)
{
	bool all = true;

	for (uint32_t i = 1; i < core->state.header->members_high; i++) {
		all = look_after(core, i) && all;
		if (core->state.members[i].node)
			keep_promise(core, i);
	}
	for (uint32_t i = 1; i < core->state.header->members_high; i++)
		look_at(core, i, true);
	if (all)
		timers_cancel(&core->timers, &core->members->again);
	else
		timers_arm(&core->timers, &core->members->again, TRY_AGAIN_NS);
}

void members_look_again(struct timer *timer)
{
	members_look_after(CONTAINER_OF(timer, struct members, again)->core);
}

void members_dispatch(struct core *core)
{
	struct epoll_event events[64];
	int count = epoll_wait(core->members->epoll_fd, events, ARRAY_SIZE(events), 0);

	for (int i = 0; i < count; i++)
		look_at(core, events[i].data.u32, false);
}
