/* The FUSE kernel interface newer than the system's <linux/fuse.h>: everything we take from it
 * beyond that header stands here. Source: include/uapi/linux/fuse.h of Linux 6.9 (protocol 7.40).
 */
#ifndef MAPPINGFS_FS_KERNEL_H
#define MAPPINGFS_FS_KERNEL_H

#include <linux/fuse.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define KERNEL_MINOR_PASSTHROUGH  40
#define KERNEL_INIT_EXT           (1U << 30) /* flags: flags2 is valid */
#define KERNEL_HANDLE_KILLPRIV_V2 (1U << 28) /* flags */
#define KERNEL_PASSTHROUGH        (1U << 5)  /* flags2: bit 37 */
#define KERNEL_HAS_RESEND         (1U << 7)  /* flags2: bit 39 */
#define KERNEL_OPEN_PASSTHROUGH   (1U << 7)  /* FOPEN_PASSTHROUGH */
#define KERNEL_NOTIFY_RESEND      7
#define KERNEL_NOTIFY_PRUNE       9 /* Linux 6.18, protocol 7.45 */
#define KERNEL_UNIQUE_RESEND      (1ULL << 63)

/* fuse_init_out with the fields up to max_stack_depth; 64 bytes like the old one */
struct kernel_init_out {
	uint32_t major, minor, max_readahead, flags;
	uint16_t max_background, congestion_threshold;
	uint32_t max_write, time_gran;
	uint16_t max_pages, map_alignment;
	uint32_t flags2, max_stack_depth;
	uint32_t unused[6];
};
_Static_assert(sizeof(struct kernel_init_out) == 64, "as the kernel has it");

/* fuse_notify_prune_out: followed by `count` node ids */
struct kernel_notify_prune {
	uint32_t count, padding;
	uint64_t spare;
};

/* fuse_open_out: the third word is the backing id with FOPEN_PASSTHROUGH */
struct kernel_open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};

struct kernel_backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

#define KERNEL_IOC_BACKING_OPEN  _IOW(229, 1, struct kernel_backing_map)
#define KERNEL_IOC_BACKING_CLOSE _IOW(229, 2, uint32_t)

#endif
