/* The rules of waiting, without FUSE: order, interrupts, polls, handles, and what a new worker
 * makes of the waits it gets again. */
#include "tests/unit/core_waits.h"

#define SIGNALED  GIVEN(WAIT_SIGNALED)
#define ACQUIRED  GIVEN(WAIT_ACQUIRED)
#define ABANDONED GIVEN(WAIT_WAS_ABANDONED)
#define FOREVER   UINT64_MAX

/* How the wait has ended, as waits_wait(); fails if it has not, or more than once. */
static int end_of(struct fixture *f, uint64_t unique)
{
	struct core_waited last;

	assert_int_equal(waits_ended(f, unique, &last), 1);
	return last.error ? last.error : GIVEN(last.result);
}

static void close_all(struct fixture *f, uint64_t node, const char *name, const uint64_t *handles,
		      size_t count)
{
	for (size_t i = 0; i < count; i++)
		waits_close(f, node, handles[i]);
	unlink_name(f, CORE_ROOT_NODE, name);
	forget_node(f, node, 1);
}

/* --- order --- */

static void in_order_of_arrival(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_semaphore(f, "s", 0, 10);
	uint64_t handle = waits_open(f, node, O_RDWR);

	for (uint64_t unique = 1000; unique < 1010; unique += 2)
		assert_int_equal(waits_wait(f, node, handle, unique, false), BLOCKED);
	assert_int_equal(f->world->waited_count, 0);
	assert_int_equal(waits_say(f, node, handle, "release 2\n"), 10);
	assert_int_equal(f->world->waited_count, 2);
	assert_int_equal(f->world->waited[0].unique, 1000);
	assert_int_equal(f->world->waited[1].unique, 1002);
	assert_int_equal(waits_try(f, node, handle), -EAGAIN); /* not past those that wait */
	assert_int_equal(waits_say(f, node, handle, "release 4\n"), 10);
	assert_int_equal(f->world->waited_count, 5);
	assert_int_equal(end_of(f, 1008), ACQUIRED);
	assert_int_equal(waits_try(f, node, handle), ACQUIRED);
	assert_int_equal(waits_try(f, node, handle), -EAGAIN);
	close_all(f, node, "s", &handle, 1);
	assert_nothing_left(f);
}

/* A worker gets them again in any order, and grants none before it has all. */
static void resumed_in_order_of_arrival(void **state)
{
	static const uint64_t arrived[] = {1000, 1002, 1004, 1006, 1008};
	static const unsigned again[] = {3, 0, 4, 2, 1};
	struct fixture *f = *state;
	uint64_t node = waits_make_semaphore(f, "s", 0, 10);
	uint64_t handle = waits_open(f, node, O_RDWR);

	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(waits_wait(f, node, handle, arrived[i], false), BLOCKED);
	fixture_restart(f);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(waits_wait(f, node, handle, arrived[again[i]], true), BLOCKED);
	assert_int_equal(waits_say(f, node, handle, "release 3\n"), 10);
	for (unsigned i = 3; i < 5; i++)
		assert_int_equal(waits_wait(f, node, handle, arrived[again[i]], true), BLOCKED);
	assert_int_equal(f->world->waited_count, 0);
	core_resumed(f->core);
	assert_int_equal(f->world->waited_count, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(f->world->waited[i].unique, arrived[i] | 1ULL << 63);
	assert_int_equal(waits_say(f, node, handle, "release 2\n"), 10);
	assert_int_equal(end_of(f, 1006), ACQUIRED);
	assert_int_equal(end_of(f, 1008), ACQUIRED);
	close_all(f, node, "s", &handle, 1);
	assert_nothing_left(f);
}

/* A newcomer that the new worker reads first does not overtake. */
static void newcomers_stand_behind(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_event(f, "e", false, false);
	uint64_t handle = waits_open(f, node, O_RDWR);

	assert_int_equal(waits_wait(f, node, handle, 1000, false), BLOCKED);
	fixture_restart(f);
	assert_int_equal(waits_say(f, node, handle, "set\n"), 4);
	assert_int_equal(waits_wait(f, node, handle, 1002, false), BLOCKED);
	assert_int_equal(waits_wait(f, node, handle, 1000, true), BLOCKED);
	core_resumed(f->core);
	assert_int_equal(end_of(f, 1000), SIGNALED);
	assert_int_equal(waits_ended(f, 1002, NULL), 0);
	assert_true(core_interrupt(f->core, 1002));
	close_all(f, node, "e", &handle, 1);
	assert_nothing_left(f);
}

/* Those that do not block get their answer when all have come. */
static void trying_while_gathering(void **state)
{
	struct fixture *f = *state;
	struct core_waited waited = {.unique = 1002};
	uint64_t node = waits_make_semaphore(f, "s", 1, 1);
	uint64_t handle = waits_open(f, node, O_RDWR);

	assert_int_equal(waits_try(f, node, handle), ACQUIRED);
	assert_int_equal(waits_wait(f, node, handle, 1000, false), BLOCKED);
	fixture_restart(f);
	core_request(f->core, 1002, false);
	assert_int_equal(core_wait(f->core, node, handle, false, &waited), CORE_DEFERRED);
	waited.unique = 1004;
	core_request(f->core, 1004, false);
	assert_int_equal(core_wait(f->core, node, handle, false, &waited), CORE_DEFERRED);
	assert_int_equal(waits_many(f, &handle, 1, false, 0, 1006, false), BLOCKED);
	assert_int_equal(waits_say(f, node, handle, "release\n"), 8);
	assert_int_equal(waits_wait(f, node, handle, 1000, true), BLOCKED);
	core_resumed(f->core);
	assert_int_equal(end_of(f, 1000), ACQUIRED);
	assert_int_equal(end_of(f, 1002), -EAGAIN);
	assert_int_equal(end_of(f, 1004), -EAGAIN);
	assert_int_equal(end_of(f, 1006), -ETIMEDOUT);
	close_all(f, node, "s", &handle, 1);
	assert_nothing_left(f);
}

/* --- interrupts --- */

static void interrupted(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_event(f, "e", false, false);
	uint64_t handle = waits_open(f, node, O_RDWR);

	assert_false(core_interrupt(f->core, 1000));
	for (uint64_t unique = 1000; unique < 1006; unique += 2)
		assert_int_equal(waits_wait(f, node, handle, unique, false), BLOCKED);
	assert_true(core_interrupt(f->core, 1002));
	assert_int_equal(end_of(f, 1002), -EINTR);
	assert_false(core_interrupt(f->core, 1002));
	assert_int_equal(waits_say(f, node, handle, "set\n"), 4);
	assert_int_equal(end_of(f, 1000), SIGNALED);
	assert_false(core_interrupt(f->core, 1000)); /* too late */
	assert_int_equal(waits_say(f, node, handle, "set\n"), 4);
	assert_int_equal(end_of(f, 1004), SIGNALED);
	assert_int_equal(f->world->waited_count, 3);
	close_all(f, node, "e", &handle, 1);
	assert_nothing_left(f);
}

static void interrupted_in_a_new_worker(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_event(f, "e", false, false);
	uint64_t handle = waits_open(f, node, O_RDWR);

	assert_int_equal(waits_wait(f, node, handle, 1000, false), BLOCKED);
	assert_int_equal(waits_wait(f, node, handle, 1002, false), BLOCKED);
	fixture_restart(f);
	assert_int_equal(waits_wait(f, node, handle, 1002, true), BLOCKED);
	assert_int_equal(waits_wait(f, node, handle, 1000, true), BLOCKED);
	assert_true(core_interrupt(f->core, 1000)); /* while it gathers */
	assert_int_equal(end_of(f, 1000), -EINTR);
	core_resumed(f->core);
	assert_int_equal(waits_say(f, node, handle, "set\n"), 4);
	assert_int_equal(end_of(f, 1002), SIGNALED);
	close_all(f, node, "e", &handle, 1);
	assert_nothing_left(f);
}

/* --- granted, and the answer lost --- */

/* As if the worker had been killed between the grant and its answer. */
static void granted_and_not_answered(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_semaphore(f, "s", 0, 10);
	uint64_t handle = waits_open(f, node, O_RDWR);

	for (uint64_t unique = 1000; unique < 1008; unique += 2)
		assert_int_equal(waits_wait(f, node, handle, unique, false), BLOCKED);
	assert_int_equal(waits_say(f, node, handle, "release 3\n"), 10);
	assert_int_equal(f->world->waited_count, 3);
	fixture_restart(f);
	assert_int_equal(waits_wait(f, node, handle, 1006, true), BLOCKED);
	assert_int_equal(waits_wait(f, node, handle, 1004, true), ACQUIRED); /* the one it noted */
	core_resumed(f->core);
	assert_int_equal(waits_ended(f, 1006, NULL), 0);
	assert_true(waits_state_is(f, node, "0 of 10")); /* taken once */
	assert_true(core_interrupt(f->core, 1006));
	close_all(f, node, "s", &handle, 1);
	assert_nothing_left(f);
}

/* A number that comes round again, not sent again, is another wait. */
static void the_number_of_a_granted_wait_anew(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_event(f, "e", false, false);
	uint64_t handle = waits_open(f, node, O_RDWR);

	assert_int_equal(waits_wait(f, node, handle, 1000, false), BLOCKED);
	assert_int_equal(waits_say(f, node, handle, "set\n"), 4);
	assert_int_equal(waits_wait(f, node, handle, 1000, false), BLOCKED);
	assert_true(core_interrupt(f->core, 1000));
	close_all(f, node, "e", &handle, 1);
	assert_nothing_left(f);
}

/* --- mutex --- */

static void mutex_by_handles(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_type(f, "m", OBJECT_MUTEX), handles[3];

	for (int i = 0; i < 3; i++)
		handles[i] = waits_open(f, node, O_RDWR);
	assert_int_equal(waits_wait(f, node, handles[0], 1000, false), ACQUIRED);
	assert_int_equal(waits_wait(f, node, handles[0], 1002, false), ACQUIRED);
	assert_int_equal(waits_wait(f, node, handles[1], 1004, false), BLOCKED);
	assert_int_equal(waits_wait(f, node, handles[2], 1006, false), BLOCKED);
	assert_int_equal(waits_say(f, node, handles[1], "release\n"), -EPERM);
	assert_int_equal(waits_say(f, node, handles[0], "release\n"), 8);
	assert_int_equal(f->world->waited_count, 0);
	waits_close(f, node, handles[0]);
	assert_int_equal(end_of(f, 1004), ABANDONED);
	fixture_restart(f);
	assert_int_equal(waits_wait(f, node, handles[2], 1006, true), BLOCKED);
	core_resumed(f->core);
	assert_int_equal(waits_say(f, node, handles[1], "release\n"), 8);
	assert_int_equal(end_of(f, 1006), ACQUIRED);
	waits_close(f, node, handles[1]); /* owns nothing */
	assert_int_equal(waits_say(f, node, handles[2], "release\n"), 8);
	assert_int_equal(waits_try(f, node, handles[2]), ACQUIRED);
	close_all(f, node, "m", &handles[2], 1);
	assert_nothing_left(f);
}

/* The owner's handle closes while no worker is there, and the number is used anew. */
static void a_handle_number_used_anew(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_type(f, "m", OBJECT_MUTEX);
	uint64_t first = waits_open(f, node, O_RDWR), second;

	assert_int_equal(waits_try(f, node, first), ACQUIRED);
	waits_close(f, node, first);
	fixture_restart(f);
	core_resumed(f->core);
	second = waits_open(f, node, O_RDWR);
	assert_int_not_equal(second, first);
	assert_int_equal(waits_say(f, node, second, "release\n"), -EPERM);
	assert_int_equal(waits_try(f, node, first), -ESTALE);
	assert_int_equal(waits_try(f, node, second), ABANDONED);
	close_all(f, node, "m", &second, 1);
	assert_nothing_left(f);
}

/* --- polls --- */

static void polls_are_told_once(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_event(f, "e", false, false), handles[2];

	for (int i = 0; i < 2; i++)
		handles[i] = waits_open(f, node, O_RDWR);
	assert_int_equal(core_poll(f->core, node, handles[0], 71, false), 0);
	assert_int_equal(waits_say(f, node, handles[0], "set\n"), 4);
	assert_int_equal(waits_polled(f, 71), 0); /* did not ask to be told */
	assert_int_equal(core_poll(f->core, node, handles[0], 71, true), 1);
	assert_int_equal(waits_say(f, node, handles[0], "reset\n"), 6);
	assert_int_equal(core_poll(f->core, node, handles[0], 71, true), 0);
	assert_int_equal(core_poll(f->core, node, handles[1], 72, true), 0);
	assert_int_equal(waits_say(f, node, handles[0], "set\n"), 4);
	assert_int_equal(waits_polled(f, 71), 1);
	assert_int_equal(waits_polled(f, 72), 1);
	assert_int_equal(waits_say(f, node, handles[0], "reset\nset\n"), 10);
	assert_int_equal(waits_polled(f, 71), 1); /* has not asked again */
	close_all(f, node, "e", handles, 2);
	assert_nothing_left(f);
}

static void polls_of_a_mutex(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_type(f, "m", OBJECT_MUTEX), handles[2];

	for (int i = 0; i < 2; i++)
		handles[i] = waits_open(f, node, O_RDWR);
	assert_int_equal(waits_try(f, node, handles[0]), ACQUIRED);
	assert_int_equal(core_poll(f->core, node, handles[0], 71, true), 1);
	assert_int_equal(core_poll(f->core, node, handles[1], 72, true), 0);
	assert_int_equal(waits_say(f, node, handles[0], "release\n"), 8);
	assert_int_equal(waits_polled(f, 72), 1);
	assert_int_equal(core_poll(f->core, node, handles[1], 72, true), 1);
	close_all(f, node, "m", handles, 2);
	assert_nothing_left(f);
}

/* What was changed and not told: everybody who asked looks again. */
static void polls_outlive_workers(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_event(f, "e", false, false);
	uint64_t handle = waits_open(f, node, O_RDWR), silent = waits_open(f, node, O_RDWR);

	assert_int_equal(core_poll(f->core, node, handle, 71, true), 0);
	fixture_restart(f);
	core_resumed(f->core);
	if (waits_polled(f, 71) == 1) /* it may be told at once; then it asks again */
		assert_int_equal(core_poll(f->core, node, handle, 71, true), 0);
	unsigned before = waits_polled(f, 71);
	assert_int_equal(waits_say(f, node, silent, "set\n"), 4);
	assert_int_equal(waits_polled(f, 71), before + 1);
	assert_int_equal(f->world->polled_count, before + 1);
	waits_close(f, node, handle);
	fixture_restart(f);
	core_resumed(f->core);
	assert_int_equal(f->world->polled_count, before + 1); /* a closed one is told nothing */
	close_all(f, node, "e", &silent, 1);
	assert_nothing_left(f);
}

/* --- several --- */

static void any_and_all(void **state)
{
	struct fixture *f = *state;
	uint64_t a = waits_make_event(f, "a", false, false), b = waits_make_semaphore(f, "b", 0, 5);
	uint64_t handles[] = {waits_open(f, a, O_RDWR), waits_open(f, b, O_RDWR)};
	struct core_waited last;

	assert_int_equal(waits_many(f, handles, 2, true, FOREVER, 1000, false), BLOCKED);
	assert_int_equal(waits_many(f, handles, 2, false, FOREVER, 1002, false), BLOCKED);
	assert_int_equal(waits_say(f, b, handles[1], "release\n"), 8);
	assert_int_equal(waits_ended(f, 1002, &last), 1);
	assert_int_equal(last.index, 1);
	assert_int_equal(waits_ended(f, 1000, NULL), 0);
	fixture_restart(f);
	assert_int_equal(waits_many(f, handles, 2, true, FOREVER, 1000, true), BLOCKED);
	core_resumed(f->core);
	assert_int_equal(waits_say(f, a, handles[0], "set\n"), 4);
	assert_int_equal(waits_ended(f, 1000, NULL), 0);
	assert_int_equal(waits_say(f, b, handles[1], "release 2\n"), 10);
	assert_int_equal(end_of(f, 1000), ACQUIRED);
	assert_int_equal(waits_try(f, a, handles[0]), -EAGAIN);
	assert_true(waits_state_is(f, b, "1 of 5"));
	close_all(f, a, "a", &handles[0], 1);
	close_all(f, b, "b", &handles[1], 1);
	assert_nothing_left(f);
}

static void several_time_out(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_event(f, "e", true, false);
	uint64_t handle = waits_open(f, node, O_RDWR), begin = clock_ns(CLOCK_MONOTONIC);

	assert_int_equal(waits_many(f, &handle, 1, false, 0, 1000, false), -ETIMEDOUT);
	assert_int_equal(waits_many(f, &handle, 1, false, begin + 30000000, 1002, false), BLOCKED);
	assert_int_equal(waits_many(f, &handle, 1, true, begin + 100000000000, 1004, false),
			 BLOCKED);
	WAIT_FOR(f, waits_ended(f, 1002, NULL), 5000);
	assert_int_equal(end_of(f, 1002), -ETIMEDOUT);
	assert_true(clock_ns(CLOCK_MONOTONIC) - begin >= 30000000);
	fixture_restart(f);
	assert_int_equal(waits_many(f, &handle, 1, true, begin + 30000000, 1004, true), BLOCKED);
	core_resumed(f->core); /* its time came while nobody was there */
	WAIT_FOR(f, waits_ended(f, 1004, NULL), 5000);
	assert_int_equal(end_of(f, 1004), -ETIMEDOUT);
	close_all(f, node, "e", &handle, 1);
	assert_nothing_left(f);
}

static void several_and_a_closed_handle(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_event(f, "e", false, false);
	uint64_t handles[] = {waits_open(f, node, O_RDWR), waits_open(f, node, O_RDWR)};

	assert_int_equal(waits_many(f, handles, 2, false, FOREVER, 1000, false), BLOCKED);
	waits_close(f, node, handles[1]);
	assert_int_equal(end_of(f, 1000), -EBADF);
	assert_int_equal(waits_many(f, handles, 2, false, FOREVER, 1002, false), -EBADF);
	handles[1] = 0;
	assert_int_equal(waits_many(f, handles, 2, false, FOREVER, 1004, false), -EBADF);
	assert_int_equal(waits_many(f, handles, 0, false, FOREVER, 1006, false), -EINVAL);
	close_all(f, node, "e", handles, 1);
	assert_nothing_left(f);
}

/* --- timers --- */

static void a_timer_fires_in_the_next_worker(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_type(f, "t", OBJECT_TIMER);
	uint64_t handle = waits_open(f, node, O_RDWR);

	assert_int_equal(waits_say(f, node, handle, "set 20ms\n"), 9);
	assert_int_equal(waits_wait(f, node, handle, 1000, false), BLOCKED);
	fixture_restart(f);
	assert_int_equal(waits_wait(f, node, handle, 1000, true), BLOCKED);
	core_resumed(f->core);
	WAIT_FOR(f, waits_ended(f, 1000, NULL), 5000);
	assert_int_equal(end_of(f, 1000), SIGNALED);
	assert_int_equal(waits_say(f, node, handle, "set 1ms\n"), 8);
	fixture_stop(f);
	usleep(5000);
	assert_int_equal(fixture_start(f), 0);
	core_resumed(f->core);
	assert_int_equal(waits_try(f, node, handle), SIGNALED); /* fired while nobody was there */
	assert_int_equal(waits_try(f, node, handle), -EAGAIN);
	close_all(f, node, "t", &handle, 1);
	assert_nothing_left(f);
}

/* What an object is, is kept on it when the kernel forgets it. */
static void state_outlives_being_known(void **state)
{
	struct fixture *f = *state;
	uint64_t node = waits_make_semaphore(f, "s", 1, 9);
	uint64_t handle = waits_open(f, node, O_RDWR);

	assert_int_equal(waits_say(f, node, handle, "release 4\n"), 10);
	waits_close(f, node, handle);
	forget_node(f, node, 1);
	assert_int_equal(usage_of(f).objects_known, 0);
	node = look_up(f, CORE_ROOT_NODE, "s");
	assert_true(waits_state_is(f, node, "5 of 9"));
	handle = waits_open(f, node, O_RDWR);
	assert_int_equal(waits_try(f, node, handle), ACQUIRED);
	waits_close(f, node, handle);
	forget_node(f, node, 1);
	fixture_restart(f);
	core_resumed(f->core);
	node = look_up(f, CORE_ROOT_NODE, "s");
	assert_true(waits_state_is(f, node, "4 of 9"));
	close_all(f, node, "s", NULL, 0);
	assert_nothing_left(f);
}

static void a_thousand_handles(void **state)
{
	enum { HANDLES = 1000 };
	struct fixture *f = *state;
	uint64_t node = waits_make_event(f, "e", false, false);
	AUTO_FREE uint64_t *handles = calloc(HANDLES, sizeof *handles);

	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < HANDLES; i++) {
			handles[i] = waits_open(f, node, O_RDWR);
			assert_true(handles[i] != 0);
		}
		assert_int_equal(usage_of(f).handles, HANDLES);
		if (round == 1) {
			fixture_restart(f);
			core_resumed(f->core);
		}
		assert_int_equal(waits_say(f, node, handles[HANDLES - 1], "set\n"), 4);
		assert_int_equal(waits_try(f, node, handles[0]), SIGNALED);
		for (unsigned i = 0; i < HANDLES; i++)
			waits_close(f, node, handles[i]);
	}
	close_all(f, node, "e", NULL, 0);
	assert_nothing_left(f);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
#define ROOTLESS(test)                                                                             \
	{                                                                                          \
#test " [rootless]", test, fixture_setup_rootless, fixture_teardown, NULL          \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    ROW(in_order_of_arrival),
	    ROW(resumed_in_order_of_arrival),
	    ROW(newcomers_stand_behind),
	    ROW(trying_while_gathering),
	    ROW(interrupted),
	    ROW(interrupted_in_a_new_worker),
	    ROW(granted_and_not_answered),
	    ROW(the_number_of_a_granted_wait_anew),
	    ROW(mutex_by_handles),
	    ROW(a_handle_number_used_anew),
	    ROW(polls_are_told_once),
	    ROW(polls_of_a_mutex),
	    ROW(polls_outlive_workers),
	    ROW(any_and_all),
	    ROW(several_time_out),
	    ROW(several_and_a_closed_handle),
	    ROW(a_timer_fires_in_the_next_worker),
	    ROW(state_outlives_being_known),
	    ROW(a_thousand_handles),
	    ROOTLESS(resumed_in_order_of_arrival),
	    ROOTLESS(mutex_by_handles),
	    ROOTLESS(state_outlives_being_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
