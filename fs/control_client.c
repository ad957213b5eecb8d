/* One connection: at most one request is worked on, at most one reply waits to be read by the peer;
 * until then nothing more is received from it. */
#include "fs/control_internal.h"

#include "core/util.h"
#include "fs/fdpass.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct control_client *control_client_ref(struct control_client *client)
{
	client->references++;
	return client;
}

void control_client_unref(struct control_client *client)
{
	if (--client->references)
		return;
	free(client);
}

void control_client_disconnect(struct control_client *client)
{
	struct control *control = client->control;

	if (!client->connected)
		return;
	client->connected = false;
	control_watch_end(client);
	loop_remove(control->config.loop, &client->source);
	close(client->source.fd);
	if (client->reply_fd >= 0)
		close(client->reply_fd);
	client->reply_fd = -1;
	if (client->previous)
		client->previous->next = client->next;
	else
		control->clients = client->next;
	if (client->next)
		client->next->previous = client->previous;
	control->client_count--;
	control_client_unref(client);
}

void control_reply_init(struct wire_reply *reply, uint16_t type, int error, const char *text)
{
	memset(reply, 0, sizeof *reply);
	reply->magic = WIRE_MAGIC;
	reply->version = WIRE_VERSION;
	reply->type = type;
	reply->length = sizeof *reply;
	reply->error = error;
	snprintf(reply->text, sizeof reply->text, "%s", text);
}

static void send_reply(struct control_client *client)
{
	struct loop *loop = client->control->config.loop;
	int rc = fdpass_send(client->source.fd, &client->reply, sizeof client->reply, MSG_DONTWAIT,
			     &client->reply_fd, client->reply_fd >= 0 ? 1 : 0);

	if (rc == -EAGAIN) {
		client->has_reply = true;
		rc = loop_change(loop, &client->source, EPOLLOUT);
	} else if (!rc) {
		client->has_reply = false;
		if (client->reply_fd >= 0)
			close(client->reply_fd);
		client->reply_fd = -1;
		rc = loop_change(loop, &client->source, EPOLLIN);
	}
	if (rc)
		control_client_disconnect(client);
}

void control_client_answer(struct control_client *client, uint16_t type,
			   struct control_answer *answer)
{
	if (!client->connected) {
		if (answer->fd >= 0)
			close(answer->fd);
		return;
	}
	control_reply_init(&client->reply, type, answer->error, answer->text);
	client->reply_fd = answer->fd;
	send_reply(client);
}

struct discard_context {
	struct control *control;
	uid_t uid;
};

static void discard(void *context, int fd)
{
	const struct discard_context *from = context;

	control_discard(from->control, fd, from->uid);
}

static int receive_error(int error, bool takes_fds, struct control_answer *answer)
{
	switch (error) {
	case EMSGSIZE:
		return control_fail(answer, error, "the message is too long");
	case EMFILE:
		return control_fail(answer, error,
				    "the file system has no descriptor left; try again later");
	case E2BIG:
		if (!takes_fds)
			return control_fail(answer, EBUSY,
					    "files you sent before are still being closed; "
					    "try again when their file system answers");
		return control_fail(answer, error, "too many descriptors in the message");
	default:
		return -1;
	}
}

/* False: nothing to answer, the connection is over or nothing was there. */
static bool receive(struct control_client *client, struct control_answer *answer, uint16_t *type)
{
	struct discard_context from = {.control = client->control, .uid = client->uid};
	const bool takes_fds = control_may_take_fds(client->control, client->uid);
	struct control_request request = {0};
	char bytes[WIRE_MAX_REQUEST];
	const char *why;
	ssize_t got;
	int rc;

	got = fdpass_receive(client->source.fd, bytes, sizeof bytes, MSG_DONTWAIT, request.fds,
			     takes_fds ? WIRE_MAX_FDS : 0, &request.count, discard, &from);
	if (got == -EAGAIN)
		return false;
	if (got <= 0 && (!got || receive_error((int)-got, takes_fds, answer) < 0)) {
		control_client_disconnect(client);
		return false;
	}
	if (got < 0)
		return true;
	rc = wire_check_request(bytes, (size_t)got, request.count, &request.wire, &why);
	*type = request.wire.type;
	if (rc)
		rc = control_fail(answer, rc, "%s", why);
	else
		rc = control_handle(client, &request, answer);
	for (size_t i = 0; i < request.count; i++)
		control_discard(client->control, request.fds[i], client->uid);
	return rc != CONTROL_LATER;
}

static void on_ready(struct loop_source *source, uint32_t events)
{
	struct control_client *client = CONTAINER_OF(source, struct control_client, source);
	struct control_answer answer = {.fd = -1};
	uint16_t type = 0;

	if (events & (EPOLLHUP | EPOLLERR)) {
		control_client_disconnect(client);
		return;
	}
	if (client->has_reply) {
		send_reply(client);
		return;
	}
	if (client->watch) {
		control_watch_ready(client, events);
		return;
	}
	control_client_ref(client);
	/* Nothing is asked of the peer while its request is worked on; its end is told in any case.
	 */
	if (receive(client, &answer, &type))
		control_client_answer(client, type, &answer);
	control_client_unref(client);
}

void control_client_create(struct control *control, int fd)
{
	struct control_client *client = calloc(1, sizeof *client);
	struct ucred peer = {0};
	socklen_t length = sizeof peer;

	if (!client || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) {
		free(client);
		close(fd);
		return;
	}
	*client = (struct control_client){.source = {.fd = fd, .ready = on_ready},
					  .control = control,
					  .references = 1,
					  .connected = true,
					  .uid = peer.uid,
					  .gid = peer.gid,
					  .reply_fd = -1};
	if (loop_add(control->config.loop, &client->source, EPOLLIN)) {
		free(client);
		close(fd);
		return;
	}
	client->next = control->clients;
	if (client->next)
		client->next->previous = client;
	control->clients = client;
	control->client_count++;
}
