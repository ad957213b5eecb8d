/* Who waits for what, in order of arrival. */
#include "core/user.h"
#include "core/util.h"
#include "core/wait_internal.h"

#include <string.h>

struct wait_queue *queue_find(struct core *core, const struct slot *slot)
{
	return pointers_get(&core->waits->queues, state_index(&core->state, slot));
}

struct wait_queue *queue_get(struct core *core, const struct slot *slot)
{
	struct wait_queue *queue = queue_find(core, slot);

	if (queue)
		return queue;
	queue = calloc(1, sizeof *queue);
	if (!queue)
		return NULL;
	queue->node = state_node(&core->state, slot);
	if (pointers_put(&core->waits->queues, state_index(&core->state, slot), queue) < 0) {
		free(queue);
		return NULL;
	}
	return queue;
}

void queue_consider_free(struct core *core, struct wait_queue *queue)
{
	if (queue->first || queue->first_poll)
		return;
	pointers_remove(&core->waits->queues, (uint32_t)queue->node);
	free(queue);
}

static void link_last(struct wait_link *link, struct wait_queue *queue)
{
	link->queue = queue;
	link->next = NULL;
	link->previous = queue->last;
	if (queue->last)
		queue->last->next = link;
	else
		queue->first = link;
	queue->last = link;
	queue->many += link->waiter->many;
}

static void unlink_waiter(struct core *core, struct waiter *waiter)
{
	for (uint32_t i = 0; i < waiter->count; i++) {
		struct wait_link *link = &waiter->links[i];
		struct wait_queue *queue = link->queue;

		if (!queue)
			continue;
		if (link->previous)
			link->previous->next = link->next;
		else
			queue->first = link->next;
		if (link->next)
			link->next->previous = link->previous;
		else
			queue->last = link->previous;
		queue->many -= waiter->many;
		link->queue = NULL;
		queue_consider_free(core, queue);
	}
}

static void waiter_destroy(struct core *core, struct waiter *waiter)
{
	timers_cancel(&core->timers, &waiter->timer);
	pointers_remove(&core->waits->waiters, WAIT_UNIQUE(waiter->unique));
	unlink_waiter(core, waiter);
	user_drop_waits(core, waiter->uid, waiter->count);
	free(waiter);
}

int waiter_enqueue(struct core *core, struct waiter *waiter, struct slot *const *slots)
{
	int rc = pointers_put(&core->waits->waiters, WAIT_UNIQUE(waiter->unique), waiter);

	for (uint32_t i = 0; rc == 0 && i < waiter->count; i++) {
		struct wait_queue *queue = queue_get(core, slots[i]);

		waiter->links[i].waiter = waiter;
		if (queue)
			link_last(&waiter->links[i], queue);
		else
			rc = -ENOMEM;
	}
	if (rc < 0)
		waiter_destroy(core, waiter);
	return rc;
}

void waiter_end(struct core *core, struct waiter *waiter, int error, enum wait_result result,
		uint32_t index)
{
	const struct core_listener *l = &core->config.listener;
	struct core_waited waited = {.unique = waiter->unique,
				     .cookie = waiter->cookie,
				     .error = error,
				     .result = result,
				     .index = index,
				     .handle = waiter->links[index].handle};

	waiter_destroy(core, waiter);
	if (l->waited)
		l->waited(l->context, &waited);
}

/* --- taking --- */

static bool ready(struct core *core, struct slot *slot, uint64_t handle)
{
	return wait_type_of(slot)->signaled(core, slot, handle);
}

static enum wait_result take(struct core *core, struct slot *slot, uint64_t handle)
{
	wait_stage_unsaved(core, slot);
	return wait_type_of(slot)->take(core, slot, handle);
}

static bool take_any(struct core *core, struct slot *const *slots, const uint64_t *handles,
		     uint32_t count, uint32_t *index, enum wait_result *result)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!ready(core, slots[i], handles[i]))
			continue;
		*index = i;
		*result = take(core, slots[i], handles[i]);
		return true;
	}
	return false;
}

static bool take_all(struct core *core, struct slot *const *slots, const uint64_t *handles,
		     uint32_t count, uint32_t *index, enum wait_result *result)
{
	for (uint32_t i = 0; i < count; i++)
		if (!ready(core, slots[i], handles[i]))
			return false;
	for (uint32_t i = 0; i < count; i++) {
		enum wait_result one = take(core, slots[i], handles[i]);

		if (i && *result == WAIT_WAS_ABANDONED)
			continue;
		*index = i;
		*result = one;
	}
	return true;
}

bool wait_take(struct core *core, struct slot *const *slots, const uint64_t *handles,
	       uint32_t count, bool all, uint32_t *index, enum wait_result *result)
{
	return all ? take_all(core, slots, handles, count, index, result)
		   : take_any(core, slots, handles, count, index, result);
}

/* --- letting go --- */

/* Grants it if its time has come. */
static void try_grant(struct core *core, struct waiter *waiter)
{
	struct state_header *h = core->state.header;
	struct slot *slots[CORE_WAIT_MAX];
	uint64_t handles[CORE_WAIT_MAX];
	enum wait_result result;
	uint32_t index;

	for (uint32_t i = 0; i < waiter->count; i++) {
		slots[i] = &core->state.slots[(uint32_t)waiter->links[i].queue->node];
		handles[i] = waiter->links[i].handle;
	}
	if (!wait_take(core, slots, handles, waiter->count, waiter->all, &index, &result))
		return;
	wait_handle_answered(core, handles[index], result);
	STAGE(&core->state, h->granted, WAIT_UNIQUE(waiter->unique));
	STAGE(&core->state, h->granted_result, result);
	STAGE(&core->state, h->granted_index, index);
	state_commit(&core->state);
	for (uint32_t i = 0; i < waiter->count; i++)
		if (wait_type_of(slots[i])->changed)
			wait_type_of(slots[i])->changed(core, slots[i]);
	waiter_end(core, waiter, 0, result, index);
}

/* Handle 0 is nobody's: is there anything for a newcomer? A mutex is ready for its owner's queued
 * waits, too. */
bool wait_worth_looking(struct core *core, struct slot *slot)
{
	return slot->type == OBJECT_MUTEX || ready(core, slot, 0);
}

void queue_let_go(struct core *core, struct slot *slot)
{
	struct wait_queue *queue = queue_find(core, slot);
	struct wait_link *link = queue ? queue->first : NULL;

	while (link && wait_worth_looking(core, slot)) {
		struct waiter *waiter = link->waiter;

		/* It may stand here twice, and take both links with it. */
		do
			link = link->next;
		while (link && link->waiter == waiter);
		try_grant(core, waiter);
	}
}

/* --- a new worker --- */

static int by_unique(const void *a, const void *b)
{
	const struct wait_link *const *left = a, *const *right = b;
	uint64_t l = WAIT_UNIQUE((*left)->waiter->unique),
		 r = WAIT_UNIQUE((*right)->waiter->unique);

	return l < r ? -1 : l > r;
}

/* They came again in any order. */
static void sort(struct wait_queue *queue)
{
	struct wait_link **links;
	size_t count = 0, i = 0;

	for (struct wait_link *l = queue->first; l; l = l->next)
		count++;
	links = calloc(count ? count : 1, sizeof *links);
	if (!links)
		return; /* as they came, then */
	for (struct wait_link *l = queue->first; l; l = l->next)
		links[i++] = l;
	qsort(links, count, sizeof(struct wait_link *), by_unique);
	queue->first = queue->last = NULL;
	queue->many = 0;
	for (i = 0; i < count; i++)
		link_last(links[i], queue);
	free(links);
}

static void sort_one(void *context, void *item)
{
	(void)context;
	sort(item);
}

void queues_resume(struct core *core)
{
	pointers_each(&core->waits->queues, sort_one, NULL);
	for (uint32_t i = 2; i < core->state.header->high; i++)
		if (core->state.slots[i].lookups && slot_is_waitable(&core->state.slots[i]))
			wait_changed(core, &core->state.slots[i]);
}

static void drop_waiter(void *context, void *item)
{
	waiter_destroy(context, item);
}

static void drop_item(void *context, void *item)
{
	(void)context;
	free(item);
}

void queues_finish(struct core *core)
{
	pointers_each(&core->waits->waiters, drop_waiter, core);
	pointers_each(&core->waits->queues, drop_item, core);
	pointers_each(&core->waits->alarms, drop_item, core);
	pointers_finish(&core->waits->waiters);
	pointers_finish(&core->waits->queues);
	pointers_finish(&core->waits->alarms);
}

static bool names_handle(const struct waiter *waiter, uint64_t handle)
{
	for (uint32_t i = 0; i < waiter->count; i++)
		if (waiter->links[i].handle == handle)
			return true;
	return false;
}

void queue_handle_closed(struct core *core, struct slot *slot, uint64_t handle)
{
	struct wait_queue *queue = queue_find(core, slot);
	struct wait_link *link = queue && queue->many ? queue->first : NULL;

	while (link) {
		struct waiter *waiter = link->waiter;
		do
			link = link->next;
		while (link && link->waiter == waiter);
		if (names_handle(waiter, handle))
			waiter_end(core, waiter, -EBADF, WAIT_SIGNALED, 0);
	}
}
