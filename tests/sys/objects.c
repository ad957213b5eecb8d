#include "tests/sys/objects.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

/* --- control protocol --- */

int control_connect(const char *mnt)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 10};
	AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/.control", mnt);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return steal_fd(&sock);
}

int control_send(int sock, const void *bytes, size_t length, const int *fds, size_t count)
{
	char room[CMSG_SPACE(sizeof(int) * 64)];
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (count > 0) {
		memset(room, 0, sizeof(room));
		message.msg_control = room;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
	}
	return sendmsg(sock, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int control_receive(int sock, struct wire_reply *reply, int *fd)
{
	char room[CMSG_SPACE(sizeof(int) * 4)];
	struct iovec part = {.iov_base = reply, .iov_len = sizeof(*reply)};
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};

	*fd = -1;
	ssize_t n = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -EPIPE;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(header), sizeof(int));
	if (n != sizeof(*reply) || reply->magic != WIRE_MAGIC || reply->length != sizeof(*reply))
		return -EPROTO;
	return 0;
}

struct wire_request wire_request_of(enum wire_type type, uint32_t flags, uint64_t size)
{
	return (struct wire_request){.magic = WIRE_MAGIC,
				     .version = WIRE_VERSION,
				     .type = (uint16_t)type,
				     .length = sizeof(struct wire_request),
				     .flags = flags,
				     .size = size};
}

static int call_once(const char *mnt, const struct wire_request *request, const int *fds,
		     size_t count, struct wire_reply *reply, int *fd)
{
	AUTO_CLOSE int sock = control_connect(mnt);
	int rc = sock < 0 ? sock : control_send(sock, request, sizeof(*request), fds, count);

	return rc < 0 ? rc : control_receive(sock, reply, fd);
}

int control_call(const char *mnt, const struct wire_request *request, const int *fds, size_t count,
		 struct wire_reply *reply, int *fd)
{
	int rc;

	for (int tries = 0; tries < 100; tries++) {
		rc = call_once(mnt, request, fds, count, reply, fd);
		if (rc != -EPIPE && rc != -ECONNRESET && rc != -ECONNREFUSED && rc != -EAGAIN)
			break;
	}
	return rc;
}

/* --- objects --- */

static void hidden_name(const char *path, char *out, size_t size)
{
	static unsigned count;
	const char *slash = strrchr(path, '/');
	int directory = slash ? (int)(slash - path) : 0;

	snprintf(out, size, "%.*s/.mapping-%x-%x-%x", directory, path, getpid(), count++,
		 (unsigned)clock_ns(CLOCK_MONOTONIC));
}

static int configure(const char *mnt, const char *hidden, uint32_t flags, uint64_t size,
		     int file_fd)
{
	struct wire_request request = wire_request_of(WIRE_CONFIGURE, flags, size);
	struct wire_reply reply = {0};
	AUTO_CLOSE int extra = -1;
	AUTO_CLOSE int object = open(hidden, O_PATH | O_CLOEXEC);
	int fds[2] = {object, file_fd};

	if (object < 0)
		return -errno;
	int rc = control_call(mnt, &request, fds, flags & WIRE_BIND ? 2 : 1, &reply, &extra);
	return rc < 0 ? rc : -reply.error;
}

int object_create(const char *mnt, const char *path, mode_t mode, uint32_t flags, uint64_t size,
		  int file_fd)
{
	char hidden[1100];

	hidden_name(path, hidden, sizeof(hidden));
	if (mknod(hidden, S_IFREG | mode, 0) < 0)
		return -errno;
	int rc = configure(mnt, hidden, flags, size, file_fd);
	if (rc == 0 && renameat2(AT_FDCWD, hidden, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
		rc = -errno;
	if (rc < 0)
		unlink(hidden);
	return rc;
}

const char *object_make(struct sys *sys, const char *name, uint32_t flags, uint64_t size,
			int file_fd)
{
	const char *path = sys_path(sys, "%s", name);
	int rc = object_create(sys->mnt, path, 0644, flags, size, file_fd);

	if (rc < 0)
		fail_msg("cannot create %s: %s", name, strerror(-rc));
	return path;
}

void object_check_service(struct sys *sys)
{
	struct wire_request request = wire_request_of(WIRE_STATUS, 0, 0);
	struct wire_reply reply;
	AUTO_CLOSE int fd = -1;

	assert_int_equal(control_call(sys->mnt, &request, NULL, 0, &reply, &fd), 0);
	assert_int_equal(reply.error, 0);
	assert_true(fd >= 0);
	object_make(sys, "after", WIRE_SET_SIZE, 4096, -1);
	char *view =
	    view_of(sys_path(sys, "after"), O_RDWR, 4096, PROT_READ | PROT_WRITE, MAP_SHARED);
	view[0] = 1;
	munmap(view, 4096);
	assert_int_equal(unlink(sys_path(sys, "after")), 0);
}

/* --- files and views --- */

int make_plain_file(struct sys *sys, const char *name, size_t size, const char **path)
{
	static char paths[4][128];
	static unsigned turn;
	char *p = paths[turn++ % 4];
	AUTO_FREE unsigned char *bytes = malloc(size + 1);

	snprintf(p, sizeof(paths[0]), "%s/%s", sys->dir, name);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(i % 251);
	int fd = open(p, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	if (path)
		*path = p;
	return fd;
}

bool has_pattern(const void *bytes, size_t from, size_t to)
{
	const unsigned char *p = bytes;

	for (size_t i = from; i < to; i++)
		if (p[i] != i % 251)
			return false;
	return true;
}

void *view_of(const char *path, int open_flags, size_t length, int protection, int map_flags)
{
	AUTO_CLOSE int fd = open(path, open_flags | O_CLOEXEC);

	if (fd < 0)
		fail_msg("cannot open %s: %s", path, strerror(errno));
	void *view = mmap(NULL, length, protection, map_flags, fd, 0);
	if (view == MAP_FAILED)
		fail_msg("cannot map %s: %s", path, strerror(errno));
	return view;
}

off_t size_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? -1 : st.st_size;
}

long long number_xattr(const char *path, const char *name)
{
	AUTO_FREE char *text = sys_xattr(path, name);

	return text ? atoll(text) : -1;
}

bool text_xattr_is(const char *path, const char *name, const char *expected)
{
	AUTO_FREE char *text = sys_xattr(path, name);

	return text && !strcmp(text, expected);
}
