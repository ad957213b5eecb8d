/* The listening socket: who may connect, and what happens when no descriptor is left. */
#include "fs/control_internal.h"

#include "core/log.h"
#include "core/util.h"
#include "fs/fdpass.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#define COMPLAIN_AFTER (60 * 1000000000ULL)

enum {
	ACCEPTS_AT_ONCE = 16,
	RETRY_MS = 100,
	/* Of users together: root gets in when they have used up all connections. */
	MAX_CLIENTS_OF_USERS = CONTROL_MAX_CLIENTS - CONTROL_MAX_CLIENTS / 8,
};

struct control *control_ref(struct control *control)
{
	control->references++;
	return control;
}

void control_unref(struct control *control)
{
	if (--control->references)
		return;
	free(control);
}

uint32_t control_connections(const struct control *control, uid_t uid)
{
	uint32_t count = 0;

	for (const struct control_client *c = control ? control->clients : NULL; c; c = c->next)
		count += c->uid == uid;
	return count;
}

/* Root and the worker's own user are limited by what there is only. */
static bool is_at_limit(struct control *control, int fd)
{
	struct ucred peer = {0};
	socklen_t length = sizeof peer;
	uint32_t limit = control->config.user_connections;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.uid == 0 ||
	    peer.uid == geteuid())
		return control->client_count >= CONTROL_MAX_CLIENTS;
	if (control->client_count >= MAX_CLIENTS_OF_USERS)
		return true;
	if (!limit || control_connections(control, peer.uid) < limit)
		return false;
	if (!control->complained_at || now - control->complained_at > COMPLAIN_AFTER) {
		log_warn("user %u has reached the limit of connections (user_connections=)",
			 peer.uid);
		control->complained_at = now;
	}
	return true;
}

/* Owns fd. A request that is there already is read away, or close(2) would reset the connection
 * before the peer has seen the reply. */
static void turn_away(int fd)
{
	struct wire_reply reply;
	char byte;

	control_reply_init(&reply, 0, EMFILE,
			   "too many connections to the control socket; close some, or try later");
	fdpass_send(fd, &reply, sizeof reply, MSG_DONTWAIT, NULL, 0);
	while (recv(fd, &byte, 1, MSG_DONTWAIT) > 0)
		continue;
	close(fd);
}

static void pause_accepting(struct control *control)
{
	const struct itimerspec when = {.it_value.tv_nsec = RETRY_MS * 1000000L};

	if (!control->paused)
		log_warn("control socket: cannot accept: %s; trying again", strerror(errno));
	control->paused = true;
	if (!loop_change(control->config.loop, &control->listener, 0))
		timerfd_settime(control->retry.fd, 0, &when, NULL);
}

/* A socket that does not listen yet looks hung up, for as long as that lasts: be told of changes
 * only. */
static void wait_for_listen(struct control *control)
{
	if (!control->edge)
		loop_change(control->config.loop, &control->listener, EPOLLIN | EPOLLET);
	control->edge = true;
}

static void listening(struct control *control)
{
	if (control->edge)
		loop_change(control->config.loop, &control->listener, EPOLLIN);
	control->edge = false;
	control->paused = false;
}

static void on_connection(struct loop_source *source, uint32_t events)
{
	struct control *control = CONTAINER_OF(source, struct control, listener);

	(void)events;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && errno == ECONNABORTED)
			continue;
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			    errno == ENOBUFS)
				pause_accepting(control);
			else if (errno == EINVAL)
				wait_for_listen(control);
			return;
		}
		listening(control);
		if (is_at_limit(control, fd))
			turn_away(fd);
		else
			control_client_create(control, fd);
	}
}

static void on_retry(struct loop_source *source, uint32_t events)
{
	struct control *control = CONTAINER_OF(source, struct control, retry);
	uint64_t expirations;

	(void)events;
	if (read(source->fd, &expirations, sizeof expirations) < 0)
		return;
	loop_change(control->config.loop, &control->listener, EPOLLIN);
}

static int watch(struct control *control)
{
	struct loop *loop = control->config.loop;
	int rc = loop_add(loop, &control->retry, EPOLLIN);

	if (rc)
		return rc;
	rc = loop_add(loop, &control->listener, EPOLLIN);
	if (rc)
		loop_remove(loop, &control->retry);
	return rc;
}

int control_create(const struct control_config *config, struct control **out)
{
	AUTO_CLOSE int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	AUTO_FREE struct control *control = calloc(1, sizeof *control);
	int rc;

	if (timer < 0)
		return -errno;
	if (!control)
		return -ENOMEM;
	control->config = *config;
	control->references = 1;
	control->listener = (struct loop_source){.fd = config->listen_fd, .ready = on_connection};
	control->retry = (struct loop_source){.fd = timer, .ready = on_retry};
	control_close_init(control);
	rc = watch(control);
	if (rc)
		return rc;
	steal_fd(&timer);
	*out = control;
	control = NULL;
	return 0;
}

void control_destroy(struct control *control)
{
	if (!control)
		return;
	control->destroyed = true;
	while (control->clients)
		control_client_disconnect(control->clients);
	control_scan_finish(control);
	control_close_finish(control);
	loop_remove(control->config.loop, &control->listener);
	loop_remove(control->config.loop, &control->retry);
	close(control->retry.fd);
	control_unref(control);
}
