/* The INIT exchange: what libfuse 3.14 does not know is added to its answer. Pure: no I/O. */
#ifndef MAPPINGFS_FS_HANDSHAKE_H
#define MAPPINGFS_FS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does the kernel that sent this INIT request (header included) offer passthrough? */
bool handshake_offers_passthrough(const void *request, size_t length);

/* Does it send fuse_setxattr_in in its longer form, once the answer has been completed? */
bool handshake_extends_setxattr(const void *request, size_t length);

/* Does it send requests again that a worker left unanswered? */
bool handshake_sends_again(const void *request, size_t length);

/* Completes libfuse's INIT answer (the bytes after the header). */
void handshake_complete(const void *request, size_t length, void *answer, size_t answer_length,
			bool passthrough);

#endif
