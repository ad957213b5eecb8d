#include "core/state_check.h"

#include "core/log.h"
#include "core/util.h"

#include <string.h>

#define EVERYTHING   UINT64_MAX /* header.uncounted */
#define ERRNO_MAX    511        /* the kernel takes no larger one */
#define LONGEST_TIME ((uint64_t)INT64_MAX)
#define KNOWN_FLAGS  ((uint32_t)SLOT_TO_LOOK_AT * 2 - 1)
#define ACCOUNT_ALL  (ACCOUNT_BEGINNING | ACCOUNT_ENDING | ACCOUNT_OF_ROOT)

/* What was found, for the log. */
struct damage {
	unsigned header, slots, handles, accounts, members, mended;
};

/* --- the log --- */

static bool overlaps(uint64_t offset, uint64_t width, uint64_t begin, uint64_t end)
{
	return offset < end && offset + width > begin;
}

/* The log itself must stay what was looked at. */
static bool entry_is_sound(const struct state *state, uint32_t i)
{
	const struct state_header *h = state->header;
	const uint64_t offset = h->log[i].offset, width = h->log[i].width;
	const uint64_t count = offsetof(struct state_header, log_count);
	const uint64_t log = offsetof(struct state_header, log);

	if (width != 1 && width != 2 && width != 4 && width != 8)
		return false;
	if (offset % width || offset >= state->mapped || width > state->mapped - offset)
		return false;
	return !overlaps(offset, width, count, count + sizeof h->log_count) &&
	       !overlaps(offset, width, log, log + sizeof h->log);
}

void state_check_log(struct state *state)
{
	struct state_header *h = state->header;
	bool sound = h->log_count <= STATE_LOG_WORDS;

	for (uint32_t i = 0; sound && i < h->log_count; i++)
		sound = entry_is_sound(state, i);
	if (sound)
		return;
	log_error("the state area is damaged: what the last worker was about to change is lost");
	state->damaged = true;
	h->log_count = 0;
}

/* --- how far the tables go --- */

/* Pages beyond were never written to: nobody has to look at them. */
static uint64_t written_to(int memfd, uint64_t from, uint64_t to)
{
	off_t at = (off_t)from, end = at;

	while ((at = lseek(memfd, at, SEEK_DATA)) >= 0 && (uint64_t)at < to) {
		at = lseek(memfd, at, SEEK_HOLE);
		if (at < 0)
			return to;
		end = at;
	}
	return (uint64_t)end < to ? (uint64_t)end : to;
}

struct table {
	const struct state *state;
	int memfd;
	uint64_t offset;
	struct damage *damage;
};

/* `high` is at least what a fresh state has, and at most what there is of the table. */
static void check_high(const struct table *t, uint32_t *high, const void *begin, size_t size,
		       uint32_t least, uint32_t capacity)
{
	uint64_t from =
	    t->offset + (uint64_t)((const char *)begin - (const char *)t->state->header);
	uint64_t used, written;

	if (*high < least || *high > capacity) {
		t->damage->header++;
		*high = *high < least ? least : capacity;
	}
	used = from + *high * (uint64_t)size;
	written = written_to(t->memfd, from, used);
	if (written < used)
		*high = (uint32_t)((written - from + size - 1) / size);
	if (*high < least)
		*high = least;
}

static void check_highs(const struct table *t)
{
	const struct state *s = t->state;
	struct state_header *h = s->header;

	check_high(t, &h->high, s->slots, sizeof *s->slots, 2, STATE_MAX_SLOTS);
	check_high(t, &h->handles_high, s->handles, sizeof *s->handles, 1, STATE_HANDLES);
	check_high(t, &h->accounts_high, s->accounts, sizeof *s->accounts, 1, STATE_ACCOUNTS);
	check_high(t, &h->members_high, s->members, sizeof *s->members, 1, STATE_MEMBERS);
	check_high(t, &h->users_high, s->users, sizeof *s->users, 2, STATE_USERS);
}

/* --- what stands in the header --- */

/* A wait's record says how it ended, a write's how much was taken: others are errors. */
static void check_record(struct request_record *record, struct damage *damage)
{
	if (record->phase <= RECORD_DONE && record->error >= -ERRNO_MAX)
		return;
	damage->header++;
	record->phase = RECORD_NONE;
	record->error = 0;
}

static void check_header(struct state *state, struct damage *damage)
{
	struct state_header *h = state->header;

	for (uint32_t i = 0; i < STATE_RECORDS; i++)
		check_record(&h->records[i], damage);
	for (uint32_t i = 0; i < STATE_SAVED; i++)
		check_record(&h->saved[i], damage);
	if (h->granted_result < 0 || h->granted_result > WAIT_WAS_ABANDONED) {
		damage->header++;
		h->granted = 0;
		h->granted_result = WAIT_SIGNALED;
	}
	if (h->unsynced_count > STATE_UNSYNCED) {
		damage->header++;
		h->unsynced_all = 1;
		h->unsynced_count = 0;
	}
	if (h->attaches_lost > STATE_RECORDS) /* each is asked for */
		h->attaches_lost = STATE_RECORDS;
	if (!h->next_binding || h->next_binding > INT64_MAX) {
		damage->header++;
		h->next_binding = 1;
	}
}

/* --- accounts --- */

/* Does the way from it to the mount's own account end? */
static bool parents_end(const struct state *state, uint32_t index)
{
	uint32_t high = state->header->accounts_high, steps = 0;

	for (; index; index = state->accounts[index].parent)
		if (index >= high || ++steps > high)
			return false;
	return true;
}

static void check_accounts(struct state *state, struct damage *damage)
{
	for (uint32_t i = 1; i < state->header->accounts_high; i++) {
		struct account *account = &state->accounts[i];

		account->flags &= ACCOUNT_ALL;
		if (parents_end(state, i))
			continue;
		damage->accounts++;
		account->parent = 0;
	}
}

/* --- slots --- */

static bool slot_is_unused(const struct slot *slot)
{
	return !slot->lookups && !slot->handles && !slot->flags;
}

static bool slot_is_sound(const struct slot *slot)
{
	const uint32_t kind = slot->flags & (SLOT_REGULAR | SLOT_DIRECTORY);

	if (!slot->generation || (slot->flags & ~KNOWN_FLAGS) || slot->type >= OBJECT_TYPES)
		return false;
	if (kind == (SLOT_REGULAR | SLOT_DIRECTORY))
		return false;
	if ((slot_is_waitable(slot) || (slot->flags & SLOT_BOUND)) && kind != SLOT_REGULAR)
		return false;
	if ((slot->flags & SLOT_BOUND) && (slot_is_waitable(slot) || slot->binding > INT64_MAX))
		return false;
	return slot->handle_length <= STATE_HANDLE_MAX && slot->place <= 1;
}

/* As if it had never been known: the generation tells the kernel that its node is stale. */
static void drop_slot(struct slot *slot)
{
	*slot = (struct slot){.generation = slot->generation};
}

static void mend_slot(struct state *state, struct slot *slot, struct damage *damage)
{
	struct state_header *h = state->header;

	if (slot->user >= h->users_high) {
		damage->mended++;
		slot->user = 0;
		h->uncounted = EVERYTHING;
	}
	if (slot->account >= h->accounts_high) {
		damage->mended++;
		slot->account = 0;
	}
	if (slot->inherit > CORE_LIFETIMES) {
		damage->mended++;
		slot->inherit = 0;
	}
	/* Numbers are given once. */
	if ((slot->flags & SLOT_BOUND) && slot->binding >= h->next_binding)
		h->next_binding = slot->binding + 1;
	if ((slot->flags & SLOT_BOUND) && slot->binding == h->binding_in_hand)
		h->binding_in_hand = 0;
}

static void check_root(struct state *state, struct damage *damage)
{
	struct slot *root = &state->slots[1];

	root->generation = root->type = root->place = root->handle_length = 0;
	mend_slot(state, root, damage);
}

static void check_slots(struct state *state, struct damage *damage)
{
	check_root(state, damage);
	for (uint32_t i = 2; i < state->header->high; i++) {
		struct slot *slot = &state->slots[i];

		if (slot_is_unused(slot))
			continue;
		if (slot_is_sound(slot)) {
			mend_slot(state, slot, damage);
			continue;
		}
		damage->slots++;
		drop_slot(slot);
	}
}

/* --- objects to wait on, and their handles --- */

/* The object a node speaks of, if one can wait on it. */
static struct slot *waitable_of(struct state *state, uint64_t node)
{
	struct slot *slot = state_slot(state, node);

	return slot && !slot_is_unused(slot) && slot_is_waitable(slot) ? slot : NULL;
}

static void check_handles(struct state *state, struct damage *damage)
{
	for (uint32_t i = 1; i < state->header->handles_high; i++) {
		struct wait_handle *handle = &state->handles[i];

		if (handle->answered > WAIT_WAS_ABANDONED + 1)
			handle->answered = 0;
		if (!handle->node || waitable_of(state, handle->node))
			continue;
		damage->handles++;
		handle->node = handle->poll = 0;
	}
}

static bool is_handle_of(struct state *state, const struct slot *slot, uint64_t number)
{
	const uint32_t index = (uint32_t)number;

	return index && index < state->header->handles_high &&
	       state->handles[index].generation == (uint32_t)(number >> 32) &&
	       state->handles[index].node == state_node(state, slot);
}

static bool mend_wait(struct state *state, struct slot *slot)
{
	struct wait_state *wait = &slot->wait;

	switch (slot->type) {
	case OBJECT_MUTEX:
		if (!wait->owner || is_handle_of(state, slot, wait->owner))
			return false;
		wait->owner = wait->value = 0;
		wait->options |= WAIT_ABANDONED;
		return true;
	case OBJECT_SEMAPHORE:
		if (wait->maximum <= INT32_MAX && wait->value <= wait->maximum)
			return false;
		wait->maximum = wait->maximum > INT32_MAX ? INT32_MAX : wait->maximum;
		wait->value = wait->value > wait->maximum ? wait->maximum : wait->value;
		return true;
	case OBJECT_TIMER:
		if (wait->due <= LONGEST_TIME && wait->period <= LONGEST_TIME)
			return false;
		wait->due = wait->period = 0;
		return true;
	default:
		return false;
	}
}

static void check_waits(struct state *state, struct damage *damage)
{
	for (uint32_t i = 2; i < state->header->high; i++)
		if (!slot_is_unused(&state->slots[i]) && mend_wait(state, &state->slots[i]))
			damage->mended++;
}

/* --- members of jobs --- */

static void check_members(struct state *state, struct damage *damage)
{
	for (uint32_t i = 1; i < state->header->members_high; i++) {
		struct job_member *member = &state->members[i];

		member->state &= MEMBER_MAKING | MEMBER_ENDED;
		if (!member->node || member->pid <= INT32_MAX)
			continue;
		damage->members++;
		member->node = 0;
	}
}

/* --- all of it --- */

static void report(struct state *state, const struct damage *d)
{
	if (!d->header && !d->slots && !d->handles && !d->accounts && !d->members && !d->mended)
		return;
	state->damaged = true;
	log_error("the state area is damaged; dropped: %u objects, %u handles, %u limits, %u "
		  "members of jobs; put in order: %u objects, %u numbers",
		  d->slots, d->handles, d->accounts, d->members, d->mended, d->header);
}

void state_check(struct state *state, int memfd, uint64_t offset)
{
	struct damage damage = {0};
	const struct table table = {
	    .state = state, .memfd = memfd, .offset = offset, .damage = &damage};

	check_highs(&table);
	check_header(state, &damage);
	check_accounts(state, &damage);
	check_slots(state, &damage);
	check_handles(state, &damage);
	check_waits(state, &damage);
	check_members(state, &damage);
	report(state, &damage);
}

bool state_place_is_sound(const struct slot_place *place)
{
	return memchr(place->name, '\0', sizeof place->name) && is_component(place->name);
}
