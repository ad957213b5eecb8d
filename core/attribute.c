/* One row an attribute: on what it is found, how it reads, who may set it to what. */
#include "core/attribute.h"

#include "core/limit.h"
#include "core/util.h"
#include "core/wait.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "user.mapping."

enum {
	ON_MAPPING = 1 << 0,
	ON_WAITABLE = 1 << 1,
	ON_DIRECTORY = 1 << 2,
	ON_OBJECT = ON_MAPPING | ON_WAITABLE,
};

/* --- how they read: length as snprintf() --- */

static int print_type(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	(void)core;
	return snprintf(buffer, size, "%s", object_type_name((enum object_type)slot->type));
}

static int print_lifetime(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	enum core_lifetime lifetime = slot->flags & SLOT_DIRECTORY
					  ? (enum core_lifetime)(slot->inherit - 1)
					  : lifetime_of(slot->flags);

	(void)core;
	return snprintf(buffer, size, "%s", core_lifetime_name(lifetime));
}

/* Somebody made the file shorter than its object: views have no pages beyond its end. */
static void note_cut(const struct slot *slot, int fd, char *note, size_t size)
{
	struct stat st;

	note[0] = '\0';
	if (fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size < slot->size)
		snprintf(note, size, " (cut short to %llu bytes)", (unsigned long long)st.st_size);
}

static int print_backing(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	char path[PATH_MAX] = "(not known)", note[64];
	int fd;

	if (!(slot->flags & SLOT_BOUND))
		return snprintf(buffer, size, slot->flags & SLOT_SPARSE ? "sparse" : "memory");
	fd = binding_descriptor(core, slot);
	if (fd < 0) {
		remembered_path(core, slot->binding, path, sizeof path);
		return snprintf(buffer, size, "file missing: %s", path);
	}
	path_of_fd(fd, path, sizeof path); /* else as it is */
	note_cut(slot, fd, note, sizeof note);
	return snprintf(buffer, size, "%s:%s%s", slot->flags & SLOT_READ_ONLY ? "file-ro" : "file",
			path, note);
}

static int print_commit(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	struct stat st = {0};

	/* A bound object's pages are its file's. */
	if (!(slot->flags & SLOT_BOUND))
		tree_stat(&core->tree, slot, &st);
	return snprintf(buffer, size, "%llu", (unsigned long long)st.st_blocks * 512);
}

static int print_handles(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	(void)core;
	return snprintf(buffer, size, "%u", slot->handles);
}

/* One that is tried again: also since when it fails, and when the next try is. */
static int print_flush(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	const char *error = slot->flush_error ? strerrorname_np(slot->flush_error) : "ok";
	char again[64] = "";

	(void)core;
	if (!slot->flushed_at)
		return snprintf(buffer, size, "never");
	if (flush_is_failing(slot))
		snprintf(again, sizeof again, " %u %llu", slot->failing_since,
			 (unsigned long long)(flush_next_try(slot) / 1000000000ULL));
	return snprintf(buffer, size, "%s %llu.%09llu %u%s", error ? error : "EIO",
			(unsigned long long)(slot->flushed_at / 1000000000ULL),
			(unsigned long long)(slot->flushed_at % 1000000000ULL),
			slot->flush_failures, again);
}

static int print_state(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	return wait_print(core, slot, buffer, size);
}

/* The inode has the time itself. */
static int print_creator(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	AUTO_CLOSE int fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	struct statx st;

	if (fd < 0)
		return fd;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) < 0)
		return -errno;
	if (!(st.stx_mask & STATX_BTIME))
		st.stx_btime = (struct statx_timestamp){0};
	return snprintf(buffer, size, "%u %u %lld.%09u", slot->creator_uid, slot->creator_pid,
			(long long)st.stx_btime.tv_sec, st.stx_btime.tv_nsec);
}

static bool has_default_lifetime(struct core *core, struct slot *slot)
{
	(void)core;
	return !(slot->flags & SLOT_DIRECTORY) || slot->inherit;
}

static bool has_creator(struct core *core, struct slot *slot)
{
	(void)core;
	return slot->creator_uid != UINT32_MAX;
}

/* --- the lifetime can be set --- */

static int parse_lifetime(const char *value, size_t size)
{
	for (int i = 0; i < CORE_LIFETIMES; i++) {
		const char *name = core_lifetime_name((enum core_lifetime)i);
		if (strlen(name) == size && memcmp(name, value, size) == 0)
			return i;
	}
	return -EINVAL;
}

/* What has been set is kept or not set at all. */
static int set_inherited(struct core *core, struct slot *slot, int inherit)
{
	uint8_t before = slot->inherit;
	uint32_t flags = slot->flags;
	int rc;

	STAGE(&core->state, slot->inherit, inherit);
	STAGE(&core->state, slot->flags, flags | SLOT_UNSAVED);
	state_commit(&core->state);
	rc = record_save_slot(core, slot);
	if (rc < 0) {
		STAGE(&core->state, slot->inherit, before);
		STAGE(&core->state, slot->flags, flags);
		state_commit(&core->state);
	}
	return rc;
}

static int set_lifetime(struct core *core, struct slot *slot, const char *value, size_t size,
			uid_t uid)
{
	struct stat st;
	int rc = tree_stat(&core->tree, slot, &st), lifetime = parse_lifetime(value, size);

	if (rc < 0)
		return rc;
	if (uid != 0 && uid != st.st_uid)
		return -EPERM;
	if (lifetime < 0)
		return lifetime;
	if (slot->flags & SLOT_DIRECTORY)
		return set_inherited(core, slot, lifetime + 1);
	if (lifetime != CORE_PERMANENT && st.st_nlink > 1)
		return -EPERM; /* hard links: there is not one name to take away */
	rc = lastview_set_lifetime(core, slot, (enum core_lifetime)lifetime);
	return rc < 0 ? rc : record_save_slot(core, slot);
}

static int clear_lifetime(struct core *core, struct slot *slot, uid_t uid)
{
	struct stat st;
	int rc = tree_stat(&core->tree, slot, &st);

	if (rc < 0)
		return rc;
	if (!(slot->flags & SLOT_DIRECTORY))
		return -EPERM; /* an object always has one */
	return uid != 0 && uid != st.st_uid ? -EPERM : set_inherited(core, slot, 0);
}

/* --- the table --- */

static const struct attribute {
	const char *name;
	unsigned on;
	bool (*has)(struct core *core, struct slot *slot); /* NULL: always */
	/* NULL: counted by core_count_views() */
	int (*print)(struct core *core, struct slot *slot, char *buffer, size_t size);
	/* NULL: not to be set, not to be removed */
	int (*set)(struct core *core, struct slot *slot, const char *value, size_t size, uid_t uid);
	int (*clear)(struct core *core, struct slot *slot, uid_t uid);
} attributes[] = {
    {"type", ON_OBJECT, NULL, print_type, NULL, NULL},
    {"lifetime", ON_OBJECT | ON_DIRECTORY, has_default_lifetime, print_lifetime, set_lifetime,
     clear_lifetime},
    {"backing", ON_MAPPING, NULL, print_backing, NULL, NULL},
    {"commit", ON_MAPPING, NULL, print_commit, NULL, NULL},
    {"handles", ON_OBJECT, NULL, print_handles, NULL, NULL},
    {"views", ON_MAPPING, NULL, NULL, NULL, NULL},
    {"flush", ON_MAPPING, NULL, print_flush, NULL, NULL},
    {"state", ON_WAITABLE, NULL, print_state, NULL, NULL},
    {"creator", ON_OBJECT, has_creator, print_creator, NULL, NULL},
    {"limit", ON_DIRECTORY, limit_is_set, limit_print, limit_set, limit_remove},
    {"commit", ON_DIRECTORY, limit_has_commit, limit_print_commit, NULL, NULL},
};

static unsigned kind_of(const struct slot *slot)
{
	if (slot->flags & SLOT_DEAD)
		return 0;
	if (slot->flags & SLOT_DIRECTORY)
		return ON_DIRECTORY;
	if (!(slot->flags & SLOT_REGULAR))
		return 0;
	return slot_is_waitable(slot) ? ON_WAITABLE : ON_MAPPING;
}

static const struct attribute *find(const struct slot *slot, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
		if ((attributes[i].on & kind_of(slot)) && strcmp(attributes[i].name, name) == 0)
			return &attributes[i];
	return NULL;
}

static bool is_there(struct core *core, struct slot *slot, const struct attribute *a)
{
	return a && (!a->has || a->has(core, slot));
}

const char *attribute_name(const char *xattr)
{
	return strncmp(xattr, PREFIX, strlen(PREFIX)) == 0 ? xattr + strlen(PREFIX) : NULL;
}

int attribute_get(struct core *core, struct slot *slot, const char *name, char *buffer, size_t size)
{
	const struct attribute *a = find(slot, name);
	int length;

	if (!is_there(core, slot, a) || !a->print)
		return -ENODATA;
	length = a->print(core, slot, buffer, size);
	return length < (int)size ? length : -ERANGE;
}

int attribute_set(struct core *core, struct slot *slot, const char *name, const char *value,
		  size_t size, uid_t uid)
{
	const struct attribute *a = find(slot, name);

	return a && a->set ? a->set(core, slot, value, size, uid) : -EPERM;
}

int attribute_clear(struct core *core, struct slot *slot, const char *name, uid_t uid)
{
	const struct attribute *a = find(slot, name);

	if (!a || !a->clear)
		return -EPERM;
	/* Not saved yet: a former worker was about to. */
	if (!is_there(core, slot, a) && !(slot->flags & SLOT_UNSAVED))
		return -ENODATA;
	return a->clear(core, slot, uid);
}

int attribute_list(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	size_t length = 0;

	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		const struct attribute *a = &attributes[i];
		int one;
		if (!(a->on & kind_of(slot)) || !is_there(core, slot, a))
			continue;
		one = snprintf(buffer + length, size - length, PREFIX "%s", a->name);
		if ((size_t)one >= size - length)
			return -ERANGE;
		length += (size_t)one + 1;
	}
	return (int)length;
}
