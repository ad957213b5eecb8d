/* Durability: on demand and at the end; a failure is kept, shown, retried and told, whatever dies.
 */
#include "core/internal.h"
#include "tests/unit/core_fixture.h"

#define ROOT CORE_ROOT_NODE
#define SIZE (4 * PAGE_BYTES)

static uint64_t bound(struct fixture *f)
{
	int fd = outside_file(f, "outside", SIZE);
	uint64_t node = make_bound(f, "bound", fd);

	close(fd);
	return node;
}

static void use_once(struct fixture *f, uint64_t node)
{
	open_node(f, node, O_RDWR);
	release_node(f, node);
}

/* "RESULT TIME ERRORS" or "never". */
static void assert_flush(struct fixture *f, uint64_t node, const char *result, unsigned errors)
{
	char value[128], got[32] = "";
	unsigned long long seconds, nanoseconds;
	unsigned count = 0;
	struct timespec now;

	get_attribute(f, node, "user.mapping.flush", value, sizeof value);
	if (strcmp(result, "never") == 0) {
		assert_string_equal(value, "never");
		return;
	}
	assert_int_equal(sscanf(value, "%31s %llu.%9llu %u", got, &seconds, &nanoseconds, &count),
			 4);
	assert_string_equal(got, result);
	assert_int_equal(count, errors);
	clock_gettime(CLOCK_REALTIME, &now); /* time(2) may still tell the second before */
	assert_in_range(seconds, (uint64_t)now.tv_sec - 60, (uint64_t)now.tv_sec);
}

static void last_handle_flushes(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);

	assert_flush(f, node, "never", 0);
	open_node(f, node, O_RDWR);
	open_node(f, node, O_RDONLY);
	release_node(f, node);
	serve(f, 50);
	assert_int_equal(calls_of(f, FAULT_FDATASYNC), 0);
	release_node(f, node);
	WAIT_FOR(f, usage_of(f).flushes == 1, 100);
	assert_int_equal(calls_of(f, FAULT_FDATASYNC), 1);
	assert_flush(f, node, "ok", 0);
	serve(f, 100);
	assert_int_equal(calls_of(f, FAULT_FDATASYNC), 1);
	unlink_name(f, ROOT, "bound");
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

static void last_view_flushes(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);
	pid_t viewer;

	open_node(f, node, O_RDWR);
	viewer = start_viewer(core_data_fd(f->core, node), SIZE);
	release_node(f, node);
	serve(f, 3);
	end_process(viewer);
	WAIT_FOR(f, usage_of(f).flushes >= 1, 500);
	assert_flush(f, node, "ok", 0);
}

/* Unlinked, forgotten, and only then the last view's event. */
static void flushed_without_a_name(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);
	pid_t viewer;

	open_node(f, node, O_RDWR);
	viewer = start_viewer(core_data_fd(f->core, node), SIZE);
	unlink_name(f, ROOT, "bound");
	release_node(f, node);
	end_process(viewer);
	forget_node(f, node, 1);
	WAIT_FOR(f, calls_of(f, FAULT_FDATASYNC) == 1, 500);
	WAIT_FOR(f, !fixture_leftovers(f), 500);
}

static void memory_needs_none(void **state)
{
	struct fixture *f = *state;
	uint64_t node = create_open(f, ROOT, "memory");

	assert_int_equal(flush_node(f, node), 0);
	assert_int_equal(flush_node(f, ROOT), 0);
	release_node(f, node);
	serve(f, 20);
	assert_int_equal(calls_of(f, FAULT_FDATASYNC), 0);
	assert_int_equal(core_flush(f->core, 77, NULL, NULL), -ESTALE);
}

static void on_demand(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);

	assert_int_equal(flush_node(f, node), 0);
	assert_flush(f, node, "ok", 0);
	fail_call(f, FAULT_FDATASYNC, -EIO, 1);
	assert_int_equal(flush_node(f, node), -EIO);
	assert_flush(f, node, "EIO", 1);
	assert_int_equal(usage_of(f).flushes_failing, 1);
	fail_call(f, FAULT_FDATASYNC, -ENOSPC, 1);
	assert_int_equal(flush_node(f, node), -ENOSPC);
	assert_flush(f, node, "ENOSPC", 2);
	assert_int_equal(flush_node(f, node), 0); /* the caller was told */
	assert_flush(f, node, "ok", 2);
	assert_int_equal(usage_of(f).flushes_failing, 0);
	assert_int_equal(usage_of(f).flush_failures, 2);
	assert_true(usage_of(f).flushes >= 4); /* one of ours may have come between */
}

static void failure_is_retried_and_told(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);

	fail_call(f, FAULT_FDATASYNC, -EIO, 2);
	use_once(f, node);
	WAIT_FOR(f, usage_of(f).flush_failures == 1, 500);
	assert_flush(f, node, "EIO", 1);
	assert_int_equal(usage_of(f).flushes_failing, 1);
	WAIT_FOR(f, usage_of(f).flush_failures == 2, 1500);
	WAIT_FOR(f, usage_of(f).flushes == 3, 3000);
	assert_flush(f, node, "ok", 2);
	assert_int_equal(usage_of(f).flushes_failing, 0);
	assert_int_equal(flush_node(f, node), -EIO); /* nobody had been told */
	assert_int_equal(flush_node(f, node), 0);
	unlink_name(f, ROOT, "bound");
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

/* The object is forgotten between the failure and the next fsync. */
static void failure_is_told_after_forget(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);

	fail_call(f, FAULT_FDATASYNC, -EIO, 1);
	use_once(f, node);
	WAIT_FOR(f, usage_of(f).flush_failures == 1, 500);
	forget_node(f, node, 1);
	WAIT_FOR(f, usage_of(f).objects_known == 0, 2000); /* tried again with success */
	node = look_up(f, ROOT, "bound");
	assert_flush(f, node, "ok", 1);
	assert_int_equal(flush_node(f, node), -EIO);
	assert_int_equal(flush_node(f, node), 0);
}

static void failure_outlives_workers(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);

	fail_call(f, FAULT_FDATASYNC, -EIO, -1);
	use_once(f, node);
	WAIT_FOR(f, usage_of(f).flush_failures >= 1, 500);
	for (int i = 0; i < 3; i++) {
		uint64_t before = usage_of(f).flush_failures;

		fixture_restart(f);
		assert_int_equal(usage_of(f).flushes_failing, 1);
		WAIT_FOR(f, usage_of(f).flush_failures > before, 5000);
	}
	forget_node(f, node, 1);
	assert_int_equal(usage_of(f).objects_known, 1); /* kept: it is owed something */
	fixture_restart(f);
	fail_call(f, FAULT_FDATASYNC, 0, 0);
	WAIT_FOR(f, usage_of(f).objects_known == 0, 3000);
	assert_int_equal(usage_of(f).flushes_failing, 0);
	node = look_up(f, ROOT, "bound");
	assert_int_equal(flush_node(f, node), -EIO);
}

/* 100 ms, 200, 400 ...: the next worker goes on where the last one was. */
static void pause_grows_and_outlives_workers(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f), next;
	struct slot *slot;

	fail_call(f, FAULT_FDATASYNC, -EIO, -1);
	use_once(f, node);
	WAIT_FOR(f, usage_of(f).flush_failures == 4, 10000);
	slot = state_slot(&f->core->state, node);
	next = flush_next_try(slot);
	assert_int_equal(next - slot->flushed_at, 800000000);
	fixture_restart(f);
	slot = state_slot(&f->core->state, node);
	assert_int_equal(flush_next_try(slot), next);
	assert_int_equal(usage_of(f).flush_failures, 4);
	WAIT_FOR(f, usage_of(f).flush_failures == 5, 10000);
	assert_true(clock_ns(CLOCK_REALTIME) >= next);
	assert_int_equal(flush_next_try(slot) - slot->flushed_at, 1600000000);
	slot->flush_tries = UINT8_MAX;
	assert_int_equal(flush_next_try(slot) - slot->flushed_at, 30000000000);
	slot->flush_tries = 1;
	fail_call(f, FAULT_FDATASYNC, 0, 0);
	WAIT_FOR(f, usage_of(f).flushes_failing == 0, 10000);
	assert_int_equal(flush_next_try(slot), 0);
	assert_int_equal(slot->failing_since, 0);
}

/* Each time, until it succeeds; and what a caller could pay is owed no more. */
static void told_every_time(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);
	int calls;

	fail_call(f, FAULT_FDATASYNC, -ENOSPC, -1);
	use_once(f, node);
	WAIT_FOR(f, usage_of(f).flush_failures >= 4, 10000);
	for (int i = 0; i < 3; i++)
		assert_int_equal(flush_node(f, node), -ENOSPC);
	assert_true(state_slot(&f->core->state, node)->flush_tries < 6);
	fail_call(f, FAULT_FDATASYNC, 0, 0);
	calls = calls_of(f, FAULT_FDATASYNC);
	assert_int_equal(flush_node(f, node), 0);
	assert_int_equal(usage_of(f).flushes_failing, 0);
	serve(f, 1700);
	assert_in_range(calls_of(f, FAULT_FDATASYNC), calls + 1, calls + 2);
	forget_node(f, node, 1);
	assert_int_equal(usage_of(f).objects_known, 0);
}

/* An fsync that failed is tried again without being asked. */
static void what_a_caller_saw_is_owed(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);
	struct core_failing failing[2];

	fail_call(f, FAULT_FDATASYNC, -EIO, 1);
	assert_int_equal(flush_node(f, node), -EIO);
	assert_int_equal(core_failing(f->core, failing, 2), 1);
	assert_int_equal(failing[0].error, EIO);
	assert_non_null(strstr(failing[0].file, "outside"));
	forget_node(f, node, 1);
	assert_int_equal(usage_of(f).objects_known, 1);
	WAIT_FOR(f, usage_of(f).objects_known == 0, 5000);
	node = look_up(f, ROOT, "bound");
	assert_int_equal(flush_node(f, node), 0); /* it was told */
}

/* No descriptor for it: an error like any other. */
static void no_descriptors(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);

	open_node(f, node, O_RDWR);
	fail_call(f, FAULT_DUPLICATE, -EMFILE, 4);
	release_node(f, node);
	WAIT_FOR(f, usage_of(f).flush_failures >= 1, 500);
	assert_true(usage_of(f).descriptors_lacking);
	WAIT_FOR(f, usage_of(f).flushes_failing == 0, 5000);
	assert_true(calls_of(f, FAULT_FDATASYNC) >= 1);
}

/* The worker dies while fdatasync() is under way. */
static void flush_in_flight_is_done_again(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);
	struct slot *slot;

	f->world->hold_data = 1;
	use_once(f, node);
	serve(f, 10);
	slot = state_slot(&f->core->state, node);
	assert_true(slot->flags & SLOT_FLUSH_DUE);
	f->world->hold_data = 0;
	fail_call(f, FAULT_FDATASYNC, -EINTR, 1); /* what the first one comes to does not count */
	fixture_restart(f);
	WAIT_FOR(f, calls_of(f, FAULT_FDATASYNC) >= 2 && usage_of(f).flushes_failing == 0, 2000);
}

/* A hanging disk holds up nobody else. */
static void hanging_flush_does_not_block(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);

	f->world->hold_data = 1;
	use_once(f, node);
	serve(f, 10);
	assert_int_equal(core_write(f->core, node, "x", 1, 0), 1);
	unlink_name(f, ROOT, "bound");
	forget_node(f, node, 1);
	serve(f, 10);
	assert_int_equal(usage_of(f).objects_known, 1);
	make_file(f, ROOT, "other");
	f->world->hold_data = 0;
	WAIT_FOR(f, usage_of(f).bound == 0, 1000);
	assert_int_equal(usage_of(f).objects_known, 1);
}

static void temporary_is_flushed_too(void **state)
{
	struct fixture *f = *state;
	uint64_t node = bound(f);

	assert_int_equal(set_lifetime(f, node, "temporary"), 0);
	fail_call(f, FAULT_FDATASYNC, -EIO, 1);
	use_once(f, node);
	WAIT_FOR(f, f->world->names_gone == 1, 500);
	forget_node(f, node, 1);
	WAIT_FOR(f, calls_of(f, FAULT_FDATASYNC) == 2, 2000);
	WAIT_FOR(f, !fixture_leftovers(f), 1000);
	assert_int_equal(usage_of(f).flushes_failing, 0);
}

/* Two objects of one file: each has an end of its own. */
static void two_objects_of_one_file(void **state)
{
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", SIZE);
	uint64_t a = make_bound(f, "a", fd), b = make_bound(f, "b", fd);
	pid_t viewer;

	close(fd);
	open_node(f, a, O_RDWR);
	open_node(f, b, O_RDWR);
	assert_int_equal(count_watches(f), 1);
	viewer = start_viewer(core_data_fd(f->core, b), SIZE);
	release_node(f, a);
	release_node(f, b);
	serve(f, 20);
	end_process(viewer);
	WAIT_FOR(f, usage_of(f).flushes >= 2, 2000);
	unlink_name(f, ROOT, "a");
	unlink_name(f, ROOT, "b");
	forget_node(f, a, 1);
	forget_node(f, b, 1);
	WAIT_FOR(f, !fixture_leftovers(f), 1000);
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define CACHED(name) cmocka_unit_test_setup_teardown(name, fixture_setup_cached, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(last_handle_flushes),
	    CACHED(last_handle_flushes),
	    TEST(last_view_flushes),
	    TEST(flushed_without_a_name),
	    TEST(memory_needs_none),
	    TEST(on_demand),
	    TEST(failure_is_retried_and_told),
	    TEST(failure_is_told_after_forget),
	    TEST(failure_outlives_workers),
	    CACHED(failure_outlives_workers),
	    TEST(pause_grows_and_outlives_workers),
	    TEST(told_every_time),
	    TEST(what_a_caller_saw_is_owed),
	    TEST(no_descriptors),
	    TEST(flush_in_flight_is_done_again),
	    TEST(hanging_flush_does_not_block),
	    TEST(temporary_is_flushed_too),
	    CACHED(temporary_is_flushed_too),
	    TEST(two_objects_of_one_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
