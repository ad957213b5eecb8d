#include "fs/mount.h"

#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"

#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define INITIAL_USERNS_INO 0xEFFFFFFDU /* PROC_USER_INIT_INO: fixed in every kernel */

bool mount_as_root(void)
{
	return geteuid() == 0;
}

bool mount_initial_userns(void)
{
	struct stat st;

	return stat("/proc/self/ns/user", &st) || st.st_ino == INITIAL_USERNS_INO;
}

static bool is_dead(int error)
{
	return error == ENOTCONN || error == ECONNABORTED;
}

/* realpath(3), also when the last component is a dead mount. */
static int resolve(const char *given, char out[PATH_MAX])
{
	char copy[PATH_MAX], parent[PATH_MAX];
	const char *base;

	if (realpath(given, out))
		return 0;
	if (!is_dead(errno))
		return -errno;
	if (strlen(given) >= sizeof copy)
		return -ENAMETOOLONG;
	strcpy(copy, given);
	if (!realpath(dirname(copy), parent))
		return -errno;
	strcpy(copy, given);
	base = basename(copy);
	if (snprintf(out, PATH_MAX, "%s/%s", strcmp(parent, "/") ? parent : "", base) >= PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}

/* Not every caller may look into a mount of ours (noallow_other): that one lives, too. The kernel
 * knows attributes by heart: only who asks for news learns that nobody answers. */
static bool point_is_dead(const char *point)
{
	struct statx st;

	return statx(AT_FDCWD, point, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st) &&
	       is_dead(errno);
}

static enum exit_code replace_dead(const char *point)
{
	int rc;

	log_warn("%s: taking down a dead mount of ours", point);
	if (mount_as_root())
		rc = neg_errno(umount2(point, MNT_DETACH | UMOUNT_NOFOLLOW));
	else
		rc = mount_helper_detach(point, true);
	if (rc)
		log_error("%s: the dead mount there cannot be taken down: %s", point,
			  strerror(-rc));
	return rc ? EXIT_CODE_BUSY : EXIT_CODE_OK;
}

enum exit_code mount_resolve(struct mount *m, const struct options *options)
{
	struct mount_entry there;
	struct stat st;
	int rc = resolve(options->mountpoint, m->point);

	if (rc) {
		log_error("%s: %s", options->mountpoint, strerror(-rc));
		return EXIT_CODE_BUSY;
	}
	while (!mount_info_at(m->point, &there) && !strcmp(there.fstype, MOUNT_FSTYPE)) {
		if (!point_is_dead(m->point)) {
			log_error("%s: a mappingfs is mounted there already", m->point);
			return EXIT_CODE_BUSY;
		}
		if (replace_dead(m->point))
			return EXIT_CODE_BUSY;
	}
	if (stat(m->point, &st) || !S_ISDIR(st.st_mode)) {
		log_error("%s: not a directory", m->point);
		return EXIT_CODE_BUSY;
	}
	return EXIT_CODE_OK;
}

static int open_fuse(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		log_error("/dev/fuse is missing: load the module (modprobe fuse), or give the "
			  "container this device");
	else
		log_error("/dev/fuse: %m");
	return -1;
}

/* Read-only is said of the mount, not of the file system: the control socket still has to be made
 * in it, through another mount of the same file system. */
static int make_read_only(const char *point, unsigned long flags)
{
	return mount(NULL, point, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL);
}

static int attach_directly(const char *point, const struct options *options)
{
	AUTO_CLOSE int fd = open_fuse();
	unsigned long flags = options->mount_flags & ~(unsigned long)MS_RDONLY;
	char data[128];

	if (fd < 0)
		return -1;
	snprintf(data, sizeof data,
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions%s", fd, geteuid(),
		 getegid(), options->allow_other ? ",allow_other" : "");
	if (mount(options->source, point, MOUNT_FSTYPE, flags, data)) {
		log_error("mounting on %s: %m%s", point,
			  errno == EPERM ? " (it takes CAP_SYS_ADMIN)" : "");
		return -1;
	}
	if (options->mount_flags & MS_RDONLY && make_read_only(point, flags)) {
		log_error("making %s read-only: %m", point);
		umount2(point, MNT_DETACH | UMOUNT_NOFOLLOW);
		return -1;
	}
	return steal_fd(&fd);
}

static int attach_by_helper(const char *point, const struct options *options)
{
	AUTO_CLOSE int probe = open_fuse(); /* fusermount3 opens it with our rights, too */

	return probe < 0 ? -1 : mount_helper_attach(point, options);
}

#define MASK_MNT_ID_UNIQUE 0x4000U /* STATX_MNT_ID_UNIQUE, Linux 6.8 */

/* Of the topmost mount on `point`. Asks no file system: before a worker runs nobody answers. */
static uint64_t unique_id_of(const char *point)
{
	const int flags = AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC;
	struct statx st;

	if (sys->statx_mount(point, flags, &st) < 0 || !(st.stx_mask & MASK_MNT_ID_UNIQUE))
		return 0;
	return st.stx_mnt_id;
}

/* The mount that has our number now need not be ours: somebody unmounted that, and the number went
 * to the next mount of any file system. */
static bool is_ours(const struct mount *m, const struct mount_entry *entry)
{
	return !strcmp(entry->fstype, MOUNT_FSTYPE) && entry->device_major == m->device_major &&
	       entry->device_minor == m->device_minor && unique_id_of(entry->point) == m->unique_id;
}

enum exit_code mount_attach(struct mount *m, const struct options *options)
{
	struct mount_entry entry;

	m->by_helper = !mount_as_root();
	m->read_only = options->mount_flags & MS_RDONLY;
	m->fuse_fd =
	    m->by_helper ? attach_by_helper(m->point, options) : attach_directly(m->point, options);
	if (m->fuse_fd < 0)
		return EXIT_CODE_MOUNT;
	if (mount_info_at(m->point, &entry) || strcmp(entry.fstype, MOUNT_FSTYPE)) {
		log_error("%s: the new mount cannot be seen in /proc/self/mountinfo", m->point);
		return EXIT_CODE_MOUNT;
	}
	m->id = entry.id;
	m->unique_id = unique_id_of(m->point);
	m->device_major = entry.device_major;
	m->device_minor = entry.device_minor;
	return EXIT_CODE_OK;
}

/* Views of bound files may be dirty in the cached mode; once the mount is detached nobody else
 * would write them before the worker goes. */
static void sync_busy(const char *point)
{
	AUTO_CLOSE int fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		syncfs(fd);
}

int mount_detach(const struct mount *m, bool force)
{
	struct mount_entry entry;
	int rc = mount_info_by_id(m->id, &entry); /* it may have been moved, or be gone */

	if (rc)
		return rc;
	if (!is_ours(m, &entry))
		return -ENOENT;
	if (!force) {
		rc = m->by_helper ? mount_helper_detach(entry.point, false)
				  : neg_errno(umount2(entry.point, UMOUNT_NOFOLLOW));
		if (!rc)
			return 0;
		sync_busy(entry.point);
	}
	return m->by_helper ? mount_helper_detach(entry.point, true)
			    : neg_errno(umount2(entry.point, MNT_DETACH | UMOUNT_NOFOLLOW));
}

bool mount_is_gone(const struct mount *m)
{
	struct pollfd poller = {.fd = m->fuse_fd};

	/* POLLERR: the kernel has ended the connection. Reads nothing, so no request is lost. */
	return poll(&poller, 1, 0) > 0 && poller.revents & POLLERR;
}

void mount_finish(struct mount *m)
{
	int fd = steal_fd(&m->fuse_fd);

	if (fd >= 0)
		close(fd);
}
