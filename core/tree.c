#include "core/tree.h"

#include "core/log.h"
#include "core/proc.h"
#include "core/state_check.h"
#include "core/sys.h"
#include "core/util.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct any_handle {
	struct file_handle head;
	uint8_t bytes[STATE_HANDLE_MAX];
};

static int handle_of(int dirfd, const char *name, int flags, struct any_handle *h)
{
	h->head.handle_bytes = STATE_HANDLE_MAX;
	return sys->handle_of(dirfd, name, &h->head, flags);
}

static int open_by_handle(const struct tree *tree, const struct slot *slot, int flags)
{
	struct any_handle h;

	h.head.handle_bytes = slot->handle_length;
	h.head.handle_type = slot->handle_type;
	memcpy(h.head.f_handle, slot->handle, slot->handle_length);
	return sys->open_handle(tree->base_fd, &h.head, flags);
}

bool tree_relieved(struct tree *tree, int rc)
{
	return (rc == -EMFILE || rc == -ENFILE) && tree->relieve && tree->relieve(tree);
}

static int open_subdirectory(int base_fd, const char *name, mode_t mode)
{
	if (mkdirat(base_fd, name, mode) < 0 && errno != EEXIST)
		return -errno;
	return neg_errno(openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

static bool handles_work(struct tree *tree)
{
	struct slot probe = {0};
	struct any_handle h;
	int fd;

	if (handle_of(tree->base_fd, "", AT_EMPTY_PATH, &h) < 0)
		return false;
	probe.handle_type = (uint8_t)h.head.handle_type;
	probe.handle_length = (uint8_t)h.head.handle_bytes;
	memcpy(probe.handle, h.head.f_handle, h.head.handle_bytes);
	fd = open_by_handle(tree, &probe, O_PATH | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int tree_open(struct tree *tree, int base_fd, struct state *state, bool try_handles)
{
	AUTO_CLOSE int root = -1;

	*tree = (struct tree){.base_fd = base_fd, .orphans_fd = -1, .state = state};
	fdcache_init(&tree->directories);
	tree->by_handle = try_handles && handles_work(tree);
	root = open_subdirectory(base_fd, "tree", 0700);
	if (root < 0)
		return root;
	tree->orphans_fd = open_subdirectory(base_fd, "orphans", 0700);
	return tree->orphans_fd < 0 ? tree->orphans_fd : 0;
}

void tree_close(struct tree *tree)
{
	if (tree->orphans_fd >= 0)
		close(tree->orphans_fd);
	tree->orphans_fd = -1;
	fdcache_finish(&tree->directories);
}

static uint32_t type_flags(const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return SLOT_DIRECTORY;
	return S_ISREG(st->st_mode) ? SLOT_REGULAR : 0;
}

int tree_identify(struct tree *tree, struct slot *slot, int dirfd, const char *name,
		  const struct stat *st)
{
	struct any_handle h;
	int rc;

	slot->ino = st->st_ino;
	slot->flags = type_flags(st);
	if (!tree->by_handle)
		return 0;
	rc = handle_of(dirfd, name, *name ? 0 : AT_EMPTY_PATH, &h);
	if (rc < 0)
		return rc;
	slot->handle_type = (uint8_t)h.head.handle_type;
	slot->handle_length = (uint8_t)h.head.handle_bytes;
	memcpy(slot->handle, h.head.f_handle, h.head.handle_bytes);
	return 0;
}

void tree_moved(struct tree *tree, struct slot *slot, uint64_t parent, const char *name)
{
	struct slot_place *next;

	if (tree->by_handle)
		return;
	/* The place in force is never torn: the other one is written, and then is the one. */
	next = &state_places(tree->state, slot)[!slot->place];
	next->parent = parent;
	snprintf(next->name, sizeof next->name, "%s", name);
	atomic_signal_fence(memory_order_seq_cst);
	*(volatile uint8_t *)&slot->place = !slot->place;
}

static void orphan_name(char *text, size_t size, uint64_t node)
{
	snprintf(text, size, "%016" PRIx64, node);
}

/* Writes "tree/a/b" or "orphans/..." so that it ends at the end of buffer. */
static const char *place_path(const struct tree *tree, const struct slot *slot, char *buffer,
			      size_t size)
{
	char *at = buffer + size - 1;
	const char *top = "tree";
	size_t length;

	*at = '\0';
	while (state_index(tree->state, slot) != 1) {
		const struct slot_place *place = &state_places(tree->state, slot)[slot->place];
		if (!state_place_is_sound(place))
			return NULL;
		length = strlen(place->name);
		if ((size_t)(at - buffer) < length + sizeof "orphans/")
			return NULL;
		memcpy(at -= length, place->name, length);
		*--at = '/';
		if (!place->parent) {
			top = "orphans";
			break;
		}
		slot = state_slot(tree->state, place->parent);
		if (!slot)
			return NULL;
	}
	length = strlen(top);
	return memcpy(at - length, top, length);
}

static int open_place(struct tree *tree, const struct slot *slot, int flags)
{
	char buffer[PATH_MAX];
	const char *path = place_path(tree, slot, buffer, sizeof buffer);
	struct stat st;
	int fd;

	if (!path)
		return -ENAMETOOLONG;
	fd = WITH_ROOM(tree, sys->openat(tree->base_fd, path, flags | O_NOFOLLOW, 0));
	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	if (fstat(fd, &st) < 0 || st.st_ino != slot->ino) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

int tree_open_copy(const struct tree *tree, const struct slot *copy, const char *place, int flags)
{
	flags |= O_CLOEXEC;
	if (tree->by_handle)
		return open_by_handle(tree, copy, flags);
	if (!place)
		return -ENOENT;
	return sys->openat(tree->base_fd, place, flags | O_NOFOLLOW, 0);
}

char *tree_place(const struct tree *tree, const struct slot *slot)
{
	char buffer[PATH_MAX];
	const char *path = place_path(tree, slot, buffer, sizeof buffer);

	return path ? strdup(path) : NULL;
}

int tree_open_inode(struct tree *tree, struct slot *slot, int flags)
{
	if (slot->flags & SLOT_DEAD)
		return -ESTALE;
	flags |= O_CLOEXEC;
	if (tree->by_handle && state_index(tree->state, slot) != 1)
		return WITH_ROOM(tree, open_by_handle(tree, slot, flags));
	return open_place(tree, slot, flags);
}

int tree_directory(struct tree *tree, struct slot *slot)
{
	uint32_t key = state_index(tree->state, slot);
	int fd = fdcache_get(&tree->directories, key);

	if (fd >= 0)
		return fd;
	if (!(slot->flags & SLOT_DIRECTORY))
		return -ENOTDIR;
	fd = tree_open_inode(tree, slot, O_PATH | O_DIRECTORY);
	return fd < 0 ? fd : fdcache_put(&tree->directories, key, fd);
}

void tree_forget(struct tree *tree, struct slot *slot)
{
	if (slot->flags & SLOT_DIRECTORY)
		fdcache_drop(&tree->directories, state_index(tree->state, slot));
}

int tree_stat(struct tree *tree, struct slot *slot, struct stat *st)
{
	AUTO_CLOSE int owned = -1;
	int fd;

	if (slot->flags & SLOT_DIRECTORY)
		fd = tree_directory(tree, slot);
	else
		fd = owned = tree_open_inode(tree, slot, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	return neg_errno(fstat(fd, st));
}

struct tree_path tree_fd_path(int fd)
{
	struct tree_path path;
	snprintf(path.text, sizeof path.text, "%s%d", proc_own_prefix(), fd);
	return path;
}

int path_of_fd(int fd, char *path, size_t size)
{
	ssize_t length = readlink(tree_fd_path(fd).text, path, size - 1);

	if (length < 0)
		return -errno;
	path[length] = '\0';
	return (int)length;
}

const char *path_below(const char *path, const char *top, int top_length)
{
	if (strncmp(path, top, (size_t)top_length) != 0 || path[top_length] != '/')
		return NULL;
	return path + top_length + 1;
}

int tree_orphan_move(struct tree *tree, uint64_t node, int dirfd, const char *name)
{
	char orphan[32];
	struct slot *slot = state_slot(tree->state, node);

	orphan_name(orphan, sizeof orphan, node);
	if (renameat(dirfd, name, tree->orphans_fd, orphan) < 0)
		return -errno;
	tree_moved(tree, slot, 0, orphan);
	return 0;
}

int tree_orphan_link(struct tree *tree, uint64_t node, int dirfd, const char *name)
{
	char orphan[32];
	struct slot *slot = state_slot(tree->state, node);

	orphan_name(orphan, sizeof orphan, node);
	if (linkat(dirfd, name, tree->orphans_fd, orphan, 0) < 0 && errno != EEXIST)
		return -errno;
	tree_moved(tree, slot, 0, orphan);
	return 0;
}

int tree_orphan_adopt(struct tree *tree, uint64_t node, int fd)
{
	char orphan[32];
	struct slot *slot = state_slot(tree->state, node);

	orphan_name(orphan, sizeof orphan, node);
	if (linkat(AT_FDCWD, tree_fd_path(fd).text, tree->orphans_fd, orphan, AT_SYMLINK_FOLLOW) <
	    0)
		return -errno;
	tree_moved(tree, slot, 0, orphan);
	return 0;
}

int tree_orphan_publish(struct tree *tree, uint64_t node, int dirfd, const char *name)
{
	char orphan[32];

	orphan_name(orphan, sizeof orphan, node);
	return neg_errno(renameat2(tree->orphans_fd, orphan, dirfd, name, RENAME_NOREPLACE));
}

bool tree_orphan_exists(struct tree *tree, uint64_t node)
{
	char orphan[32];

	orphan_name(orphan, sizeof orphan, node);
	return faccessat(tree->orphans_fd, orphan, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int tree_orphan_remove(struct tree *tree, uint64_t node, bool directory)
{
	char orphan[32];

	orphan_name(orphan, sizeof orphan, node);
	if (unlinkat(tree->orphans_fd, orphan, directory ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int tree_orphan_sweep(struct tree *tree, bool (*keep)(void *context, uint64_t node), void *context)
{
	int fd = openat(tree->orphans_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		int rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while ((entry = readdir(dir))) {
		char *end;
		uint64_t node = strtoull(entry->d_name, &end, 16);
		if (entry->d_name[0] == '.' || *end || (keep && keep(context, node)))
			continue;
		if (unlinkat(tree->orphans_fd, entry->d_name, 0) < 0 &&
		    (errno != EISDIR ||
		     unlinkat(tree->orphans_fd, entry->d_name, AT_REMOVEDIR) < 0))
			log_warn("orphan %s stays: %m", entry->d_name);
	}
	closedir(dir);
	return 0;
}
