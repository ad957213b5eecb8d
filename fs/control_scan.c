/* Looks at all processes (and, for TOP, at all objects) are taken in jobs, one at a time, because
 * the pool's threads are wanted for flushing; the others queue. */
#include "fs/control_internal.h"

#include "core/core.h"
#include "core/util.h"

#include <string.h>

static void start_next(struct control *control);

static void run(struct job *job)
{
	struct control_scan *scan = CONTAINER_OF(job, struct control_scan, job);

	scan->answer = scan->look(scan);
}

/* Owns scan and its reference on the client. */
static void finish(struct control_scan *scan)
{
	struct control_answer answer = {.fd = scan->answer};

	if (scan->answer < 0) {
		answer.fd = -1;
		control_fail(&answer, -scan->answer, "the processes cannot be inspected: %s",
			     strerror(-scan->answer));
	}
	control_client_answer(scan->client, scan->type, &answer);
	control_client_unref(scan->client);
	scan->release(scan);
}

static void done(struct job *job)
{
	struct control_scan *scan = CONTAINER_OF(job, struct control_scan, job);
	struct control *control = scan->control;

	control->scan_running = false;
	finish(scan);
	start_next(control);
	control_unref(control);
}

/* Users take turns: who asks for many waits for them, and nobody else does. */
static struct control_scan *take_next(struct control *control)
{
	struct control_scan **at = &control->scan_first, *scan, *before = NULL;

	while (*at && (*at)->client->uid == control->scan_uid) {
		before = *at;
		at = &before->next;
	}
	if (!*at) {
		before = NULL;
		at = &control->scan_first;
	}
	scan = *at;
	if (!scan)
		return NULL;
	*at = scan->next;
	if (control->scan_last == scan)
		control->scan_last = before;
	control->scan_uid = scan->client->uid;
	return scan;
}

static int start(struct control *control, struct control_scan *scan)
{
	int rc = scan->client->connected ? 0 : -ECANCELED;

	if (rc == 0 && scan->prepare)
		rc = scan->prepare(scan);
	return rc ? rc : jobs_submit(core_jobs(control->config.core), &scan->job);
}

static void start_next(struct control *control)
{
	struct control_scan *scan;
	int rc;

	while (!control->scan_running && (scan = take_next(control))) {
		rc = start(control, scan);
		if (rc) {
			scan->answer = rc;
			finish(scan);
			continue;
		}
		control->scan_running = true;
		control_ref(control);
	}
}

void control_scan_finish(struct control *control)
{
	struct control_scan *scan;

	while ((scan = take_next(control))) {
		scan->answer = -ECANCELED;
		finish(scan);
	}
}

int control_scan(struct control_client *client, struct control_scan *scan)
{
	struct control *control = client->control;

	scan->job = (struct job){.run = run, .done = done};
	scan->control = control;
	scan->client = control_client_ref(client);
	if (control->scan_last)
		control->scan_last->next = scan;
	else
		control->scan_first = scan;
	control->scan_last = scan;
	loop_change(control->config.loop, &client->source, 0);
	start_next(control);
	return CONTROL_LATER;
}
