/* The door to waiting: checks, replays, and the order of what is committed and what is told. */
#include "core/wait.h"

#include "core/user.h"
#include "core/util.h"
#include "core/wait_internal.h"

#include <string.h>

const struct wait_type *wait_type_of(const struct slot *slot)
{
	static const struct wait_type *const types[OBJECT_TYPES] = {
	    [OBJECT_EVENT] = &wait_event, [OBJECT_SEMAPHORE] = &wait_semaphore,
	    [OBJECT_MUTEX] = &wait_mutex, [OBJECT_TIMER] = &wait_timer,
	    [OBJECT_JOB] = &wait_job,
	};

	return types[slot->type];
}

void wait_stage_unsaved(struct core *core, struct slot *slot)
{
	STAGE(&core->state, slot->flags, slot->flags | SLOT_UNSAVED);
}

void wait_refresh(struct core *core, struct slot *slot)
{
	if (wait_type_of(slot)->changed)
		wait_type_of(slot)->changed(core, slot);
}

void wait_changed(struct core *core, struct slot *slot)
{
	if (core->waits->gathering)
		return; /* queues_resume() looks at everything */
	queue_let_go(core, slot);
	if (wait_type_of(slot)->settled)
		wait_type_of(slot)->settled(core, slot);
	poll_tell(core, slot);
}

int wait_configure(struct core *core, struct slot *slot, const struct core_setup *setup,
		   const char **why)
{
	const struct slot probe = {.type = (uint8_t)setup->type};
	const struct wait_type *type = wait_type_of(&probe);

	STAGE(&core->state, slot->type, setup->type);
	slot->wait = (struct wait_state){0}; /* of nothing yet: it is a plain empty file */
	return type->configure(core, slot, setup, why);
}

/* --- one wait --- */

struct slot *wait_slot(struct core *core, uint64_t node)
{
	struct slot *slot = slot_get(core, node);

	return slot && slot_is_waitable(slot) ? slot : NULL;
}

bool wait_replayed(struct core *core, struct core_waited *out, int *error)
{
	const struct state_header *h = core->state.header;
	uint64_t node;

	if (core_replayed(core, error, &node)) {
		/* Of a request that was no wait it may be anything. */
		out->result = WAIT_SIGNALED;
		if (*error > 0 && *error <= WAIT_WAS_ABANDONED)
			out->result = (enum wait_result) * error;
		out->index = (uint32_t)node;
		*error = *error < 0 ? *error : 0;
		return true;
	}
	if (!core->resent || h->granted != WAIT_UNIQUE(out->unique))
		return false;
	out->result = (enum wait_result)h->granted_result;
	out->index = h->granted_index;
	*error = 0;
	return true;
}

static struct waiter *waiter_create(struct core *core, const struct core_waited *wait,
				    const uint64_t *handles, uint32_t count)
{
	struct waiter *waiter = calloc(1, sizeof *waiter + count * sizeof waiter->links[0]);

	if (!waiter)
		return NULL;
	waiter->core = core;
	waiter->unique = wait->unique;
	waiter->cookie = wait->cookie;
	waiter->uid = core->request_uid;
	waiter->count = count;
	for (uint32_t i = 0; i < count; i++)
		waiter->links[i].handle = handles[i];
	return waiter;
}

static void wait_timed_out(struct timer *timer)
{
	struct waiter *waiter = CONTAINER_OF(timer, struct waiter, timer);

	waiter_end(waiter->core, waiter, -ETIMEDOUT, WAIT_SIGNALED, 0);
}

int wait_for(struct core *core, struct slot *const *slots, const uint64_t *handles,
	     const struct core_wait_many *many, struct core_waited *out)
{
	uint32_t count = many->count;
	struct waiter *waiter;
	uint64_t now;
	bool once;
	int rc;

	if (!core->waits->gathering &&
	    wait_take(core, slots, handles, count, many->all, &out->index, &out->result)) {
		core_stage_done(core, (int)out->result, out->index);
		out->handle = handles[out->index];
		wait_handle_answered(core, out->handle, out->result);
		state_commit(&core->state);
		for (uint32_t i = 0; i < count; i++)
			wait_refresh(core, slots[i]);
		return 0;
	}
	/* Further than a clock goes: none. */
	now = many->deadline > INT64_MAX ? 0 : clock_ns(CLOCK_MONOTONIC);
	once = many->deadline <= now;
	if (once && !core->waits->gathering)
		return -EAGAIN;
	rc = user_take_waits(core, core->request_uid, count, core->resent);
	if (rc < 0)
		return rc;
	waiter = waiter_create(core, out, handles, count);
	if (!waiter) {
		user_drop_waits(core, core->request_uid, count);
		return -ENOMEM;
	}
	waiter->many = count > 1;
	waiter->all = many->all;
	waiter->once = once;
	waiter->named = many->handles;
	rc = waiter_enqueue(core, waiter, slots);
	if (rc < 0)
		return rc;
	waiter->timer.fire = wait_timed_out;
	rc = now && !once ? timers_arm(&core->timers, &waiter->timer, many->deadline - now) : 0;
	if (rc < 0)
		waiter_end(core, waiter, rc, WAIT_SIGNALED, 0);
	return CORE_DEFERRED;
}

int core_wait(struct core *core, uint64_t node, uint64_t handle, bool block,
	      struct core_waited *out)
{
	const struct core_wait_many one = {.count = 1, .deadline = block ? UINT64_MAX : 0};
	struct slot *slot = wait_slot(core, node);
	int rc;

	if (wait_replayed(core, out, &rc))
		return rc;
	if (!slot || !wait_handle_is_of(core, handle, slot))
		return -ESTALE;
	return wait_for(core, &slot, &handle, &one, out);
}

/* The handles that are named, as slots. */
static int find_all(struct core *core, const struct core_wait_many *many, struct slot **slots,
		    uint64_t *numbers)
{
	for (uint32_t i = 0; i < many->count; i++) {
		const struct core_handle_proof *proof = &many->handles[i];
		struct wait_handle *handle = wait_handle(core, proof->handle);

		if (!handle || handle->key != proof->key)
			return -EBADF;
		if (handle->access == O_WRONLY)
			return -EACCES;
		slots[i] = wait_slot(core, handle->node);
		numbers[i] = proof->handle;
		if (!slots[i])
			return -ESTALE;
		for (uint32_t k = 0; many->all && k < i; k++)
			if (slots[k] == slots[i])
				return -EINVAL; /* taken twice at once it would never be */
	}
	return 0;
}

int core_wait_many(struct core *core, const struct core_wait_many *many, struct core_waited *out)
{
	struct slot *slots[CORE_WAIT_MAX];
	uint64_t numbers[CORE_WAIT_MAX];
	int rc;

	if (wait_replayed(core, out, &rc))
		return rc;
	if (many->count < 1 || many->count > CORE_WAIT_MAX)
		return -EINVAL;
	rc = find_all(core, many, slots, numbers);
	if (rc < 0)
		return rc;
	rc = wait_for(core, slots, numbers, many, out);
	return rc == -EAGAIN ? -ETIMEDOUT : rc;
}

bool core_interrupt(struct core *core, uint64_t unique)
{
	struct waiter *waiter = pointers_get(&core->waits->waiters, WAIT_UNIQUE(unique));

	if (waiter)
		waiter_end(core, waiter, -EINTR, WAIT_SIGNALED, 0);
	return waiter;
}

int core_poll(struct core *core, uint64_t node, uint64_t handle, uint64_t poll, bool notify)
{
	struct slot *slot = wait_slot(core, node);
	int rc;

	if (!slot || !wait_handle_is_of(core, handle, slot))
		return -ESTALE;
	if (notify) {
		rc = poll_add(core, slot, handle, poll);
		if (rc < 0)
			return rc;
	}
	return wait_handle(core, handle)->line_left ||
	       wait_type_of(slot)->signaled(core, slot, handle);
}

/* --- handles --- */

void wait_release(struct core *core, struct slot *slot, uint64_t number)
{
	struct wait_handle *handle = wait_handle(core, number);

	queue_handle_closed(core, slot, number);
	poll_drop(core, slot, number);
	if (wait_type_of(slot)->closed && wait_type_of(slot)->closed(core, slot, number))
		wait_stage_unsaved(core, slot);
	STAGE(&core->state, handle->node, 0);
}

void wait_released(struct core *core, struct slot *slot, uint64_t number)
{
	wait_handle_free(core, number);
	wait_refresh(core, slot);
	wait_changed(core, slot);
}

/* --- coming and going --- */

void wait_known(struct core *core, struct slot *slot)
{
	wait_refresh(core, slot);
}

void wait_forget(struct core *core, struct slot *slot)
{
	if (wait_type_of(slot)->forget)
		wait_type_of(slot)->forget(core, slot);
}

int wait_print(struct core *core, const struct slot *slot, char *buffer, size_t size)
{
	return wait_type_of(slot)->print(core, slot, buffer, size);
}

int wait_init(struct core *core)
{
	core->waits = calloc(1, sizeof *core->waits);
	return core->waits ? 0 : -ENOMEM;
}

void wait_gather(struct core *core)
{
	core->waits->gathering = true;
	wait_handles_resume(core);
}

static void end_if_once(void *context, void *item)
{
	struct waiter *waiter = item;

	if (waiter->once)
		waiter_end(context, waiter, waiter->named ? -ETIMEDOUT : -EAGAIN, WAIT_SIGNALED, 0);
}

void core_resumed(struct core *core)
{
	users_resumed(core);
	if (!core->waits->gathering)
		return;
	core->waits->gathering = false;
	core->record = NULL;
	queues_resume(core);
	pointers_each(&core->waits->waiters, end_if_once, core);
	polls_resume(core);
}

void wait_finish(struct core *core)
{
	if (!core->waits)
		return;
	queues_finish(core);
	free(core->waits->polls);
	free(core->waits->free_handles);
	free(core->waits);
	core->waits = NULL;
}
