/* What a view may do: protection, execution, and how many of them there may be. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/sys/objects.h"

enum { RW = PROT_READ | PROT_WRITE };

/* int f(void) { return 42; } */
#if defined(__x86_64__)
static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
#elif defined(__aarch64__)
static const unsigned char code[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
#else
static const unsigned char code[] = {0};
#endif

static int run(const void *view)
{
	int (*function)(void);
	memcpy(&function, &view, sizeof(function));
	return function();
}

static void executable_views(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	if (sizeof(code) == 1)
		sys_skip("no machine code for this processor");
	const char *path = object_make(sys, "code", WIRE_SET_SIZE, 4096, -1);
	char *writing = view_of(path, O_RDWR, 4096, RW, MAP_SHARED);
	memcpy(writing, code, sizeof(code));
	__builtin___clear_cache(writing, writing + sizeof(code));

	char *shared = view_of(path, O_RDONLY, 4096, PROT_READ | PROT_EXEC, MAP_SHARED);
	assert_int_equal(run(shared), 42);
	char *private = view_of(path, O_RDONLY, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	assert_int_equal(run(private), 42);
	munmap(writing, 4096);
	munmap(shared, 4096);
	munmap(private, 4096);
}

static void programs_run(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	assert_int_equal(sys_shell(sys,
				   "cp $(readlink -f $(command -v sleep)) %s/prog && %s/prog 0",
				   sys->mnt, sys->mnt),
			 0);
	assert_int_equal(sys_shell(sys, "chmod a-x %s/prog; %s/prog 0", sys->mnt, sys->mnt), 126);
}

static void noexec_mount(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "noexec");
	const char *path = object_make(sys, "code", WIRE_SET_SIZE, 4096, -1);
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(errno, EPERM);
	char *view = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	assert_int_equal(mprotect(view, 4096, PROT_READ | PROT_EXEC), -1);
	assert_int_equal(errno, EACCES);
	munmap(view, 4096);
}

static void handles_limit_views(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = object_make(sys, "m", WIRE_SET_SIZE, 8192, -1);
	AUTO_CLOSE int reader = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int writer = open(path, O_WRONLY | O_CLOEXEC);

	assert_ptr_equal(mmap(NULL, 4096, RW, MAP_SHARED, reader, 0), MAP_FAILED);
	assert_int_equal(errno, EACCES);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ, MAP_SHARED, writer, 0), MAP_FAILED);
	assert_int_equal(errno, EACCES);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ, MAP_SHARED, reader, 512), MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	char *view = mmap(NULL, 4096, PROT_READ, MAP_SHARED, reader, 4096);
	assert_ptr_not_equal(view, MAP_FAILED);
	assert_ptr_equal(mmap(view, 4096, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, reader, 0),
			 MAP_FAILED);
	assert_int_equal(errno, EEXIST);
	munmap(view, 4096);
}

static void many_views_many_objects(void **state)
{
	enum { OBJECTS = 200, VIEWS = 10 };
	static char *views[OBJECTS][VIEWS];
	struct sys *sys = *state;
	char name[16];
	sys_mount(sys, "size=64m");
	int fds = sys_count_fds(sys_worker(sys));

	for (int i = 0; i < OBJECTS; i++) {
		snprintf(name, sizeof(name), "o%d", i);
		const char *path = object_make(sys, name, WIRE_SET_SIZE | WIRE_TEMPORARY, 8192, -1);
		AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		for (int v = 0; v < VIEWS; v++) {
			views[i][v] = mmap(NULL, 8192, RW, MAP_SHARED, fd, 0);
			assert_ptr_not_equal(views[i][v], MAP_FAILED);
		}
		snprintf(views[i][i % VIEWS], 16, "object %d", i);
	}
	for (int i = 0; i < OBJECTS; i++)
		for (int v = 0; v < VIEWS; v++) {
			snprintf(name, sizeof(name), "object %d", i);
			assert_string_equal(views[i][v], name);
			munmap(views[i][v], 8192);
		}
	WAIT_UNTIL(10, sys_status_number(sys, "committed_bytes") == 0);
	assert_int_equal(size_of(sys_path(sys, "o7")), -1);
	WAIT_UNTIL(10, sys_count_fds(sys_worker(sys)) <= fds + 8); /* some may be kept for later */
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(executable_views),
    SYS_TEST_BOTH_MODES(programs_run),
    SYS_TEST_BOTH_MODES(noexec_mount),
    SYS_TEST_BOTH_MODES(handles_limit_views),
    SYS_TEST_BOTH_MODES(many_views_many_objects),
};

int main(void)
{
	return sys_run_tests("objects_views", tests);
}
