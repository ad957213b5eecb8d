#include "fs/fdpass.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control_buffer {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * FDPASS_MAX)];
};

static void dispose_of(int fd, fdpass_dispose dispose, void *context)
{
	if (dispose)
		dispose(context, fd);
	else
		close(fd);
}

/* Takes the descriptors out of the message; those beyond max are disposed of. Returns how many
 * came. */
static size_t take_fds(struct msghdr *message, int *fds, size_t max, fdpass_dispose dispose,
		       void *context)
{
	size_t seen = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < here; i++, seen++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (seen < max)
				fds[seen] = fd;
			else
				dispose_of(fd, dispose, context);
		}
	}
	return seen;
}

/* The kernel cuts the descriptors short when the buffer is full, and also when no more can be
 * opened. */
static int message_error(const struct msghdr *message, size_t seen, size_t max)
{
	if (seen > max)
		return -E2BIG;
	if (message->msg_flags & MSG_CTRUNC)
		return seen < max ? -EMFILE : -E2BIG;
	return message->msg_flags & MSG_TRUNC ? -EMSGSIZE : 0;
}

ssize_t fdpass_receive(int socket, void *bytes, size_t size, int flags, int *fds, size_t max,
		       size_t *count, fdpass_dispose dispose, void *context)
{
	struct iovec iov = {.iov_base = bytes, .iov_len = size};
	union control_buffer control;
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	size_t seen;
	ssize_t got;
	int error;

	*count = 0;
	if (max > FDPASS_MAX)
		return -EINVAL;
	if (max) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * max);
	}
	do
		got = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	seen = take_fds(&message, fds, max, dispose, context);
	error = message_error(&message, seen, max);
	if (!error && got > 0) {
		*count = seen;
		return got;
	}
	for (size_t i = 0; i < seen && i < max; i++)
		dispose_of(fds[i], dispose, context);
	return error;
}

int fdpass_send(int socket, const void *bytes, size_t size, int flags, const int *fds, size_t count)
{
	struct iovec iov = {.iov_base = (void *)bytes, .iov_len = size};
	union control_buffer control;
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t sent;

	if (count > FDPASS_MAX)
		return -EINVAL;
	if (count) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof control);
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	}
	do
		sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}
