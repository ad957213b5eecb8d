/* The end of objects: with handles and with real views, found by events, leases, and by looking. */
#include "core/internal.h"
#include "tests/unit/core_fixture.h"

#include <sys/mman.h>
#include <sys/sysmacros.h>

#define ROOT CORE_ROOT_NODE
#define SIZE (4 * PAGE_BYTES)

static uint64_t open_temporary(struct fixture *f, const char *name)
{
	uint64_t node = create_open(f, ROOT, name);

	assert_int_equal(set_size(f, node, SIZE), 0);
	assert_int_equal(set_lifetime(f, node, "temporary"), 0);
	return node;
}

static pid_t view_of(struct fixture *f, uint64_t node)
{
	return start_viewer(core_data_fd(f->core, node), SIZE);
}

static void ends_with_the_handle(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");

	open_node(f, node, O_RDONLY);
	release_node(f, node);
	serve(f, 20);
	assert_true(stands_in_tree(f, "temp")); /* one is left */
	release_node(f, node);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 1000);
	assert_int_equal(f->world->names_gone, 1);
	assert_int_equal(f->world->gone_node, node);
	assert_int_equal(f->world->gone_parent, ROOT);
	assert_string_equal(f->world->gone_name, "temp");
	assert_int_equal(usage_of(f).committed, 0);
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

static void ends_in_a_directory(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = make_dir(f, ROOT, "a (deleted)\n"), node = create_open(f, dir, "..b\\012 ");

	assert_int_equal(set_lifetime(f, node, "temporary"), 0);
	release_node(f, node);
	WAIT_FOR(f, f->world->names_gone == 1, 1000);
	assert_int_equal(f->world->gone_parent, dir);
	assert_string_equal(f->world->gone_name, "..b\\012 ");
	begin_request(f);
	assert_int_equal(core_rmdir(f->core, ROOT, "a (deleted)\n"), 0);
	forget_node(f, node, 1);
	forget_node(f, dir, 1);
	assert_nothing_left(f);
}

static void ends_under_its_new_name(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "old"), plain;

	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "old", ROOT, "new", 0), 0);
	plain = make_file(f, ROOT, "old"); /* another one, which must stay */
	release_node(f, node);
	WAIT_FOR(f, !stands_in_tree(f, "new"), 1000);
	assert_true(stands_in_tree(f, "old"));
	assert_int_equal(stat_of(f, plain).st_nlink, 1);
}

static void ends_far_below(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = ROOT, node;
	char name[NAME_MAX + 1];

	memset(name, 'd', NAME_MAX);
	name[NAME_MAX] = '\0';
	for (int i = 0; i < 20; i++) /* deeper than PATH_MAX */
		dir = make_dir(f, dir, name);
	node = create_open(f, dir, "temp");
	assert_int_equal(set_lifetime(f, node, "temporary"), 0);
	release_node(f, node);
	WAIT_FOR(f, f->world->names_gone == 1, 1000);
	assert_int_equal(f->world->gone_parent, dir);
}

static void permanent_again_stays(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");

	assert_int_equal(set_lifetime(f, node, "permanent"), 0);
	release_node(f, node);
	serve(f, 50);
	assert_true(stands_in_tree(f, "temp"));
}

static void default_lifetime(void **state)
{
	struct fixture *f = *state;
	uint64_t node;

	f->config.lifetime = true;
	fixture_restart(f);
	node = create_open(f, ROOT, "temp");
	assert_attribute(f, node, "user.mapping.lifetime", "temporary");
	make_dir(f, ROOT, "dir"); /* only objects have one */
	release_node(f, node);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 1000);
	serve(f, 20);
	assert_true(stands_in_tree(f, "dir"));
	forget_node(f, make_file(f, ROOT, "unused"), 1);
	assert_true(stands_in_tree(f, "unused")); /* it has had no handle yet */
}

static void view_keeps_it(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");
	pid_t viewer = view_of(f, node);

	release_node(f, node);
	serve(f, 100);
	assert_true(stands_in_tree(f, "temp"));
	end_process(viewer);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 500);
	assert_int_equal(usage_of(f).committed, 0);
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

static void handle_elsewhere_keeps_it(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");
	pid_t holder = start_holder(core_data_fd(f->core, node));

	release_node(f, node);
	serve(f, 100);
	assert_true(stands_in_tree(f, "temp"));
	end_process(holder);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 500);
}

/* While it waits for a view to go, it sleeps. */
static void waits_without_work(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");
	pid_t viewer = view_of(f, node);
	int before;

	release_node(f, node);
	serve(f, 300);
	before = calls_of(f, FAULT_LEASE);
	assert_true(before < 40);
	serve(f, 500);
	assert_true(calls_of(f, FAULT_LEASE) - before < 8);
	end_process(viewer);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 500);
}

/* FORGET overtakes the event of the last view. */
static void forgotten_before_the_event(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");
	pid_t viewer = view_of(f, node);

	release_node(f, node);
	serve(f, 20);
	end_process(viewer);
	forget_node(f, node, 1);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 1000);
	assert_nothing_left(f);
}

static void made_temporary_while_only_a_view_is_left(void **state)
{
	struct fixture *f = *state;
	uint64_t node = create_open(f, ROOT, "temp");
	pid_t viewer;

	assert_int_equal(set_size(f, node, SIZE), 0);
	viewer = view_of(f, node);
	release_node(f, node);
	assert_int_equal(set_lifetime(f, node, "temporary"), 0);
	serve(f, 50);
	assert_true(stands_in_tree(f, "temp"));
	end_process(viewer);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 1500);
}

static void lease_refused_for_a_while(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");

	fail_call(f, FAULT_LEASE, -EAGAIN, 5);
	release_node(f, node);
	assert_true(stands_in_tree(f, "temp"));
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 1000);
}

/* No lease on anything: /proc says it. */
static void lease_refused_for_ever(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");
	pid_t viewer = view_of(f, node);

	fail_call(f, FAULT_LEASE, -EAGAIN, -1);
	release_node(f, node);
	WAIT_FOR(f, usage_of(f).leases_refused, 2000);
	serve(f, 300);
	assert_true(stands_in_tree(f, "temp"));
	end_process(viewer);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 5000);
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

/* The kernel's FORGET is the last word as well. */
static void lease_refused_and_forgotten(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");

	fail_call(f, FAULT_LEASE, -EAGAIN, -1);
	release_node(f, node);
	forget_node(f, node, 1);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 1000);
	assert_nothing_left(f);
}

static void no_watch_no_matter(void **state)
{
	struct fixture *f = *state;
	uint64_t node;
	pid_t viewer;

	fail_call(f, FAULT_WATCH_ADD, -ENOSPC, -1);
	node = open_temporary(f, "temp");
	viewer = view_of(f, node);
	release_node(f, node);
	serve(f, 2000);
	assert_true(stands_in_tree(f, "temp"));
	end_process(viewer);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 2000);
}

static void opened_again_in_time(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");

	fail_call(f, FAULT_LEASE, -EAGAIN, 3);
	release_node(f, node);
	open_node(f, node, O_RDWR);
	serve(f, 700);
	assert_true(stands_in_tree(f, "temp"));
	release_node(f, node);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 1000);
}

static void unlinked_temporary(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");
	pid_t viewer = view_of(f, node);

	unlink_name(f, ROOT, "temp");
	release_node(f, node);
	end_process(viewer);
	serve(f, 20);
	assert_int_equal(f->world->names_gone, 0);
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

/* The event was lost with the worker that read it. */
static void view_ends_while_nobody_works(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");
	pid_t viewer = view_of(f, node);
	char buffer[4096];

	release_node(f, node);
	serve(f, 20);
	fixture_stop(f);
	end_process(viewer);
	while (read(f->config.notify_fd, buffer, sizeof buffer) > 0)
		;
	assert_int_equal(fixture_start(f), 0);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 1000);
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

static void view_outlives_the_worker(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");
	pid_t viewer = view_of(f, node);

	release_node(f, node);
	fixture_restart(f);
	serve(f, 100);
	assert_true(stands_in_tree(f, "temp"));
	end_process(viewer);
	WAIT_FOR(f, !stands_in_tree(f, "temp"), 500);
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

/* Looking it up is answered from the record, after its end: the kernel must not be left with a
 * count. */
static void lookup_answered_after_the_end(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_temporary(f, "temp");
	struct core_entry entry;

	release_node(f, node);
	forget_node(f, node, 1);
	serve(f, 20);
	node = open_temporary(f, "temp");
	fail_call(f, FAULT_LEASE, -EAGAIN, -1);
	release_node(f, node);
	assert_int_equal(try_lookup(f, ROOT, "temp", &entry), 0);
	fail_call(f, FAULT_LEASE, 0, 0);
	fixture_restart(f); /* it ends now, and the answer had not been sent */
	serve(f, 20);
	core_request(f->core, f->unique, true);
	if (core_lookup(f->core, ROOT, "temp", &entry) == 0)
		forget_node(f, node, 1);
	forget_node(f, node, 1); /* of its creation */
	assert_nothing_left(f);
}

/* A file of the outside whose number is that of an object in the tree, so that its views are found
 * in /proc as the kernel would show the object's. */
static int file_with_number(struct fixture *f, ino_t ino)
{
	char name[32];
	struct stat st;

	for (int i = 0; i < 1000; i++) {
		int fd;

		snprintf(name, sizeof name, "n%d", i);
		fd = openat(f->outside_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		assert_int_equal(fstat(fd, &st), 0);
		if (st.st_ino == ino)
			return fd;
		close(fd);
		if (st.st_ino > ino)
			break;
	}
	skip();
	return -1;
}

/* Bound, and seen in /proc. */
static uint64_t bind_visible(struct fixture *f, int *file_fd)
{
	const struct core_setup setup = {.lifetime = -1, .file_fd = -1};
	struct core_setup bind = setup;
	const char *why;
	struct stat st;
	ino_t ino;
	uint64_t node;

	for (int i = 0; i < 8;
	     i++) /* tmpfs numbers its inodes one by one: be ahead of the outside */
		make_dir(f, ROOT, (char[]){'d', (char)('0' + i), '\0'});
	node = make_file(f, ROOT, "bound");
	assert_int_equal(core_inode_number(f->core, node, &ino), 0);
	*file_fd = bind.file_fd = file_with_number(f, ino);
	assert_int_equal(ftruncate(*file_fd, (off_t)SIZE), 0);
	assert_int_equal(core_configure(f->core, node, &bind, &root_caller, &why), 0);
	assert_int_equal(fstat(*file_fd, &st), 0);
	f->config.device_major = major(st.st_dev);
	f->config.device_minor = minor(st.st_dev);
	fixture_restart(f);
	return node;
}

static void shrinking_below_a_view(void **state)
{
	struct fixture *f = *state;
	uint64_t node = create_open(f, ROOT, "file");
	pid_t viewer;

	assert_int_equal(set_size(f, node, SIZE), 0);
	viewer = view_of(f, node);
	assert_int_equal(set_size(f, node, PAGE_BYTES), -EBUSY);
	assert_int_equal(set_size(f, node, SIZE - 1), 0); /* its last page stays */
	assert_int_equal(set_size(f, node, 2 * SIZE), 0);
	assert_int_equal(set_size(f, node, SIZE), 0); /* beyond the view */
	release_node(f, node);
	assert_int_equal(set_size(f, node, 0), -EBUSY);
	end_process(viewer);
	assert_int_equal(set_size(f, node, 0), 0);
}

static void views_are_counted(void **state)
{
	struct fixture *f = *state;
	uint64_t node = create_open(f, ROOT, "file");
	pid_t viewers[2];

	(void)viewers;
	assert_int_equal(set_size(f, node, SIZE), 0);
	viewers[0] = view_of(f, node);
	viewers[1] = view_of(f, node);
	begin_request(f);
	assert_int_equal(core_getxattr(f->core, node, CORE_XATTR_VIEWS, NULL, 0), -ENODATA);
	end_process(viewers[0]);
	end_process(viewers[1]);
}

/* A bound object's last view, while a handle stays open: within a second. */
static void view_goes_while_a_handle_stays(void **state)
{
	struct fixture *f = *state;
	int file, before;
	uint64_t node = bind_visible(f, &file);
	pid_t viewer;

	f->world->dirty_pages = 1;
	open_node(f, node, O_RDWR);
	viewer = start_viewer(file, SIZE);
	serve(f, 600);
	before = calls_of(f, FAULT_FDATASYNC);
	end_process(viewer);
	WAIT_FOR(f, calls_of(f, FAULT_FDATASYNC) > before, 1000);
	f->world->dirty_pages = 0; /* nothing to do any more: nothing is done */
	serve(f, 500);
	before = calls_of(f, FAULT_FDATASYNC);
	serve(f, 600);
	assert_int_equal(calls_of(f, FAULT_FDATASYNC), before);
	close(file);
}

/* The same after an earlier view had outlived its handle. */
static void handle_again_after_a_lone_view(void **state)
{
	struct fixture *f = *state;
	int file, before;
	uint64_t node = bind_visible(f, &file);
	pid_t viewer;

	f->world->dirty_pages = 1;
	open_node(f, node, O_RDWR);
	viewer = start_viewer(file, SIZE);
	release_node(f, node);
	serve(f, 1500); /* the probes have given up: the next event is waited for */
	open_node(f, node, O_RDWR);
	before = calls_of(f, FAULT_FDATASYNC);
	end_process(viewer);
	WAIT_FOR(f, calls_of(f, FAULT_FDATASYNC) > before, 1500);
	close(file);
}

/* Without a watch a bound object's end is found by looking. */
static void bound_without_a_watch(void **state)
{
	struct fixture *f = *state;
	int file, before;
	uint64_t node = bind_visible(f, &file);
	pid_t viewer;

	fail_call(f, FAULT_WATCH_ADD, -ENOSPC, -1);
	open_node(f, node, O_RDWR);
	viewer = start_viewer(file, SIZE);
	close(file);
	release_node(f, node);
	serve(f, 1000);
	before = calls_of(f, FAULT_FDATASYNC);
	end_process(viewer);
	WAIT_FOR(f, calls_of(f, FAULT_FDATASYNC) > before, 2500);
}

/* Somebody outside has the file open: the lease is refused for ever, /proc knows better. */
static void file_open_outside(void **state)
{
	struct fixture *f = *state;
	int file;
	uint64_t node = bind_visible(f, &file);

	open_node(f, node, O_RDWR);
	release_node(f, node);
	WAIT_FOR(f, calls_of(f, FAULT_FDATASYNC) == 1, 1000);
	close(file);
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define CACHED(name) cmocka_unit_test_setup_teardown(name, fixture_setup_cached, fixture_teardown)
#define ROOTLESS(name)                                                                             \
	cmocka_unit_test_setup_teardown(name, fixture_setup_rootless, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(ends_with_the_handle),
	    CACHED(ends_with_the_handle),
	    ROOTLESS(ends_with_the_handle),
	    TEST(ends_in_a_directory),
	    ROOTLESS(ends_in_a_directory),
	    TEST(ends_under_its_new_name),
	    ROOTLESS(ends_under_its_new_name),
	    TEST(ends_far_below),
	    TEST(permanent_again_stays),
	    CACHED(permanent_again_stays),
	    TEST(default_lifetime),
	    ROOTLESS(default_lifetime),
	    TEST(view_keeps_it),
	    TEST(handle_elsewhere_keeps_it),
	    TEST(waits_without_work),
	    TEST(forgotten_before_the_event),
	    TEST(made_temporary_while_only_a_view_is_left),
	    TEST(lease_refused_for_a_while),
	    TEST(lease_refused_for_ever),
	    TEST(lease_refused_and_forgotten),
	    TEST(no_watch_no_matter),
	    TEST(opened_again_in_time),
	    TEST(unlinked_temporary),
	    TEST(view_ends_while_nobody_works),
	    TEST(view_outlives_the_worker),
	    TEST(lookup_answered_after_the_end),
	    TEST(shrinking_below_a_view),
	    TEST(views_are_counted),
	    TEST(view_goes_while_a_handle_stays),
	    TEST(handle_again_after_a_lone_view),
	    TEST(bound_without_a_watch),
	    TEST(file_open_outside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
