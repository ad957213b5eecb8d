/* Wrong sizes and names: clear errors, nothing leaked, service goes on. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"

static struct leaks held; /* before the test */

static void start(struct sys *sys)
{
	sys_mount(sys, "size=64m");
	/* What is opened once and kept is there now. */
	object_make(sys, "before", WIRE_SET_SIZE, 4096, -1);
	object_check_service(sys);
	held = leaks_count(sys);
}

static void check_nothing_left(struct sys *sys)
{
	object_check_service(sys);
	assert_int_equal(sys_status_number(sys, "restarts"), 0); /* it did not die of it */
	leaks_check(sys, &held);
}

static void sizes(void **state)
{
	static const uint64_t wrong[] = {0, 1ULL << 63, UINT64_MAX, UINT64_MAX - 4095};
	struct sys *sys = *state;
	start(sys);
	const char *path = sys_path(sys, "x");

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		int rc = object_create(sys->mnt, path, 0644, WIRE_SET_SIZE, wrong[i], -1);
		assert_int_equal(rc, wrong[i] == 0 ? -EINVAL : -EFBIG);
	}
	int rc = object_create(sys->mnt, path, 0644, WIRE_SET_SIZE, INT64_MAX, -1);
	assert_true(rc == -ENOSPC || rc == -EFBIG);
	rc = object_create(sys->mnt, path, 0644, WIRE_SET_SIZE, INT64_MAX - 5000, -1);
	assert_true(rc == -ENOSPC || rc == -EFBIG);
	assert_int_equal(size_of(path), -1);
	const char *object = sys_path(sys, "before");
	assert_int_equal(truncate(object, -1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(truncate(object, INT64_MAX), -1);
	assert_true(errno == ENOSPC || errno == EFBIG);
	assert_int_equal(truncate(object, INT64_MAX - 4096), -1);
	AUTO_CLOSE int fd = open(object, O_RDWR | O_CLOEXEC);
	assert_int_equal(fallocate(fd, 0, 1, INT64_MAX), -1);
	assert_int_equal(fallocate(fd, 0, 0, -1), -1);
	assert_int_equal(size_of(object), 4096);
	close(steal_fd(&fd));
	check_nothing_left(sys);
}

static void file_sizes(void **state)
{
	struct sys *sys = *state;
	const char *file;
	start(sys);
	int fd = make_plain_file(sys, "data", 5000, &file);
	const char *path = sys_path(sys, "x");
	uint32_t flags = WIRE_BIND | WIRE_SET_SIZE;

	assert_int_equal(object_create(sys->mnt, path, 0644, flags, 0, fd), -EINVAL);
	assert_int_equal(object_create(sys->mnt, path, 0644, flags, UINT64_MAX, fd), -EFBIG);
	int rc = object_create(sys->mnt, path, 0644, flags, INT64_MAX, fd);
	assert_true(rc == -EFBIG || rc == -ENOSPC);
	rc = object_create(sys->mnt, path, 0644, flags, 1ULL << 62, fd);
	assert_true(rc == -EFBIG || rc == -ENOSPC);
	assert_int_equal(size_of(file), 5000); /* "its size is then as before" */
	close(fd);
	check_nothing_left(sys);
}

static void names(void **state)
{
	struct sys *sys = *state;
	char name[300];
	struct stat st;
	start(sys);

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	AUTO_CLOSE int root = open(sys->mnt, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mknodat(root, name, S_IFREG | 0644, 0), 0);
	assert_int_equal(unlinkat(root, name, 0), 0);
	name[255] = 'n';
	name[256] = '\0';
	assert_int_equal(mknodat(root, name, S_IFREG | 0644, 0), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(mkdirat(root, name, 0755), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(fstatat(root, name, &st, 0), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(renameat(root, "before", root, name), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(symlinkat("x", root, name), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(
	    object_create(sys->mnt, sys_path(sys, "%s", name), 0644, WIRE_SET_SIZE, 4096, -1),
	    -ENAMETOOLONG);
	close(steal_fd(&root));
	check_nothing_left(sys);
}

static void refused_nodes(void **state)
{
	struct sys *sys = *state;
	start(sys);
	assert_int_equal(mknod(sys_path(sys, "char"), S_IFCHR | 0666, 0x103), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(mknod(sys_path(sys, "block"), S_IFBLK | 0666, 0x700), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(renameat2(AT_FDCWD, sys_path(sys, "before"), AT_FDCWD, sys_path(sys, "w"),
				   RENAME_WHITEOUT),
			 -1);
	assert_int_equal(size_of(sys_path(sys, "before")), 4096);
	check_nothing_left(sys);
}

static void the_socket_is_no_object(void **state)
{
	struct sys *sys = *state;
	struct stat st;
	start(sys);
	const char *path = sys_path(sys, ".control");

	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0666);
	unlink(path);
	rename(path, sys_path(sys, "moved"));
	rename(sys_path(sys, "before"), path);
	assert_int_equal(lstat(path, &st), 0); /* it is still there and still a socket */
	assert_true(S_ISSOCK(st.st_mode));
	object_check_service(sys);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(sizes),
    SYS_TEST_BOTH_MODES(file_sizes),
    SYS_TEST_BOTH_MODES(names),
    SYS_TEST_BOTH_MODES(refused_nodes),
    SYS_TEST_PASSTHROUGH(the_socket_is_no_object),
};

int main(void)
{
	return sys_run_tests("badinput", tests);
}
