#include "fs/ops_raw.h"

#include "core/util.h"
#include "fs/kernel.h"
#include "fs/ops_wait.h"
#include "fs/reply.h"
#include "fs/worker.h"

/* FUSE_TMPFILE, Linux 6.2: a fuse_create_in, the directory as node. */
static void op_tmpfile(struct worker *worker, const struct fuse_in_header *in,
		       const struct fuse_create_in *arg)
{
	struct core_caller caller = {
	    .uid = in->uid, .gid = in->gid, .umask = arg->umask, .pid = (pid_t)in->pid};
	char bytes[REPLY_CREATE_MAX];
	struct core_opened opened;
	struct core_entry entry;
	size_t size = 0;
	int rc = core_tmpfile(worker->core, in->nodeid, arg->mode, (int)arg->flags, &caller, &entry,
			      &opened);

	if (rc == 0)
		size = reply_create_bytes(bytes, &entry, &opened);
	transport_answer(worker->transport, in->unique, rc, bytes, size);
}

static void op_raw_open(struct worker *worker, const struct fuse_in_header *in,
			const struct fuse_open_in *arg)
{
	char bytes[REPLY_OPEN_MAX];
	struct core_opened opened;
	size_t size = 0;
	int rc = core_open(worker->core, in->nodeid, (int)arg->flags, &opened);

	if (rc == 0)
		size = reply_open_bytes(bytes, &opened);
	transport_answer(worker->transport, in->unique, rc, bytes, size);
}

static void op_raw_release(struct worker *worker, const struct fuse_in_header *in,
			   const struct fuse_release_in *arg)
{
	core_release(worker->core, in->nodeid, arg->fh);
	transport_answer(worker->transport, in->unique, 0, NULL, 0);
}

bool ops_raw(void *context, const void *request, size_t length)
{
	const struct fuse_in_header *in = request;
	size_t room = length - sizeof *in;

	switch (in->opcode) {
	case FUSE_TMPFILE:
		if (room < sizeof(struct fuse_create_in))
			return false;
		op_tmpfile(context, in, (const void *)(in + 1));
		return true;
	case FUSE_OPEN:
		if (room < sizeof(struct fuse_open_in))
			return false;
		op_raw_open(context, in, (const void *)(in + 1));
		return true;
	case FUSE_RELEASE:
		if (room < sizeof(struct fuse_release_in))
			return false;
		op_raw_release(context, in, (const void *)(in + 1));
		return true;
	case FUSE_SETXATTR:
		return ops_setxattr(context, in, in + 1, room);
	default:
		return ops_wait(context, in, in + 1, room);
	}
}
