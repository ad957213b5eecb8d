/* Hidden names: where O_TMPFILE cannot be had (Linux before 6.2), a client creates an object under
 * a name of its own making, configures it, and renames it to the wanted one. A creator that dies in
 * between leaves the hidden name, which goes by itself after a while. */
#include "core/internal.h"
#include "core/util.h"

#include <string.h>

#define GRACE_NS 10000000000ULL

bool hidden_is(const struct slot *slot)
{
	const uint32_t gone = SLOT_ORPHAN | SLOT_DEAD;

	return (slot->flags & (SLOT_HIDDEN | gone)) == SLOT_HIDDEN;
}

/* Made so long ago that its creator cannot be at it still, and held by nobody; or gone. */
static bool is_left(struct core *core, struct slot *slot)
{
	struct stat st;
	uint64_t made;

	if (slot->handles)
		return false;
	if (tree_stat(&core->tree, slot, &st) < 0)
		return true;
	made = (uint64_t)st.st_ctim.tv_sec * 1000000000ULL + (uint64_t)st.st_ctim.tv_nsec;
	return clock_ns(CLOCK_REALTIME) - made >= GRACE_NS;
}

static void sweep(struct timer *timer)
{
	struct core *core = CONTAINER_OF(timer, struct core, hidden_timer);
	bool any = false;

	core->record = NULL;
	for (uint32_t i = 2; i < core->state.header->high; i++) {
		struct slot *slot = &core->state.slots[i];

		if (!hidden_is(slot))
			continue;
		if (is_left(core, slot)) {
			temporary_unname(core, slot);
			slot->flags &= ~(uint32_t)SLOT_HIDDEN;
			slot_consider_free(core, slot);
		}
		any = any || hidden_is(slot);
	}
	if (any)
		timers_arm(&core->timers, &core->hidden_timer, GRACE_NS);
}

static void arm(struct core *core)
{
	core->hidden_timer.fire = sweep;
	if (!core->hidden_timer.position)
		timers_arm(&core->timers, &core->hidden_timer, GRACE_NS);
}

void hidden_made(struct core *core, struct slot *slot, const char *name)
{
	if (strncmp(name, HIDDEN_PREFIX, sizeof HIDDEN_PREFIX - 1) != 0)
		return;
	slot->flags |= SLOT_HIDDEN;
	if (core->persistent)
		record_save_slot(core, slot); /* the next mount sweeps it */
	arm(core);
}

void hidden_renamed(struct core *core, int dirfd, const char *name)
{
	struct slot *slot;
	struct stat st;

	if (!core->hidden_timer.position || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	slot = slot_by_ino(core, st.st_ino);
	if (!slot || !(slot->flags & SLOT_HIDDEN))
		return;
	slot->flags &= ~(uint32_t)SLOT_HIDDEN;
	if (core->persistent)
		record_save_slot(core, slot);
}

void hidden_known(struct core *core, const struct slot *slot)
{
	if (hidden_is(slot))
		arm(core);
}
