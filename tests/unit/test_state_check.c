/* What a worker that was taken over leaves is not believed; what one that was killed leaves passes
 * unchanged. (That is what test_core_replay and its like are about; fuzz_state tries the rest.) */
#include "core/state_check.h"
#include "tests/unit/core_fixture.h"

#include <sys/mman.h>

enum { MANY = 10000 };

static struct state open_state(struct fixture *f)
{
	struct state state;

	assert_int_equal(state_open(&state, f->config.state_fd, 0), 0);
	return state;
}

static struct slot *slot_of(struct state *state, uint64_t node)
{
	struct slot *slot = state_slot(state, node);

	assert_non_null(slot);
	return slot;
}

/* A slot that cannot be right is not known to the next worker; its name leads to a new one. */
static void check_dropped(struct fixture *f, uint64_t node, void (*damage)(struct slot *slot))
{
	struct state state;
	struct stat st;
	double timeout;

	fixture_stop(f);
	state = open_state(f);
	damage(slot_of(&state, node));
	state_close(&state);
	assert_int_equal(fixture_start(f), 0);
	assert_int_equal(core_getattr(f->core, node, &st, &timeout), -ESTALE);
	assert_int_not_equal(look_up(f, CORE_ROOT_NODE, "object"), node);
}

static void set_type(struct slot *slot)
{
	slot->type = OBJECT_TYPES;
}

static void set_handle_length(struct slot *slot)
{
	slot->handle_length = STATE_HANDLE_MAX + 1;
}

static void set_place(struct slot *slot)
{
	slot->place = 2;
}

static void set_flags(struct slot *slot)
{
	slot->flags |= 1U << 31;
}

static void set_waitable_directory(struct slot *slot)
{
	slot->flags = SLOT_DIRECTORY;
	slot->type = OBJECT_MUTEX;
}

static void damaged_object_is_not_known(void **state)
{
	void (*const damages[])(struct slot *) = {set_type, set_handle_length, set_place, set_flags,
						  set_waitable_directory};
	struct fixture *f = *state;
	uint64_t other = make_file(f, CORE_ROOT_NODE, "other");
	uint64_t node = make_file(f, CORE_ROOT_NODE, "object");

	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		check_dropped(f, node, damages[i]);
		stat_of(f, other); /* goes on */
		node = look_up(f, CORE_ROOT_NODE, "object");
	}
}

/* Nothing is written where a log leads that no worker wrote. */
static void log_that_leads_elsewhere(void **state)
{
	static const struct {
		uint64_t offset, width;
	} entries[] = {
	    {1ULL << 40, 8},
	    {UINT64_MAX - 7, 8},
	    {12, 8},
	    {16, 16},
	    {16, 0},
	    {offsetof(struct state_header, log), 8},
	    {offsetof(struct state_header, log_count), 4},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		struct state s = open_state(f);

		s.header->log[0].offset = entries[i].offset;
		s.header->log[0].width = entries[i].width;
		s.header->log[0].value = UINT64_MAX;
		s.header->log_count = 1;
		state_close(&s);
		s = open_state(f);
		assert_int_equal(s.header->log_count, 0);
		assert_int_equal(s.header->log[0].width, entries[i].width);
		assert_int_equal(s.header->high, 2);
		assert_int_equal(s.header->next_binding, 1);
		s.header->log_count = STATE_LOG_WORDS + 1;
		state_close(&s);
		s = open_state(f);
		assert_int_equal(s.header->log_count, 0);
		state_close(&s);
	}
}

/* Everything of the header that is ever staged. */
static void log_of_a_worker(void **state)
{
	static const struct {
		uint64_t offset, width;
	} fields[] = {
#define FIELD(name) {offsetof(struct state_header, name), sizeof(((struct state_header *)0)->name)}
	    FIELD(binding_in_hand), FIELD(attaching),      FIELD(flushes),
	    FIELD(flush_failures),  FIELD(counting),       FIELD(uncounted),
	    FIELD(granted),         FIELD(granted_result), FIELD(granted_index),
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		struct state s = open_state(f);
		uint8_t value = 0;

		s.header->log[0].offset = fields[i].offset;
		s.header->log[0].width = fields[i].width;
		s.header->log[0].value = 1;
		s.header->log_count = 1;
		state_close(&s);
		s = open_state(f);
		assert_false(s.damaged);
		assert_int_equal(s.header->log_count, 0);
		memcpy(&value, (const char *)s.header + fields[i].offset, 1);
		assert_int_equal(value, 1);
		state_close(&s);
	}
}

static void tables_end(void **state)
{
	struct fixture *f = *state;
	struct state s;

	make_file(f, CORE_ROOT_NODE, "object");
	fixture_stop(f);
	s = open_state(f);
	s.header->high = s.header->handles_high = s.header->members_high = UINT32_MAX;
	s.header->accounts_high = s.header->users_high = 0;
	s.header->unsynced_count = UINT32_MAX;
	state_close(&s);
	s = open_state(f);
	/* Not further than was ever written to. */
	assert_in_range(s.header->high, 3, 2 * PAGE_BYTES / sizeof(struct slot));
	assert_in_range(s.header->handles_high, 1, 2 * PAGE_BYTES / sizeof(struct wait_handle));
	assert_int_equal(s.header->accounts_high, 1);
	assert_int_equal(s.header->users_high, 2);
	assert_int_equal(s.header->unsynced_count, 0);
	assert_int_equal(s.header->unsynced_all, 1);
	state_close(&s);
	assert_int_equal(fixture_start(f), 0);
	look_up(f, CORE_ROOT_NODE, "object");
}

static void account_above_itself(void **state)
{
	struct fixture *f = *state;
	uint64_t node = make_dir(f, CORE_ROOT_NODE, "limited");
	struct state s;

	begin_request(f);
	assert_int_equal(
	    core_setxattr(f->core, node, "user.mapping.limit", "64k", 3, 0, &root_caller), 0);
	fixture_stop(f);
	s = open_state(f);
	assert_int_equal(s.header->accounts_high, 2);
	s.accounts[1].parent = 1;
	state_close(&s);
	assert_int_equal(fixture_start(f), 0);
	assert_attribute(f, node, "user.mapping.limit", "65536");
}

static void place_that_is_none(void **state)
{
	static const char *const names[] = {"", ".", "..", "a/b", "/"};
	struct slot_place place = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		strcpy(place.name, names[i]);
		assert_false(state_place_is_sound(&place));
	}
	strcpy(place.name, "name");
	assert_true(state_place_is_sound(&place));
	memset(place.name, 'a', sizeof place.name);
	assert_false(state_place_is_sound(&place));
}

/* What is sound is as it was, byte by byte, and is looked at in no time. */
static void sound_state_is_left_alone(void **state)
{
	const size_t slots = (MANY + 3) * sizeof(struct slot);
	struct fixture *f = *state;
	struct state_header before;
	uint64_t began, took;
	struct state s;
	void *copy = malloc(slots);
	char name[16];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "%d", i);
		make_file(f, CORE_ROOT_NODE, name);
	}
	fixture_stop(f);
	s = open_state(f);
	before = *s.header;
	memcpy(copy, s.slots, slots);
	state_close(&s);
	began = clock_ns(CLOCK_MONOTONIC);
	s = open_state(f);
	took = clock_ns(CLOCK_MONOTONIC) - began;
	assert_memory_equal(s.header, &before, sizeof before);
	assert_memory_equal(s.slots, copy, slots);
	state_close(&s);
	free(copy);
	print_message("    %d objects: %llu us\n", MANY, (unsigned long long)took / 1000);
	assert_in_range(took, 0, 20 * 1000000ULL);
	assert_int_equal(fixture_start(f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(damaged_object_is_not_known, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(log_that_leads_elsewhere, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(log_of_a_worker, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(tables_end, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(account_above_itself, fixture_setup, fixture_teardown),
	    cmocka_unit_test(place_that_is_none),
	    cmocka_unit_test_setup_teardown(sound_state_is_left_alone, fixture_setup,
					    fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
