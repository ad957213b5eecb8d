#define FUSE_USE_VERSION 314
#include "core/jobs.h"
#include "core/util.h"
#include "fs/worker.h"

#include <fuse3/fuse_lowlevel.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

struct notice {
	struct job job;
	struct fuse_session *session;
	uint64_t parent, node;
	char name[NAME_MAX + 1];
};

/* The kernel takes the directory's lock for this. Its holder may be waiting for an answer of ours, so the
 * main thread must not wait here. An error means it had forgotten the name already. */
static void notice_run(struct job *job)
{
	struct notice *n = CONTAINER_OF(job, struct notice, job);

	fuse_lowlevel_notify_delete(n->session, n->parent, n->node, n->name, strlen(n->name));
}

static void notice_done(struct job *job)
{
	free(CONTAINER_OF(job, struct notice, job));
}

void notify_name_gone(void *context, uint64_t parent, uint64_t node, const char *name)
{
	struct worker *worker = context;
	struct notice *n = parent ? calloc(1, sizeof *n) : NULL;

	if (!n)
		return; /* the name of a temporary object is never believed without asking */
	n->job = (struct job){.run = notice_run, .done = notice_done};
	n->session = transport_session(worker->transport);
	n->parent = parent;
	n->node = node;
	snprintf(n->name, sizeof n->name, "%s", name);
	if (jobs_submit(core_jobs(worker->core), &n->job) < 0)
		free(n);
}
