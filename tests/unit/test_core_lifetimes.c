/* Handle-bound objects: the name goes with the last handle, the pages with the last view. And the
 * lifetimes that directories give. */
#include "core/internal.h"
#include "tests/unit/core_fixture.h"

#define ROOT CORE_ROOT_NODE
#define SIZE (4 * PAGE_BYTES)

static uint64_t open_bound_to_handle(struct fixture *f, const char *name)
{
	uint64_t node = create_open(f, ROOT, name);

	assert_int_equal(set_size(f, node, SIZE), 0);
	assert_int_equal(set_lifetime(f, node, "handle"), 0);
	return node;
}

static pid_t view_of(struct fixture *f, uint64_t node)
{
	return start_viewer(core_data_fd(f->core, node), SIZE);
}

static int try_open(struct fixture *f, uint64_t node)
{
	struct core_opened opened;

	begin_request(f);
	return core_open(f->core, node, O_RDWR, &opened);
}

static int try_stat(struct fixture *f, uint64_t node)
{
	struct stat st;
	double timeout;

	begin_request(f);
	return core_getattr(f->core, node, &st, &timeout);
}

/* --- names and pages --- */

static void name_goes_with_the_handle(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_bound_to_handle(f, "bound");
	struct core_entry e;

	assert_attribute(f, node, "user.mapping.lifetime", "handle");
	open_node(f, node, O_RDONLY);
	release_node(f, node);
	serve(f, 20);
	assert_true(stands_in_tree(f, "bound")); /* one is left */
	release_node(f, node);
	assert_false(stands_in_tree(f, "bound")); /* at once: what is asked next is answered next */
	assert_int_equal(f->world->names_gone, 1);
	assert_int_equal(f->world->gone_node, node);
	assert_int_equal(f->world->gone_parent, ROOT);
	assert_string_equal(f->world->gone_name, "bound");
	assert_int_equal(try_lookup(f, ROOT, "bound", &e), -ENOENT);
	WAIT_FOR(f, usage_of(f).committed == 0, 1000);
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

static void pages_go_with_the_view(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_bound_to_handle(f, "bound"), next;
	pid_t viewer = view_of(f, node);

	release_node(f, node);
	assert_false(stands_in_tree(f, "bound"));
	serve(f, 50);
	assert_int_equal(usage_of(f).committed, SIZE);
	assert_int_equal(f->world->unused, 0);
	next = open_bound_to_handle(f, "bound");
	assert_int_not_equal(next, node);
	serve(f, 50);
	assert_int_equal(usage_of(f).committed, 2 * SIZE);
	end_process(viewer);
	WAIT_FOR(f, usage_of(f).committed == SIZE, 1000);
	assert_int_equal(f->world->unused, 1);
	assert_int_equal(f->world->names_gone, 1);
	assert_true(stands_in_tree(f, "bound")); /* the new one's */
	assert_int_equal(try_open(f, next), 0);
	release_node(f, next);
	release_node(f, next);
	assert_false(stands_in_tree(f, "bound"));
	WAIT_FOR(f, usage_of(f).committed == 0, 1000);
	forget_node(f, node, 1);
	forget_node(f, next, 1);
	assert_nothing_left(f);
}

/* Who still has the old name in mind is sent to look it up again. */
static void ended_is_stale(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_bound_to_handle(f, "bound");
	pid_t viewer = view_of(f, node);
	struct core_entry e;
	char value[64];

	release_node(f, node);
	assert_int_equal(try_open(f, node), -ESTALE);
	assert_int_equal(try_stat(f, node), -ESTALE);
	assert_int_equal(set_size(f, node, PAGE_BYTES), -ESTALE);
	assert_int_equal(set_lifetime(f, node, "permanent"), -ESTALE);
	begin_request(f);
	assert_int_equal(core_getxattr(f->core, node, "user.mapping.lifetime", value, sizeof value),
			 -ESTALE);
	begin_request(f);
	assert_int_equal(core_link(f->core, node, ROOT, "again", &e), -ESTALE);
	assert_false(stands_in_tree(f, "again"));
	end_process(viewer);
	WAIT_FOR(f, usage_of(f).committed == 0, 1000);
	assert_int_equal(try_open(f, node), -ESTALE);
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

static void forgotten_before_the_event(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_bound_to_handle(f, "bound");
	pid_t viewer = view_of(f, node);

	release_node(f, node);
	serve(f, 20);
	end_process(viewer);
	forget_node(f, node, 1);
	WAIT_FOR(f, usage_of(f).committed == 0, 1000);
	assert_nothing_left(f);
}

static void unlinked_before(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_bound_to_handle(f, "bound");
	pid_t viewer = view_of(f, node);

	unlink_name(f, ROOT, "bound");
	assert_int_equal(try_open(f, node), 0); /* through /proc/PID/fd */
	release_node(f, node);
	make_file(f, ROOT, "bound");
	release_node(f, node);
	assert_int_equal(try_open(f, node), -ESTALE);
	assert_int_equal(f->world->names_gone, 0);
	end_process(viewer);
	WAIT_FOR(f, usage_of(f).committed == 0, 2500);
	assert_true(stands_in_tree(f, "bound"));
	forget_node(f, node, 1);
	unlink_name(f, ROOT, "bound");
}

static void renamed_in_between(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_bound_to_handle(f, "old"), dir = make_dir(f, ROOT, "dir");
	pid_t viewer = view_of(f, node);

	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "old", dir, "new", 0), 0);
	make_file(f, ROOT, "old");
	release_node(f, node);
	assert_false(stands_in_tree(f, "dir/new"));
	assert_true(stands_in_tree(f, "old"));
	assert_int_equal(f->world->gone_parent, dir);
	assert_string_equal(f->world->gone_name, "new");
	end_process(viewer);
	WAIT_FOR(f, usage_of(f).committed == 0, 1000);
}

/* How long a view of it is waited for is seen on real mounts only. */
static void file_backed(void **state)
{
	struct fixture *f = *state;
	AUTO_CLOSE int fd = outside_file(f, "file", SIZE);
	uint64_t node = make_bound(f, "bound", fd);

	assert_int_equal(set_lifetime(f, node, "handle"), 0);
	close(steal_fd(&fd));
	open_node(f, node, O_RDWR);
	f->world->hold_data = 1;
	release_node(f, node);
	assert_false(stands_in_tree(f, "bound"));
	serve(f, 50);
	assert_int_equal(usage_of(f).flushes, 0);
	assert_int_equal(usage_of(f).bound, 1); /* kept for the flush */
	f->world->hold_data = 0;
	WAIT_FOR(f, usage_of(f).flushes == 1, 2000);
	WAIT_FOR(f, usage_of(f).bound == 0, 1000);
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

static void next_worker_waits_for_the_view(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_bound_to_handle(f, "bound");
	pid_t viewer = view_of(f, node);

	release_node(f, node);
	fixture_restart(f);
	assert_int_equal(try_stat(f, node), -ESTALE);
	serve(f, 50);
	assert_int_equal(usage_of(f).committed, SIZE);
	assert_int_equal(count_orphans(f), 1);
	end_process(viewer);
	WAIT_FOR(f, usage_of(f).committed == 0, 1000);
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

/* Without passthrough, and by place. */
static void release_comes_after_the_view(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_bound_to_handle(f, "bound");

	open_node(f, node, O_RDONLY);
	release_node(f, node);
	assert_true(stands_in_tree(f, "bound"));
	release_node(f, node);
	assert_false(stands_in_tree(f, "bound"));
	assert_int_equal(f->world->names_gone, 1);
	assert_int_equal(usage_of(f).committed, 0);
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

/* --- set in the middle of a life --- */

static void nobody_holds_it(void **state)
{
	struct fixture *f = *state;
	uint64_t node = create_open(f, ROOT, "file");

	release_node(f, node);
	assert_int_equal(set_lifetime(f, node, "handle"), 0);
	serve(f, 50);
	fixture_restart(f); /* who takes over sees nothing to end */
	serve(f, 50);
	assert_true(stands_in_tree(f, "file"));
	open_node(f, node, O_RDONLY);
	release_node(f, node);
	assert_false(stands_in_tree(f, "file"));
}

static void only_a_view_is_left(void **state)
{
	struct fixture *f = *state;
	uint64_t node = create_open(f, ROOT, "file");
	pid_t viewer;

	assert_int_equal(set_size(f, node, SIZE), 0);
	viewer = view_of(f, node);
	release_node(f, node);
	assert_int_equal(set_lifetime(f, node, "handle"), -EBUSY);
	assert_attribute(f, node, "user.mapping.lifetime", "permanent");
	open_node(f, node, O_RDONLY);
	assert_int_equal(set_lifetime(f, node, "handle"), 0);
	release_node(f, node);
	assert_false(stands_in_tree(f, "file"));
	end_process(viewer);
	WAIT_FOR(f, usage_of(f).committed == 0, 1000);
}

static void made_permanent_again(void **state)
{
	struct fixture *f = *state;
	uint64_t node = open_bound_to_handle(f, "file");

	assert_int_equal(set_lifetime(f, node, "permanent"), 0);
	release_node(f, node);
	serve(f, 50);
	assert_true(stands_in_tree(f, "file"));
}

/* A file's stores are not left behind when its object stops waiting for its last view. */
static void flushed_when_set_with_nobody(void **state)
{
	struct fixture *f = *state;
	AUTO_CLOSE int fd = outside_file(f, "file", SIZE);
	uint64_t node = make_bound(f, "bound", fd);
	pid_t outside;

	close(steal_fd(&fd));
	open_node(f, node, O_RDWR);
	outside = start_holder(core_data_fd(f->core, node));
	release_node(f, node); /* the lease is refused: somebody has the file open */
	end_process(outside);
	assert_int_equal(set_lifetime(f, node, "temporary"), 0);
	WAIT_FOR(f, usage_of(f).flushes == 1, 1000);
	serve(f, 100);
	assert_true(stands_in_tree(f, "bound"));
}

/* --- by directory --- */

static void directories_give_it(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = make_dir(f, ROOT, "dir"), file, sub, in_sub;
	struct core_opened opened;
	struct core_entry e;

	assert_int_equal(set_lifetime(f, dir, "handle"), 0);
	assert_attribute(f, dir, "user.mapping.lifetime", "handle");
	file = create_open(f, dir, "created");
	assert_attribute(f, file, "user.mapping.lifetime", "handle");
	assert_attribute(f, make_file(f, dir, "made"), "user.mapping.lifetime", "handle");
	begin_request(f);
	assert_int_equal(
	    core_tmpfile(f->core, dir, S_IFREG | 0600, O_RDWR, &root_caller, &e, &opened), 0);
	assert_attribute(f, e.node, "user.mapping.lifetime", "handle");
	release_node(f, e.node);
	forget_node(f, e.node, 1);
	sub = make_dir(f, dir, "sub");
	assert_int_equal(set_lifetime(f, dir, "temporary"), 0);
	assert_attribute(f, sub, "user.mapping.lifetime", "handle"); /* its own since mkdir */
	assert_attribute(f, file, "user.mapping.lifetime", "handle");
	forget_node(f, sub, 1);
	fixture_restart(f);
	sub = look_up(f, dir, "sub"); /* kept on the directory */
	in_sub = create_open(f, sub, "file");
	assert_attribute(f, in_sub, "user.mapping.lifetime", "handle");
	assert_attribute(f, create_open(f, dir, "next"), "user.mapping.lifetime", "temporary");
	release_node(f, in_sub);
	assert_false(stands_in_tree(f, "dir/sub/file"));
}

static int clear(struct fixture *f, uint64_t node, uid_t uid)
{
	begin_request(f);
	core_request_from(f->core, uid, 0);
	return core_removexattr(f->core, node, "user.mapping.lifetime");
}

static void directories_stop_giving_it(void **state)
{
	const struct core_caller other = {.uid = 1234, .gid = 1234, .umask = 022};
	struct fixture *f = *state;
	uint64_t dir = make_dir(f, ROOT, "dir");
	char value[64];

	begin_request(f);
	assert_int_equal(core_getxattr(f->core, dir, "user.mapping.lifetime", value, sizeof value),
			 -ENODATA);
	assert_int_equal(clear(f, dir, 0), -ENODATA);
	assert_int_equal(set_lifetime(f, dir, "for ever"), -EINVAL);
	begin_request(f);
	assert_int_equal(
	    core_setxattr(f->core, dir, "user.mapping.lifetime", "handle", 6, 0, &other), -EPERM);
	assert_int_equal(set_lifetime(f, dir, "temporary"), 0);
	assert_int_equal(clear(f, dir, 1234), -EPERM);
	assert_int_equal(clear(f, dir, 0), 0);
	assert_attribute(f, make_file(f, dir, "made"), "user.mapping.lifetime", "permanent");
	forget_node(f, dir, 1);
	dir = look_up(f, ROOT, "dir");
	begin_request(f);
	assert_int_equal(core_getxattr(f->core, dir, "user.mapping.lifetime", value, sizeof value),
			 -ENODATA);
}

static void mount_gives_it(void **state)
{
	struct fixture *f = *state;
	uint64_t dir;

	f->config.lifetime = CORE_HANDLE_BOUND;
	fixture_restart(f);
	assert_attribute(f, create_open(f, ROOT, "file"), "user.mapping.lifetime", "handle");
	assert_int_equal(set_lifetime(f, ROOT, "temporary"), 0); /* closer than the mount's */
	dir = make_dir(f, ROOT, "dir");
	assert_attribute(f, make_file(f, dir, "file"), "user.mapping.lifetime", "temporary");
	assert_int_equal(set_lifetime(f, dir, "permanent"), 0);
	assert_attribute(f, make_file(f, dir, "other"), "user.mapping.lifetime", "permanent");
	assert_int_equal(clear(f, dir, 0), 0);
	assert_attribute(f, make_file(f, dir, "third"), "user.mapping.lifetime", "handle");
}

/* --- objects to wait on have no views --- */

static uint64_t make_event(struct fixture *f, const char *name, enum core_lifetime lifetime)
{
	const struct core_setup setup = {
	    .type = OBJECT_EVENT, .lifetime = (int)lifetime, .file_fd = -1};
	uint64_t node = make_file(f, ROOT, name);
	const char *why = "";

	if (core_configure(f->core, node, &setup, &root_caller, &why) != 0)
		fail_msg("configure: %s", why);
	return node;
}

static uint64_t open_event(struct fixture *f, uint64_t node)
{
	struct core_opened opened;

	begin_request(f);
	assert_int_equal(core_open(f->core, node, O_RDWR, &opened), 0);
	assert_int_not_equal(opened.handle, 0);
	return opened.handle;
}

static void waitables_end_with_the_handle(void **state)
{
	struct fixture *f = *state;

	for (enum core_lifetime l = CORE_PERMANENT; l < CORE_LIFETIMES; l++) {
		uint64_t node = make_event(f, "event", l), first, second;
		struct core_entry e;

		assert_attribute(f, node, "user.mapping.lifetime", core_lifetime_name(l));
		serve(f, 20);
		assert_true(stands_in_tree(f, "event")); /* nobody held it yet */
		first = open_event(f, node);
		second = open_event(f, node);
		begin_request(f);
		core_release(f->core, node, first);
		assert_true(stands_in_tree(f, "event"));
		begin_request(f);
		core_release(f->core, node, second);
		assert_int_equal(stands_in_tree(f, "event"), l == CORE_PERMANENT);
		if (l == CORE_PERMANENT)
			unlink_name(f, ROOT, "event");
		assert_int_equal(try_lookup(f, ROOT, "event", &e), -ENOENT);
		forget_node(f, node, 1);
		assert_nothing_left(f);
	}
	assert_int_equal(f->world->names_gone, 2);
}

#define PASSTHROUGH(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define CACHED(name)      cmocka_unit_test_setup_teardown(name, fixture_setup_cached, fixture_teardown)
#define ROOTLESS(name)                                                                             \
	cmocka_unit_test_setup_teardown(name, fixture_setup_rootless, fixture_teardown)
#define ALL(name) PASSTHROUGH(name), CACHED(name), ROOTLESS(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    PASSTHROUGH(name_goes_with_the_handle),
	    PASSTHROUGH(pages_go_with_the_view),
	    PASSTHROUGH(ended_is_stale),
	    PASSTHROUGH(forgotten_before_the_event),
	    PASSTHROUGH(unlinked_before),
	    PASSTHROUGH(renamed_in_between),
	    PASSTHROUGH(file_backed),
	    PASSTHROUGH(next_worker_waits_for_the_view),
	    CACHED(release_comes_after_the_view),
	    ROOTLESS(release_comes_after_the_view),
	    ALL(nobody_holds_it),
	    PASSTHROUGH(only_a_view_is_left),
	    ALL(made_permanent_again),
	    PASSTHROUGH(flushed_when_set_with_nobody),
	    ALL(directories_give_it),
	    ALL(directories_stop_giving_it),
	    ALL(mount_gives_it),
	    ALL(waitables_end_with_the_handle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
