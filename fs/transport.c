#define FUSE_USE_VERSION 314
#include "fs/transport.h"

#include "core/crash.h"
#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"
#include "fs/backlog.h"
#include "fs/handshake.h"
#include "fs/kernel.h"
#include "fs/request_shape.h"
#include "fs/spin.h"

#include <fuse3/fuse_lowlevel.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define SMALL_ANSWER    256
#define REQUESTS_A_TURN 128 /* then the other sources of the loop have theirs */

struct transport {
	struct loop_source source;
	struct loop *loop;
	struct transport_area *area;
	struct transport_hooks hooks;
	struct fuse_session *session;
	struct spin spin;
	uint64_t init_unique;
	bool in_init;
	bool long_setxattr;       /* the kernel sends fuse_setxattr_in in its longer form */
	bool swallow;             /* INIT was answered by a former worker */
	bool resuming;            /* the kernel is sending again what a former worker left */
	bool takes_turns;         /* what we read and did not begin comes again, too */
	struct backlog postponed; /* requests of those, until all of them have come */
	struct backlog backlog;
};

static struct fuse_in_header *header_of(struct transport *t)
{
	return (void *)t->area->request;
}

/* --- out --- */

static ssize_t answer_init(struct transport *t, int fd, const struct iovec *iov, int count)
{
	uint8_t buffer[512];
	size_t length = 0;
	struct fuse_out_header *out = (void *)buffer;

	for (int i = 0; i < count; i++) {
		if (length + iov[i].iov_len > sizeof buffer)
			return -1;
		memcpy(buffer + length, iov[i].iov_base, iov[i].iov_len);
		length += iov[i].iov_len;
	}
	t->in_init = false;
	if (t->swallow)
		return (ssize_t)length;
	if (!out->error)
		handshake_complete(t->area->init, t->area->init_length, buffer + sizeof *out,
				   length - sizeof *out, t->hooks.passthrough(t->hooks.context));
	if (write(fd, buffer, length) != (ssize_t)length)
		return -1;
	t->hooks.answered_init(t->hooks.context);
	return (ssize_t)length;
}

/* One plain buffer is less work for the kernel than a vector. */
static ssize_t write_gathered(int fd, const struct iovec *iov, int count)
{
	_Alignas(64) uint8_t buffer[SMALL_ANSWER];
	size_t length = 0;

	for (int i = 0; i < count; i++) {
		memcpy(buffer + length, iov[i].iov_base, iov[i].iov_len);
		length += iov[i].iov_len;
	}
	return write(fd, buffer, length);
}

/* Called by libfuse for every answer and notification, by notifications from other threads too. */
static ssize_t transport_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct transport *t = *(struct transport **)userdata;
	const struct fuse_out_header *out = iov[0].iov_base;

	if (t->in_init && out->unique == t->init_unique)
		return answer_init(t, fd, iov, count);
	if (out->len <= SMALL_ANSWER)
		return write_gathered(fd, iov, count);
	return writev(fd, iov, count);
}

/* libfuse wants one; we read ourselves. */
static ssize_t transport_read(int fd, void *buffer, size_t size, void *userdata)
{
	(void)userdata;
	return read(fd, buffer, size);
}

static const struct fuse_custom_io custom_io = {.writev = transport_writev, .read = transport_read};

/* --- in --- */

static int check_shape(const struct transport *t, const void *bytes, size_t length)
{
	return request_shape(bytes, length, t->long_setxattr);
}

/* Nobody but the kernel sends requests; still, what is not one goes no further, nor does a second
 * INIT. Newer kernels try some that we do not know, and believe the answer. */
static bool is_acceptable(struct transport *t, size_t length)
{
	struct fuse_in_header *header = header_of(t);
	int rc = check_shape(t, header, length);

	if (rc == 0 && header->opcode == FUSE_INIT && t->area->init_length)
		rc = -EIO;
	if (rc == 0)
		return true;
	if (rc != -ENOSYS)
		log_error("a request that is not whole is refused");
	if (request_has_answer(header, length))
		transport_answer(t, header->unique, rc, NULL, 0);
	header->len = 0;
	return false;
}

static void process(struct transport *t, void *bytes, size_t length, bool resent)
{
	struct fuse_in_header *header = bytes;
	struct fuse_buf buffer = {.mem = bytes, .size = length};

	t->hooks.begin(t->hooks.context, header->unique & ~KERNEL_UNIQUE_RESEND,
		       resent || (header->unique & KERNEL_UNIQUE_RESEND), header->uid, header->pid);
	if (!t->hooks.raw(t->hooks.context, bytes, length))
		fuse_session_process_buf(t->session, &buffer);
	CRASH_POINT("request: dealt with");
	/* From here on nobody needs to look at it again. */
	*(volatile uint32_t *)&header->len = 0;
}

static void process_init(struct transport *t)
{
	struct fuse_in_header *header = (void *)t->area->init;

	t->long_setxattr = handshake_extends_setxattr(t->area->init, t->area->init_length);
	t->in_init = true;
	t->init_unique = header->unique;
	uint32_t length = header->len;
	process(t, t->area->init, t->area->init_length, false);
	header->len = length; /* it is read by every worker */
}

static void first_init(struct transport *t, size_t length)
{
	if (length > sizeof t->area->init)
		length = sizeof t->area->init;
	memcpy(t->area->init, t->area->request, length);
	t->area->init_length = (uint32_t)length;
	*(volatile uint32_t *)&header_of(t)->len = 0;
	t->takes_turns = handshake_sends_again(t->area->init, length);
	if (t->hooks.decide(t->hooks.context, handshake_offers_passthrough(t->area->init, length)))
		process_init(t);
}

static bool serve_put_by(struct transport *t, struct backlog_request *request, bool resent)
{
	if (!request)
		return false;
	process(t, request->bytes, request->length, resent);
	free(request);
	return true;
}

static void resumed(struct transport *t)
{
	t->resuming = false;
	t->hooks.resumed(t->hooks.context);
	while (serve_put_by(t, backlog_take(&t->postponed), true))
		continue;
}

static bool put_by(struct transport *t, struct backlog *backlog, size_t length)
{
	if (!backlog_put(backlog, t->area->request, length))
		return false;
	*(volatile uint32_t *)&header_of(t)->len = 0;
	return true;
}

static bool postpone(struct transport *t, size_t length)
{
	return t->resuming && (header_of(t)->unique & KERNEL_UNIQUE_RESEND) &&
	       t->hooks.postpone(t->hooks.context, t->area->request, length) &&
	       put_by(t, &t->postponed, length);
}

/* Its turn comes. */
static bool line_up(struct transport *t, size_t length)
{
	return t->takes_turns && !t->resuming &&
	       backlog_wants(&t->backlog, t->area->request, length) &&
	       put_by(t, &t->backlog, length);
}

/* It cannot be interrupted before it has begun. */
static void before_interrupt(struct transport *t)
{
	const struct fuse_interrupt_in *in = (const void *)(header_of(t) + 1);

	if (header_of(t)->opcode == FUSE_INTERRUPT && !backlog_is_empty(&t->backlog))
		serve_put_by(t, backlog_take_unique(&t->backlog, in->unique), false);
}

/* What is sent again stands at the head of the queue; only these can come before it. */
static bool is_out_of_turn(const struct fuse_in_header *header)
{
	return header->opcode == FUSE_FORGET || header->opcode == FUSE_BATCH_FORGET ||
	       header->opcode == FUSE_INTERRUPT;
}

/* What was just read. */
static void serve(struct transport *t, size_t length)
{
	CRASH_POINT("request: read");
	if (!is_acceptable(t, length) || postpone(t, length) || line_up(t, length))
		return;
	before_interrupt(t);
	if (header_of(t)->opcode == FUSE_INIT)
		first_init(t, length);
	else
		process(t, t->area->request, length, false);
}

/* One request, read or put by. False: none there, or the end. */
static bool serve_one(struct transport *t)
{
	ssize_t length;

	if (!backlog_reads_on(&t->backlog))
		return serve_put_by(t, backlog_take(&t->backlog), false);
	header_of(t)->len = 0;
	length = read(t->source.fd, t->area->request, TRANSPORT_BUFFER_SIZE);
	if (length < 0 && (errno == EINTR || errno == ENOENT))
		return true;
	if (length < 0 && errno == EAGAIN && t->resuming) {
		resumed(t);
		return true;
	}
	if (length < 0 && errno == EAGAIN) {
		backlog_pause(&t->backlog);
		return serve_put_by(t, backlog_take(&t->backlog), false);
	}
	if (length <= 0) {
		if (length == 0 || errno == ENODEV || errno == EBADF)
			t->hooks.ended(t->hooks.context);
		return false;
	}
	if (t->resuming && !(header_of(t)->unique & KERNEL_UNIQUE_RESEND) &&
	    !is_out_of_turn(header_of(t)))
		resumed(t);
	serve(t, (size_t)length);
	return true;
}

static void transport_ready(struct loop_source *source, uint32_t events)
{
	struct transport *t = CONTAINER_OF(source, struct transport, source);
	int served = 0;

	if ((events & EPOLLERR) && !(events & EPOLLIN)) {
		t->hooks.ended(t->hooks.context);
		return;
	}
	while (served < REQUESTS_A_TURN) {
		if (serve_one(t)) {
			served++;
			spin_hit(&t->spin);
		} else if (!served || !spin_again(&t->spin)) {
			break;
		}
	}
	if (!backlog_is_empty(&t->backlog))
		loop_again(t->loop);
}

/* The recorded INIT, as a former worker left it: its length in the header may not be there. */
static bool init_is_sound(struct transport_area *area)
{
	struct fuse_in_header *header = (void *)area->init;

	if (area->init_length > sizeof area->init)
		return false;
	header->len = area->init_length;
	return request_shape(area->init, area->init_length, false) == 0 &&
	       header->opcode == FUSE_INIT;
}

/* The kernel copies a request straight into our pages. Killed while one of them had first to be
 * faulted in, we would leave the caller with EIO: the copy must never have to wait. */
static void prepare_buffer(struct transport_area *area)
{
	if (madvise(area, sizeof *area, MADV_POPULATE_WRITE) == 0)
		return;
	/* Before Linux 5.14: by hand. What a former worker left there stays. */
	for (size_t at = 0; at < sizeof *area; at += PAGE_BYTES)
		((volatile uint8_t *)area)[at] = ((volatile uint8_t *)area)[at];
}

int transport_create(int fd, struct transport_area *area, uint32_t poll_usec, struct loop *loop,
		     const struct fuse_lowlevel_ops *ops, size_t ops_size, void *userdata,
		     const struct transport_hooks *hooks, struct transport **out)
{
	char *argv[] = {"mappingfs-worker", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct transport *t = calloc(1, sizeof *t);
	int rc;

	if (!t)
		return -ENOMEM;
	if (area->init_length && !init_is_sound(area)) {
		free(t);
		return -EPROTO;
	}
	*t = (struct transport){.source = {.fd = fd, .ready = transport_ready},
				.loop = loop,
				.area = area,
				.hooks = *hooks};
	prepare_buffer(area);
	spin_init(&t->spin, poll_usec);
	t->session = fuse_session_new(&args, ops, ops_size, userdata);
	fuse_opt_free_args(&args);
	rc = t->session ? fuse_session_custom_io(t->session, &custom_io, fd) : -EINVAL;
	if (rc == 0)
		rc = loop_add(loop, &t->source, EPOLLIN);
	if (rc == 0)
		loop_prefer(loop, &t->source);
	if (rc < 0) {
		transport_destroy(t);
		return rc;
	}
	*out = t;
	return 0;
}

void transport_destroy(struct transport *t)
{
	if (!t)
		return;
	if (t->session)
		fuse_session_destroy(t->session);
	backlog_finish(&t->postponed);
	backlog_finish(&t->backlog);
	free(t);
}

bool transport_extends_setxattr(const struct transport *t)
{
	return t->long_setxattr;
}

struct fuse_session *transport_session(struct transport *t)
{
	return t->session;
}

/* Error of write(2), or 0. */
static int send_small(struct transport *t, uint64_t unique, int error, const void *body,
		      size_t length)
{
	struct {
		struct fuse_out_header header;
		uint8_t body[SMALL_ANSWER - sizeof(struct fuse_out_header)];
	} out;
	size_t total = sizeof out.header + length;

	out.header =
	    (struct fuse_out_header){.len = (uint32_t)total, .error = error, .unique = unique};
	if (length)
		memcpy(out.body, body, length);
	return write(t->source.fd, &out, total) < 0 ? errno : 0;
}

void transport_answer(struct transport *t, uint64_t unique, int error, const void *body,
		      size_t length)
{
	int rc = send_small(t, unique, error, body, error ? 0 : length);

	if (rc && rc != ENOENT)
		log_error("an answer was not taken: %s", strerror(rc));
}

/* Nobody there who wants to know: ENOENT, no matter. */
void transport_notify(struct transport *t, int code, const void *body, size_t length)
{
	send_small(t, 0, code, body, length);
}

/* What the former worker had read and is not sent again by the kernel. */
static void take_over_request(struct transport *t, bool resend_works)
{
	struct fuse_in_header *header = header_of(t);
	bool forget = header->opcode == FUSE_FORGET || header->opcode == FUSE_BATCH_FORGET;

	if (!header->len)
		return;
	if (header->len > sizeof t->area->request || check_shape(t, header, header->len) == -EIO)
		log_error("what the former worker had in hand is no request, and is dropped");
	else if (forget || (!resend_works && header->opcode != FUSE_INIT))
		process(t, t->area->request, header->len, true);
	header->len = 0;
}

int transport_resume(struct transport *t, bool init_was_answered)
{
	struct fuse_out_header resend = {.len = sizeof resend, .error = KERNEL_NOTIFY_RESEND};
	bool works;
	int rc;

	if (!t->area->init_length)
		return 0;
	t->swallow = init_was_answered;
	process_init(t);
	if (!init_was_answered)
		return 0;
	rc = sys->resend(t->source.fd, &resend, sizeof resend);
	works = rc == (int)sizeof resend;
	if (!works)
		log_warn("the kernel cannot send requests again (%s): taking over the one in hand",
			 strerror(-rc));
	take_over_request(t, works);
	t->resuming = t->takes_turns = works;
	if (!works)
		resumed(t);
	return 0;
}
