/* What the kernel believes of an object that ended by itself. Its name is given out with no time to
 * live, so nothing wrong is ever believed; this makes it prompt, and lets the kernel forget.
 *
 * FUSE_NOTIFY_DELETE and _INVAL_ENTRY are not used: they take the directory's lock, whose holder
 * may wait for an answer of ours. A thread that waits there for it cannot even be killed. */
#define FUSE_USE_VERSION 314
#include "core/sys.h"
#include "core/util.h"
#include "fs/kernel.h"
#include "fs/worker.h"

#include <fuse3/fuse_lowlevel.h>

/* Lets go of unused names of an inode. Older kernels do it when they need the memory. */
static void prune(struct worker *worker, uint64_t node)
{
	struct {
		struct fuse_out_header header;
		struct kernel_notify_prune prune;
		uint64_t node;
	} message = {.header = {.len = sizeof message, .error = KERNEL_NOTIFY_PRUNE},
		     .prune = {.count = 1},
		     .node = node};

	sys->prune(worker->fuse_fd, &message, sizeof message);
}

void notify_name_gone(void *context, uint64_t parent, uint64_t node, const char *name)
{
	struct worker *worker = context;
	struct fuse_session *session = transport_session(worker->transport);

	(void)name;
	fuse_lowlevel_notify_inval_inode(session, node, -1, 0);
	if (parent)
		fuse_lowlevel_notify_inval_inode(session, parent, 0, 0);
	prune(worker, node);
}

/* Its name went earlier, when the kernel had a use for it yet. */
void notify_unused(void *context, uint64_t node)
{
	prune(context, node);
}
