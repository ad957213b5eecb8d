#define FUSE_USE_VERSION 314
#include "tests/sys/disk.h"

#include <fcntl.h>
#include <fuse.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define MAX_ENTRIES (1U << 20)
#define BLOCK       4096U

struct entry {
	uint64_t at; /* of its bytes in the log file */
	uint64_t offset;
	uint32_t length; /* 0: a flush */
};

struct disk_log {
	_Atomic uint64_t count, flushes;
	uint64_t bytes;
	_Atomic int full;
	struct entry entries[MAX_ENTRIES];
};

uint64_t disk_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* --- the server --- */

static struct {
	struct disk_log *log;
	int image_fd, log_fd;
} server;

static int op_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	*st = (struct stat){.st_mode = S_IFDIR | 0700, .st_nlink = 2};
	if (strcmp(path, "/") == 0)
		return 0;
	*st = (struct stat){.st_mode = S_IFREG | 0600, .st_nlink = 1, .st_size = DISK_BYTES};
	return strcmp(path, "/disk") == 0 ? 0 : -ENOENT;
}

static int op_read(const char *path, char *buffer, size_t size, off_t offset,
		   struct fuse_file_info *fi)
{
	(void)path;
	(void)fi;
	return neg_errno((int)pread(server.image_fd, buffer, size, offset));
}

static int append(uint64_t offset, uint32_t length)
{
	struct disk_log *log = server.log;
	uint64_t count = log->count;

	if (count == MAX_ENTRIES) {
		log->full = 1;
		return -EIO;
	}
	log->entries[count] = (struct entry){log->bytes, offset, length};
	log->bytes += length;
	log->count = count + 1;
	return 0;
}

static int op_write(const char *path, const char *bytes, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	(void)path;
	(void)fi;
	if (pwrite(server.log_fd, bytes, size, (off_t)server.log->bytes) != (ssize_t)size ||
	    pwrite(server.image_fd, bytes, size, offset) != (ssize_t)size)
		return -EIO;
	return append((uint64_t)offset, (uint32_t)size) < 0 ? -EIO : (int)size;
}

static int op_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)path;
	(void)datasync;
	(void)fi;
	server.log->flushes++;
	return append(0, 0);
}

static int op_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	(void)path;
	(void)fi;
	return size == DISK_BYTES ? 0 : -EINVAL;
}

static int op_open(const char *path, struct fuse_file_info *fi)
{
	(void)path;
	(void)fi;
	return 0;
}

static const struct fuse_operations operations = {
    .getattr = op_getattr,
    .open = op_open,
    .read = op_read,
    .write = op_write,
    .fsync = op_fsync,
    .truncate = op_truncate,
};

static int serve(void *context)
{
	const struct disk *disk = context;
	char *words[] = {"disk", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, words);
	struct fuse *fuse;

	server.log = disk->log;
	server.image_fd = open(disk->image, O_RDWR | O_CLOEXEC);
	server.log_fd = open(disk->log_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(server.image_fd >= 0 && server.log_fd >= 0);
	fuse = fuse_new(&args, &operations, sizeof operations, NULL);
	CHECK(fuse);
	CHECK(fuse_mount(fuse, disk->top) == 0);
	fuse_loop(fuse); /* one thread: the order of the log is the order of things */
	fuse_destroy(fuse);
	fuse_opt_free_args(&args);
	return 0;
}

/* --- devices --- */

/* The loop device goes with its mount. */
static int mount_image(struct sys *sys, const char *image, const char *at)
{
	return sys_shell(
	    sys,
	    "set -e; d=$(losetup -f --show %s); mount -t ext4 -o commit=1 $d %s || r=$?; "
	    "losetup -d $d; exit $r",
	    image, at);
}

static void unmount(const char *at)
{
	int rc;

	WAIT_UNTIL(30, (rc = umount2(at, 0)) == 0 || errno != EBUSY);
	assert_int_equal(rc, 0);
}

static void name_all(struct sys *sys, struct disk *disk)
{
	*disk = (struct disk){.sys = sys};
	snprintf(disk->top, sizeof disk->top, "%s/disk", sys->dir);
	snprintf(disk->image, sizeof disk->image, "%s/image", sys->dir);
	snprintf(disk->base, sizeof disk->base, "%s/base", sys->dir);
	snprintf(disk->log_path, sizeof disk->log_path, "%s/log", sys->dir);
	snprintf(disk->fs, sizeof disk->fs, "%s/fs", sys->dir);
}

void disk_start(struct sys *sys, struct disk *disk)
{
	char served[100];

	if (geteuid() != 0 || access("/dev/loop-control", F_OK) < 0)
		sys_skip("no loop devices here");
	name_all(sys, disk);
	assert_int_equal(mkdir(disk->top, 0700), 0);
	assert_int_equal(mkdir(disk->fs, 0700), 0);
	if (sys_shell(sys,
		      "truncate -s %llu %s && mkfs.ext4 -q -F -b 4096 -m 0 -J size=4 "
		      "-E lazy_itable_init=0,lazy_journal_init=0 %s && "
		      "cp --sparse=always %s %s",
		      DISK_BYTES, disk->image, disk->image, disk->image, disk->base) != 0)
		fail_msg("no ext4: %s", sys->output);
	disk->log = mmap(NULL, sizeof *disk->log, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(disk->log != MAP_FAILED);
	disk->server = sys_fork(sys, serve, disk);
	snprintf(served, sizeof served, "%s/disk", disk->top);
	WAIT_UNTIL(20, access(served, F_OK) == 0);
	if (mount_image(sys, served, disk->fs) != 0)
		fail_msg("cannot mount the disk: %s", sys->output);
}

uint64_t disk_position(const struct disk *disk)
{
	return disk->log->count;
}

uint64_t disk_flushes(const struct disk *disk)
{
	return disk->log->flushes;
}

void disk_stop(struct disk *disk)
{
	unmount(disk->fs);
	unmount(disk->top);
	assert_int_equal(sys_wait(disk->sys, disk->server), 0);
	assert_false(disk->log->full);
}

/* --- the replay --- */

static void apply(int log_fd, int image_fd, const struct entry *e, uint64_t *draw)
{
	char block[BLOCK];

	for (uint32_t done = 0; done < e->length; done += BLOCK) {
		uint32_t part = e->length - done < BLOCK ? e->length - done : BLOCK;

		if (draw && disk_random(draw) & 1)
			continue;
		assert_int_equal(pread(log_fd, block, part, (off_t)(e->at + done)), part);
		assert_int_equal(pwrite(image_fd, block, part, (off_t)(e->offset + done)), part);
	}
}

static void apply_range(const struct disk *disk, const char *image, uint64_t from, uint64_t to,
			uint64_t *draw)
{
	AUTO_CLOSE int log_fd = open(disk->log_path, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int image_fd = open(image, O_RDWR | O_CLOEXEC);

	assert_true(log_fd >= 0 && image_fd >= 0);
	for (uint64_t i = from; i < to; i++)
		apply(log_fd, image_fd, &disk->log->entries[i], draw);
}

/* `base` goes on to the last flush before the cut, and a copy of it gets the uncertain rest. */
void disk_cut(struct disk *disk, uint64_t position)
{
	uint64_t flush = position;

	assert_true(position >= disk->replayed && position <= disk->log->count);
	while (flush > disk->replayed && disk->log->entries[flush - 1].length)
		flush--;
	apply_range(disk, disk->base, disk->replayed, flush, NULL);
	disk->replayed = flush;
	if (sys_shell(disk->sys, "cp --sparse=always %s %s", disk->base, disk->image) != 0)
		fail_msg("%s", disk->sys->output);
	apply_range(disk, disk->image, flush, position, &disk->drawn);
	if (mount_image(disk->sys, disk->image, disk->fs) != 0)
		fail_msg("the disk cut at %llu does not mount: %s", (unsigned long long)position,
			 disk->sys->output);
}

void disk_end_cut(struct disk *disk)
{
	unmount(disk->fs);
}

void disk_finish(struct disk *disk)
{
	munmap(disk->log, sizeof *disk->log);
	unlink(disk->image);
	unlink(disk->base);
	unlink(disk->log_path);
}
