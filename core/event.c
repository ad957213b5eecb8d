/* Event: signaled or not. A manual one stays so, an automatic one lets one wait go. */
#include "core/util.h"
#include "core/wait.h"

#include <stdio.h>
#include <string.h>

static int event_configure(struct core *core, struct slot *slot, const struct core_setup *setup,
			   const char **why)
{
	(void)why;
	STAGE(&core->state, slot->wait.options, setup->manual ? WAIT_MANUAL : 0);
	STAGE(&core->state, slot->wait.value, setup->signaled);
	return 0;
}

/* While a pulse is being carried out it is signaled for those that were there before it; nobody
 * else can come in between. */
static bool event_signaled(struct core *core, const struct slot *slot, uint64_t handle)
{
	(void)core;
	(void)handle;
	return slot->wait.value || slot->wait.pulse;
}

static enum wait_result event_take(struct core *core, struct slot *slot, uint64_t handle)
{
	(void)handle;
	if (!(slot->wait.options & WAIT_MANUAL)) {
		STAGE(&core->state, slot->wait.value, 0);
		STAGE(&core->state, slot->wait.pulse, 0);
	}
	return WAIT_SIGNALED;
}

static int event_change(struct core *core, struct slot *slot, char **words,
			const struct wait_caller *caller)
{
	struct state *state = &core->state;

	(void)caller;
	if (words[1])
		return -EINVAL;
	if (strcmp(words[0], "set") == 0) {
		STAGE(state, slot->wait.value, 1);
	} else if (strcmp(words[0], "reset") == 0) {
		STAGE(state, slot->wait.value, 0);
	} else if (strcmp(words[0], "pulse") == 0) {
		STAGE(state, slot->wait.pulse, 1);
		STAGE(state, slot->wait.value, 0);
	} else {
		return -EINVAL;
	}
	return 0;
}

static void event_settled(struct core *core, struct slot *slot)
{
	(void)core;
	*(volatile uint64_t *)&slot->wait.pulse = 0;
}

static int event_print(struct core *core, const struct slot *slot, char *buffer, size_t size)
{
	(void)core;
	return snprintf(buffer, size, "%s %s", slot->wait.value ? "signaled" : "unsignaled",
			slot->wait.options & WAIT_MANUAL ? "manual" : "auto");
}

const struct wait_type wait_event = {
    .configure = event_configure,
    .signaled = event_signaled,
    .take = event_take,
    .change = event_change,
    .settled = event_settled,
    .print = event_print,
};
