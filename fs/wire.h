/* The control protocol: one SOCK_SEQPACKET message a request, one a reply, on the socket `.control`
 * in the root of the mount. Fixed-size, native-endian structs (both ends are on one machine);
 * authority comes with descriptors and SO_PEERCRED, never with a path, pid or uid in the message.
 *
 * Every request is idempotent (of UPGRADE: one that is running is joined): a client whose
 * connection breaks before the answer (the worker died) connects again and repeats it. */
#ifndef MAPPINGFS_FS_WIRE_H
#define MAPPINGFS_FS_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define WIRE_MAGIC       0x4353464dU /* "MFSC" */
#define WIRE_VERSION     2
#define WIRE_MAX_REQUEST 512 /* a longer message is refused with EMSGSIZE */
#define WIRE_MAX_FDS     2
#define WIRE_TEXT_MAX    256
#define WIRE_EVENT_MAX   (64 << 10) /* a line of WATCH: two names of a path each, escaped */

enum wire_type {
	WIRE_STATUS = 1,    /* no fd; answer: JSON descriptor */
	WIRE_WHO = 2,       /* fd 0: the object, O_PATH; answer: JSON descriptor */
	WIRE_CONFIGURE = 3, /* fd 0: the object, O_PATH: an unnamed empty file of the peer's, made
			     * by open(O_TMPFILE | O_WRONLY) and not opened otherwise (or by
			     * mknod(2), never opened); fd 1 with WIRE_BIND: the external file. */
	WIRE_WATCH = 4, /* no fd, or fd 0: a directory, O_PATH, to be told of that tree only (of the
			 * root: everything, also what has no name). After
			 * the reply the connection carries events: one message each, a line of
			 * JSON. Only objects of the peer's, or all for root. */
	WIRE_TOP = 5,   /* no fd; answer: JSON descriptor: all objects in use that the peer owns,
			 * or all for root, with views counted in one look at /proc */
	WIRE_UPGRADE = 6, /* no fd; answer: JSON descriptor with the number that the status will
			   * tell the result under. Root and who mounted only. */
};

/* wire_request.flags, CONFIGURE only */
enum {
	WIRE_BIND = 1 << 0,      /* back it by fd 1 */
	WIRE_SPARSE = 1 << 1,    /* charge pages as they come (memory-backed only) */
	WIRE_SET_SIZE = 1 << 2,  /* `size` is meant; else 0 (memory) or the file's size (bound) */
	WIRE_TEMPORARY = 1 << 3, /* lifetime: else WIRE_PERMANENT or the mount's default */
	WIRE_PERMANENT = 1 << 4,
	WIRE_READ_ONLY = 1 << 5, /* bound object is read-only even if fd 1 may write */
	WIRE_HANDLE_BOUND = 1 << 6,
	WIRE_MANUAL = 1 << 7,        /* event, timer: stays signaled; else auto-reset */
	WIRE_SIGNALED = 1 << 8,      /* event: signaled from the start */
	WIRE_KILL_ON_CLOSE = 1 << 9, /* job */
	WIRE_FLAGS_ALL = (1 << 10) - 1,
};

struct wire_request {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t length; /* of the whole message: sizeof(struct wire_request) */
	uint32_t flags;
	uint64_t
	    size; /* bytes; refused with EINVAL if 0 with WIRE_SET_SIZE, EFBIG above INT64_MAX */
	uint32_t object_type;      /* enum object_type */
	uint32_t initial, maximum; /* semaphore: initial <= maximum, 1 <= maximum <= INT32_MAX */
	uint32_t reserved;         /* 0 */
};

/* Waiting for several objects is an ioctl(2) on a descriptor of any of them: a kernel request, so
 * that signals interrupt it and it outlives the worker. The others are named by their handles,
 * which only who has the descriptor can ask for. */
struct wire_handle {
	uint64_t handle, key;
};

#define WIRE_WAIT_MAX 64

enum { WIRE_WAIT_ALL = 1 << 0 }; /* all together or none; else any */

struct wire_wait {
	uint32_t index;  /* out: which one; with WIRE_WAIT_ALL an abandoned one, if any was */
	uint32_t result; /* out: enum wait_result */
	uint32_t count;  /* 1 to WIRE_WAIT_MAX */
	uint32_t flags;
	uint64_t deadline; /* CLOCK_MONOTONIC ns; UINT64_MAX: none; past: try once (ETIMEDOUT) */
	struct wire_handle handles[WIRE_WAIT_MAX]; /* all 0: the descriptor of the ioctl itself */
};

/* Changes one object and waits for the one whose descriptor it is called on: one request instead of
 * two. The change is made once, and stays made if the wait is interrupted or timed out. */
struct wire_signal_wait {
	uint32_t index, result;    /* out, as wire_wait; index is 0 */
	struct wire_handle signal; /* open for writing */
	uint64_t deadline;         /* as wire_wait */
	uint32_t length;           /* of words, at most sizeof words */
	char words[36];            /* one line, as for write(2) */
};

#define WIRE_IOC_HANDLE      _IOR('M', 1, struct wire_handle)
#define WIRE_IOC_WAIT        _IOWR('M', 2, struct wire_wait)
#define WIRE_IOC_SIGNAL_WAIT _IOWR('M', 3, struct wire_signal_wait)

/* A reply with error 0 to STATUS, WHO, TOP and UPGRADE carries one descriptor: a sealed memfd with
 * the JSON text.
 */
struct wire_reply {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t length;
	int32_t error;            /* 0 or a positive errno */
	char text[WIRE_TEXT_MAX]; /* what and why, NUL-terminated; empty without error */
};

/* Checks shape and version of a received request: 0, or a positive errno and *why (a static
 * string). Pure: no I/O; fuzzed. `fds` is how many descriptors came with it. */
int wire_check_request(const void *bytes, size_t length, size_t fds, struct wire_request *out,
		       const char **why);

#endif
