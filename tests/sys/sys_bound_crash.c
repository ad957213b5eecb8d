/* A large file bound to an object, mapped by several processes that write disjoint parts and are
 * killed at any moment, the worker too. After the last one is gone the file is durable and equals
 * what was stored. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/sys/harness.h"

enum { PARTS = 4, PAGE = 4096, PAUSE_PAGES = 64 };
#define FILE_BYTES (256UL << 20)
#define PART_BYTES (FILE_BYTES / PARTS)
#define PART_PAGES (PART_BYTES / PAGE)

struct progress {
	volatile uint8_t stored[PARTS][PART_PAGES]; /* page is complete */
	volatile bool complete[PARTS];
};

struct writer {
	const char *path;
	unsigned part;
	struct progress *progress;
};

static uint64_t word_at(uint64_t offset)
{
	uint64_t x = offset + 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static void store_page(char *page, uint64_t offset)
{
	volatile uint64_t *words = (volatile uint64_t *)(void *)page;

	for (unsigned i = 0; i < PAGE / 8; i++)
		words[i] = word_at(offset + 8 * i);
}

static bool page_is_right(const char *page, uint64_t offset)
{
	const uint64_t *words = (const uint64_t *)(const void *)page;

	for (unsigned i = 0; i < PAGE / 8; i++)
		if (words[i] != word_at(offset + 8 * i))
			return false;
	return true;
}

/* Every page of the part in an order that jumps about; then keeps the view until it is killed. */
static int write_part(void *context)
{
	struct writer *writer = context;
	uint64_t start = writer->part * PART_BYTES;
	volatile uint8_t *stored = writer->progress->stored[writer->part];
	int fd = open(writer->path, O_RDWR | O_CLOEXEC);
	char *view;

	CHECK(fd >= 0);
	view = mmap(NULL, PART_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);
	CHECK(view != MAP_FAILED);
	close(fd);
	for (uint64_t i = 0; i < PART_PAGES; i++) {
		uint64_t page = i * 7919 % PART_PAGES;

		if (stored[page])
			continue;
		store_page(view + page * PAGE, start + page * PAGE);
		stored[page] = 1;
		if (i % PAUSE_PAGES == 0)
			sys_past(0);
	}
	writer->progress->complete[writer->part] = true;
	for (;;)
		pause();
}

static pid_t start_writer(struct sys *sys, const char *path, struct progress *progress,
			  unsigned part)
{
	struct writer writer = {path, part, progress};

	return sys_fork(sys, write_part, &writer);
}

static bool all_complete(struct progress *progress)
{
	for (unsigned i = 0; i < PARTS; i++)
		if (!progress->complete[i])
			return false;
	return true;
}

/* Kills writers at random until every part is stored. All parts are mapped at the end. */
static unsigned write_and_kill(struct sys *sys, const char *path, pid_t pids[PARTS])
{
	unsigned kills = 0;
	struct progress *progress =
	    mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(progress != MAP_FAILED);
	for (unsigned i = 0; i < PARTS; i++)
		pids[i] = start_writer(sys, path, progress, i);
	while (!all_complete(progress)) {
		unsigned victim = (unsigned)rand() % PARTS;
		uint64_t until = sys_deadline(0.005 + 0.02 * rand() / RAND_MAX);

		while (!sys_past(until))
			;
		kill(pids[victim], SIGKILL);
		assert_int_equal(sys_wait(sys, pids[victim]), 128 + SIGKILL);
		kills++;
		pids[victim] = start_writer(sys, path, progress, victim);
	}
	munmap(progress, sizeof *progress);
	return kills;
}

/* --- the file --- */

static void make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
	assert_int_equal(fsync(fd), 0);
	close(fd);
}

/* Pages of the file that are not on the disk yet; -1 where the kernel cannot tell (before 6.5). */
static long unwritten_pages(const char *path)
{
	struct {
		uint64_t off, len;
	} range = {0, 0};
	struct {
		uint64_t cached, dirty, writeback, evicted, recently_evicted;
	} counts = {0};
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	if (syscall(451 /* cachestat */, fd, &range, &counts, 0) < 0)
		return -1;
	return (long)(counts.dirty + counts.writeback);
}

/* What the disk holds: the cached pages are dropped first. */
static void check_file(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char page[PAGE] __attribute__((aligned(8)));
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, FILE_BYTES);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (uint64_t offset = 0; offset < FILE_BYTES; offset += PAGE) {
		assert_int_equal(pread(fd, page, PAGE, (off_t)offset), PAGE);
		if (!page_is_right(page, offset))
			fail_msg("wrong page at offset %lu", offset);
	}
}

/* --- flush --- */

static bool never_flushed(const char *path)
{
	AUTO_FREE char *flush = sys_xattr(path, "user.mapping.flush");

	assert_non_null(flush);
	if (strcmp(flush, "never") != 0)
		sys_say("flush: %s", flush);
	return strcmp(flush, "never") == 0;
}

static bool flushed_since(const char *path, double moment)
{
	AUTO_FREE char *flush = sys_xattr(path, "user.mapping.flush");
	char result[16];
	double when;

	assert_non_null(flush);
	if (sscanf(flush, "%15s %lf", result, &when) < 2 || when < moment)
		return false;
	assert_string_equal(result, "ok");
	return true;
}

static void end_one_by_one(struct sys *sys, const char *object, pid_t pids[PARTS])
{
	double moment;

	for (unsigned i = 0; i + 1 < PARTS; i++)
		sys_kill(sys, pids[i]);
	if (!sys->reference)
		assert_true(never_flushed(object));
	moment = (double)clock_ns(CLOCK_REALTIME) / 1e9;
	sys_kill(sys, pids[PARTS - 1]);
	if (!sys->reference)
		WAIT_UNTIL(60, flushed_since(object, moment));
	sys_say("flushed %.3f s after the last view",
		(double)clock_ns(CLOCK_REALTIME) / 1e9 - moment);
}

static void bind_object(struct sys *sys, const char *file, const char *object)
{
	if (sys->reference) {
		assert_int_equal(symlink(file, object), 0);
		return;
	}
	if (sys_shell(sys, "mapctl --mount %s create bound --file %s", sys->mnt, file) != 0)
		fail_msg("mapctl create: %s", sys->output);
}

static void run_crashes(struct sys *sys, bool kill_worker)
{
	char file[128], object[300];
	unsigned kills, restarts = 0;
	pid_t pids[PARTS];
	long unwritten;

	sys_time_limit(sys, 180);
	sys_mount(sys, "size=64m"); /* the file's pages are its own: not charged to the mount */
	snprintf(file, sizeof file, "%s/file", sys->dir);
	snprintf(object, sizeof object, "%s", sys_path(sys, "bound"));
	make_file(file);
	bind_object(sys, file, object);
	if (kill_worker)
		sys_start_killer(sys, 10, 100);
	kills = write_and_kill(sys, object, pids);
	if (kill_worker)
		restarts = sys_stop_killer(sys);
	sys_say("%u writers and %u workers killed", kills, restarts);
	end_one_by_one(sys, object, pids);
	unwritten = unwritten_pages(file);
	if (!sys->reference && unwritten > 0)
		fail_msg("%ld pages are not on the disk", unwritten);
	check_file(file);
}

static void writers_are_killed(void **state)
{
	run_crashes(*state, false);
}

static void workers_are_killed_too(void **state)
{
	run_crashes(*state, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_BOTH_MODES(writers_are_killed),
	    SYS_TEST_BOTH_MODES(workers_are_killed_too),
	};

	return sys_run_tests("bound_crash", tests);
}
