/* The table of probes, and the question itself: a write lease on a description of ours is granted
 * exactly when it is the only one (fcntl(2)). The description is kept while views are left: closing
 * it would be a close event like any other, and we would wake ourselves for ever. */
#include "core/probe.h"

#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"

struct probes {
	struct map by_slot; /* index in table */
	struct probe **table;
	size_t count, capacity;
	unsigned fds; /* kept in probes; beyond a number objects are looked at once a second */
};

struct probe *probe_find(struct core *core, struct slot *slot)
{
	uint32_t i;

	if (!core->probes || !map_get(&core->probes->by_slot, state_index(&core->state, slot), &i))
		return NULL;
	return core->probes->table[i];
}

size_t probe_count(const struct core *core)
{
	return core->probes ? core->probes->count : 0;
}

/* The table is dense: the last one fills a hole. */
static int table_add(struct probes *probes, uint32_t key, struct probe *probe)
{
	int rc;

	if (probes->count == probes->capacity) {
		size_t capacity = probes->capacity ? probes->capacity * 2 : 16;
		struct probe **table =
		    reallocarray(probes->table, capacity, sizeof(struct probe *));
		if (!table)
			return -ENOMEM;
		probes->table = table;
		probes->capacity = capacity;
	}
	probes->table[probes->count] = probe;
	rc = map_put(&probes->by_slot, key, (uint32_t)probes->count);
	probes->count += rc == 0;
	return rc;
}

static void table_remove(struct core *core, uint32_t key, uint32_t i)
{
	struct probes *probes = core->probes;
	struct probe *last = probes->table[--probes->count];

	probes->table[i] = last;
	map_put(&probes->by_slot, (uint32_t)last->node, i); /* it is there: cannot fail */
	map_remove(&probes->by_slot, key);
}

struct probe *probe_get(struct core *core, struct slot *slot)
{
	struct probe *probe = probe_find(core, slot);

	if (probe)
		return probe;
	if (!core->probes)
		core->probes = calloc(1, sizeof *core->probes);
	probe = core->probes ? calloc(1, sizeof *probe) : NULL;
	if (!probe)
		return NULL;
	*probe = (struct probe){.timer.fire = lastview_probe_due,
				.core = core,
				.node = state_node(&core->state, slot),
				.fd = -1};
	if (table_add(core->probes, state_index(&core->state, slot), probe) < 0) {
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

void probe_end(struct core *core, struct slot *slot)
{
	uint32_t key = state_index(&core->state, slot), i;
	struct probe *probe;

	if (!core->probes || !map_get(&core->probes->by_slot, key, &i))
		return;
	probe = core->probes->table[i];
	timers_cancel(&core->timers, &probe->timer);
	drop_probe_fd(core, probe);
	table_remove(core, key, i);
	free(probe);
}

void probe_schedule(struct core *core, struct slot *slot, unsigned attempt, uint64_t delay_ns)
{
	struct probe *probe = probe_get(core, slot);

	if (probe)
		probe->attempt = attempt;
	if (!probe || timers_arm(&core->timers, &probe->timer, delay_ns) < 0)
		lastview_look_again(core);
}

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
	sys->lease_end(fd);
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
	struct probe *probe = probe_find(core, slot);
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
	if (probe && core->probes->fds < 2U * core->files.limit) {
		core->probes->fds++;
		probe->fd = steal_fd(&fd);
		return ask(slot, probe->fd);
	}
	return ask(slot, fd);
}

bool lastview_shrink(struct core *core)
{
	if (!core->probes || !core->probes->fds)
		return false;
	for (size_t i = 0; i < core->probes->count; i++)
		drop_probe_fd(core, core->probes->table[i]);
	/* That made events of ours, and whoever had one waits for no other. */
	lastview_look_again(core);
	return true;
}

void lastview_finish(struct core *core)
{
	if (!core->probes)
		return;
	for (size_t i = 0; i < core->probes->count; i++) {
		drop_probe_fd(core, core->probes->table[i]);
		free(core->probes->table[i]);
	}
	free(core->probes->table);
	map_finish(&core->probes->by_slot);
	free(core->probes);
}
