#include "tests/sys/disks.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>

void disk_make(struct sys *sys, unsigned megabytes)
{
	if (sys_shell(sys,
		      "set -e; cd %s; mkdir room disk; mount -t tmpfs -o size=%um room room\n"
		      "truncate -s 64m room/image; mkfs.ext4 -q -O ^has_journal room/image\n"
		      "mount -o loop room/image disk",
		      sys->dir, megabytes) != 0)
		sys_skip("no loop device here: %s", sys->output);
}

void disk_break(struct sys *sys)
{
	assert_int_equal(sys_shell(sys, "sync -f %s/disk; cat /dev/zero >%s/room/filler 2>&-; true",
				   sys->dir, sys->dir),
			 0);
}

void disk_mend(struct sys *sys)
{
	assert_int_equal(sys_shell(sys, "rm %s/room/filler", sys->dir), 0);
}

void disk_mount_again(struct sys *sys)
{
	if (sys_shell(sys, "cd %s && umount disk && mount -o loop room/image disk", sys->dir) != 0)
		fail_msg("%s", sys->output);
}

void disk_remove(struct sys *sys)
{
	if (sys_shell(sys, "cd %s && umount disk && umount room", sys->dir) != 0)
		fail_msg("%s", sys->output);
}

int disk_file(struct sys *sys, const char *name, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/disk/%s", sys->dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, (off_t)size), 0);
	assert_int_equal(fsync(fd), 0);
	return fd;
}

void disk_punch(struct sys *sys, int fd)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extents[64];
	} blocks = {.map = {.fm_length = FIEMAP_MAX_OFFSET, .fm_extent_count = 64}};
	AUTO_CLOSE int image = -1;
	char path[128];

	snprintf(path, sizeof path, "%s/room/image", sys->dir);
	image = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(ioctl(fd, FS_IOC_FIEMAP, &blocks), 0);
	assert_true(blocks.map.fm_mapped_extents > 0);
	for (unsigned i = 0; i < blocks.map.fm_mapped_extents; i++)
		assert_int_equal(fallocate(image, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					   (off_t)blocks.extents[i].fe_physical,
					   (off_t)blocks.extents[i].fe_length),
				 0);
}
