/* A disk that loses power: a file of a FUSE file system of our own, with a loop device and ext4 on
 * it, which logs every write and every flush in the order they come. Any moment can be made again:
 * all that was flushed by then, and of what was written since a random part, block by block, as a
 * disk with a cache of its own may leave it. */
#ifndef MAPPINGFS_TESTS_SYS_DISK_H
#define MAPPINGFS_TESTS_SYS_DISK_H

#include "tests/sys/harness.h"

#define DISK_BYTES (64ULL << 20)

struct disk_log; /* shared with the server */

struct disk {
	struct sys *sys;
	char top[80], image[96], log_path[96], base[96]; /* in sys->dir */
	char fs[80];                                     /* where its ext4 is mounted */
	struct disk_log *log;
	pid_t server;
	uint64_t drawn; /* state of the random numbers for what is lost */
	/* the replay */
	uint64_t replayed; /* entries applied to `base`, all of them flushed */
};

/* Made, formatted, served and mounted. Skips the test where that cannot be had. */
void disk_start(struct sys *sys, struct disk *disk);
/* Entries logged so far: what a call that returned before wrote is among them. */
uint64_t disk_position(const struct disk *disk);
uint64_t disk_flushes(const struct disk *disk);
/* Unmounted, and the server is gone. The log stays. */
void disk_stop(struct disk *disk);

/* The disk as it may be after a loss of power before the entry `position`: mounted at disk->fs.
 * Positions must not go down from call to call. */
void disk_cut(struct disk *disk, uint64_t position);
void disk_end_cut(struct disk *disk);
void disk_finish(struct disk *disk);

uint64_t disk_random(uint64_t *state); /* splitmix64 */

#endif
