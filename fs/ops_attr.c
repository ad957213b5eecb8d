#include "core/util.h"
#include "fs/ops.h"

#include <stdio.h>
#include <string.h>

#define ATTRIBUTE_MAX (64U << 10) /* XATTR_SIZE_MAX, XATTR_LIST_MAX */

/* A request whose answer comes later. */
struct deferred {
	fuse_req_t req;
	struct core *core;
	uint64_t node;
	size_t size;
};

static struct deferred *defer(fuse_req_t req, fuse_ino_t node, size_t size)
{
	struct deferred *d = malloc(sizeof *d);

	if (d)
		*d =
		    (struct deferred){.req = req, .core = core_of(req), .node = node, .size = size};
	return d;
}

void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct stat st;
	double timeout;
	int rc = core_getattr(core_of(req), node, &st, &timeout);

	(void)fi;
	reply_attr(req, rc, &st, timeout);
}

static unsigned set_mask(int to_set)
{
	static const struct {
		int theirs;
		unsigned ours;
	} map[] = {
	    {FUSE_SET_ATTR_MODE, CORE_SET_MODE},
	    {FUSE_SET_ATTR_UID, CORE_SET_UID},
	    {FUSE_SET_ATTR_GID, CORE_SET_GID},
	    {FUSE_SET_ATTR_SIZE, CORE_SET_SIZE},
	    {FUSE_SET_ATTR_ATIME, CORE_SET_ATIME},
	    {FUSE_SET_ATTR_MTIME, CORE_SET_MTIME},
	    {FUSE_SET_ATTR_ATIME_NOW, CORE_SET_ATIME_NOW},
	    {FUSE_SET_ATTR_MTIME_NOW, CORE_SET_MTIME_NOW},
	};
	unsigned set = 0;

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (to_set & map[i].theirs)
			set |= map[i].ours;
	return set;
}

static void setattr_done(void *context, int error)
{
	struct deferred *d = context;
	struct stat st;
	double timeout = 0;

	if (error == 0)
		error = core_getattr(d->core, d->node, &st, &timeout);
	reply_attr(d->req, error, &st, timeout);
	free(d);
}

void op_setattr(fuse_req_t req, fuse_ino_t node, struct stat *wanted, int to_set,
		struct fuse_file_info *fi)
{
	struct deferred *d = defer(req, node, 0);
	struct stat st;
	double timeout;
	int rc = -ENOMEM;

	(void)fi;
	if (d)
		rc = core_setattr(core_of(req), node, set_mask(to_set), wanted, &st, &timeout,
				  setattr_done, d);
	if (rc == CORE_DEFERRED)
		return;
	free(d);
	reply_attr(req, rc, &st, timeout);
}

void op_statfs(fuse_req_t req, fuse_ino_t node)
{
	struct statvfs st;
	int rc = core_statfs(core_of(req), node, &st);

	reply_statfs(req, rc, &st);
}

void op_setxattr(fuse_req_t req, fuse_ino_t node, const char *name, const char *value, size_t size,
		 int flags)
{
	struct core_caller caller = caller_of(req);

	reply_error(req, core_setxattr(core_of(req), node, name, value, size, flags, &caller));
}

static void views_done(void *context, int count)
{
	struct deferred *d = context;
	char text[16];

	if (count >= 0)
		count = snprintf(text, sizeof text, "%d", count);
	reply_attribute(d->req, text, count, d->size);
	free(d);
}

static void get_views(fuse_req_t req, fuse_ino_t node, size_t size)
{
	struct deferred *d = defer(req, node, size);
	int rc = d ? core_count_views(core_of(req), node, views_done, d) : -ENOMEM;

	if (rc == CORE_DEFERRED)
		return;
	free(d);
	reply_error(req, rc);
}

static void reply_text(fuse_req_t req, char *text, size_t size)
{
	reply_attribute(req, text, text ? (int)strlen(text) : -ENOMEM, size);
	free(text);
}

void op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size)
{
	char *value;

	if (strcmp(name, "user.mapping.status") == 0) {
		reply_text(req, status_text(worker_of(req), fuse_req_ctx(req)->uid), size);
		return;
	}
	if (strcmp(name, "user.mapping.counters") == 0 && fuse_req_ctx(req)->uid == 0) {
		reply_text(req, status_counters_text(worker_of(req)), size);
		return;
	}
	if (strcmp(name, CORE_XATTR_VIEWS) == 0) {
		get_views(req, node, size);
		return;
	}
	value = malloc(ATTRIBUTE_MAX);
	reply_attribute(
	    req, value,
	    value ? core_getxattr(core_of(req), node, name, value, ATTRIBUTE_MAX) : -ENOMEM, size);
	free(value);
}

void op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size)
{
	char *list = malloc(ATTRIBUTE_MAX);

	reply_attribute(req, list,
			list ? core_listxattr(core_of(req), node, list, ATTRIBUTE_MAX) : -ENOMEM,
			size);
	free(list);
}

void op_removexattr(fuse_req_t req, fuse_ino_t node, const char *name)
{
	reply_error(req, core_removexattr(core_of(req), node, name));
}
