/* What system tests of objects share: the control protocol spoken by hand (so that a wrong message
 * can be sent as easily as a right one), objects with attributes, views, files to bind. */
#ifndef MAPPINGFS_TESTS_SYS_OBJECTS_H
#define MAPPINGFS_TESTS_SYS_OBJECTS_H

#include <stdint.h>
#include <sys/types.h>

#include "fs/wire.h"
#include "tests/sys/harness.h"

/* A connection to the control socket, or -errno. The caller closes it. */
int control_connect(const char *mnt);
/* Any bytes, any descriptors. 0 or -errno. */
int control_send(int sock, const void *bytes, size_t length, const int *fds, size_t count);
/* Waits up to 10 s. 0 or -errno (-EPIPE: hung up); *fd is the descriptor that came, or -1. */
int control_receive(int sock, struct wire_reply *reply, int *fd);
/* A well-formed request on a connection of its own; the reply's error, 0 or positive, in *reply.
 * Repeated if the connection breaks. -errno if there was no answer. */
int control_call(const char *mnt, const struct wire_request *request, const int *fds, size_t count,
		 struct wire_reply *reply, int *fd);
struct wire_request wire_request_of(enum wire_type type, uint32_t flags, uint64_t size);

/* Creates path, an object in the mount mnt, with WIRE_* flags, as mapctl does: hidden name,
 * CONFIGURE, published without replacing. file_fd: with WIRE_BIND. 0 or -errno. */
int object_create(const char *mnt, const char *path, mode_t mode, uint32_t flags, uint64_t size,
		  int file_fd);
/* The same and fails the test if it does not work. Name is relative to the mount. */
const char *object_make(struct sys *sys, const char *name, uint32_t flags, uint64_t size,
			int file_fd);

/* Status, create, map, remove: fails the test if one does not work. */
void object_check_service(struct sys *sys);

/* A new file of `size` bytes of pattern (each byte its offset modulo 251) beside the mount; the
 * descriptor is O_RDWR. */
int make_plain_file(struct sys *sys, const char *name, size_t size, const char **path);
bool has_pattern(const void *bytes, size_t from, size_t to); /* bytes[from..to) */

/* Opens (flags), maps `length` bytes from 0 and closes: a view without a handle. Fails the test. */
void *view_of(const char *path, int open_flags, size_t length, int protection, int map_flags);
off_t size_of(const char *path); /* -1: not there */
/* Value of a decimal xattr; -1: none. */
long long number_xattr(const char *path, const char *name);
bool text_xattr_is(const char *path, const char *name, const char *expected);

#endif
