#include "core/walk.h"

#include "core/util.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

int walk_open(int dirfd, const char *name)
{
	return neg_errno(
	    openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
}

static int show(int dirfd, const char *name, walk_visit visit, void *context)
{
	struct stat st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return visit(context, dirfd, name, &st);
}

int walk_directory(int fd, walk_visit visit, void *context)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (fd < 0)
		return fd;
	if (!dir) {
		rc = -errno;
		close(fd);
		return rc;
	}
	errno = 0;
	while (rc == 0 && (entry = readdir(dir))) {
		rc = show(fd, entry->d_name, visit, context);
		errno = 0;
	}
	if (rc == 0)
		rc = -errno;
	closedir(dir);
	return rc;
}
