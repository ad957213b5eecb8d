/* The state area: staged changes happen together or not at all, whenever the worker is killed. */
#include "core/state.h"
#include "tests/unit/core_fixture.h"

#include <sys/mman.h>

#define OFFSET (2ULL << 20)

struct box {
	int memfd;
	struct state state;
	size_t fds_before;
};

static int setup(void **state)
{
	struct box *box = calloc(1, sizeof *box);

	alarm(30);
	box->fds_before = open_fds();
	box->memfd = memfd_create("state", MFD_CLOEXEC);
	*state = box;
	return state_open(&box->state, box->memfd, OFFSET);
}

static int teardown(void **state)
{
	struct box *box = *state;
	size_t before = box->fds_before;

	state_close(&box->state);
	close(box->memfd);
	free(box);
	return open_fds() == before ? 0 : -1;
}

static void reopen(struct box *box)
{
	state_close(&box->state);
	assert_int_equal(state_open(&box->state, box->memfd, OFFSET), 0);
}

static void fresh_until_ready(void **state)
{
	struct box *box = *state;

	assert_true(box->state.fresh);
	reopen(box);
	assert_true(box->state.fresh);
	state_set_ready(&box->state);
	reopen(box);
	assert_false(box->state.fresh);
	box->state.header->version++;
	state_close(&box->state);
	assert_int_equal(state_open(&box->state, box->memfd, OFFSET), -EPROTO);
}

static void staged_changes_nothing(void **state)
{
	struct box *box = *state;
	struct slot *slot = &box->state.slots[3];

	state_set_ready(&box->state);
	STAGE(&box->state, slot->lookups, 7);
	STAGE(&box->state, slot->flags, SLOT_REGULAR);
	assert_int_equal(slot->lookups, 0);
	reopen(box); /* killed before the commit */
	assert_int_equal(box->state.slots[3].lookups, 0);
	state_commit(&box->state);
	assert_int_equal(box->state.slots[3].lookups, 0);
}

static void commit_keeps_to_its_fields(void **state)
{
	struct box *box = *state;
	struct slot *slot = &box->state.slots[3];

	memset(slot, 0x55, sizeof *slot);
	STAGE(&box->state, slot->flags, 0xaaaaaaaaaaaaaaaaULL);
	STAGE(&box->state, slot->handle_type, 0xbbbbbbbbULL);
	STAGE(&box->state, slot->account, 0xccccccccULL);
	STAGE(&box->state, slot->flush_error, -1);
	STAGE(&box->state, slot->ino, 1);
	STAGE(&box->state, slot->ino, 2); /* the later one stands */
	state_commit(&box->state);
	assert_int_equal(slot->flags, 0xaaaaaaaa);
	assert_int_equal(slot->generation, 0x55555555);
	assert_int_equal(slot->lookups, 0x5555555555555555);
	assert_int_equal(slot->handle_type, 0xbb);
	assert_int_equal(slot->account, 0xcccc);
	assert_int_equal(slot->handle_length, 0x55);
	assert_int_equal(slot->flush_error, 0xff);
	assert_int_equal(slot->flush_tries, 0x55);
	assert_int_equal(slot->watch, 0x55555555);
	assert_int_equal(slot->ino, 2);
	state_commit(&box->state); /* nothing staged: nothing done again */
	slot->ino = 9;
	state_commit(&box->state);
	assert_int_equal(slot->ino, 9);
}

/* A worker killed in the middle of applying the log: the next one applies it as a whole. */
static void log_is_redone(void **state)
{
	struct box *box = *state;
	struct slot *slot = &box->state.slots[3];
	uint32_t count = STATE_LOG_WORDS;

	state_set_ready(&box->state);
	for (uint32_t applied = 0; applied <= count; applied++) {
		for (uint32_t i = 0; i < count; i++)
			STAGE(&box->state, slot[i].lookups, 100 * (applied + 1) + i);
		for (uint32_t i = 0; i < applied; i++)
			slot[i].lookups = 100 * (applied + 1) + i;
		box->state.header->log_count = box->state.staged;
		reopen(box);
		slot = &box->state.slots[3];
		for (uint32_t i = 0; i < count; i++)
			assert_int_equal(slot[i].lookups, 100 * (applied + 1) + i);
		assert_int_equal(box->state.header->log_count, 0);
	}
}

static void nodes_and_generations(void **state)
{
	struct box *box = *state;
	struct state *s = &box->state;
	struct slot *slot = &s->slots[5];
	uint64_t node;

	assert_null(state_slot(s, 0));
	assert_ptr_equal(state_slot(s, 1), &s->slots[1]);
	assert_null(state_slot(s, 5)); /* never used */
	s->header->high = 6;
	slot->generation = 9;
	node = state_node(s, slot);
	assert_int_equal(node, 9ULL << 32 | 5);
	assert_ptr_equal(state_slot(s, node), slot);
	assert_null(state_slot(s, 8ULL << 32 | 5));
	assert_null(state_slot(s, 9ULL << 32 | 6));
	assert_null(state_slot(s, UINT64_MAX));
	assert_int_equal(state_index(s, slot), 5);
}

static void records_by_unique(void **state)
{
	struct box *box = *state;

	/* The kernel counts by two; the lowest bit marks an interrupt. */
	assert_ptr_equal(state_record(&box->state, 2), state_record(&box->state, 3));
	assert_ptr_not_equal(state_record(&box->state, 2), state_record(&box->state, 4));
	for (uint64_t i = 1; i < STATE_RECORDS; i++)
		assert_ptr_not_equal(state_record(&box->state, 1000),
				     state_record(&box->state, 1000 + 2 * i));
}

/* Requests read before the one that is sent again may take its place among the records. */
static void request_in_hand_is_put_by(void **state)
{
	struct box *box = *state;
	struct state *s = &box->state;
	struct request_record *record = state_record(s, 42);

	assert_null(state_saved(s, 42));
	*record = (struct request_record){.unique = 42, .node = 7, .phase = RECORD_DONE};
	s->header->in_hand = 42;
	state_save_in_hand(s);
	*record = (struct request_record){.unique = 42 + 2 * STATE_RECORDS};
	assert_non_null(state_saved(s, 42));
	assert_int_equal(state_saved(s, 42)->node, 7);
	assert_int_equal(state_saved(s, 42)->phase, RECORD_DONE);

	/* The next worker dies before it begins another: what was put by has gone on and stays. */
	*record = (struct request_record){.unique = 42, .node = 8, .phase = RECORD_STARTED};
	state_save_in_hand(s);
	assert_int_equal(state_saved(s, 42)->node, 7);
	assert_int_equal(s->header->saved_next, 1);
}

/* Only what is used takes memory. */
static void area_is_sparse(void **state)
{
	struct box *box = *state;
	struct stat st;

	box->state.slots[STATE_MAX_SLOTS - 1].lookups = 1;
	assert_int_equal(fstat(box->memfd, &st), 0);
	assert_true(st.st_blocks * 512 < 1 << 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(fresh_until_ready),          TEST(staged_changes_nothing),
	    TEST(commit_keeps_to_its_fields), TEST(log_is_redone),
	    TEST(nodes_and_generations),      TEST(records_by_unique),
	    TEST(request_in_hand_is_put_by),  TEST(area_is_sparse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
