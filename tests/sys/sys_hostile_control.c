/* Greedy and hostile clients of the control socket: floods of connections, half messages, requests
 * whose answers nobody reads, descriptors without end and of every kind, of a file system above all
 * whose server never answers. Others are served, and nothing is left. */
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sys/hostile.h"
#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"
#include "tests/sys/waitables.h"

enum { GREEDY = 2, CONNECTIONS = 64, DESCRIPTORS = 600, MEMORY = 48 << 20 };

static struct leaks held;

static struct honest *start(struct sys *sys)
{
	sys_time_limit(sys, 120);
	sys_mount(sys, "size=64m");
	object_check_service(sys);
	held = leaks_count(sys);
	return honest_start(sys);
}

static void finish(struct sys *sys, struct honest *honest)
{
	object_check_service(sys);
	honest_end(honest);
	sys_shell(sys, "rm -rf %s/g*", sys->mnt);
	assert_int_equal(sys_status_number(sys, "restarts"), 0);
	leaks_check(sys, &held);
}

static void run(struct sys *sys, struct honest *honest, const char *what,
		int (*act)(struct flood *, int, long))
{
	assert_true(flood_run(sys, honest, what, act, GREEDY, HAMMERED) > 0);
	worker_memory_below(sys, MEMORY);
	assert_true(sys_count_fds(sys_worker(sys)) < held.worker_fds + DESCRIPTORS);
	object_check_service(sys);
}

/* --- what they do; their connections are kept as long as they are of use --- */

static int socks[CONNECTIONS];

/* A connection that will not make us wait; the one before is given up. */
static int fresh(struct flood *f, long count)
{
	int *sock = &socks[count % CONNECTIONS];

	if (count >= CONNECTIONS && *sock >= 0)
		close(*sock);
	*sock = control_connect(f->sys->mnt);
	if (*sock >= 0)
		fcntl(*sock, F_SETFL, O_NONBLOCK);
	return *sock;
}

static int connect_only(struct flood *f, int who, long count)
{
	(void)who;
	return fresh(f, count) < 0 ? -1 : 0;
}

static int half_messages(struct flood *f, int who, long count)
{
	struct wire_request request = wire_request_of(WIRE_STATUS, 0, 0);
	int sock = fresh(f, count);

	(void)who;
	return sock < 0 ? -1 : control_send(sock, &request, (size_t)(count % 20), NULL, 0);
}

/* Many requests a connection, until it takes no more. */
static int never_reads(struct flood *f, long count, enum wire_type type)
{
	struct wire_request request = wire_request_of(type, 0, 0);
	int sock = fresh(f, count), sent = 0;

	while (sock >= 0 && sent < 200 &&
	       control_send(sock, &request, sizeof request, NULL, 0) == 0)
		sent++;
	return sent ? 0 : -1;
}

static int status_unread(struct flood *f, int who, long count)
{
	(void)who;
	return never_reads(f, count, WIRE_STATUS);
}

static int top_unread(struct flood *f, int who, long count)
{
	(void)who;
	return never_reads(f, count, WIRE_TOP);
}

static int watch_unread(struct flood *f, int who, long count)
{
	if (count < 8)
		return never_reads(f, count, WIRE_WATCH);
	mknod(sys_path(f->sys, "g%d/w", who), S_IFREG | 0644, 0);
	return unlink(sys_path(f->sys, "g%d/w", who));
}

static int send_many(int sock, const void *bytes, size_t length, const int *fds, size_t count)
{
	static union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 253)];
	} control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = CMSG_SPACE(sizeof(int) * count)};

	control.align = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS,
					 .cmsg_len = CMSG_LEN(sizeof(int) * count)};
	memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * count);
	return sendmsg(sock, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* As many as a message can carry, and more than any may. */
static int descriptors(struct flood *f, int who, long count)
{
	struct wire_request request =
	    wire_request_of(count % 2 ? WIRE_STATUS : WIRE_CONFIGURE, 0, 0);
	int sock = fresh(f, count), many[250], ends[2], rc;

	(void)who;
	if (sock < 0 || pipe(ends) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = ends[i % 2];
	rc = send_many(sock, &request, sizeof request, many, ARRAY_SIZE(many));
	close(ends[0]);
	close(ends[1]);
	return rc;
}

static void floods(void **state)
{
	struct sys *sys = *state;
	struct honest *honest = start(sys);

	run(sys, honest, "connections", connect_only);
	run(sys, honest, "half messages", half_messages);
	run(sys, honest, "status, unread", status_unread);
	run(sys, honest, "top, unread", top_unread);
	run(sys, honest, "watch, unread", watch_unread);
	run(sys, honest, "descriptors", descriptors);
	finish(sys, honest);
}

/* --- they hold what they can get --- */

static int hold_connections(void *context)
{
	struct sys *sys = context;
	struct wire_request request = wire_request_of(WIRE_STATUS, 0, 0);
	int sock, connected = 0;

	CHECK(become(HOSTILE_UID) == 0);
	for (int i = 0; i < 600; i++) {
		sock = control_connect(sys->mnt);
		if (sock < 0)
			continue;
		fcntl(sock, F_SETFL, O_NONBLOCK);
		for (int k = 0; k < 1000 && !control_send(sock, &request, sizeof request, NULL, 0);)
			k++;
		connected++;
	}
	CHECK(connected > 500);
	CHECK(mknod(sys_path(sys, "ready"), S_IFREG | 0644, 0) == 0);
	pause();
	return 0;
}

static void held_connections(void **state)
{
	struct sys *sys = *state;
	struct honest *honest = start(sys);
	uint64_t before = honest_median(honest, 300), after = 0;
	pid_t pid = sys_fork(sys, hold_connections, sys);

	WAIT_UNTIL(60, access(sys_path(sys, "ready"), F_OK) == 0);
	for (int try = 0; try < 20; try++) { /* the machine has other things to do, too */
		after = honest_median(honest, 300);
		if (after <= 2 * before)
			break;
	}
	sys_say("%lld connections held: another's median open+close %.0f us, quiet %.0f us: %.2f "
		"times; the worker has %lld KiB",
		user_has(sys, HOSTILE_UID, "connections"), (double)after / 1e3,
		(double)before / 1e3, (double)after / (double)before, sys_worker_memory(sys) >> 10);
	assert_true(after <= 2 * before);
	assert_true(user_has(sys, HOSTILE_UID, "connections") <= 64);
	object_check_service(sys);
	sys_kill(sys, pid);
	assert_int_equal(unlink(sys_path(sys, "ready")), 0);
	finish(sys, honest);
}

/* --- a file system whose server answers until it is told not to --- */

struct hanging {
	struct sys *sys;
	char dir[300];
	_Atomic int mounted, hang, sent, end;
};

static bool answer(int fuse, const struct fuse_in_header *in, const void *body, size_t length)
{
	char out[256];
	struct fuse_out_header header = {.len = (uint32_t)(sizeof header + length),
					 .unique = in->unique};

	memcpy(out, &header, sizeof header);
	if (length)
		memcpy(out + sizeof header, body, length);
	return write(fuse, out, header.len) == (ssize_t)header.len;
}

static bool serve(int fuse, const struct fuse_in_header *in)
{
	struct fuse_attr attr = {.ino = in->nodeid,
				 .mode = in->nodeid == 1 ? S_IFDIR | 0777 : S_IFREG | 0666,
				 .size = 4096,
				 .nlink = 1};
	struct fuse_entry_out entry = {.nodeid = 2, .attr = attr};
	struct fuse_attr_out attributes = {.attr = attr};
	struct fuse_open_out open = {0};
	struct fuse_init_out init = {.major = 7, .minor = 31, .max_write = 4096};

	entry.attr.mode = S_IFREG | 0666;
	switch (in->opcode) {
	case FUSE_INIT:
		return answer(fuse, in, &init, sizeof init);
	case FUSE_LOOKUP:
		return answer(fuse, in, &entry, sizeof entry);
	case FUSE_GETATTR:
		return answer(fuse, in, &attributes, sizeof attributes);
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		return answer(fuse, in, &open, sizeof open);
	default:
		return true; /* never */
	}
}

static int never_answer(void *context)
{
	static _Alignas(8) char request[70000];
	struct hanging *h = context;
	char text[100];
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	CHECK(fuse >= 0);
	snprintf(text, sizeof text, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
	CHECK(mount("hanging", h->dir, "fuse", MS_NOSUID, text) == 0);
	h->mounted = 1;
	while (!h->end) {
		if (!h->hang && read(fuse, request, sizeof request) > 0)
			CHECK(serve(fuse, (const void *)request));
		else
			usleep(500);
	}
	return 0;
}

static int pass_hanging(void *context)
{
	struct hanging *h = context;
	struct sys *sys = h->sys;
	struct wire_request bind = wire_request_of(WIRE_CONFIGURE, WIRE_BIND, 0),
			    who = wire_request_of(WIRE_WHO, 0, 0),
			    status = wire_request_of(WIRE_STATUS, 0, 0);
	char path[320];

	snprintf(path, sizeof path, "%s/file", h->dir);
	int file = open(path, O_RDWR | O_CLOEXEC), place = open(path, O_PATH | O_CLOEXEC),
	    dir = open(h->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(file >= 0 && place >= 0 && dir >= 0);
	CHECK(become(HOSTILE_UID) == 0);
	h->hang = 1;
	for (int i = 0; i < 120; i++) {
		int unborn = typed_unborn(sys->mnt, 0644), fds[] = {unborn, i % 3 == 0   ? file
									    : i % 3 == 1 ? dir
											 : place};
		int two[] = {fds[1], fds[1]}, sock;

		CHECK(unborn >= 0);
		for (int k = 0; k < 4; k++) {
			sock = control_connect(sys->mnt);
			if (sock < 0)
				continue;
			if (k == 0)
				control_send(sock, &bind, sizeof bind, fds, 2);
			else if (k == 1)
				control_send(sock, &who, sizeof who, two, 1);
			else
				control_send(sock, k == 2 ? &status : &bind, sizeof status, two, 2);
			if (i % 2) {
				struct wire_reply reply;
				int fd;

				CHECK(control_receive(sock, &reply, &fd) == 0 && reply.error);
			}
			close(sock);
		}
		close(unborn);
	}
	h->sent = 1;
	pause();
	return 0;
}

static void hanging_files(void **state)
{
	struct sys *sys = *state;
	struct honest *honest = start(sys);
	struct hanging *h =
	    mmap(NULL, sizeof *h, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t before = honest_median(honest, 300), after = 0;
	pid_t server, client;

	assert_ptr_not_equal(h, MAP_FAILED);
	h->sys = sys;
	snprintf(h->dir, sizeof h->dir, "%s/hanging", sys->dir);
	assert_int_equal(mkdir(h->dir, 0755), 0);
	server = sys_fork(sys, never_answer, h);
	WAIT_UNTIL(10, h->mounted);
	client = sys_fork(sys, pass_hanging, h);
	WAIT_UNTIL(30, h->sent);
	for (int try = 0; try < 20; try++) { /* the machine has other things to do, too */
		after = honest_median(honest, 300);
		if (after <= 2 * before)
			break;
	}
	sys_say("with %d descriptors of a file system that hangs: another's median open+close %.0f "
		"us, quiet %.0f us: %.2f times; the worker has %d descriptors",
		480, (double)after / 1e3, (double)before / 1e3, (double)after / (double)before,
		sys_count_fds(sys_worker(sys)));
	assert_true(after <= 2 * before);
	object_check_service(sys);
	assert_true(sys_count_fds(sys_worker(sys)) < held.worker_fds + 200);
	h->end = 1; /* its end aborts what hangs */
	assert_int_equal(sys_wait(sys, server), 0);
	sys_kill(sys, client);
	assert_int_equal(umount2(h->dir, MNT_DETACH), 0);
	assert_int_equal(rmdir(h->dir), 0);
	munmap(h, sizeof *h);
	finish(sys, honest);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_PASSTHROUGH(floods),
    SYS_TEST_PASSTHROUGH(held_connections),
    SYS_TEST_PASSTHROUGH(hanging_files),
};

int main(void)
{
	return sys_run_tests("hostile_control", tests);
}
