#include "core/account.h"
#include "core/probe.h"
#include "core/user.h"
#include "core/util.h"
#include "core/wait.h"

#include <stdio.h>

static int push_free(struct core *core, uint32_t index)
{
	if (core->free_count == core->free_capacity) {
		size_t capacity = core->free_capacity ? core->free_capacity * 2 : 256;
		uint32_t *bigger = reallocarray(core->free_slots, capacity, sizeof *bigger);
		if (!bigger)
			return -ENOMEM; /* the slot is found again by the next worker */
		core->free_slots = bigger;
		core->free_capacity = capacity;
	}
	core->free_slots[core->free_count++] = index;
	return 0;
}

/* A free slot with a generation of its own; it lives only once lookups is committed. */
static struct slot *take_free(struct core *core)
{
	struct state_header *h = core->state.header;
	struct slot *slot;
	uint32_t index, generation;

	if (core->free_count) {
		index = core->free_slots[--core->free_count];
	} else {
		if (h->high == STATE_MAX_SLOTS)
			return NULL;
		index = h->high;
		h->high = index + 1;
	}
	slot = &core->state.slots[index];
	generation = slot->generation + 1;
	*slot = (struct slot){.generation = generation ? generation : 1};
	return slot;
}

struct slot *slot_known(struct core *core, uint64_t node)
{
	struct slot *slot = state_slot(&core->state, node);
	return slot && (slot->lookups || state_index(&core->state, slot) == 1) ? slot : NULL;
}

struct slot *slot_get(struct core *core, uint64_t node)
{
	struct slot *slot = slot_known(core, node);
	return slot && !slot_is_ended(slot) ? slot : NULL;
}

struct slot *slot_by_ino(struct core *core, ino_t ino)
{
	uint32_t index;
	return map_get(&core->by_ino, ino, &index) ? &core->state.slots[index] : NULL;
}

static int slot_new(struct core *core, int dirfd, uint64_t parent, const char *name,
		    const struct stat *st, bool fresh, struct slot **out)
{
	struct slot *slot = take_free(core);
	int rc;

	if (!slot)
		return -ENFILE;
	rc = tree_identify(&core->tree, slot, dirfd, name, st);
	if (rc == 0) {
		if (setid_mode(st->st_mode))
			slot->flags |= SLOT_SETID;
		if ((slot->flags & (SLOT_REGULAR | SLOT_DIRECTORY)) && !fresh)
			record_load(core, slot, dirfd, name);
		tree_moved(&core->tree, slot, parent, name);
		rc = map_put(&core->by_ino, st->st_ino, state_index(&core->state, slot));
	}
	if (rc < 0) {
		push_free(core, state_index(&core->state, slot));
		return rc;
	}
	core->known++;
	if (!fresh)
		user_join(core, slot, st);
	account_join(core, slot, parent, st);
	if (slot_is_waitable(slot))
		wait_known(core, slot);
	*out = slot;
	return 0;
}

int slot_acquire(struct core *core, int dirfd, uint64_t parent, const char *name,
		 const struct stat *st, bool fresh, struct slot **out)
{
	struct slot *slot = slot_by_ino(core, st->st_ino);
	int rc = 0;

	if (slot && parent && !(slot->flags & SLOT_ORPHAN))
		tree_moved(&core->tree, slot, parent, name);
	if (!slot)
		rc = slot_new(core, dirfd, parent, name, st, fresh, &slot);
	if (rc < 0)
		return rc;
	STAGE(&core->state, slot->lookups, slot->lookups + 1);
	*out = slot;
	return 0;
}

void slot_born(struct core *core, struct slot *slot, uint64_t parent, const struct stat *st,
	       const struct core_caller *caller)
{
	const struct slot *directory = slot_get(core, parent);

	if (slot->flags & SLOT_REGULAR) {
		slot->creator_uid = caller->uid;
		slot->creator_pid = (uint32_t)cred_process(caller->pid);
		slot->flags |= SLOT_UNSAVED;
	}
	if (slot->flags & SLOT_REGULAR)
		slot->flags = lifetime_flags(slot->flags, newborn_lifetime(core, parent));
	else if (directory && (slot->flags & SLOT_DIRECTORY))
		slot->inherit = directory->inherit;
	if (slot->flags & SLOT_ORPHAN) /* O_TMPFILE: it was in no directory until now */
		account_join(core, slot, parent, &(struct stat){0});
	/* A machine that dies must not make it permanent. */
	if ((slot->flags & SLOT_TEMPORARY) || slot->inherit)
		record_save_slot(core, slot);
	user_stage_born(core, slot, st->st_uid);
}

/* ends: the inode has no other name. */
static void let_go_of_inode(struct core *core, struct slot *slot, bool ends)
{
	if (!(slot->flags & SLOT_ORPHAN))
		return;
	if (ends)
		binding_drop(core, slot);
	tree_orphan_remove(&core->tree, state_node(&core->state, slot),
			   slot->flags & SLOT_DIRECTORY);
}

/* Only what has a name is found again by the next who looks. */
static void save_if_due(struct core *core, struct slot *slot)
{
	if ((slot->flags & (SLOT_UNSAVED | SLOT_ORPHAN | SLOT_DEAD)) == SLOT_UNSAVED)
		record_save_slot(core, slot);
}

void slot_consider_free(struct core *core, struct slot *slot)
{
	uint32_t index = state_index(&core->state, slot);
	bool ends;

	if (slot->lookups || slot->handles || (slot->flags & SLOT_FLUSH_DUE) || hidden_is(slot) ||
	    index == 1)
		return;
	/* A view holds the kernel's knowledge of the inode, so a forgotten inode has none: this may
	 * come before the event that says so. */
	if ((slot->flags & SLOT_USED) && lastview_wanted(slot) && !(slot->flags & SLOT_DEAD)) {
		lastview_gone(core, slot);
		return;
	}
	if (slot_is_waitable(slot))
		wait_forget(core, slot);
	observe_ended(core, slot);
	lastview_forget(core, slot);
	backing_release(core, slot);
	save_if_due(core, slot);
	ends = account_let_go(core, slot);
	if (!(slot->flags & SLOT_DEAD)) {
		let_go_of_inode(core, slot, ends);
		map_remove(&core->by_ino, slot->ino);
	}
	if (slot->flags & SLOT_DEAD)
		binding_drop(core, slot);
	fdcache_drop(&core->files, index);
	map_remove(&core->flushes, index);
	tree_forget(&core->tree, slot);
	STAGE(&core->state, slot->flags, 0);
	state_commit(&core->state);
	core->known--;
	push_free(core, index);
}

void slot_bury(struct core *core, struct slot *slot)
{
	uint32_t index = state_index(&core->state, slot);

	backing_release(core, slot);
	fdcache_drop(&core->files, index);
	map_remove(&core->by_ino, slot->ino);
	account_dead(core, slot);
	STAGE(&core->state, slot->flags, slot->flags | SLOT_DEAD);
	state_commit(&core->state);
}

void core_save(struct core *core)
{
	/* Forgotten ones, too, whose last RELEASE was lost. */
	for (uint32_t i = 1; core->persistent && i < core->state.header->high; i++)
		save_if_due(core, &core->state.slots[i]);
}

/* An orphan stays while its slot lives. The move there may have happened just before a kill, and
 * the slot does not say so yet. */
static bool keep_orphan(void *context, uint64_t node)
{
	struct core *core = context;
	struct slot *slot = state_slot(&core->state, node);
	char name[32];

	if (!slot || !(slot->lookups || (slot->flags & SLOT_FLUSH_DUE)) ||
	    (slot->flags & SLOT_DEAD))
		return false;
	if (!(slot->flags & SLOT_ORPHAN)) {
		slot->flags |= SLOT_ORPHAN;
		snprintf(name, sizeof name, "%016llx", (unsigned long long)node);
		tree_moved(&core->tree, slot, 0, name);
	}
	return true;
}

static bool is_free(const struct slot *slot)
{
	return !slot->lookups && !slot->handles && !slot->flags;
}

/* Every look at all slots ends at `high`: what many objects once needed is not looked at for ever.
 * Their generations stay where they are. */
static void lower_high(struct state *state)
{
	uint32_t high = state->header->high;

	while (high > 2 && is_free(&state->slots[high - 1]))
		high--;
	*(volatile uint32_t *)&state->header->high = high;
}

/* A slot that a former worker was about to free, or had not brought to life, is freed now. */
static int rebuild_slot(struct core *core, uint32_t index)
{
	struct slot *slot = &core->state.slots[index];

	if (is_free(slot))
		return push_free(core, index);
	core->known++;
	core->handles += slot->handles;
	core->failing += flush_is_failing(slot);
	if (slot->flags & SLOT_WATCHED)
		watch_remember(core, slot->watch, index);
	if (slot->flags & SLOT_DEAD)
		return 0;
	/* Killed after it got its first name, before we could say so. (One that nobody knows was
	 * being freed.) */
	if (slot->lookups && (slot->flags & SLOT_ORPHAN) &&
	    !tree_orphan_exists(&core->tree, state_node(&core->state, slot)))
		slot->flags &= ~(uint32_t)(SLOT_ORPHAN | SLOT_UNBORN);
	hidden_known(core, slot);
	if (slot->lookups && slot_is_waitable(slot))
		wait_known(core, slot);
	return map_put(&core->by_ino, slot->ino, index);
}

/* What this process must know of the slots a former worker left. */
int slots_rebuild(struct core *core)
{
	struct state *state = &core->state;
	int rc = 0;

	lower_high(state);
	for (uint32_t i = 2; rc == 0 && i < state->header->high; i++)
		rc = rebuild_slot(core, i);
	/* Before the sweep: how many names an orphan has left says whether its inode ends. */
	for (uint32_t i = 2; rc == 0 && i < state->header->high; i++)
		if (state->slots[i].flags && !state->slots[i].lookups)
			slot_consider_free(core, &state->slots[i]);
	return rc < 0 ? rc : tree_orphan_sweep(&core->tree, keep_orphan, core);
}
