/* Extended attributes: the tree's own, and what can be read of an object under user.mapping.* */
#include "core/internal.h"

#include "core/inspect.h"
#include "core/log.h"
#include "core/util.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#define PREFIX        "user.mapping."
#define PREFIX_LENGTH (sizeof PREFIX - 1)

static int print_type(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	(void)core;
	(void)slot;
	return snprintf(buffer, size, "mapping");
}

static int print_lifetime(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	(void)core;
	return snprintf(buffer, size, slot->flags & SLOT_TEMPORARY ? "temporary" : "permanent");
}

static int print_backing(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	char path[PATH_MAX] = "(not bound any more)";
	ssize_t length = -1;
	int fd;

	if (!(slot->flags & SLOT_BOUND))
		return snprintf(buffer, size, slot->flags & SLOT_SPARSE ? "sparse" : "memory");
	fd = binding_descriptor(core, slot);
	if (fd >= 0)
		length = readlink(tree_fd_path(fd).text, path, sizeof path - 1);
	if (length >= 0)
		path[length] = '\0';
	return snprintf(buffer, size, "%s:%s", slot->flags & SLOT_READ_ONLY ? "file-ro" : "file",
			path);
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

static int print_flush(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	const char *error = slot->flush_error ? strerrorname_np(slot->flush_error) : "ok";

	(void)core;
	if (!slot->flushed_at)
		return snprintf(buffer, size, "never");
	return snprintf(buffer, size, "%s %llu.%09llu %u", error ? error : "EIO",
			(unsigned long long)(slot->flushed_at / 1000000000ULL),
			(unsigned long long)(slot->flushed_at % 1000000000ULL),
			slot->flush_failures);
}

static const struct virtual_attribute {
	const char *name;
	int (*print)(struct core *core, struct slot *slot, char *buffer, size_t size);
} virtual_attributes[] = {
    {"type", print_type},     {"lifetime", print_lifetime}, {"backing", print_backing},
    {"commit", print_commit}, {"handles", print_handles},   {"flush", print_flush},
    {"views", NULL}, /* counted by core_count_views() */
};

static bool is_virtual(const char *name)
{
	return strncmp(name, PREFIX, PREFIX_LENGTH) == 0;
}

static bool is_hidden(const struct core *core, const char *name)
{
	return strcmp(name, record_xattr_name(core)) == 0;
}

static int get_virtual(struct core *core, struct slot *slot, const char *name, char *buffer,
		       size_t size)
{
	if (!(slot->flags & SLOT_REGULAR) || (slot->flags & SLOT_DEAD))
		return -ENODATA;
	for (size_t i = 0; i < ARRAY_SIZE(virtual_attributes); i++) {
		const struct virtual_attribute *a = &virtual_attributes[i];
		int length;
		if (strcmp(name, a->name) != 0 || !a->print)
			continue;
		length = a->print(core, slot, buffer, size);
		return length < (int)size ? length : -ERANGE;
	}
	return -ENODATA;
}

int core_getxattr(struct core *core, uint64_t node, const char *name, char *buffer, size_t size)
{
	struct slot *slot = slot_get(core, node);
	AUTO_CLOSE int fd = -1;
	ssize_t length;

	if (!slot)
		return -ESTALE;
	if (is_virtual(name))
		return get_virtual(core, slot, name + PREFIX_LENGTH, buffer, size);
	if (is_hidden(core, name))
		return -ENODATA;
	fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	length = getxattr(tree_fd_path(fd).text, name, buffer, size);
	return length < 0 ? -errno : (int)length;
}

/* Takes our own record out of a list of names. */
static size_t without_hidden(const struct core *core, char *list, size_t length)
{
	size_t kept = 0;

	for (size_t at = 0; at < length;) {
		size_t one = strlen(list + at) + 1;
		if (!is_hidden(core, list + at)) {
			memmove(list + kept, list + at, one);
			kept += one;
		}
		at += one;
	}
	return kept;
}

int core_listxattr(struct core *core, uint64_t node, char *buffer, size_t size)
{
	struct slot *slot = slot_get(core, node);
	AUTO_CLOSE int fd =
	    slot ? tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW) : -ESTALE;
	ssize_t got;
	size_t length;

	if (fd < 0)
		return fd;
	got = listxattr(tree_fd_path(fd).text, buffer, size);
	if (got < 0)
		return -errno;
	length = without_hidden(core, buffer, (size_t)got);
	if (!(slot->flags & SLOT_REGULAR))
		return (int)length;
	for (size_t i = 0; i < ARRAY_SIZE(virtual_attributes); i++) {
		int one = snprintf(buffer + length, size - length, PREFIX "%s",
				   virtual_attributes[i].name);
		if ((size_t)one >= size - length)
			return -ERANGE;
		length += (size_t)one + 1;
	}
	return (int)length;
}

static int set_lifetime(struct core *core, struct slot *slot, const char *value, size_t size,
			const struct core_caller *caller)
{
	bool temporary = size == 9 && memcmp(value, "temporary", 9) == 0;
	struct stat st;
	int rc = tree_stat(&core->tree, slot, &st);

	if (rc < 0)
		return rc;
	if (caller->uid != 0 && caller->uid != st.st_uid)
		return -EPERM;
	if (!temporary && !(size == 9 && memcmp(value, "permanent", 9) == 0))
		return -EINVAL;
	if (temporary && st.st_nlink > 1)
		return -EPERM; /* hard links: there is not one name to take away */
	STAGE(&core->state, slot->flags,
	      temporary ? slot->flags | SLOT_TEMPORARY : slot->flags & ~(uint32_t)SLOT_TEMPORARY);
	state_commit(&core->state);
	rc = record_save_slot(core, slot);
	if (rc == 0 && temporary)
		lastview_made_temporary(core, slot);
	return rc;
}

/* The kernel does not know which attributes there are. Found right on the first try, it is noted,
 * so that a second try does not take what the first has done for what was there before. */
static int check_attribute(struct core *core, int fd, const char *name, bool must_be_there)
{
	struct request_record *record = core->record;

	if (record && core->resent_started && record->before)
		return 0;
	if (getxattr(tree_fd_path(fd).text, name, NULL, 0) >= 0) {
		if (!must_be_there)
			return -EEXIST;
	} else if (errno != ENODATA || must_be_there) {
		return -errno;
	}
	if (record)
		*(volatile uint64_t *)&record->before = 1;
	return 0;
}

int core_setxattr(struct core *core, uint64_t node, const char *name, const void *value,
		  size_t size, int flags, const struct core_caller *caller)
{
	struct slot *slot = slot_get(core, node);
	AUTO_CLOSE int fd = -1;
	int rc;

	if (core_replayed(core, &rc, NULL))
		return rc;
	if (!slot)
		return -ESTALE;
	if (strcmp(name, PREFIX "lifetime") == 0 && (slot->flags & SLOT_REGULAR))
		return set_lifetime(core, slot, value, size, caller);
	if (is_virtual(name) || is_hidden(core, name))
		return -EPERM;
	fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	if (flags & XATTR_CREATE) {
		rc = check_attribute(core, fd, name, false);
		if (rc < 0)
			return rc;
		flags &= ~XATTR_CREATE;
	}
	rc = neg_errno(setxattr(tree_fd_path(fd).text, name, value, size, flags));
	return rc < 0 ? rc : core_finish(core, 0);
}

int core_removexattr(struct core *core, uint64_t node, const char *name)
{
	struct slot *slot = slot_get(core, node);
	AUTO_CLOSE int fd = -1;
	int rc;

	if (core_replayed(core, &rc, NULL))
		return rc;
	if (!slot)
		return -ESTALE;
	if (is_virtual(name) || is_hidden(core, name))
		return -EPERM;
	fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	rc = check_attribute(core, fd, name, true);
	if (rc < 0)
		return rc;
	if (removexattr(tree_fd_path(fd).text, name) < 0 && errno != ENODATA)
		return -errno;
	return core_finish(core, 0);
}
