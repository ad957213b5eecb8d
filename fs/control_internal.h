/* Shared by the files of the control socket's server side. One thread, but for what jobs do.
 *
 * Who keeps what alive: control_create() holds one reference on struct control, every job under way
 * another. A client is referenced by its connection and by the request being worked on: a peer that
 * leaves takes the connection away, not the memory. */
#ifndef MAPPINGFS_FS_CONTROL_INTERNAL_H
#define MAPPINGFS_FS_CONTROL_INTERNAL_H

#include "core/jobs.h"
#include "fs/control.h"
#include "fs/loop.h"
#include "fs/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Descriptors of one user that may wait for being closed before no more are taken from this user.
 */
#define CONTROL_MAX_UNCLOSED 64

struct control_client {
	struct loop_source source;
	struct control *control;
	struct control_client *previous, *next;
	unsigned references;
	bool connected;
	uid_t uid; /* the kernel's word (SO_PEERCRED) */
	gid_t gid;
	bool has_reply; /* not sent yet: the peer does not read */
	struct wire_reply reply;
	int reply_fd;                /* owned, -1: none */
	struct control_watch *watch; /* NULL: it watches nothing */
};

/* What a request is answered with. fd is owned; -1: none. */
struct control_answer {
	int error; /* 0 or a positive errno */
	int fd;
	char text[WIRE_TEXT_MAX];
};

enum { CONTROL_ANSWERED, CONTROL_LATER };

struct control_request {
	struct wire_request wire;
	int fds[WIRE_MAX_FDS]; /* the receiver's: a handler borrows them */
	size_t count;
};

/* One kind of descriptor to close in a job, one job at a time. */
struct control_closer {
	struct job job;
	struct control *control;
	struct control_unclosed {
		int fd;
		uid_t uid;
	} * waiting, *closing;
	size_t waiting_count, closing_count;
	bool running;
};

enum { CLOSER_ORDINARY, CLOSER_SUSPECT, CLOSER_COUNT };

/* A look at all processes, in a job. */
struct control_scan {
	uint16_t type; /* of the request */
	/* On the main thread, right before: 0 or -errno. May be NULL. */
	int (*prepare)(struct control_scan *scan);
	int (*look)(struct control_scan *scan); /* in the job: the answer's descriptor, or -errno */
	void (*release)(struct control_scan *scan); /* frees it */
	/* control_scan.c's */
	struct job job;
	struct control *control;
	struct control_client *client; /* referenced; may be disconnected by now */
	struct control_scan *next;
	int answer; /* descriptor, or -errno */
};

struct control {
	struct control_config config;
	unsigned references;
	bool destroyed;
	struct loop_source listener, retry;
	bool paused;
	bool edge; /* the listener is not listening yet */ /* no descriptor was left to accept with:
							      the retry timer has been started */
	struct control_client *clients;
	size_t client_count;
	uint64_t complained_at;
	uint64_t alone_since; /* no supervisor to hold what is bound; 0: not noticed */
	struct control_scan *scan_first, *scan_last; /* waiting; one runs at a time */
	bool scan_running;
	uid_t scan_uid; /* whose it is, or was last */
	size_t watchers;
	struct control_closer closers[CLOSER_COUNT];
};

struct control *control_ref(struct control *control);
void control_unref(struct control *control);

/* --- control_client.c --- */
void control_client_create(struct control *control, int fd); /* owns fd, also on failure */
struct control_client *control_client_ref(struct control_client *client);
void control_client_unref(struct control_client *client);
void control_client_disconnect(struct control_client *client);
/* Sends it, now or as soon as the peer reads. Takes answer->fd. */
void control_client_answer(struct control_client *client, uint16_t type,
			   struct control_answer *answer);
void control_reply_init(struct wire_reply *reply, uint16_t type, int error, const char *text);

/* --- control_request.c --- */
/* CONTROL_LATER: the handler took a reference on client and answers by itself. */
int control_handle(struct control_client *client, const struct control_request *request,
		   struct control_answer *answer);
int control_fail(struct control_answer *answer, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- control_who.c --- */
int control_who(struct control_client *client, uint64_t node, struct control_answer *answer);

/* --- control_top.c --- */
int control_top(struct control_client *client, const struct control_request *request,
		struct control_answer *answer);

/* --- control_scan.c --- */
/* Queues it, owns it, answers the client when it is done: CONTROL_LATER. */
int control_scan(struct control_client *client, struct control_scan *scan);
void control_scan_finish(struct control *control); /* drops what waits */

/* --- control_watch.c --- */
int control_watch(struct control_client *client, const struct control_request *request,
		  struct control_answer *answer);
void control_watch_ready(struct control_client *client, uint32_t events);
void control_watch_end(struct control_client *client);

/* --- control_fd.c: looking at received descriptors without a request to any file system --- */
/* Both: 0 or a positive errno and *why. */
int control_object_node(const struct control *control, int fd, uint64_t *node, const char **why);
int control_check_external(const struct control *control, int fd, const char **why);
bool control_fd_is_path(int fd);
bool control_fd_is_fuse(int fd);
/* A sealed memory file with the text; -errno. */
int control_text_fd(const char *text);

/* --- control_close.c --- */
void control_close_init(struct control *control);
void control_close_finish(struct control *control);
void control_discard(struct control *control, int fd, uid_t uid); /* owns fd */
bool control_may_take_fds(const struct control *control, uid_t uid);

#endif
