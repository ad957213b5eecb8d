/* Backing ids: the kernel's names for files that back inodes' data. They belong to the FUSE
 * connection. */
#ifndef MAPPINGFS_FS_PASSTHROUGH_H
#define MAPPINGFS_FS_PASSTHROUGH_H

#include <stdbool.h>
#include <stdint.h>

/* May this process register backing files? (CAP_SYS_ADMIN in the initial user namespace) */
bool passthrough_permitted(void);

/* context: int * of the /dev/fuse descriptor. Shapes of struct core_data_path. */
int passthrough_attach(void *context, int fd);
void passthrough_detach(void *context, uint32_t id);

#endif
