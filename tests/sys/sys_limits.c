/* A directory with a limit of its own: what lies in it cannot take more, whoever grows it and
 * however, and df(1) says how much is left. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "tests/sys/objects.h"

enum { RW = PROT_READ | PROT_WRITE, KIB = 1 << 10, MIB = 1 << 20 };

static int set_limit(const char *path, const char *value)
{
	return setxattr(path, "user.mapping.limit", value, strlen(value), 0) < 0 ? -errno : 0;
}

static void make_limited(struct sys *sys, const char *name, const char *value)
{
	assert_int_equal(mkdir(sys_path(sys, "%s", name), 0777), 0);
	assert_int_equal(set_limit(sys_path(sys, "%s", name), value), 0);
}

static long long charged(struct sys *sys, const char *name)
{
	return number_xattr(sys_path(sys, "%s", name), "user.mapping.commit");
}

static int create(struct sys *sys, const char *name)
{
	int fd = open(sys_path(sys, "%s", name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	if (fd < 0)
		fail_msg("cannot create %s: %s", name, strerror(errno));
	return fd;
}

static void sized(struct sys *sys, const char *name, long long size)
{
	int fd = create(sys, name);

	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void refused(int rc, int error)
{
	assert_int_equal(rc, -1);
	assert_int_equal(errno, error);
}

/* --- df --- */

static void df_is(struct sys *sys, const char *name, long long size, long long used,
		  long long available)
{
	const char *path = sys_path(sys, "%s", name);
	struct statvfs st;
	long long row[3];

	assert_int_equal(statvfs(path, &st), 0);
	assert_int_equal(st.f_blocks * st.f_frsize, size * KIB);
	assert_int_equal((st.f_blocks - st.f_bfree) * st.f_frsize, used * KIB);
	assert_int_equal(st.f_bavail * st.f_frsize, available * KIB);
	assert_int_equal(sys_shell(sys, "df -k --output=size,used,avail %s | tail -1", path), 0);
	assert_int_equal(sscanf(sys->output, "%lld %lld %lld", &row[0], &row[1], &row[2]), 3);
	if (row[0] != size || row[1] != used || row[2] != available)
		fail_msg("df %s: %s", path, sys->output);
}

static void df_tells_the_truth_of_each(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=16m");
	make_limited(sys, "a", "4m");
	make_limited(sys, "a/b", "3m");
	assert_int_equal(mkdir(sys_path(sys, "a/b/plain"), 0755), 0);
	make_limited(sys, "a/b/plain/c", "1024k");
	make_limited(sys, "other", "64m");
	df_is(sys, ".", 16384, 0, 16384);
	df_is(sys, "a/b/plain/c", 1024, 0, 1024);
	df_is(sys, "other", 16384, 0, 16384);
	sized(sys, "a/x", 2 * MIB);
	df_is(sys, "a", 4096, 2048, 2048);
	df_is(sys, "a/b", 3072, 0, 2048);
	df_is(sys, "a/b/plain/c", 1024, 0, 1024);
	sized(sys, "a/b/plain/y", MIB + MIB / 2);
	df_is(sys, "a/b/plain", 3072, 1536, 512);
	df_is(sys, "a/b/plain/c", 1024, 0, 512);
	sized(sys, "a/b/plain/c/z", 500 * KIB + 1);
	df_is(sys, "a/b/plain/c", 1024, 504, 8);
	df_is(sys, "a/b/plain/c/z", 1024, 504, 8);
	df_is(sys, "a", 4096, 2048 + 1536 + 504, 8);
	sys_kill_worker(sys);
	df_is(sys, "a/b", 3072, 1536 + 504, 8);
	df_is(sys, "a/b/plain/c", 1024, 504, 8);
	sized(sys, "big", 10 * MIB);
	df_is(sys, "other", 16384, 0, 16384 - 10240 - 2048 - 1536 - 504);
	assert_int_equal(unlink(sys_path(sys, "a/x")), 0);
	WAIT_UNTIL(5, charged(sys, "a") == (1536 + 504) * KIB);
	df_is(sys, "a/b/plain/c", 1024, 504, 520);
	assert_int_equal(sys_shell(sys, "rm -r %s/a", sys->mnt), 0);
	WAIT_UNTIL(5, sys_status_number(sys, "committed_bytes") == 10 * MIB);
}

/* --- growing --- */

static void every_growth_is_stopped(void **state)
{
	struct sys *sys = *state;
	struct stat st;

	sys_mount(sys, "size=64m");
	make_limited(sys, "d", "5m");
	AUTO_CLOSE int a = create(sys, "d/a");
	AUTO_CLOSE int b = create(sys, "d/b");
	assert_int_equal(ftruncate(a, 5LL * MIB), 0);
	refused(ftruncate(a, 5LL * MIB + 1), ENOSPC);
	refused(ftruncate(b, 1), ENOSPC);
	refused(fallocate(b, 0, 0, 1), ENOSPC);
	refused((int)write(b, "x", 1), ENOSPC);
	assert_int_equal(fstat(b, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(ftruncate(a, 3LL * MIB), 0);
	assert_int_equal(fallocate(b, 0, MIB, MIB), 0);
	refused(fallocate(a, 0, 3LL * MIB, 1), ENOSPC);
	assert_int_equal(charged(sys, "d"), 5 * MIB);
	assert_int_equal(
	    object_create(sys->mnt, sys_path(sys, "d/c"), 0644, WIRE_SET_SIZE, 4096, -1), -ENOSPC);
	assert_int_equal(object_create(sys->mnt, sys_path(sys, "d/s"), 0644,
				       WIRE_SET_SIZE | WIRE_SPARSE, 4096, -1),
			 -ENOSPC);
	assert_int_equal(size_of(sys_path(sys, "d/c")), -1);
	assert_int_equal(unlink(sys_path(sys, "d/b")), 0);
	assert_int_equal(charged(sys, "d"), 5 * MIB); /* open yet */
	close(steal_fd(&b));
	WAIT_UNTIL(5, charged(sys, "d") == 3 * MIB);
	object_make(sys, "d/s", WIRE_SET_SIZE | WIRE_SPARSE, 2 * MIB, -1);
	refused(ftruncate(a, 3LL * MIB + 1), ENOSPC);
	assert_int_equal(sys_status_number(sys, "committed_bytes"), 3 * MIB);
}

static void write_all(int fd, size_t step, long long *sum)
{
	static char block[300 * KIB];
	ssize_t n;

	memset(block, 'b', sizeof block);
	for (*sum = 0; (n = write(fd, block, step)) > 0; *sum += n)
		assert_true(*sum < 16 * MIB);
	refused((int)n, ENOSPC);
}

static void plain_writes_stop_at_the_limit(void **state)
{
	struct sys *sys = *state;
	long long sum;
	char byte;

	sys_mount(sys, "size=64m");
	make_limited(sys, "d", "1m");
	for (int append = 0; append < 2; append++) {
		AUTO_CLOSE int fd =
		    open(sys_path(sys, "d/f"),
			 O_RDWR | O_CREAT | O_CLOEXEC | (append ? O_APPEND : 0), 0666);
		write_all(fd, append ? 10007 : 300 * KIB, &sum);
		assert_int_equal(sum, MIB);
		assert_int_equal(size_of(sys_path(sys, "d/f")), MIB);
		assert_int_equal(pread(fd, &byte, 1, MIB - 1), 1);
		assert_int_equal(byte, 'b');
		sys_kill_worker(sys);
		if (!append)
			assert_int_equal(pwrite(fd, "in", 2, MIB - 2), 2); /* what is there stays */
		refused((int)pwrite(fd, "x", 1, MIB), ENOSPC);
		assert_int_equal(unlink(sys_path(sys, "d/f")), 0);
		close(steal_fd(&fd));
		WAIT_UNTIL(5, charged(sys, "d") == 0);
	}
	assert_int_equal(sys_shell(sys, "cat /dev/zero >%s/d/cat", sys->mnt), 1);
	assert_non_null(strstr(sys->output, "No space left"));
	assert_int_equal(size_of(sys_path(sys, "d/cat")), MIB);
	assert_int_equal(sys_shell(sys,
				   "cp /dev/null %s/d/cat && head -c 600k /dev/zero >%s/x && "
				   "cp %s/x %s/d/y",
				   sys->mnt, sys->mnt, sys->mnt, sys->mnt),
			 0);
	assert_int_equal(sys_shell(sys, "cp %s/x %s/d/z", sys->mnt, sys->mnt), 1);
	assert_int_equal(sys_status_number(sys, "committed_bytes"), 600 * KIB + MIB);
}

/* What a view sees and what a handle in the tree writes and reads is the same. */
static void views_and_handles_agree(void **state)
{
	struct sys *sys = *state;
	char text[8] = "";

	sys_mount(sys, "size=64m");
	make_limited(sys, "d", "1m");
	AUTO_CLOSE int fd = create(sys, "d/f");
	assert_int_equal(write(fd, "first", 5), 5);
	assert_int_equal(ftruncate(fd, MIB), 0);
	char *view = mmap(NULL, MIB, RW, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(view, MAP_FAILED);
	assert_memory_equal(view, "first", 6);
	memcpy(view, "stored", 6);
	assert_int_equal(msync(view, MIB, MS_SYNC), 0);
	assert_int_equal(pread(fd, text, 6, 0), 6);
	assert_string_equal(text, "stored");
	assert_int_equal(pwrite(fd, "handed", 6, MIB - 6), 6);
	assert_memory_equal(view + MIB - 6, "handed", 6);
	munmap(view, MIB);
}

static int touch_all(void *context)
{
	AUTO_CLOSE int fd = open(context, O_RDWR | O_CLOEXEC);
	struct stat st;

	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	char *view = mmap(NULL, (size_t)st.st_size, RW, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	for (long at = 0; at < st.st_size; at += 4096)
		view[at] = 1; /* would be SIGBUS */
	return msync(view, (size_t)st.st_size, MS_SYNC) != 0;
}

static void what_is_charged_can_be_touched(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=32m");
	make_limited(sys, "d", "8m");
	make_limited(sys, "d/inner", "6m");
	sized(sys, "d/inner/a", 5LL * MIB + 1);
	sized(sys, "d/b", 2LL * MIB);
	/* Everybody takes what there is, in the tree and outside. */
	sys_shell(sys,
		  "for d in d/inner d .; do for i in 1 2 3; do cat /dev/zero >%s/$d/f$i; done; "
		  "done",
		  sys->mnt);
	assert_int_equal(charged(sys, "d"), 8 * MIB);
	assert_int_equal(charged(sys, "d/inner"), 6 * MIB);
	assert_int_equal(
	    sys_wait(sys, sys_fork(sys, touch_all, (void *)(uintptr_t)sys_path(sys, "d/inner/a"))),
	    0);
	assert_int_equal(
	    sys_wait(sys, sys_fork(sys, touch_all, (void *)(uintptr_t)sys_path(sys, "d/b"))), 0);
}

/* --- many at once --- */

struct grower {
	struct sys *sys;
	int number;
};

/* Sizes that take long, by two ways; what it leaves is random. */
static int grow_and_shrink(void *context)
{
	const struct grower *g = context;
	unsigned random = (unsigned)g->number;
	AUTO_CLOSE int fd =
	    open(sys_path(g->sys, "d/%d/f", g->number), O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	CHECK(fd >= 0);
	for (int i = 0; i < 60; i++) {
		off_t size = rand_r(&random) % (40 * MIB);
		int rc = i % 3 ? ftruncate(fd, size) : fallocate(fd, 0, 0, size + 1);
		struct statvfs st;

		CHECK(rc == 0 || errno == ENOSPC);
		CHECK(statvfs(sys_path(g->sys, "d"), &st) == 0);
		CHECK(st.f_bfree <= st.f_blocks);
	}
	return 0;
}

static long long sizes_in(struct sys *sys)
{
	assert_int_equal(sys_shell(sys,
				   "find %s/d -type f -printf '%%s\\n' | "
				   "awk '{s += int(($1 + 4095) / 4096) * 4096} END {print s + 0}'",
				   sys->mnt),
			 0);
	return atoll(sys->output);
}

/* Neither two growths under way at once nor workers killed in the middle get past it. */
static void many_grow_while_workers_die(void **state)
{
	struct sys *sys = *state;
	struct grower growers[4];
	pid_t pids[4];

	sys_time_limit(sys, 120);
	sys_mount(sys, "size=512m");
	make_limited(sys, "d", "64m");
	for (int i = 0; i < 4; i++) {
		char name[8];

		snprintf(name, sizeof name, "d/%d", i);
		make_limited(sys, name, i % 2 ? "30m" : "100m");
		growers[i] = (struct grower){sys, i};
	}
	sys_start_killer(sys, 5, 60);
	for (int i = 0; i < 4; i++)
		pids[i] = sys_fork(sys, grow_and_shrink, &growers[i]);
	for (int i = 0; i < 200; i++)
		assert_true(charged(sys, "d") <= 64 * MIB);
	for (int i = 0; i < 4; i++)
		assert_int_equal(sys_wait(sys, pids[i]), 0);
	assert_true(sys_stop_killer(sys) > 0);
	assert_int_equal(charged(sys, "d"), sizes_in(sys));
	assert_true(sizes_in(sys) <= 64 * MIB);
	assert_int_equal(sys_shell(sys, "rm %s/d/*/f", sys->mnt), 0);
	WAIT_UNTIL(5, charged(sys, "d") == 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(charged(sys, i % 2 ? "d/1" : "d/2"), 0);
}

/* --- limits of trees in use --- */

static void root_limits_what_is_in_use(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=64m");
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	assert_int_equal(mkdir(sys_path(sys, "d/sub"), 0755), 0);
	sized(sys, "d/a", 3 * MIB);
	sized(sys, "d/sub/b", 2 * MIB);
	AUTO_CLOSE int old = open(sys_path(sys, "d/sub/b"), O_RDWR | O_CLOEXEC);
	assert_int_equal(set_limit(sys_path(sys, "d"), "4m"), 0);
	df_is(sys, "d", 4096, 4096, 0);
	assert_int_equal(charged(sys, "d"), 5 * MIB);
	assert_int_equal(truncate(sys_path(sys, "d/a"), 3 * MIB + 1), -1);
	refused(ftruncate(old, 2 * MIB + 1), ENOSPC);
	assert_int_equal(truncate(sys_path(sys, "d/a"), MIB), 0);
	df_is(sys, "d", 4096, 3072, 1024);
	/* This handle is older than the limit and asks nobody in the passthrough mode; what it has
	 * taken is charged when it is seen. */
	assert_int_equal(pwrite(old, "x", 1, 2 * MIB + 5), 1);
	assert_int_equal(size_of(sys_path(sys, "d/sub/b")), 2 * MIB + 6);
	WAIT_UNTIL(5, size_of(sys_path(sys, "d/sub/b")) > 0 && charged(sys, "d") == 3 * MIB + 4096);
	assert_int_equal(removexattr(sys_path(sys, "d"), "user.mapping.limit"), 0);
	assert_int_equal(truncate(sys_path(sys, "d/a"), 30 * MIB), 0);
	df_is(sys, "d", 65536, 30 * 1024 + 2048 + 4, 65536 - 30 * 1024 - 2048 - 4);
}

static void trees_are_not_left_by_renaming(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=64m");
	make_limited(sys, "d", "4m");
	make_limited(sys, "e", "1m");
	sized(sys, "d/big", 2 * MIB);
	sized(sys, "d/small", MIB / 2);
	refused(rename(sys_path(sys, "d/small"), sys_path(sys, "e/small")), EXDEV);
	refused(link(sys_path(sys, "d/small"), sys_path(sys, "small")), EXDEV);
	assert_int_equal(sys_shell(sys, "mv %s/d/small %s/e/", sys->mnt, sys->mnt), 0);
	assert_int_equal(sys_shell(sys, "mv %s/d/big %s/e/", sys->mnt, sys->mnt), 1);
	assert_non_null(strstr(sys->output, "No space left"));
	assert_int_equal(size_of(sys_path(sys, "d/big")), 2 * MIB);
	WAIT_UNTIL(5, charged(sys, "d") == 2 * MIB);
	assert_int_equal(sys_shell(sys,
				   "mv %s/d/big %s/d/moved && mkdir %s/d/s && mv %s/d/moved "
				   "%s/d/s/",
				   sys->mnt, sys->mnt, sys->mnt, sys->mnt, sys->mnt),
			 0);
	assert_int_equal(charged(sys, "d"), 2 * MIB);
}

/* Pages come in pieces of 2 MiB where the kernel can; sizes are charged as they are. */
static void huge_pages_change_nothing(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=64m");
	make_limited(sys, "d", "9m");
	sized(sys, "d/a", 4 * MIB + 5000);
	assert_int_equal(
	    sys_wait(sys, sys_fork(sys, touch_all, (void *)(uintptr_t)sys_path(sys, "d/a"))), 0);
	assert_int_equal(charged(sys, "d"), 4 * MIB + 8192);
	sized(sys, "d/b", 4 * MIB + 5000);
	assert_int_equal(charged(sys, "d"), 8 * MIB + 16384);
	df_is(sys, "d", 9216, 8192 + 16, 1024 - 16);
}

/* --- who may --- */

struct person {
	struct sys *sys;
	uid_t uid;
	gid_t gid;
};

static int as_owner(void *context)
{
	const struct person *p = context;
	const char *own = sys_path(p->sys, "own"), *file = sys_path(p->sys, "own/file");

	CHECK(setresgid(p->gid, p->gid, p->gid) == 0 && setresuid(p->uid, p->uid, p->uid) == 0);
	CHECK(mkdir(own, 0755) == 0);
	CHECK(set_limit(own, "1m") == 0);
	CHECK(set_limit(own, "64k") == 0);
	CHECK(mkdir(file, 0755) == 0);
	CHECK(set_limit(own, "2m") == -ENOTEMPTY);
	CHECK(removexattr(own, "user.mapping.limit") < 0 && errno == ENOTEMPTY);
	CHECK(rmdir(file) == 0);
	CHECK(close(open(file, O_WRONLY | O_CREAT, 0644)) == 0);
	CHECK(truncate(file, 64 * KIB + 1) < 0 && errno == ENOSPC);
	CHECK(truncate(file, 64 * KIB) == 0);
	CHECK(unlink(file) == 0);
	CHECK(removexattr(own, "user.mapping.limit") == 0);
	CHECK(set_limit(sys_path(p->sys, "roots"), "1m") == -EPERM);
	CHECK(set_limit(sys_path(p->sys, "given"), "9m") == -EPERM);
	CHECK(removexattr(sys_path(p->sys, "given"), "user.mapping.limit") < 0 && errno == EPERM);
	CHECK(set_limit(own, "1x") == -EINVAL);
	return 0;
}

static void owners_while_it_is_empty(void **state)
{
	struct sys *sys = *state;
	struct person person = {.sys = sys};

	if (geteuid() != 0)
		sys_skip("only root can become another user");
	sys_mount(sys, "size=64m,allow_other");
	sys_ordinary_user(&person.uid, &person.gid);
	assert_int_equal(mkdir(sys_path(sys, "roots"), 0777), 0);
	assert_int_equal(chmod(sys_path(sys, "roots"), 0777), 0);
	make_limited(sys, "given", "1m"); /* by root, to somebody who shall not have more */
	assert_int_equal(chown(sys_path(sys, "given"), person.uid, person.gid), 0);
	assert_int_equal(sys_wait(sys, sys_fork(sys, as_owner, &person)), 0);
}

/* --- containers and tools --- */

#define BWRAP                                                                                      \
	"bwrap --unshare-all --die-with-parent --ro-bind /usr /usr --symlink usr/bin /bin "        \
	"--symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp "

static void a_container_sees_its_limit(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=64m");
	make_limited(sys, "given", "2m");
	sized(sys, "given/host", 512 * KIB);
	assert_int_equal(sys_shell(sys,
				   BWRAP "--bind %s/given /shm sh -c 'df -k "
					 "--output=size,used,avail /shm | tail -1; "
					 "cat /dev/zero 2>/dev/null >/shm/all; wc -c </shm/all; "
					 "df -k --output=avail /shm | tail -1; "
					 "truncate -s 0 /shm/all; truncate -s 1M /shm/all && "
					 "! truncate -s 3M /shm/all 2>/dev/null && echo stopped'",
				   sys->mnt),
			 0);
	assert_non_null(strstr(sys->output, "2048"));
	assert_non_null(strstr(sys->output, " 1536\n1572864\n"));
	assert_non_null(strstr(sys->output, "stopped"));
	assert_int_equal(charged(sys, "given"), MIB + 512 * KIB);
}

/* Who is called root in a container, or may not administer the machine, is not the one who may. */
static void a_containers_root_does_not_lift_it(void **state)
{
	static const char attempt[] = "cd %s; test $(id -u) = 0; "
				      "! setfattr -x user.mapping.limit . 2>/dev/null; "
				      "! setfattr -n user.mapping.limit -v 1g . 2>/dev/null; "
				      "mkdir sub; setfattr -n user.mapping.limit -v 64k sub; "
				      "setfattr -x user.mapping.limit sub; rmdir sub; echo tried";
	struct sys *sys = *state;
	char script[512];

	if (geteuid() != 0)
		sys_skip("not root");
	sys_mount(sys, "size=64m");
	make_limited(sys, "given", "2m");
	snprintf(script, sizeof script, attempt, "/shm");
	assert_int_equal(sys_shell(sys, BWRAP "--bind %s/given /shm sh -ec '%s'", sys->mnt, script),
			 0);
	assert_non_null(strstr(sys->output, "tried"));
	snprintf(script, sizeof script, attempt, sys_path(sys, "given"));
	assert_int_equal(sys_shell(sys, "setpriv --bounding-set -sys_admin sh -ec '%s'", script),
			 0);
	assert_non_null(strstr(sys->output, "tried"));
	assert_int_equal(number_xattr(sys_path(sys, "given"), "user.mapping.limit"), 2 * MIB);
	assert_int_equal(set_limit(sys_path(sys, "given"), "3m"), 0);
}

static void mapctl_says_why(void **state)
{
	const char *bin = getenv("MAPPINGFS_BIN");
	struct sys *sys = *state;

	bin = bin ? bin : TEST_BIN_DIR;
	sys_mount(sys, "size=64m");
	make_limited(sys, "d", "2m");
	assert_int_equal(
	    sys_shell(sys, "%s/mapctl --mount %s create d/big --size 3M", bin, sys->mnt), 1);
	assert_non_null(strstr(sys->output, "No space left on device"));
	assert_non_null(strstr(sys->output, "the limit of the directory"));
	assert_int_equal(size_of(sys_path(sys, "d/big")), -1);
	assert_int_equal(charged(sys, "d"), 0);
	assert_int_equal(
	    sys_shell(sys, "%s/mapctl --mount %s create d/fits --size 2M", bin, sys->mnt), 0);
	assert_int_equal(charged(sys, "d"), 2 * MIB);
	assert_int_equal(
	    sys_shell(sys, "%s/mapctl --mount %s create d/e --type event", bin, sys->mnt), 0);
	assert_int_equal(
	    sys_shell(sys, "rm %s/d/fits && cat /dev/null >%s/d/e", sys->mnt, sys->mnt), 0);
	WAIT_UNTIL(5, charged(sys, "d") == 0);
	assert_int_equal(sys_status_number(sys, "committed_bytes"), 0);
}

/* --- stores --- */

static void a_store_keeps_its_limits(void **state)
{
	struct sys *sys = *state;
	char options[300];
	struct statfs fs;

	assert_int_equal(statfs(sys->dir, &fs), 0);
	if (fs.f_type == 0x01021994)
		sys_skip("%s is memory: no place for a store", sys->dir);
	snprintf(options, sizeof options, "store=%s/store", sys->dir);
	assert_int_equal(sys_shell(sys, "mkdir %s/store", sys->dir), 0);
	sys_mount(sys, options);
	make_limited(sys, "d", "4m");
	make_limited(sys, "d/inner", "2m");
	sized(sys, "d/a", MIB);
	sized(sys, "d/inner/b", MIB);
	object_make(sys, "d/gone", WIRE_SET_SIZE | WIRE_TEMPORARY, MIB, -1);
	sys_kill_worker(sys);
	assert_int_equal(charged(sys, "d"), 3 * MIB);
	sys_unmount(sys);
	sys_mount(sys, options);
	assert_int_equal(number_xattr(sys_path(sys, "d"), "user.mapping.limit"), 4 * MIB);
	df_is(sys, "d", 4096, 2048, 2048);
	df_is(sys, "d/inner", 2048, 1024, 1024);
	refused(truncate(sys_path(sys, "d/inner/b"), 2 * MIB + 1), ENOSPC);
	assert_int_equal(truncate(sys_path(sys, "d/inner/b"), 2 * MIB), 0);
	refused(truncate(sys_path(sys, "d/a"), 3 * MIB), ENOSPC);
	assert_int_equal(removexattr(sys_path(sys, "d/inner"), "user.mapping.limit"), 0);
	sys_unmount(sys);
	sys_mount(sys, options);
	assert_int_equal(number_xattr(sys_path(sys, "d/inner"), "user.mapping.limit"), -1);
	df_is(sys, "d/inner", 4096, 3072, 1024);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(df_tells_the_truth_of_each),
    SYS_TEST_BOTH_MODES(every_growth_is_stopped),
    SYS_TEST_BOTH_MODES(plain_writes_stop_at_the_limit),
    SYS_TEST_BOTH_MODES(views_and_handles_agree),
    SYS_TEST_BOTH_MODES(what_is_charged_can_be_touched),
    SYS_TEST_BOTH_MODES(many_grow_while_workers_die),
    SYS_TEST_PASSTHROUGH(root_limits_what_is_in_use),
    SYS_TEST_BOTH_MODES(trees_are_not_left_by_renaming),
    SYS_TEST_BOTH_MODES(huge_pages_change_nothing),
    SYS_TEST_BOTH_MODES(owners_while_it_is_empty),
    SYS_TEST_BOTH_MODES(a_container_sees_its_limit),
    SYS_TEST_BOTH_MODES(a_containers_root_does_not_lift_it),
    SYS_TEST_BOTH_MODES(mapctl_says_why),
    SYS_TEST_BOTH_MODES(a_store_keeps_its_limits),
};

int main(void)
{
	return sys_run_tests("limits", tests);
}
