/* Objects bound to external files: rights and sizes, refusals that leave nothing, and what is held.
 */
#include "core/internal.h"
#include "tests/unit/core_fixture.h"

#include <sys/mman.h>

#define ROOT CORE_ROOT_NODE
#define SIZE (4 * PAGE_BYTES)

static const char *why;

static int bind_with(struct fixture *f, uint64_t node, struct core_setup setup, int fd)
{
	setup.file_fd = fd;
	why = NULL;
	return core_configure(f->core, node, &setup, &root_caller, &why);
}

static const struct core_setup plain = {.lifetime = -1};

static struct core_setup with_size(uint64_t size)
{
	return (struct core_setup){.lifetime = -1, .set_size = true, .size = size};
}

static off_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_size;
}

static int reopened(struct fixture *f, const char *name, int flags)
{
	int fd = openat(f->outside_fd, name, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void takes_the_files_size(void **state)
{
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", SIZE + 5);
	uint64_t node = make_file(f, ROOT, "bound");
	char backing[256];

	assert_int_equal(bind_with(f, node, plain, fd), 0);
	assert_int_equal(stat_of(f, node).st_size, SIZE + 5);
	assert_int_equal(usage_of(f).bound, 1);
	assert_int_equal(usage_of(f).committed, 0);
	get_attribute(f, node, "user.mapping.backing", backing, sizeof backing);
	assert_true(strncmp(backing, "file:/", 6) == 0);
	assert_int_equal(ftruncate(fd, 2 * SIZE), 0);
	assert_int_equal(stat_of(f, node).st_size, SIZE + 5); /* its own stays */
	assert_int_equal(core_write(f->core, node, "shared", 6, 0), 6);
	assert_int_equal(pread(fd, backing, 6, 0), 6);
	assert_memory_equal(backing, "shared", 6);
	unlink_name(f, ROOT, "bound");
	forget_node(f, node, 1);
	assert_int_equal(size_of(fd), 2 * SIZE); /* the file is nobody's but its owner's */
	close(fd);
	assert_nothing_left(f);
}

static void grows_the_file(void **state)
{
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", PAGE_BYTES);
	uint64_t node = make_file(f, ROOT, "bound");
	struct stat st;

	assert_int_equal(bind_with(f, node, with_size(SIZE), fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_int_equal(st.st_blocks * 512, SIZE); /* with room for it */
	close(fd);
}

static void shows_the_beginning(void **state)
{
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", 16 * SIZE);
	uint64_t node = make_file(f, ROOT, "bound");

	assert_int_equal(bind_with(f, node, with_size(SIZE), fd), 0);
	assert_int_equal(stat_of(f, node).st_size, SIZE);
	assert_int_equal(size_of(fd), 16 * SIZE);
	assert_int_equal(set_size(f, node, 2 * SIZE), 0); /* growing must not cut the file */
	assert_int_equal(size_of(fd), 16 * SIZE);
	assert_int_equal(stat_of(f, node).st_size, 2 * SIZE);
	assert_int_equal(set_size(f, node, SIZE), 0);
	assert_int_equal(size_of(fd), 16 * SIZE);
	assert_int_equal(set_size(f, node, 32 * SIZE), 0);
	assert_int_equal(size_of(fd), 32 * SIZE);
	fixture_restart(f);
	assert_int_equal(stat_of(f, node).st_size, 32 * SIZE);
	close(fd);
}

static void failed_growth_of_the_file(void **state)
{
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", PAGE_BYTES);
	uint64_t node = make_file(f, ROOT, "bound");

	assert_int_equal(bind_with(f, node, with_size(1ULL << 40), fd), -ENOSPC);
	assert_non_null(why);
	assert_int_equal(size_of(fd), PAGE_BYTES);
	fail_call(f, FAULT_FALLOCATE, -ENOSPC, 1);
	assert_int_equal(bind_with(f, node, with_size(SIZE), fd), -ENOSPC);
	assert_int_equal(size_of(fd), PAGE_BYTES);
	assert_int_equal(usage_of(f).bound, 0);
	fail_call(f, FAULT_FALLOCATE, -EOPNOTSUPP, 1); /* a file system without it */
	assert_int_equal(bind_with(f, node, with_size(SIZE), fd), 0);
	assert_int_equal(size_of(fd), SIZE);
	close(fd);
}

static void refusals(void **state)
{
	struct fixture *f = *state;
	int empty = outside_file(f, "empty", 0), file = outside_file(f, "file", SIZE);
	int read_only = reopened(f, "file", O_RDONLY), write_only = reopened(f, "file", O_WRONLY);
	int path = reopened(f, "file", O_PATH), directory = dup(f->outside_fd);
	int own = openat(f->tree_fd, "tree", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), pipes[2];
	uint64_t node = make_file(f, ROOT, "bound");
	struct core_setup bad = plain;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(bind_with(f, node, plain, empty), -EINVAL);
	assert_int_equal(bind_with(f, node, with_size(0), file), -EINVAL);
	assert_int_equal(bind_with(f, node, with_size(UINT64_MAX), file), -EFBIG);
	assert_int_equal(bind_with(f, node, with_size(2 * SIZE), read_only), -EACCES);
	assert_int_equal(bind_with(f, node, plain, write_only), -EACCES);
	assert_int_equal(bind_with(f, node, plain, path), -EBADF);
	assert_int_equal(bind_with(f, node, plain, directory), -EINVAL);
	assert_int_equal(bind_with(f, node, plain, pipes[0]), -EINVAL);
	assert_int_equal(bind_with(f, node, plain, 9999), -EBADF);
	if (own >= 0)
		assert_int_equal(bind_with(f, node, plain, own), -EINVAL);
	bad.sparse = true;
	assert_int_equal(bind_with(f, node, bad, file), -EINVAL);
	bad = (struct core_setup){.lifetime = -1, .read_only = true};
	assert_int_equal(bind_with(f, node, bad, -1), -EINVAL);
	assert_int_equal(bind_with(f, 77, plain, file), -ESTALE);
	assert_int_equal(bind_with(f, ROOT, plain, file), -EINVAL);
	assert_int_equal(bind_with(f, make_dir(f, ROOT, "dir"), plain, file), -EINVAL);
	assert_int_equal(usage_of(f).bound, 0);
	assert_int_equal(f->held_count, 0);
	assert_int_equal(size_of(file), SIZE);
	assert_int_equal(bind_with(f, node, plain, file), 0);
	for (size_t i = 0; i < 9; i++)
		close((int[]){empty, file, read_only, write_only, path, directory, own, pipes[0],
			      pipes[1]}[i]);
}

static void only_the_owner(void **state)
{
	const struct core_caller other = {.uid = 1234, .gid = 1234, .umask = 022};
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", SIZE);
	uint64_t node = make_file(f, ROOT, "bound");
	struct core_setup setup = plain;

	setup.file_fd = fd;
	assert_int_equal(core_configure(f->core, node, &setup, &other, &why), -EPERM);
	assert_int_equal(usage_of(f).bound, 0);
	close(fd);
}

static void only_what_is_fresh(void **state)
{
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", SIZE);
	uint64_t used = create_open(f, ROOT, "used"), sized = make_file(f, ROOT, "sized");
	uint64_t unlinked = make_file(f, ROOT, "unlinked"), linked = make_file(f, ROOT, "linked");
	struct core_entry entry;

	assert_int_equal(bind_with(f, used, plain, fd), -EBUSY);
	release_node(f, used);
	assert_int_equal(bind_with(f, used, plain, fd), -EBUSY);
	assert_int_equal(set_size(f, sized, PAGE_BYTES), 0);
	assert_int_equal(bind_with(f, sized, plain, fd), -EBUSY);
	unlink_name(f, ROOT, "unlinked");
	assert_int_equal(bind_with(f, unlinked, plain, fd), -EINVAL);
	begin_request(f);
	assert_int_equal(core_link(f->core, linked, ROOT, "second", &entry), 0);
	assert_int_equal(bind_with(f, linked, plain, fd), -EBUSY);
	close(fd);
}

static void done_twice(void **state)
{
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", SIZE), other = outside_file(f, "other", SIZE);
	int again = reopened(f, "outside", O_RDWR);
	uint64_t node = make_file(f, ROOT, "bound");

	assert_int_equal(bind_with(f, node, plain, fd), 0);
	assert_int_equal(bind_with(f, node, plain, fd), 0);
	assert_int_equal(bind_with(f, node, plain, again), 0);
	assert_int_equal(bind_with(f, node, plain, other), -EEXIST);
	fixture_restart(f);
	assert_int_equal(bind_with(f, node, plain, fd), 0);
	assert_int_equal(usage_of(f).bound, 1);
	assert_int_equal(f->held_count, 1);
	close(fd);
	close(other);
	close(again);
	unlink_name(f, ROOT, "bound");
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

static void read_only_for_everyone(void **state)
{
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", SIZE), ro = reopened(f, "outside", O_RDONLY);
	const struct core_setup asked = {.lifetime = -1, .read_only = true};
	uint64_t nodes[2] = {make_file(f, ROOT, "a"), make_file(f, ROOT, "b")};
	char backing[256];

	assert_int_equal(bind_with(f, nodes[0], plain, ro), 0);
	assert_int_equal(bind_with(f, nodes[1], asked, fd), 0);
	for (int i = 0; i < 2; i++) {
		struct stat wanted = {.st_mode = 0666}, st;
		struct core_opened opened;
		double timeout;

		begin_request(f);
		assert_int_equal(core_setattr(f->core, nodes[i], CORE_SET_MODE, &wanted, &st,
					      &timeout, NULL, NULL),
				 0);
		assert_int_equal(stat_of(f, nodes[i]).st_mode & 0222, 0);
		begin_request(f);
		assert_int_equal(core_open(f->core, nodes[i], O_RDWR, &opened), -EACCES);
		begin_request(f);
		assert_int_equal(core_open(f->core, nodes[i], O_WRONLY, &opened), -EACCES);
		assert_int_equal(set_size(f, nodes[i], PAGE_BYTES), -EACCES);
		assert_int_equal(core_fallocate(f->core, nodes[i], 0, 0, 2 * SIZE), -EACCES);
		assert_true(core_write(f->core, nodes[i], "x", 1, 0) < 0);
		get_attribute(f, nodes[i], "user.mapping.backing", backing, sizeof backing);
		assert_true(strncmp(backing, "file-ro:/", 9) == 0);
		open_node(f, nodes[i], O_RDONLY);
		release_node(f, nodes[i]);
	}
	WAIT_FOR(f, usage_of(f).flushes == 2, 1000); /* the end comes to read-only ones, too */
	assert_int_equal(size_of(fd), SIZE);
	assert_int_equal(usage_of(f).handles, 0);
	close(fd);
	close(ro);
}

static void no_room_to_hold(void **state)
{
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", PAGE_BYTES);
	uint64_t node = make_file(f, ROOT, "bound");

	f->world->hold_error = -EMFILE;
	assert_int_equal(bind_with(f, node, plain, fd), -EMFILE);
	assert_int_equal(bind_with(f, node, with_size(SIZE), fd), -EMFILE);
	assert_int_equal(size_of(fd), PAGE_BYTES); /* as before */
	assert_int_equal(usage_of(f).bound, 0);
	assert_attribute(f, node, "user.mapping.backing", "memory");
	f->world->hold_error = 0;
	assert_int_equal(bind_with(f, node, plain, fd), 0);
	fixture_restart(f);
	assert_int_equal(core_write(f->core, node, "x", 1, 0), 1);
	close(fd);
	unlink_name(f, ROOT, "bound");
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

/* A descriptor straight from memfd_create(2) is not counted for leases. */
static void memfd_ends(void **state)
{
	struct fixture *f = *state;
	int fd = memfd_create("passed", MFD_CLOEXEC);
	uint64_t node = make_file(f, ROOT, "bound");

	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_int_equal(bind_with(f, node, plain, fd), 0);
	close(fd);
	open_node(f, node, O_RDWR);
	fd = core_data_fd(f->core, node);
	pid_t viewer = start_viewer(fd, SIZE);
	release_node(f, node);
	serve(f, 3);
	assert_int_equal(calls_of(f, FAULT_FDATASYNC), 0);
	end_process(viewer);
	WAIT_FOR(f, usage_of(f).flushes >= 1, 500);
}

/* The caller's offset and the description it shares are left alone. */
static void callers_description_is_its_own(void **state)
{
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", SIZE);
	uint64_t node = make_file(f, ROOT, "bound");
	off_t at;

	assert_int_equal(lseek(fd, 7, SEEK_SET), 7);
	assert_int_equal(bind_with(f, node, plain, fd), 0);
	assert_int_equal(core_seek(f->core, node, 0, SEEK_DATA, &at) == 0 || true, true);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 7);
	close(fd);
}

static void survives_forget_and_restart(void **state)
{
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", SIZE);
	uint64_t node = make_bound(f, "bound", fd);

	assert_int_equal(unlinkat(f->outside_fd, "outside", 0), 0);
	close(fd);
	forget_node(f, node, 1);
	fixture_restart(f);
	node = look_up(f, ROOT, "bound");
	assert_int_equal(stat_of(f, node).st_size, SIZE);
	assert_int_equal(core_write(f->core, node, "x", 1, 0), 1);
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "bound", ROOT, "moved", 0), 0);
	assert_int_equal(core_write(f->core, node, "x", 1, 0), 1);
	unlink_name(f, ROOT, "moved");
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

/* A name that goes while nobody knows the object: by rename over it, too. */
static void replaced_object_lets_go(void **state)
{
	struct fixture *f = *state;
	int fd = outside_file(f, "outside", SIZE);
	uint64_t node = make_bound(f, "bound", fd), plain_node = make_file(f, ROOT, "plain");

	close(fd);
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "plain", ROOT, "bound", 0), 0);
	forget_node(f, node, 1);
	assert_int_equal(usage_of(f).bound, 0);
	unlink_name(f, ROOT, "bound");
	forget_node(f, plain_node, 1);
	assert_nothing_left(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define ROOTLESS(name)                                                                             \
	cmocka_unit_test_setup_teardown(name, fixture_setup_rootless, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(takes_the_files_size),
	    ROOTLESS(takes_the_files_size),
	    TEST(grows_the_file),
	    TEST(shows_the_beginning),
	    TEST(failed_growth_of_the_file),
	    TEST(refusals),
	    TEST(only_the_owner),
	    TEST(only_what_is_fresh),
	    TEST(done_twice),
	    ROOTLESS(done_twice),
	    TEST(read_only_for_everyone),
	    ROOTLESS(read_only_for_everyone),
	    TEST(no_room_to_hold),
	    TEST(memfd_ends),
	    TEST(callers_description_is_its_own),
	    TEST(survives_forget_and_restart),
	    ROOTLESS(survives_forget_and_restart),
	    TEST(replaced_object_lets_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
