/* Close events of backing files, by inotify: hints that something went. */
#include "core/probe.h"

#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"

#include <string.h>
#include <sys/inotify.h>

#define UNWATCHED_FIRST_NS 400000000ULL

#define WATCH_KEY(watch, k) ((uint64_t)(uint32_t)(watch) << 32 | (uint32_t)(k))

/* Two objects bound to one file have one watch. */
int watch_remember(struct core *core, int watch, uint32_t index)
{
	uint32_t k = 0, other;

	while (map_get(&core->by_watch, WATCH_KEY(watch, k), &other)) {
		if (other == index)
			return 0;
		k++;
	}
	return map_put(&core->by_watch, WATCH_KEY(watch, k), index);
}

int watch_try(struct core *core, struct slot *slot, int fd)
{
	int watch;

	if ((slot->flags & SLOT_WATCHED) || !core->config.data.attach)
		return 0;
	if (core->config.notify_fd < 0)
		return -EMFILE; /* the user has no inotify instance left */
	watch = sys->watch_add(core->config.notify_fd, fd, IN_CLOSE);
	if (watch < 0)
		return watch;
	if (watch_remember(core, watch, state_index(&core->state, slot)) < 0)
		return -ENOMEM;
	slot->watch = watch;
	slot->flags |= SLOT_WATCHED;
	return 0;
}

void watch_add(struct core *core, struct slot *slot, int fd)
{
	int rc = watch_try(core, slot, fd);

	if (rc == 0) {
		core->watches_lacking = false;
		return;
	}
	if (!core->watches_lacking)
		log_warn("no watch on an object's backing file (%s): its end, and that of others "
			 "as long as this goes on, is found by looking now and then",
			 strerror(-rc));
	core->watches_lacking = true;
	probe_schedule(core, slot, 0, UNWATCHED_FIRST_NS);
}

/* Removes the slot from its watch; the watch itself, when it was the last on it. */
void watch_drop(struct core *core, struct slot *slot)
{
	uint32_t index = state_index(&core->state, slot), mine = UINT32_MAX, last = 0, other;

	if (!(slot->flags & SLOT_WATCHED))
		return;
	for (uint32_t k = 0; map_get(&core->by_watch, WATCH_KEY(slot->watch, k), &other); k++) {
		if (other == index)
			mine = k;
		last = k;
	}
	if (mine != UINT32_MAX) {
		map_get(&core->by_watch, WATCH_KEY(slot->watch, last), &other);
		map_put(&core->by_watch, WATCH_KEY(slot->watch, mine), other);
		map_remove(&core->by_watch, WATCH_KEY(slot->watch, last));
		if (last == 0)
			sys->watch_remove(core->config.notify_fd, slot->watch);
	}
	slot->flags &= ~(uint32_t)SLOT_WATCHED;
}

size_t watch_slots(struct core *core, int watch, uint32_t *indices, size_t size)
{
	size_t k = 0;

	while (k < size && map_get(&core->by_watch, WATCH_KEY(watch, k), &indices[k]))
		k++;
	return k;
}
