/* Memory is committed when a size is set: the limit is told at ftruncate, never by SIGBUS. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "tests/sys/objects.h"
#include "tests/sys/waitables.h"

enum { RW = PROT_READ | PROT_WRITE, MIB = 1 << 20 };

static int create(struct sys *sys, const char *name)
{
	int fd = open(sys_path(sys, "%s", name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		fail_msg("cannot create %s: %s", name, strerror(errno));
	return fd;
}

static long long committed(struct sys *sys)
{
	return sys_status_number(sys, "committed_bytes");
}

static void refused_when_the_size_is_set(void **state)
{
	struct sys *sys = *state;
	struct stat st;
	sys_mount(sys, "size=64m");
	AUTO_CLOSE int a = create(sys, "a");
	AUTO_CLOSE int b = create(sys, "b");

	assert_int_equal(sys_status_number(sys, "limit_bytes"), 64LL * MIB);
	assert_int_equal(ftruncate(a, 40LL * MIB), 0);
	assert_int_equal(ftruncate(b, 40LL * MIB), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(fstat(b, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(ftruncate(a, 65LL * MIB), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(fstat(a, &st), 0);
	assert_int_equal(st.st_size, 40LL * MIB);
	assert_int_equal(ftruncate(b, 23LL * MIB), 0);
	assert_int_equal(fallocate(b, 0, 23LL * MIB, 40LL * MIB), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(ftruncate(a, 1LL * MIB), 0);
	assert_int_equal(ftruncate(b, 60LL * MIB), 0);
	assert_true(committed(sys) >= 61LL * MIB);
	assert_int_equal(
	    object_create(sys->mnt, sys_path(sys, "c"), 0644, WIRE_SET_SIZE, 8LL * MIB, -1),
	    -ENOSPC);
	assert_int_equal(size_of(sys_path(sys, "c")), -1);
	assert_int_equal(unlink(sys_path(sys, "b")), 0);
	assert_true(committed(sys) >= 61LL * MIB); /* unlinked, and still open */
	close(steal_fd(&b));
	WAIT_UNTIL(5, committed(sys) < 2LL * MIB);
}

static int fill_with_write(struct sys *sys, const char *name)
{
	static char block[MIB];
	AUTO_CLOSE int fd = create(sys, name);
	for (;;) {
		ssize_t n = write(fd, block, sizeof(block));
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
	}
}

static int touch_all(void *context)
{
	AUTO_CLOSE int fd = open(context, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	char *view = mmap(NULL, 40LL * MIB, RW, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	for (long at = 0; at < 40LL * MIB; at += 4096)
		view[at] = 1; /* would be SIGBUS */
	return 0;
}

static void committed_pages_can_be_touched(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "a", WIRE_SET_SIZE, 40LL * MIB, -1);

	/* Others take what they can get; what was promised to us must be left. */
	assert_int_equal(fill_with_write(sys, "writer"), -ENOSPC);
	int fd = create(sys, "allocator");
	for (off_t at = 0; fallocate(fd, 0, at, MIB) == 0; at += MIB)
		assert_true(at < 64LL * MIB);
	close(fd);
	sys_shell(sys, "for i in 1 2 3 4 5 6 7 8; do cat /dev/zero >%s/f$i; done", sys->mnt);
	assert_int_equal(sys_wait(sys, sys_fork(sys, touch_all, (void *)(uintptr_t)path)), 0);
	assert_true(committed(sys) <= 64LL * MIB);
	assert_int_equal(sys_shell(sys, "rm %s/*", sys->mnt), 0);
	WAIT_UNTIL(5, committed(sys) == 0);
}

static void df_tells_the_truth(void **state)
{
	struct sys *sys = *state;
	struct statvfs empty, used;
	sys_mount(sys, "size=64m");

	assert_int_equal(statvfs(sys->mnt, &empty), 0);
	assert_int_equal(empty.f_blocks * empty.f_frsize, 64LL * MIB);
	assert_int_equal(empty.f_bfree * empty.f_frsize, 64LL * MIB);
	assert_int_equal(empty.f_namemax, 255);
	object_make(sys, "a", WIRE_SET_SIZE, 16LL * MIB, -1);
	assert_int_equal(statvfs(sys->mnt, &used), 0);
	assert_int_equal(used.f_blocks, empty.f_blocks);
	assert_int_equal(used.f_bfree * used.f_frsize,
			 48LL * MIB); /* nothing touched, all promised */
	assert_int_equal(used.f_bavail, used.f_bfree);
	assert_true(used.f_ffree <= empty.f_ffree);
	assert_int_equal(sys_shell(sys, "df --output=used -B1M %s | tail -1", sys->mnt), 0);
	assert_int_equal(atoi(sys->output), 16);
}

static void sparse_is_charged_as_it_comes(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "s", WIRE_SET_SIZE | WIRE_SPARSE, 1ULL << 30, -1);

	assert_int_equal(size_of(path), 1 << 30);
	assert_true(text_xattr_is(path, "user.mapping.backing", "sparse"));
	assert_true(committed(sys) < MIB);
	char *view = view_of(path, O_RDWR, 1 << 30, RW, MAP_SHARED);
	for (long at = 0; at < 1 << 30; at += 256 << 20)
		view[at] = 'x';
	assert_int_equal(msync(view, 1 << 30, MS_SYNC), 0); /* cached: written back */
	long long some = committed(sys);
	assert_true(some >= 4 * 4096 && some <= 16LL * MIB);
	munmap(view, 1 << 30);
	assert_int_equal(unlink(path), 0);
	WAIT_UNTIL(5, committed(sys) == 0);
}

static void nothing_stays_committed(void **state)
{
	struct sys *sys = *state;
	char name[16];
	sys_mount(sys, "size=64m");

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		AUTO_CLOSE int fd = create(sys, name);
		assert_int_equal(ftruncate(fd, i * 1001), 0);
		if (i % 2)
			assert_int_equal(pwrite(fd, "x", 1, 100000), 1);
		if (i % 3 == 0)
			assert_int_equal(ftruncate(fd, 5), 0);
		if (i % 5 == 0)
			close(open(sys_path(sys, "%s", name), O_WRONLY | O_TRUNC));
		if (i % 7 == 0)
			assert_int_equal(rename(sys_path(sys, "%s", name), sys_path(sys, "n0")), 0);
	}
	assert_true(committed(sys) > 0);
	sys_kill_worker(sys);
	assert_true(committed(sys) > 0);
	assert_int_equal(sys_shell(sys, "rm %s/n*", sys->mnt), 0);
	WAIT_UNTIL(5, committed(sys) == 0);
	WAIT_UNTIL(5, sys_status_number(sys, "resident_bytes") < MIB);
}

static void survives_the_worker(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "a", WIRE_SET_SIZE, 40LL * MIB, -1);
	char *view = view_of(path, O_RDWR, 40LL * MIB, RW, MAP_SHARED);
	long long before = committed(sys);

	sys_kill_worker(sys);
	assert_int_equal(committed(sys), before);
	AUTO_CLOSE int fd = create(sys, "b");
	assert_int_equal(ftruncate(fd, 40LL * MIB), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(unlink(path), 0);
	sys_kill_worker(sys);
	assert_int_equal(committed(sys), before); /* unlinked and mapped */
	if (sys->mode == SYS_PASSTHROUGH)
		strike_worker(sys);
	munmap(view, 40LL * MIB);
	WAIT_UNTIL(5, committed(sys) == 0);
	assert_int_equal(ftruncate(fd, 60LL * MIB), 0);
}

static void limits_as_options(void **state)
{
	struct sys *sys = *state;
	static const struct {
		const char *option;
		long long bytes;
	} rows[] = {
	    {"size=8388608", 8LL * MIB}, {"size=16384k", 16LL * MIB}, {"size=1g", 1024LL * MIB}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		sys_mount(sys, rows[i].option);
		assert_int_equal(sys_status_number(sys, "limit_bytes"), rows[i].bytes);
		sys_unmount(sys);
	}
	sys_mount(sys, "size=25%");
	long long memory = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	long long limit = sys_status_number(sys, "limit_bytes");
	assert_true(limit > memory / 5 && limit < memory / 3);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(refused_when_the_size_is_set),
    SYS_TEST_BOTH_MODES(committed_pages_can_be_touched),
    SYS_TEST_BOTH_MODES(df_tells_the_truth),
    SYS_TEST_BOTH_MODES(sparse_is_charged_as_it_comes),
    SYS_TEST_BOTH_MODES(nothing_stays_committed),
    SYS_TEST_BOTH_MODES(survives_the_worker),
    SYS_TEST_PASSTHROUGH(limits_as_options),
};

int main(void)
{
	return sys_run_tests("commit", tests);
}
