/* A disk that fails: nothing that is in memory is lost, everybody is told, and what was written is
 * on the disk once it works again. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/sys/disks.h"
#include "tests/sys/objects.h"
#include "tests/sys/waitables.h"

enum { RW = PROT_READ | PROT_WRITE, SIZE = 4 << 20 };

static void fill(char *bytes, unsigned seed)
{
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (char)((i + seed) % 251);
}

static size_t wrong_bytes(const char *bytes, unsigned seed)
{
	size_t wrong = 0;

	for (size_t i = 0; i < SIZE; i++)
		wrong += bytes[i] != (char)((i + seed) % 251);
	return wrong;
}

/* Reads the file of the disk that was mounted again: from the device. */
static size_t wrong_on_disk(struct sys *sys, const char *name, unsigned seed)
{
	char path[128];
	AUTO_FREE char *bytes = malloc(SIZE);
	AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof path, "%s/disk/%s", sys->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, bytes, SIZE, 0), SIZE);
	return wrong_bytes(bytes, seed);
}

struct flush_state {
	char result[32];
	double at;
	long errors;
	long long since, next; /* 0: it is not failing */
};

static struct flush_state flush_of(const char *path)
{
	struct flush_state f = {0};
	AUTO_FREE char *text = sys_xattr(path, "user.mapping.flush");

	if (!text)
		fail_msg("%s: no user.mapping.flush", path);
	sscanf(text, "%31s %lf %ld %lld %lld", f.result, &f.at, &f.errors, &f.since, &f.next);
	return f;
}

static bool has_word(struct sys *sys, const char *command, const char *word)
{
	if (sys_shell(sys, "%s", command) != 0)
		fail_msg("%s: %s", command, sys->output);
	return strstr(sys->output, word);
}

static void assert_shown(struct sys *sys, const char *path)
{
	char command[512];
	struct flush_state f = flush_of(path);

	assert_true(f.since > 0 && f.next >= f.since);
	assert_int_equal(sys_status_number(sys, "flushes_failing"), 1);
	snprintf(command, sizeof command, "mapctl ls %s", sys->mnt);
	assert_true(has_word(sys, command, "FAILING E"));
	snprintf(command, sizeof command, "mapctl -m %s status", sys->mnt);
	assert_true(has_word(sys, command, "/disk/file (inode"));
	snprintf(command, sizeof command, "mapctl stat %s", path);
	assert_true(has_word(sys, command, "next try"));
}

/* Every fsync says it, until one succeeds. */
static void assert_told(const char *path)
{
	AUTO_CLOSE int handle = open(path, O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3; i++) {
		assert_int_equal(fsync(handle), -1);
		assert_true(errno == EIO || errno == ENOSPC);
	}
}

/* The failure is met by the last view, or by an fsync. */
static void break_down(struct sys *sys, const char *path, bool asked)
{
	char *view;

	disk_break(sys);
	view = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);
	fill(view, 7);
	munmap(view, SIZE);
	if (asked)
		assert_told(path);
	WAIT_UNTIL(20, flush_of(path).errors >= (asked ? 5 : 3)); /* it is tried again */
	assert_shown(sys, path);
	assert_told(path);
	strike_worker(sys);
	WAIT_UNTIL(20, sys_worker(sys));
	assert_true(flush_of(path).since > 0);
	assert_told(path);
}

static void wait_for_recovery(const char *path, long long since)
{
	WAIT_UNTIL(60, !flush_of(path).since);
	sys_say("%s, after %ld errors in %.1f s", flush_of(path).result, flush_of(path).errors,
		flush_of(path).at - (double)since);
	assert_string_equal(flush_of(path).result, "ok");
}

static void check_disk(struct sys *sys, const char *path)
{
	assert_int_equal(sys_status_number(sys, "flushes_failing"), 0);
	assert_int_equal(unlink(path), 0);
	WAIT_UNTIL(10, sys_status_number(sys, "bound_files") == 0);
	disk_mount_again(sys);
	assert_int_equal(wrong_on_disk(sys, "file", 7), 0);
	disk_remove(sys);
}

/* Blocks that were written before. A view stays all the while. */
static void old_blocks_recover(void **state)
{
	struct sys *sys = *state;
	AUTO_FREE char *bytes = malloc(SIZE);
	char *view;
	int fd;

	sys_mount(sys, NULL);
	disk_make(sys, 8);
	fd = disk_file(sys, "file", SIZE);
	fill(bytes, 3);
	assert_int_equal(pwrite(fd, bytes, SIZE, 0), SIZE);
	assert_int_equal(fsync(fd), 0);
	disk_punch(sys, fd);
	const char *path = object_make(sys, "f", WIRE_BIND, 0, fd);
	close(fd);
	view = view_of(path, O_RDONLY, SIZE, PROT_READ, MAP_SHARED);
	break_down(sys, path, true);
	assert_int_equal(wrong_bytes(view, 7), 0);
	long long since = flush_of(path).since;
	disk_mend(sys);
	wait_for_recovery(path, since);
	munmap(view, SIZE);
	check_disk(sys, path);
}

/* Blocks that were never written: ext4 says that they are, and they are not (core/unwritten.c).
 * While somebody looks, the failure stays. */
static void new_blocks_recover(void **state)
{
	struct sys *sys = *state;
	char *view;
	long errors;
	int fd;

	sys_mount(sys, NULL);
	disk_make(sys, 8);
	fd = disk_file(sys, "file", SIZE);
	const char *path = object_make(sys, "f", WIRE_BIND, 0, fd);
	close(fd);
	break_down(sys, path, false);
	view = view_of(path, O_RDONLY, SIZE, PROT_READ, MAP_SHARED);
	long long since = flush_of(path).since;
	disk_mend(sys);
	errors = flush_of(path).errors;
	if (sys->mode == SYS_PASSTHROUGH)
		WAIT_UNTIL(20, flush_of(path).errors > errors + 1);
	assert_int_equal(wrong_bytes(view, 7), 0);
	munmap(view, SIZE);
	wait_for_recovery(path, since);
	check_disk(sys, path);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(old_blocks_recover),
    SYS_TEST_BOTH_MODES(new_blocks_recover),
};

int main(void)
{
	return sys_run_tests("disks", tests);
}
