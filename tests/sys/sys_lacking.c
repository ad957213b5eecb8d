/* What really runs out: the queue of events, descriptors, room on a disk. Whoever asks for more is
 * told so; what is there stays right, and everything goes on as soon as there is enough again. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/sys/disks.h"
#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"
#include "tests/sys/waitables.h"

enum { RW = PROT_READ | PROT_WRITE, SIZE = 1 << 20 };

static bool is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static int hold_view(void *context)
{
	AUTO_CLOSE int fd = open(context, O_RDWR | O_CLOEXEC);

	CHECK(mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0) != MAP_FAILED);
	close(steal_fd(&fd));
	pause();
	return 0;
}

/* A view without a handle. A second long the object is looked at by itself, since its handle was
 * closed; when this returns, only an event, or the lack of events, makes that happen. */
static pid_t start_lone_view(struct sys *sys, const char *path)
{
	pid_t pid = sys_fork(sys, hold_view, (void *)(uintptr_t)path);

	WAIT_UNTIL(10, number_xattr(path, "user.mapping.views") == 1 &&
			   number_xattr(path, "user.mapping.handles") == 0);
	for (uint64_t quiet = sys_deadline(2); !sys_past(quiet);)
		;
	assert_true(is_there(path));
	return pid;
}

/* --- events --- */

static long queue_length(void)
{
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	long length = 0;

	if (!file || fscanf(file, "%ld", &length) != 1)
		sys_say("no max_queued_events");
	if (file)
		fclose(file);
	return length;
}

/* Equal events one after the other are one: two files in turn. */
static void fill_queue(const char *const paths[2], long events)
{
	for (long i = 0; i < events; i++) {
		int fd = open(paths[i % 2], O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		close(fd);
	}
}

static void events_are_lost(void **state)
{
	struct sys *sys = *state;
	const char *files[2];
	int handles[2];
	long events = queue_length() + 100;

	sys_mount(sys, NULL);
	for (int i = 0; i < 2; i++) {
		AUTO_CLOSE int fd = make_plain_file(sys, i ? "a" : "b", SIZE, &files[i]);
		AUTO_FREE char *file = strdup(files[i]);
		const char *path = object_make(sys, i ? "f" : "g", WIRE_BIND, 0, fd);

		files[i] = strdup(file);
		handles[i] = open(path, O_RDONLY | O_CLOEXEC);
	}
	const char *path = object_make(sys, "t", WIRE_TEMPORARY | WIRE_SET_SIZE, SIZE, -1);
	pid_t pid = start_lone_view(sys, path);
	pid_t worker = sys_worker(sys);
	assert_true(worker > 0);
	assert_int_equal(kill(worker, SIGSTOP), 0);
	fill_queue(files, events);
	sys_kill(sys, pid); /* nobody is told of this one */
	assert_int_equal(kill(worker, SIGCONT), 0);
	WAIT_UNTIL(10, !is_there(path));
	WAIT_UNTIL(10, sys_status_number(sys, "event_overflows") >= 1);
	sys_say("%ld events, %lld overflows", events, sys_status_number(sys, "event_overflows"));
	for (int i = 0; i < 2; i++) {
		close(handles[i]);
		free((void *)(uintptr_t)files[i]);
	}
}

/* --- inotify instances --- */

enum { INSTANCES = 1000 };

/* In a child: all that its user can have, until it is killed. */
static int take_instances(void *context)
{
	volatile int *taken = context;
	int count = 0;

	while (count < INSTANCES && inotify_init1(IN_CLOEXEC) >= 0)
		count++;
	*taken = count == INSTANCES || errno != EMFILE ? -1 : count;
	pause();
	return 0;
}

/* The mount goes without one, and finds what ended all the same. */
static void no_instance(void **state)
{
	struct sys *sys = *state;
	volatile int *taken = mmap(NULL, sizeof *taken, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t greedy = sys_fork(sys, take_instances, (void *)(uintptr_t)taken);

	WAIT_UNTIL(10, *taken != 0);
	if (*taken < 0)
		sys_skip("more than %d instances can be had, or descriptors end before", INSTANCES);
	sys_mount(sys, NULL);
	for (int round = 0; round < 2; round++) {
		const char *path = object_make(sys, "t", WIRE_TEMPORARY | WIRE_SET_SIZE, SIZE, -1);
		pid_t pid = start_lone_view(sys, path);

		sys_kill(sys, pid);
		WAIT_UNTIL(20, !is_there(path));
		assert_true(sys_status_says(sys, "troubles", "inotify"));
		sys_kill_worker(sys);
	}
	object_check_service(sys);
	sys_kill(sys, greedy);
	munmap((void *)(uintptr_t)taken, sizeof *taken);
}

/* --- descriptors --- */

enum { LIMIT = 160, FILES = 400, HELD = 250, BOUND = 120 };

static void mount_with_few(struct sys *sys)
{
	const char *mode = sys->mode == SYS_PASSTHROUGH ? "passthrough" : "cached", *why;

	if (sys->mode == SYS_PASSTHROUGH && !sys_passthrough_possible(&why))
		sys_skip("passthrough cannot be had: %s", why);
	if (sys_shell(sys, "ulimit -n %d && exec mappingfs -o mode=%s %s", LIMIT, mode, sys->mnt))
		fail_msg("%s", sys->output);
	sys_learn_supervisor(sys, (pid_t)sys_status_number(sys, "supervisor_pid"));
}

static unsigned bind_many(struct sys *sys, int file)
{
	unsigned bound = 0;

	for (int i = 0; i < BOUND; i++) {
		char path[300];
		int rc;

		snprintf(path, sizeof path, "%s/bound%d", sys->mnt, i);
		rc = object_create(sys->mnt, path, 0644, WIRE_BIND, 0, file);
		if (rc != 0 && rc != -EMFILE && rc != -ENFILE)
			fail_msg("bound%d: %s", i, strerror(-rc));
		bound += rc == 0;
	}
	return bound;
}

static void few_descriptors(void **state)
{
	struct sys *sys = *state;
	int handles[HELD];
	unsigned bound;

	mount_with_few(sys);
	struct leaks before = leaks_count(sys);
	AUTO_CLOSE int file = make_plain_file(sys, "data", SIZE, NULL);
	for (int i = 0; i < FILES; i++) {
		int fd = open(sys_path(sys, "n%d", i), O_RDWR | O_CREAT | O_CLOEXEC, 0644);

		if (fd < 0)
			fail_msg("n%d: %s", i, strerror(errno));
		assert_int_equal(ftruncate(fd, 4096), 0);
		assert_int_equal(pwrite(fd, &i, sizeof i, 0), sizeof i);
		if (i < HELD)
			handles[i] = fd;
		else
			close(fd);
	}
	bound = bind_many(sys, file);
	assert_true(bound > 0 && bound < BOUND);
	object_check_service(sys);
	for (int i = 0; i < FILES; i++) {
		AUTO_CLOSE int fd = open(sys_path(sys, "n%d", i), O_RDONLY | O_CLOEXEC);
		int value = -1;

		assert_int_equal(pread(fd, &value, sizeof value, 0), sizeof value);
		assert_int_equal(value, i);
	}
	strike_worker(sys);
	object_check_service(sys);
	sys_say("%d objects, %d open, %u bound, with %d descriptors", FILES, HELD, bound, LIMIT);
	for (int i = 0; i < HELD; i++)
		close(handles[i]);
	assert_int_equal(sys_shell(sys, "cd %s && rm n* bound*", sys->mnt), 0);
	WAIT_UNTIL(10, sys_status_number(sys, "bound_files") == 0);
	assert_int_equal(sys_status_number(sys, "handles"), before.handles);
}

/* --- room --- */

static void fill_disk(struct sys *sys, const char *where)
{
	sys_shell(sys, "cat /dev/zero >%s/filler; sync -f %s", where, where);
}

static void check_full_store(struct sys *sys, const char *old)
{
	AUTO_CLOSE int fd = -1;
	char *view = view_of(old, O_RDWR, SIZE, RW, MAP_SHARED);
	char path[300];
	int rc;

	memset(view, 'f', SIZE); /* its room was taken with its size */
	munmap(view, SIZE);
	fd = open(old, O_RDWR | O_CLOEXEC);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(ftruncate(fd, 64 << 20), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(size_of(old), SIZE);
	snprintf(path, sizeof path, "%s/new", sys->mnt);
	rc = object_create(sys->mnt, path, 0644, WIRE_SET_SIZE, 8 * SIZE, -1);
	assert_int_equal(rc, -ENOSPC);
	assert_false(is_there(path));
	assert_int_equal(sys_shell(sys, "ls -A %s | grep -v '^old$\\|^.control$'", sys->mnt), 1);
}

static void full_store(struct sys *sys, const char *where)
{
	char options[160];

	snprintf(options, sizeof options, "store=%s/store", where);
	sys_mount(sys, options);
	AUTO_FREE char *old = strdup(object_make(sys, "old", WIRE_SET_SIZE, SIZE, -1));
	char *view = view_of(old, O_RDWR, SIZE, RW, MAP_SHARED);
	memset(view, 'e', SIZE);
	munmap(view, SIZE);
	fill_disk(sys, where);
	check_full_store(sys, old);
	strike_worker(sys);
	check_full_store(sys, old);
	assert_int_equal(sys_shell(sys, "rm %s/filler", where), 0);
	object_make(sys, "new", WIRE_SET_SIZE, SIZE, -1);
	sys_unmount(sys);
	assert_int_equal(sys_shell(sys, "grep -q fff %s/store/tree/old", where), 0);
}

static void full_bound(struct sys *sys, const char *where)
{
	char path[300], name[160];
	struct stat st;

	sys_mount(sys, NULL);
	snprintf(name, sizeof name, "%s/file", where);
	AUTO_CLOSE int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(posix_fallocate(fd, 0, SIZE), 0);
	fill_disk(sys, where);
	snprintf(path, sizeof path, "%s/f", sys->mnt);
	assert_int_equal(
	    object_create(sys->mnt, path, 0644, WIRE_BIND | WIRE_SET_SIZE, 64 << 20, fd), -ENOSPC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_false(is_there(path));
	const char *bound = object_make(sys, "f", WIRE_BIND, 0, fd);
	AUTO_CLOSE int handle = open(bound, O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(handle, 64 << 20), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(size_of(bound), SIZE);
	assert_int_equal(pwrite(handle, "f", 1, SIZE - 1), 1);
	assert_int_equal(fsync(handle), 0);
	assert_int_equal(sys_shell(sys, "rm %s/filler", where), 0);
	assert_int_equal(ftruncate(handle, 2 * SIZE), 0);
	close(steal_fd(&handle));
	sys_unmount(sys);
}

static void full_ext4(void **state)
{
	struct sys *sys = *state;
	char where[128];

	disk_make(sys, 80);
	snprintf(where, sizeof where, "%s/disk", sys->dir);
	full_store(sys, where);
	full_bound(sys, where);
	disk_remove(sys);
}

static void full_tmpfs(void **state)
{
	struct sys *sys = *state;
	char where[128];

	snprintf(where, sizeof where, "%s/ram", sys->dir);
	if (sys_shell(sys, "mkdir %s && mount -t tmpfs -o size=16m ram %s", where, where) != 0)
		sys_skip("no tmpfs: %s", sys->output);
	full_store(sys, where);
	full_bound(sys, where);
	assert_int_equal(sys_shell(sys, "umount %s", where), 0);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_PASSTHROUGH(events_are_lost), SYS_TEST_PASSTHROUGH(no_instance),
    SYS_TEST_BOTH_MODES(few_descriptors),  SYS_TEST_BOTH_MODES(full_ext4),
    SYS_TEST_BOTH_MODES(full_tmpfs),
};

int main(void)
{
	return sys_run_tests("lacking", tests);
}
