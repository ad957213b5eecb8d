/* All objects in use, at a moment. */
#include "core/internal.h"
#include "tests/unit/core_fixture.h"

#define ROOT CORE_ROOT_NODE
#define SIZE (4 * PAGE_BYTES)

static struct core_top *top;
static struct core_top_result result;

static void look_as(struct fixture *f, bool all, uid_t uid)
{
	assert_int_equal(core_top_begin(f->core, true, 0, &top), 0);
	assert_int_equal(core_top_look(top, all, uid, &result), 0);
	for (size_t i = 1; i < result.count; i++)
		assert_true(result.objects[i - 1].inode < result.objects[i].inode);
}

static void look(struct fixture *f)
{
	look_as(f, true, 0);
}

static const struct core_top_object *find(const char *name)
{
	for (size_t i = 0; i < result.count; i++)
		if (result.objects[i].name ? name && !strcmp(result.objects[i].name, name) : !name)
			return &result.objects[i];
	fail_msg("no object %s", name ? name : "without a name");
	return NULL;
}

static void end(void)
{
	core_top_end(top);
	top = NULL;
}

static void names_and_sizes(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = make_dir(f, ROOT, "d"), a = make_file(f, dir, "a"), b;

	assert_int_equal(set_size(f, a, SIZE + 1), 0);
	b = create_open(f, ROOT, "b");
	open_node(f, b, O_RDONLY);
	look(f);
	assert_int_equal(result.count, 2); /* directories are no objects */
	assert_int_equal(find("d/a")->size, SIZE + 1);
	assert_int_equal(find("d/a")->resident, SIZE + PAGE_BYTES);
	assert_int_equal(find("d/a")->dirty, 0);
	assert_int_equal(find("d/a")->inode, stat_of(f, a).st_ino);
	assert_int_equal(find("d/a")->handles, 0);
	assert_int_equal(find("b")->handles, 2);
	assert_int_equal(find("b")->lifetime, CORE_PERMANENT);
	end();
	unlink_name(f, ROOT, "b");
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "d", ROOT, "e", 0), 0);
	look(f);
	assert_int_equal(find("e/a")->size, SIZE + 1);
	assert_int_equal(find(NULL)->handles, 2);
	end();
	forget_node(f, a, 1);
	look(f); /* what the kernel has forgotten is not in use */
	assert_int_equal(result.count, 1);
	end();
}

static void views(void **state)
{
	struct fixture *f = *state;
	uint64_t a = create_open(f, ROOT, "a");
	pid_t viewer;

	assert_int_equal(set_size(f, a, SIZE), 0);
	viewer = start_viewer(core_data_fd(f->core, a), SIZE);
	look(f);
	assert_int_equal(find("a")->views, 1);
	end();
	end_process(viewer);
	look(f);
	assert_int_equal(find("a")->views, 0);
	end();
}

static void only_ones_own(void **state)
{
	const struct core_caller user = {.uid = 1234, .gid = 1234};
	struct fixture *f = *state;
	struct core_entry entry;

	if (geteuid() != 0 || f->config.rootless)
		return;
	make_file(f, ROOT, "root's");
	begin_request(f);
	assert_int_equal(core_mknod(f->core, ROOT, "own", S_IFREG | 0600, &user, &entry), 0);
	begin_request(f);
	cred_assume(f->core, &root_caller);
	look_as(f, false, 1234);
	assert_int_equal(result.count, 1);
	assert_int_equal(find("own")->owner, 1234);
	end();
	look_as(f, false, 99);
	assert_int_equal(result.count, 0);
	end();
}

static void bound_and_flushed(void **state)
{
	struct fixture *f = *state;
	AUTO_CLOSE int fd = outside_file(f, "file", SIZE);
	uint64_t node = make_bound(f, "b", fd);
	size_t before;

	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	open_node(f, node, O_RDWR);
	assert_int_equal(flush_node(f, node), 0);
	fail_call(f, FAULT_FDATASYNC, -EIO, 1);
	assert_int_equal(flush_node(f, node), -EIO);
	before = open_fds();
	look(f);
	assert_int_equal(find("b")->size, SIZE);
	assert_int_equal(find("b")->resident, PAGE_BYTES);
	assert_int_equal(find("b")->flushes, 2);
	assert_int_equal(find("b")->failures, 1);
	assert_int_equal(find("b")->error, EIO);
	end();
	assert_int_equal(open_fds(), before);
}

/* Between copy and look the world goes on. */
static void gone_meanwhile(void **state)
{
	struct fixture *f = *state;
	uint64_t a = make_file(f, ROOT, "a");

	make_file(f, ROOT, "b");
	assert_int_equal(core_top_begin(f->core, true, 0, &top), 0);
	unlink_name(f, ROOT, "a");
	forget_node(f, a, 1);
	assert_int_equal(core_top_look(top, true, 0, &result), 0);
	assert_int_equal(result.count, 1);
	find("b");
	end();
	core_top_end(NULL);
}

static void types(void **state)
{
	const struct core_setup setup = {.type = OBJECT_EVENT, .lifetime = -1, .file_fd = -1};
	struct fixture *f = *state;
	uint64_t node = make_file(f, ROOT, "e");
	struct core_opened opened;
	const char *why = "";

	begin_request(f);
	assert_int_equal(core_configure(f->core, node, &setup, &root_caller, &why), 0);
	begin_request(f);
	assert_int_equal(core_open(f->core, node, O_RDWR, &opened), 0);
	look(f);
	assert_int_equal(find("e")->type, OBJECT_EVENT);
	assert_int_equal(find("e")->handles, 1);
	assert_int_equal(find("e")->failures, 0);
	end();
	begin_request(f);
	core_release(f->core, node, opened.handle);
}

#define ALL_MODES(test)                                                                            \
	{#test, test, fixture_setup, fixture_teardown, NULL},                                      \
	    {#test " [cached]", test, fixture_setup_cached, fixture_teardown, NULL},               \
	{                                                                                          \
#test " [rootless]", test, fixture_setup_rootless, fixture_teardown, NULL          \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    ALL_MODES(names_and_sizes),   ALL_MODES(views),          ALL_MODES(only_ones_own),
	    ALL_MODES(bound_and_flushed), ALL_MODES(gone_meanwhile), ALL_MODES(types),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
