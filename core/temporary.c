/* The end of a temporary object: nothing holds it any more, so its one name goes, and its pages with it. */
#include "core/internal.h"
#include "core/log.h"
#include "core/util.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Where the last "/" is in the tree's own view of fd; NULL with errno. */
static char *name_of(int fd, char *path, size_t size)
{
	ssize_t length = readlink(tree_fd_path(fd).text, path, size - 1);

	if (length < 0)
		return NULL;
	path[length] = '\0';
	errno = ENOENT;
	return strrchr(path, '/');
}

/* The directory that holds the inode of fd, and its name there. */
static int find_name(struct core *core, struct slot *slot, char *name, int *dirfd, uint64_t *parent)
{
	AUTO_CLOSE int fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	struct slot *directory;
	char path[PATH_MAX];
	char *last;
	struct stat st;
	int rc;

	if (fd < 0)
		return fd;
	if (!core->tree.by_handle) {
		const struct slot_place *place =
			&core->state.places[state_index(&core->state, slot)];
		*parent = place->parent;
		strcpy(name, place->name);
		*dirfd = names_directory(core, *parent);
		return *dirfd < 0 ? *dirfd : 0;
	}
	last = name_of(fd, path, sizeof path);
	if (!last)
		return -errno;
	snprintf(name, STATE_NAME_MAX + 1, "%s", last + 1);
	*last = '\0';
	/* A detached tree's paths begin at its root, a store's at the machine's. */
	if (strncmp(path, "/tree", 5) == 0 && !core->persistent)
		rc = openat(core->tree.base_fd, path + 1, O_PATH | O_DIRECTORY | O_CLOEXEC);
	else
		rc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rc < 0 || fstat(rc, &st) < 0)
		return -errno;
	directory = slot_by_ino(core, st.st_ino);
	*parent = directory ? state_node(&core->state, directory) : 0;
	*dirfd = directory ? tree_directory(&core->tree, directory) : -ENOENT;
	close(rc);
	return *dirfd < 0 ? *dirfd : 0;
}

static int remove_name(struct core *core, struct slot *slot, char *name, uint64_t *parent)
{
	struct stat st;
	int dirfd = -1;
	int rc = find_name(core, slot, name, &dirfd, parent);

	if (rc < 0)
		return rc;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != slot->ino)
		return -ENOENT;
	return neg_errno(unlinkat(dirfd, name, 0));
}

void temporary_end(struct core *core, struct slot *slot)
{
	char name[STATE_NAME_MAX + 1];
	uint64_t node = state_node(&core->state, slot), parent = 0;
	int rc;

	if (slot->flags & (SLOT_ORPHAN | SLOT_DEAD))
		return;
	rc = remove_name(core, slot, name, &parent);
	if (rc < 0 && rc != -ESTALE) {
		log_warn("temporary object (inode %llu) keeps its name: %s",
			 (unsigned long long)slot->ino, strerror(-rc));
		return;
	}
	slot_bury(core, slot);
	if (!(slot->flags & SLOT_FLUSH_DUE))
		binding_drop(core, slot); /* else the flush does, when it is done */
	if (rc == 0 && core->config.listener.name_gone)
		core->config.listener.name_gone(core->config.listener.context, parent, node, name);
}
