/* The Python package, by Debian's Python: its own tests in helpers/py_*.py, CPython's tests of
 * shared memory with our classes in place of theirs. */
#include <stdio.h>
#include <string.h>

#include "tests/sys/harness.h"

#define PACKAGE TEST_HELPER_DIR "/../../../fs/client/python"

enum { NOT_INSTALLED = 77, SECONDS = 240 };

/* The tests know the mount by its environment; it is fresh, and they leave it empty. */
static int run(struct sys *sys, const char *command)
{
	return sys_shell(sys,
			 "cd %s && MAPPINGFS_MOUNT=%s PYTHONPATH=%s exec /usr/bin/python3 -B -W "
			 "error::ResourceWarning %s",
			 TEST_HELPER_DIR, sys->mnt, PACKAGE, command);
}

static void must_succeed(struct sys *sys, const char *command)
{
	int status = run(sys, command);

	if (status == NOT_INSTALLED)
		sys_skip("%s", sys->output);
	if (status) {
		fputs(sys->output, stderr); /* too long for a message */
		fail_msg("%s: exit status %d", command, status);
	}
	sys_shell(sys, "ls %s", sys->mnt);
	assert_string_equal(sys->output, "");
}

static void mount_for(struct sys *sys)
{
	sys_time_limit(sys, SECONDS);
	sys_mount(sys, "size=64m");
}

static void shared_memory_as_cpythons(void **state)
{
	mount_for(*state);
	must_succeed(*state, "py_shared_memory.py");
}

static void cpythons_own_tests(void **state)
{
	mount_for(*state);
	must_succeed(*state, "py_cpython_suite.py fork");
	must_succeed(*state, "py_cpython_suite.py spawn");
	must_succeed(*state, "py_cpython_suite.py forkserver");
}

static void objects(void **state)
{
	mount_for(*state);
	must_succeed(*state, "py_objects.py");
}

static void waitables(void **state)
{
	mount_for(*state);
	must_succeed(*state, "py_waitables.py");
}

/* All of it once more, while the worker is killed again and again: nobody may notice. */
static void while_the_worker_dies(void **state)
{
	struct sys *sys = *state;
	unsigned kills;

	mount_for(sys);
	sys_start_killer(sys, 5, 100);
	must_succeed(sys, "py_objects.py");
	must_succeed(sys, "py_shared_memory.py Ours");
	must_succeed(sys, "py_waitables.py");
	kills = sys_stop_killer(sys);
	assert_true(kills > 10);
}

/* A program without any of our environment finds the only mount, and the plain import works. */
static void existing_code_switches_by_an_import(void **state)
{
	struct sys *sys = *state;
	static const char code[] = "import sys\n"
				   "if sys.argv[1] == \"ours\":\n"
				   "    from mappingfs import SharedMemory\n"
				   "else:\n"
				   "    from multiprocessing.shared_memory import SharedMemory\n"
				   "a = SharedMemory(\"switched\", create=True, size=16)\n"
				   "b = SharedMemory(name=a.name)\n"
				   "b.buf[:4] = b\"same\"\n"
				   "print(a.name, a.size, bytes(a.buf[:4]))\n"
				   "b.close(); a.close(); a.unlink()\n";
	const char *path = sys_path(sys, "../code.py");
	char theirs[64];
	FILE *file;

	mount_for(sys);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(code, file);
	fclose(file);
	assert_int_equal(sys_shell(sys, "/usr/bin/python3 %s theirs", path), 0);
	snprintf(theirs, sizeof theirs, "%s", sys->output);
	assert_int_equal(
	    sys_shell(sys,
		      "unshare -m sh -c 'mount --bind %s /mnt && cd /mnt && "
		      "MAPPINGFS_MOUNT=/mnt PYTHONPATH=%s /usr/bin/python3 -B %s ours'",
		      sys->mnt, PACKAGE, path),
	    0);
	assert_string_equal(sys->output, theirs);
	assert_string_equal(theirs, "switched 16 b'same'\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_BOTH_MODES(existing_code_switches_by_an_import),
	    SYS_TEST_BOTH_MODES(shared_memory_as_cpythons),
	    SYS_TEST_BOTH_MODES(cpythons_own_tests),
	    SYS_TEST_BOTH_MODES(objects),
	    SYS_TEST_BOTH_MODES(waitables),
	    SYS_TEST_BOTH_MODES(while_the_worker_dies),
	};

	return sys_run_tests("python", tests);
}
