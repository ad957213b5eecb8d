/* WATCH: a connection becomes a stream of events. What waits to be read is kept by the socket,
 * whose buffer holds some 250 of them; beyond that they are counted, and the reader is told how
 * many it missed as soon as it has made room. Nothing is allocated for an event, and nothing waits.
 */
#include "fs/control_internal.h"

#include "core/core.h"
#include "core/util.h"
#include "fs/event_line.h"

#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
	WATCHERS_PER_USER = 16, /* root apart: each event is work for the one thread */
	WATCHERS_OF_USERS = 64,
};

struct control_watch {
	int directory; /* owned; -1: everything is told */
	uint64_t lost;
	bool waits; /* for room in the socket */
};

/* --- beginning and end --- */

static bool is_at_limit(const struct control *control, uid_t uid)
{
	size_t mine = 0, users = 0;

	for (const struct control_client *c = control->clients; c; c = c->next) {
		mine += c->watch && c->uid == uid;
		users += c->watch && c->uid != 0;
	}
	return uid != 0 && (mine >= WATCHERS_PER_USER || users >= WATCHERS_OF_USERS);
}

/* The descriptor of the tree that is watched, -1 for everything: 0 or a positive errno and *why. */
static int find_directory(const struct control_client *client,
			  const struct control_request *request, int *directory, const char **why)
{
	uint64_t node = CORE_ROOT_NODE;
	int error = 0;

	*directory = -1;
	if (request->count)
		error = control_object_node(client->control, request->fds[0], &node, why);
	if (error || node == CORE_ROOT_NODE)
		return error;
	*directory = core_watch_directory(client->control->config.core, node);
	if (*directory >= 0)
		return 0;
	*why = *directory == -ENOTDIR ? "only a directory can be watched, with all below it" : NULL;
	return -*directory;
}

int control_watch(struct control_client *client, const struct control_request *request,
		  struct control_answer *answer)
{
	struct control_watch *watch;
	const char *why = NULL;
	int error, directory;

	if (is_at_limit(client->control, client->uid))
		return control_fail(answer, EUSERS,
				    "too many programs of yours watch this mount; end one");
	error = find_directory(client, request, &directory, &why);
	if (error)
		return control_fail(answer, error, "%s", why ? why : strerror(error));
	watch = malloc(sizeof *watch);
	if (!watch) {
		if (directory >= 0)
			close(directory);
		return control_fail(answer, ENOMEM, "no memory left");
	}
	*watch = (struct control_watch){.directory = directory};
	client->watch = watch;
	client->control->watchers++;
	core_observe(client->control->config.core, true);
	return CONTROL_ANSWERED;
}

void control_watch_end(struct control_client *client)
{
	struct control_watch *watch = client->watch;

	if (!watch)
		return;
	client->watch = NULL;
	if (watch->directory >= 0)
		close(watch->directory);
	free(watch);
	if (--client->control->watchers == 0)
		core_observe(client->control->config.core, false);
}

/* --- events --- */

/* A broken connection is not ended here: we are in the middle of whatever happened. */
static bool post(struct control_client *client, const char *line, size_t length)
{
	return send(client->source.fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static void wait_for_room(struct control_client *client)
{
	struct control_watch *watch = client->watch;

	if (!watch->waits && !client->has_reply)
		watch->waits =
		    !loop_change(client->control->config.loop, &client->source, EPOLLIN | EPOLLOUT);
}

static void deliver(struct control_client *client, const char *line, size_t length)
{
	struct control_watch *watch = client->watch;

	if (!watch->lost && !client->has_reply && post(client, line, length))
		return;
	watch->lost++;
	wait_for_room(client);
}

/* One event, and its line for those who watch everything: made when the first of them wants it. */
struct telling {
	struct core *core;
	const struct core_event *event;
	char name[PATH_MAX], from[PATH_MAX];
	char line[WIRE_EVENT_MAX];
	size_t length;
};

static const char *name_for(struct telling *telling, int directory,
			    const struct core_event_name *name, char *room)
{
	return core_event_path(telling->core, telling->event, name, directory, room, PATH_MAX) < 0
		   ? NULL
		   : room;
}

/* False: it is nothing to who watches this directory. */
static bool make_line(struct telling *telling, int directory)
{
	const struct core_event *event = telling->event;
	const char *name = name_for(telling, directory, &event->at, telling->name), *from = NULL;

	if (event->kind == CORE_EVENT_RENAMED)
		from = name_for(telling, directory, &event->from, telling->from);
	if (directory >= 0 && !name && !from)
		return false;
	telling->length =
	    event_line(telling->line, sizeof telling->line, telling->event, name, from);
	return true;
}

static bool may_know(const struct control_client *client, const struct core_event *event)
{
	return client->watch && (client->uid == 0 || client->uid == event->st->st_uid);
}

/* Those who watch everything first: they share one line. */
bool control_event(struct control *control, const struct core_event *event)
{
	static struct telling telling; /* large, and there is one thread */
	bool told = false;

	telling.core = control->config.core;
	telling.event = event;
	telling.length = 0;
	for (struct control_client *c = control->clients; c; c = c->next) {
		if (!may_know(c, event) || c->watch->directory >= 0)
			continue;
		told = true;
		if (telling.length || make_line(&telling, -1))
			deliver(c, telling.line, telling.length);
	}
	for (struct control_client *c = control->clients; c; c = c->next) {
		if (!may_know(c, event) || c->watch->directory < 0 ||
		    !make_line(&telling, c->watch->directory))
			continue;
		told = true;
		deliver(c, telling.line, telling.length);
	}
	return told;
}

static void tell_lost(struct control_client *client)
{
	struct control_watch *watch = client->watch;
	char line[128];

	if (watch->lost &&
	    !post(client, line,
		  event_line_lost(line, sizeof line, watch->lost, clock_ns(CLOCK_REALTIME))))
		return;
	watch->lost = 0;
	watch->waits = false;
	loop_change(client->control->config.loop, &client->source, EPOLLIN);
}

void control_watch_ready(struct control_client *client, uint32_t events)
{
	/* Nothing more is to be said on this connection: it ends, or somebody is confused. */
	if (events & EPOLLIN)
		control_client_disconnect(client);
	else if (events & EPOLLOUT)
		tell_lost(client);
}
