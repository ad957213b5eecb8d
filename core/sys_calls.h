/* The list of the calls that go through the seam: see sys.h. */
#ifndef MAPPINGFS_CORE_SYS_CALLS_H
#define MAPPINGFS_CORE_SYS_CALLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct epoll_event;
struct file_handle;
struct mount_attr;
struct statx;

/* CALL(name, NAME, parameters, arguments)
 *
 * lease, lease_end: fcntl(F_SETLEASE), with F_WRLCK or F_RDLCK, and with F_UNLCK
 * dirty_pages: cachestat(2), Linux 6.5: dirty and writeback pages of the whole file
 * populate: madvise(MADV_POPULATE_WRITE), Linux 5.14: as if each page were written to, unchanged
 * touch: an atomic addition of nothing to a word, by a call: EFAULT where a store would be SIGBUS
 * resend, prune: write(2) of these notifications to the kernel */
#define SYS_CALLS(CALL)                                                                            \
	CALL(fdatasync, FDATASYNC, (int fd), (fd))                                                 \
	CALL(fsync, FSYNC, (int fd), (fd))                                                         \
	CALL(syncfs, SYNCFS, (int fd), (fd))                                                       \
	CALL(lease, LEASE, (int fd, int type), (fd, type))                                         \
	CALL(lease_end, LEASE_END, (int fd), (fd))                                                 \
	CALL(watch_add, WATCH_ADD, (int notify_fd, int fd, uint32_t mask), (notify_fd, fd, mask))  \
	CALL(watch_remove, WATCH_REMOVE, (int notify_fd, int watch), (notify_fd, watch))           \
	CALL(fallocate, FALLOCATE, (int fd, int mode, off_t offset, off_t length),                 \
	     (fd, mode, offset, length))                                                           \
	CALL(ftruncate, FTRUNCATE, (int fd, off_t size), (fd, size))                               \
	CALL(pwrite, PWRITE, (int fd, const void *bytes, size_t size, off_t offset),               \
	     (fd, bytes, size, offset))                                                            \
	CALL(dirty_pages, DIRTY_PAGES, (int fd, uint64_t *pages), (fd, pages))                     \
	CALL(populate, POPULATE, (void *address, size_t length), (address, length))                \
	CALL(touch, TOUCH, (uint32_t * word), (word))                                              \
	CALL(openat, OPENAT, (int dirfd, const char *name, int flags, mode_t mode),                \
	     (dirfd, name, flags, mode))                                                           \
	CALL(duplicate, DUPLICATE, (int fd), (fd))                                                 \
	CALL(handle_of, HANDLE_OF,                                                                 \
	     (int dirfd, const char *name, struct file_handle *handle, int flags),                 \
	     (dirfd, name, handle, flags))                                                         \
	CALL(open_handle, OPEN_HANDLE, (int mount_fd, struct file_handle *handle, int flags),      \
	     (mount_fd, handle, flags))                                                            \
	CALL(setxattr, SETXATTR,                                                                   \
	     (const char *path, const char *name, const void *value, size_t size),                 \
	     (path, name, value, size))                                                            \
	CALL(epoll_ctl, EPOLL_CTL, (int epoll_fd, int op, int fd, struct epoll_event *event),      \
	     (epoll_fd, op, fd, event))                                                            \
	CALL(pidfd_open, PIDFD_OPEN, (pid_t pid, unsigned flags), (pid, flags))                    \
	CALL(ioctl, IOCTL, (int fd, unsigned long request, void *argument),                        \
	     (fd, request, argument))                                                              \
	CALL(resend, RESEND, (int fd, const void *bytes, size_t size), (fd, bytes, size))          \
	CALL(prune, PRUNE, (int fd, const void *bytes, size_t size), (fd, bytes, size))            \
	CALL(fsopen, FSOPEN, (const char *type, unsigned flags), (type, flags))                    \
	CALL(fsmount, FSMOUNT, (int context, unsigned flags, unsigned attributes),                 \
	     (context, flags, attributes))                                                         \
	CALL(open_tree, OPEN_TREE, (int dirfd, const char *path, unsigned flags),                  \
	     (dirfd, path, flags))                                                                 \
	CALL(mount_setattr, MOUNT_SETATTR, (int dirfd, const struct mount_attr *attributes),       \
	     (dirfd, attributes))                                                                  \
	CALL(statx_mount, STATX_MOUNT, (const char *path, int flags, struct statx *out),           \
	     (path, flags, out))

#endif
