/* How much of everything there is: what has to balance once nothing is in use any more. Looks at
 * every entry that was ever used, so it is not for every day. */
#include "core/account.h"
#include "core/job.h"
#include "core/probe.h"
#include "core/wait_internal.h"

static void count_slots(const struct core *core, struct core_counters *out)
{
	for (uint32_t i = 1; i < out->slots_high; i++) {
		const struct slot *slot = &core->state.slots[i];

		if (!slot->lookups && !slot->handles && !(slot->flags & SLOT_FLUSH_DUE))
			continue;
		out->slots++;
		out->backing_ids += slot->backing_id != 0;
		out->watches += (slot->flags & SLOT_WATCHED) != 0;
		out->flushes_due += (slot->flags & SLOT_FLUSH_DUE) != 0;
		out->orphans += (slot->flags & SLOT_ORPHAN) != 0;
		out->bindings += (slot->flags & SLOT_BOUND) != 0;
	}
}

void core_counters(struct core *core, struct core_counters *out)
{
	const struct state *state = &core->state;
	const struct state_header *h = state->header;

	*out = (struct core_counters){
	    .slots_high = h->high,
	    .slots_free = core->free_count,
	    .timers = core->timers.count,
	    .probes = probe_count(core),
	    .descriptors_bound = core->bindings.count,
	};
	count_slots(core, out);
	for (uint32_t i = 0; i < h->handles_high; i++)
		out->wait_handles += state->handles[i].node != 0;
	for (uint32_t i = 0; i < h->members_high; i++)
		out->members += state->members[i].node != 0;
	for (uint32_t i = 0; i < h->accounts_high; i++)
		out->accounts += state->accounts[i].ino != 0;
	if (core->waits) {
		out->waits = core->waits->waiters.index.count;
		out->wait_queues = core->waits->queues.index.count;
		out->alarms = core->waits->alarms.index.count;
	}
}
