#include "core/util.h"
#include "fs/mount.h"

#include <string.h>
#include <sys/socket.h>

/* One byte with one descriptor: what fusermount3 sends, and what we send ourselves. */
struct fd_message {
	char byte;
	struct iovec iov;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr header;
};

static struct msghdr *fd_message_init(struct fd_message *m)
{
	memset(m, 0, sizeof *m);
	m->iov = (struct iovec){&m->byte, 1};
	m->header.msg_iov = &m->iov;
	m->header.msg_iovlen = 1;
	m->header.msg_control = &m->control;
	m->header.msg_controllen = sizeof m->control;
	return &m->header;
}

int mount_send_fd(int socket, int fd)
{
	struct fd_message m;
	struct msghdr *header = fd_message_init(&m);

	m.control.header.cmsg_level = SOL_SOCKET;
	m.control.header.cmsg_type = SCM_RIGHTS;
	m.control.header.cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(&m.control.header), &fd, sizeof fd);
	return sendmsg(socket, header, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int mount_receive_fd(int socket)
{
	struct fd_message m;
	struct msghdr *header = fd_message_init(&m);
	struct cmsghdr *rights;
	ssize_t got;
	int fd;

	do {
		got = recvmsg(socket, header, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	rights = CMSG_FIRSTHDR(header);
	if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS ||
	    rights->cmsg_len != CMSG_LEN(sizeof fd))
		return -ENODATA;
	memcpy(&fd, CMSG_DATA(rights), sizeof fd);
	return fd;
}
