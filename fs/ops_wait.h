/* Requests on objects to wait on, and interrupts: answered past libfuse. */
#ifndef MAPPINGFS_FS_OPS_WAIT_H
#define MAPPINGFS_FS_OPS_WAIT_H

#include "core/core.h"

#include <stdbool.h>
#include <stddef.h>

struct worker;
struct fuse_in_header;

/* True if the request was one of these, and has been answered or will be. arg: what follows the
 * header, `room` bytes. */
bool ops_wait(struct worker *worker, const struct fuse_in_header *in, const void *arg, size_t room);

/* Changes wait until everybody who waited stands in line again. */
bool ops_wait_postpone(void *worker, const void *request, size_t length);

/* For core_listener; context is the worker. */
void ops_waited(void *context, const struct core_waited *waited);
void ops_poll_changed(void *context, uint64_t poll);

#endif
