/* Last views of plain objects: nothing is to be done at their end, so they are watched only while
 * somebody wants to be told. SLOT_HELD says whose end is still to be told. */
#include "core/probe.h"

#include "core/util.h"

enum {
	SLICE_SLOTS = 4096, /* looked at in one go, when watching begins */
	SLICE_PROBES = 64,
	/* Others need the user's inotify watches more; and so many probes keep their descriptor. */
	PLAIN_WATCHES_MAX = 2048,
};

static bool is_mapping(const struct slot *slot)
{
	return slot->type == OBJECT_MAPPING && (slot->flags & SLOT_REGULAR) &&
	       !(slot->flags & (SLOT_DEAD | SLOT_UNBORN));
}

bool lastview_seen(const struct core *core, const struct slot *slot)
{
	return lastview_wanted(slot) || (core->observed && (slot->flags & SLOT_HELD));
}

void observe_opened(struct core *core, struct slot *slot)
{
	int fd;

	if (!is_mapping(slot))
		return;
	slot->flags |= SLOT_HELD;
	if (lastview_by_release(core, slot) || lastview_wanted(slot) ||
	    (slot->flags & SLOT_WATCHED) || core->by_watch.count >= PLAIN_WATCHES_MAX)
		return;
	fd = file_descriptor(core, slot);
	if (fd >= 0)
		watch_try(core, slot, fd); /* else its end is not seen */
}

void observe_ended(struct core *core, struct slot *slot)
{
	if (!(slot->flags & SLOT_HELD))
		return;
	slot->flags &= ~(uint32_t)SLOT_HELD;
	EVENT(core, .kind = CORE_EVENT_LAST_VIEW, .node = state_node(&core->state, slot));
}

/* An object in the middle of its life. False: it took no look at the kernel. */
static bool begin_with(struct core *core, struct slot *slot)
{
	if (!is_mapping(slot) || (slot->flags & (SLOT_USED | SLOT_HELD)) != SLOT_USED)
		return false;
	if (slot->handles || lastview_wanted(slot)) {
		observe_opened(core, slot);
		return true;
	}
	if (lastview_by_release(core, slot))
		return false;
	if (lastview_probe(core, slot) == 0) {
		observe_opened(core, slot);
		lastview_handle_closed(core, slot);
	}
	return true;
}

static void next_slice(struct timer *timer)
{
	struct core *core = CONTAINER_OF(timer, struct core, observing.timer);
	uint32_t *at = &core->observing.next;

	for (unsigned slots = 0, probes = 0; slots < SLICE_SLOTS && probes < SLICE_PROBES;
	     slots++, ++*at) {
		if (*at >= core->state.header->high)
			return;
		if (core->state.slots[*at].flags)
			probes += begin_with(core, &core->state.slots[*at]);
	}
	timers_arm(&core->timers, timer, 0);
}

void observe_drop(struct core *core)
{
	for (uint32_t i = 2; i < core->state.header->high; i++) {
		struct slot *slot = &core->state.slots[i];

		if ((slot->flags & (SLOT_WATCHED | SLOT_HELD)) && !lastview_wanted(slot))
			lastview_forget(core, slot);
		slot->flags &= ~(uint32_t)SLOT_HELD;
	}
}

void core_observe(struct core *core, bool on)
{
	core->observed = on;
	core->observing.timer.fire = next_slice;
	core->observing.next = 2;
	if (on) {
		timers_arm(&core->timers, &core->observing.timer, 0);
	} else {
		timers_cancel(&core->timers, &core->observing.timer);
		observe_drop(core);
	}
}
