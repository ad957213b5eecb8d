/* WHO: root and the object's owner see every holder, others the processes of their own uid. */
#include "fs/control_internal.h"

#include "core/core.h"
#include "core/inspect.h"
#include "core/util.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct control_who {
	struct control_scan scan;
	ino_t ino;
	bool sees_all;
	uid_t uid;
};

/* A process may call itself anything; JSON must be UTF-8. */
static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);
	char plain[64];
	size_t i;

	if (json)
		return json;
	for (i = 0; text[i] && i < sizeof plain - 1; i++)
		plain[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	plain[i] = '\0';
	return json_string(plain);
}

static json_t *handle_json(const struct inspect_use *use)
{
	char access[3];

	snprintf(access, sizeof access, "%s%s", use->access & INSPECT_READ ? "r" : "",
		 use->access & INSPECT_WRITE ? "w" : "");
	return json_pack("{s:i, s:s}", "fd", use->fd, "access", access);
}

static json_t *view_json(const struct inspect_use *use)
{
	const char access[] = {use->access & INSPECT_READ ? 'r' : '-',
			       use->access & INSPECT_WRITE ? 'w' : '-',
			       use->access & INSPECT_EXEC ? 'x' : '-',
			       use->access & INSPECT_PRIVATE ? 'p' : 's', '\0'};

	return json_pack("{s:I, s:I, s:I, s:s}", "start", (json_int_t)use->start, "end",
			 (json_int_t)use->end, "offset", (json_int_t)use->offset, "access", access);
}

static json_t *holder_json(const struct inspect_holder *holder)
{
	json_t *handles = json_array(), *views = json_array();

	for (size_t i = 0; i < holder->count; i++) {
		const struct inspect_use *use = &holder->uses[i];

		if (use->view)
			json_array_append_new(views, view_json(use));
		else
			json_array_append_new(handles, handle_json(use));
	}
	return json_pack("{s:i, s:i, s:I, s:o*, s:o, s:o}", "pid", holder->pid, "ns_pid",
			 holder->ns_pid, "uid", (json_int_t)holder->uid, "command",
			 text_json(holder->command), "handles", handles, "views", views);
}

static json_t *result_json(const struct control_who *who, const struct inspect_result *result)
{
	json_t *holders = json_array();
	size_t hidden = 0;

	for (size_t i = 0; i < result->count; i++) {
		if (who->sees_all || result->holders[i].uid == who->uid)
			json_array_append_new(holders, holder_json(&result->holders[i]));
		else
			hidden++;
	}
	return json_pack("{s:o, s:I, s:I, s:I, s:I}", "holders", holders, "handles",
			 (json_int_t)result->handles, "views", (json_int_t)result->views, "hidden",
			 (json_int_t)hidden, "unreadable", (json_int_t)result->unreadable);
}

static int look(struct control_scan *scan)
{
	struct control_who *who = CONTAINER_OF(scan, struct control_who, scan);
	const struct control_config *config = &scan->control->config;
	struct inspect_result result;
	AUTO_FREE char *text = NULL;
	json_t *json;
	int rc = inspect_scan(config->device_major, config->device_minor, who->ino, true, &result);

	if (rc == 0) {
		json = result_json(who, &result);
		text = json ? json_dumps(json, JSON_COMPACT) : NULL;
		json_decref(json);
		rc = text ? control_text_fd(text) : -ENOMEM;
	}
	inspect_finish(&result);
	return rc;
}

static void release(struct control_scan *scan)
{
	free(CONTAINER_OF(scan, struct control_who, scan));
}

int control_who(struct control_client *client, uint64_t node, struct control_answer *answer)
{
	struct control *control = client->control;
	struct control_who *who;
	uid_t owner;
	ino_t ino;
	int rc;

	rc = core_owner(control->config.core, node, &owner);
	if (!rc)
		rc = core_inode_number(control->config.core, node, &ino);
	if (rc)
		return control_fail(answer, -rc, "the object is gone: %s", strerror(-rc));
	who = calloc(1, sizeof *who);
	if (!who)
		return control_fail(answer, ENOMEM, "no memory left");
	*who = (struct control_who){.scan = {.type = WIRE_WHO, .look = look, .release = release},
				    .ino = ino,
				    .sees_all = client->uid == 0 || client->uid == owner,
				    .uid = client->uid};
	return control_scan(client, &who->scan);
}
