/* Exactly once: every operation that changes something, with the worker killed at each of its
 * steps, and again while the next one takes over. MAPPINGFS_CRASH_FILTER is a pattern for the names
 * of the operations; MAPPINGFS_CRASH_VERBOSE tells of each. */
#include "tests/points/crash_table.h"

#include <stdlib.h>

enum { TIME_LIMIT = 280 };

static void try_all(struct sys *sys, const char *what, const struct crash_operation *operations,
		    size_t count)
{
	struct crash_figures f = {0};

	sys_time_limit(sys, TIME_LIMIT);
	crash_plan_create(sys);
	sys_mount(sys, "size=256m");
	crash_try_table(sys, operations, count, &f);
	sys_unmount(sys);
	crash_remember();
	crash_plan_destroy();
	sys_say("%s: %u operations, %u runs, %u kills (%u runs with two), %u failures; longest "
		"stall %.0f ms",
		what, f.operations, f.trials, f.kills, f.doubled, f.failures, f.worst_stall * 1e3);
	assert_int_equal(f.failures, 0);
}

static void files(void **state)
{
	try_all(*state, "files", crash_files, crash_files_count);
}

static void objects(void **state)
{
	try_all(*state, "objects", crash_objects, crash_objects_count);
}

static void waits(void **state)
{
	try_all(*state, "objects to wait on", crash_waits, crash_waits_count);
}

/* What was compiled in and never killed anybody tests nothing. */
static void all_points_were_hit(void **state)
{
	static const char *const excused[] = {NULL};
	unsigned missed = crash_say_missed(excused);

	(void)state;
	sys_say("%u points by name, %u missed", crash_points(), missed);
	if (!getenv("MAPPINGFS_CRASH_FILTER") && !getenv("MAPPINGFS_TEST_FILTER"))
		assert_int_equal(missed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_BOTH_MODES(files),
	    SYS_TEST_BOTH_MODES(objects),
	    SYS_TEST_BOTH_MODES(waits),
	    cmocka_unit_test(all_points_were_hit),
	};

	return sys_run_tests("crash points", tests);
}
