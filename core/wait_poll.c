/* Who polls an object and wants to be told of a change: once for each time they ask. */
#include "core/user.h"
#include "core/util.h"
#include "core/wait_internal.h"

#include <string.h>

static int make_room(struct waits *waits, uint32_t index)
{
	uint32_t capacity = waits->polls_capacity ? waits->polls_capacity : 64;
	struct poll_link *bigger;

	if (index < waits->polls_capacity)
		return 0;
	while (capacity <= index)
		capacity *= 2;
	bigger = reallocarray(waits->polls, capacity, sizeof *bigger);
	if (!bigger)
		return -ENOMEM;
	memset(bigger + waits->polls_capacity, 0,
	       (capacity - waits->polls_capacity) * sizeof *bigger);
	waits->polls = bigger;
	waits->polls_capacity = capacity;
	return 0;
}

int poll_add(struct core *core, struct slot *slot, uint64_t number, uint64_t poll)
{
	struct wait_handle *handle = wait_handle(core, number);
	uint32_t index = wait_handle_index(number);
	struct poll_link *links;
	struct wait_queue *queue;
	int rc;

	/* A new worker tells everybody to look again, once it has gathered all. */
	if (handle->poll || core->waits->gathering) {
		handle->poll = poll;
		return 0;
	}
	rc = user_take_waits(core, handle->uid, 1, false);
	if (rc < 0)
		return rc;
	rc = make_room(core->waits, index);
	queue = rc < 0 ? NULL : queue_get(core, slot);
	if (!queue) {
		user_drop_waits(core, handle->uid, 1);
		return -ENOMEM;
	}
	links = core->waits->polls;
	links[index] = (struct poll_link){.next = queue->first_poll};
	if (queue->first_poll)
		links[queue->first_poll].previous = index;
	queue->first_poll = index;
	handle->poll = poll;
	return 0;
}

static void unlink_poll(struct core *core, struct wait_queue *queue, uint32_t index)
{
	struct poll_link *links = core->waits->polls, link = links[index];

	if (link.previous)
		links[link.previous].next = link.next;
	else
		queue->first_poll = link.next;
	if (link.next)
		links[link.next].previous = link.previous;
	links[index] = (struct poll_link){0};
	core->state.handles[index].poll = 0;
	user_drop_waits(core, core->state.handles[index].uid, 1);
}

void poll_drop(struct core *core, struct slot *slot, uint64_t number)
{
	struct wait_queue *queue = queue_find(core, slot);
	struct wait_handle *handle = wait_handle(core, number);

	if (handle && core->waits->gathering)
		handle->poll = 0;
	if (!queue || !handle || !handle->poll)
		return;
	unlink_poll(core, queue, wait_handle_index(number));
	queue_consider_free(core, queue);
}

/* Those for whom a wait would succeed now. */
void poll_tell(struct core *core, struct slot *slot)
{
	const struct core_listener *l = &core->config.listener;
	struct wait_queue *queue = queue_find(core, slot);
	uint32_t next;

	if (!queue || !wait_worth_looking(core, slot))
		return;
	for (uint32_t index = queue->first_poll; index; index = next) {
		struct wait_handle *handle = &core->state.handles[index];
		uint64_t number = (uint64_t)handle->generation << 32 | index, poll = handle->poll;

		next = core->waits->polls[index].next;
		if (!wait_type_of(slot)->signaled(core, slot, number))
			continue;
		unlink_poll(core, queue, index);
		if (l->poll_changed)
			l->poll_changed(l->context, poll);
	}
	queue_consider_free(core, queue);
}

/* What a former worker changed and did not tell: everybody looks again. */
void polls_resume(struct core *core)
{
	const struct core_listener *l = &core->config.listener;

	for (uint32_t i = 1; i < core->state.header->handles_high; i++) {
		struct wait_handle *handle = &core->state.handles[i];
		uint64_t poll = handle->poll;

		handle->poll = 0;
		if (handle->node && poll && l->poll_changed)
			l->poll_changed(l->context, poll);
	}
}
