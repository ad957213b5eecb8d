/* Messages on the control socket, with descriptors: a byte of how many come, a byte for each of
 * what it is, then the message. First its check alone, and then the server itself, over a real
 * core.
 *
 * wrap: name_to_handle_at
 */
#include "core/jobs.h"
#include "core/util.h"
#include "fs/control.h"
#include "fs/fdpass.h"
#include "fs/loop.h"
#include "fs/wire.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/world.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

enum { MOST_FDS = 3 };

static struct {
	struct loop *loop;
	int listener, watchdog;
	struct sockaddr_un address;
	socklen_t address_length;
	struct control *control;
	struct loop_source core_source;
} server;

static uint64_t object_node; /* what a descriptor of the tree's file system stands for */

/* The tree's own files pretend to be the mount's: their handle is a FUSE one. */
int __real_name_to_handle_at(int dir, const char *name, struct file_handle *handle, int *mount,
			     int flags);
int __wrap_name_to_handle_at(int dir, const char *name, struct file_handle *handle, int *mount,
			     int flags);

int __wrap_name_to_handle_at(int dir, const char *name, struct file_handle *handle, int *mount,
			     int flags)
{
	uint32_t words[] = {(uint32_t)(object_node >> 32), (uint32_t)object_node, 0};

	if (!object_node || *name || handle->handle_bytes < MAX_HANDLE_SZ)
		return __real_name_to_handle_at(dir, name, handle, mount, flags);
	handle->handle_type = 0x81;
	handle->handle_bytes = sizeof words;
	memcpy(handle->f_handle, words, sizeof words);
	return 0;
}

static char *status_text(void *context, uid_t uid)
{
	(void)context;
	(void)uid;
	return strdup("{}");
}

static int upgrade(void *context)
{
	(void)context;
	return 7;
}

static bool tell(void *context, const struct core_event *event)
{
	(void)context;
	return server.control && control_event(server.control, event);
}

static void core_ready(struct loop_source *source, uint32_t events)
{
	(void)source;
	(void)events;
	core_dispatch(world.core);
}

static void stop(struct loop_source *source, uint32_t events)
{
	(void)source;
	(void)events;
	loop_stop(server.loop, 0);
}

static void listen_once(void)
{
	const struct sockaddr_un nameless = {.sun_family = AF_UNIX};

	if (server.loop)
		return;
	server.loop = loop_create();
	server.watchdog = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	server.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	server.address_length = sizeof server.address;
	MUST(bind(server.listener, (void *)&nameless, sizeof(sa_family_t)) == 0);
	MUST(listen(server.listener, 8) == 0);
	MUST(getsockname(server.listener, (void *)&server.address, &server.address_length) == 0);
}

static void start(void)
{
	struct control_config config = {.loop = server.loop,
					.listen_fd = server.listener,
					.device_major = world.config.device_major,
					.device_minor = world.config.device_minor,
					.status = status_text,
					.upgrade = upgrade};

	world.config.listener.event = tell;
	MUST(world_start() == 0);
	config.core = world.core;
	server.core_source =
	    (struct loop_source){.fd = core_poll_fd(world.core), .ready = core_ready};
	MUST(loop_add(server.loop, &server.core_source, EPOLLIN) == 0);
	MUST(control_create(&config, &server.control) == 0);
}

static void finish(void)
{
	control_destroy(server.control);
	server.control = NULL;
	loop_remove(server.loop, &server.core_source);
	world_stop();
}

/* An unborn object, as a client makes it. */
static void make_object(void)
{
	const struct core_caller caller = {.pid = getpid()};
	struct core_opened opened;
	struct core_entry entry;

	object_node = 0;
	world_request();
	MUST(core_tmpfile(world.core, CORE_ROOT_NODE, 0600, O_WRONLY, &caller, &entry, &opened) ==
	     0);
	object_node = entry.node;
}

static int descriptor(uint8_t kind)
{
	int fd;

	switch (kind % 6) {
	case 0:
		return openat(world.config.tree_fd, "tree", O_PATH | O_CLOEXEC);
	case 1:
		return openat(world.config.tree_fd, "tree", O_RDONLY | O_CLOEXEC);
	case 2: /* O_RDWR: a file to bind, empty or not */
	case 3:
		fd = memfd_create("file", MFD_CLOEXEC);
		if (kind % 6 == 3)
			MUST(ftruncate(fd, 5000) == 0);
		return fd;
	case 4:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	default:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	}
}

static int connect_client(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	MUST(connect(fd, (void *)&server.address, server.address_length) == 0);
	return fd;
}

/* Serves until there is an answer, or the end, or nothing more happens. */
static void serve(int client)
{
	const struct itimerspec soon = {.it_value.tv_nsec = 100 * 1000000L};
	struct loop_source answer = {.fd = client, .ready = stop};
	struct loop_source late = {.fd = server.watchdog, .ready = stop};

	timerfd_settime(server.watchdog, 0, &soon, NULL);
	loop_add(server.loop, &answer, EPOLLIN);
	loop_add(server.loop, &late, EPOLLIN);
	loop_run(server.loop);
	loop_remove(server.loop, &answer);
	loop_remove(server.loop, &late);
}

static void check_answer(int client)
{
	struct wire_reply reply;
	size_t count;
	int fd = -1;
	ssize_t got =
	    fdpass_receive(client, &reply, sizeof reply, MSG_DONTWAIT, &fd, 1, &count, NULL, NULL);

	if (got <= 0)
		return;
	MUST(got == sizeof reply && reply.magic == WIRE_MAGIC && reply.length == sizeof reply);
	MUST(memchr(reply.text, '\0', sizeof reply.text) && reply.error >= 0);
	MUST(!(reply.error && count));
	if (count)
		close(fd);
}

static void serve_message(const uint8_t *bytes, size_t length, const int *fds, size_t count)
{
	int client;

	listen_once();
	start();
	make_object();
	client = connect_client();
	if (fdpass_send(client, bytes, length, MSG_DONTWAIT, fds, count) == 0) {
		serve(client);
		check_answer(client);
	}
	close(client);
	object_node = 0;
	finish();
}

/* What a request that passes is known to be. True: the server is to see it, too. */
static bool check(const uint8_t *bytes, size_t length, size_t fds)
{
	struct wire_request request;
	const char *why = NULL;
	int error = wire_check_request(bytes, length, fds, &request, &why);

	MUST(error >= 0 && why);
	if (error)
		return why[0] != '\0';
	MUST(length == sizeof request && fds <= WIRE_MAX_FDS);
	MUST(request.object_type < OBJECT_TYPES && request.size <= INT64_MAX);
	/* A look through /proc says nothing about the message. */
	return request.type != WIRE_TOP;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	size_t count = input_u8(&in) % (MOST_FDS + 1), length;
	int fds[MOST_FDS];
	uint8_t kinds[MOST_FDS] = {0}, *bytes;

	input_take(&in, kinds, count);
	bytes = input_bytes(&in, in.left, 0, &length);
	if (check(bytes, length, count)) {
		world_empty(false, false);
		mkdirat(world.config.tree_fd, "tree", 0700);
		for (size_t i = 0; i < count; i++)
			fds[i] = descriptor(kinds[i]);
		serve_message(bytes, length, fds, count);
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
	}
	free(bytes);
	return 0;
}
