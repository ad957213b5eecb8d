/* Taking over a persistent store that an earlier mount left: temporary objects whose last holder
 * was the machine itself. Memory trees are empty and cost nothing here. */
#include "core/internal.h"
#include "core/log.h"
#include "core/util.h"

#include <dirent.h>

static int census_directory(struct core *core, int fd);

static void census_file(struct core *core, int dirfd, const char *name)
{
	struct slot probe = {.flags = SLOT_REGULAR};

	record_load(core, &probe, dirfd, name);
	if ((probe.flags & SLOT_TEMPORARY) && unlinkat(dirfd, name, 0) < 0)
		log_warn("store: temporary object %s stays: %m", name);
}

static int census_entry(struct core *core, int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISREG(st.st_mode))
		census_file(core, dirfd, name);
	if (S_ISDIR(st.st_mode))
		return census_directory(core,
					openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	return 0;
}

/* Owns fd. */
static int census_directory(struct core *core, int fd)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!dir) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' ||
		    (entry->d_name[1] && (entry->d_name[1] != '.' || entry->d_name[2])))
			rc = census_entry(core, fd, entry->d_name);
	closedir(dir);
	return rc;
}

int store_census(struct core *core)
{
	if (!core->persistent)
		return 0;
	/* The socket of a mount that has ended. */
	if (unlinkat(core->tree.base_fd, "tree/" CORE_CONTROL_NAME, 0) < 0 && errno != ENOENT)
		return -errno;
	return census_directory(
	    core, openat(core->tree.base_fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}
