/* The table of members, and what tells of their end: an epoll of their descriptors inside of
 * core's.
 *
 * An entry lives from the moment its `node` is set. The kernel may forget a job that goes on: then
 * its members sleep, known by the job's inode number, until it is looked up again. */
#include "core/job.h"
#include "core/log.h"
#include "core/util.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>

#define TRY_AGAIN_NS 1000000000ULL
#define SETTLE_NS    100000000ULL /* the kernel tells of a cgroup's end within 10 ms */

struct members {
	struct core *core;
	int epoll_fd;
	int *fds; /* by entry: pidfd or cgroup.events; -1: not open */
	uint32_t capacity;
	uint32_t hint;      /* no entry below is free */
	struct timer again; /* some could not be opened */
};

/* --- in memory --- */

static int make_room(struct members *m, uint32_t index)
{
	uint32_t capacity = m->capacity ? m->capacity : 64;
	int *bigger;

	if (index < m->capacity)
		return 0;
	while (capacity <= index)
		capacity *= 2;
	bigger = reallocarray(m->fds, capacity, sizeof *bigger);
	if (!bigger)
		return -ENOMEM;
	for (uint32_t i = m->capacity; i < capacity; i++)
		bigger[i] = -1;
	m->fds = bigger;
	m->capacity = capacity;
	return 0;
}

static void look_again(struct timer *timer);

static int open_members(struct core *core)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct members *m;

	if (core->members)
		return 0;
	m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	*m = (struct members){.core = core, .hint = 1, .again.fire = look_again};
	core->members = m;
	m->epoll_fd = event.data.fd = epoll_create1(EPOLL_CLOEXEC);
	if (m->epoll_fd < 0 || epoll_ctl(core->epoll_fd, EPOLL_CTL_ADD, m->epoll_fd, &event) < 0) {
		int rc = -errno;

		members_finish(core);
		return rc;
	}
	if (core->config.listener.has_jobs)
		core->config.listener.has_jobs(core->config.listener.context);
	return 0;
}

void members_finish(struct core *core)
{
	struct members *m = core->members;

	if (!m)
		return;
	timers_cancel(&core->timers, &m->again);
	for (uint32_t i = 0; i < m->capacity; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	if (m->epoll_fd >= 0)
		close(m->epoll_fd);
	free(m->fds);
	free(m);
	core->members = NULL;
}

int members_poll_fd(const struct core *core)
{
	return core->members ? core->members->epoll_fd : -1;
}

static void close_descriptor(struct members *m, uint32_t index)
{
	if (m && index < m->capacity && m->fds[index] >= 0) {
		close(m->fds[index]);
		m->fds[index] = -1;
	}
}

int member_watch(struct core *core, uint32_t index, int fd)
{
	struct members *m = core->members;
	/* cgroup.events is always readable; of what changed it tells by POLLPRI. */
	struct epoll_event event = {.events = core->state.members[index].pid ? EPOLLIN : EPOLLPRI,
				    .data.u32 = index};
	int rc = make_room(m, index);

	if (rc == 0)
		rc = neg_errno(epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fd, &event));
	if (rc < 0) {
		close(fd);
		return rc;
	}
	close_descriptor(m, index);
	m->fds[index] = fd;
	return 0;
}

int member_descriptor(struct core *core, uint32_t index)
{
	const struct members *m = core->members;

	return m && index < m->capacity ? m->fds[index] : -1;
}

/* --- the table --- */

uint32_t member_take(struct core *core)
{
	struct state_header *h = core->state.header;
	uint32_t index = core->members->hint;

	while (index < h->members_high && core->state.members[index].node)
		index++;
	if (index == STATE_MEMBERS)
		return 0;
	if (index == h->members_high)
		h->members_high = index + 1;
	core->members->hint = index;
	close_descriptor(core->members, index);
	return index;
}

/* One store: no worker finds half of it. */
static void set_node(struct core *core, uint32_t index, uint64_t node)
{
	atomic_signal_fence(memory_order_seq_cst);
	*(volatile uint64_t *)&core->state.members[index].node = node;
	atomic_signal_fence(memory_order_seq_cst);
}

static void forgotten(struct core *core, uint32_t index)
{
	close_descriptor(core->members, index);
	if (core->members && index < core->members->hint)
		core->members->hint = index;
}

void member_drop(struct core *core, uint32_t index)
{
	set_node(core, index, 0);
	forgotten(core, index);
}

void members_each(struct core *core, uint64_t node,
		  void (*each)(struct core *core, uint32_t index, void *context), void *context)
{
	for (uint32_t i = 1; i < core->state.header->members_high; i++)
		if (core->state.members[i].node == node)
			each(core, i, context);
}

/* Commits that a member is no more. then: 0, or MEMBER_GONE: its cgroup is still to be removed. */
static void member_end(struct core *core, uint32_t index, uint64_t then)
{
	struct job_member *member = &core->state.members[index];
	struct slot *slot = state_slot(&core->state, member->node);

	if (member->node == MEMBER_GONE && !then)
		member_drop(core, index);
	if (member->node == MEMBER_ASLEEP) {
		member->state |= MEMBER_ENDED; /* the job is told when it is awake */
		close_descriptor(core->members, index);
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
		forgotten(core, index);
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
		close_descriptor(core->members, index);
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
static void look_after_all(struct core *core)
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

static void look_again(struct timer *timer)
{
	look_after_all(CONTAINER_OF(timer, struct members, again)->core);
}

void members_dispatch(struct core *core)
{
	struct epoll_event events[64];
	int count = epoll_wait(core->members->epoll_fd, events, ARRAY_SIZE(events), 0);

	for (int i = 0; i < count; i++)
		look_at(core, events[i].data.u32, false);
}

int members_prepare(struct core *core)
{
	int rc = open_members(core);

	/* What comes now may be sent again, and meets what it left. */
	if (rc == 0 && core->members->again.position)
		look_after_all(core);
	return rc;
}

/* --- workers, and jobs that the kernel forgets --- */

static bool is_awake(struct core *core, const struct job_member *member)
{
	const struct slot *slot = state_slot(&core->state, member->node);

	return slot && (slot->lookups || slot->handles || slot->flags) &&
	       slot->type == OBJECT_JOB && slot->ino == member->ino;
}

int members_resume(struct core *core)
{
	bool any = false;
	int rc;

	for (uint32_t i = 1; i < core->state.header->members_high; i++) {
		const struct job_member *member = &core->state.members[i];

		if (!member->node)
			continue;
		any = true;
		if (member->node != MEMBER_GONE && !is_awake(core, member))
			set_node(core, i, MEMBER_ASLEEP);
	}
	if (!any)
		return 0;
	rc = open_members(core);
	return rc < 0 ? rc : timers_arm(&core->timers, &core->members->again, 0);
}

void members_sleep(struct core *core, const struct slot *slot, bool gone)
{
	uint64_t node = state_node(&core->state, slot);

	for (uint32_t i = 1; i < core->state.header->members_high; i++) {
		const struct job_member *member = &core->state.members[i];

		if (member->node != node)
			continue;
		if (gone && member->pid && !(member->state & MEMBER_MAKING))
			member_drop(core, i);
		else
			set_node(core, i, gone ? MEMBER_GONE : MEMBER_ASLEEP);
	}
}

void members_wake(struct core *core, struct slot *slot)
{
	uint32_t living = 0, ended = 0;

	for (uint32_t i = 1; i < core->state.header->members_high; i++) {
		const struct job_member *member = &core->state.members[i];

		if (member->node != MEMBER_ASLEEP || member->ino != slot->ino)
			continue;
		if (member->state & MEMBER_ENDED) {
			ended++;
			member_drop(core, i);
			continue;
		}
		living += !(member->state & MEMBER_MAKING);
		set_node(core, i, state_node(&core->state, slot));
	}
	/* The record may tell of members that an earlier mount had. */
	slot->wait.maximum = living;
	if (!living && ended) {
		slot->wait.value = 1;
		slot->flags |= SLOT_UNSAVED;
	}
}
