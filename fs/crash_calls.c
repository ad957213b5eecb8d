/* A point before and after each system call that changes something, in a test build: the linker
 * sends the worker's calls here (CMakeLists.txt reads the names from the lines below).
 *
 * What the C library calls itself, and what is made by syscall(2), is not seen.
 *
 * wrap: mknodat mkdirat symlinkat linkat unlinkat renameat renameat2 openat64
 * wrap: setxattr removexattr chmod fchownat utimensat ftruncate64 fallocate64 pwrite64 fdatasync
 * wrap: ioctl fcntl64 inotify_add_watch inotify_rm_watch sendmsg recvmsg write writev */
#include "core/crash.h"

#ifdef MAPPINGFS_TEST_POINTS

#include "fs/handover.h"
#include "fs/kernel.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* As the C library declares it, with the points around it. */
#define WRAP(type, name, parameters, arguments)                                                    \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		type result;                                                                       \
                                                                                                   \
		CRASH_POINT(#name ": before");                                                     \
		result = __real_##name arguments;                                                  \
		CRASH_POINT(#name ": after");                                                      \
		return result;                                                                     \
	}

/* clang-format off */
WRAP(int, mknodat, (int dir, const char *name, mode_t mode, dev_t dev), (dir, name, mode, dev))
WRAP(int, mkdirat, (int dir, const char *name, mode_t mode), (dir, name, mode))
WRAP(int, symlinkat, (const char *target, int dir, const char *name), (target, dir, name))
WRAP(int, linkat, (int from, const char *old, int to, const char *name, int flags),
     (from, old, to, name, flags))
WRAP(int, unlinkat, (int dir, const char *name, int flags), (dir, name, flags))
WRAP(int, renameat, (int from, const char *old, int to, const char *name), (from, old, to, name))
WRAP(int, renameat2, (int from, const char *old, int to, const char *name, unsigned flags),
     (from, old, to, name, flags))
WRAP(int, setxattr, (const char *path, const char *name, const void *value, size_t size, int flags),
     (path, name, value, size, flags))
WRAP(int, removexattr, (const char *path, const char *name), (path, name))
WRAP(int, chmod, (const char *path, mode_t mode), (path, mode))
WRAP(int, fchownat, (int dir, const char *name, uid_t uid, gid_t gid, int flags),
     (dir, name, uid, gid, flags))
WRAP(int, utimensat, (int dir, const char *name, const struct timespec times[2], int flags),
     (dir, name, times, flags))
WRAP(int, ftruncate64, (int fd, off_t size), (fd, size))
WRAP(int, fallocate64, (int fd, int mode, off_t at, off_t length), (fd, mode, at, length))
WRAP(ssize_t, pwrite64, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at))
WRAP(int, fdatasync, (int fd), (fd))
WRAP(int, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))
WRAP(int, inotify_rm_watch, (int fd, int watch), (fd, watch))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
/* clang-format on */

/* --- calls of which only some change something --- */

int __real_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...)
{
	va_list args;
	mode_t mode;
	int result;

	if (!(flags & O_CREAT) && (flags & O_TMPFILE) != O_TMPFILE)
		return __real_openat64(dir, name, flags);
	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	CRASH_POINT("openat: before creating");
	result = __real_openat64(dir, name, flags, mode);
	CRASH_POINT("openat: after creating");
	return result;
}

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
	va_list args;
	long value;
	int result;

	va_start(args, command);
	value = va_arg(args, long);
	va_end(args);
	if (command != F_SETLEASE)
		return __real_fcntl64(fd, command, value);
	CRASH_POINT("lease: before");
	result = __real_fcntl64(fd, command, value);
	CRASH_POINT("lease: after");
	return result;
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	long value;
	int result;

	va_start(args, request);
	value = va_arg(args, long);
	va_end(args);
	if (request == KERNEL_IOC_BACKING_OPEN)
		CRASH_POINT("attach: before");
	else if (request == KERNEL_IOC_BACKING_CLOSE)
		CRASH_POINT("detach: before");
	result = __real_ioctl(fd, request, value);
	if (request == KERNEL_IOC_BACKING_OPEN)
		CRASH_POINT("attach: after");
	else if (request == KERNEL_IOC_BACKING_CLOSE)
		CRASH_POINT("detach: after");
	return result;
}

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
	ssize_t result;

	if (fd == HANDOVER_FD_FUSE)
		CRASH_POINT("answer: before");
	else
		CRASH_POINT("write: before");
	result = __real_write(fd, bytes, size);
	if (fd == HANDOVER_FD_FUSE)
		CRASH_POINT("answer: after");
	else
		CRASH_POINT("write: after");
	return result;
}

ssize_t __real_writev(int fd, const struct iovec *parts, int count);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int count);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int count)
{
	ssize_t result;

	CRASH_POINT("long answer: before");
	result = __real_writev(fd, parts, count);
	CRASH_POINT("long answer: after");
	return result;
}

#endif
