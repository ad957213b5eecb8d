#include "fs/ops_raw.h"

#include "core/util.h"
#include "fs/kernel.h"
#include "fs/reply.h"
#include "fs/worker.h"

/* FUSE_TMPFILE, Linux 6.2: a fuse_create_in, the directory as node. */
static void op_tmpfile(struct worker *worker, const struct fuse_in_header *in,
		       const struct fuse_create_in *arg)
{
	struct core_caller caller = {.uid = in->uid, .gid = in->gid, .umask = arg->umask};
	char bytes[REPLY_CREATE_MAX];
	struct core_opened opened;
	struct core_entry entry;
	size_t size = 0;
	int rc = core_tmpfile(worker->core, in->nodeid, arg->mode, (int)arg->flags, &caller, &entry,
			      &opened);

	if (rc == 0)
		size = reply_create_bytes(bytes, &entry, &opened);
	transport_answer(worker->transport, in, rc, bytes, size);
}

bool ops_raw(void *context, const void *request, size_t length)
{
	const struct fuse_in_header *in = request;

	if (in->opcode != FUSE_TMPFILE || length < sizeof *in + sizeof(struct fuse_create_in))
		return false;
	op_tmpfile(context, in, (const void *)(in + 1));
	return true;
}
