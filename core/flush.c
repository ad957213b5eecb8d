/* Making a file durable: on demand (fsync), and by ourselves when the last view went. fdatasync(2)
 * can block for long, so it runs in the job pool. The result is kept on the object; a failure of
 * ours is tried again with a growing pause and returned by the next fsync: it is never forgotten.
 */
#include "core/internal.h"

#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"

#include <string.h>

#define RETRY_FIRST_NS 500000000ULL
#define RETRY_LAST_NS  60000000000ULL

struct flush {
	struct job job;
	struct core *core;
	uint64_t node;
	int fd; /* of the data, owned; -1: it has none, or durable has it */
	struct durable durable;
	int result;
	core_done done; /* NULL: by ourselves */
	void *context;
};

struct retry {
	struct timer timer;
	struct core *core;
	uint64_t node;
	uint64_t pause_ns;
	struct retry *next;
};

static void let_go(struct flush *flush)
{
	if (flush->fd >= 0)
		close(flush->fd);
	durable_drop(&flush->durable);
}

static void flush_run(struct job *job)
{
	struct flush *flush = CONTAINER_OF(job, struct flush, job);

	flush->result = flush->fd < 0 ? 0 : sys->fdatasync(flush->fd);
	if (flush->result == 0)
		flush->result = durable_sync(&flush->durable);
	let_go(flush);
}

static void retry_fire(struct timer *timer)
{
	struct retry *retry = CONTAINER_OF(timer, struct retry, timer);
	struct slot *slot = state_slot(&retry->core->state, retry->node);

	if (slot && (slot->flags & SLOT_FLUSH_DUE))
		flush_last_view(retry->core, slot);
}

static struct retry **find_retry(struct core *core, uint64_t node)
{
	struct retry **at = &core->retries;

	while (*at && (*at)->node != node)
		at = &(*at)->next;
	return at;
}

static void drop_retry(struct core *core, uint64_t node)
{
	struct retry **at = find_retry(core, node), *retry = *at;

	if (!retry)
		return;
	*at = retry->next;
	timers_cancel(&core->timers, &retry->timer);
	free(retry);
}

static void schedule_retry(struct core *core, uint64_t node)
{
	struct retry **at = find_retry(core, node), *retry = *at;

	if (!retry) {
		retry = *at = calloc(1, sizeof *retry);
		if (!retry)
			return; /* the next worker or the next use tries again */
		*retry = (struct retry){.timer.fire = retry_fire, .core = core, .node = node};
	}
	retry->pause_ns = retry->pause_ns ? retry->pause_ns * 2 : RETRY_FIRST_NS;
	if (retry->pause_ns > RETRY_LAST_NS)
		retry->pause_ns = RETRY_LAST_NS;
	timers_arm(&core->timers, &retry->timer, retry->pause_ns);
}

static void count_flush(struct core *core, struct slot *slot)
{
	uint32_t index = state_index(&core->state, slot), count = 0;

	map_get(&core->flushes, index, &count);
	map_put(&core->flushes, index, count + 1); /* without memory it is not counted */
}

/* Keeps what came of it. by_us: no caller saw the error. */
static void keep_result(struct core *core, struct slot *slot, int result, bool by_us)
{
	struct state_header *h = core->state.header;
	uint32_t flags = slot->flags;

	if (result == 0 && by_us)
		flags &= ~(uint32_t)SLOT_FLUSH_DUE;
	if (result < 0 && by_us)
		flags |= SLOT_FLUSH_UNTOLD;
	core->failing += (result != 0) - (slot->flush_error != 0);
	STAGE(&core->state, slot->flags, flags);
	STAGE(&core->state, slot->flush_error, (uint32_t)-result);
	STAGE(&core->state, slot->flushed_at, clock_ns(CLOCK_REALTIME));
	STAGE(&core->state, slot->flush_failures, slot->flush_failures + (result < 0));
	STAGE(&core->state, h->flushes, h->flushes + 1);
	STAGE(&core->state, h->flush_failures, h->flush_failures + (result < 0));
	state_commit(&core->state);
	count_flush(core, slot);
	EVENT(core, .kind = result < 0 ? CORE_EVENT_FAILED : CORE_EVENT_FLUSHED,
	      .node = state_node(&core->state, slot), .error = result, .by_us = by_us);
	if (((slot->flags & SLOT_BOUND) || result < 0) && !(slot->flags & SLOT_DEAD))
		record_save_slot(core, slot);
}

static void finish_ours(struct core *core, struct slot *slot, uint64_t node, int result)
{
	if (result == 0) {
		drop_retry(core, node);
		if (slot->flags & SLOT_DEAD)
			binding_drop(core, slot);
		slot_consider_free(core, slot);
		return;
	}
	log_error("flush of an object (inode %llu) failed: %s; trying again",
		  (unsigned long long)slot->ino, strerror(-result));
	schedule_retry(core, node);
}

/* Only once it is said: said twice is better than never. */
static void told(struct core *core, struct slot *slot)
{
	slot->flags &= ~(uint32_t)SLOT_FLUSH_UNTOLD;
	record_save_slot(core, slot);
}

/* Else it is to wait on, or a directory: its flush is for the record and the names. */
static bool has_pages(const struct slot *slot)
{
	return (slot->flags & SLOT_REGULAR) && !slot_is_waitable(slot);
}

static void flush_done(struct job *job)
{
	struct flush *flush = CONTAINER_OF(job, struct flush, job);
	struct core *core = flush->core;
	struct slot *slot = state_slot(&core->state, flush->node);
	int answer = flush->result;

	if (answer == 0)
		durable_done(core, &flush->durable);
	if (slot && slot->flags && has_pages(slot))
		keep_result(core, slot, flush->result, !flush->done);
	if (flush->done && slot && (slot->flags & SLOT_FLUSH_UNTOLD) && answer == 0)
		answer = -EIO;
	if (flush->done)
		flush->done(flush->context, answer);
	if (flush->done && slot && (slot->flags & SLOT_FLUSH_UNTOLD))
		told(core, slot);
	if (!flush->done && slot && slot->flags)
		finish_ours(core, slot, flush->node, flush->result);
	free(flush);
}

static int open_all(struct core *core, struct slot *slot, struct flush *flush)
{
	bool kept = durable_kept(core, slot);
	int rc = 0;

	if (has_pages(slot) && (!kept || (slot->flags & SLOT_BOUND)))
		rc = flush->fd = file_own_descriptor(core, slot, O_RDONLY);
	if (rc >= 0 && kept)
		rc = durable_begin(core, slot, &flush->durable);
	return rc < 0 ? rc : 0;
}

static int start(struct core *core, struct slot *slot, core_done done, void *context)
{
	struct flush *flush = calloc(1, sizeof *flush);
	int rc;

	if (!flush)
		return -ENOMEM;
	*flush = (struct flush){.job = {.run = flush_run, .done = flush_done},
				.core = core,
				.node = state_node(&core->state, slot),
				.fd = -1,
				.durable = {.base_fd = -1},
				.done = done,
				.context = context};
	rc = open_all(core, slot, flush);
	if (rc == 0)
		rc = jobs_submit(core->jobs, &flush->job);
	if (rc < 0) {
		let_go(flush);
		free(flush);
		return rc;
	}
	return 0;
}

void flush_last_view(struct core *core, struct slot *slot)
{
	uint64_t node = state_node(&core->state, slot);
	int rc;

	STAGE(&core->state, slot->flags, slot->flags | SLOT_FLUSH_DUE);
	state_commit(&core->state);
	rc = start(core, slot, NULL, NULL);
	if (rc == 0)
		return;
	keep_result(core, slot, rc, true);
	finish_ours(core, slot, node, rc);
}

int core_flush(struct core *core, uint64_t node, core_done done, void *context)
{
	struct slot *slot = slot_get(core, node);
	int rc;

	if (!slot)
		return -ESTALE;
	/* Memory is as durable as it gets. */
	if (!(slot->flags & (SLOT_REGULAR | SLOT_DIRECTORY)) ||
	    (!(slot->flags & SLOT_BOUND) && !core->persistent) ||
	    (!has_pages(slot) && !durable_kept(core, slot)))
		return 0;
	rc = start(core, slot, done, context);
	return rc < 0 ? rc : CORE_DEFERRED;
}

void flush_resume(struct core *core)
{
	for (uint32_t i = 2; i < core->state.header->high; i++)
		if (core->state.slots[i].flags & SLOT_FLUSH_DUE)
			flush_last_view(core, &core->state.slots[i]);
}

void flush_finish(struct core *core)
{
	while (core->retries) {
		struct retry *retry = core->retries;
		core->retries = retry->next;
		free(retry);
	}
}
