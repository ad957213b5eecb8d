#include "fs/request_shape.h"

#include "core/util.h"
#include "fs/kernel.h"

#ifndef FUSE_TMPFILE
#define FUSE_TMPFILE 51
#endif

/* Memory is taken for an answer of any size asked for; kernels ask for a MiB at most, as INIT's
 * answer says. */
#define READ_MAX (16U << 20)

/* What follows the body. */
enum tail {
	TAIL_ANY, /* nothing that is read */
	TAIL_NAME,
	TAIL_TWO_NAMES,
	TAIL_SYMLINK, /* a name, and what it leads to */
	TAIL_ATTRIBUTE,
	TAIL_SETXATTR, /* the attribute's name and value */
	TAIL_READ,     /* nothing, but it says how much the answer may be */
	TAIL_WRITE,
	TAIL_IOCTL,
	TAIL_FORGETS,
};

struct shape {
	bool known;
	uint8_t body; /* bytes at least */
	uint8_t tail;
};

#define SHAPE(size, what)                                                                          \
	{                                                                                          \
		.known = true, .body = (size), .tail = (what)                                      \
	}
#define BODY(type, what) SHAPE(sizeof(struct type), what)

static const struct shape shapes[] = {
    [FUSE_LOOKUP] = SHAPE(0, TAIL_NAME),
    [FUSE_FORGET] = BODY(fuse_forget_in, TAIL_ANY),
    [FUSE_GETATTR] = BODY(fuse_getattr_in, TAIL_ANY),
    [FUSE_SETATTR] = BODY(fuse_setattr_in, TAIL_ANY),
    [FUSE_READLINK] = SHAPE(0, TAIL_ANY),
    [FUSE_SYMLINK] = SHAPE(0, TAIL_SYMLINK),
    [FUSE_MKNOD] = BODY(fuse_mknod_in, TAIL_NAME),
    [FUSE_MKDIR] = BODY(fuse_mkdir_in, TAIL_NAME),
    [FUSE_UNLINK] = SHAPE(0, TAIL_NAME),
    [FUSE_RMDIR] = SHAPE(0, TAIL_NAME),
    [FUSE_RENAME] = BODY(fuse_rename_in, TAIL_TWO_NAMES),
    [FUSE_LINK] = BODY(fuse_link_in, TAIL_NAME),
    [FUSE_OPEN] = BODY(fuse_open_in, TAIL_ANY),
    [FUSE_READ] = BODY(fuse_read_in, TAIL_READ),
    [FUSE_WRITE] = BODY(fuse_write_in, TAIL_WRITE),
    [FUSE_STATFS] = SHAPE(0, TAIL_ANY),
    [FUSE_RELEASE] = BODY(fuse_release_in, TAIL_ANY),
    [FUSE_FSYNC] = BODY(fuse_fsync_in, TAIL_ANY),
    [FUSE_SETXATTR] = SHAPE(FUSE_COMPAT_SETXATTR_IN_SIZE, TAIL_SETXATTR),
    [FUSE_GETXATTR] = BODY(fuse_getxattr_in, TAIL_ATTRIBUTE),
    [FUSE_LISTXATTR] = BODY(fuse_getxattr_in, TAIL_ANY),
    [FUSE_REMOVEXATTR] = SHAPE(0, TAIL_ATTRIBUTE),
    [FUSE_FLUSH] = BODY(fuse_flush_in, TAIL_ANY),
    [FUSE_INIT] = SHAPE(offsetof(struct fuse_init_in, flags2), TAIL_ANY), /* it grew since */
    [FUSE_OPENDIR] = BODY(fuse_open_in, TAIL_ANY),
    [FUSE_READDIR] = BODY(fuse_read_in, TAIL_READ),
    [FUSE_RELEASEDIR] = BODY(fuse_release_in, TAIL_ANY),
    [FUSE_FSYNCDIR] = BODY(fuse_fsync_in, TAIL_ANY),
    [FUSE_GETLK] = BODY(fuse_lk_in, TAIL_ANY),
    [FUSE_SETLK] = BODY(fuse_lk_in, TAIL_ANY),
    [FUSE_SETLKW] = BODY(fuse_lk_in, TAIL_ANY),
    [FUSE_ACCESS] = BODY(fuse_access_in, TAIL_ANY),
    [FUSE_CREATE] = BODY(fuse_create_in, TAIL_NAME),
    [FUSE_INTERRUPT] = BODY(fuse_interrupt_in, TAIL_ANY),
    [FUSE_BMAP] = BODY(fuse_bmap_in, TAIL_ANY),
    [FUSE_DESTROY] = SHAPE(0, TAIL_ANY),
    [FUSE_IOCTL] = BODY(fuse_ioctl_in, TAIL_IOCTL),
    [FUSE_POLL] = BODY(fuse_poll_in, TAIL_ANY),
    [FUSE_BATCH_FORGET] = BODY(fuse_batch_forget_in, TAIL_FORGETS),
    [FUSE_FALLOCATE] = BODY(fuse_fallocate_in, TAIL_ANY),
    [FUSE_READDIRPLUS] = BODY(fuse_read_in, TAIL_READ),
    [FUSE_RENAME2] = BODY(fuse_rename2_in, TAIL_TWO_NAMES),
    [FUSE_LSEEK] = BODY(fuse_lseek_in, TAIL_ANY),
    [FUSE_COPY_FILE_RANGE] = BODY(fuse_copy_file_range_in, TAIL_ANY),
    [FUSE_TMPFILE] = BODY(fuse_create_in, TAIL_ANY), /* and a name that means nothing */
};

/* What is left of a request. */
struct rest {
	const char *at;
	size_t left;
};

/* A string that ends inside of the request; NULL: there is none. */
static const char *take_text(struct rest *rest)
{
	const char *text = rest->at;
	size_t length = strnlen(text, rest->left);

	if (length == rest->left)
		return NULL;
	rest->at += length + 1;
	rest->left -= length + 1;
	return text;
}

static bool take_name(struct rest *rest)
{
	const char *name = take_text(rest);

	return name && is_component(name);
}

static bool take_attribute(struct rest *rest)
{
	const char *name = take_text(rest);

	return name && name[0];
}

static bool has_tail(enum tail tail, const void *body, struct rest rest)
{
	switch (tail) {
	case TAIL_NAME:
		return take_name(&rest);
	case TAIL_TWO_NAMES:
		return take_name(&rest) && take_name(&rest);
	case TAIL_SYMLINK:
		return take_name(&rest) && take_text(&rest);
	case TAIL_ATTRIBUTE:
		return take_attribute(&rest);
	case TAIL_SETXATTR:
		return take_attribute(&rest) &&
		       ((const struct fuse_setxattr_in *)body)->size <= rest.left;
	case TAIL_READ:
		return ((const struct fuse_read_in *)body)->size <= READ_MAX;
	case TAIL_WRITE:
		return ((const struct fuse_write_in *)body)->size <= rest.left;
	case TAIL_IOCTL:
		return ((const struct fuse_ioctl_in *)body)->in_size <= rest.left;
	case TAIL_FORGETS:
		return ((const struct fuse_batch_forget_in *)body)->count <=
		       rest.left / sizeof(struct fuse_forget_one);
	default:
		return true;
	}
}

/* libfuse looks for its handler in an array that goes to CUSE_INIT, of which we have none; of
 * NOTIFY_REPLY it forgets the request. We ask for nothing that is answered so. */
static int shape_of(uint32_t opcode, bool long_setxattr, struct shape *out)
{
	if (opcode >= ARRAY_SIZE(shapes) || !shapes[opcode].known)
		return -ENOSYS;
	*out = shapes[opcode];
	if (opcode == FUSE_SETXATTR && long_setxattr)
		out->body = sizeof(struct fuse_setxattr_in);
	return 0;
}

int request_shape(const void *bytes, size_t length, bool long_setxattr)
{
	const struct fuse_in_header *header = bytes;
	const char *body = (const char *)(header + 1);
	struct shape shape;
	struct rest rest;
	int rc;

	if (length < sizeof *header || header->len != length)
		return -EIO;
	rc = shape_of(header->opcode, long_setxattr, &shape);
	if (rc < 0)
		return rc;
	if (length - sizeof *header < shape.body)
		return -EIO;
	rest = (struct rest){.at = body + shape.body, .left = length - sizeof *header - shape.body};
	return has_tail(shape.tail, body, rest) ? 0 : -EIO;
}

bool request_has_answer(const void *bytes, size_t length)
{
	const struct fuse_in_header *header = bytes;

	if (length < sizeof *header || !header->unique)
		return false;
	return header->opcode != FUSE_FORGET && header->opcode != FUSE_BATCH_FORGET &&
	       header->opcode != FUSE_INTERRUPT && header->opcode != FUSE_NOTIFY_REPLY;
}
