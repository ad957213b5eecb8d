/* The table of accounts: made, moved between, dissolved, found again. */
#include "core/account.h"
#include "core/util.h"

static struct account *account_at(struct core *core, uint32_t index)
{
	return &core->state.accounts[index];
}

uint32_t account_of_top(struct core *core, const struct slot *directory)
{
	const struct account *account = account_at(core, directory->account);
	bool top = directory->account && (directory->flags & SLOT_DIRECTORY) &&
		   account->ino == directory->ino && !(account->flags & ACCOUNT_ENDING);

	return top ? directory->account : 0;
}

static uint32_t free_index(struct core *core)
{
	struct state_header *h = core->state.header;

	for (uint32_t i = 1; i < h->accounts_high; i++)
		if (!account_at(core, i)->ino)
			return i;
	if (h->accounts_high == STATE_ACCOUNTS)
		return 0;
	*account_at(core, h->accounts_high) = (struct account){0};
	*(volatile uint32_t *)&h->accounts_high = h->accounts_high + 1;
	return h->accounts_high - 1;
}

int account_create(struct core *core, ino_t ino, uint32_t parent, uint64_t limit, uint32_t flags)
{
	uint32_t index = free_index(core);
	struct account *account = account_at(core, index);

	if (!index)
		return -ENFILE;
	if (map_put(&core->accounts->by_ino, ino, index) < 0)
		return -ENOMEM;
	core->accounts->total[index] = 0;
	STAGE(&core->state, account->ino, ino);
	STAGE(&core->state, account->limit, limit);
	STAGE(&core->state, account->charged, 0);
	STAGE(&core->state, account->parent, parent);
	STAGE(&core->state, account->flags, flags);
	state_commit(&core->state);
	return (int)index;
}

void account_take(struct core *core, struct slot *slot, uint32_t index, const struct stat *st)
{
	uint32_t from = slot->account;
	uint64_t bytes;

	if (from == index)
		return;
	if (!from && st)
		account_seen(core, slot, st);
	bytes = slot->charged;
	account_stage_own(core, from, 0, bytes);
	account_stage_own(core, index, bytes, 0);
	STAGE(&core->state, slot->account, index);
	state_commit(&core->state);
}

/* A worker killed here leaves an account that is ending, and the next one goes on. */
void account_dissolve(struct core *core, uint32_t index)
{
	struct account *account = account_at(core, index);
	uint32_t around = account->parent;

	STAGE(&core->state, account->flags, account->flags | ACCOUNT_ENDING);
	state_commit(&core->state);
	map_remove(&core->accounts->by_ino, account->ino);
	for (uint32_t i = 1; i < core->state.header->high; i++)
		if (core->state.slots[i].account == index)
			account_take(core, &core->state.slots[i], around, NULL);
	for (uint32_t i = 1; i < core->state.header->accounts_high; i++)
		if (account_at(core, i)->ino && account_at(core, i)->parent == index) {
			STAGE(&core->state, account_at(core, i)->parent, around);
			state_commit(&core->state);
		}
	/* What is left belongs to inodes that the kernel has forgotten. */
	account_stage_own(core, around, account->charged, 0);
	STAGE(&core->state, account->charged, 0);
	STAGE(&core->state, account->ino, 0);
	state_commit(&core->state);
	accounts_sum(core);
}

int accounts_open(struct core *core)
{
	int rc = 0;

	core->accounts = calloc(1, sizeof *core->accounts);
	if (!core->accounts)
		return -ENOMEM;
	for (uint32_t i = 1; rc == 0 && i < core->state.header->accounts_high; i++)
		if (account_at(core, i)->ino)
			rc = map_put(&core->accounts->by_ino, account_at(core, i)->ino, i);
	accounts_sum(core);
	return rc;
}

void accounts_finish(struct core *core)
{
	if (core->accounts)
		map_finish(&core->accounts->by_ino);
	free(core->accounts);
	core->accounts = NULL;
}

/* The request it was for is sent again, and begins anew. */
static void end_account(struct core *core, uint32_t index)
{
	struct slot *directory = slot_by_ino(core, account_at(core, index)->ino);

	account_dissolve(core, index);
	if (directory && core->persistent)
		record_save_slot(core, directory);
}

void accounts_resume(struct core *core)
{
	struct state_header *h = core->state.header;

	for (uint32_t i = 1; i < h->accounts_high; i++) {
		const struct account *account = account_at(core, i);
		if (account->ino && (account->flags & (ACCOUNT_BEGINNING | ACCOUNT_ENDING)))
			end_account(core, i);
	}
	for (uint32_t i = 2; i < h->high; i++)
		account_end(core, &core->state.slots[i]);
}
