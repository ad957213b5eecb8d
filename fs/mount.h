/* What the supervisor does to the system before a worker runs, and undoes after: the mount itself
 * and the area the objects live in. Nothing here but mount_resolve() touches the mount point: a
 * request to the mount waits for a worker, and the supervisor is the one who starts it.
 *
 * Functions that return an enum exit_code have said why on the log. */
#ifndef MAPPINGFS_FS_MOUNT_H
#define MAPPINGFS_FS_MOUNT_H

#include "fs/options.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MOUNT_FSTYPE "fuse.mappingfs"

struct mount {
	char point[PATH_MAX]; /* absolute, resolved */
	int fuse_fd;          /* /dev/fuse, O_NONBLOCK; owned */
	int id;               /* of the mount in mountinfo: used again once it is gone */
	uint64_t unique_id;   /* never used again; 0: not known (Linux before 6.8) */
	unsigned device_major, device_minor;
	bool by_helper; /* mounted, and to be unmounted, by fusermount3 */
	bool read_only;
};

/* Is euid 0, and is it the machine's root rather than a user namespace's? */
bool mount_as_root(void);
bool mount_initial_userns(void);

/* Fills in mount->point and takes a dead mount of ours off it. May wait for a living mount there.
 */
enum exit_code mount_resolve(struct mount *mount, const struct options *options);
enum exit_code mount_attach(struct mount *mount, const struct options *options);
/* Takes the mount down, lazily if it is busy or `force`. Blocks: for a child process. 0 or -errno.
 */
int mount_detach(const struct mount *mount, bool force);
/* Has the kernel let go of the file system? */
bool mount_is_gone(const struct mount *mount);
void mount_finish(struct mount *mount);

/* mount_rootless.c: the same through fusermount3. attach: descriptor of /dev/fuse or -errno. */
int mount_helper_attach(const char *point, const struct options *options);
int mount_helper_detach(const char *point, bool lazy);

/* mount_info.c */
struct mount_entry {
	int id;
	unsigned device_major, device_minor;
	bool whole; /* from the top of its file system, not from a directory in it */
	char point[PATH_MAX];
	char fstype[64];
};

/* The topmost mount on `point`, or the one with an id. 0, -ENOENT, or another error. */
int mount_info_at(const char *point, struct mount_entry *out);
int mount_info_by_id(int id, struct mount_entry *out);
/* True unless it is certain that no mount of this device is left in our namespace. */
bool mount_info_has_device(unsigned device_major, unsigned device_minor);
/* The top of the cgroup v2 tree: owned descriptor, or -errno. */
int mount_cgroup_open(void);

/* mount_fd.c: one descriptor over a stream socket. 0 or -errno; the descriptor or -errno. */
int mount_send_fd(int socket, int fd);
int mount_receive_fd(int socket);

/* mount_backing.c: where the objects live. */
struct mount_backing {
	int tree_fd;                 /* its root, O_RDONLY|O_DIRECTORY; owned */
	int detached_fd;             /* the private tmpfs as a mount; store='s directory where the
				      * machine sees it, whose disk is in use; or -1 */
	int private_fd;              /* mount_private_create()'s directory, or -1 */
	char private_path[PATH_MAX]; /* "" without; holds the socket of a rootless mount */
	char store[PATH_MAX];        /* resolved store=, or "" */
};

enum exit_code mount_backing_open(struct mount_backing *backing, const struct options *options);
void mount_backing_close(struct mount_backing *backing);

/* mount_alone.c: the same directory, where it can be as the top of a mount of its own. Owned, or
 * -errno. */
int mount_alone(int directory);

/* mount_private.c: a directory only its owner reaches, gone with its owner: one whose lock is free
 * belongs to nobody and is removed by the next daemon of the same user. */
int mount_private_create(char path[PATH_MAX], bool others_may_enter); /* descriptor or -errno */
void mount_private_remove(const char *path, int fd);                  /* fd is closed */

/* mount_probe.c: what the running kernel can do, asked for --version. */
struct mount_probe {
	int fuse_error;      /* errno of opening /dev/fuse, or 0 */
	int backing_error;   /* errno of the ioctl on a descriptor that is not mounted */
	unsigned fuse_major; /* 0: could not be asked */
	unsigned fuse_minor;
	bool passthrough; /* the kernel's INIT offers it; only if fuse_major is known */
};
void mount_probe(struct mount_probe *probe);

#endif
