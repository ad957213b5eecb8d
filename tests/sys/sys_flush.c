/* A bound file is made durable when the last view goes, or when asked; a failure is kept and told.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/sys/disks.h"
#include "tests/sys/objects.h"
#include "tests/sys/waitables.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

enum { RW = PROT_READ | PROT_WRITE, SIZE = 1 << 20 };

struct flush_result {
	char result[32];
	double at; /* realtime, seconds; 0: never flushed */
	long errors;
};

static struct flush_result last_flush(const char *path)
{
	struct flush_result r = {0};
	AUTO_FREE char *text = sys_xattr(path, "user.mapping.flush");

	if (!text)
		fail_msg("%s: no user.mapping.flush: %s", path, strerror(errno));
	if (strcmp(text, "never") != 0 &&
	    sscanf(text, "%31s %lf %ld", r.result, &r.at, &r.errors) != 3)
		fail_msg("odd user.mapping.flush: %s", text);
	return r;
}

static double now(void)
{
	return (double)clock_ns(CLOCK_REALTIME) / 1e9;
}

/* Dirty pages of the file, or -1: this kernel does not tell. */
static long dirty_pages(int fd)
{
	struct {
		uint64_t offset, length;
	} range = {0, 0};
	struct {
		uint64_t cached, dirty, writeback, evicted, recently;
	} out = {0};

	if (syscall(SYS_cachestat, fd, &range, &out, 0) < 0)
		return -1;
	return (long)(out.dirty + out.writeback);
}

/* A file whose flush takes no time, so that the time of the result is the time of the start. */
static int make_quick_file(struct sys *sys)
{
	char point[128], path[160];

	snprintf(point, sizeof(point), "%s/ram", sys->dir);
	mkdir(point, 0755);
	if (mount("ram", point, "tmpfs", 0, "size=16m") < 0)
		fail_msg("tmpfs: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/file", point);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	umount2(point, MNT_DETACH); /* lives as long as it is open */
	return fd;
}

static double flush_after(const char *path, double before)
{
	struct flush_result r = {0};

	WAIT_UNTIL(5, (r = last_flush(path)).at >= before);
	assert_string_equal(r.result, "ok");
	assert_int_equal(r.errors, 0);
	return r.at - before;
}

static void soon_after_the_last_view(void **state)
{
	struct sys *sys = *state;
	double best = 1000;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_quick_file(sys);
	const char *path = object_make(sys, "f", WIRE_BIND, 0, fd);

	assert_true(last_flush(path).at == 0);
	for (int round = 0; round < 5; round++) {
		char *view = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);
		view[round] = 'x';
		double before = now();
		munmap(view, SIZE);
		double delay = flush_after(path, before);
		best = delay < best ? delay : best;
	}
	sys_say("flushed %.1f ms after the last view, at best", best * 1e3);
	/* 10 ms are promised where nothing else runs; the reading itself takes time here. */
	if (sys->mode == SYS_PASSTHROUGH)
		assert_true(best < (TEST_SANITIZED ? 0.4 : 0.1));
	assert_true(sys_status_number(sys, "flushes") >= 5);
}

/* On a disk: whether there is anything to flush is asked of the kernel, and tmpfs never has. */
static void while_a_handle_is_open(void **state)
{
	struct sys *sys = *state;
	double best = 1000;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", SIZE, NULL);
	assert_int_equal(fsync(fd), 0);
	const char *path = object_make(sys, "f", WIRE_BIND, 0, fd);
	AUTO_CLOSE int handle = open(path, O_RDWR | O_CLOEXEC);

	for (int round = 0; round < 3; round++) {
		char *view = mmap(NULL, SIZE, RW, MAP_SHARED, handle, 0);
		memset(view, 'x' + round, SIZE);
		double before = now();
		munmap(view, SIZE);
		double delay = flush_after(path, before);
		best = delay < best ? delay : best;
		assert_true(dirty_pages(fd) <= 0);
	}
	sys_say("flushed %.2f s after the last view, a handle open, at best", best);
	assert_true(best < (TEST_SANITIZED ? 8 : 2));
}

static int write_view(void *context)
{
	const char *path = context;
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	char *view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	close(steal_fd(&fd));
	for (int i = 0; i < SIZE; i++)
		view[i] = (char)(i % 13);
	return 0;
}

static int write_and_exec(void *context)
{
	CHECK(write_view(context) == 0);
	execlp("sleep", "sleep", "300", NULL);
	return 1;
}

static int write_and_die(void *context)
{
	CHECK(write_view(context) == 0);
	kill(getpid(), SIGKILL);
	return 1;
}

static void check_durable(const char *path, int fd, double before)
{
	flush_after(path, before);
	assert_true(dirty_pages(fd) <= 0);
	AUTO_FREE unsigned char *bytes = malloc(SIZE);
	assert_int_equal(pread(fd, bytes, SIZE, 0), SIZE);
	for (int i = 0; i < SIZE; i++)
		if (bytes[i] != i % 13)
			fail_msg("byte %d is %d", i, bytes[i]);
	memset(bytes, 0, SIZE);
	assert_int_equal(pwrite(fd, bytes, SIZE, 0), SIZE);
	assert_int_equal(fsync(fd), 0);
}

static void however_the_view_ends(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", SIZE, NULL);
	const char *path = object_make(sys, "f", WIRE_BIND, 0, fd);
	void *context = (void *)(uintptr_t)path;

	double before = now();
	assert_int_equal(sys_wait(sys, sys_fork(sys, write_view, context)), 0);
	check_durable(path, fd, before);
	before = now();
	assert_int_equal(sys_wait(sys, sys_fork(sys, write_and_die, context)), 128 + SIGKILL);
	check_durable(path, fd, before);
	before = now();
	pid_t pid = sys_fork(sys, write_and_exec, context);
	check_durable(path, fd, before);
	sys_kill(sys, pid);
}

static void on_demand(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", SIZE, NULL);
	const char *path = object_make(sys, "f", WIRE_BIND, 0, fd);
	AUTO_CLOSE int handle = open(path, O_RDWR | O_CLOEXEC);
	char *view = mmap(NULL, SIZE, RW, MAP_SHARED, handle, 0);

	for (int how = 0; how < 4; how++) {
		memset(view, 'a' + how, SIZE);
		if (sys->mode == SYS_PASSTHROUGH && dirty_pages(fd) >= 0 && how == 0)
			assert_true(dirty_pages(fd) > 0);
		if (how == 0)
			assert_int_equal(msync(view, SIZE, MS_SYNC), 0);
		else if (how == 1)
			assert_int_equal(fsync(handle), 0);
		else if (how == 2)
			assert_int_equal(fdatasync(handle), 0);
		else
			assert_int_equal(sys_shell(sys, "mapctl flush %s", path), 0);
		assert_true(dirty_pages(fd) <= 0);
		char byte;
		assert_int_equal(pread(fd, &byte, 1, SIZE - 1), 1);
		assert_int_equal(byte, 'a' + how);
	}
	munmap(view, SIZE);
}

static void after_the_name_has_gone(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", SIZE, NULL);
	const char *path = object_make(sys, "f", WIRE_BIND, 0, fd);
	char *view = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);
	long long flushes = sys_status_number(sys, "flushes");

	assert_int_equal(unlink(path), 0);
	memset(view, 'u', SIZE);
	munmap(view, SIZE);
	WAIT_UNTIL(5, sys_status_number(sys, "flushes") > flushes);
	WAIT_UNTIL(5, dirty_pages(fd) <= 0);
	WAIT_UNTIL(5, sys_status_number(sys, "bound_files") == 0);
	char byte;
	assert_int_equal(pread(fd, &byte, 1, SIZE - 1), 1);
	assert_int_equal(byte, 'u');
}

static void with_the_worker_dead(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", SIZE, NULL);
	const char *path = object_make(sys, "f", WIRE_BIND, 0, fd);

	for (int round = 0; round < 5; round++) {
		char *view = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);
		memset(view, '0' + round, SIZE);
		double before = now();
		strike_worker(sys);
		munmap(view, SIZE);
		flush_after(path, before);
		WAIT_UNTIL(5, dirty_pages(fd) <= 0);
	}
}

/* --- failure --- */

/* Of blocks that were written before: see sys_disks for others. */
static int make_failing_file(struct sys *sys, size_t size)
{
	AUTO_FREE char *zeros = calloc(1, size);
	int fd;

	disk_make(sys, 16);
	fd = disk_file(sys, "file", size);
	assert_int_equal(pwrite(fd, zeros, size, 0), size);
	assert_int_equal(fsync(fd), 0);
	disk_punch(sys, fd);
	disk_break(sys);
	return fd;
}

static void a_failure_is_kept(void **state)
{
	struct sys *sys = *state;
	enum { BIG = 8 << 20 };
	struct flush_result r = {0};
	sys_mount(sys, NULL);
	int fd = make_failing_file(sys, BIG);
	const char *path = object_make(sys, "f", WIRE_BIND, 0, fd);

	close(fd);
	char *view = view_of(path, O_RDWR, BIG, RW, MAP_SHARED);
	memset(view, 'x', BIG);
	munmap(view, BIG);
	WAIT_UNTIL(20, (r = last_flush(path)).errors > 0);
	sys_say("user.mapping.flush: %s, %ld errors", r.result, r.errors);
	assert_true(sys_status_number(sys, "flush_failures") >= 1);
	AUTO_CLOSE int handle = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(fsync(handle), -1);
	assert_true(errno == EIO || errno == ENOSPC);
	assert_true(last_flush(path).errors >= r.errors);

	/* Room again: what is written from now on is flushed, and the failure stays on record. */
	disk_mend(sys);
	assert_int_equal(pwrite(handle, "y", 1, 0), 1);
	WAIT_UNTIL(20, fsync(handle) == 0);
	WAIT_UNTIL(20, strcmp((r = last_flush(path)).result, "ok") == 0);
	assert_true(r.errors > 0);
	assert_int_equal(sys_status_number(sys, "flushes_failing"), 0);
	close(steal_fd(&handle));
	assert_int_equal(unlink(path), 0);
	WAIT_UNTIL(10, sys_status_number(sys, "bound_files") == 0);
	disk_remove(sys);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(soon_after_the_last_view), SYS_TEST_BOTH_MODES(while_a_handle_is_open),
    SYS_TEST_BOTH_MODES(however_the_view_ends),    SYS_TEST_BOTH_MODES(on_demand),
    SYS_TEST_BOTH_MODES(after_the_name_has_gone),  SYS_TEST_BOTH_MODES(with_the_worker_dead),
    SYS_TEST_BOTH_MODES(a_failure_is_kept),
};

int main(void)
{
	return sys_run_tests("flush", tests);
}
