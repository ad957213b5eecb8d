/* A directory that is handed to a worker, as the top of a mount of its own: ".." does not lead out
 * of it. */
#include "core/log.h"
#include "core/util.h"
#include "fs/mount.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int clone_alone(int directory)
{
	AUTO_CLOSE int tree =
	    open_tree(directory, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr attr = {.propagation = MS_PRIVATE};

	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr))
		return -errno;
	return neg_errno(openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

int mount_alone(int directory)
{
	int fd = clone_alone(directory);

	if (fd >= 0)
		return fd;
	log_debug("a directory stays where it is in the machine's tree: %s", strerror(-fd));
	return neg_errno(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}
