/* The attribute user.mapping.limit of directories: set, changed, removed, read; and kept. */
#ifndef MAPPINGFS_CORE_LIMIT_H
#define MAPPINGFS_CORE_LIMIT_H

#include "core/internal.h"

/* Value: bytes, or with a suffix k, m, g, t; 0 removes. Root may at any time; a directory's owner
 * while it is empty, and not what root has set. Carried out exactly once. -EINVAL; -EPERM;
 * -ENOTEMPTY: only root may; -EXDEV: a file in it has a name outside; -ENFILE: too many. */
int limit_set(struct core *core, struct slot *slot, const char *value, size_t size, uid_t uid);
int limit_remove(struct core *core, struct slot *slot, uid_t uid); /* there is one */

bool limit_is_set(struct core *core, struct slot *slot);
int limit_print(struct core *core, struct slot *slot, char *buffer, size_t size);
/* Bytes charged to a directory's own limit; of the root without one, taken from the mount. */
bool limit_has_commit(struct core *core, struct slot *slot);
int limit_print_commit(struct core *core, struct slot *slot, char *buffer, size_t size);

/* For a directory's record: bytes, 0 for none; flags of the account. */
uint64_t limit_of_record(struct core *core, const struct slot *slot, uint16_t *flags);

/* A persistent store's first worker counts what lies in the tree. The limit of a directory is found
 * in its record: the index of the account for what lies in it, or -errno. */
int limit_census_directory(struct core *core, uint32_t around, ino_t ino, int dirfd,
			   const char *name);
/* Bytes that a file, not known yet, is charged for. */
uint64_t limit_census_file(struct core *core, uint32_t account, int dirfd, const char *name,
			   const struct stat *st);

#endif
