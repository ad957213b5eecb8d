#include "core/util.h"
#include "fs/ops.h"

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct core_caller caller = caller_of(req);
	struct core_opened opened;
	struct core_entry entry;
	int rc =
	    core_create_file(core_of(req), parent, name, mode, fi->flags, &caller, &entry, &opened);

	reply_create(req, rc, &entry, &opened);
}

void op_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	reply_read(req, core_data_fd(core_of(req), node), size, offset);
}

void op_write(fuse_req_t req, fuse_ino_t node, const char *bytes, size_t size, off_t offset,
	      struct fuse_file_info *fi)
{
	(void)fi;
	reply_written(req, core_write(core_of(req), node, bytes, size, offset));
}

/* Nothing waits for close(2) here: one round trip less for every one. */
void op_flush(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	(void)node;
	(void)fi;
	reply_error(req, -ENOSYS);
}

static void fsync_done(void *context, int error)
{
	reply_error(context, error);
}

static void flush_node(fuse_req_t req, fuse_ino_t node)
{
	int rc = core_flush(core_of(req), node, fsync_done, req);

	if (rc != CORE_DEFERRED)
		reply_error(req, rc);
}

void op_fsync(fuse_req_t req, fuse_ino_t node, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	(void)fi;
	flush_node(req, node);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t node, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	(void)fi;
	flush_node(req, node);
}

void op_fallocate(fuse_req_t req, fuse_ino_t node, int mode, off_t offset, off_t length,
		  struct fuse_file_info *fi)
{
	(void)fi;
	reply_error(req, core_fallocate(core_of(req), node, mode, offset, length));
}

void op_lseek(fuse_req_t req, fuse_ino_t node, off_t offset, int whence, struct fuse_file_info *fi)
{
	off_t result = 0;
	int rc = core_seek(core_of(req), node, offset, whence, &result);

	(void)fi;
	reply_offset(req, rc, result);
}
