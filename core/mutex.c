/* Mutex: owned by an open file description, recursively. An owner that goes abandons it, and the
 * next one is told. */
#include "core/util.h"
#include "core/wait.h"

#include <stdio.h>
#include <string.h>

static int mutex_configure(struct core *core, struct slot *slot, const struct core_setup *setup,
			   const char **why)
{
	(void)core;
	(void)slot;
	(void)setup;
	(void)why;
	return 0; /* all zero: free */
}

static bool mutex_signaled(struct core *core, const struct slot *slot, uint64_t handle)
{
	(void)core;
	if (slot->wait.owner == 0)
		return true;
	return slot->wait.owner == handle && slot->wait.value < UINT32_MAX;
}

static enum wait_result mutex_take(struct core *core, struct slot *slot, uint64_t handle)
{
	struct state *state = &core->state;
	bool abandoned = slot->wait.options & WAIT_ABANDONED;

	STAGE(state, slot->wait.owner, handle);
	STAGE(state, slot->wait.value, slot->wait.value + 1);
	if (abandoned)
		STAGE(state, slot->wait.options, slot->wait.options & ~(uint32_t)WAIT_ABANDONED);
	return abandoned ? WAIT_WAS_ABANDONED : WAIT_ACQUIRED;
}

static int mutex_change(struct core *core, struct slot *slot, char **words,
			const struct wait_caller *caller)
{
	if (strcmp(words[0], "release") != 0 || words[1])
		return -EINVAL;
	if (!slot->wait.owner || slot->wait.owner != caller->handle)
		return -EPERM;
	if (slot->wait.value == 1)
		STAGE(&core->state, slot->wait.owner, 0);
	STAGE(&core->state, slot->wait.value, slot->wait.value - 1);
	return 0;
}

static bool mutex_closed(struct core *core, struct slot *slot, uint64_t handle)
{
	if (slot->wait.owner != handle)
		return false;
	STAGE(&core->state, slot->wait.owner, 0);
	STAGE(&core->state, slot->wait.value, 0);
	STAGE(&core->state, slot->wait.options, slot->wait.options | WAIT_ABANDONED);
	return true;
}

/* The owner has ended with the mount that kept this record. */
static void mutex_unpack(struct wait_state *wait)
{
	if (wait->owner)
		wait->options |= WAIT_ABANDONED;
	wait->owner = 0;
	wait->value = 0;
}

static int mutex_print(struct core *core, const struct slot *slot, char *buffer, size_t size)
{
	(void)core;
	if (slot->wait.owner)
		return snprintf(buffer, size, "owned %u", slot->wait.value);
	return snprintf(buffer, size, "%s",
			slot->wait.options & WAIT_ABANDONED ? "abandoned" : "free");
}

const struct wait_type wait_mutex = {
    .configure = mutex_configure,
    .signaled = mutex_signaled,
    .take = mutex_take,
    .change = mutex_change,
    .closed = mutex_closed,
    .unpack = mutex_unpack,
    .print = mutex_print,
};
