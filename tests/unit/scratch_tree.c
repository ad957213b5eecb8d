#include "tests/unit/scratch_tree.h"

#include "core/util.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int detached_tmpfs(const char *size)
{
	AUTO_CLOSE int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
	AUTO_CLOSE int mount = -1;

	if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
	return mount < 0 ? -1 : openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int scratch_tree(const char *size, char *path, size_t path_size)
{
	int fd = detached_tmpfs(size);

	path[0] = '\0';
	if (fd >= 0)
		return fd;
	snprintf(path, path_size, "/dev/shm/scratch-tree.XXXXXX");
	if (!mkdtemp(path)) {
		path[0] = '\0';
		return -1;
	}
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void scratch_tree_close(int fd, const char *path)
{
	if (fd >= 0)
		close(fd);
	if (path[0])
		nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
