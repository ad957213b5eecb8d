/* Counting what is there: all of it, when a count was lost or a store is taken over; and one by one
 * the objects that were written past us. */
#include "core/account.h"
#include "core/log.h"
#include "core/user.h"
#include "core/util.h"
#include "core/walk.h"

#define LOOK_AFTER (100 * 1000000ULL) /* who opens and closes one in a loop is looked at once */

uint64_t user_census_bytes(const struct slot *probe, const struct stat *st)
{
	return account_is_memory(probe) ? page_round_up((uint64_t)st->st_size) : 0;
}

/* --- all of it --- */

struct recount {
	struct core *core;
	struct map links; /* inodes with several names that have been met */
};

static bool met_before(struct recount *recount, const struct stat *st, int *error)
{
	uint32_t seen;

	*error = 0;
	if (S_ISDIR(st->st_mode) || st->st_nlink == 1)
		return false;
	if (map_get(&recount->links, st->st_ino, &seen))
		return true;
	*error = map_put(&recount->links, st->st_ino, 1);
	return false;
}

/* Its name has been counted. */
static void count_inode(struct core *core, struct slot *owner, int dirfd, const char *name,
			const struct stat *st)
{
	struct slot *slot = slot_by_ino(core, st->st_ino);
	struct slot probe = {.flags = S_ISREG(st->st_mode) ? (uint32_t)SLOT_REGULAR : 0U};

	if (slot) {
		slot->user = owner->user;
		probe.extra = slot->extra;
		probe.charged = slot->charged;
	} else if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) {
		record_load(core, &probe, dirfd, name);
		probe.charged = user_census_bytes(&probe, st);
	}
	core->state.users[owner->user].objects += probe.extra;
	core->state.users[owner->user].bytes += probe.charged;
}

static int count_entry(void *context, int dirfd, const char *name, const struct stat *st)
{
	struct recount *recount = context;
	struct core *core = recount->core;
	struct slot owner = {0};
	int rc;

	user_join(core, &owner, st);
	core->state.users[owner.user].objects++;
	if (met_before(recount, st, &rc) || rc < 0)
		return rc;
	count_inode(core, &owner, dirfd, name, st);
	if (!S_ISDIR(st->st_mode))
		return 0;
	return walk_directory(walk_open(dirfd, name), count_entry, recount);
}

static void forget_counts(struct core *core)
{
	struct state *state = &core->state;

	for (uint32_t i = 1; i < state->header->users_high; i++)
		state->users[i].objects = state->users[i].bytes = 0;
	for (uint32_t i = 2; i < state->header->high; i++)
		state->slots[i].user = 0;
}

/* Killed in between, the next worker begins anew. */
void users_recount(struct core *core)
{
	struct recount recount = {.core = core};
	int rc;

	*(volatile uint64_t *)&core->state.header->uncounted = UINT64_MAX;
	forget_counts(core);
	rc = walk_directory(walk_open(core->tree.base_fd, "tree"), count_entry, &recount);
	if (rc == 0)
		rc =
		    walk_directory(walk_open(core->tree.base_fd, "orphans"), count_entry, &recount);
	map_finish(&recount.links);
	if (rc < 0)
		log_warn("not all objects could be counted for their owners: %s", strerror(-rc));
	*(volatile uint64_t *)&core->state.header->uncounted = 0;
}

/* --- what was written past us --- */

static void look(struct core *core, uint64_t node)
{
	struct slot *slot = state_slot(&core->state, node);
	struct stat st;

	if (!slot || !(slot->flags & SLOT_TO_LOOK_AT))
		return;
	slot->flags &= ~(uint32_t)SLOT_TO_LOOK_AT;
	if ((slot->flags & SLOT_UNSEEN) && !slot->handles && slot_stat(core, slot, &st) == 0)
		account_seen(core, slot, &st);
}

static void look_now(struct timer *timer)
{
	struct users *users = CONTAINER_OF(timer, struct users, timer);

	for (size_t i = 0; i < users->look_count; i++)
		look(users->core, users->look[i]);
	users->look_count = 0;
}

void user_look_later(struct core *core, struct slot *slot)
{
	struct users *users = core->users;

	if (slot->flags & SLOT_TO_LOOK_AT)
		return;
	if (users->look_count == users->look_capacity) {
		size_t capacity = users->look_capacity ? users->look_capacity * 2 : 64;
		uint64_t *bigger = reallocarray(users->look, capacity, sizeof *bigger);
		if (!bigger)
			return; /* it is seen when it is forgotten */
		users->look = bigger;
		users->look_capacity = capacity;
	}
	users->timer.fire = look_now;
	if (!users->timer.position && timers_arm(&core->timers, &users->timer, LOOK_AFTER) < 0)
		return;
	users->look[users->look_count++] = state_node(&core->state, slot);
	slot->flags |= SLOT_TO_LOOK_AT;
}
