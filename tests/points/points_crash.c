/* Exactly once: every operation that changes something, with the worker killed at each of its
 * steps, and again while the next one takes over. MAPPINGFS_CRASH_FILTER is a pattern for the names
 * of the operations; MAPPINGFS_CRASH_VERBOSE tells of each. */
#include "tests/points/crash_table.h"

#include <stdlib.h>

static void files(void **state)
{
	crash_run_table(*state, "size=256m", "files", crash_files, crash_files_count);
}

static void objects(void **state)
{
	crash_run_table(*state, "size=256m", "objects", crash_objects, crash_objects_count);
}

static void waits(void **state)
{
	crash_run_table(*state, "size=256m", "objects to wait on", crash_waits, crash_waits_count);
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
