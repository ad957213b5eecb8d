/* Making a file durable: on demand (fsync), and by ourselves when the last view went. fdatasync(2)
 * can block for long, so it runs in the job pool.
 *
 * What failed is owed (SLOT_FLUSH_DUE) until it succeeds, whoever asked for it: its pages are made
 * dirty again (redirty.c), so that they stay and the next try, ours or an fsync, writes them. Ours
 * come with a growing pause, which outlives workers: it follows from what the slot says. The result
 * is kept on the object; a failure that no caller saw is returned by the next fsync. */
#include "core/internal.h"

#include "core/log.h"
#include "core/redirty.h"
#include "core/sys.h"
#include "core/unwritten.h"
#include "core/util.h"

#include <limits.h>
#include <string.h>

#define RETRY_FIRST_NS 100000000ULL
#define RETRY_LAST_NS  30000000000ULL
#define SAY_EVERY      64 /* tries: about half an hour at the longest pause */

struct flush {
	struct job job;
	struct core *core;
	uint64_t node;
	int fd;        /* of the data, owned; -1: it has none */
	bool one_sync; /* durable makes the data durable, too */
	struct durable durable;
	int result;
	bool again;        /* the last one failed */
	uint32_t failures; /* of the object, when it began */
	core_done done;    /* NULL: by ourselves */
	void *context;
};

/* After a failure, success is believed only when the file's blocks say so, too. */
static int flush_again(int fd)
{
	int rc;

	redirty(fd); /* the kernel may have tried, too, and given up the pages once more */
	rc = sys->fdatasync(fd);
	if (rc < 0 || unwritten_pages(fd) == 0)
		return rc;
	if (unwritten_rewrite(fd) > 0)
		rc = sys->fdatasync(fd);
	return rc < 0 || unwritten_pages(fd) == 0 ? rc : -EIO;
}

static void let_go(struct flush *flush)
{
	if (flush->fd >= 0)
		close(flush->fd);
	durable_drop(&flush->durable);
}

static int write_out(struct flush *flush)
{
	int rc = 0;

	if (flush->fd >= 0 && flush->again)
		rc = flush_again(flush->fd);
	else if (flush->fd >= 0 && !flush->one_sync)
		rc = sys->fdatasync(flush->fd);
	return rc < 0 ? rc : durable_sync(&flush->durable);
}

static void flush_run(struct job *job)
{
	struct flush *flush = CONTAINER_OF(job, struct flush, job);

	flush->result = write_out(flush);
	if (flush->result < 0 && flush->fd >= 0)
		redirty(flush->fd);
	let_go(flush);
}

/* --- when to try again --- */

static uint64_t pause_after(unsigned tries)
{
	uint64_t pause = RETRY_FIRST_NS;

	while (--tries && pause < RETRY_LAST_NS)
		pause *= 2;
	return pause < RETRY_LAST_NS ? pause : RETRY_LAST_NS;
}

uint64_t flush_next_try(const struct slot *slot)
{
	if (!(slot->flags & SLOT_FLUSH_DUE) || !slot->flush_tries)
		return 0;
	return slot->flushed_at + pause_after(slot->flush_tries);
}

/* From now on; never longer than the pause, whatever the wall clock was set to. */
static uint64_t wait_left(const struct slot *slot)
{
	uint64_t now = clock_ns(CLOCK_REALTIME), next = flush_next_try(slot);
	uint64_t left = next > now ? next - now : 0, longest;

	if (!left)
		return 0;
	longest = pause_after(slot->flush_tries);
	return left < longest ? left : longest;
}

static uint32_t under_way(struct core *core, struct slot *slot)
{
	uint32_t count = 0;

	map_get(&core->due, state_index(&core->state, slot), &count);
	return count;
}

/* Without memory for the entry all slots are looked at, later. */
static void note_due(struct core *core, struct slot *slot, uint32_t count)
{
	if (map_put(&core->due, state_index(&core->state, slot), count) < 0)
		core->due_missed = true;
}

static void retry_within(struct core *core, uint64_t delay)
{
	const struct timer *timer = &core->retry_timer;

	if (!timer->position || timer->deadline > clock_ns(CLOCK_MONOTONIC) + delay)
		timers_arm(&core->timers, &core->retry_timer, delay);
}

/* Sets the one timer to the first that is to be tried again. */
static void plan_retry(struct core *core)
{
	uint64_t first = core->due_missed ? RETRY_LAST_NS : UINT64_MAX;

	for (size_t i = 0; i < core->due.capacity; i++) {
		const struct map_entry *entry = &core->due.entries[i];
		uint64_t left;

		if (!entry->used || entry->value)
			continue;
		left = wait_left(&core->state.slots[entry->key]);
		first = left < first ? left : first;
	}
	if (first != UINT64_MAX)
		retry_within(core, first);
}

static void find_missed(struct core *core)
{
	core->due_missed = false;
	for (uint32_t i = 2; i < core->state.header->high; i++) {
		struct slot *slot = &core->state.slots[i];
		uint32_t count;

		if ((slot->flags & SLOT_FLUSH_DUE) && !map_get(&core->due, i, &count))
			note_due(core, slot, 0);
	}
}

static void retry_fire(struct timer *timer)
{
	struct core *core = CONTAINER_OF(timer, struct core, retry_timer);

	if (core->due_missed)
		find_missed(core);
	/* An entry that moves while we look has its turn when the timer is set anew. */
	for (size_t i = 0; i < core->due.capacity; i++) {
		const struct map_entry *entry = &core->due.entries[i];
		struct slot *slot = &core->state.slots[entry->key];

		if (entry->used && !entry->value && !wait_left(slot))
			flush_last_view(core, slot);
	}
	plan_retry(core);
}

/* --- the result --- */

static void count_flush(struct core *core, struct slot *slot)
{
	uint32_t index = state_index(&core->state, slot), count = 0;

	map_get(&core->flushes, index, &count);
	map_put(&core->flushes, index, count + 1); /* without memory it is not counted */
}

static const char *name_of(struct core *core, const struct slot *slot, char *path, size_t size)
{
	int fd = slot->flags & SLOT_BOUND ? binding_descriptor(core, slot) : -1;

	return fd >= 0 && path_of_fd(fd, path, size) >= 0 ? path : "an object";
}

/* The first, then seldom, and the end of it. */
static void say_result(struct core *core, const struct slot *slot, int result,
		       unsigned tries_before)
{
	char path[PATH_MAX];
	uint64_t seconds = clock_ns(CLOCK_REALTIME) / 1000000000ULL - slot->failing_since;

	if (result < 0 && (!tries_before || (tries_before + 1) % SAY_EVERY == 0))
		log_error("flush of %s (inode %llu) failed: %s; its pages stay, and it is tried "
			  "again%s",
			  name_of(core, slot, path, sizeof path), (unsigned long long)slot->ino,
			  strerror(-result), tries_before ? ", still" : "");
	else if (result == 0 && tries_before)
		log_warn("flush of %s (inode %llu) succeeded, after %u failures in %llu s",
			 name_of(core, slot, path, sizeof path), (unsigned long long)slot->ino,
			 tries_before, (unsigned long long)seconds);
}

bool flush_is_failing(const struct slot *slot)
{
	return !slot_is_waitable(slot) && (slot->flags & SLOT_FLUSH_DUE) && slot->flush_error;
}

/* The flags after it. Whoever succeeds pays what is owed, unless a flush of ours is under way yet:
 * that one began for a reason of its own. */
static uint32_t flags_after(struct core *core, struct slot *slot, int result, bool by_us)
{
	uint32_t flags = slot->flags;

	if (result < 0)
		return flags | SLOT_FLUSH_DUE | (by_us ? (uint32_t)SLOT_FLUSH_UNTOLD : 0U);
	return under_way(core, slot) ? flags : flags & ~(uint32_t)SLOT_FLUSH_DUE;
}

/* Round in its last quarter: it is said every SAY_EVERY, and a pause does not get shorter. */
static unsigned next_count(unsigned tries)
{
	return tries < UINT8_MAX ? tries + 1 : UINT8_MAX + 1 - SAY_EVERY;
}

/* Keeps what came of it. by_us: no caller saw the error. */
static void keep_result(struct core *core, struct slot *slot, int result, bool by_us)
{
	struct state_header *h = core->state.header;
	unsigned tries = slot->flush_tries;
	uint64_t now = clock_ns(CLOCK_REALTIME);

	if (result == 0 || !tries)
		say_result(core, slot, result, tries);
	core->failing -= flush_is_failing(slot);
	STAGE(&core->state, slot->flags, flags_after(core, slot, result, by_us));
	STAGE(&core->state, slot->flush_error, (uint32_t)-result);
	STAGE(&core->state, slot->flushed_at, now);
	STAGE(&core->state, slot->flush_failures,
	      slot->flush_failures + (result < 0 && slot->flush_failures < UINT16_MAX));
	if (result == 0)
		STAGE(&core->state, slot->flush_tries, 0);
	else if (by_us || !tries) /* an fsync makes no pause longer */
		STAGE(&core->state, slot->flush_tries, next_count(tries));
	if (result == 0 || !tries)
		STAGE(&core->state, slot->failing_since, result < 0 ? now / 1000000000ULL : 0);
	STAGE(&core->state, h->flushes, h->flushes + 1);
	STAGE(&core->state, h->flush_failures, h->flush_failures + (result < 0));
	state_commit(&core->state);
	core->failing += flush_is_failing(slot);
	if (result < 0 && by_us && tries)
		say_result(core, slot, result, tries);
	count_flush(core, slot);
	EVENT(core, .kind = result < 0 ? CORE_EVENT_FAILED : CORE_EVENT_FLUSHED,
	      .node = state_node(&core->state, slot), .error = result, .by_us = by_us);
	if (((slot->flags & SLOT_BOUND) || result < 0) && !(slot->flags & SLOT_DEAD))
		record_save_slot(core, slot);
}

/* Owed or not: what that means for the timer and for the slot. */
static void settle(struct core *core, struct slot *slot)
{
	if (under_way(core, slot))
		return; /* that one has the last word */
	if (slot->flags & SLOT_FLUSH_DUE) {
		note_due(core, slot, 0);
		retry_within(core, wait_left(slot));
		return;
	}
	map_remove(&core->due, state_index(&core->state, slot));
	if (slot->flags & SLOT_DEAD)
		binding_drop(core, slot);
	slot_consider_free(core, slot);
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
	int answer;

	/* The kernel tells an error of the file to one of several who flush it at a time. */
	if (slot && flush->result == 0 && slot->flush_error &&
	    slot->flush_failures != flush->failures)
		flush->result = -(int)slot->flush_error;
	if (slot && !flush->done && under_way(core, slot))
		note_due(core, slot, under_way(core, slot) - 1);
	answer = flush->result;
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
	if (slot && slot->flags)
		settle(core, slot);
	free(flush);
}

/* For writing, if it can be: the pages may have to be made dirty again. */
static int open_data(struct core *core, struct slot *slot)
{
	int fd = file_own_descriptor(core, slot, O_RDWR);

	return fd < 0 ? file_own_descriptor(core, slot, O_RDONLY) : fd;
}

static int open_all(struct core *core, struct slot *slot, struct flush *flush)
{
	bool kept = durable_kept(core, slot);
	int rc = 0;

	flush->one_sync = kept && !(slot->flags & SLOT_BOUND);
	if (has_pages(slot))
		rc = flush->fd = open_data(core, slot);
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
				.again = slot->flush_error != 0,
				.failures = slot->flush_failures,
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
	int rc;

	STAGE(&core->state, slot->flags, slot->flags | SLOT_FLUSH_DUE);
	state_commit(&core->state);
	rc = start(core, slot, NULL, NULL);
	if (rc == 0) {
		note_due(core, slot, under_way(core, slot) + 1);
		return;
	}
	keep_result(core, slot, rc, true);
	settle(core, slot);
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

void flush_init(struct core *core)
{
	core->retry_timer = (struct timer){.fire = retry_fire, .vital = true};
}

void flush_resume(struct core *core)
{
	for (uint32_t i = 2; i < core->state.header->high; i++) {
		struct slot *slot = &core->state.slots[i];

		if (!(slot->flags & SLOT_FLUSH_DUE))
			continue;
		if (wait_left(slot))
			note_due(core, slot, 0);
		else
			flush_last_view(core, slot);
	}
	plan_retry(core);
}

void flush_finish(struct core *core)
{
	map_finish(&core->due);
}

size_t core_failing(struct core *core, struct core_failing *out, size_t max)
{
	size_t count = 0;

	for (uint32_t i = 2; core->failing && count < max && i < core->state.header->high; i++) {
		struct slot *slot = &core->state.slots[i];

		if (!flush_is_failing(slot))
			continue;
		out[count] = (struct core_failing){.inode = slot->ino,
						   .error = slot->flush_error,
						   .tries = slot->flush_tries,
						   .since = slot->failing_since,
						   .next_try = flush_next_try(slot)};
		name_of(core, slot, out[count].file, sizeof out[count].file);
		count++;
	}
	return count;
}
