/* Disks that are full or fail for real: file systems on loop devices whose own file lies in a small
 * tmpfs. With no room there a write to the device is an I/O error; with room again it works. */
#ifndef MAPPINGFS_TESTS_SYS_DISKS_H
#define MAPPINGFS_TESTS_SYS_DISKS_H

#include "tests/sys/harness.h"

/* An ext4 of 64 MiB without a journal at DIR/disk, whose device has so much room as a rule. Skips
 * the test where there are no loop devices. */
void disk_make(struct sys *sys, unsigned megabytes);
void disk_break(struct sys *sys); /* no room for anything new */
void disk_mend(struct sys *sys);
/* Unmounts and mounts it again: what is read then comes from the device. */
void disk_mount_again(struct sys *sys);
void disk_remove(struct sys *sys);
/* A file of that size on it, with room for all; owned O_RDWR descriptor. */
int disk_file(struct sys *sys, const char *name, size_t size);
/* Gives the room of the file's blocks on the device back: they read as zeros, and writing them
 * takes room anew. The file must have been written and flushed. */
void disk_punch(struct sys *sys, int fd);

#endif
