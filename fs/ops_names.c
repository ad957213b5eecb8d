#include "core/util.h"
#include "fs/ops.h"

#include <limits.h>

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct core_entry entry;
	int rc = core_lookup(core_of(req), parent, name, &entry);

	reply_lookup(req, rc, &entry);
}

void op_forget(fuse_req_t req, fuse_ino_t node, uint64_t count)
{
	core_forget(core_of(req), node, count);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		core_forget(core_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

void op_readlink(fuse_req_t req, fuse_ino_t node)
{
	char target[PATH_MAX + 1];
	int length = core_readlink(core_of(req), node, target, PATH_MAX);

	if (length >= 0)
		target[length] = '\0';
	reply_string(req, length, target);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct core_caller caller = caller_of(req);
	struct core_entry entry;
	int rc = core_mknod(core_of(req), parent, name, mode, &caller, &entry);

	(void)rdev; /* devices are refused */
	reply_entry(req, rc, &entry);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct core_caller caller = caller_of(req);
	struct core_entry entry;
	int rc = core_mkdir(core_of(req), parent, name, mode, &caller, &entry);

	reply_entry(req, rc, &entry);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_error(req, core_unlink(core_of(req), parent, name));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_error(req, core_rmdir(core_of(req), parent, name));
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct core_caller caller = caller_of(req);
	struct core_entry entry;
	int rc = core_symlink(core_of(req), parent, name, target, &caller, &entry);

	reply_entry(req, rc, &entry);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned flags)
{
	reply_error(req, core_rename(core_of(req), parent, name, new_parent, new_name, flags));
}

void op_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t parent, const char *name)
{
	struct core_entry entry;
	int rc = core_link(core_of(req), node, parent, name, &entry);

	reply_entry(req, rc, &entry);
}

/* Reading a directory needs no handle: the kernel stops asking for one. */
void op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	(void)node;
	(void)fi;
	reply_error(req, -ENOSYS);
}

struct listing {
	fuse_req_t req;
	char *buffer;
	size_t used, size;
};

static bool add_name(void *context, const char *name, ino_t ino, mode_t type, off_t next)
{
	struct listing *l = context;
	struct stat st = {.st_ino = ino, .st_mode = type};
	size_t need =
	    fuse_add_direntry(l->req, l->buffer + l->used, l->size - l->used, name, &st, next);

	if (need > l->size - l->used)
		return false;
	l->used += need;
	return true;
}

void op_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset,
		struct fuse_file_info *fi)
{
	struct listing l = {.req = req, .buffer = malloc(size), .size = size};
	int rc = l.buffer ? core_readdir(core_of(req), node, offset, add_name, &l) : -ENOMEM;

	(void)fi;
	reply_bytes(req, l.buffer, rc < 0 ? rc : (int)l.used);
	free(l.buffer);
}
