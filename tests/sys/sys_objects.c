/* Memory-backed and file-backed objects: sizes, rights, same pages, shrinking, private and
 * executable views. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/sys/objects.h"

enum { RW = PROT_READ | PROT_WRITE };

static void memory_is_zero_and_sized(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "m", WIRE_SET_SIZE, 10000, -1);

	assert_int_equal(size_of(path), 10000);
	unsigned char *view = view_of(path, O_RDWR, 12288, RW, MAP_SHARED);
	for (int i = 0; i < 12288; i++)
		assert_int_equal(view[i], 0);
	assert_true(text_xattr_is(path, "user.mapping.type", "mapping"));
	assert_true(text_xattr_is(path, "user.mapping.backing", "memory"));
	assert_true(text_xattr_is(path, "user.mapping.lifetime", "permanent"));
	assert_true(number_xattr(path, "user.mapping.commit") >= 10000);
	assert_int_equal(number_xattr(path, "user.mapping.views"), 1);
	assert_int_equal(munmap(view, 12288), 0);
	assert_int_equal(number_xattr(path, "user.mapping.views"), 0);
}

static void names_in_use(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = object_make(sys, "m", WIRE_SET_SIZE, 4096, -1);

	assert_int_equal(object_create(sys->mnt, path, 0600, WIRE_SET_SIZE, 8192, -1), -EEXIST);
	assert_int_equal(size_of(path), 4096);
	assert_int_equal(sys_shell(sys, "ls -A %s | grep -v '^\\.control$' | wc -l", sys->mnt), 0);
	assert_string_equal(sys->output, "1\n"); /* no hidden name is left */
}

/* Counts up at two places of the view until both sides have counted to 1000. */
static int play_ping_pong(void *context)
{
	volatile unsigned *cell = context;
	for (unsigned i = 0; i < 1000; i++) {
		while (__atomic_load_n(&cell[0], __ATOMIC_SEQ_CST) != 2 * i + 1)
			;
		__atomic_store_n(&cell[0], 2 * i + 2, __ATOMIC_SEQ_CST);
	}
	return 0;
}

static void views_are_the_same_pages(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = object_make(sys, "m", WIRE_SET_SIZE, 8192, -1);
	unsigned *mine = view_of(path, O_RDWR, 8192, RW, MAP_SHARED);
	unsigned *other = view_of(path, O_RDWR, 8192, RW, MAP_SHARED);

	assert_ptr_not_equal(mine, other);
	pid_t pid = sys_fork(sys, play_ping_pong, other);
	for (unsigned i = 0; i < 1000; i++) {
		__atomic_store_n(&mine[0], 2 * i + 1, __ATOMIC_SEQ_CST);
		assert_true(
		    BECOMES_TRUE(20, __atomic_load_n(&mine[0], __ATOMIC_SEQ_CST) == 2 * i + 2));
	}
	assert_int_equal(sys_wait(sys, pid), 0);
	munmap(mine, 8192);
	munmap(other, 8192);
}

static void file_pages_are_the_files(void **state)
{
	struct sys *sys = *state;
	const char *file;
	char text[16] = "";
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", 20000, &file);
	const char *path = object_make(sys, "f", WIRE_BIND, 0, fd);

	assert_int_equal(size_of(path), 20000);
	AUTO_FREE char *backing = sys_xattr(path, "user.mapping.backing");
	assert_non_null(backing);
	assert_non_null(strstr(backing, file));
	char *object = view_of(path, O_RDWR, 20000, RW, MAP_SHARED);
	assert_true(has_pattern(object, 0, 20000));
	if (sys->mode == SYS_PASSTHROUGH) {
		char *direct = view_of(file, O_RDWR, 20000, RW, MAP_SHARED);
		strcpy(object + 5000, "by the object");
		assert_string_equal(direct + 5000, "by the object");
		strcpy(direct + 9000, "by the file");
		assert_string_equal(object + 9000, "by the file");
		munmap(direct, 20000);
	}
	strcpy(object + 100, "stored");
	assert_int_equal(msync(object, 20000, MS_SYNC), 0);
	assert_int_equal(pread(fd, text, 6, 100), 6);
	assert_string_equal(text, "stored");
	memset(object + 20000, 'x', 480); /* beyond the end, inside the last page */
	munmap(object, 20000);
	assert_int_equal(size_of(file), 20000);
	assert_int_equal(size_of(path), 20000);
}

static void two_objects_of_one_file(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", 8192, NULL);
	const char *first = object_make(sys, "a", WIRE_BIND, 0, fd);
	const char *second = object_make(sys, "b", WIRE_BIND, 0, fd);
	char *a = view_of(first, O_RDWR, 8192, RW, MAP_SHARED);
	char *b = view_of(second, O_RDWR, 8192, RW, MAP_SHARED);

	strcpy(a + 10, "from a");
	assert_string_equal(b + 10, "from a");
	strcpy(b + 5000, "from b");
	assert_string_equal(a + 5000, "from b");
	munmap(a, 8192);
	munmap(b, 8192);
}

static void larger_grows_the_file(void **state)
{
	struct sys *sys = *state;
	const char *file;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", 1000, &file);
	const char *path = object_make(sys, "f", WIRE_BIND | WIRE_SET_SIZE, 50000, fd);

	assert_int_equal(size_of(file), 50000);
	assert_int_equal(size_of(path), 50000);
	AUTO_CLOSE int empty = make_plain_file(sys, "empty", 0, &file);
	object_make(sys, "e", WIRE_BIND | WIRE_SET_SIZE, 4096, empty);
	assert_int_equal(size_of(file), 4096);
	AUTO_CLOSE int reader = open(file, O_RDONLY | O_CLOEXEC);
	path = sys_path(sys, "r");
	assert_int_equal(
	    object_create(sys->mnt, path, 0644, WIRE_BIND | WIRE_SET_SIZE, 8192, reader), -EACCES);
	assert_int_equal(size_of(file), 4096);
	assert_int_equal(size_of(path), -1);
}

static void smaller_maps_the_beginning(void **state)
{
	struct sys *sys = *state;
	const char *file;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", 50000, &file);
	const char *path = object_make(sys, "f", WIRE_BIND | WIRE_SET_SIZE, 10000, fd);

	assert_int_equal(size_of(path), 10000);
	assert_int_equal(size_of(file), 50000);
	char *view = view_of(path, O_RDWR, 10000, RW, MAP_SHARED);
	assert_true(has_pattern(view, 0, 10000));
	assert_int_equal(ftruncate(fd, 60000), 0);
	assert_int_equal(size_of(path), 10000); /* the object's does not follow the file's */
	munmap(view, 10000);
	assert_int_equal(size_of(path), 10000);
	assert_int_equal(size_of(file), 60000);
}

static void check_read_only(struct sys *sys, const char *path, const char *file)
{
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(open(path, O_RDWR), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(open(path, O_WRONLY), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(open(path, O_RDONLY | O_TRUNC), -1);
	assert_int_equal(truncate(path, 100), -1);
	assert_int_equal(truncate(path, 100000), -1);
	assert_int_equal(size_of(file), 8192);
	assert_int_equal(size_of(path), 8192);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ptr_equal(mmap(NULL, 4096, RW, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(errno, EACCES);
	char *private = mmap(NULL, 8192, RW, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(private, MAP_FAILED);
	assert_true(has_pattern(private, 0, 8192));
	strcpy(private, "only mine");
	char *shared = view_of(path, O_RDONLY, 8192, PROT_READ, MAP_SHARED);
	assert_true(has_pattern(shared, 0, 8192));
	assert_int_equal(mprotect(shared, 4096, RW), -1);
	munmap(private, 8192);
	munmap(shared, 8192);
	(void)sys;
}

static void read_only_for_root_too(void **state)
{
	struct sys *sys = *state;
	const char *file;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", 8192, &file);
	AUTO_CLOSE int reader = open(file, O_RDONLY | O_CLOEXEC);

	check_read_only(sys, object_make(sys, "r", WIRE_BIND, 0, reader), file);
	check_read_only(sys, object_make(sys, "asked", WIRE_BIND | WIRE_READ_ONLY, 0, fd), file);
	AUTO_FREE char *backing = sys_xattr(sys_path(sys, "r"), "user.mapping.backing");
	assert_int_equal(strncmp(backing, "file-ro:", 8), 0);
	sys_kill_worker(sys);
	check_read_only(sys, sys_path(sys, "r"), file);
	check_read_only(sys, sys_path(sys, "asked"), file);
}

static void wrong_files_are_refused(void **state)
{
	struct sys *sys = *state;
	const char *file, *path = NULL;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", 8192, &file);
	AUTO_CLOSE int empty = make_plain_file(sys, "empty", 0, NULL);
	AUTO_CLOSE int writer = open(file, O_WRONLY | O_CLOEXEC);
	AUTO_CLOSE int path_only = open(file, O_PATH | O_CLOEXEC);
	AUTO_CLOSE int directory = open(sys->dir, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int device = open("/dev/zero", O_RDWR | O_CLOEXEC);

	path = sys_path(sys, "x");
	assert_int_equal(object_create(sys->mnt, path, 0644, WIRE_BIND, 0, writer), -EACCES);
	assert_true(object_create(sys->mnt, path, 0644, WIRE_BIND, 0, path_only) < 0);
	assert_int_equal(object_create(sys->mnt, path, 0644, WIRE_BIND, 0, empty), -EINVAL);
	assert_int_equal(object_create(sys->mnt, path, 0644, WIRE_BIND, 0, directory), -EINVAL);
	assert_int_equal(object_create(sys->mnt, path, 0644, WIRE_BIND, 0, device), -EINVAL);
	assert_true(object_create(sys->mnt, path, 0644, WIRE_BIND | WIRE_SPARSE, 0, fd) < 0);
	assert_int_equal(size_of(path), -1);
	assert_int_equal(sys_status_number(sys, "bound_files"), 0);
}

static int map_and_wait(void *context)
{
	const char *path = context;
	AUTO_CLOSE int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	volatile char *view = mmap(NULL, 3 * 4096, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	close(steal_fd(&fd));
	char byte = view[0];
	(void)byte;
	pause();
	return 0;
}

static int truncating_open(const char *path)
{
	int fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void shrinking_below_a_view(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = object_make(sys, "m", WIRE_SET_SIZE, 65536, -1);
	pid_t pid = sys_fork(sys, map_and_wait, (void *)(uintptr_t)path);

	WAIT_UNTIL(10, number_xattr(path, "user.mapping.views") == 1);
	assert_int_equal(truncate(path, 4096), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(truncate(path, 0), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(truncating_open(path), -EBUSY);
	assert_int_equal(size_of(path), 65536);
	assert_int_equal(truncate(path, 65536), 0);
	assert_int_equal(truncate(path, 100000), 0);   /* growing is fine */
	assert_int_equal(truncate(path, 3 * 4096), 0); /* to the view's end is fine */
	assert_int_equal(size_of(path), 3 * 4096);
	sys_kill(sys, pid);
	assert_int_equal(truncate(path, 4096), 0);
	assert_int_equal(truncating_open(path), 0);
	assert_int_equal(size_of(path), 0);
}

static void own_and_private_views_count(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = object_make(sys, "m", WIRE_SET_SIZE, 65536, -1);
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	char *view = mmap(NULL, 65536, RW, MAP_PRIVATE, fd, 0);

	assert_int_equal(ftruncate(fd, 100), -1);
	assert_int_equal(errno, EBUSY);
	munmap(view, 65536);
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(ftruncate(fd, 65536), 0);
	view = mmap(NULL, 4096, RW, MAP_SHARED, fd, 32768);
	assert_int_equal(ftruncate(fd, 32768), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(ftruncate(fd, 36864), 0);
	munmap(view, 4096);
}

static void growing_under_views(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "m", WIRE_SET_SIZE, 4096, -1);
	char *small = view_of(path, O_RDWR, 4096, RW, MAP_SHARED);
	char *wide = view_of(path, O_RDWR, 1 << 20, RW, MAP_SHARED);

	strcpy(small, "first");
	assert_int_equal(truncate(path, 1 << 20), 0);
	strcpy(wide + (1 << 20) - 100, "last");
	char *all = view_of(path, O_RDONLY, 1 << 20, PROT_READ, MAP_SHARED);
	assert_string_equal(all, "first");
	assert_string_equal(all + (1 << 20) - 100, "last");
	munmap(small, 4096);
	munmap(wide, 1 << 20);
	munmap(all, 1 << 20);
}

static void private_views(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", 8192, NULL);
	const char *paths[] = {object_make(sys, "m", WIRE_SET_SIZE, 8192, -1),
			       object_make(sys, "f", WIRE_BIND, 0, fd)};

	for (int i = 0; i < 2; i++) {
		char *shared = view_of(paths[i], O_RDWR, 8192, RW, MAP_SHARED);
		char *private = view_of(paths[i], O_RDONLY, 8192, RW, MAP_PRIVATE);
		strcpy(shared + 4096, "both");
		assert_string_equal(private + 4096, "both");
		strcpy(private, "mine");
		assert_string_not_equal(shared, "mine");
		munmap(private, 8192);
		munmap(shared, 8192);
	}
	char text[5] = "";
	assert_int_equal(pread(fd, text, 4, 0), 4);
	assert_string_not_equal(text, "mine");
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(memory_is_zero_and_sized),
    SYS_TEST_BOTH_MODES(names_in_use),
    SYS_TEST_BOTH_MODES(views_are_the_same_pages),
    SYS_TEST_BOTH_MODES(file_pages_are_the_files),
    SYS_TEST_PASSTHROUGH(two_objects_of_one_file),
    SYS_TEST_BOTH_MODES(larger_grows_the_file),
    SYS_TEST_BOTH_MODES(smaller_maps_the_beginning),
    SYS_TEST_BOTH_MODES(read_only_for_root_too),
    SYS_TEST_BOTH_MODES(wrong_files_are_refused),
    SYS_TEST_BOTH_MODES(shrinking_below_a_view),
    SYS_TEST_BOTH_MODES(own_and_private_views_count),
    SYS_TEST_BOTH_MODES(growing_under_views),
    SYS_TEST_BOTH_MODES(private_views),
};

int main(void)
{
	return sys_run_tests("objects", tests);
}
