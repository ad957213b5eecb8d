/* SETXATTR as kernels from 5.13 on send it (FUSE_SETXATTR_EXT), which libfuse 3.14 cannot read: it
 * says whether an access control list takes a set-group-ID bit away, which depends on the caller's
 * groups. */
#include "fs/ops_raw.h"

#include "fs/kernel.h"
#include "fs/worker.h"

#include <string.h>

bool ops_setxattr(struct worker *worker, const struct fuse_in_header *in, const void *body,
		  size_t room)
{
	const struct fuse_setxattr_in *arg = body;
	struct core_caller caller = {.uid = in->uid, .gid = in->gid, .pid = (pid_t)in->pid};
	const char *name = (const char *)(arg + 1);
	size_t length;
	int flags;

	if (!transport_extends_setxattr(worker->transport))
		return false;
	if (room < sizeof *arg)
		return false;
	room -= sizeof *arg;
	length = strnlen(name, room);
	if (length == room || arg->size > room - length - 1)
		return false;
	flags = (int)arg->flags;
	if (arg->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID)
		flags |= CORE_XATTR_KILL_SGID;
	transport_answer(worker->transport, in->unique,
			 core_setxattr(worker->core, in->nodeid, name, name + length + 1, arg->size,
				       flags, &caller),
			 NULL, 0);
	return true;
}
