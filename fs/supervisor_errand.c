/* Errands: what has to go through the mount, or can wait for it. A worker has to answer, and may
 * die doing so; a child waits for the next one, and the supervisor is free to start it. The exit
 * status is an errno. */
#include "core/sys.h"
#include "core/util.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONTROL_NAME ".control"

/* A persistent store may still have that of a daemon that was killed. */
static void clear_stale(int root, const char *name)
{
	struct stat st;

	if (!fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) &&
	    (S_ISSOCK(st.st_mode) || S_ISLNK(st.st_mode)))
		unlinkat(root, name, 0);
}

static bool is_bound(int socket)
{
	struct sockaddr_un address;
	socklen_t length = sizeof address;

	return !getsockname(socket, (struct sockaddr *)&address, &length) &&
	       length > offsetof(struct sockaddr_un, sun_path);
}

/* A mount of the file system that is writable and attached nowhere, or -errno. */
static int clone_mount(const struct supervisor *s)
{
	AUTO_CLOSE int tree =
	    sys->open_tree(AT_FDCWD, s->mount.point, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr writable = {.attr_clr = MOUNT_ATTR_RDONLY};
	int rc = tree < 0 ? tree : 0;

	if (rc == 0 && s->mount.read_only)
		rc = sys->mount_setattr(tree, &writable);
	return rc < 0 ? rc : steal_fd(&tree);
}

/* The same without open_tree(2) and mount_setattr(2), before Linux 5.2 and 5.12: this process gets
 * a mount namespace of its own, with a copy of every mount, which ends with it. */
static int copy_mount(const struct supervisor *s)
{
	const char *point = s->mount.point;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	if (s->mount.read_only && mount(NULL, point, NULL, MS_REMOUNT | MS_BIND, NULL))
		return -errno;
	return neg_errno(open(point, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* The socket pins the mount it is bound through. That must not be the one people unmount, so it is
 * bound through another one. */
static int bind_inside(const struct supervisor *s)
{
	AUTO_CLOSE int tree = clone_mount(s);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (tree == -ENOSYS)
		tree = copy_mount(s);
	if (tree < 0)
		return -tree;
	if (is_bound(s->control_fd)) /* by an errand of a former supervisor */
		return fchmodat(tree, CONTROL_NAME, 0666, 0) ? errno : 0;
	clear_stale(tree, CONTROL_NAME);
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" CONTROL_NAME, tree);
	umask(0111);
	if (bind(s->control_fd, (struct sockaddr *)&address, sizeof address) ||
	    fchmodat(tree, CONTROL_NAME, 0666, 0))
		return errno;
	return 0;
}

static int link_to_outside(const struct supervisor *s)
{
	AUTO_CLOSE int root = open(s->mount.point, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return errno;
	clear_stale(root, CONTROL_NAME);
	return symlinkat(s->control_path, root, CONTROL_NAME) ? errno : 0;
}

static int take_down(const struct supervisor *s, bool force)
{
	int rc;

	if (!force && s->backing.store[0]) { /* names outlive us: this one shall not */
		AUTO_CLOSE int root = open(s->mount.point, O_PATH | O_DIRECTORY | O_CLOEXEC);

		clear_stale(root, CONTROL_NAME);
	}
	rc = mount_detach(&s->mount, force);
	return rc == -ENOENT ? 0 : -rc; /* somebody was faster */
}

/* In the child: Ctrl-C on the terminal ends the supervisor, not its errands. */
static pid_t fork_errand(struct supervisor *s, enum child_role role)
{
	pid_t pid = supervisor_fork(s, role);

	if (!pid)
		setpgid(0, 0);
	return pid;
}

pid_t supervisor_errand_bind(struct supervisor *s)
{
	pid_t pid = fork_errand(s, CHILD_BINDER);

	if (!pid)
		_exit(s->control_path[0] ? link_to_outside(s) : bind_inside(s));
	return pid;
}

pid_t supervisor_errand_unmount(struct supervisor *s, bool force)
{
	pid_t pid = fork_errand(s, CHILD_UNMOUNTER);

	if (!pid)
		_exit(take_down(s, force));
	return pid;
}
