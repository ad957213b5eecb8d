/* Requests answered without libfuse: one that 3.14 does not know, and the two that a caller waits
 * for most, where its bookkeeping of requests in flight would be felt. */
#ifndef MAPPINGFS_FS_OPS_RAW_H
#define MAPPINGFS_FS_OPS_RAW_H

#include <stdbool.h>
#include <stddef.h>

bool ops_raw(void *worker, const void *request, size_t length);

struct fuse_in_header;
struct worker;

/* ops_setxattr.c: false: libfuse reads it */
bool ops_setxattr(struct worker *worker, const struct fuse_in_header *in, const void *body,
		  size_t room);

#endif
