/* Semaphore: a count; a wait takes one. */
#include "core/util.h"
#include "core/wait.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int semaphore_configure(struct core *core, struct slot *slot, const struct core_setup *setup,
			       const char **why)
{
	*why = "a semaphore needs a maximum of 1 to 2147483647, and an initial value of 0 to that";
	if (setup->maximum < 1 || setup->maximum > INT32_MAX || setup->initial > setup->maximum)
		return -EINVAL;
	STAGE(&core->state, slot->wait.value, setup->initial);
	STAGE(&core->state, slot->wait.maximum, setup->maximum);
	return 0;
}

static bool semaphore_signaled(struct core *core, const struct slot *slot, uint64_t handle)
{
	(void)core;
	(void)handle;
	return slot->wait.value > 0;
}

static enum wait_result semaphore_take(struct core *core, struct slot *slot, uint64_t handle)
{
	(void)handle;
	STAGE(&core->state, slot->wait.value, slot->wait.value - 1);
	return WAIT_ACQUIRED;
}

/* 1 and more, in decimal; what is beyond any maximum is UINT32_MAX. */
static bool parse_count(const char *text, uint32_t *out)
{
	unsigned long value;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	value = strtoul(text, &end, 10); /* ULONG_MAX when it is larger still */
	if (*end || value < 1)
		return false;
	*out = value > INT32_MAX ? UINT32_MAX : (uint32_t)value;
	return true;
}

static int semaphore_change(struct core *core, struct slot *slot, char **words,
			    const struct wait_caller *caller)
{
	uint32_t count = 1;

	(void)caller;
	if (strcmp(words[0], "release") != 0)
		return -EINVAL;
	if (words[1] && (words[2] || !parse_count(words[1], &count)))
		return -EINVAL;
	if (count > slot->wait.maximum - slot->wait.value)
		return -EOVERFLOW;
	STAGE(&core->state, slot->wait.value, slot->wait.value + count);
	return 0;
}

static int semaphore_print(struct core *core, const struct slot *slot, char *buffer, size_t size)
{
	(void)core;
	return snprintf(buffer, size, "%u of %u", slot->wait.value, slot->wait.maximum);
}

const struct wait_type wait_semaphore = {
    .configure = semaphore_configure,
    .signaled = semaphore_signaled,
    .take = semaphore_take,
    .change = semaphore_change,
    .print = semaphore_print,
};
