/* Does this mount namespace still show a mount of the device? */
#ifndef MAPPINGFS_FS_WORKER_MOUNTS_H
#define MAPPINGFS_FS_WORKER_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

/* fd: of /proc/self/mountinfo, read from its beginning. True also when it cannot be read. */
bool mounts_has_device(int fd, uint32_t major, uint32_t minor);

#endif
