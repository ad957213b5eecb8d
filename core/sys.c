#include "core/sys.h"

#include "core/proc.h"
#include "core/util.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* uapi <linux/mman.h> of Linux 6.5 */
struct cachestat_range {
	uint64_t offset, length; /* length 0: to the end */
};
struct cachestat {
	uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

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

const struct sys_calls sys_real = {
    .fdatasync = real_fdatasync,
    .fsync = real_fsync,
    .syncfs = real_syncfs,
    .lease = real_lease,
    .watch_add = real_watch_add,
    .watch_remove = real_watch_remove,
    .fallocate = real_fallocate,
    .ftruncate = real_ftruncate,
    .dirty_pages = real_dirty_pages,
};
const struct sys_calls *sys = &sys_real;
