/* The kernel says no, in every way it can: callers are told the truth, everything else goes on, and
 * afterwards nothing is lost and nothing is left. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/points/faults.h"
#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"
#include "tests/sys/waitables.h"

enum { RW = PROT_READ | PROT_WRITE, SIZE = 1 << 20, MANY = 24 };

static const char *make_temporary(struct sys *sys, const char *name)
{
	return object_make(sys, name, WIRE_TEMPORARY | WIRE_SET_SIZE, SIZE, -1);
}

static bool is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static int hold_view(void *context)
{
	AUTO_CLOSE int fd = open(context, O_RDWR | O_CLOEXEC);
	char *view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);

	CHECK(view != MAP_FAILED);
	close(steal_fd(&fd));
	view[0] = 'v';
	CHECK(write(STDOUT_FILENO, "", 0) == 0);
	pause();
	return 0;
}

/* A process with a view and no handle. */
static pid_t start_view(struct sys *sys, const char *path)
{
	pid_t pid = sys_fork(sys, hold_view, (void *)(uintptr_t)path);

	WAIT_UNTIL(
	    10, number_xattr(path, "user.mapping.views") == 1 &&
		    (sys->mode == SYS_CACHED || number_xattr(path, "user.mapping.handles") == 0));
	return pid;
}

/* --- flush --- */

static void flush_fails(void **state)
{
	static const int errors[] = {EIO, ENOSPC, ENOMEM};
	struct sys *sys = *state;
	struct fault_plan *plan = faults_begin(sys);

	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", SIZE, NULL);
	const char *path = object_make(sys, "f", WIRE_BIND, 0, fd);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		char *view = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);

		faults_set(plan, FAULT_FDATASYNC, errors[i], -1);
		memset(view, 'a' + (int)i, SIZE);
		munmap(view, SIZE);
		WAIT_UNTIL(10, sys_status_says(sys, "failing", strerrorname_np(errors[i])));
		strike_worker(sys);
		AUTO_CLOSE int handle = -1;
		WAIT_UNTIL(10, (handle = open(path, O_RDWR | O_CLOEXEC)) >= 0);
		for (int again = 0; again < 2; again++) {
			assert_int_equal(fsync(handle), -1);
			assert_int_equal(errno, errors[i]);
		}
		assert_true(sys_status_says(sys, "failing", "/data"));
		faults_clear(plan);
		WAIT_UNTIL(20, sys_status_number(sys, "flushes_failing") == 0);
		char byte = 0;
		assert_int_equal(pread(fd, &byte, 1, SIZE - 1), 1);
		assert_int_equal(byte, 'a' + (int)i);
		WAIT_UNTIL(10, fsync(handle) == 0);
	}
	sys_say("%u flushes failed", plan->rows[FAULT_FDATASYNC].hits);
}

/* --- room --- */

static void growth_is_refused(void **state)
{
	static const struct {
		enum fault_call call;
		int error;
	} rows[] = {{FAULT_FALLOCATE, ENOSPC},
		    {FAULT_FALLOCATE, EIO},
		    {FAULT_FALLOCATE, ENOMEM},
		    {FAULT_FTRUNCATE, EIO}};
	struct sys *sys = *state;
	struct fault_plan *plan = faults_begin(sys);

	sys_mount(sys, "size=64m");
	AUTO_CLOSE int file = make_plain_file(sys, "data", SIZE, NULL);
	const char *paths[] = {object_make(sys, "f", WIRE_BIND, 0, file),
			       object_make(sys, "m", WIRE_SET_SIZE, SIZE, -1)};
	for (size_t p = 0; p < ARRAY_SIZE(paths); p++) {
		AUTO_CLOSE int fd = open(paths[p], O_RDWR | O_CLOEXEC);
		char *view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
		long long committed = sys_status_number(sys, "committed_bytes");

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			faults_set(plan, rows[i].call, rows[i].error, -1);
			assert_int_equal(ftruncate(fd, 4 * SIZE), -1);
			assert_int_equal(errno, rows[i].error);
			faults_clear(plan);
			assert_int_equal(size_of(paths[p]), SIZE);
			view[SIZE - 1] = (char)i;
		}
		/* A file system that cannot take the room back was told to fail, too. */
		assert_in_range(sys_status_number(sys, "committed_bytes"), committed,
				committed + 4 * SIZE);
		assert_int_equal(ftruncate(fd, 4 * SIZE), 0);
		assert_int_equal(size_of(paths[p]), 4 * SIZE);
		munmap(view, SIZE);
	}
	sys_say("%u calls failed", faults_hits(plan));
}

/* Only what passes through the worker can be made to fail. */
static void write_is_refused(void **state)
{
	static const int errors[] = {EIO, ENOSPC};
	struct sys *sys = *state;
	struct fault_plan *plan = faults_begin(sys);

	sys_mount(sys, NULL);
	const char *path = object_make(sys, "m", WIRE_SET_SIZE, SIZE, -1);
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "before", 6, 0), 6);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		char bytes[6];

		faults_set(plan, FAULT_PWRITE, errors[i], -1);
		assert_int_equal(pwrite(fd, "after!", 6, 0), -1);
		assert_int_equal(errno, errors[i]);
		faults_clear(plan);
		assert_int_equal(pread(fd, bytes, 6, 0), 6);
		assert_memory_equal(bytes, "before", 6);
	}
	assert_int_equal(pwrite(fd, "after!", 6, 0), 6);
}

/* --- the end of objects --- */

static void leases_are_refused(void **state)
{
	struct sys *sys = *state;
	struct fault_plan *plan = faults_begin(sys);

	sys_mount(sys, NULL);
	const char *path = make_temporary(sys, "t");
	faults_set(plan, FAULT_LEASE, EAGAIN, -1);
	pid_t pid = start_view(sys, path);
	WAIT_UNTIL(10, sys_status_says(sys, "troubles", "leases are refused"));
	assert_true(is_there(path));
	sys_kill(sys, pid);
	WAIT_UNTIL(10, !is_there(path));
	faults_clear(plan);
	path = make_temporary(sys, "u");
	sys_kill(sys, start_view(sys, path));
	WAIT_UNTIL(10, !is_there(path));
	sys_say("%u leases refused", plan->rows[FAULT_LEASE].hits);
}

static void no_watches_are_left(void **state)
{
	struct sys *sys = *state;
	struct fault_plan *plan = faults_begin(sys);
	char name[32];
	pid_t pids[MANY];
	const char *path;

	sys_mount(sys, NULL);
	faults_set(plan, FAULT_WATCH_ADD, ENOSPC, -1);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "t%d", i);
		pids[i] = start_view(sys, make_temporary(sys, name));
	}
	assert_true(sys_status_says(sys, "troubles", "inotify"));
	for (int i = 0; i < MANY; i++)
		sys_kill(sys, pids[i]);
	for (int i = 0; i < MANY; i++) {
		path = sys_path(sys, "t%d", i);
		WAIT_UNTIL(20, !is_there(path));
	}
	faults_clear(plan);
	path = make_temporary(sys, "u");
	sys_kill(sys, start_view(sys, path));
	WAIT_UNTIL(10, !is_there(path));
	assert_false(sys_status_says(sys, "troubles", "inotify"));
	sys_say("%u watches refused", plan->rows[FAULT_WATCH_ADD].hits);
}

/* --- descriptors and memory --- */

static unsigned refused_calls, done_calls;

static void count(int rc, const int *expected)
{
	if (rc >= 0) {
		done_calls++;
		return;
	}
	for (; *expected; expected++)
		if (errno == *expected) {
			refused_calls++;
			return;
		}
	fail_msg("refused with %s", strerror(errno));
}

/* Everything a client does, each of which may be refused. */
static void live_with_it(struct sys *sys, const int *expected, unsigned round)
{
	const char *path = sys_path(sys, "n%u", round), *other = sys_path(sys, "r%u", round);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	count(fd, expected);
	if (fd >= 0) {
		count(ftruncate(fd, SIZE), expected);
		count((int)pwrite(fd, "x", 1, 0), expected);
		count(fsync(fd), expected);
		close(fd);
	}
	count(mkdir(sys_path(sys, "d%u", round), 0755), expected);
	fd = open(path, O_RDWR | O_CLOEXEC);
	count(fd, (const int[]){ENOENT, expected[0], expected[1], 0});
	if (fd >= 0)
		close(fd);
	count(rename(path, other), (const int[]){ENOENT, expected[0], expected[1], 0});
	count(unlink(other), (const int[]){ENOENT, expected[0], expected[1], 0});
	count(rmdir(sys_path(sys, "d%u", round)),
	      (const int[]){ENOENT, expected[0], expected[1], 0});
}

static void clean_up(struct sys *sys)
{
	assert_int_equal(sys_shell(sys, "cd %s && rm -rf n* r* d* t*", sys->mnt), 0);
}

static void no_descriptors_are_left(void **state)
{
	static const enum fault_call calls[] = {FAULT_OPENAT, FAULT_OPEN_HANDLE, FAULT_DUPLICATE,
						FAULT_IOCTL};
	static const int expected[] = {ENFILE, EMFILE, 0};
	struct sys *sys = *state;
	struct fault_plan *plan = faults_begin(sys);

	sys_mount(sys, "size=64m");
	struct leaks before = leaks_count(sys);
	refused_calls = done_calls = 0;
	for (unsigned round = 0; round < 60; round++) {
		faults_set(plan, calls[round % ARRAY_SIZE(calls)], expected[round / 4 % 2],
			   round % 3 ? (int)(round % 5) + 1 : -1);
		live_with_it(sys, expected, round);
		faults_clear(plan);
	}
	clean_up(sys);
	object_check_service(sys);
	leaks_check(sys, &before);
	sys_say("%u calls refused, %u carried out, %u faults", refused_calls, done_calls,
		faults_hits(plan));
	assert_true(refused_calls > 20);
	assert_true(sys_status_says(sys, "troubles", "descriptors"));
}

/* What is kept open for speed is closed instead of saying no. */
static void others_are_closed_instead(void **state)
{
	struct sys *sys = *state;
	struct fault_plan *plan = faults_begin(sys);

	sys_mount(sys, NULL);
	for (int i = 0; i < MANY; i++) {
		int fd = open(sys_path(sys, "n%d", i), O_RDWR | O_CREAT | O_CLOEXEC, 0644);

		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, "x", 1, 0), 1);
		close(fd);
	}
	int fds = sys_count_fds(sys_worker(sys));
	faults_set(plan, FAULT_OPEN_HANDLE, ENFILE, 1);
	AUTO_FREE char *creator = sys_xattr(sys_path(sys, "n0"), "user.mapping.creator");
	assert_non_null(creator);
	assert_int_equal(plan->rows[FAULT_OPEN_HANDLE].hits, 1);
	assert_true(sys_count_fds(sys_worker(sys)) < fds);
	assert_true(sys_status_says(sys, "troubles", "descriptors"));
}

/* The last handle's end could not be looked into: it is, when there is memory. */
static void ends_are_found_later(void **state)
{
	struct sys *sys = *state;
	struct fault_plan *plan = faults_begin(sys);

	sys_mount(sys, NULL);
	const char *path = make_temporary(sys, "t");
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	faults_set(plan, FAULT_MEMORY, ENOMEM, -1);
	close(fd);
	WAIT_UNTIL(10, plan->rows[FAULT_MEMORY].hits > 0);
	assert_true(is_there(path));
	faults_clear(plan);
	WAIT_UNTIL(10, !is_there(path));
}

static void no_memory_is_left(void **state)
{
	static const int expected[] = {ENOMEM, ENFILE, 0};
	struct sys *sys = *state;
	struct fault_plan *plan = faults_begin(sys);

	sys_mount(sys, "size=64m");
	AUTO_CLOSE int file = make_plain_file(sys, "data", SIZE, NULL);
	AUTO_FREE char *path = strdup(object_make(sys, "f", WIRE_BIND, 0, file));
	struct leaks before = leaks_count(sys);
	pid_t worker = sys_worker(sys);
	refused_calls = done_calls = 0;
	for (unsigned round = 0; round < 60; round++) {
		AUTO_FREE char *temporary = strdup(make_temporary(sys, "t"));
		pid_t pid = start_view(sys, temporary);
		char *view = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);

		faults_set(plan, FAULT_MEMORY, ENOMEM, round % 4 ? (int)(round % 4) : -1);
		view[round] = 'x';
		munmap(view, SIZE);
		sys_kill(sys, pid);
		live_with_it(sys, expected, round);
		faults_clear(plan);
		WAIT_UNTIL(10, !is_there(temporary));
		WAIT_UNTIL(10, sys_status_number(sys, "flushes_failing") == 0);
	}
	clean_up(sys);
	object_check_service(sys);
	assert_int_equal(sys_worker(sys), worker); /* it did not die of it */
	leaks_check(sys, &before);
	sys_say("%u calls refused, %u carried out, %u allocations failed", refused_calls,
		done_calls, plan->rows[FAULT_MEMORY].hits);
	assert_true(plan->rows[FAULT_MEMORY].hits > 20);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(flush_fails),
    SYS_TEST_BOTH_MODES(growth_is_refused),
    SYS_TEST_CACHED(write_is_refused),
    SYS_TEST_PASSTHROUGH(leases_are_refused),
    SYS_TEST_PASSTHROUGH(no_watches_are_left),
    SYS_TEST_BOTH_MODES(no_descriptors_are_left),
    SYS_TEST_BOTH_MODES(others_are_closed_instead),
    SYS_TEST_PASSTHROUGH(ends_are_found_later),
    SYS_TEST_BOTH_MODES(no_memory_is_left),
};

int main(void)
{
	return sys_run_tests("faults", tests);
}
