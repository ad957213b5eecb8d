#include "core/account.h"

#include "core/user.h"
#include "core/util.h"

static struct account *account_at(struct core *core, uint32_t index)
{
	return &core->state.accounts[index];
}

bool account_is_memory(const struct slot *slot)
{
	return (slot->flags & (SLOT_REGULAR | SLOT_BOUND)) == SLOT_REGULAR &&
	       !slot_is_waitable(slot);
}

bool account_counts(const struct slot *slot)
{
	return slot->account && account_is_memory(slot);
}

bool account_charges(const struct slot *slot)
{
	return (slot->account || slot->user) && account_is_memory(slot);
}

static uint64_t size_charge(const struct slot *slot, const struct stat *st)
{
	return account_charges(slot) ? page_round_up((uint64_t)st->st_size) : 0;
}

/* --- the sums --- */

/* A store that somebody else has worked in may hold less than was counted. */
void account_stage_own(struct core *core, uint32_t index, uint64_t add, uint64_t subtract)
{
	struct account *account = account_at(core, index);
	uint64_t before = account->charged, after = before + add;

	if (!index)
		return;
	after = after > subtract ? after - subtract : 0;
	STAGE(&core->state, account->charged, after);
	for (uint32_t i = index; i; i = account_at(core, i)->parent)
		core->accounts->total[i] += after - before;
}

static void stage_charge(struct core *core, struct slot *slot, uint64_t bytes)
{
	if (bytes == slot->charged)
		return;
	account_stage_own(core, slot->account, bytes, slot->charged);
	user_stage_bytes(core, slot->user, slot->charged, bytes);
	STAGE(&core->state, slot->charged, bytes);
}

void accounts_sum(struct core *core)
{
	uint32_t high = core->state.header->accounts_high;
	uint64_t *total = core->accounts->total;

	for (uint32_t i = 1; i < high; i++)
		total[i] = 0;
	for (uint32_t i = 1; i < high; i++)
		for (uint32_t at = i; at; at = account_at(core, at)->parent)
			total[at] += account_at(core, i)->charged;
}

/* What may be charged yet, all limits above regarded. */
static uint64_t room(struct core *core, uint32_t index)
{
	uint64_t least = UINT64_MAX;

	for (; index; index = account_at(core, index)->parent) {
		uint64_t limit = account_at(core, index)->limit & ~(PAGE_BYTES - 1);
		uint64_t total = core->accounts->total[index];
		uint64_t left = limit > total ? limit - total : 0;
		if (left < least)
			least = left;
	}
	return least;
}

/* --- an object's size --- */

static int may_grow(struct core *core, const struct slot *slot, uint64_t bytes)
{
	return bytes > room(core, slot->account) ? -ENOSPC : user_may_grow(core, slot, bytes);
}

int account_begin(struct core *core, struct slot *slot, uint64_t size)
{
	uint64_t bytes = page_round_up(size);
	int rc;

	if (!account_charges(slot))
		return 0;
	if (bytes > slot->charged) {
		rc = may_grow(core, slot, bytes - slot->charged);
		if (rc < 0)
			return rc;
		stage_charge(core, slot, bytes);
	}
	STAGE(&core->state, slot->flags, slot->flags | SLOT_CHARGING);
	state_commit(&core->state);
	return 0;
}

void account_end(struct core *core, struct slot *slot)
{
	struct stat st;

	if (!(slot->flags & SLOT_CHARGING) || slot_stat(core, slot, &st) < 0)
		return;
	stage_charge(core, slot, size_charge(slot, &st));
	STAGE(&core->state, slot->flags, slot->flags & ~(uint32_t)SLOT_CHARGING);
	state_commit(&core->state);
}

uint64_t account_reach(struct core *core, const struct slot *slot, uint64_t wanted)
{
	uint64_t more = wanted > slot->charged ? page_round_up(wanted) - slot->charged : 0;
	uint64_t left = room(core, slot->account), reach;

	if (!account_charges(slot) || !more)
		return wanted;
	more = more < left ? more : left;
	reach = slot->charged + user_room(core, slot, more);
	return reach < wanted ? reach : wanted;
}

void account_seen(struct core *core, struct slot *slot, const struct stat *st)
{
	if ((slot->flags & SLOT_UNSEEN) && !slot->handles)
		slot->flags &= ~(uint32_t)SLOT_UNSEEN;
	if (size_charge(slot, st) <= slot->charged)
		return;
	stage_charge(core, slot, size_charge(slot, st));
	state_commit(&core->state);
}

/* --- slots come and go --- */

static uint32_t account_of_node(struct core *core, uint64_t node)
{
	const struct slot *slot = slot_known(core, node);

	return slot ? slot->account : 0;
}

void account_join(struct core *core, struct slot *slot, uint64_t parent, const struct stat *st)
{
	struct slot joined = *slot;
	uint32_t index;

	joined.account = (uint16_t)account_of_node(core, parent);
	if ((slot->flags & SLOT_DIRECTORY) && map_get(&core->accounts->by_ino, slot->ino, &index))
		joined.account = (uint16_t)index;
	/* In this order: a worker killed here must not leave one that seems to have grown since. */
	*(volatile uint64_t *)&slot->charged = size_charge(&joined, st);
	*(volatile uint16_t *)&slot->account = joined.account;
}

static bool inode_ends(const struct slot *slot, int error, const struct stat *st)
{
	if (error)
		return error == -ESTALE || (slot->flags & SLOT_ORPHAN);
	if (slot->flags & SLOT_ORPHAN)
		return st->st_nlink <= 1 || S_ISDIR(st->st_mode);
	return st->st_nlink == 0;
}

/* What has a name, and has changed its size through us only, is as it was. */
static bool is_worth_a_look(const struct slot *slot)
{
	return slot->account ||
	       (slot->flags & (SLOT_ORPHAN | SLOT_TEMPORARY | SLOT_UNSEEN | SLOT_CHARGING));
}

/* What is charged stays with an inode that stays. The slot does not answer for it any more: one
 * whose place is lost and which has another name must not be taken for gone by the next worker. */
bool account_let_go(struct core *core, struct slot *slot)
{
	uint32_t top = account_of_top(core, slot);
	bool ends = false;
	struct stat st;
	int rc;

	if ((slot->flags & SLOT_DEAD) || !is_worth_a_look(slot))
		return false;
	rc = slot_stat(core, slot, &st);
	ends = inode_ends(slot, rc, &st);
	if (ends) {
		if (top)
			account_dissolve(core, top);
		stage_charge(core, slot, 0);
	} else if (rc == 0) {
		stage_charge(core, slot, size_charge(slot, &st));
	}
	if (ends || (slot->flags & SLOT_ORPHAN))
		user_stage_end(core, slot, ends);
	STAGE(&core->state, slot->charged, 0);
	STAGE(&core->state, slot->account, 0);
	STAGE(&core->state, slot->user, 0);
	STAGE(&core->state, slot->flags, slot->flags & ~(uint32_t)SLOT_CHARGING);
	state_commit(&core->state);
	return ends;
}

void account_dead(struct core *core, struct slot *slot)
{
	stage_charge(core, slot, 0);
	user_stage_end(core, slot, true);
}

void account_note_unknown(struct core *core, const struct slot *slot, uint64_t parent, int dirfd,
			  const char *name, const struct stat *st)
{
	struct slot probe = {.flags = SLOT_REGULAR};

	probe.account = (uint16_t)account_of_node(core, parent);
	if (slot || !probe.account || !core->record || !S_ISREG(st->st_mode) || st->st_nlink != 1)
		return;
	record_load(core, &probe, dirfd, name);
	*(volatile uint64_t *)&core->record->before = size_charge(&probe, st);
}

int account_finish_unknown(struct core *core, uint64_t parent)
{
	uint64_t bytes = core->record ? core->record->before : 0;

	user_stage_gone(core);
	if (bytes)
		account_stage_own(core, account_of_node(core, parent), 0, bytes);
	return core_finish(core, 0);
}

/* --- names --- */

int account_may_move(struct core *core, uint64_t parent, int dirfd, const char *name,
		     uint64_t new_parent)
{
	uint32_t to = account_of_node(core, new_parent);
	struct slot *slot;
	struct stat st;

	if (account_of_node(core, parent) == to ||
	    fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* the rename itself says what is wrong */
	slot = slot_by_ino(core, st.st_ino);
	if (S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && (!slot || account_is_memory(slot))) ||
	    (slot && slot->charged))
		return -EXDEV;
	if (slot)
		slot->account = (uint16_t)to; /* for statfs(2) alone */
	return 0;
}

int account_may_link(struct core *core, const struct slot *slot, uint64_t new_parent)
{
	if (account_of_node(core, new_parent) == slot->account)
		return 0;
	return account_is_memory(slot) || slot->charged ? -EXDEV : 0;
}

void account_directory_gone(struct core *core, ino_t ino)
{
	uint32_t index;

	if (map_get(&core->accounts->by_ino, ino, &index))
		account_dissolve(core, index);
}

/* --- telling --- */

/* Size and use are of the tree itself; what is available, of all that is around it, too. */
void account_statfs(struct core *core, uint64_t node, struct statvfs *out)
{
	uint64_t unit = out->f_frsize ? out->f_frsize : out->f_bsize;
	uint32_t index = account_of_node(core, node);
	uint64_t blocks, used;

	if (!index)
		return;
	blocks = account_at(core, index)->limit / unit;
	used = (core->accounts->total[index] + unit - 1) / unit;
	if (blocks < out->f_blocks)
		out->f_blocks = blocks;
	out->f_bfree = out->f_blocks > used ? out->f_blocks - used : 0;
	if (room(core, index) / unit < out->f_bavail)
		out->f_bavail = room(core, index) / unit;
	if (out->f_bfree < out->f_bavail)
		out->f_bavail = out->f_bfree;
}
