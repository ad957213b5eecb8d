/* Is anything left? Asked of the kernel, never counted.
 *
 * With passthrough a view holds the backing file, and the FUSE handle may have been closed long
 * before. Two steps: a close event of the backing file (inotify; events merge, so a hint only),
 * then a write lease on a description of ours, which fcntl(2) grants exactly when no other
 * description is open. The last view's description is still counted in the instant of its event, so
 * a refused probe is tried again soon.
 *
 * The description that asks is kept while views are left: closing it would be an event like any
 * other, and we would wake ourselves for ever. Past PROBE_FDS_MAX such objects the rest is looked
 * at once a second.
 *
 * Only objects with something to do at their end are watched: temporary and file-backed ones. Plain
 * permanent memory costs no event at all.
 *
 * An external file may be open outside the mount, and the lease is refused for ever: then /proc
 * says whether a view of the object itself is left. The same answers for views that went while a
 * handle is still open, which makes no event: bound objects in use are looked at twice a second.
 *
 * Without passthrough FUSE sends RELEASE only after the last munmap: handles == 0 is the answer. */
#include "core/internal.h"

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
#define PROBE_FDS_MAX     2048
#define UNWATCHED_NS      1000000000ULL
#define SCAN_FROM_ATTEMPT 6 /* 50 ms: a lease still refused may be somebody outside the mount */

struct probe {
	struct timer timer;
	struct core *core;
	uint64_t node;
	unsigned attempt;
	int fd; /* memory objects: what the lease is asked on; -1: none kept */
	bool scanning;
	bool again; /* a hint came while scanning */
};

struct scan {
	struct job job;
	struct core *core;
	uint64_t node;
	ino_t ino;
	uint32_t device_major, device_minor;
	int views; /* 1, 0 or -errno */
};

struct probes {
	struct map by_slot; /* index in table */
	struct probe **table;
	size_t capacity;
	unsigned fds; /* kept in probes */
};

bool lastview_wanted(const struct slot *slot)
{
	/* An unlinked temporary object has no name to lose. */
	return (slot->flags & SLOT_BOUND) ||
	       (slot->flags & (SLOT_TEMPORARY | SLOT_ORPHAN)) == SLOT_TEMPORARY;
}

static bool by_release_alone(const struct core *core)
{
	return !core->config.data.attach;
}

/* --- probes: at most one a slot --- */

static struct probe *find_probe(struct core *core, struct slot *slot)
{
	uint32_t i;

	if (!core->probes || !map_get(&core->probes->by_slot, state_index(&core->state, slot), &i))
		return NULL;
	return core->probes->table[i];
}

static void probe_fire(struct timer *timer);

static int store_probe(struct probes *probes, uint32_t key, struct probe *probe)
{
	size_t i = 0;

	while (i < probes->capacity && probes->table[i])
		i++;
	if (i == probes->capacity) {
		size_t capacity = probes->capacity ? probes->capacity * 2 : 16;
		struct probe **table =
		    reallocarray(probes->table, capacity, sizeof(struct probe *));
		if (!table)
			return -ENOMEM;
		memset(table + probes->capacity, 0,
		       (capacity - probes->capacity) * sizeof(struct probe *));
		probes->table = table;
		probes->capacity = capacity;
	}
	probes->table[i] = probe;
	return map_put(&probes->by_slot, key, (uint32_t)i);
}

static struct probe *get_probe(struct core *core, struct slot *slot)
{
	struct probe *probe = find_probe(core, slot);

	if (probe)
		return probe;
	if (!core->probes)
		core->probes = calloc(1, sizeof *core->probes);
	probe = core->probes ? calloc(1, sizeof *probe) : NULL;
	if (!probe)
		return NULL;
	*probe = (struct probe){.timer.fire = probe_fire,
				.core = core,
				.node = state_node(&core->state, slot),
				.fd = -1};
	if (store_probe(core->probes, state_index(&core->state, slot), probe) < 0) {
		free(probe);
		return NULL;
	}
	return probe;
}

static void drop_probe_fd(struct core *core, struct probe *probe)
{
	if (probe->fd < 0)
		return;
	close(probe->fd);
	probe->fd = -1;
	core->probes->fds--;
}

static void end_probe(struct core *core, struct slot *slot)
{
	uint32_t key = state_index(&core->state, slot), i;
	struct probe *probe;

	if (!core->probes || !map_get(&core->probes->by_slot, key, &i))
		return;
	probe = core->probes->table[i];
	timers_cancel(&core->timers, &probe->timer);
	drop_probe_fd(core, probe);
	map_remove(&core->probes->by_slot, key);
	core->probes->table[i] = NULL;
	free(probe);
}

static void schedule(struct core *core, struct slot *slot, unsigned attempt, uint64_t delay_ns)
{
	struct probe *probe = get_probe(core, slot);

	if (!probe) {
		log_error("out of memory: the end of an object (inode %llu) may go unnoticed",
			  (unsigned long long)slot->ino);
		return;
	}
	probe->attempt = attempt;
	timers_arm(&core->timers, &probe->timer, delay_ns);
}

/* --- the watch --- */

#define WATCH_KEY(watch, k) ((uint64_t)(uint32_t)(watch) << 32 | (uint32_t)(k))

/* Two objects bound to one file have one watch. */
static int remember_watch(struct core *core, int watch, uint32_t index)
{
	uint32_t k = 0, other;

	while (map_get(&core->by_watch, WATCH_KEY(watch, k), &other)) {
		if (other == index)
			return 0;
		k++;
	}
	return map_put(&core->by_watch, WATCH_KEY(watch, k), index);
}

void lastview_watch(struct core *core, struct slot *slot, int fd)
{
	int watch;

	if ((slot->flags & SLOT_WATCHED) || core->config.notify_fd < 0)
		return;
	watch = sys->watch_add(core->config.notify_fd, fd, IN_CLOSE);
	if (watch >= 0 && remember_watch(core, watch, state_index(&core->state, slot)) == 0) {
		slot->watch = watch;
		slot->flags |= SLOT_WATCHED;
		return;
	}
	log_warn(
	    "no watch on an object's backing file (%s): its end is found by looking twice a second",
	    strerror(watch < 0 ? -watch : ENOMEM));
	schedule(core, slot, 0, IN_USE_PERIOD_NS);
}

/* Removes the slot from its watch; the watch itself, when it was the last on it. */
static void unwatch(struct core *core, struct slot *slot)
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

/* --- the question --- */

/* Is fd's description the only one? 1, 0 or -errno */
static int ask(const struct slot *slot, int fd)
{
	int rc = sys->lease(fd, F_WRLCK);

	if (rc == -EAGAIN)
		return 0;
	if (rc < 0 && (slot->flags & SLOT_READ_ONLY))
		rc = sys->lease(fd, F_RDLCK) < 0 ? rc : 0;
	if (rc < 0)
		return rc;
	sys->lease(fd, F_UNLCK);
	return 1;
}

/* A description of ours, and no other of ours: the id holds the one it was made from, and views and
 * handles do not need it. */
static int open_to_ask(struct core *core, struct slot *slot)
{
	backing_release(core, slot);
	fdcache_drop(&core->files, state_index(&core->state, slot));
	return tree_open_inode(&core->tree, slot, O_RDWR);
}

int lastview_probe(struct core *core, struct slot *slot)
{
	struct probe *probe = find_probe(core, slot);
	AUTO_CLOSE int fd = -1;

	if (slot->flags & SLOT_BOUND) {
		int bound = binding_descriptor(core, slot);
		backing_release(core, slot);
		return bound < 0 ? bound : ask(slot, bound);
	}
	if (probe && probe->fd >= 0) {
		backing_release(core, slot);
		fdcache_drop(&core->files, state_index(&core->state, slot));
		return ask(slot, probe->fd);
	}
	fd = open_to_ask(core, slot);
	if (fd < 0)
		return fd;
	if (probe && core->probes->fds < PROBE_FDS_MAX) {
		core->probes->fds++;
		probe->fd = steal_fd(&fd);
		return ask(slot, probe->fd);
	}
	return ask(slot, fd);
}

void lastview_gone(struct core *core, struct slot *slot)
{
	end_probe(core, slot);
	unwatch(core, slot);
	if (slot->flags & SLOT_USED) {
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
	struct probe *probe = slot ? find_probe(core, slot) : NULL;
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
		schedule(core, slot, 0, IN_USE_PERIOD_NS);
	else if (probe->again)
		schedule(core, slot, 0, 0);
	else if (!(slot->flags & SLOT_WATCHED))
		schedule(core, slot, probe->attempt, UNWATCHED_NS);
	probe->again = false;
}

static void start_scan(struct core *core, struct slot *slot, struct probe *probe)
{
	struct scan *scan = calloc(1, sizeof *scan);

	if (!scan)
		return;
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
		end_probe(core, slot);
		return;
	}
	fd = binding_descriptor(core, slot);
	if (fd < 0 || (sys->dirty_pages(fd, &dirty) == 0 && dirty == 0))
		schedule(core, slot, 0, IN_USE_PERIOD_NS);
	else
		start_scan(core, slot, probe);
}

/* Will an event of somebody else's, and no event of our own, bring us back? */
static bool is_woken(const struct slot *slot, const struct probe *probe)
{
	return (slot->flags & SLOT_WATCHED) && (probe->fd >= 0 || (slot->flags & SLOT_BOUND));
}

static void probe_fire(struct timer *timer)
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
	else if (probe->attempt >= SCAN_FROM_ATTEMPT && (slot->flags & SLOT_BOUND))
		start_scan(core, slot, probe);
	else if (probe->attempt < ARRAY_SIZE(retry_ns))
		schedule(core, slot, probe->attempt + 1, retry_ns[probe->attempt]);
	else if (!is_woken(slot, probe))
		schedule(core, slot, probe->attempt, UNWATCHED_NS);
}

void lastview_in_use(struct core *core, struct slot *slot)
{
	struct probe *probe = find_probe(core, slot);

	if (!probe || (!probe->timer.position && !probe->scanning))
		schedule(core, slot, 0, IN_USE_PERIOD_NS);
}

static void hint(struct core *core, struct slot *slot)
{
	struct probe *probe;

	if (slot->handles) {
		lastview_in_use(core, slot);
		return;
	}
	probe = get_probe(core, slot);
	if (!probe)
		return;
	/* Not kept a descriptor: this may be the event of our own last look. */
	if (probe->attempt && probe->timer.position && probe->fd < 0 && !(slot->flags & SLOT_BOUND))
		return;
	probe->attempt = 0;
	timers_cancel(&core->timers, &probe->timer);
	probe_fire(&probe->timer);
}

void lastview_handle_closed(struct core *core, struct slot *slot)
{
	if (slot->flags & SLOT_DEAD)
		return;
	if (!by_release_alone(core))
		hint(core, slot);
	else if (slot->handles == 0)
		lastview_gone(core, slot);
}

/* An object in the middle of its life is temporary from now on. One that nobody holds waits for its
 * next user. */
void lastview_made_temporary(struct core *core, struct slot *slot)
{
	int fd;

	if (!(slot->flags & SLOT_USED))
		return;
	if (!slot->handles && (by_release_alone(core) || lastview_probe(core, slot) == 1)) {
		slot->flags &= ~(uint32_t)SLOT_USED;
		return;
	}
	if (by_release_alone(core))
		return;
	fd = file_descriptor(core, slot);
	if (fd < 0)
		return;
	lastview_watch(core, slot, fd);
	if (!slot->handles)
		hint(core, slot);
}

void lastview_forget(struct core *core, struct slot *slot)
{
	end_probe(core, slot);
	unwatch(core, slot);
}

static void hint_all(struct core *core)
{
	for (uint32_t i = 2; i < core->state.header->high; i++) {
		struct slot *slot = &core->state.slots[i];
		if (slot->lookups && (slot->flags & SLOT_USED) && lastview_wanted(slot))
			hint(core, slot);
	}
}

static void hint_watch(struct core *core, int watch)
{
	uint32_t index, k = 0;
	uint32_t found[64];

	/* A hint may end the object and change the list: collect first. */
	while (k < ARRAY_SIZE(found) && map_get(&core->by_watch, WATCH_KEY(watch, k), &index))
		found[k++] = index;
	for (uint32_t i = 0; i < k; i++)
		hint(core, &core->state.slots[found[i]]);
}

void lastview_dispatch(struct core *core)
{
	_Alignas(struct inotify_event) char buffer[4096];
	ssize_t length = read(core->config.notify_fd, buffer, sizeof buffer);

	for (ssize_t at = 0; at < length;) {
		const struct inotify_event *event = (const void *)(buffer + at);
		if (event->mask & IN_Q_OVERFLOW)
			hint_all(core);
		else if (event->mask & IN_CLOSE)
			hint_watch(core, event->wd);
		at += (ssize_t)(sizeof *event + event->len);
	}
}

/* Events that a former worker had read are lost: ask about everything that could have ended. */
void lastview_resume(struct core *core)
{
	for (uint32_t i = 2; i < core->state.header->high; i++) {
		struct slot *slot = &core->state.slots[i];
		if (slot->flags & SLOT_WATCHED)
			remember_watch(core, slot->watch, i);
	}
	if (by_release_alone(core)) {
		for (uint32_t i = 2; i < core->state.header->high; i++) {
			struct slot *slot = &core->state.slots[i];
			if (slot->lookups && !slot->handles && (slot->flags & SLOT_USED) &&
			    lastview_wanted(slot))
				lastview_gone(core, slot);
		}
		return;
	}
	hint_all(core);
}

void lastview_finish(struct core *core)
{
	if (!core->probes)
		return;
	for (size_t i = 0; i < core->probes->capacity; i++) {
		if (core->probes->table[i])
			drop_probe_fd(core, core->probes->table[i]);
		free(core->probes->table[i]);
	}
	free(core->probes->table);
	map_finish(&core->probes->by_slot);
	free(core->probes);
}
