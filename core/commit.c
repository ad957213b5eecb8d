#include "core/internal.h"
#include "core/util.h"

/* A memory-backed object is charged its size when it is set, so a page inside the size can always come.
 * A sparse one is charged the pages it has. A bound one takes no memory of ours. */
uint64_t commit_of(const struct slot *slot, const struct stat *st)
{
	uint64_t pages = (uint64_t)st->st_blocks * 512;
	uint64_t size = page_round_up((uint64_t)st->st_size);

	if (!(slot->flags & SLOT_REGULAR) || (slot->flags & SLOT_BOUND))
		return 0;
	if (slot->flags & SLOT_SPARSE)
		return pages;
	return pages > size ? pages : size;
}

int commit_stage(struct core *core, struct slot *slot, uint64_t charge, bool must)
{
	struct state_header *h = core->state.header;
	uint64_t sum = h->committed - slot->charged + charge;

	if (!must && core->config.limit && charge > slot->charged &&
	    (sum > core->config.limit || sum < charge))
		return -ENOSPC;
	STAGE(&core->state, slot->charged, charge);
	STAGE(&core->state, h->committed, sum);
	return 0;
}

/* Plain writes extend a file without asking us; what they took is put on the account when we see it. */
void commit_settle(struct core *core, struct slot *slot, const struct stat *st)
{
	uint64_t charge = commit_of(slot, st);

	if (charge == slot->charged)
		return;
	commit_stage(core, slot, charge, true);
	state_commit(&core->state);
}
