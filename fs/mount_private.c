#include "core/log.h"
#include "core/util.h"
#include "fs/mount.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREATE_TRIES 10

static int open_directory(int parent, const char *name)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, name, flags);

	/* Ours, but its owner (us, through the mount) took its own rights away. */
	if (fd < 0 && errno == EACCES && !fchmodat(parent, name, 0700, 0))
		fd = openat(parent, name, flags);
	return fd;
}

/* Empties the directory. Owns and closes fd. Symbolic links are removed, never followed. */
static void empty_directory(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		close(fd);
		return;
	}
	fchmod(fd, 0700);
	while ((entry = readdir(dir))) {
		int child;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (!unlinkat(fd, entry->d_name, 0))
			continue;
		child = open_directory(fd, entry->d_name);
		if (child >= 0)
			empty_directory(child);
		unlinkat(fd, entry->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

static void remove_tree(int parent, const char *name)
{
	int fd = open_directory(parent, name);

	if (fd >= 0)
		empty_directory(fd);
	unlinkat(parent, name, AT_REMOVEDIR);
}

/* The lock of a directory is held by its supervisor, that of "tree" in it by the workers too: an
 * orphaned worker may still serve. */
static bool is_abandoned(int parent, const char *name)
{
	AUTO_CLOSE int fd = open_directory(parent, name);
	AUTO_CLOSE int tree = -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || st.st_uid != geteuid())
		return false;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return false;
	tree = openat(fd, "tree", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (tree >= 0 && flock(tree, LOCK_EX | LOCK_NB))
		return false;
	/* Still locked while it goes: its creator may be between mkdtemp and flock. */
	remove_tree(parent, name);
	return true;
}

static void remove_abandoned(const char *area, const char *prefix)
{
	DIR *dir = opendir(area);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (!strncmp(entry->d_name, prefix, strlen(prefix)) &&
		    is_abandoned(dirfd(dir), entry->d_name))
			log_info("removed %s/%s, left behind by a daemon that was killed", area,
				 entry->d_name);
	}
	closedir(dir);
}

/* Makes one and locks it; -EAGAIN if another daemon took it for abandoned just before the lock. */
static int create_locked(const char *area, const char *prefix, char path[PATH_MAX], mode_t mode)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (snprintf(path, PATH_MAX, "%s/%sXXXXXX", area, prefix) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (!mkdtemp(path))
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return -EAGAIN;
	if (fstat(fd, &st) || st.st_nlink == 0 || access(path, F_OK))
		return -EAGAIN;
	if (fchmod(fd, mode))
		return -errno;
	return steal_fd(&fd);
}

int mount_private_create(char path[PATH_MAX], bool others_may_enter)
{
	const char *areas[] = {"/dev/shm", getenv("XDG_RUNTIME_DIR")};
	char prefix[64];
	int rc = -ENOENT;

	snprintf(prefix, sizeof prefix, "mappingfs.%u.", geteuid());
	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		if (!areas[i] || areas[i][0] != '/')
			continue;
		remove_abandoned(areas[i], prefix);
		for (int tries = 0; tries < CREATE_TRIES; tries++) {
			rc = create_locked(areas[i], prefix, path, others_may_enter ? 0711 : 0700);
			if (rc != -EAGAIN)
				break;
		}
		if (rc >= 0)
			return rc;
	}
	path[0] = '\0';
	return rc;
}

void mount_private_remove(const char *path, int fd)
{
	if (path[0])
		remove_tree(AT_FDCWD, path);
	if (fd >= 0)
		close(fd);
}
