#include "core/internal.h"

#include "core/inspect.h"
#include "core/util.h"

struct count {
	struct job job;
	ino_t ino;
	uint32_t device_major, device_minor;
	int views; /* or -errno */
	core_done done;
	void *context;
};

static void count_run(struct job *job)
{
	struct count *c = CONTAINER_OF(job, struct count, job);
	struct inspect_result result;
	int rc = inspect_scan(c->device_major, c->device_minor, c->ino, false, &result);

	c->views = rc < 0 ? rc : (int)result.views;
	inspect_finish(&result);
}

static void count_done(struct job *job)
{
	struct count *c = CONTAINER_OF(job, struct count, job);

	c->done(c->context, c->views);
	free(c);
}

int core_count_views(struct core *core, uint64_t node, core_done done, void *context)
{
	struct slot *slot = slot_get(core, node);
	struct count *c;
	int rc;

	if (!slot || (slot->flags & SLOT_DEAD))
		return -ESTALE;
	if (!(slot->flags & SLOT_REGULAR) || slot_is_waitable(slot))
		return -ENODATA;
	c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	*c = (struct count){.job = {.run = count_run, .done = count_done},
			    .ino = slot->ino,
			    .device_major = core->config.device_major,
			    .device_minor = core->config.device_minor,
			    .done = done,
			    .context = context};
	rc = jobs_submit(core->jobs, &c->job);
	if (rc < 0)
		free(c);
	return rc < 0 ? rc : CORE_DEFERRED;
}
