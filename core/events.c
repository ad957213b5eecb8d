#include "core/events.h"

#include "core/internal.h"
#include "core/util.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Without a name, or with one that does not count: not in the tree the mount shows. */
static bool is_nameless(const struct slot *slot)
{
	return !slot || (slot->flags & (SLOT_ORPHAN | SLOT_DEAD));
}

/* The inode itself is asked, unless the caller knows. Of one that is gone the slot says enough. */
static bool complete(struct core *core, struct slot *slot, struct core_event *event,
		     struct stat *room)
{
	if (slot && !(slot->flags & SLOT_DEAD) && !(event->st && event->at.name))
		event->fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	if (!event->st) {
		*room = (struct stat){0};
		event->st = room;
		if (slot && (slot->flags & SLOT_DEAD))
			*room = (struct stat){
			    .st_ino = slot->ino, .st_uid = slot->creator_uid, .st_mode = S_IFREG};
		else if (event->fd < 0 || fstat(event->fd, room) < 0)
			return false;
	}
	if (S_ISDIR(event->st->st_mode))
		return event->kind == CORE_EVENT_RENAMED;
	return S_ISREG(event->st->st_mode);
}

bool event_emit(struct core *core, const struct core_event *what)
{
	const struct core_listener *l = &core->config.listener;
	struct slot *slot = state_slot(&core->state, what->node);
	struct core_event event = *what;
	struct stat room;
	bool told = false;

	event.fd = -1;
	if (l->event && complete(core, slot, &event, &room)) {
		event.time = clock_ns(CLOCK_REALTIME);
		event.directory = S_ISDIR(event.st->st_mode);
		event.type = slot ? (enum object_type)slot->type : OBJECT_MAPPING;
		if (slot && !slot_is_waitable(slot))
			event.failures = slot->flush_failures;
		told = l->event(l->context, &event);
	}
	if (event.fd >= 0)
		close(event.fd);
	return told;
}

void event_opened(struct core *core, const struct core_event *event)
{
	struct slot *slot = core->observed ? state_slot(&core->state, event->node) : NULL;

	if (slot && event_emit(core, event))
		observe_opened(core, slot);
}

void event_before_rename(struct core *core, struct event_rename *rename, int from, int to)
{
	struct slot *slot;
	struct stat source;

	if (!core->observed || rename->exchanges ||
	    fstatat(from, rename->name, &source, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(to, rename->new_name, &rename->replaced, AT_SYMLINK_NOFOLLOW) < 0 ||
	    source.st_ino == rename->replaced.st_ino)
		return;
	slot = slot_by_ino(core, rename->replaced.st_ino);
	rename->node = slot ? state_node(&core->state, slot) : 0;
	rename->replaces = true;
}

static void tell_moved(struct core *core, uint64_t parent, const char *name, uint64_t from_parent,
		       const char *from)
{
	int dirfd = names_directory(core, parent);
	struct slot *slot;
	struct stat st;

	if (dirfd < 0 || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	slot = slot_by_ino(core, st.st_ino);
	EVENT(core, .kind = CORE_EVENT_RENAMED, .node = slot ? state_node(&core->state, slot) : 0,
	      .at = {parent, name}, .from = {from_parent, from}, .st = &st);
}

void event_renamed(struct core *core, const struct event_rename *rename)
{
	if (!core->observed)
		return;
	if (rename->replaces)
		EVENT(core, .kind = CORE_EVENT_REMOVED, .node = rename->node,
		      .at = {rename->new_parent, rename->new_name}, .st = &rename->replaced,
		      .removal = CORE_REMOVED_REPLACED, .links = rename->replaced.st_nlink - 1);
	tell_moved(core, rename->new_parent, rename->new_name, rename->parent, rename->name);
	if (rename->exchanges)
		tell_moved(core, rename->parent, rename->name, rename->new_parent,
			   rename->new_name);
}

/* --- names --- */

static int named_inside(struct core *core, const struct core_event *event,
			const struct core_event_name *name, char *path, size_t size)
{
	int dirfd = name == &event->at && event->at_directory > 0
			? event->at_directory
			: names_directory(core, name->parent);
	int length = dirfd < 0 ? dirfd : path_of_fd(dirfd, path, size);

	if (length < 0)
		return length;
	return length + snprintf(path + length, size - (size_t)length, "/%s", name->name);
}

/* By the inode. A descriptor by handle can be without a place, on a disk whose directories the
 * kernel has forgotten; then the path is not below the root's. */
static int named_by_inode(struct core *core, const struct core_event *event, char *path,
			  size_t size)
{
	if (is_nameless(state_slot(&core->state, event->node)) || event->fd < 0)
		return -ENOENT;
	return path_of_fd(event->fd, path, size);
}

int core_event_path(struct core *core, const struct core_event *event,
		    const struct core_event_name *name, int directory, char *buffer, size_t size)
{
	int root = directory >= 0 ? directory : names_directory(core, CORE_ROOT_NODE);
	char path[PATH_MAX + NAME_MAX + 2], top[PATH_MAX];
	const char *inside;
	int length;

	length = name->name ? named_inside(core, event, name, path, sizeof path)
			    : named_by_inode(core, event, path, sizeof path);
	if (length < 0)
		return -ENOENT;
	length = root < 0 ? root : path_of_fd(root, top, sizeof top);
	inside = length < 0 ? NULL : path_below(path, top, length);
	if (!inside)
		return -ENOENT;
	length = snprintf(buffer, size, "%s", inside);
	return (size_t)length < size ? length : -ENOENT;
}

int core_watch_directory(struct core *core, uint64_t node)
{
	int fd = names_directory(core, node);

	return fd < 0 ? fd : neg_errno(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}
