#include "tests/bench/mount.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "core/util.h"
#include "fs/fdpass.h"
#include "fs/wire.h"

#define STATUS_BYTES 65536
#define FORGET_NS    60000000000ULL /* a million names take some seconds */
/* The root, and what is held open: the kernel does not forget these. */
#define FEW_OBJECTS 16

int64_t mount_status(const char *dir, const char *key)
{
	AUTO_FREE char *status = calloc(1, STATUS_BYTES);
	char quoted[64];
	const char *found;
	long long value;

	if (!status)
		return -ENOMEM;
	if (getxattr(dir, "user.mapping.status", status, STATUS_BYTES - 1) < 0)
		return -errno;
	snprintf(quoted, sizeof quoted, "\"%s\": ", key);
	found = strstr(status, quoted);
	if (!found || sscanf(found + strlen(quoted), "%lld", &value) != 1 || value < 0)
		return -EPROTO;
	return value;
}

/* Each answer is one write(2), and the worker writes little else. */
int64_t mount_answers(const char *dir)
{
	int64_t pid = mount_status(dir, "worker_pid");
	long long writes = -EPROTO;
	char text[256];
	FILE *io;

	if (pid < 0)
		return pid;
	snprintf(text, sizeof text, "/proc/%d/io", (int)pid);
	io = fopen(text, "re");
	if (!io)
		return -errno;
	while (fgets(text, sizeof text, io))
		if (sscanf(text, "syscw: %lld", &writes) == 1)
			break;
	fclose(io);
	return writes;
}

/* --- objects --- */

static int control_connect(const char *dir)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length;

	if (fd < 0)
		return -errno;
	length = snprintf(address.sun_path, sizeof address.sun_path, "%s/.control", dir);
	if (length < 0 || (size_t)length >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int configure(const char *dir, int unborn, const struct mount_object *object)
{
	const struct wire_request request = {.magic = WIRE_MAGIC,
					     .version = WIRE_VERSION,
					     .type = WIRE_CONFIGURE,
					     .length = sizeof request,
					     .flags = object->flags,
					     .object_type = object->type,
					     .initial = object->initial,
					     .maximum = object->maximum};
	AUTO_CLOSE int fd = control_connect(dir);
	struct wire_reply reply;
	int rc = fd < 0 ? fd : fdpass_send(fd, &request, sizeof request, 0, &unborn, 1);

	if (rc < 0)
		return rc;
	if (recv(fd, &reply, sizeof reply, 0) != sizeof reply)
		return -EPROTO;
	if (reply.error)
		fprintf(stderr, "mapbench: %s\n", reply.text);
	return -reply.error;
}

int mount_create(const char *dir, const char *tag, const struct mount_object *object,
		 char path[BENCH_PATH_MAX])
{
	char unborn[32];
	int rc = bench_path(path, dir, tag);
	AUTO_CLOSE int fd = rc < 0 ? -1 : open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	AUTO_CLOSE int by_path = -1;

	if (fd < 0)
		return rc < 0 ? rc : -errno;
	snprintf(unborn, sizeof unborn, "/proc/self/fd/%d", fd);
	by_path = open(unborn, O_PATH | O_CLOEXEC);
	if (by_path < 0)
		return -errno;
	rc = configure(dir, by_path, object);
	if (rc < 0)
		return rc;
	return neg_errno(linkat(AT_FDCWD, unborn, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
}

int mount_round_trip(int fd)
{
	struct statx st;

	return neg_errno(
	    statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st));
}

/* --- forgetting --- */

static unsigned long remount_flags(unsigned long of)
{
	static const unsigned long pairs[][2] = {
	    {ST_RDONLY, MS_RDONLY}, {ST_NOSUID, MS_NOSUID},   {ST_NODEV, MS_NODEV},
	    {ST_NOEXEC, MS_NOEXEC}, {ST_NOATIME, MS_NOATIME}, {ST_RELATIME, MS_RELATIME},
	};
	unsigned long flags = MS_REMOUNT;

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (of & pairs[i][0])
			flags |= pairs[i][1];
	return flags;
}

/* A remount drops the dentries of this file system and of no other. */
int mount_evict(const char *dir)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	struct statvfs st;
	int64_t known;

	if (statvfs(dir, &st) < 0 || mount(NULL, dir, NULL, remount_flags(st.f_flag), NULL) < 0)
		return -errno;
	while ((known = mount_status(dir, "objects_known")) > FEW_OBJECTS) {
		if (clock_ns(CLOCK_MONOTONIC) - begin > FORGET_NS)
			return -ETIMEDOUT;
		usleep(500);
	}
	return known < 0 ? (int)known : 0;
}
