/* The end of a temporary object: nothing holds it any more, so its one name goes, and its pages
 * with it. A handle-bound one loses its name first, when its last handle goes; views keep the
 * pages.
 */
#include "core/internal.h"
#include "core/log.h"
#include "core/util.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* A descriptor of our own. */
static int own_directory(struct core *core, uint64_t node)
{
	int borrowed = names_directory(core, node);

	return borrowed < 0 ? borrowed : neg_errno(fcntl(borrowed, F_DUPFD_CLOEXEC, 0));
}

/* Without handles the tree itself goes by the place. */
static int place_of(struct core *core, struct slot *slot, char *name, int *dirfd, uint64_t *parent)
{
	const struct slot_place *place = &state_places(&core->state, slot)[slot->place];

	*parent = place->parent;
	strcpy(name, place->name);
	*dirfd = own_directory(core, *parent);
	return *dirfd < 0 ? *dirfd : 0;
}

struct search {
	ino_t ino;
	char *name;
	bool found;
};

static bool compare_entry(void *context, const char *name, ino_t ino, mode_t type, off_t next)
{
	struct search *search = context;

	(void)type;
	(void)next;
	search->found = ino == search->ino;
	if (search->found)
		snprintf(search->name, STATE_NAME_MAX + 1, "%s", name);
	return !search->found;
}

/* Deeper than a path can say. The kernel knows the directories above everything it knows. */
static int search_name(struct core *core, struct slot *slot, char *name, int *dirfd,
		       uint64_t *parent)
{
	struct search search = {.ino = slot->ino, .name = name};

	for (uint32_t i = 1; i < core->state.header->high; i++) {
		struct slot *directory = &core->state.slots[i];
		if (!directory->lookups || !(directory->flags & SLOT_DIRECTORY))
			continue;
		*parent = state_node(&core->state, directory);
		if (core_readdir(core, *parent, 0, compare_entry, &search) == 0 && search.found) {
			*dirfd = own_directory(core, *parent);
			return *dirfd < 0 ? *dirfd : 0;
		}
	}
	return -ENOENT;
}

/* A detached tree's paths begin at its root, others' further up. */
static int open_path(struct core *core, const char *path)
{
	char top[PATH_MAX];
	int length = path_of_fd(core->tree.base_fd, top, sizeof top);
	const char *inside = length < 0 ? NULL : path_below(path, top, length == 1 ? 0 : length);

	if (!inside) {
		errno = length < 0 ? -length : ENOENT;
		return -1;
	}
	return openat(core->tree.base_fd, inside, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The directory that holds the inode, and its name there. The kernel may have forgotten the
 * directory already (it tells so before it tells of the last handle): then it has no node, and
 * *parent is 0. */
static int find_name(struct core *core, struct slot *slot, char *name, int *dirfd, uint64_t *parent)
{
	AUTO_CLOSE int fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	AUTO_CLOSE int found = -1;
	struct slot *directory;
	char path[PATH_MAX];
	char *last;
	struct stat st;
	int rc;

	if (fd < 0)
		return fd;
	if (!core->tree.by_handle)
		return place_of(core, slot, name, dirfd, parent);
	rc = path_of_fd(fd, path, sizeof path);
	if (rc < 0 && rc != -ENAMETOOLONG)
		return rc;
	last = rc < 0 ? NULL : strrchr(path, '/');
	/* A disk's names can have left the kernel's memory: the inode alone knows none. */
	if (!last || !last[1])
		return search_name(core, slot, name, dirfd, parent);
	snprintf(name, STATE_NAME_MAX + 1, "%s", last + 1);
	*last = '\0';
	found = open_path(core, path);
	if (found < 0 || fstat(found, &st) < 0)
		return -errno;
	directory = slot_by_ino(core, st.st_ino);
	*parent = directory ? state_node(&core->state, directory) : 0;
	*dirfd = steal_fd(&found);
	return 0;
}

/* Its name as it is now; only if it is still its own. *dirfd is the caller's, on failure too. */
static int own_name(struct core *core, struct slot *slot, char *name, int *dirfd, uint64_t *parent,
		    struct stat *st)
{
	int rc = find_name(core, slot, name, dirfd, parent);

	if (rc < 0)
		return rc;
	if (fstatat(*dirfd, name, st, AT_SYMLINK_NOFOLLOW) < 0 || st->st_ino != slot->ino)
		return -ENOENT;
	return 0;
}

static void tell_name_gone(struct core *core, uint64_t parent, int dirfd, uint64_t node,
			   const char *name, const struct stat *st, enum core_removal removal)
{
	const struct core_listener *l = &core->config.listener;

	EVENT(core, .kind = CORE_EVENT_REMOVED, .node = node, .at = {parent, name},
	      .at_directory = parent ? 0 : dirfd, .st = st, .removal = removal);
	if (l->name_gone)
		l->name_gone(l->context, parent, node, name);
}

static void complain(const struct slot *slot, int rc)
{
	log_warn("temporary object (inode %llu) keeps its name: %s", (unsigned long long)slot->ino,
		 strerror(-rc));
}

void temporary_unname(struct core *core, struct slot *slot)
{
	char name[STATE_NAME_MAX + 1];
	uint64_t node = state_node(&core->state, slot), parent = 0;
	AUTO_CLOSE int dirfd = -1;
	struct stat st;
	int rc;

	if (slot->flags & (SLOT_ORPHAN | SLOT_DEAD))
		return;
	rc = own_name(core, slot, name, &dirfd, &parent, &st);
	if (rc == 0)
		rc = tree_orphan_move(&core->tree, node, dirfd, name);
	if (rc < 0) {
		if (rc != -ESTALE)
			complain(slot, rc);
		return; /* tried again at its end */
	}
	STAGE(&core->state, slot->flags, slot->flags | SLOT_ORPHAN);
	state_commit(&core->state);
	tell_name_gone(core, parent, dirfd, node, name, &st, CORE_REMOVED_HANDLE);
}

static void end_named(struct core *core, struct slot *slot)
{
	char name[STATE_NAME_MAX + 1];
	uint64_t node = state_node(&core->state, slot), parent = 0;
	AUTO_CLOSE int dirfd = -1;
	struct stat st;
	int rc = own_name(core, slot, name, &dirfd, &parent, &st);

	if (rc == 0)
		rc = neg_errno(unlinkat(dirfd, name, 0));
	if (rc < 0 && rc != -ESTALE) {
		complain(slot, rc);
		return;
	}
	slot_bury(core, slot);
	if (rc == 0)
		tell_name_gone(core, parent, dirfd, node, name, &st, CORE_REMOVED_TEMPORARY);
}

/* An orphan without a slot that is alive is swept by the next worker: this order loses nothing. */
static void end_unnamed(struct core *core, struct slot *slot)
{
	const struct core_listener *l = &core->config.listener;
	uint64_t node = state_node(&core->state, slot);

	slot_bury(core, slot);
	tree_orphan_remove(&core->tree, node, false);
	if (l->unused)
		l->unused(l->context, node);
}

void temporary_end(struct core *core, struct slot *slot)
{
	if (slot->flags & SLOT_DEAD)
		return;
	if (slot_is_ended(slot))
		end_unnamed(core, slot);
	else if (!(slot->flags & SLOT_ORPHAN))
		end_named(core, slot);
	if ((slot->flags & SLOT_DEAD) && !(slot->flags & SLOT_FLUSH_DUE))
		binding_drop(core, slot); /* else the flush does, when it is done */
}
