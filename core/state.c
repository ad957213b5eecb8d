#include "core/state.h"

#include "core/crash.h"
#include "core/state_check.h"
#include "core/util.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define STATE_MAGIC   0x6574617473666d31ULL
#define STATE_VERSION 4

static size_t slots_offset(void)
{
	return (size_t)page_round_up(sizeof(struct state_header));
}

static size_t places_offset(void)
{
	return slots_offset() + STATE_MAX_SLOTS * sizeof(struct slot);
}

static size_t handles_offset(void)
{
	return places_offset() + STATE_MAX_SLOTS * 2ULL * sizeof(struct slot_place);
}

static size_t accounts_offset(void)
{
	return handles_offset() + STATE_HANDLES * sizeof(struct wait_handle);
}

static size_t members_offset(void)
{
	return accounts_offset() + STATE_ACCOUNTS * sizeof(struct account);
}

static size_t users_offset(void)
{
	return members_offset() + STATE_MEMBERS * sizeof(struct job_member);
}

static void apply_log(struct state_header *h)
{
	for (uint32_t i = 0; i < h->log_count; i++) {
		void *field = (char *)h + h->log[i].offset;

		if (i && i == h->log_count / 2)
			CRASH_POINT("commit: half applied");
		if (h->log[i].width == sizeof(uint64_t))
			*(uint64_t *)field = h->log[i].value;
		else if (h->log[i].width == sizeof(uint32_t))
			*(uint32_t *)field = (uint32_t)h->log[i].value;
		else
			memcpy(field, &h->log[i].value, h->log[i].width);
	}
	atomic_signal_fence(memory_order_seq_cst);
	CRASH_POINT("commit: applied");
	h->log_count = 0;
}

uint64_t state_layout(void)
{
	const size_t parts[] = {
	    STATE_VERSION,
	    STATE_MAX_SLOTS,
	    sizeof(struct state_header),
	    sizeof(struct slot),
	    sizeof(struct slot_place),
	    sizeof(struct wait_handle),
	    sizeof(struct account),
	    sizeof(struct job_member),
	    sizeof(struct request_record),
	    offsetof(struct state_header, log),
	    offsetof(struct state_header, records),
	    offsetof(struct state_header, saved),
	    offsetof(struct state_header, granted),
	    offsetof(struct state_header, accounts_high),
	    offsetof(struct slot, ino),
	    offsetof(struct slot, wait),
	    offsetof(struct slot, flush_error),
	    offsetof(struct slot, watch),
	    offsetof(struct slot, handle),
	    offsetof(struct slot, place),
	    offsetof(struct slot, charged),
	    offsetof(struct wait_state, value),
	    offsetof(struct wait_state, options),
	    offsetof(struct wait_handle, poll),
	    offsetof(struct wait_handle, signaled),
	    offsetof(struct account, charged),
	    offsetof(struct job_member, state),
	    slots_offset(),
	    places_offset(),
	    handles_offset(),
	    accounts_offset(),
	    members_offset(),
	};

	return layout_of(parts, ARRAY_SIZE(parts));
}

int state_open(struct state *state, int memfd, uint64_t offset)
{
	struct stat st;
	void *base;

	*state = (struct state){0};
	state->mapped = users_offset() + STATE_USERS * sizeof(struct state_user);
	if (fstat(memfd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < offset + state->mapped &&
	    ftruncate(memfd, (off_t)(offset + state->mapped)) < 0)
		return -errno;
	base = mmap(NULL, state->mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memfd,
		    (off_t)offset);
	if (base == MAP_FAILED)
		return -errno;
	state->header = base;
	state->slots = (void *)((char *)base + slots_offset());
	state->places = (void *)((char *)base + places_offset());
	state->handles = (void *)((char *)base + handles_offset());
	state->accounts = (void *)((char *)base + accounts_offset());
	state->members = (void *)((char *)base + members_offset());
	state->users = (void *)((char *)base + users_offset());
	state->fresh = state->header->magic != STATE_MAGIC;
	if (!state->fresh) {
		if (state->header->version != STATE_VERSION)
			return -EPROTO;
		state_check_log(state);
		apply_log(state->header);
		state_check(state, memfd, offset);
		return 0;
	}
	/* Who began, and did not come to an end, may have written something. */
	*state->header = (struct state_header){0};
	state->slots[0] = state->slots[1] = (struct slot){0};
	state->header->version = STATE_VERSION;
	state->header->high = 2; /* slot 0 is no node; slot 1 is the root */
	state->header->next_binding = 1;
	state->header->handles_high = state->header->members_high = 1; /* 0 is none */
	state->header->accounts_high = 1;
	state->header->users_high = 2; /* 1: all whom the table has no room for */
	return 0;
}

void state_close(struct state *state)
{
	if (state->header)
		munmap(state->header, state->mapped);
	*state = (struct state){0};
}

void state_set_ready(struct state *state)
{
	atomic_signal_fence(memory_order_seq_cst);
	state->header->magic = STATE_MAGIC;
}

void state_stage(struct state *state, volatile void *field, size_t width, uint64_t value)
{
	struct state_header *h = state->header;

	if (state->staged == STATE_LOG_WORDS)
		abort();
	h->log[state->staged].offset = (uint64_t)((volatile char *)field - (volatile char *)h);
	h->log[state->staged].value = value;
	h->log[state->staged].width = width;
	state->staged++;
}

void state_commit(struct state *state)
{
	/* Only a kill can interrupt us, on the same memory: ordering the stores is enough. */
	CRASH_POINT("commit: staged");
	atomic_signal_fence(memory_order_seq_cst);
	*(volatile uint32_t *)&state->header->log_count = state->staged;
	atomic_signal_fence(memory_order_seq_cst);
	CRASH_POINT("commit: armed");
	apply_log(state->header);
	state->staged = 0;
}

void state_abandon(struct state *state)
{
	state->staged = 0;
}

struct slot *state_slot(struct state *state, uint64_t node)
{
	uint32_t index = (uint32_t)node;
	struct slot *slot;

	if (index == 0 || index >= state->header->high)
		return NULL;
	slot = &state->slots[index];
	return slot->generation == (uint32_t)(node >> 32) ? slot : NULL;
}

uint32_t state_index(const struct state *state, const struct slot *slot)
{
	return (uint32_t)(slot - state->slots);
}

struct slot_place *state_places(struct state *state, const struct slot *slot)
{
	return &state->places[2ULL * state_index(state, slot)];
}

uint64_t state_node(const struct state *state, const struct slot *slot)
{
	return (uint64_t)slot->generation << 32 | state_index(state, slot);
}

struct request_record *state_record(struct state *state, uint64_t unique)
{
	return &state->header->records[(unique >> 1) % STATE_RECORDS];
}

struct request_record *state_saved(struct state *state, uint64_t unique)
{
	for (uint32_t i = 0; i < STATE_SAVED; i++) {
		struct request_record *record = &state->header->saved[i];
		if (record->unique == unique && record->phase != RECORD_NONE)
			return record;
	}
	return NULL;
}

void state_save_in_hand(struct state *state)
{
	struct state_header *h = state->header;
	struct request_record *record = state_record(state, h->in_hand);

	/* Saved before: that copy has gone on since. */
	if (record->unique != h->in_hand || record->phase == RECORD_NONE ||
	    state_saved(state, h->in_hand))
		return;
	h->saved[h->saved_next % STATE_SAVED] = *record;
	atomic_signal_fence(memory_order_seq_cst);
	CRASH_POINT("request in hand: copied");
	*(volatile uint32_t *)&h->saved_next = h->saved_next + 1;
}
