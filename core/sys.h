/* The seam for system calls that faults are injected into: unit tests point `sys` at a table of
 * their own. Every function returns a value >= 0 or -errno. Newer calls that an older kernel lacks
 * answer -ENOSYS and have a fallback where they are used. */
#ifndef MAPPINGFS_CORE_SYS_H
#define MAPPINGFS_CORE_SYS_H

#include <stdint.h>
#include <sys/types.h>

struct sys_calls {
	int (*fdatasync)(int fd);
	int (*fsync)(int fd);
	int (*syncfs)(int fd);
	/* fcntl(F_SETLEASE): F_WRLCK, F_UNLCK */
	int (*lease)(int fd, int type);
	int (*watch_add)(int notify_fd, int fd, uint32_t mask); /* watch number */
	int (*watch_remove)(int notify_fd, int watch);
	int (*fallocate)(int fd, int mode, off_t offset, off_t length);
	int (*ftruncate)(int fd, off_t size);
	/* cachestat(2), Linux 6.5: dirty and writeback pages of the whole file */
	int (*dirty_pages)(int fd, uint64_t *pages);
};

/* Pages of a file that are in memory, and those of them not written back yet. */
int sys_cached_pages(int fd, uint64_t *cached, uint64_t *dirty);

extern const struct sys_calls sys_real;
extern const struct sys_calls *sys;

#endif
