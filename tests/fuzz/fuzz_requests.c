/* Requests as read from /dev/fuse, one after the other: a byte each for the opcode, for what is
 * wrong with the header and for the node, two for the body's length, then the body; or the end of
 * the worker, and what the next one finds. Served by the
 * transport, libfuse and the ops, over a real core; the answers are thrown away. */
#define FUSE_USE_VERSION 314
#include "core/util.h"
#include "fs/kernel.h"
#include "fs/loop.h"
#include "fs/ops.h"
#include "fs/ops_raw.h"
#include "fs/ops_wait.h"
#include "fs/transport.h"
#include "fs/worker.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/world.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
	WRONG_LENGTH = 1,  /* the header says another one than there is */
	WRONG_UNIQUE = 2,  /* 0 */
	WRONG_RESEND = 4,  /* sent again, it says */
	WRONG_OPCODE = 8,  /* a large one */
	WAITABLES = 0x30,  /* the node of the object of type 0; the others follow */
	NODES = 8,         /* the newest that answers have told of */
	TAKE_OVER = 0xFF,  /* instead of an opcode */
	MOST_REQUESTS = 64 /* of one input */
};

static struct handover handover;
static struct worker worker = {.handover = &handover, .fuse_fd = -1};
static struct {
	struct transport_area *area;
	struct loop_source done;
	int kernel; /* the other end */
	uint64_t nodes[NODES];
	size_t nodes_count;
	uint64_t waitables[OBJECT_TYPES];
	uint64_t answered;   /* the newest */
	unsigned interrupts; /* sent */
} box;

/* --- what fs/worker.c gives the transport --- */

static bool decide(void *context, bool offered)
{
	(void)context;
	(void)offered;
	return true;
}

static bool passthrough(void *context)
{
	(void)context;
	return true;
}

static void begin(void *context, uint64_t unique, bool resent, uint32_t uid, uint32_t pid)
{
	(void)context;
	core_request(worker.core, unique, resent);
	core_request_from(worker.core, uid, (pid_t)pid);
}

static void nothing(void *context)
{
	(void)context;
}

/* Once the transport has read what there is. */
static void stop(struct loop_source *source, uint32_t events)
{
	uint64_t count;
	char byte;

	(void)events;
	if (recv(worker.fuse_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		return;
	MUST(read(source->fd, &count, sizeof count) == sizeof count);
	loop_stop(worker.loop, 0);
}

/* --- the kernel's side --- */

/* A node that an answer told of comes first in it. */
static void take_answers(void)
{
	union {
		struct fuse_out_header header;
		uint64_t words[8192];
	} answer;
	ssize_t got;

	/* MSG_TRUNC: the whole length, of an answer that is longer than what is looked at, too. */
	while ((got = recv(box.kernel, &answer, sizeof answer, MSG_DONTWAIT | MSG_TRUNC)) > 0) {
		MUST((size_t)got >= sizeof answer.header && answer.header.len == (size_t)got);
		MUST(answer.header.error <= 0 || !answer.header.unique);
		box.answered = answer.header.unique;
		if ((size_t)got >= sizeof answer.header + sizeof(struct fuse_entry_out))
			box.nodes[box.nodes_count++ % NODES] = answer.words[2];
	}
}

static void serve(void)
{
	const uint64_t one = 1;

	MUST(write(box.done.fd, &one, sizeof one) == sizeof one);
	loop_run(worker.loop);
	take_answers();
}

/* What may go through a job. */
static void await_job(const struct fuse_in_header *header)
{
	struct pollfd core = {.fd = core_poll_fd(world.core), .events = POLLIN};

	if (header->opcode != FUSE_SETATTR && header->opcode != FUSE_FSYNC &&
	    header->opcode != FUSE_GETXATTR && header->opcode != FUSE_FLUSH)
		return;
	for (int i = 0; i < 200 && header->unique && box.answered != header->unique; i++) {
		if (poll(&core, 1, 10) > 0)
			core_dispatch(world.core);
		take_answers();
	}
}

static uint64_t node_of(uint8_t selector)
{
	if (selector >= WAITABLES && selector < WAITABLES + OBJECT_TYPES)
		return box.waitables[selector - WAITABLES];
	if (selector < 0x40 || !box.nodes_count)
		return selector;
	return box.nodes[selector % (box.nodes_count < NODES ? box.nodes_count : NODES)];
}

static void send_one(struct input *in)
{
	uint8_t opcode = input_u8(in), wrong = input_u8(in), node = input_u8(in);
	size_t size = input_u16(in), length;
	uint8_t *body = input_bytes(in, size, 0, &length);
	struct fuse_in_header header = {.len = (uint32_t)(sizeof header + length),
					.opcode = opcode,
					.unique = world.unique += 2,
					.nodeid = node_of(node)};
	struct iovec parts[] = {{&header, sizeof header}, {body, length}};

	if (wrong & WRONG_LENGTH)
		header.len += wrong;
	if (wrong & WRONG_UNIQUE)
		header.unique = 0;
	if (wrong & WRONG_RESEND)
		header.unique |= KERNEL_UNIQUE_RESEND;
	box.interrupts += opcode == FUSE_INTERRUPT;
	if (wrong & WRONG_OPCODE)
		header.opcode = (uint32_t)wrong << 8 | opcode;
	if (writev(box.kernel, parts, 2) > 0) {
		serve();
		await_job(&header);
	}
	free(body);
}

static void send_init(void)
{
	struct {
		struct fuse_in_header header;
		struct fuse_init_in init;
	} request = {.header = {.len = sizeof request, .opcode = FUSE_INIT, .unique = 2},
		     .init = {.major = 7,
			      .minor = KERNEL_MINOR_PASSTHROUGH,
			      .max_readahead = 1 << 17,
			      .flags = KERNEL_INIT_EXT | FUSE_SETXATTR_EXT | FUSE_POSIX_ACL,
			      .flags2 = KERNEL_PASSTHROUGH}};

	world.unique = 2;
	MUST(write(box.kernel, &request, sizeof request) == sizeof request);
	serve();
}

/* libfuse keeps an interrupt that it knows no request for until it sees another request. */
static void drop_interrupts(void)
{
	static const uint8_t statfs[] = {FUSE_STATFS, 0, 1, 0, 0};

	for (; box.interrupts; box.interrupts--)
		send_one(&(struct input){statfs, sizeof statfs});
}

/* --- life --- */

static void set_up_once(void)
{
	if (worker.loop)
		return;
	worker.loop = loop_create();
	worker.passthrough = true;
	box.area = mmap(NULL, sizeof *box.area, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	box.done =
	    (struct loop_source){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = stop};
	MUST(worker.loop && box.area != MAP_FAILED);
	MUST(loop_add(worker.loop, &box.done, EPOLLIN) == 0);
}

/* False: there is nothing that a worker could go on with. */
static bool start(void)
{
	static const struct transport_hooks hooks = {.decide = decide,
						     .passthrough = passthrough,
						     .begin = begin,
						     .postpone = ops_wait_postpone,
						     .raw = ops_raw,
						     .answered_init = nothing,
						     .resumed = nothing,
						     .ended = nothing,
						     .context = &worker};
	int ends[2];

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	worker.fuse_fd = ends[0];
	box.kernel = ends[1];
	world.config.listener.waited = ops_waited;
	world.config.listener.poll_changed = ops_poll_changed;
	world.config.listener.context = &worker;
	MUST(world_start() == 0);
	worker.core = world.core;
	return transport_create(worker.fuse_fd, box.area, 0, worker.loop, &ops_table,
				sizeof ops_table, &worker, &hooks, &worker.transport) == 0;
}

static void finish(void)
{
	struct loop_source source = {.fd = worker.fuse_fd};

	world_stop();
	loop_prefer(worker.loop, NULL);
	loop_remove(worker.loop, &source);
	if (worker.transport)
		transport_destroy(worker.transport); /* and its end of the socket */
	else
		close(worker.fuse_fd);
	worker.transport = NULL;
	close(box.kernel);
}

/* Another worker goes on, and finds in the area what the input says. */
static bool take_over(struct input *in)
{
	uint8_t what = input_u8(in), *bytes;
	size_t length;

	drop_interrupts();
	finish();
	bytes = input_bytes(in, input_u8(in), 0, &length);
	memcpy(what & 1 ? box.area->init : box.area->request, bytes, length);
	free(bytes);
	if (what & 2)
		box.area->init_length = (uint32_t)input_u64(in);
	if (!start())
		return false;
	MUST(transport_resume(worker.transport, true) == 0);
	take_answers();
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	bool alive = true;

	world_empty(false, false);
	set_up_once();
	box.area->init_length = 0;
	box.nodes_count = 0;
	MUST(start());
	send_init();
	for (int i = OBJECT_MAPPING; i < OBJECT_TYPES; i++)
		box.waitables[i] =
		    world_object((enum object_type)i, (char[]){(char)('A' + i), 0}, &(uint64_t){0});
	for (int i = 0; i < MOST_REQUESTS && in.left && alive; i++) {
		if (*in.at == TAKE_OVER)
			alive = take_over((in.at++, in.left--, &in));
		else
			send_one(&in);
	}
	if (alive)
		drop_interrupts();
	finish();
	return 0;
}
