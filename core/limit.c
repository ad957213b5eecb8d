#include "core/limit.h"

#include "core/account.h"
#include "core/util.h"
#include "core/walk.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* --- the value --- */

static int parse(const char *value, size_t size, uint64_t *out)
{
	uint64_t number = 0;
	size_t at = 0;
	int shift = 0;

	for (; at < size && isdigit((unsigned char)value[at]); at++) {
		if (number > (uint64_t)INT64_MAX / 10 - 1)
			return -EINVAL;
		number = number * 10 + (uint64_t)(value[at] - '0');
	}
	if (at == 0 || size - at > 1)
		return -EINVAL;
	if (at < size)
		shift = size_shift(value[at]);
	if (shift < 0 || number > (uint64_t)INT64_MAX >> shift)
		return -EINVAL;
	*out = number << shift;
	return 0;
}

/* --- who may --- */

static int refuse(void *context, int dirfd, const char *name, const struct stat *st)
{
	const bool *is_top = context;

	(void)dirfd;
	(void)st;
	return *is_top && strcmp(name, CORE_CONTROL_NAME) == 0 ? 0 : -ENOTEMPTY;
}

static int open_directory(struct core *core, struct slot *slot)
{
	int fd = tree_directory(&core->tree, slot);

	return fd < 0 ? fd : walk_open(fd, ".");
}

static int check_right(struct core *core, struct slot *slot, uint32_t account, uid_t uid)
{
	bool is_top = state_index(&core->state, slot) == 1;
	struct stat st;
	int rc;

	if (cred_is_root(uid, core->request_pid))
		return 0;
	rc = tree_stat(&core->tree, slot, &st);
	if (rc < 0)
		return rc;
	if (uid != st.st_uid ||
	    (account && (core->state.accounts[account].flags & ACCOUNT_OF_ROOT)))
		return -EPERM;
	return walk_directory(open_directory(core, slot), refuse, &is_top);
}

/* --- an account for a directory that is in use --- */

struct survey {
	struct core *core;
	uint32_t account;
	struct map links; /* inode with several names -> how many have not been met */
	size_t outside;   /* inodes of which some have not */
	uint64_t unknown; /* charged for what the kernel does not know */
};

/* False: has been counted under another name. */
static bool first_name(struct survey *survey, const struct stat *st, int *error)
{
	uint32_t left;

	*error = 0;
	if (st->st_nlink == 1)
		return true;
	if (!map_get(&survey->links, st->st_ino, &left)) {
		survey->outside++;
		*error = map_put(&survey->links, st->st_ino, (uint32_t)st->st_nlink - 1);
		return true;
	}
	survey->outside -= left == 1;
	*error = map_put(&survey->links, st->st_ino, left - 1);
	return false;
}

/* Bytes that an inode without a slot is charged for. */
static uint64_t unknown_charge(struct core *core, uint32_t account, int dirfd, const char *name,
			       const struct stat *st)
{
	struct slot probe = {.flags = SLOT_REGULAR, .account = (uint16_t)account};

	record_load(core, &probe, dirfd, name);
	return account_counts(&probe) ? page_round_up((uint64_t)st->st_size) : 0;
}

static int survey_file(struct survey *survey, int dirfd, const char *name, const struct stat *st)
{
	struct slot *slot = slot_by_ino(survey->core, st->st_ino);
	int rc;

	if (!first_name(survey, st, &rc) || rc < 0)
		return rc;
	if (slot)
		account_take(survey->core, slot, survey->account, st);
	else if (S_ISREG(st->st_mode))
		survey->unknown += unknown_charge(survey->core, survey->account, dirfd, name, st);
	return 0;
}

static int survey_entry(void *context, int dirfd, const char *name, const struct stat *st)
{
	struct survey *survey = context;
	struct core *core = survey->core;
	struct slot *slot;
	uint32_t inner;

	if (!S_ISDIR(st->st_mode))
		return survey_file(survey, dirfd, name, st);
	if (map_get(&core->accounts->by_ino, st->st_ino, &inner)) {
		STAGE(&core->state, core->state.accounts[inner].parent, survey->account);
		state_commit(&core->state);
		return 0;
	}
	slot = slot_by_ino(core, st->st_ino);
	if (slot)
		account_take(core, slot, survey->account, NULL);
	return walk_directory(walk_open(dirfd, name), survey_entry, survey);
}

static int run_survey(struct core *core, struct slot *slot, uint32_t account, uint64_t *unknown)
{
	struct survey survey = {.core = core, .account = account};
	int rc = walk_directory(open_directory(core, slot), survey_entry, &survey);

	if (rc == 0 && survey.outside)
		rc = -EXDEV;
	map_finish(&survey.links);
	*unknown = survey.unknown;
	return rc;
}

/* The record is for the next mount: memory has none. */
static int keep(struct core *core, struct slot *slot)
{
	return core->persistent ? record_save_slot(core, slot) : 0;
}

static int begin_limit(struct core *core, struct slot *slot, uint64_t limit, uint32_t flags)
{
	uint32_t around = slot->account;
	uint64_t unknown = 0;
	int rc, index = account_create(core, slot->ino, around, limit, flags | ACCOUNT_BEGINNING);

	if (index < 0)
		return index;
	account_take(core, slot, (uint32_t)index, NULL);
	rc = run_survey(core, slot, (uint32_t)index, &unknown);
	if (rc == 0)
		rc = keep(core, slot);
	if (rc < 0) {
		account_dissolve(core, (uint32_t)index);
		return rc;
	}
	account_stage_own(core, around, 0, unknown);
	account_stage_own(core, (uint32_t)index, unknown, 0);
	STAGE(&core->state, core->state.accounts[index].flags, flags);
	core_finish(core, 0);
	accounts_sum(core);
	return 0;
}

static int change_limit(struct core *core, struct slot *slot, uint32_t index, uint64_t limit,
			uint32_t flags)
{
	struct account *account = &core->state.accounts[index];
	const struct account before = *account;
	int rc;

	STAGE(&core->state, account->limit, limit);
	STAGE(&core->state, account->flags, flags);
	state_commit(&core->state);
	rc = keep(core, slot);
	if (rc == 0)
		return core_finish(core, 0);
	STAGE(&core->state, account->limit, before.limit);
	STAGE(&core->state, account->flags, before.flags);
	state_commit(&core->state);
	return rc;
}

static int end_limit(struct core *core, struct slot *slot, uint32_t index)
{
	struct account *account = &core->state.accounts[index];
	int rc;

	STAGE(&core->state, account->flags, account->flags | ACCOUNT_ENDING);
	state_commit(&core->state);
	rc = keep(core, slot);
	if (rc < 0) {
		STAGE(&core->state, account->flags, account->flags & ~(uint32_t)ACCOUNT_ENDING);
		state_commit(&core->state);
		return rc;
	}
	account_dissolve(core, index);
	return core_finish(core, 0);
}

/* --- the attribute --- */

int limit_set(struct core *core, struct slot *slot, const char *value, size_t size, uid_t uid)
{
	uint32_t index = account_of_top(core, slot);
	uint32_t by = cred_is_root(uid, core->request_pid) ? ACCOUNT_OF_ROOT : 0;
	uint64_t limit;
	int rc = parse(value, size, &limit);

	if (rc == 0)
		rc = check_right(core, slot, index, uid);
	if (rc < 0)
		return rc;
	if (index)
		return limit ? change_limit(core, slot, index, limit, by)
			     : end_limit(core, slot, index);
	return limit ? begin_limit(core, slot, limit, by) : core_finish(core, 0);
}

int limit_remove(struct core *core, struct slot *slot, uid_t uid)
{
	uint32_t index = account_of_top(core, slot);
	int rc = check_right(core, slot, index, uid);

	return rc < 0 ? rc : end_limit(core, slot, index);
}

bool limit_is_set(struct core *core, struct slot *slot)
{
	return account_of_top(core, slot) != 0;
}

bool limit_has_commit(struct core *core, struct slot *slot)
{
	return limit_is_set(core, slot) || state_index(&core->state, slot) == 1;
}

int limit_print(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	const struct account *account = &core->state.accounts[account_of_top(core, slot)];

	return snprintf(buffer, size, "%llu", (unsigned long long)account->limit);
}

int limit_print_commit(struct core *core, struct slot *slot, char *buffer, size_t size)
{
	uint32_t index = account_of_top(core, slot);
	struct core_usage usage;

	core_usage(core, &usage);
	return snprintf(
	    buffer, size, "%llu",
	    (unsigned long long)(index ? core->accounts->total[index] : usage.committed));
}

/* --- the record --- */

uint64_t limit_of_record(struct core *core, const struct slot *slot, uint16_t *flags)
{
	uint32_t index = account_of_top(core, slot);
	const struct account *account = &core->state.accounts[index];

	*flags = index ? (uint16_t)(account->flags & ACCOUNT_OF_ROOT) : 0;
	return index ? account->limit : 0;
}

int limit_census_directory(struct core *core, uint32_t around, ino_t ino, int dirfd,
			   const char *name)
{
	uint16_t flags;
	uint64_t limit = record_limit(core, dirfd, name, &flags);

	return limit ? account_create(core, ino, around, limit, flags) : (int)around;
}

uint64_t limit_census_file(struct core *core, uint32_t account, int dirfd, const char *name,
			   const struct stat *st)
{
	return unknown_charge(core, account, dirfd, name, st);
}
