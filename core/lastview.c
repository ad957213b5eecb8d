/* Is anything left? Asked of the kernel, never counted.
 *
 * With passthrough a view holds the backing file, and the FUSE handle may have been closed long
 * before. Two steps: a close event of the backing file (inotify; events merge, so a hint only),
 * then a write lease on a description of ours, which fcntl(2) grants exactly when no other
 * description is open. The last view's description is still counted in the instant of its event, so
 * a refused probe is tried again soon.
 *
 * Only objects with something to do at their end are watched: temporary and file-backed ones. Plain
 * permanent memory costs no event at all, unless somebody watches (observe.c). The name of a
 * handle-bound one goes with its last handle; its views are waited for like those of the others.
 *
 * An external file may be open outside the mount, and the lease is refused for ever: then /proc
 * says whether a view of the object itself is left. The same answers for views that went while a
 * handle is still open, which makes no event: bound objects in use are looked at twice a second.
 *
 * Without passthrough FUSE sends RELEASE only after the last munmap, and objects to wait on have no
 * views: there handles == 0 is the answer. */
#include "core/probe.h"

#include "core/inspect.h"
#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"

#include <string.h>
#include <sys/inotify.h>

#define IN_USE_PERIOD_NS 400000000ULL

/* Pauses between probes after a hint, nanoseconds; then the next hint is waited for. */
static const uint64_t retry_ns[] = {50000,   100000,   200000,    400000,    1000000,
				    5000000, 50000000, 200000000, 1000000000};
#define UNWATCHED_NS      1000000000ULL
#define SECOND_LOOK_NS    1000000000ULL
#define SCAN_FROM_ATTEMPT 6 /* 50 ms: a lease still refused may be somebody outside the mount */

struct scan {
	struct job job;
	struct core *core;
	uint64_t node;
	ino_t ino;
	uint32_t device_major, device_minor;
	int views; /* 1, 0 or -errno */
};

bool lastview_wanted(const struct slot *slot)
{
	/* An unlinked temporary object has no name to lose. An ended one lost it behind the
	 * kernel's back, which therefore will not forget it by itself. */
	return (slot->flags & SLOT_BOUND) || slot_is_ended(slot) ||
	       (slot->flags & (SLOT_TEMPORARY | SLOT_ORPHAN)) == SLOT_TEMPORARY;
}

bool lastview_by_release(const struct core *core, const struct slot *slot)
{
	return !core->config.data.attach || slot_is_waitable(slot);
}

void lastview_gone(struct core *core, struct slot *slot)
{
	probe_end(core, slot);
	watch_drop(core, slot);
	observe_ended(core, slot);
	if ((slot->flags & SLOT_USED) && lastview_wanted(slot)) {
		if (slot->flags & SLOT_BOUND)
			flush_last_view(core, slot);
		if (slot->flags & SLOT_TEMPORARY)
			temporary_end(core, slot);
		/* Last: whoever takes over before this point asks again. */
		STAGE(&core->state, slot->flags, slot->flags & ~(uint32_t)SLOT_USED);
		state_commit(&core->state);
	}
	slot_consider_free(core, slot);
}

/* --- /proc --- */

static void scan_run(struct job *job)
{
	struct scan *scan = CONTAINER_OF(job, struct scan, job);

	scan->views = inspect_has_view_beyond(scan->device_major, scan->device_minor, scan->ino, 0);
}

static void views_gone_handle_open(struct core *core, struct slot *slot)
{
	uint64_t dirty = 1;
	int fd = binding_descriptor(core, slot);

	if (fd >= 0 && sys->dirty_pages(fd, &dirty) == 0 && dirty == 0)
		return;
	flush_last_view(core, slot);
}

static void scan_done(struct job *job)
{
	struct scan *scan = CONTAINER_OF(job, struct scan, job);
	struct core *core = scan->core;
	struct slot *slot = state_slot(&core->state, scan->node);
	struct probe *probe = slot ? probe_find(core, slot) : NULL;
	int views = scan->views;

	free(scan);
	if (!probe)
		return;
	probe->scanning = false;
	if (views == 0 && slot->handles == 0) {
		lastview_gone(core, slot);
		return;
	}
	if (views == 0)
		views_gone_handle_open(core, slot);
	if (slot->handles)
		probe_schedule(core, slot, 0, IN_USE_PERIOD_NS);
	else if (probe->again)
		probe_schedule(core, slot, 0, 0);
	else if (!(slot->flags & SLOT_WATCHED) || core->leases_broken || views < 0)
		probe_schedule(core, slot, probe->attempt, UNWATCHED_NS);
	probe->again = false;
}

static void start_scan(struct core *core, struct slot *slot, struct probe *probe)
{
	struct scan *scan = calloc(1, sizeof *scan);

	if (!scan) {
		lastview_look_again(core);
		return;
	}
	*scan = (struct scan){.job = {.run = scan_run, .done = scan_done},
			      .core = core,
			      .node = probe->node,
			      .ino = slot->ino,
			      .device_major = core->config.device_major,
			      .device_minor = core->config.device_minor};
	probe->scanning = true;
	if (jobs_submit(core->jobs, &scan->job) < 0) {
		probe->scanning = false;
		free(scan);
		lastview_look_again(core);
	}
}

/* --- what happens when --- */

/* A handle is open: only a bound object's views are of interest, and only when there is dirty data.
 */
static void look_while_in_use(struct core *core, struct slot *slot, struct probe *probe)
{
	uint64_t dirty = 1;
	int fd;

	if (!(slot->flags & SLOT_BOUND) || (slot->flags & SLOT_READ_ONLY)) {
		probe_end(core, slot);
		return;
	}
	fd = binding_descriptor(core, slot);
	if (fd < 0 || (sys->dirty_pages(fd, &dirty) == 0 && dirty == 0))
		probe_schedule(core, slot, 0, IN_USE_PERIOD_NS);
	else
		start_scan(core, slot, probe);
}

/* Will an event of somebody else's, and no event of our own, bring us back? */
static bool is_woken(const struct slot *slot, const struct probe *probe)
{
	return (slot->flags & SLOT_WATCHED) && (probe->fd >= 0 || (slot->flags & SLOT_BOUND));
}

void lastview_probe_due(struct timer *timer)
{
	struct probe *probe = CONTAINER_OF(timer, struct probe, timer);
	struct core *core = probe->core;
	struct slot *slot = state_slot(&core->state, probe->node);
	int rc;

	if (probe->scanning) {
		probe->again = true;
		return;
	}
	if (!slot || (slot->flags & SLOT_DEAD)) {
		timers_cancel(&core->timers, &probe->timer);
		return;
	}
	if (slot->handles) {
		look_while_in_use(core, slot, probe);
		return;
	}
	rc = lastview_probe(core, slot);
	if (rc == 1 || rc == -ESTALE)
		lastview_gone(core, slot);
	else if (probe->attempt >= SCAN_FROM_ATTEMPT &&
		 ((slot->flags & SLOT_BOUND) || !lease_works(core)))
		start_scan(core, slot, probe);
	else if (probe->attempt < ARRAY_SIZE(retry_ns))
		probe_schedule(core, slot, probe->attempt + 1, retry_ns[probe->attempt]);
	else if (!is_woken(slot, probe))
		probe_schedule(core, slot, probe->attempt, UNWATCHED_NS);
}

void lastview_in_use(struct core *core, struct slot *slot)
{
	struct probe *probe = probe_find(core, slot);

	if (!probe || (!probe->timer.position && !probe->scanning))
		probe_schedule(core, slot, 0, IN_USE_PERIOD_NS);
}

static void hint(struct core *core, struct slot *slot)
{
	struct probe *probe;

	if (slot->handles) {
		lastview_in_use(core, slot);
		return;
	}
	probe = probe_get(core, slot);
	if (!probe) {
		lastview_look_again(core);
		return;
	}
	/* Not kept a descriptor: this may be the event of our own last look. */
	if (probe->attempt && probe->timer.position && probe->fd < 0 && !(slot->flags & SLOT_BOUND))
		return;
	probe->attempt = 0;
	timers_cancel(&core->timers, &probe->timer);
	lastview_probe_due(&probe->timer);
}

void lastview_handle_closed(struct core *core, struct slot *slot)
{
	if (slot->flags & SLOT_DEAD)
		return;
	if (lastview_by_release(core, slot)) {
		if (slot->handles == 0)
			lastview_gone(core, slot);
		return;
	}
	if (slot->handles == 0 && (slot->flags & SLOT_HANDLE_BOUND) && (slot->flags & SLOT_USED))
		temporary_unname(core, slot);
	if (lastview_wanted(slot) || (slot->flags & SLOT_WATCHED))
		hint(core, slot);
}

static bool is_held(struct core *core, struct slot *slot)
{
	if (slot->handles)
		return true;
	return !lastview_by_release(core, slot) && lastview_probe(core, slot) != 1;
}

/* One that nobody holds waits for its next user. That is decided in the same commit: a worker that
 * takes over ends a used object that nobody holds. */
int lastview_set_lifetime(struct core *core, struct slot *slot, enum core_lifetime lifetime)
{
	bool used = slot->flags & SLOT_USED, held = used && is_held(core, slot);
	bool waits = used && !held && lifetime != CORE_PERMANENT;
	uint32_t flags;
	int fd;

	if (held && lifetime == CORE_HANDLE_BOUND && !slot->handles)
		return -EBUSY;
	if (waits && (slot->flags & SLOT_BOUND))
		flush_last_view(core, slot); /* its event may be on its way */
	flags = lifetime_flags(slot->flags, lifetime) | SLOT_UNSAVED;
	STAGE(&core->state, slot->flags, waits ? flags & ~(uint32_t)SLOT_USED : flags);
	state_commit(&core->state);
	if (!held || lifetime == CORE_PERMANENT || lastview_by_release(core, slot))
		return 0;
	fd = file_descriptor(core, slot);
	if (fd < 0)
		return 0;
	watch_add(core, slot, fd);
	if (!slot->handles)
		hint(core, slot);
	return 0;
}

void lastview_watch(struct core *core, struct slot *slot, int fd)
{
	watch_add(core, slot, fd);
}

void lastview_forget(struct core *core, struct slot *slot)
{
	probe_end(core, slot);
	watch_drop(core, slot);
}

static void hint_all(struct core *core)
{
	for (uint32_t i = 2; i < core->state.header->high; i++) {
		struct slot *slot = &core->state.slots[i];
		if (slot->lookups && (slot->flags & SLOT_USED) && lastview_seen(core, slot))
			lastview_handle_closed(core, slot);
	}
}

static void second_look(struct timer *timer)
{
	hint_all(CONTAINER_OF(timer, struct core, second_look));
}

void lastview_init(struct core *core)
{
	core->second_look = (struct timer){.fire = second_look, .vital = true};
}

void lastview_look_again(struct core *core)
{
	if (core->second_look.position)
		return;
	log_debug("the end of an object may have been missed: looking again in a second");
	timers_arm(&core->timers, &core->second_look, SECOND_LOOK_NS);
}

static void hint_watch(struct core *core, int watch)
{
	uint32_t found[64];
	size_t count = watch_slots(core, watch, found, ARRAY_SIZE(found));

	/* A hint may end the object and change the list: collected first. */
	for (size_t i = 0; i < count; i++)
		hint(core, &core->state.slots[found[i]]);
	if (count == ARRAY_SIZE(found))
		hint_all(core);
}

static void overflowed(struct core *core)
{
	log_warn("the kernel lost events of files that were closed: looking at all that may have "
		 "ended");
	core->overflows++;
	hint_all(core);
}

void lastview_dispatch(struct core *core)
{
	_Alignas(struct inotify_event) char buffer[4096];
	ssize_t length = read(core->config.notify_fd, buffer, sizeof buffer);

	for (ssize_t at = 0; at < length;) {
		const struct inotify_event *event = (const void *)(buffer + at);
		if (event->mask & IN_Q_OVERFLOW)
			overflowed(core);
		else if (event->mask & IN_CLOSE)
			hint_watch(core, event->wd);
		at += (ssize_t)(sizeof *event + event->len);
	}
}

/* Events that a former worker had read are lost: ask about everything that could have ended. */
void lastview_resume(struct core *core)
{
	observe_drop(core);
	hint_all(core);
}
