#include "fs/reply.h"

#include "core/util.h"
#include "fs/kernel.h"

#include <string.h>

#define NEGATIVE_TIMEOUT 86400.0 /* absent names, too, come only through this kernel */

void reply_error(fuse_req_t req, int error)
{
	fuse_reply_err(req, -error);
}

static struct fuse_entry_param entry_param(const struct core_entry *entry)
{
	return (struct fuse_entry_param){
	    .ino = entry->node,
	    .generation = 0, /* the node number has it */
	    .attr = entry->st,
	    .attr_timeout = entry->attr_timeout,
	    .entry_timeout = entry->entry_timeout,
	};
}

void reply_entry(fuse_req_t req, int error, const struct core_entry *entry)
{
	struct fuse_entry_param param;

	if (error) {
		fuse_reply_err(req, -error);
		return;
	}
	param = entry_param(entry);
	fuse_reply_entry(req, &param);
}

void reply_lookup(fuse_req_t req, int error, const struct core_entry *entry)
{
	struct fuse_entry_param absent = {.entry_timeout = NEGATIVE_TIMEOUT};

	if (error == -ENOENT)
		fuse_reply_entry(req, &absent);
	else
		reply_entry(req, error, entry);
}

void reply_attr(fuse_req_t req, int error, const struct stat *st, double timeout)
{
	if (error)
		fuse_reply_err(req, -error);
	else
		fuse_reply_attr(req, st, timeout);
}

static struct kernel_open_out open_out(const struct core_opened *opened)
{
	struct kernel_open_out out = {0};

	out.fh = opened->handle;
	if (opened->backing_id) {
		out.open_flags = KERNEL_OPEN_PASSTHROUGH;
		out.backing_id = (int32_t)opened->backing_id;
		if (opened->direct)
			out.open_flags |= FOPEN_DIRECT_IO; /* views pass through all the same */
	} else if (opened->direct) {
		out.open_flags = FOPEN_DIRECT_IO;
	} else if (opened->keep_cache) {
		out.open_flags = FOPEN_KEEP_CACHE;
	}
	return out;
}

/* libfuse 3.14 cannot say "passthrough": the answer is built as the kernel wants it. */
size_t reply_open_bytes(void *buffer, const struct core_opened *opened)
{
	struct kernel_open_out out = open_out(opened);

	_Static_assert(sizeof out <= REPLY_OPEN_MAX, "callers' buffers are that large");
	memcpy(buffer, &out, sizeof out);
	return sizeof out;
}

static void split_time(double seconds, uint64_t *whole, uint32_t *nanoseconds)
{
	*whole = (uint64_t)seconds;
	*nanoseconds = (uint32_t)((seconds - (double)*whole) * 1e9);
}

static struct fuse_attr kernel_attr(const struct stat *st)
{
	return (struct fuse_attr){
	    .ino = st->st_ino,
	    .size = (uint64_t)st->st_size,
	    .blocks = (uint64_t)st->st_blocks,
	    .atime = (uint64_t)st->st_atim.tv_sec,
	    .mtime = (uint64_t)st->st_mtim.tv_sec,
	    .ctime = (uint64_t)st->st_ctim.tv_sec,
	    .atimensec = (uint32_t)st->st_atim.tv_nsec,
	    .mtimensec = (uint32_t)st->st_mtim.tv_nsec,
	    .ctimensec = (uint32_t)st->st_ctim.tv_nsec,
	    .mode = st->st_mode,
	    .nlink = (uint32_t)st->st_nlink,
	    .uid = st->st_uid,
	    .gid = st->st_gid,
	    .rdev = (uint32_t)st->st_rdev,
	    .blksize = (uint32_t)st->st_blksize,
	};
}

struct create_out {
	struct fuse_entry_out entry;
	struct kernel_open_out open;
};
_Static_assert(sizeof(struct create_out) <= REPLY_CREATE_MAX, "callers' buffers are that large");

size_t reply_create_bytes(void *buffer, const struct core_entry *entry,
			  const struct core_opened *opened)
{
	struct create_out out = {0};

	out.entry.nodeid = entry->node;
	split_time(entry->entry_timeout, &out.entry.entry_valid, &out.entry.entry_valid_nsec);
	split_time(entry->attr_timeout, &out.entry.attr_valid, &out.entry.attr_valid_nsec);
	out.entry.attr = kernel_attr(&entry->st);
	out.open = open_out(opened);
	memcpy(buffer, &out, sizeof out);
	return sizeof out;
}

void reply_create(fuse_req_t req, int error, const struct core_entry *entry,
		  const struct core_opened *opened)
{
	char bytes[REPLY_CREATE_MAX];

	if (error)
		fuse_reply_err(req, -error);
	else
		fuse_reply_buf(req, bytes, reply_create_bytes(bytes, entry, opened));
}

void reply_written(fuse_req_t req, int count)
{
	if (count < 0)
		fuse_reply_err(req, -count);
	else
		fuse_reply_write(req, (size_t)count);
}

void reply_bytes(fuse_req_t req, const void *bytes, int count)
{
	if (count < 0)
		fuse_reply_err(req, -count);
	else
		fuse_reply_buf(req, bytes, (size_t)count);
}

void reply_string(fuse_req_t req, int error, const char *text)
{
	if (error < 0)
		fuse_reply_err(req, -error);
	else
		fuse_reply_readlink(req, text);
}

void reply_read(fuse_req_t req, int fd, size_t size, off_t offset)
{
	struct fuse_bufvec vec = FUSE_BUFVEC_INIT(size);

	if (fd < 0) {
		fuse_reply_err(req, -fd);
		return;
	}
	vec.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	vec.buf[0].fd = fd;
	vec.buf[0].pos = offset;
	fuse_reply_data(req, &vec, FUSE_BUF_NO_SPLICE);
}

void reply_offset(fuse_req_t req, int error, off_t offset)
{
	if (error)
		fuse_reply_err(req, -error);
	else
		fuse_reply_lseek(req, offset);
}

void reply_statfs(fuse_req_t req, int error, const struct statvfs *st)
{
	if (error)
		fuse_reply_err(req, -error);
	else
		fuse_reply_statfs(req, st);
}

void reply_attribute(fuse_req_t req, const char *value, int length, size_t size)
{
	if (length < 0)
		fuse_reply_err(req, -length);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)length);
	else if ((size_t)length > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, value, (size_t)length);
}
