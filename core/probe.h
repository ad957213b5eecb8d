/* One object whose end is being looked for: at most one probe a slot, with its timer and, for
 * memory objects, the description it asks on. */
#ifndef MAPPINGFS_CORE_PROBE_H
#define MAPPINGFS_CORE_PROBE_H

#include "core/internal.h"

struct probe {
	struct timer timer; /* fires lastview_probe_due() */
	struct core *core;
	uint64_t node;
	unsigned attempt;
	int fd; /* memory objects: what the lease is asked on; -1: none kept */
	bool scanning;
	bool again; /* a hint came while scanning */
};

struct probe *probe_find(struct core *core, struct slot *slot); /* or NULL */
struct probe *probe_get(struct core *core, struct slot *slot);  /* makes one; NULL: no memory */
void probe_end(struct core *core, struct slot *slot);
size_t probe_count(const struct core *core);
void probe_schedule(struct core *core, struct slot *slot, unsigned attempt, uint64_t delay_ns);

/* lastview.c: is RELEASE the whole truth? Then no handle means no view. */
bool lastview_by_release(const struct core *core, const struct slot *slot);

/* lease.c: is a lease granted where nobody else is? Asked every ten seconds at most. */
bool lease_works(struct core *core);

/* lastview.c: what to do when a probe's time has come */
void lastview_probe_due(struct timer *timer);

/* watch.c: close events of a slot's backing file. The slot says SLOT_WATCHED if there is one. */
void watch_add(struct core *core, struct slot *slot, int fd);
int watch_try(struct core *core, struct slot *slot, int fd); /* 0 or -errno */
int watch_remember(struct core *core, int watch, uint32_t index);
void watch_drop(struct core *core, struct slot *slot);
/* Slots that share the watch, at most size; how many there are. */
size_t watch_slots(struct core *core, int watch, uint32_t *indices, size_t size);

#endif
