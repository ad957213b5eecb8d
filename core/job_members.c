/* The table of members, and what tells of their end: an epoll of their descriptors inside of
 * core's.
 *
 * An entry lives from the moment its `node` is set. The kernel may forget a job that goes on: then
 * its members sleep, known by the job's inode number, until it is looked up again. */
#include "core/job.h"
#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>

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

static int open_members(struct core *core)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct members *m;
	int rc;

	if (core->members)
		return 0;
	m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	*m = (struct members){.core = core, .hint = 1, .again.fire = members_look_again};
	core->members = m;
	m->epoll_fd = event.data.fd = epoll_create1(EPOLL_CLOEXEC);
	rc = neg_errno(m->epoll_fd);
	if (rc >= 0)
		rc = sys->epoll_ctl(core->epoll_fd, EPOLL_CTL_ADD, m->epoll_fd, &event);
	if (rc < 0) {
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

void member_close(struct core *core, uint32_t index)
{
	struct members *m = core->members;

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
		rc = sys->epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fd, &event);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	member_close(core, index);
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
	member_close(core, index);
	return index;
}

/* One store: no worker finds half of it. */
static void set_node(struct core *core, uint32_t index, uint64_t node)
{
	atomic_signal_fence(memory_order_seq_cst);
	*(volatile uint64_t *)&core->state.members[index].node = node;
	atomic_signal_fence(memory_order_seq_cst);
}

void member_forgotten(struct core *core, uint32_t index)
{
	member_close(core, index);
	if (core->members && index < core->members->hint)
		core->members->hint = index;
}

void member_drop(struct core *core, uint32_t index)
{
	set_node(core, index, 0);
	member_forgotten(core, index);
}

void members_each(struct core *core, uint64_t node,
		  void (*each)(struct core *core, uint32_t index, void *context), void *context)
{
	for (uint32_t i = 1; i < core->state.header->members_high; i++)
		if (core->state.members[i].node == node)
			each(core, i, context);
}

int members_prepare(struct core *core)
{
	int rc = open_members(core);

	/* What comes now may be sent again, and meets what it left. */
	if (rc == 0 && core->members->again.position)
		members_look_after(core);
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
