/* What each request does, once its shape is known to be right: rights, lookup, answer, change. */
#include "fs/control_internal.h"

#include "core/core.h"
#include "core/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int control_fail(struct control_answer *answer, int error, const char *format, ...)
{
	va_list args;

	answer->error = error;
	va_start(args, format);
	vsnprintf(answer->text, sizeof answer->text, format, args);
	va_end(args);
	return CONTROL_ANSWERED;
}

static int handle_status(struct control_client *client, const struct control_request *request,
			 struct control_answer *answer)
{
	const struct control_config *config = &client->control->config;
	AUTO_FREE char *text = config->status(config->context, client->uid);
	int fd = text ? control_text_fd(text) : -ENOMEM;

	(void)request;
	if (fd < 0)
		return control_fail(answer, -fd, "the answer cannot be prepared: %s",
				    strerror(-fd));
	answer->fd = fd;
	return CONTROL_ANSWERED;
}

static int handle_who(struct control_client *client, const struct control_request *request,
		      struct control_answer *answer)
{
	const char *why = NULL;
	uint64_t node;
	int error = control_object_node(client->control, request->fds[0], &node, &why);

	if (error)
		return control_fail(answer, error, "%s", why);
	return control_who(client, node, answer);
}

static int handle_upgrade(struct control_client *client, const struct control_request *request,
			  struct control_answer *answer)
{
	const struct control_config *config = &client->control->config;
	char text[32];
	int number;

	(void)request;
	if (client->uid != 0 && client->uid != geteuid())
		return control_fail(answer, EPERM, "only root and who mounted it may do that");
	number = config->upgrade ? config->upgrade(config->context) : -EOPNOTSUPP;
	if (number < 0)
		return control_fail(answer, -number, "the supervisor cannot be asked now");
	snprintf(text, sizeof text, "{\"number\": %d}", number);
	answer->fd = control_text_fd(text);
	if (answer->fd < 0)
		return control_fail(answer, -answer->fd, "the answer cannot be prepared");
	return CONTROL_ANSWERED;
}

static struct core_setup setup_of(const struct control_request *request)
{
	const uint32_t flags = request->wire.flags;
	struct core_setup setup = {.type = (enum object_type)request->wire.object_type,
				   .manual = flags & WIRE_MANUAL,
				   .signaled = flags & WIRE_SIGNALED,
				   .kill_on_close = flags & WIRE_KILL_ON_CLOSE,
				   .initial = request->wire.initial,
				   .maximum = request->wire.maximum,
				   .sparse = flags & WIRE_SPARSE,
				   .set_size = flags & WIRE_SET_SIZE,
				   .read_only = flags & WIRE_READ_ONLY,
				   .lifetime = -1,
				   .size = request->wire.size,
				   .file_fd = flags & WIRE_BIND ? request->fds[1] : -1};

	if (flags & WIRE_PERMANENT)
		setup.lifetime = CORE_PERMANENT;
	if (flags & WIRE_TEMPORARY)
		setup.lifetime = CORE_TEMPORARY;
	if (flags & WIRE_HANDLE_BOUND)
		setup.lifetime = CORE_HANDLE_BOUND;
	return setup;
}

#define MOMENT_NS 1000000000ULL

/* Where the supervisor was killed, this worker is about to be, too, or stays alone: in the first
 * case another one is asked soon, if nobody says that it was in vain. */
static bool is_about_to_end(struct control *control)
{
	const uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (!control->alone_since)
		control->alone_since = now;
	return now - control->alone_since < MOMENT_NS;
}

static int handle_configure(struct control_client *client, const struct control_request *request,
			    struct control_answer *answer)
{
	const struct core_caller caller = {.uid = client->uid, .gid = client->gid};
	const struct core_setup setup = setup_of(request);
	struct control *control = client->control;
	const char *why = NULL;
	uint64_t node;
	int error = control_object_node(control, request->fds[0], &node, &why);

	if (!error && setup.file_fd >= 0)
		error = control_check_external(control, setup.file_fd, &why);
	if (!error)
		error = -core_configure(control->config.core, node, &setup, &caller, &why);
	if (error == EPIPE && is_about_to_end(control)) {
		control_client_disconnect(client); /* it tries again */
		return CONTROL_LATER;
	}
	if (error)
		return control_fail(answer, error, "%s", why ? why : strerror(error));
	return CONTROL_ANSWERED;
}

int control_handle(struct control_client *client, const struct control_request *request,
		   struct control_answer *answer)
{
	static int (*const handlers[])(struct control_client *, const struct control_request *,
				       struct control_answer *) = {
	    [WIRE_STATUS] = handle_status,
	    [WIRE_WHO] = handle_who,
	    [WIRE_CONFIGURE] = handle_configure,
	    [WIRE_WATCH] = control_watch,
	    [WIRE_TOP] = control_top,
	    [WIRE_UPGRADE] = handle_upgrade,
	};

	return handlers[request->wire.type](client, request, answer);
}
