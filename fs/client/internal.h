/* Shared by the files of the client library. */
#ifndef MAPPINGFS_CLIENT_INTERNAL_H
#define MAPPINGFS_CLIENT_INTERNAL_H

#include "fs/client/mapping.h"
#include "fs/wire.h"

#include <stddef.h>
#include <sys/stat.h>

struct mapping_mount {
	int root_fd; /* O_PATH directory: the root, or the directory of it that is visible */
	uint32_t device_major, device_minor;
	char *path;
	char *socket_path; /* NULL: not visible from here */
};

/* Both return -code, for `return`. `what` says what failed; the second adds the errno's
 * text and, where there is one, what to do. */
int mapping_fail(struct mapping_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int mapping_fail_errno(struct mapping_error *error, int code, const char *what);
const char *mapping_advice(int code); /* what to do; NULL: nothing special */

/* One line of mountinfo of type fuse.mappingfs. */
struct mount_line {
	uint64_t id;
	uint32_t device_major, device_minor;
	char *root, *point;
};

struct mount_lines {
	struct mount_line *lines;
	size_t count;
};

int mount_lines_read(const char *path, struct mount_lines *out);
void mount_lines_finish(struct mount_lines *lines);

/* Opens what name means, wherever it leads inside the mount; a descriptor, or -errno. */
int mapping_open_name(const struct mapping_mount *mount, const char *name, int flags,
		      struct mapping_error *error);
/* Opens the directory that name lies in; base[256] is the last component. */
int mapping_open_parent(const struct mapping_mount *mount, const char *name, char *base,
			struct mapping_error *error);
bool mapping_is_path(const char *name);

/* Sends one request, again if the connection breaks before the answer. answer_fd may be NULL where
 * none is expected; otherwise *answer_fd is the caller's on success. */
int mapping_request(const struct mapping_mount *mount, const struct wire_request *request,
		    const int *fds, size_t count, int *answer_fd, struct mapping_error *error);
struct wire_request mapping_wire_request(enum wire_type type, uint32_t flags, uint64_t size);

#endif
