/* Is a request from /dev/fuse whole? libfuse reads bodies, names and counts as they say themselves,
 * without a look at how many bytes there are: so that is looked at before. Pure: no I/O; fuzzed.
 *
 * The kernel sends nothing else. But a request can also be one that lay in the hands of a former
 * worker, which may have been taken over. */
#ifndef MAPPINGFS_FS_REQUEST_SHAPE_H
#define MAPPINGFS_FS_REQUEST_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bytes[length] as read, header included; long_setxattr: the kernel sends fuse_setxattr_in in its
 * longer form. 0, or -EIO: it is not whole; -ENOSYS: no such request can be. */
int request_shape(const void *bytes, size_t length, bool long_setxattr);

/* Is there anything in it that an answer could be addressed to, and does it have one? */
bool request_has_answer(const void *bytes, size_t length);

#endif
