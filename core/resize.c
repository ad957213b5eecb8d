/* The size of an object: growth is committed when it is set, shrinking below a live view is
 * refused.
 *
 * The look at every process's views, and a large allocation, take their time in the job pool: the
 * request is answered later. A worker killed meanwhile leaves nothing half done that doing it again
 * does not mend. */
#include "core/account.h"

#include "core/inspect.h"
#include "core/sys.h"
#include "core/util.h"

#define GROW_AT_ONCE (16ULL << 20) /* more takes longer than a hand-over to a thread */

struct resizing {
	struct job job;
	struct core *core;
	uint64_t node, from, to;
	ino_t ino;
	int fd;     /* growth: owned; shrinking: -1 */
	int result; /* growth: of reserve(); shrinking: 1 a view is in the way, 0 none, -errno */
	core_done done;
	void *context;
};

static int set_bound_size(struct core *core, struct slot *slot, int fd, uint64_t size)
{
	struct stat st;
	int rc = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* An object that shows only the file's beginning leaves the rest alone. */
	if (size > (uint64_t)st.st_size || slot->size == (uint64_t)st.st_size)
		rc = sys->ftruncate(fd, (off_t)size);
	if (rc < 0)
		return rc;
	STAGE(&core->state, slot->size, size);
	state_commit(&core->state);
	return record_save_slot(core, slot);
}

static int set_size(struct core *core, struct slot *slot, int fd, uint64_t size)
{
	if (slot->flags & SLOT_BOUND)
		return set_bound_size(core, slot, fd, size);
	return sys->ftruncate(fd, (off_t)size);
}

/* Room that is not used after all goes back. */
static int set_reserved_size(struct core *core, struct slot *slot, int fd, uint64_t from,
			     uint64_t to)
{
	int rc = set_size(core, slot, fd, to);

	if (rc < 0)
		sys->ftruncate(fd, (off_t)from);
	return rc;
}

static void resize_run(struct job *job)
{
	struct resizing *r = CONTAINER_OF(job, struct resizing, job);
	const struct core_config *c = &r->core->config;

	if (r->fd >= 0)
		r->result = reserve(r->fd, r->from, r->to);
	else
		r->result = inspect_has_view_beyond(c->device_major, c->device_minor, r->ino,
						    page_round_up(r->to));
}

static int resize_now(struct core *core, struct slot *slot, uint64_t size)
{
	AUTO_CLOSE int fd = file_own_descriptor(core, slot, O_RDWR);

	return fd < 0 ? fd : set_size(core, slot, fd, size);
}

static void resize_done(struct job *job)
{
	struct resizing *r = CONTAINER_OF(job, struct resizing, job);
	struct slot *slot = state_slot(&r->core->state, r->node);
	int rc = r->result > 0 ? -EBUSY : r->result;

	if (rc == 0 && !slot)
		rc = -ESTALE;
	if (rc == 0 && r->fd >= 0)
		rc = set_reserved_size(r->core, slot, r->fd, r->from, r->to);
	else if (rc == 0)
		rc = resize_now(r->core, slot, r->to);
	if (slot)
		account_end(r->core, slot);
	r->done(r->context, rc);
	if (r->fd >= 0)
		close(r->fd);
	free(r);
}

/* Owns fd. */
static int resize_later(struct core *core, struct slot *slot, uint64_t from, uint64_t to, int fd,
			core_done done, void *context)
{
	struct resizing *r = calloc(1, sizeof *r);
	int rc = -ENOMEM;

	if (r) {
		*r = (struct resizing){.job = {.run = resize_run, .done = resize_done},
				       .core = core,
				       .node = state_node(&core->state, slot),
				       .from = from,
				       .to = to,
				       .ino = slot->ino,
				       .fd = fd,
				       .done = done,
				       .context = context};
		rc = jobs_submit(core->jobs, &r->job);
	}
	if (rc == 0)
		return CORE_DEFERRED;
	if (fd >= 0)
		close(fd);
	free(r);
	return rc;
}

static int grow(struct core *core, struct slot *slot, uint64_t to, core_done done, void *context)
{
	AUTO_CLOSE int fd = file_own_descriptor(core, slot, O_RDWR);
	struct stat st;
	uint64_t from;
	int rc;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	from = (uint64_t)st.st_size; /* a bound file may be larger than its object */
	if (to <= from || (slot->flags & SLOT_SPARSE))
		return set_size(core, slot, fd, to);
	if (to - from > GROW_AT_ONCE)
		return resize_later(core, slot, from, to, steal_fd(&fd), done, context);
	rc = reserve(fd, from, to);
	return rc < 0 ? rc : set_reserved_size(core, slot, fd, from, to);
}

static bool certainly_no_view(struct core *core, struct slot *slot)
{
	if (slot->handles)
		return false;
	return !core->config.data.attach || lastview_probe(core, slot) == 1;
}

static int shrink(struct core *core, struct slot *slot, uint64_t from, uint64_t to, core_done done,
		  void *context)
{
	/* Inside the last page nobody's view loses anything. */
	if (page_round_up(to) == page_round_up(from) || certainly_no_view(core, slot))
		return resize_now(core, slot, to);
	return resize_later(core, slot, from, to, -1, done, context);
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
	if (slot_is_waitable(slot))
		return size ? -EINVAL : 0; /* a shell's ">" truncates */
	if (slot->flags & SLOT_READ_ONLY)
		return -EACCES;
	now = slot->flags & SLOT_BOUND ? slot->size : (uint64_t)st.st_size;
	rc = account_begin(core, slot, size > now ? size : now);
	if (rc < 0)
		return rc;
	rc = size > now ? grow(core, slot, size, done, context)
			: shrink(core, slot, now, size, done, context);
	if (rc != CORE_DEFERRED)
		account_end(core, slot);
	return rc;
}
