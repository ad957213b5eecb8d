/* The size of an object: growth is committed when it is set, shrinking below a live view is refused. */
#include "core/internal.h"

#include "core/inspect.h"
#include "core/sys.h"
#include "core/util.h"

struct shrink {
	struct job job;
	struct core *core;
	uint64_t node, size;
	ino_t ino;
	int views; /* 1, 0 or -errno */
	core_done done;
	void *context;
};

static int change_size(struct core *core, struct slot *slot, uint64_t size)
{
	AUTO_CLOSE int owned = -1;
	int fd = fdcache_get(&core->files, state_index(&core->state, slot));
	struct stat st;
	int rc;

	if (slot->flags & SLOT_BOUND)
		fd = binding_descriptor(core, slot);
	else if (fd < 0)
		fd = owned = file_own_descriptor(core, slot, O_RDWR);
	if (fd < 0)
		return fd;
	if (!(slot->flags & (SLOT_BOUND | SLOT_SPARSE)) && page_round_up(size) > slot->charged) {
		rc = commit_stage(core, slot, page_round_up(size), false);
		if (rc < 0)
			return rc;
		state_commit(&core->state);
	}
	rc = sys->ftruncate(fd, (off_t)size);
	if (rc == 0 && (slot->flags & SLOT_BOUND)) {
		STAGE(&core->state, slot->size, size);
		state_commit(&core->state);
		record_save_slot(core, slot);
	}
	if (fstat(fd, &st) == 0)
		commit_settle(core, slot, &st);
	return rc;
}

static void shrink_run(struct job *job)
{
	struct shrink *s = CONTAINER_OF(job, struct shrink, job);
	const struct core_config *c = &s->core->config;

	s->views = inspect_has_view_beyond(c->device_major, c->device_minor, s->ino,
					   page_round_up(s->size));
}

static void shrink_done(struct job *job)
{
	struct shrink *s = CONTAINER_OF(job, struct shrink, job);
	struct slot *slot = state_slot(&s->core->state, s->node);
	int rc = s->views > 0 ? -EBUSY : s->views;

	if (rc == 0)
		rc = slot ? change_size(s->core, slot, s->size) : -ESTALE;
	s->done(s->context, rc);
	free(s);
}

static int shrink_after_look(struct core *core, struct slot *slot, uint64_t size, core_done done,
			     void *context)
{
	struct shrink *s = calloc(1, sizeof *s);
	int rc;

	if (!s)
		return -ENOMEM;
	*s = (struct shrink){.job = {.run = shrink_run, .done = shrink_done},
			     .core = core,
			     .node = state_node(&core->state, slot),
			     .size = size,
			     .ino = slot->ino,
			     .done = done,
			     .context = context};
	rc = jobs_submit(core->jobs, &s->job);
	if (rc < 0)
		free(s);
	return rc < 0 ? rc : CORE_DEFERRED;
}

static bool certainly_no_view(struct core *core, struct slot *slot)
{
	if (slot->handles)
		return false;
	return !core->config.data.attach || lastview_probe(core, slot) == 1;
}

/* 0 done, CORE_DEFERRED done() is called later, or -errno. */
int resize(struct core *core, struct slot *slot, uint64_t size, core_done done, void *context)
{
	struct stat st;
	uint64_t now;
	int rc = tree_stat(&core->tree, slot, &st);

	if (rc < 0)
		return rc;
	if (!(slot->flags & SLOT_REGULAR))
		return -EINVAL;
	if (slot->flags & SLOT_READ_ONLY)
		return -EACCES;
	now = slot->flags & SLOT_BOUND ? slot->size : (uint64_t)st.st_size;
	/* Inside the last page nobody's view loses anything. */
	if (page_round_up(size) >= page_round_up(now) || certainly_no_view(core, slot))
		return change_size(core, slot, size);
	return shrink_after_look(core, slot, size, done, context);
}
