/* Open handles of objects to wait on: a table in the state area. */
#include "core/user.h"
#include "core/util.h"
#include "core/wait_internal.h"

#include <sys/random.h>

uint32_t wait_handle_index(uint64_t number)
{
	return (uint32_t)number;
}

struct wait_handle *wait_handle(struct core *core, uint64_t number)
{
	struct wait_handle *handle = &core->state.handles[wait_handle_index(number)];

	if (wait_handle_index(number) == 0 ||
	    wait_handle_index(number) >= core->state.header->handles_high || !handle->node ||
	    handle->generation != (uint32_t)(number >> 32))
		return NULL;
	return handle;
}

bool wait_handle_is_of(struct core *core, uint64_t number, const struct slot *slot)
{
	const struct wait_handle *handle = wait_handle(core, number);

	return handle && handle->node == state_node(&core->state, slot);
}

static int push_free(struct core *core, uint32_t index)
{
	struct waits *waits = core->waits;

	if (waits->free_count == waits->free_capacity) {
		uint32_t capacity = waits->free_capacity ? waits->free_capacity * 2 : 64;
		uint32_t *bigger =
		    reallocarray(waits->free_handles, capacity, sizeof *waits->free_handles);
		if (!bigger)
			return -ENOMEM; /* found again by the next worker */
		waits->free_handles = bigger;
		waits->free_capacity = capacity;
	}
	waits->free_handles[waits->free_count++] = index;
	return 0;
}

/* Nobody but the kernel can make them up. */
static int next_key(struct waits *waits, uint64_t *key)
{
	if (!waits->keys_left) {
		if (getrandom(waits->keys, sizeof waits->keys, 0) != sizeof waits->keys)
			return -EIO;
		waits->keys_left = ARRAY_SIZE(waits->keys);
	}
	*key = waits->keys[--waits->keys_left];
	return 0;
}

int wait_stage_open(struct core *core, struct slot *slot, int flags, uint64_t *number)
{
	struct state_header *h = core->state.header;
	struct waits *waits = core->waits;
	struct wait_handle *handle;
	uint32_t index;
	uint64_t key;
	int rc = next_key(waits, &key);

	if (rc == 0)
		rc = user_may_take_handle(core, core->request_uid);
	if (rc < 0)
		return rc;
	if (waits->free_count) {
		index = waits->free_handles[--waits->free_count];
	} else {
		if (h->handles_high == STATE_HANDLES)
			return -ENFILE;
		index = h->handles_high;
		h->handles_high = index + 1;
	}
	handle = &core->state.handles[index];
	handle->key = key;
	handle->poll = 0;
	handle->access = (uint16_t)(flags & O_ACCMODE);
	handle->answered = handle->line_left = 0;
	handle->signaled = 0;
	handle->uid = core->request_uid;
	user_count_handle(core, handle->uid, true);
	handle->generation++;
	STAGE(&core->state, handle->node, state_node(&core->state, slot));
	*number = (uint64_t)handle->generation << 32 | index;
	return 0;
}

void wait_handle_answered(struct core *core, uint64_t number, enum wait_result result)
{
	struct wait_handle *handle = wait_handle(core, number);

	if (handle)
		handle->answered = (uint8_t)(result + 1);
}

bool core_waited_last(struct core *core, uint64_t number, enum wait_result *result)
{
	struct wait_handle *handle = wait_handle(core, number);

	if (!handle || !handle->answered)
		return false;
	*result = (enum wait_result)(handle->answered - 1);
	return true;
}

void core_line_left(struct core *core, uint64_t number, bool left)
{
	struct wait_handle *handle = wait_handle(core, number);

	if (handle)
		handle->line_left = left;
}

void wait_handle_free(struct core *core, uint64_t number)
{
	uint32_t index = wait_handle_index(number);

	user_count_handle(core, core->state.handles[index].uid, false);
	push_free(core, index);
}

int wait_handles_resume(struct core *core)
{
	int rc = 0;

	for (uint32_t i = 1; rc == 0 && i < core->state.header->handles_high; i++)
		if (!core->state.handles[i].node)
			rc = push_free(core, i);
		else
			user_count_handle(core, core->state.handles[i].uid, true);
	return rc;
}

int core_handle_proof(struct core *core, uint64_t number, struct core_handle_proof *out)
{
	struct wait_handle *handle = wait_handle(core, number);

	if (!handle)
		return -EBADF;
	*out = (struct core_handle_proof){.handle = number, .key = handle->key};
	return 0;
}
