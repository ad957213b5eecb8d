/* The area the objects live in: a private tmpfs without a path (root), a directory in /dev/shm that
 * only its owner reaches (ordinary users), or store=DIR. */
#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"
#include "fs/mount.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCK_TRIES    50
#define LOCK_PAUSE_NS 10000000

/* The file system is the account of what is committed (core/reserve.c): exactly the limit. */
static uint64_t tmpfs_size(uint64_t limit)
{
	return page_round_up(limit);
}

static int open_inside(int mount_fd)
{
	return neg_errno(openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* Descriptor of a mount that is attached nowhere, or -errno. */
static int tmpfs_detached(uint64_t limit, bool huge)
{
	AUTO_CLOSE int context = sys->fsopen("tmpfs", FSOPEN_CLOEXEC);
	char size[32];

	if (context < 0)
		return context;
	snprintf(size, sizeof size, "%llu", (unsigned long long)tmpfs_size(limit));
	if (fsconfig(context, FSCONFIG_SET_STRING, "source", "mappingfs", 0) ||
	    fsconfig(context, FSCONFIG_SET_STRING, "size", size, 0) ||
	    fsconfig(context, FSCONFIG_SET_STRING, "mode", "0700", 0) ||
	    (huge && fsconfig(context, FSCONFIG_SET_STRING, "huge", "within_size", 0)) ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	return sys->fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

/* --- without fsopen(2), before Linux 5.2, or without the right to mount here: a mount that nobody
 * else ever sees --- */

static int write_text(const char *path, const char *text)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* A user namespace in which we are ourselves, and may mount (user_namespaces(7)). */
static int enter_user_namespace(void)
{
	char uids[64], gids[64];
	int rc;

	snprintf(uids, sizeof uids, "%u %u 1", geteuid(), geteuid());
	snprintf(gids, sizeof gids, "%u %u 1", getegid(), getegid());
	if (unshare(CLONE_NEWUSER))
		return -errno;
	rc = write_text("/proc/self/setgroups", "deny");
	if (!rc)
		rc = write_text("/proc/self/uid_map", uids);
	return rc ? rc : write_text("/proc/self/gid_map", gids);
}

static int tmpfs_in_own_namespace(uint64_t limit, bool huge)
{
	char data[96];
	int rc = mount_as_root() ? 0 : enter_user_namespace();

	if (rc)
		return rc;

	snprintf(data, sizeof data, "size=%llu,mode=0700%s", (unsigned long long)tmpfs_size(limit),
		 huge ? ",huge=within_size" : "");
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("mappingfs", "/dev", "tmpfs", MS_NOSUID | MS_NODEV, data))
		return -errno;
	return neg_errno(open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void send_private_tmpfs(int socket, uint64_t limit, bool huge)
{
	int fd = tmpfs_in_own_namespace(limit, huge);

	_exit(fd < 0 ? -fd : -mount_send_fd(socket, fd));
}

/* A child mounts it in a mount namespace of its own, which ends with the child: the mount goes on,
 * as long as the descriptor does. */
static int tmpfs_from_child(uint64_t limit, bool huge)
{
	AUTO_CLOSE int ours = -1;
	AUTO_CLOSE int theirs = -1;
	int pair[2], fd, status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	pid = fork();
	if (!pid)
		send_private_tmpfs(theirs, limit, huge);
	if (pid < 0)
		return -errno;
	close(steal_fd(&theirs));
	fd = mount_receive_fd(ours);
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) && fd < 0)
		return -WEXITSTATUS(status);
	return fd;
}

static int tmpfs_open(struct mount_backing *backing, uint64_t limit, bool huge)
{
	int fd = tmpfs_detached(limit, huge);

	if (fd == -ENOSYS)
		return tmpfs_from_child(limit, huge);
	if (fd < 0)
		return fd;
	backing->detached_fd = fd;
	return open_inside(fd);
}

static enum exit_code open_tmpfs(struct mount_backing *backing, uint64_t limit)
{
	backing->tree_fd = tmpfs_open(backing, limit, true);
	if (backing->tree_fd < 0) { /* a kernel without huge pages refuses to hear of them */
		log_debug("tmpfs with huge pages: %s; trying without", strerror(-backing->tree_fd));
		backing->tree_fd = tmpfs_open(backing, limit, false);
	}
	if (backing->tree_fd >= 0)
		return EXIT_CODE_OK;
	log_error("the private tmpfs: %s", strerror(-backing->tree_fd));
	return EXIT_CODE_MOUNT;
}

/* Who was killed a moment ago may not have let go of it yet. */
static int lock_patiently(int fd)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK || i == LOCK_TRIES)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static enum exit_code open_store(struct mount_backing *backing, const char *given)
{
	int fd, rc;

	if (mkdir(given, 0700) && errno != EEXIST) {
		log_error("store %s: %m", given);
		return EXIT_CODE_MOUNT;
	}
	fd = open(given, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || !realpath(given, backing->store)) {
		log_error("store %s: %m", given);
		return EXIT_CODE_MOUNT;
	}
	backing->detached_fd = fd;
	backing->tree_fd = mount_alone(fd);
	if (backing->tree_fd < 0) {
		log_error("store %s: %s", given, strerror(-backing->tree_fd));
		return EXIT_CODE_MOUNT;
	}
	rc = lock_patiently(backing->tree_fd);
	if (!rc)
		return EXIT_CODE_OK;
	if (rc == -EWOULDBLOCK)
		log_error("store %s: another mappingfs is using it", given);
	else
		log_error("locking store %s: %s", given, strerror(-rc));
	return EXIT_CODE_MOUNT;
}

static int open_private_tree(int private_fd)
{
	AUTO_CLOSE int fd = -1;

	if (mkdirat(private_fd, "tree", 0700))
		return -errno;
	fd = openat(private_fd, "tree", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return -errno;
	return steal_fd(&fd);
}

/* As root has it, if the system lets users have namespaces: its size is the mount's limit, and it
 * cannot leak. Otherwise a directory of the machine's own tmpfs. */
static int open_user_tree(struct mount_backing *backing, uint64_t limit)
{
	int fd = tmpfs_from_child(limit, true);

	if (fd < 0)
		fd = tmpfs_from_child(limit, false);
	if (fd >= 0)
		return fd;
	log_warn("no private tmpfs (%s): objects live in %s, whose room is the limit",
		 strerror(-fd), backing->private_path);
	return open_private_tree(backing->private_fd);
}

static enum exit_code open_private(struct mount_backing *backing, const struct options *options)
{
	int rc = mount_private_create(backing->private_path, options->allow_other);

	if (rc >= 0) {
		backing->private_fd = rc;
		if (!options->store)
			rc = backing->tree_fd = open_user_tree(backing, options->size);
	}
	if (rc >= 0)
		return EXIT_CODE_OK;
	log_error("no private directory in /dev/shm or $XDG_RUNTIME_DIR: %s", strerror(-rc));
	return EXIT_CODE_MOUNT;
}

enum exit_code mount_backing_open(struct mount_backing *backing, const struct options *options)
{
	enum exit_code code = EXIT_CODE_OK;

	*backing = (struct mount_backing){.tree_fd = -1, .detached_fd = -1, .private_fd = -1};
	if (options->store)
		code = open_store(backing, options->store);
	if (!code && !mount_as_root())
		code = open_private(backing, options);
	else if (!code && !options->store)
		code = open_tmpfs(backing, options->size);
	if (code)
		mount_backing_close(backing);
	return code;
}

void mount_backing_close(struct mount_backing *backing)
{
	if (backing->tree_fd >= 0)
		close(backing->tree_fd);
	if (backing->detached_fd >= 0)
		close(backing->detached_fd);
	mount_private_remove(backing->private_path, backing->private_fd);
	*backing = (struct mount_backing){.tree_fd = -1, .detached_fd = -1, .private_fd = -1};
}
