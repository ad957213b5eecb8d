#include "core/top.h"

#include "core/inspect.h"
#include "core/internal.h"
#include "core/sys.h"
#include "core/user.h"
#include "core/util.h"

#include <limits.h>
#include <string.h>

enum {
	OBJECTS_MAX = 100000,
	BOUND_MAX = 1024, /* descriptors of bound files taken at a time */
};

/* One object as the state area has it. */
struct entry {
	struct slot slot; /* a copy: by handle it is as good as the slot itself */
	char *place;      /* where inodes are not found by handle */
	int bound_fd;     /* owned, -1: none */
	uint32_t flushes;
};

struct core_top {
	struct tree *tree; /* only what never changes of it */
	int root_fd;       /* owned */
	bool persistent;
	uint32_t device_major, device_minor;
	struct entry *entries;
	size_t count, capacity, omitted, bound;
	struct core_top_object *objects;
	size_t object_count;
};

/* --- the copy --- */

static bool is_shown(const struct slot *slot, bool used)
{
	return slot->lookups && (slot->flags & SLOT_REGULAR) &&
	       !(slot->flags & (SLOT_DEAD | SLOT_UNBORN)) &&
	       used == (slot->handles || (slot->flags & SLOT_USED));
}

static int grow(struct core_top *top)
{
	size_t capacity = top->capacity ? top->capacity * 2 : 64;
	struct entry *entries = reallocarray(top->entries, capacity, sizeof *entries);

	if (!entries)
		return -ENOMEM;
	top->entries = entries;
	top->capacity = capacity;
	return 0;
}

static int copy(struct core *core, struct core_top *top, struct slot *slot)
{
	struct entry *entry;
	int fd;

	if (top->count == top->capacity && grow(top) < 0)
		return -ENOMEM;
	entry = &top->entries[top->count++];
	*entry = (struct entry){.slot = *slot, .bound_fd = -1};
	if (!core->tree.by_handle)
		entry->place = tree_place(&core->tree, slot);
	map_get(&core->flushes, state_index(&core->state, slot), &entry->flushes);
	if (!(slot->flags & SLOT_BOUND) || top->bound == BOUND_MAX)
		return 0;
	top->bound++;
	fd = binding_descriptor(core, slot);
	if (fd >= 0)
		entry->bound_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return 0;
}

/* Those in use first, so that they are not what is left out. */
static int copy_all(struct core *core, struct core_top *top, uint32_t user, bool used)
{
	int rc = 0;

	for (uint32_t i = 2; rc == 0 && i < core->state.header->high; i++) {
		struct slot *slot = &core->state.slots[i];

		if (!is_shown(slot, used) || (user && slot->user != user))
			continue;
		if (top->count == OBJECTS_MAX)
			top->omitted++;
		else
			rc = copy(core, top, slot);
	}
	return rc;
}

int core_top_begin(struct core *core, bool all, uid_t owner, struct core_top **out)
{
	struct core_top *top = calloc(1, sizeof *top);
	uint32_t user = all ? 0 : user_index(core, owner);
	int rc;

	if (!top)
		return -ENOMEM;
	*top = (struct core_top){.tree = &core->tree,
				 .persistent = core->persistent,
				 .device_major = core->config.device_major,
				 .device_minor = core->config.device_minor};
	top->root_fd = rc = core_watch_directory(core, CORE_ROOT_NODE);
	if (rc >= 0)
		rc = copy_all(core, top, user, true);
	if (rc == 0)
		rc = copy_all(core, top, user, false);
	if (rc < 0) {
		core_top_end(top);
		return rc;
	}
	*out = top;
	return 0;
}

/* --- the look --- */

struct looker {
	struct core_top *top;
	char root[PATH_MAX]; /* of the tree, as the kernel names it */
	int root_length;
	bool all;
	uid_t owner;
};

static char *name_of(const struct looker *looker, const struct entry *entry, int fd)
{
	char path[PATH_MAX];
	const char *inside;

	if (entry->slot.flags & SLOT_ORPHAN)
		return NULL;
	if (entry->place)
		return strdup(entry->place + strlen("tree/"));
	if (looker->root_length < 0 || path_of_fd(fd, path, sizeof path) < 0)
		return NULL;
	inside = path_below(path, looker->root, looker->root_length);
	return inside ? strdup(inside) : NULL;
}

static void look_at_pages(struct core_top_object *object, int fd)
{
	uint64_t cached, dirty;

	if (fd < 0 || sys_cached_pages(fd, &cached, &dirty) < 0)
		return;
	object->resident = (int64_t)(cached * PAGE_BYTES);
	object->dirty = (int64_t)(dirty * PAGE_BYTES);
}

/* Pages of memory are never dirty; those of a file may be in memory or not. */
static void look_at_data(const struct core_top *top, const struct entry *entry,
			 const struct stat *st, struct core_top_object *object)
{
	AUTO_CLOSE int fd = -1;

	object->size = (uint64_t)st->st_size;
	object->resident = st->st_blocks * 512;
	if (object->type != OBJECT_MAPPING)
		return;
	object->failures = entry->slot.flush_failures;
	object->error = entry->slot.flush_error;
	if (entry->slot.flags & SLOT_BOUND) {
		object->size = entry->slot.size;
		object->resident = object->dirty = -1;
		look_at_pages(object, entry->bound_fd);
	} else if (top->persistent) {
		object->dirty = -1;
		fd = tree_open_copy(top->tree, &entry->slot, entry->place, O_RDONLY);
		look_at_pages(object, fd);
	}
}

static void look_at(const struct looker *looker, const struct entry *entry)
{
	struct core_top *top = looker->top;
	AUTO_CLOSE int fd =
	    tree_open_copy(top->tree, &entry->slot, entry->place, O_PATH | O_NOFOLLOW);
	struct core_top_object *object = &top->objects[top->object_count];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || (!looker->all && st.st_uid != looker->owner))
		return;
	top->object_count++;
	*object = (struct core_top_object){.name = name_of(looker, entry, fd),
					   .inode = st.st_ino,
					   .owner = st.st_uid,
					   .type = (enum object_type)entry->slot.type,
					   .lifetime = lifetime_of(entry->slot.flags),
					   .handles = entry->slot.handles,
					   .flushes = entry->flushes};
	look_at_data(top, entry, &st, object);
}

static int by_inode(const void *a, const void *b)
{
	const struct core_top_object *one = a, *two = b;

	return (one->inode > two->inode) - (one->inode < two->inode);
}

static int count_views(struct core_top *top, size_t *unreadable)
{
	AUTO_FREE ino_t *inodes = calloc(top->object_count + 1, sizeof *inodes);
	AUTO_FREE uint32_t *counts = calloc(top->object_count + 1, sizeof *counts);
	int rc;

	if (!inodes || !counts)
		return -ENOMEM;
	for (size_t i = 0; i < top->object_count; i++)
		inodes[i] = top->objects[i].inode;
	rc = inspect_count_views(top->device_major, top->device_minor, inodes, top->object_count,
				 counts, unreadable);
	for (size_t i = 0; i < top->object_count; i++)
		top->objects[i].views = counts[i];
	return rc;
}

int core_top_look(struct core_top *top, bool all, uid_t owner, struct core_top_result *out)
{
	struct looker looker = {.top = top, .all = all, .owner = owner};
	int rc;

	*out = (struct core_top_result){.omitted = top->omitted};
	looker.root_length = path_of_fd(top->root_fd, looker.root, sizeof looker.root);
	top->objects = calloc(top->count + 1, sizeof *top->objects);
	if (!top->objects)
		return -ENOMEM;
	for (size_t i = 0; i < top->count; i++)
		look_at(&looker, &top->entries[i]);
	qsort(top->objects, top->object_count, sizeof *top->objects, by_inode);
	rc = count_views(top, &out->unreadable);
	out->objects = top->objects;
	out->count = top->object_count;
	return rc;
}

void core_top_end(struct core_top *top)
{
	if (!top)
		return;
	for (size_t i = 0; i < top->count; i++) {
		free(top->entries[i].place);
		if (top->entries[i].bound_fd >= 0)
			close(top->entries[i].bound_fd);
	}
	for (size_t i = 0; i < top->object_count; i++)
		free(top->objects[i].name);
	if (top->root_fd >= 0)
		close(top->root_fd);
	free(top->entries);
	free(top->objects);
	free(top);
}
