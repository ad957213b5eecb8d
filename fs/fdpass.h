/* One message of a SOCK_SEQPACKET socket, with the descriptors that come with it (SCM_RIGHTS). */
#ifndef MAPPINGFS_FS_FDPASS_H
#define MAPPINGFS_FS_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

#define FDPASS_MAX 16 /* descriptors in one message */

/* How received descriptors that are refused are got rid of; NULL: close(2). close(2) of somebody
 * else's descriptor can block for as long as the file system behind it likes. */
typedef void (*fdpass_dispose)(void *context, int fd);

/* Receives one message into bytes[size] and at most `max` descriptors, close-on-exec, into fds.
 * Returns the length and *count; 0 means end of file or an empty message (then *count is 0 as
 * well). Negative: -errno, *count is 0 and every descriptor received has been disposed of:
 *   -EMSGSIZE longer than size, -E2BIG too many descriptors, -EMFILE no room for them here,
 *   -EAGAIN and others of recvmsg(2). The message is gone in the first three cases.
 * On success the descriptors are the caller's. flags: as recvmsg(2). */
ssize_t fdpass_receive(int socket, void *bytes, size_t size, int flags, int *fds, size_t max,
		       size_t *count, fdpass_dispose dispose, void *context);

/* Sends one message with descriptors, which stay the caller's. 0 or -errno; never SIGPIPE. */
int fdpass_send(int socket, const void *bytes, size_t size, int flags, const int *fds,
		size_t count);

#endif
