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

/* --- error.c --- */

/* Both return -code, for `return`. `what` says what failed; the second adds the errno's
 * text and, where there is one, what to do. */
int mapping_fail(struct mapping_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int mapping_fail_errno(struct mapping_error *error, int code, const char *what);
const char *mapping_advice(int code); /* what to do; NULL: nothing special */

/* --- mountinfo.c: the lines of our type --- */

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

/* --- name.c --- */

/* Opens what name means, wherever it leads inside the mount; a descriptor, or -errno. */
int mapping_open_name(const struct mapping_mount *mount, const char *name, int flags,
		      struct mapping_error *error);
/* The same from a directory of the mount on. */
int mapping_open_at(const struct mapping_mount *mount, int directory, const char *name, int flags,
		    struct mapping_error *error);
/* Opens the directory that name lies in; base[256] is the last component. */
int mapping_open_parent(const struct mapping_mount *mount, const char *name, char *base,
			struct mapping_error *error);
bool mapping_is_path(const char *name);

/* --- kind.c: what a descriptor, O_PATH or not, is of --- */

/* xattr calls and chmod(2) do not take O_PATH descriptors, link(2) takes no descriptor: its name in
 * /proc is as good. */
struct proc_path {
	char text[32];
};
struct proc_path mapping_proc_path(int fd);

struct mapping_kind {
	enum mapping_type type; /* MAPPING_ANY: no object */
	const char *text;       /* "an event", "a directory"; static */
};
int mapping_kind(int fd, struct mapping_kind *out);    /* 0 or -errno */
const char *mapping_type_text(enum mapping_type type); /* "an event" */
/* 0 if it is of this type (any object, for MAPPING_ANY), else -EINVAL, or -EISDIR for a directory:
 * "this is an event, not a mapping". */
int mapping_check_type(int fd, enum mapping_type type, struct mapping_error *error);
bool mapping_is_waitable(int fd);

/* --- object.c --- */

/* The descriptor of a file again, with other flags; -errno. */
int mapping_reopen(int fd, int flags);

/* --- attributes.c --- */

/* 0, or -errno: they can never be right, whatever is there. */
int mapping_check_attributes(const struct mapping_attributes *a, bool is_opened, int open_flags,
			     struct mapping_error *error);
struct wire_request mapping_configuration(const struct mapping_attributes *a);

/* --- wait.c, signal.c: what is said when it cannot be done; all return -code --- */

int mapping_fail_to_wait(int code, struct mapping_error *error);
int mapping_fail_to_signal(int fd, const char *words, int code, struct mapping_error *error);
int mapping_check_timeout(int64_t timeout_ns, struct mapping_error *error);
/* One line, for an object to wait on. */
int mapping_check_words(int fd, const char *words, struct mapping_error *error);
uint64_t mapping_deadline(int64_t timeout_ns); /* as the wire has it */
/* The handle behind a descriptor, as only its holder can tell. */
int mapping_prove(int fd, struct wire_handle *out, struct mapping_error *error);

/* --- request.c --- */

struct wire_request mapping_wire_request(enum wire_type type);
/* Sends one request, again if the connection breaks before the answer. answer_fd may be NULL where
 * none is expected; otherwise *answer_fd is the caller's on success. */
int mapping_request(const struct mapping_mount *mount, const struct wire_request *request,
		    const int *fds, size_t count, int *answer_fd, struct mapping_error *error);
/* The same for a request after which the connection goes on: it is returned. */
int mapping_request_stream(const struct mapping_mount *mount, const struct wire_request *request,
			   const int *fds, size_t count, struct mapping_error *error);

#endif
