/* The backing tree: names, directories, attributes and file handles, on a real file system.
 *
 *   <base>/tree      what the mount shows
 *   <base>/orphans   inodes without a name that the kernel still knows, named by their node
 *
 * How an inode is found again is decided once: by file handle where the process may
 * (open_by_handle_at(2) needs CAP_DAC_READ_SEARCH, and a file system that can), otherwise by the
 * place (parent node and name) kept in the state area. */
#ifndef MAPPINGFS_CORE_TREE_H
#define MAPPINGFS_CORE_TREE_H

#include "core/fdcache.h"
#include "core/state.h"

#include <sys/stat.h>

struct tree {
	int base_fd, orphans_fd;
	bool by_handle;
	struct state *state;
	struct fdcache directories; /* O_PATH */
	/* Called when there are no descriptors left: true, some were closed. NULL: nothing to do.
	 */
	bool (*relieve)(struct tree *tree);
};

bool tree_relieved(struct tree *tree, int rc); /* rc says that there are none left: try again? */
/* A call that gives a descriptor; once more if there was none left and others could be closed. */
#define WITH_ROOM(tree, call)                                                                      \
	({                                                                                         \
		int got_ = (call);                                                                 \
		tree_relieved((tree), got_) ? (call) : got_;                                       \
	})

/* try_handles: else places are used without asking the kernel. Creates tree/ and orphans/ if
 * absent. */
int tree_open(struct tree *tree, int base_fd, struct state *state, bool try_handles);
void tree_close(struct tree *tree);

/* Fills slot's ino, handle, and the type flags; tree_moved() says where it is. dirfd: of parent's
 * directory, or with an empty name of the inode itself. */
int tree_identify(struct tree *tree, struct slot *slot, int dirfd, const char *name,
		  const struct stat *st);
/* Where it is now: for trees by place. */
void tree_moved(struct tree *tree, struct slot *slot, uint64_t parent, const char *name);

/* Borrowed O_PATH descriptor of a directory, or -errno. Valid until the next tree_ call but one:
 * two may be held at once. */
int tree_directory(struct tree *tree, struct slot *slot);
void tree_forget(struct tree *tree, struct slot *slot); /* drops what is cached of it */

/* Owned descriptor of the slot's inode, or -errno. Symbolic links are never followed. */
int tree_open_inode(struct tree *tree, struct slot *slot, int flags);
int tree_stat(struct tree *tree, struct slot *slot, struct stat *st);

/* "/proc/self/fd/N" of an O_PATH descriptor: for the calls that take only paths. */
struct tree_path {
	char text[32];
};
struct tree_path tree_fd_path(int fd);
/* Where the kernel says the inode of a descriptor is: length, or -errno. */
int path_of_fd(int fd, char *path, size_t size);
/* What follows `top` and a slash in path; NULL: path is not below it. */
const char *path_below(const char *path, const char *top, int top_length);

/* For other threads, with a copy of a slot: `place` is of tree_place(), and is not looked at where
 * inodes are found by handle. As tree_open_inode(). */
int tree_open_copy(const struct tree *tree, const struct slot *copy, const char *place, int flags);
/* "tree/a/b", for free(3); NULL: too deep, or no memory. */
char *tree_place(const struct tree *tree, const struct slot *slot);

/* Keeps an inode that loses its name alive under orphans/. The name is given up there. */
int tree_orphan_move(struct tree *tree, uint64_t node, int dirfd, const char *name);
int tree_orphan_link(struct tree *tree, uint64_t node, int dirfd, const char *name);
int tree_orphan_adopt(struct tree *tree, uint64_t node, int fd); /* of an O_TMPFILE inode */
/* Gives an orphan a name; -EEXIST if that is in use, -ENOENT if it is no orphan any more. */
int tree_orphan_publish(struct tree *tree, uint64_t node, int dirfd, const char *name);
bool tree_orphan_exists(struct tree *tree, uint64_t node);
int tree_orphan_remove(struct tree *tree, uint64_t node, bool directory);
/* Calls keep() for each orphan; those it refuses (all, if NULL) are removed. */
int tree_orphan_sweep(struct tree *tree, bool (*keep)(void *context, uint64_t node), void *context);

#endif
