/* As points_crash, with the tree in a directory of an ordinary file system. */
#include "tests/points/crash_table.h"

#include <stdio.h>

static void run(struct sys *sys, const char *what, const struct crash_operation *operations,
		size_t count)
{
	char options[sizeof sys->dir + 32];

	snprintf(options, sizeof options, "size=256m,store=%s/store", sys->dir);
	crash_run_table(sys, options, what, operations, count);
}

static void files(void **state)
{
	run(*state, "files", crash_files, crash_files_count);
}

static void objects(void **state)
{
	run(*state, "objects", crash_objects, crash_objects_count);
}

static void waits(void **state)
{
	run(*state, "objects to wait on", crash_waits, crash_waits_count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_PASSTHROUGH(files),
	    SYS_TEST_PASSTHROUGH(objects),
	    SYS_TEST_PASSTHROUGH(waits),
	};

	return sys_run_tests("crash points, stored", tests);
}
