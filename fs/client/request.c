/* One request over the control socket. Each has a connection of its own, so that threads share
 * nothing. The supervisor keeps the listening socket: while a worker is replaced connect(2) waits
 * in its backlog, and only a connection that was being served breaks. Requests are idempotent. */
#include "fs/client/internal.h"

#include "core/util.h"
#include "fs/fdpass.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	RETRY_SECONDS = 10,
	ANSWER_SECONDS = 120, /* a whole /proc is read for `who`; a bound file may be grown */
	FIRST_PAUSE_US = 500,
	LONGEST_PAUSE_US = 200000,
};

struct wire_request mapping_wire_request(enum wire_type type)
{
	return (struct wire_request){.magic = WIRE_MAGIC,
				     .version = WIRE_VERSION,
				     .type = (uint16_t)type,
				     .length = sizeof(struct wire_request)};
}

/* Through /proc, since a mount point can be longer than a socket address. */
static int connect_to(const char *path)
{
	AUTO_CLOSE int socket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	AUTO_CLOSE int path_fd = open(path, O_PATH | O_CLOEXEC);
	const struct timeval connecting = {.tv_sec = RETRY_SECONDS};
	const struct timeval answering = {.tv_sec = ANSWER_SECONDS};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (path_fd < 0 || socket_fd < 0)
		return -errno;
	setsockopt(socket_fd, SOL_SOCKET, SO_SNDTIMEO, &connecting, sizeof connecting);
	setsockopt(socket_fd, SOL_SOCKET, SO_RCVTIMEO, &answering, sizeof answering);
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", path_fd);
	while (connect(socket_fd, (const struct sockaddr *)&address, sizeof address) < 0)
		if (errno != EINTR)
			return -errno;
	return steal_fd(&socket_fd);
}

static int receive(int socket_fd, struct wire_reply *reply, int *answer_fd)
{
	int fd = -1;
	size_t count;
	ssize_t got =
	    fdpass_receive(socket_fd, reply, sizeof *reply, 0, &fd, 1, &count, NULL, NULL);

	/* A reset can overtake a last word. */
	if (got == -ECONNRESET)
		got = fdpass_receive(socket_fd, reply, sizeof *reply, MSG_DONTWAIT, &fd, 1, &count,
				     NULL, NULL);
	if (got == -EAGAIN)
		return -ETIMEDOUT;
	if (got <= 0)
		return got ? (int)got : -ECONNRESET;
	if ((size_t)got != sizeof *reply || reply->magic != WIRE_MAGIC ||
	    reply->version != WIRE_VERSION || reply->length != sizeof *reply) {
		if (count)
			close(fd);
		return -EPROTO;
	}
	reply->text[sizeof reply->text - 1] = '\0';
	*answer_fd = count ? fd : -1;
	return 0;
}

/* What one exchange leaves: the descriptors are the caller's on success. */
struct answer {
	struct wire_reply reply;
	int fd;     /* -1: none */
	int socket; /* the connection */
};

static int attempt(const char *path, const struct wire_request *request, const int *fds,
		   size_t count, struct answer *answer)
{
	AUTO_CLOSE int socket_fd = connect_to(path);
	int rc;

	if (socket_fd < 0)
		return socket_fd;
	rc = fdpass_send(socket_fd, request, sizeof *request, 0, fds, count);
	/* Turned away at the door: the reply may say why. */
	if (rc && rc != -EPIPE && rc != -ECONNRESET)
		return rc;
	rc = receive(socket_fd, &answer->reply, &answer->fd);
	if (!rc)
		answer->socket = steal_fd(&socket_fd);
	return rc;
}

static bool is_broken_connection(int rc)
{
	return rc == -ECONNRESET || rc == -ECONNREFUSED || rc == -EPIPE || rc == -EAGAIN;
}

static int fail_to_reach(const struct mapping_mount *mount, int code, struct mapping_error *error)
{
	if (code == EACCES)
		return mapping_fail_errno(error, code, "cannot connect to the control socket");
	if (code == ENOENT)
		return mapping_fail(error, code,
				    "the control socket %s is not there; this needs it: "
				    "make it visible here, or ask from where it is",
				    mount->socket_path);
	if (code == ENOTCONN)
		return mapping_fail_errno(error, code, "cannot ask the file system");
	return mapping_fail(error, code,
			    "the file system does not answer on its control socket: %s; "
			    "look at its log, or mount it again",
			    strerrordesc_np(code));
}

static int ask(const struct mapping_mount *mount, const struct wire_request *request,
	       const int *fds, size_t count, struct answer *answer)
{
	const uint64_t end = clock_ns(CLOCK_MONOTONIC) + RETRY_SECONDS * 1000000000ULL;
	useconds_t pause_us = FIRST_PAUSE_US;
	int rc;

	for (;;) {
		rc = attempt(mount->socket_path, request, fds, count, answer);
		if (!is_broken_connection(rc) || clock_ns(CLOCK_MONOTONIC) >= end)
			return rc;
		usleep(pause_us);
		pause_us = pause_us * 2 < LONGEST_PAUSE_US ? pause_us * 2 : LONGEST_PAUSE_US;
	}
}

/* The reply's text says why, and often what to do after a semicolon. */
static int fail_by_reply(const struct wire_reply *reply, struct mapping_error *error)
{
	const int code = reply->error > 0 ? reply->error : EPROTO;
	const char *name = strerrordesc_np(code);
	const char *todo = strchr(reply->text, ';') ? NULL : mapping_advice(code);

	return mapping_fail(error, code, "%s%s%s%s%s", name ? name : "refused",
			    reply->text[0] ? ": " : "", reply->text, todo ? "; " : "",
			    todo ? todo : "");
}

static int request(const struct mapping_mount *mount, const struct wire_request *wire,
		   const int *fds, size_t count, struct answer *answer, struct mapping_error *error)
{
	int rc;

	*answer = (struct answer){.fd = -1, .socket = -1};
	if (!mount->socket_path)
		return mapping_fail(
		    error, ENOTCONN,
		    "the control socket is not visible here, and this needs it; bind "
		    "MOUNT/.control into this container, or ask outside of it");
	rc = ask(mount, wire, fds, count, answer);
	if (rc)
		return fail_to_reach(mount, -rc, error);
	return answer->reply.error ? fail_by_reply(&answer->reply, error) : 0;
}

int mapping_request(const struct mapping_mount *mount, const struct wire_request *wire,
		    const int *fds, size_t count, int *answer_fd, struct mapping_error *error)
{
	struct answer answer;
	int rc = request(mount, wire, fds, count, &answer, error);

	if (!rc && answer_fd) {
		if (answer.fd < 0)
			rc = mapping_fail(error, EPROTO, "the file system sent no answer");
		else
			*answer_fd = steal_fd(&answer.fd);
	}
	cleanup_close(&answer.fd);
	cleanup_close(&answer.socket);
	return rc;
}

int mapping_request_stream(const struct mapping_mount *mount, const struct wire_request *wire,
			   const int *fds, size_t count, struct mapping_error *error)
{
	const struct timeval forever = {0};
	struct answer answer;
	int rc = request(mount, wire, fds, count, &answer, error);

	cleanup_close(&answer.fd);
	if (rc) {
		cleanup_close(&answer.socket);
		return rc;
	}
	setsockopt(answer.socket, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
	return answer.socket;
}
