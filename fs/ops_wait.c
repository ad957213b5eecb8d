#include "fs/ops_wait.h"

#include "core/util.h"
#include "fs/kernel.h"
#include "fs/wire.h"
#include "fs/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 32

/* A wait's cookie says how it is answered: the size of a read, or 0 for the ioctl. */
#define COOKIE_IOCTL 0ULL

static void answer(struct worker *worker, uint64_t unique, int error, const void *body,
		   size_t length)
{
	transport_answer(worker->transport, unique, error, body, length);
}

/* "acquired\n" from `offset` on, at most `size` bytes of it. */
static void answer_line(struct worker *worker, uint64_t unique, uint64_t handle, int error,
			enum wait_result result, uint64_t offset, uint64_t size)
{
	char line[LINE_MAX_BYTES];
	uint64_t length = (uint64_t)snprintf(line, sizeof line, "%s\n", wait_result_name(result));

	if (offset > length)
		offset = length;
	if (size > length - offset)
		size = length - offset;
	if (!error)
		core_line_left(worker->core, handle, offset + size < length);
	answer(worker, unique, error, line + offset, size);
}

static void answer_ioctl(struct worker *worker, const struct core_waited *waited)
{
	struct {
		struct fuse_ioctl_out out;
		uint32_t index, result; /* the beginning of struct wire_wait */
	} body = {.index = waited->index, .result = waited->result};

	_Static_assert(offsetof(struct wire_wait, result) == 4, "index and result come first");
	answer(worker, waited->unique, waited->error, &body, sizeof body);
}

void ops_waited(void *context, const struct core_waited *waited)
{
	if (waited->cookie == COOKIE_IOCTL)
		answer_ioctl(context, waited);
	else
		answer_line(context, waited->unique, waited->handle, waited->error, waited->result,
			    0, waited->cookie);
}

void ops_poll_changed(void *context, uint64_t poll)
{
	const struct fuse_notify_poll_wakeup_out out = {.kh = poll};

	transport_notify(((struct worker *)context)->transport, FUSE_NOTIFY_POLL, &out, sizeof out);
}

static void end_wait(struct worker *worker, int rc, struct core_waited *waited)
{
	if (rc == CORE_DEFERRED)
		return;
	waited->error = rc;
	ops_waited(worker, waited);
}

/* A wait is a read at offset 0; reading on gives the rest of its line, and then the end. */
static bool op_read_wait(struct worker *worker, const struct fuse_in_header *in,
			 const struct fuse_read_in *arg)
{
	struct core_waited waited = {.unique = in->unique, .cookie = arg->size};

	enum wait_result last;

	if (!arg->fh)
		return false;
	if (arg->offset && core_waited_last(worker->core, arg->fh, &last))
		answer_line(worker, in->unique, arg->fh, 0, last, arg->offset, arg->size);
	else if (arg->offset || !arg->size)
		answer(worker, in->unique, 0, NULL, 0);
	else
		end_wait(worker,
			 core_wait(worker->core, in->nodeid, arg->fh, !(arg->flags & O_NONBLOCK),
				   &waited),
			 &waited);
	return true;
}

static bool op_write_words(struct worker *worker, const struct fuse_in_header *in,
			   const struct fuse_write_in *arg, size_t room)
{
	const struct core_caller caller = {.uid = in->uid, .gid = in->gid, .pid = (pid_t)in->pid};
	struct fuse_write_out out = {0};
	int rc;

	if (!arg->fh)
		return false;
	if (arg->size > room - sizeof *arg) {
		answer(worker, in->unique, -EIO, NULL, 0);
		return true;
	}
	rc = core_signal(worker->core, in->nodeid, arg->fh, (const char *)(arg + 1), arg->size,
			 &caller);
	out.size = rc < 0 ? 0 : (uint32_t)rc;
	answer(worker, in->unique, rc < 0 ? rc : 0, &out, sizeof out);
	return true;
}

/* Mapping objects are always ready, as files are. */
static bool op_poll(struct worker *worker, const struct fuse_in_header *in,
		    const struct fuse_poll_in *arg)
{
	struct fuse_poll_out out = {.revents = POLLOUT | POLLWRNORM};
	int rc = 1;

	if (arg->fh)
		rc = core_poll(worker->core, in->nodeid, arg->fh, arg->kh,
			       arg->flags & FUSE_POLL_SCHEDULE_NOTIFY);
	if (rc > 0)
		out.revents |= POLLIN | POLLRDNORM;
	answer(worker, in->unique, rc < 0 ? rc : 0, &out, sizeof out);
	return true;
}

static void ioctl_handle(struct worker *worker, const struct fuse_in_header *in,
			 const struct fuse_ioctl_in *arg)
{
	struct core_handle_proof proof;
	struct {
		struct fuse_ioctl_out out;
		struct wire_handle handle;
	} body = {0};
	int rc = arg->out_size < sizeof body.handle
		     ? -EINVAL
		     : core_handle_proof(worker->core, arg->fh, &proof);

	if (rc == 0)
		body.handle = (struct wire_handle){.handle = proof.handle, .key = proof.key};
	answer(worker, in->unique, rc, &body, sizeof body);
}

/* The structure may be sent with only as many handles as there are. */
static int unpack_wait(struct core *core, const struct fuse_ioctl_in *arg,
		       const struct wire_wait *wire, size_t room, struct core_handle_proof *proofs,
		       struct core_wait_many *out)
{
	size_t size = arg->in_size < room ? arg->in_size : room;

	if (size < offsetof(struct wire_wait, handles) || arg->out_size < 2 * sizeof(uint32_t))
		return -EINVAL;
	if (wire->count > WIRE_WAIT_MAX ||
	    size < offsetof(struct wire_wait, handles) + wire->count * sizeof wire->handles[0] ||
	    (wire->flags & ~(uint32_t)WIRE_WAIT_ALL))
		return -EINVAL;
	for (uint32_t i = 0; i < wire->count; i++) {
		proofs[i] = (struct core_handle_proof){.handle = wire->handles[i].handle,
						       .key = wire->handles[i].key};
		if (!proofs[i].handle && !proofs[i].key &&
		    core_handle_proof(core, arg->fh, &proofs[i]) < 0)
			return -EBADF;
	}
	*out = (struct core_wait_many){.handles = proofs,
				       .count = wire->count,
				       .all = wire->flags & WIRE_WAIT_ALL,
				       .deadline = wire->deadline};
	return 0;
}

static void ioctl_wait(struct worker *worker, const struct fuse_in_header *in,
		       const struct fuse_ioctl_in *arg, size_t room)
{
	struct core_waited waited = {.unique = in->unique, .cookie = COOKIE_IOCTL};
	struct core_handle_proof proofs[WIRE_WAIT_MAX];
	struct core_wait_many many;
	int rc = unpack_wait(worker->core, arg, (const void *)(arg + 1), room, proofs, &many);

	_Static_assert(WIRE_WAIT_MAX == CORE_WAIT_MAX, "one limit");
	if (rc == 0)
		rc = core_wait_many(worker->core, &many, &waited);
	end_wait(worker, rc, &waited);
}

static struct core_handle_proof signal_proof(const struct wire_signal_wait *wire)
{
	return (struct core_handle_proof){.handle = wire->signal.handle, .key = wire->signal.key};
}

static void ioctl_signal_wait(struct worker *worker, const struct fuse_in_header *in,
			      const struct fuse_ioctl_in *arg, size_t room)
{
	const struct core_caller caller = {.uid = in->uid, .gid = in->gid, .pid = (pid_t)in->pid};
	const struct wire_signal_wait *wire = (const void *)(arg + 1);
	struct core_waited waited = {.unique = in->unique, .cookie = COOKIE_IOCTL};
	int rc = -EINVAL;

	if (room >= sizeof *wire && arg->in_size == sizeof *wire && arg->out_size == sizeof *wire &&
	    wire->length <= sizeof wire->words) {
		const struct core_signal_wait request = {.signal = signal_proof(wire),
							 .words = wire->words,
							 .length = wire->length,
							 .node = in->nodeid,
							 .handle = arg->fh,
							 .deadline = wire->deadline};
		rc = core_signal_wait(worker->core, &request, &caller, &waited);
	}
	end_wait(worker, rc, &waited);
}

static bool op_ioctl(struct worker *worker, const struct fuse_in_header *in,
		     const struct fuse_ioctl_in *arg, size_t room)
{
	if (!arg->fh)
		return false;
	if (_IOC_TYPE(arg->cmd) != _IOC_TYPE(WIRE_IOC_WAIT))
		answer(worker, in->unique, -ENOTTY, NULL, 0);
	else if (_IOC_NR(arg->cmd) == _IOC_NR(WIRE_IOC_HANDLE))
		ioctl_handle(worker, in, arg);
	else if (_IOC_NR(arg->cmd) == _IOC_NR(WIRE_IOC_WAIT))
		ioctl_wait(worker, in, arg, room - sizeof *arg);
	else if (_IOC_NR(arg->cmd) == _IOC_NR(WIRE_IOC_SIGNAL_WAIT))
		ioctl_signal_wait(worker, in, arg, room - sizeof *arg);
	else
		answer(worker, in->unique, -ENOTTY, NULL, 0);
	return true;
}

static bool is_due_signal_wait(struct worker *worker, const struct fuse_in_header *in,
			       const struct fuse_ioctl_in *arg, size_t room)
{
	const struct wire_signal_wait *wire = (const void *)(arg + 1);
	struct core_handle_proof signal;

	if (room < sizeof *arg + sizeof *wire || !arg->fh ||
	    _IOC_NR(arg->cmd) != _IOC_NR(WIRE_IOC_SIGNAL_WAIT))
		return false;
	signal = signal_proof(wire);
	return core_signal_wait_is_due(worker->core, &signal, in->unique);
}

bool ops_wait_postpone(void *worker, const void *request, size_t length)
{
	const struct fuse_in_header *in = request;
	const struct fuse_write_in *arg = (const void *)(in + 1);
	size_t room = length - sizeof *in;

	if (in->opcode == FUSE_IOCTL)
		return is_due_signal_wait(worker, in, (const void *)arg, room);
	return in->opcode == FUSE_WRITE && room >= sizeof *arg && arg->fh;
}

bool ops_wait(struct worker *worker, const struct fuse_in_header *in, const void *arg, size_t room)
{
	const struct fuse_interrupt_in *interrupt = arg;

	switch (in->opcode) {
	case FUSE_READ:
		return room >= sizeof(struct fuse_read_in) && op_read_wait(worker, in, arg);
	case FUSE_WRITE:
		return room >= sizeof(struct fuse_write_in) &&
		       op_write_words(worker, in, arg, room);
	case FUSE_POLL:
		return room >= sizeof(struct fuse_poll_in) && op_poll(worker, in, arg);
	case FUSE_IOCTL:
		return room >= sizeof(struct fuse_ioctl_in) && op_ioctl(worker, in, arg, room);
	case FUSE_INTERRUPT: /* has no answer */
		return room >= sizeof *interrupt &&
		       core_interrupt(worker->core, interrupt->unique & ~KERNEL_UNIQUE_RESEND);
	default:
		return false;
	}
}
