/* Asks the running kernel what its FUSE can do. A FUSE file system is made and never mounted: the
 * kernel's first request to it says which interface it speaks and what it offers. */
#include "core/util.h"
#include "fs/mount.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#define PROBE_MILLISECONDS 1000
#define INIT_EXT           (1U << 30) /* FUSE_INIT_EXT: flags2 is there */
#define INIT2_PASSTHROUGH  (1U << 5)  /* FUSE_PASSTHROUGH, bit 37 of the flags */
#define OPCODE_INIT        26

/* <linux/fuse.h> of the systems we build on is older than these. */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)

struct init_request {
	uint32_t length, opcode;
	uint64_t unique, node;
	uint32_t uid, gid, pid, extension;
	uint32_t major, minor, max_readahead, flags, flags2, unused[11];
};

static int make_superblock(int fuse_fd)
{
	AUTO_CLOSE int context = fsopen("fuse", FSOPEN_CLOEXEC);
	char number[16];

	if (context < 0)
		return -1;
	snprintf(number, sizeof number, "%d", fuse_fd);
	if (fsconfig(context, FSCONFIG_SET_STRING, "source", "mappingfs", 0) ||
	    fsconfig(context, FSCONFIG_SET_STRING, "fd", number, 0) ||
	    fsconfig(context, FSCONFIG_SET_STRING, "rootmode", "40000", 0) ||
	    fsconfig(context, FSCONFIG_SET_STRING, "user_id", "0", 0) ||
	    fsconfig(context, FSCONFIG_SET_STRING, "group_id", "0", 0) ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -1;
	return steal_fd(&context); /* holds the superblock, and with it the connection */
}

static void read_init(int fuse_fd, struct mount_probe *probe)
{
	static union {
		struct init_request init;
		char room[256 << 10]; /* the kernel refuses to fill less than its largest request */
	} request;
	struct pollfd poller = {.fd = fuse_fd, .events = POLLIN};
	ssize_t got;

	if (poll(&poller, 1, PROBE_MILLISECONDS) <= 0)
		return;
	got = read(fuse_fd, &request, sizeof request);
	if (got < (ssize_t)offsetof(struct init_request, flags2) ||
	    request.init.opcode != OPCODE_INIT)
		return;
	probe->fuse_major = request.init.major;
	probe->fuse_minor = request.init.minor;
	probe->passthrough = got >= (ssize_t)sizeof request.init && request.init.flags & INIT_EXT &&
			     request.init.flags2 & INIT2_PASSTHROUGH;
}

void mount_probe(struct mount_probe *probe)
{
	AUTO_CLOSE int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	AUTO_CLOSE int context = -1;
	struct backing_map map = {.fd = -1};

	*probe = (struct mount_probe){0};
	if (fd < 0) {
		probe->fuse_error = errno;
		return;
	}
	if (ioctl(fd, BACKING_OPEN, &map) < 0)
		probe->backing_error = errno;
	context = make_superblock(fd);
	if (context >= 0)
		read_init(fd, probe);
}
