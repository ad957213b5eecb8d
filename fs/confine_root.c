/* The root becomes a bind of /proc that is attached nowhere, read-only, and in which no link leads
 * anywhere: neither /proc/PID/root nor /proc/PID/fd/N of others. The working directory becomes a
 * bind of our own /proc/self/fd, whose links do: what is to be opened anew by a path is "N".
 *
 * No mount namespace is made, so no mount of the machine is held by a copy of it. Landlock, which
 * needs no rights, is of no use: it would also take the looks at other processes' /proc away. */
#include "fs/confine.h"

#include "core/proc.h"
#include "core/util.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000 /* Linux 5.14 */
#endif

static int bind_alone(const char *path, uint64_t attributes)
{
	AUTO_CLOSE int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr attr = {
	    .attr_set = attributes | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
	    .propagation = MS_PRIVATE,
	};

	/* A container's /proc may have parts of it covered, which stay so. */
	if (tree < 0 && errno == EINVAL)
		tree =
		    open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr))
		return -errno;
	return steal_fd(&tree);
}

int confine_root(void)
{
	AUTO_CLOSE int proc = bind_alone("/proc", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSYMFOLLOW);
	AUTO_CLOSE int own = proc < 0 ? -1 : bind_alone("/proc/self/fd", MOUNT_ATTR_RDONLY);

	if (proc < 0 || own < 0)
		return proc < 0 ? proc : own;
	if (fchdir(proc) || chroot("."))
		return -errno;
	proc_is_root();
	return fchdir(own) ? -errno : 0;
}
