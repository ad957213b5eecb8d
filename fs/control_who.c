/* WHO: /proc is read in a job, one at a time, because the pool's threads are wanted for flushing;
 * the others queue. root and the object's owner see every holder, others the processes of their own
 * uid. */
#include "fs/control_internal.h"

#include "core/core.h"
#include "core/inspect.h"
#include "core/util.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct control_who {
	struct job job;
	struct control *control;
	struct control_client *client; /* referenced; may be disconnected by now */
	struct control_who *next;
	ino_t ino;
	bool sees_all;
	uid_t uid;
	int answer; /* descriptor, or -errno */
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

static void run(struct job *job)
{
	struct control_who *who = CONTAINER_OF(job, struct control_who, job);
	const struct control_config *config = &who->control->config;
	struct inspect_result result;
	AUTO_FREE char *text = NULL;
	json_t *json;

	who->answer =
	    inspect_scan(config->device_major, config->device_minor, who->ino, true, &result);
	if (!who->answer) {
		json = result_json(who, &result);
		text = json ? json_dumps(json, JSON_COMPACT) : NULL;
		json_decref(json);
		who->answer = text ? control_text_fd(text) : -ENOMEM;
	}
	inspect_finish(&result);
}

static void start_next(struct control *control);

/* Owns who and its reference on the client. */
static void finish(struct control_who *who)
{
	struct control_answer answer = {.fd = who->answer};

	if (who->answer < 0) {
		answer.fd = -1;
		control_fail(&answer, -who->answer, "the processes cannot be inspected: %s",
			     strerror(-who->answer));
	}
	control_client_answer(who->client, WIRE_WHO, &answer);
	control_client_unref(who->client);
	free(who);
}

static void done(struct job *job)
{
	struct control_who *who = CONTAINER_OF(job, struct control_who, job);
	struct control *control = who->control;

	control->who_running = false;
	finish(who);
	start_next(control);
	control_unref(control);
}

static struct control_who *take_first(struct control *control)
{
	struct control_who *who = control->who_first;

	if (who) {
		control->who_first = who->next;
		if (!who->next)
			control->who_last = NULL;
	}
	return who;
}

static void start_next(struct control *control)
{
	struct control_who *who;
	int rc;

	while (!control->who_running && (who = take_first(control))) {
		if (!who->client->connected) {
			who->answer = -ECANCELED;
			finish(who);
			continue;
		}
		control->who_running = true;
		control_ref(control);
		rc = jobs_submit(core_jobs(control->config.core), &who->job);
		if (rc) {
			control->who_running = false;
			control_unref(control);
			who->answer = rc;
			finish(who);
		}
	}
}

void control_who_finish(struct control *control)
{
	struct control_who *who;

	while ((who = take_first(control))) {
		who->answer = -ECANCELED;
		finish(who);
	}
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
	*who = (struct control_who){.job = {.run = run, .done = done},
				    .control = control,
				    .client = control_client_ref(client),
				    .ino = ino,
				    .sees_all = client->uid == 0 || client->uid == owner,
				    .uid = client->uid};
	if (control->who_last)
		control->who_last->next = who;
	else
		control->who_first = who;
	control->who_last = who;
	loop_change(control->config.loop, &client->source, 0);
	start_next(control);
	return CONTROL_LATER;
}
