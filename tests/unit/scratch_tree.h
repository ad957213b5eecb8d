/* A tmpfs of a test's own, for the tree of a core without a mount. */
#ifndef MAPPINGFS_TESTS_UNIT_SCRATCH_TREE_H
#define MAPPINGFS_TESTS_UNIT_SCRATCH_TREE_H

#include <stddef.h>

/* `size` as tmpfs has it ("64m"). Where mounting is not permitted: a directory in /dev/shm, written
 * to `path`, which is empty otherwise. The directory's descriptor, or -1. */
int scratch_tree(const char *size, char *path, size_t path_size);

void scratch_tree_close(int fd, const char *path); /* fd: -1 if it is closed already */

#endif
