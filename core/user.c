/* The table of users, and what stands in it: objects. */
#include "core/user.h"

#include "core/account.h"
#include "core/log.h"
#include "core/util.h"

#define EVERYTHING     UINT64_MAX
#define OTHERS         1U /* the entry of all whom the table has no room for */
#define COMPLAIN_AFTER (60 * 1000000000ULL)

static struct state_user *user_at(struct core *core, uint32_t index)
{
	return &core->state.users[index];
}

/* --- the table --- */

static bool is_idle(struct core *core, uint32_t index)
{
	const struct state_user *user = user_at(core, index);
	const struct user_use *use = &core->users->use[index];

	return !user->objects && !user->bytes && !use->waits && !use->handles;
}

static uint32_t free_index(struct core *core)
{
	struct state_header *h = core->state.header;

	if (h->users_high < STATE_USERS)
		return h->users_high;
	for (uint32_t i = OTHERS + 1; i < STATE_USERS; i++)
		if (is_idle(core, i))
			return i;
	return OTHERS;
}

/* Who is entered if need be. */
uint32_t user_index(struct core *core, uid_t uid)
{
	struct state_header *h = core->state.header;
	struct map *by_uid = &core->users->by_uid;
	uint32_t index;

	if (map_get(by_uid, uid, &index))
		return index;
	index = free_index(core);
	if (index == OTHERS || map_put(by_uid, uid, index) < 0)
		return OTHERS;
	if (index < h->users_high)
		map_remove(by_uid, user_at(core, index)->uid);
	*user_at(core, index) = (struct state_user){.uid = uid};
	if (index == h->users_high)
		*(volatile uint32_t *)&h->users_high = index + 1;
	return index;
}

int users_open(struct core *core)
{
	struct state_header *h = core->state.header;
	int rc = 0;

	core->users = calloc(1, sizeof *core->users);
	if (!core->users)
		return -ENOMEM;
	core->users->core = core;
	while (h->users_high > OTHERS + 1 && is_idle(core, h->users_high - 1))
		h->users_high--;
	for (uint32_t i = OTHERS + 1; rc == 0 && i < h->users_high; i++)
		rc = map_put(&core->users->by_uid, user_at(core, i)->uid, i);
	return rc;
}

void users_finish(struct core *core)
{
	if (!core->users)
		return;
	map_finish(&core->users->by_uid);
	free(core->users->look);
	free(core->users);
	core->users = NULL;
}

/* --- a change that is not counted yet --- */

static void begin_counting(struct core *core)
{
	*(volatile uint64_t *)&core->state.header->counting =
	    core->record ? core->record->unique : EVERYTHING;
}

static void stage_counted(struct core *core)
{
	struct state_header *h = core->state.header;

	STAGE(&core->state, h->counting, 0);
	if (core->record && h->uncounted == core->record->unique)
		STAGE(&core->state, h->uncounted, 0);
}

void users_resume(struct core *core)
{
	struct state_header *h = core->state.header;

	if (h->counting)
		h->uncounted =
		    h->uncounted && h->uncounted != h->counting ? EVERYTHING : h->counting;
	h->counting = 0;
}

void users_resumed(struct core *core)
{
	if (core->state.header->uncounted)
		users_recount(core);
}

/* --- limits --- */

/* Once a minute at most: who fills the log is greedy, too. */
static void complain(struct core *core, uid_t uid, const char *what)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (core->users->complained_at && now - core->users->complained_at < COMPLAIN_AFTER)
		return;
	core->users->complained_at = now;
	log_warn("user %u has reached the limit of %s", uid, what);
}

/* Root's own, if it is the machine's, is not limited; that is only asked when it matters. */
static bool is_exempt(struct core *core)
{
	return cred_is_root(core->request_uid, core->request_pid);
}

static bool has_room(uint64_t limit, uint64_t used, uint64_t wanted)
{
	return !limit || (used <= limit && wanted <= limit - used);
}

static int may_have_objects(struct core *core, uint32_t index, uint64_t count)
{
	const struct state_user *user = user_at(core, index);

	if (has_room(core->config.user.objects, user->objects, count) || is_exempt(core))
		return 0;
	complain(core, user->uid, "objects (user_objects=)");
	return -EDQUOT;
}

/* --- objects --- */

static void stage_objects(struct core *core, uint32_t index, uint64_t add, uint64_t subtract)
{
	struct state_user *user = user_at(core, index);
	uint64_t after = user->objects + add;

	if (!index || add == subtract)
		return;
	/* A store that somebody else has worked in may hold less than was counted. */
	STAGE(&core->state, user->objects, after > subtract ? after - subtract : 0);
}

int user_may_create(struct core *core, uid_t uid)
{
	/* A second try may find it made already. */
	int rc = core->resent_started ? 0 : may_have_objects(core, user_index(core, uid), 1);

	if (rc == 0)
		begin_counting(core);
	return rc;
}

void user_stage_born(struct core *core, struct slot *slot, uid_t uid)
{
	stage_counted(core);
	if (slot->user)
		return;
	/* It is not alive before the commit. */
	*(volatile uint16_t *)&slot->user = (uint16_t)user_index(core, uid);
	stage_objects(core, slot->user, 1, 0);
}

void user_stage_name(struct core *core, const struct slot *slot)
{
	stage_counted(core);
	stage_objects(core, slot->user, 1, 0);
}

void user_count_unknown(struct core *core, uid_t uid)
{
	stage_counted(core);
	stage_objects(core, user_index(core, uid), 1, 0);
	state_commit(&core->state);
}

void user_join(struct core *core, struct slot *slot, const struct stat *st)
{
	*(volatile uint16_t *)&slot->user = (uint16_t)user_index(core, st->st_uid);
}

void user_note_name(struct core *core, const struct slot *slot, int dirfd, const char *name,
		    const struct stat *st)
{
	const bool whole = S_ISDIR(st->st_mode) || st->st_nlink == 1;
	struct slot probe = {.flags = S_ISREG(st->st_mode) ? (uint32_t)SLOT_REGULAR : 0U};

	begin_counting(core);
	/* Made an orphan by a first try, or long ago? */
	if (slot && (slot->flags & SLOT_ORPHAN) && core->resent_started) {
		core->state.header->uncounted = EVERYTHING;
		return;
	}
	core->users->going.user = slot ? slot->user : user_index(core, st->st_uid);
	core->users->going.objects = 1;
	core->users->going.bytes = 0;
	if (slot || !whole || !(S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)))
		return;
	record_load(core, &probe, dirfd, name);
	core->users->going.objects += probe.extra;
	core->users->going.bytes = user_census_bytes(&probe, st);
}

void user_stage_gone(struct core *core)
{
	if (!core->users->going.user)
		return;
	stage_counted(core);
	stage_objects(core, core->users->going.user, 0, core->users->going.objects);
	user_stage_bytes(core, core->users->going.user, core->users->going.bytes, 0);
	core->users->going.user = 0;
}

void user_stage_end(struct core *core, struct slot *slot, bool whole)
{
	stage_objects(core, slot->user, 0, whole ? 1U + slot->extra : 1U);
	if (!whole)
		return;
	STAGE(&core->state, slot->extra, 0);
	STAGE(&core->state, slot->user, 0);
}

/* --- another owner --- */

void user_before_chown(struct core *core)
{
	begin_counting(core);
}

/* Of whom much is taken gets room for as much; who is given it is not asked: only root gives. */
void user_after_chown(struct core *core, struct slot *slot, const struct stat *st)
{
	uint32_t from = slot->user, to = user_index(core, st->st_uid);
	uint64_t objects = slot->extra + (S_ISDIR(st->st_mode) ? 1 : (uint64_t)st->st_nlink);

	stage_counted(core);
	if (from && from != to) {
		stage_objects(core, from, 0, objects);
		stage_objects(core, to, objects, 0);
		user_stage_bytes(core, from, slot->charged, 0);
		user_stage_bytes(core, to, 0, slot->charged);
		STAGE(&core->state, slot->user, to);
	}
	state_commit(&core->state);
}

/* --- extended attributes --- */

int user_stage_extra(struct core *core, struct slot *slot, uint64_t bytes)
{
	uint64_t extra = bytes / 1024;
	int rc;

	if (extra > slot->extra) {
		if (extra > USER_EXTRA_MAX && !is_exempt(core))
			return -ENOSPC;
		if (extra > UINT8_MAX)
			extra = UINT8_MAX; /* root's: as far as it can be counted */
		rc = may_have_objects(core, slot->user, extra - slot->extra);
		if (rc < 0)
			return rc;
	}
	if (extra == slot->extra || !slot->user)
		return 0;
	stage_objects(core, slot->user, extra, slot->extra);
	STAGE(&core->state, slot->extra, extra);
	STAGE(&core->state, slot->flags, slot->flags | SLOT_UNSAVED);
	return 0;
}

/* --- bytes --- */

bool user_is_over(struct core *core, const struct slot *slot)
{
	return core->config.user.bytes && slot->user &&
	       user_at(core, slot->user)->bytes >= core->config.user.bytes &&
	       account_is_memory(slot);
}

int user_may_grow(struct core *core, const struct slot *slot, uint64_t bytes)
{
	const struct state_user *user = user_at(core, slot->user);

	if (has_room(core->config.user.bytes, user->bytes, bytes) || !slot->user || is_exempt(core))
		return 0;
	complain(core, user->uid, "bytes (user_size=)");
	return -EDQUOT;
}

uint64_t user_room(struct core *core, const struct slot *slot, uint64_t wanted)
{
	const struct state_user *user = user_at(core, slot->user);
	uint64_t limit = core->config.user.bytes & ~(PAGE_BYTES - 1);

	if (user_may_grow(core, slot, wanted) == 0)
		return wanted;
	return limit > user->bytes ? limit - user->bytes : 0;
}

void user_stage_bytes(struct core *core, uint32_t index, uint64_t before, uint64_t after)
{
	struct state_user *user = user_at(core, index);
	uint64_t sum = user->bytes + after;

	if (index && before != after)
		STAGE(&core->state, user->bytes, sum > before ? sum - before : 0);
}

/* --- waits --- */

int user_take_waits(struct core *core, uid_t uid, uint32_t count, bool again)
{
	uint32_t index = user_index(core, uid);
	struct user_use *use = &core->users->use[index];

	if (!again && !has_room(core->config.user.waits, use->waits, count) && !is_exempt(core)) {
		complain(core, uid, "waits (user_waits=)");
		return -EDQUOT;
	}
	use->waits += count;
	return 0;
}

void user_drop_waits(struct core *core, uid_t uid, uint32_t count)
{
	core->users->use[user_index(core, uid)].waits -= count;
}

int user_may_take_handle(struct core *core, uid_t uid)
{
	const struct user_use *use = &core->users->use[user_index(core, uid)];

	if (!core->config.user.waits || use->handles < USER_HANDLES || is_exempt(core))
		return 0;
	complain(core, uid, "open objects to wait on");
	return -ENFILE;
}

void user_count_handle(struct core *core, uid_t uid, bool opened)
{
	struct user_use *use = &core->users->use[user_index(core, uid)];

	use->handles += opened ? 1 : -1U;
}

/* --- telling --- */

uint32_t core_users(struct core *core, struct core_user *out, uint32_t room, bool all, uid_t uid)
{
	uint32_t count = 0;

	for (uint32_t i = OTHERS; i < core->state.header->users_high; i++) {
		const struct state_user *user = user_at(core, i);

		if (is_idle(core, i) || !(all || user->uid == uid))
			continue;
		if (count < room)
			out[count] = (struct core_user){
			    .uid = i == OTHERS ? (uid_t)-1 : user->uid,
			    .objects = user->objects,
			    .bytes = user->bytes,
			    .waits = core->users->use[i].waits,
			    .handles = core->users->use[i].handles,
			};
		count++;
	}
	return count;
}
