/* /dev/fuse bytes in and out. Requests are read into the state area, so that the next worker finds
 * what this one held in its hands; libfuse parses them and calls the ops.
 *
 * A new worker feeds the recorded INIT to libfuse and swallows the answer, then asks the kernel to
 * send again what was read and not answered (FUSE_NOTIFY_RESEND, Linux 6.9). */
#ifndef MAPPINGFS_FS_TRANSPORT_H
#define MAPPINGFS_FS_TRANSPORT_H

#include "fs/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRANSPORT_BUFFER_SIZE ((1U << 20) + (64U << 10)) /* max_write and its header */
#define TRANSPORT_MAX_WRITE   (1U << 20)
#define TRANSPORT_INIT_MAX    4096

/* The transport's part of the state area. */
struct transport_area {
	uint32_t init_length; /* of the recorded INIT request; 0: none yet */
	uint32_t reserved;
	uint8_t init[TRANSPORT_INIT_MAX];
	_Alignas(4096) uint8_t request[TRANSPORT_BUFFER_SIZE];
};

struct fuse_session;
struct fuse_lowlevel_ops;

struct transport_hooks {
	/* Before libfuse sees the first INIT: decide the mode. False: cannot go on. */
	bool (*decide)(void *context, bool offered);
	bool (*passthrough)(void *context);
	void (*begin)(void *context, uint64_t unique, bool resent, uint32_t uid, uint32_t pid);
	/* A request sent again that must not be carried out before all of them have been taken. */
	bool (*postpone)(void *context, const void *request, size_t length);
	/* A request libfuse may not know: true if it was answered (through transport_answer()). */
	bool (*raw)(void *context, const void *request, size_t length);
	void (*answered_init)(void *context);
	/* All requests that a former worker left have been taken. */
	void (*resumed)(void *context);
	void (*ended)(void *context); /* the file system is unmounted */
	void *context;
};

struct transport;

/* -EPROTO: what a former worker left of INIT is none. */
int transport_create(int fd, struct transport_area *area, uint32_t poll_usec, struct loop *loop,
		     const struct fuse_lowlevel_ops *ops, size_t ops_size, void *userdata,
		     const struct transport_hooks *hooks, struct transport **out);
void transport_destroy(struct transport *transport);
/* Takes up where a former worker stood, if there was one. */
int transport_resume(struct transport *transport, bool init_was_answered);
struct fuse_session *transport_session(struct transport *transport);
/* Does the kernel send fuse_setxattr_in in its longer form? */
bool transport_extends_setxattr(const struct transport *transport);
/* Answers a raw request by its number as it came. error: 0 or -errno; body, at most 240 bytes, only
 * without error. */
void transport_answer(struct transport *transport, uint64_t unique, int error, const void *body,
		      size_t length);
/* A notification: code is one of enum fuse_notify_code. */
void transport_notify(struct transport *transport, int code, const void *body, size_t length);

#endif
