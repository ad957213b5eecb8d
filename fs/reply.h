/* The only place that answers libfuse, and the one that flips the sign of errors. */
#ifndef MAPPINGFS_FS_REPLY_H
#define MAPPINGFS_FS_REPLY_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include "core/core.h"

#include <fuse3/fuse_lowlevel.h>

void reply_error(fuse_req_t req, int error); /* 0 or -errno */
void reply_entry(fuse_req_t req, int error, const struct core_entry *entry);
void reply_lookup(fuse_req_t req, int error,
		  const struct core_entry *entry); /* ENOENT may be kept */
void reply_attr(fuse_req_t req, int error, const struct stat *st, double timeout);
void reply_create(fuse_req_t req, int error, const struct core_entry *entry,
		  const struct core_opened *opened);
/* The answers' bytes for requests that go past libfuse. Return their length. */
#define REPLY_OPEN_MAX 16
size_t reply_open_bytes(void *buffer, const struct core_opened *opened);
#define REPLY_CREATE_MAX 160
size_t reply_create_bytes(void *buffer, const struct core_entry *entry,
			  const struct core_opened *opened);
void reply_written(fuse_req_t req, int count);                  /* or -errno */
void reply_bytes(fuse_req_t req, const void *bytes, int count); /* or -errno */
void reply_string(fuse_req_t req, int error, const char *text);
void reply_read(fuse_req_t req, int fd, size_t size, off_t offset); /* fd or -errno */
void reply_offset(fuse_req_t req, int error, off_t offset);
void reply_statfs(fuse_req_t req, int error, const struct statvfs *st);
/* An extended attribute or list: size 0 asks only for the length. */
void reply_attribute(fuse_req_t req, const char *value, int length, size_t size);

#endif
