#include "core/sys.h"

#include "core/proc.h"
#include "core/util.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#ifdef MAPPINGFS_TEST_POINTS
#include "core/fault.h"
#endif

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#define MASK_MNT_ID_UNIQUE 0x4000U /* STATX_MNT_ID_UNIQUE, Linux 6.8 */

/* uapi <linux/mman.h> of Linux 6.5 */
struct cachestat_range {
	uint64_t offset, length; /* length 0: to the end */
};
struct cachestat {
	uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

/* --- files --- */

static int real_fdatasync(int fd)
{
	return neg_errno(fdatasync(fd));
}

static int real_fsync(int fd)
{
	return neg_errno(fsync(fd));
}

static int real_syncfs(int fd)
{
	return neg_errno(syncfs(fd));
}

static int real_lease(int fd, int type)
{
	return neg_errno(fcntl(fd, F_SETLEASE, type));
}

static int real_lease_end(int fd)
{
	return neg_errno(fcntl(fd, F_SETLEASE, F_UNLCK));
}

static int real_watch_add(int notify_fd, int fd, uint32_t mask)
{
	char path[32];

	snprintf(path, sizeof path, "%s%d", proc_own_prefix(), fd);
	return neg_errno(inotify_add_watch(notify_fd, path, mask));
}

static int real_watch_remove(int notify_fd, int watch)
{
	return neg_errno(inotify_rm_watch(notify_fd, watch));
}

static int real_fallocate(int fd, int mode, off_t offset, off_t length)
{
	return neg_errno(fallocate(fd, mode, offset, length));
}

static int real_ftruncate(int fd, off_t size)
{
	return neg_errno(ftruncate(fd, size));
}

static int real_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	return neg_errno((int)pwrite(fd, bytes, size, offset));
}

static int real_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	return neg_errno(openat(dirfd, name, flags, mode));
}

static int real_duplicate(int fd)
{
	return neg_errno(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

static int real_handle_of(int dirfd, const char *name, struct file_handle *handle, int flags)
{
	int mount_id;
	return neg_errno(name_to_handle_at(dirfd, name, handle, &mount_id, flags));
}

static int real_open_handle(int mount_fd, struct file_handle *handle, int flags)
{
	return neg_errno(open_by_handle_at(mount_fd, handle, flags));
}

static int real_setxattr(const char *path, const char *name, const void *value, size_t size)
{
	return neg_errno(setxattr(path, name, value, size, 0));
}

/* --- pages --- */

int sys_cached_pages(int fd, uint64_t *cached, uint64_t *dirty)
{
	struct cachestat_range all = {0};
	struct cachestat stat = {0};
	if (syscall(SYS_cachestat, fd, &all, &stat, 0) < 0)
		return -errno;
	*cached = stat.cached;
	*dirty = stat.dirty + stat.writeback;
	return 0;
}

static int real_dirty_pages(int fd, uint64_t *pages)
{
	uint64_t cached;
	return sys_cached_pages(fd, &cached, pages);
}

static int real_populate(void *address, size_t length)
{
	return neg_errno(madvise(address, length, MADV_POPULATE_WRITE));
}

/* Nobody waits on it, so nobody is woken; the kernel adds 0 to the word in one piece (futex(2)). */
static int real_touch(uint32_t *word)
{
	const int add_nothing = FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0);
	return neg_errno((int)syscall(SYS_futex, word, FUTEX_WAKE_OP, 0, 0, word, add_nothing));
}

/* --- the machine --- */

static int real_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	return neg_errno(epoll_ctl(epoll_fd, op, fd, event));
}

static int real_pidfd_open(pid_t pid, unsigned flags)
{
	return neg_errno((int)syscall(SYS_pidfd_open, pid, flags));
}

static int real_ioctl(int fd, unsigned long request, void *argument)
{
	return neg_errno(ioctl(fd, request, argument));
}

static int real_resend(int fd, const void *bytes, size_t size)
{
	return neg_errno((int)write(fd, bytes, size));
}

static int real_prune(int fd, const void *bytes, size_t size)
{
	return neg_errno((int)write(fd, bytes, size));
}

/* --- mounts --- */

static int real_fsopen(const char *type, unsigned flags)
{
	return neg_errno(fsopen(type, flags));
}

static int real_fsmount(int context, unsigned flags, unsigned attributes)
{
	return neg_errno(fsmount(context, flags, attributes));
}

static int real_open_tree(int dirfd, const char *path, unsigned flags)
{
	return neg_errno(open_tree(dirfd, path, flags));
}

static int real_mount_setattr(int dirfd, const struct mount_attr *attributes)
{
	struct mount_attr copy = *attributes;
	return neg_errno(mount_setattr(dirfd, "", AT_EMPTY_PATH, &copy, sizeof copy));
}

static int real_statx_mount(const char *path, int flags, struct statx *out)
{
	return neg_errno(statx(AT_FDCWD, path, flags, MASK_MNT_ID_UNIQUE, out));
}

#define SYS_REAL(name, NAME, parameters, arguments) .name = real_##name,
const struct sys_calls sys_real = {SYS_CALLS(SYS_REAL)};

#ifdef MAPPINGFS_TEST_POINTS
const struct sys_calls *sys = &sys_faulty;
#else
const struct sys_calls *sys = &sys_real;
#endif
