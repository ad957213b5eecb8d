/* Limits that come to a tree with something in it, go again, and are kept by a store. */
#include "core/internal.h"
#include "tests/unit/core_limits.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#define ROOT CORE_ROOT_NODE
#define MIB  (1ULL << 20)

static uint64_t sized_file(struct fixture *f, uint64_t parent, const char *name, uint64_t size)
{
	uint64_t node = make_file(f, parent, name);

	assert_int_equal(set_size(f, node, size), 0);
	return node;
}

static uint64_t configured(struct fixture *f, uint64_t parent, const char *name,
			   const struct core_setup *setup)
{
	uint64_t node = make_file(f, parent, name);
	const char *why;

	assert_int_equal(core_configure(f->core, node, setup, &root_caller, &why), 0);
	return node;
}

/* Of every kind, 14 pages that count; known and forgotten. */
static uint64_t used_tree(struct fixture *f, uint64_t parent)
{
	const struct core_setup sparse = {
	    .lifetime = -1, .file_fd = -1, .sparse = true, .set_size = true, .size = PAGES(5)};
	const struct core_setup event = {.type = OBJECT_EVENT, .lifetime = -1, .file_fd = -1};
	struct core_setup bound = {.lifetime = -1};
	uint64_t top = make_dir(f, parent, "t"), sub = make_dir(f, top, "sub"), linked;

	sized_file(f, top, "known", PAGES(3));
	forget_node(f, sized_file(f, top, "forgotten", PAGES(2)), 1);
	forget_node(f, configured(f, sub, "sparse", &sparse), 1);
	forget_node(f, configured(f, sub, "event", &event), 1);
	bound.file_fd = outside_file(f, "file", PAGES(50));
	if (!f->config.rootless)
		configured(f, sub, "bound", &bound);
	close(bound.file_fd);
	linked = sized_file(f, sub, "one", PAGES(2));
	assert_int_equal(link_to(f, linked, top, "two"), 0);
	forget_node(f, linked, 2);
	sized_file(f, sub, "last", PAGES(2) - 1);
	forget_node(f, sub, 1);
	return top;
}

static void a_used_tree_is_counted(void **state)
{
	struct fixture *f = *state;
	uint64_t top = used_tree(f, ROOT), known = look_up(f, top, "known"), sub;

	limit_to(f, top, PAGES(20));
	assert_int_equal(charged_to(f, top), PAGES(14));
	sub = look_up(f, top, "sub");
	assert_int_equal(available_in(f, sub), PAGES(6));
	assert_int_equal(set_size(f, known, PAGES(10)), -ENOSPC);
	assert_int_equal(set_size(f, known, PAGES(9)), 0);
	assert_int_equal(set_size(f, look_up(f, sub, "last"), PAGES(2) + 1), -ENOSPC);
	assert_int_equal(set_size(f, look_up(f, sub, "one"), 0), 0);
	fixture_restart(f);
	assert_int_equal(charged_to(f, top), PAGES(18));
	unlink_name(f, top, "two");
	unlink_name(f, sub, "one");
	assert_int_equal(set_size(f, look_up(f, top, "forgotten"), PAGES(4)), 0);
	assert_int_equal(charged_to(f, top), PAGES(20));
	/* Without a limit nothing is charged, and nothing refused. */
	assert_int_equal(unlimit_as(f, top, 0), 0);
	assert_int_equal(set_size(f, known, PAGES(30)), 0);
	limit_to(f, top, PAGES(41));
	assert_int_equal(charged_to(f, top), PAGES(41));
}

static void less_than_what_is_there(void **state)
{
	struct fixture *f = *state;
	uint64_t top = used_tree(f, ROOT), known = look_up(f, top, "known");
	struct statvfs st;

	limit_to(f, top, PAGES(4));
	st = space_of(f, top);
	assert_int_equal(st.f_blocks * st.f_frsize, PAGES(4));
	assert_int_equal(st.f_bfree, 0);
	assert_int_equal(st.f_bavail, 0);
	assert_int_equal(set_size(f, known, PAGES(3) + 1), -ENOSPC);
	assert_int_equal(write_at(f, known, 1, PAGES(3)), -ENOSPC);
	assert_int_equal(write_at(f, known, PAGES(3), 0), PAGES(3));
	assert_int_equal(set_size(f, known, 1), 0);
	assert_int_equal(set_size(f, known, 2), 0);
	assert_int_equal(set_size(f, known, PAGE_BYTES + 1), -ENOSPC);
	limit_to(f, top, PAGES(13));
	assert_int_equal(set_size(f, known, PAGE_BYTES + 1), 0);
	assert_int_equal(set_size(f, known, PAGES(2) + 1), -ENOSPC);
}

/* Whom would it be charged to? */
static void a_name_outside_is_in_the_way(void **state)
{
	struct fixture *f = *state;
	uint64_t outer = limited_dir(f, ROOT, "o", PAGES(100)), top = used_tree(f, outer), known;

	known = look_up(f, top, "known");
	assert_int_equal(link_to(f, known, outer, "outside"), 0);
	assert_int_equal(limit_as(f, top, "1g", 0), -EXDEV);
	assert_int_equal(charged_to(f, outer), PAGES(14));
	assert_int_equal(core_getxattr(f->core, top, "user.mapping.limit", NULL, 0), -ENODATA);
	assert_int_equal(available_in(f, top), PAGES(86));
	assert_int_equal(set_size(f, known, PAGES(4)), 0);
	assert_int_equal(charged_to(f, outer), PAGES(15));
	unlink_name(f, outer, "outside");
	if (!f->core->tree.by_handle)
		return; /* found by the other name only after it was forgotten */
	assert_int_equal(limit_as(f, top, "1g", 0), 0);
	assert_int_equal(charged_to(f, top), PAGES(15));
	assert_int_equal(charged_to(f, outer), PAGES(15));
}

static void limits_come_and_go_between(void **state)
{
	struct fixture *f = *state;
	uint64_t outer = limited_dir(f, ROOT, "o", PAGES(100)), middle = make_dir(f, outer, "m");
	uint64_t inner = limited_dir(f, middle, "i", PAGES(9)), top = used_tree(f, middle);
	uint64_t a = sized_file(f, inner, "a", PAGES(7));

	forget_node(f, a, 1);
	forget_node(f, inner, 1);
	limit_to(f, middle, PAGES(22));
	assert_int_equal(charged_to(f, middle), PAGES(21));
	assert_int_equal(charged_to(f, outer), PAGES(21));
	inner = look_up(f, middle, "i");
	assert_int_equal(charged_to(f, inner), PAGES(7));
	a = look_up(f, inner, "a");
	assert_int_equal(set_size(f, a, PAGES(9)), -ENOSPC);
	assert_int_equal(set_size(f, a, PAGES(8)), 0);
	limit_to(f, top, PAGES(1));
	assert_int_equal(charged_to(f, top), PAGES(14));
	fixture_restart(f);
	assert_int_equal(unlimit_as(f, middle, 0), 0);
	assert_int_equal(charged_to(f, outer), PAGES(22));
	assert_int_equal(set_size(f, a, PAGES(10)), -ENOSPC);
	assert_int_equal(set_size(f, a, PAGES(9)), 0);
	assert_int_equal(unlimit_as(f, inner, 0), 0);
	assert_int_equal(set_size(f, a, PAGES(86)), 0);
	assert_int_equal(set_size(f, a, PAGES(87)), -ENOSPC);
	assert_int_equal(unlimit_as(f, top, 0), 0);
	assert_int_equal(charged_to(f, outer), PAGES(100));
	fixture_restart(f);
	assert_int_equal(charged_to(f, outer), PAGES(100));
	assert_int_equal(charged_to(f, outer), lies_below(f, "o"));
}

/* What lost its name before is the outer one's. */
static void orphans_stay_outside(void **state)
{
	struct fixture *f = *state;
	uint64_t outer = limited_dir(f, ROOT, "o", PAGES(10)), top = make_dir(f, outer, "t");
	uint64_t orphan = create_open(f, top, "orphan");

	assert_int_equal(set_size(f, orphan, PAGES(4)), 0);
	unlink_name(f, top, "orphan");
	limit_to(f, top, PAGES(2));
	assert_int_equal(charged_to(f, top), 0);
	assert_int_equal(charged_to(f, outer), PAGES(4));
	assert_int_equal(set_size(f, orphan, PAGES(9)), 0);
	release_node(f, orphan);
	forget_node(f, orphan, 1);
	assert_int_equal(charged_to(f, outer), 0);
}

/* It had asked before there was anybody to ask; it ends, and is charged. */
static void growth_under_way_is_charged(void **state)
{
	struct fixture *f = *state;
	uint64_t top = make_dir(f, ROOT, "t"), a = make_file(f, top, "a");
	uint64_t outer, b;
	struct growth growth;

	start_growth(f, a, 20 * MIB, &growth);
	assert_true(growth.deferred);
	limit_to(f, top, 10 * MIB);
	WAIT_FOR(f, growth.answered, 10000);
	assert_int_equal(growth.error, 0);
	stat_of(f, a);
	assert_int_equal(charged_to(f, top), 20 * MIB);
	/* And one that was charged stays so, whoever it is charged to. */
	outer = limited_dir(f, ROOT, "o", 30 * MIB);
	top = make_dir(f, outer, "t");
	b = make_file(f, top, "b");
	start_growth(f, b, 20 * MIB, &growth);
	assert_true(growth.deferred);
	limit_to(f, top, 25 * MIB);
	assert_int_equal(charged_to(f, top), 20 * MIB);
	assert_int_equal(charged_to(f, outer), 20 * MIB);
	WAIT_FOR(f, growth.answered, 10000);
	assert_int_equal(growth.error, 0);
	assert_int_equal(charged_to(f, top), 20 * MIB);
}

static void grow_unseen(struct fixture *f, const char *path, uint64_t size)
{
	AUTO_CLOSE int tree = openat(f->tree_fd, "tree", O_PATH | O_CLOEXEC);
	AUTO_CLOSE int fd = openat(tree, path, O_RDWR | O_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
}

/* A handle from before the limit writes through its backing id. */
static void unseen_growth_is_charged_late(void **state)
{
	struct fixture *f = *state;
	uint64_t top = limited_dir(f, ROOT, "t", PAGES(10)), a = make_file(f, top, "a"), b;

	grow_unseen(f, "t/a", PAGES(4));
	assert_int_equal(charged_to(f, top), 0);
	stat_of(f, a);
	assert_int_equal(charged_to(f, top), PAGES(4));
	grow_unseen(f, "t/a", PAGES(9));
	forget_node(f, a, 1); /* the last chance to see it */
	assert_int_equal(charged_to(f, top), PAGES(9));
	b = make_file(f, top, "b");
	grow_unseen(f, "t/b", PAGES(20));
	stat_of(f, b);
	assert_int_equal(charged_to(f, top), PAGES(29));
	assert_int_equal(available_in(f, top), 0);
	unlink_name(f, top, "b");
	grow_unseen(f, "t/a", PAGES(1));
	forget_node(f, b, 1);
	assert_int_equal(charged_to(f, top), PAGES(9));
	a = look_up(f, top, "a"); /* a store that somebody else works in */
	assert_int_equal(set_size(f, a, PAGES(10)), -ENOSPC);
	assert_int_equal(set_size(f, a, 0), 0);
	assert_true(charged_to(f, top) <= PAGES(9));
}

static void there_can_be_many(void **state)
{
	struct fixture *f = *state;
	uint64_t nodes[STATE_ACCOUNTS];
	char name[16];

	for (unsigned i = 1; i < STATE_ACCOUNTS; i++) {
		snprintf(name, sizeof name, "%u", i);
		nodes[i] = limited_dir(f, ROOT, name, PAGES(i));
	}
	nodes[0] = make_dir(f, ROOT, "one more");
	assert_int_equal(limit_as(f, nodes[0], "1m", 0), -ENFILE);
	remove_dir(f, ROOT, "77");
	forget_node(f, nodes[77], 1);
	assert_int_equal(limit_as(f, nodes[0], "1m", 0), 0);
	fixture_restart(f);
	assert_int_equal(available_in(f, nodes[4095]), PAGES(4095));
	assert_int_equal(available_in(f, nodes[0]), MIB);
}

/* --- a store --- */

struct store {
	struct fixture *fixture;
	int tmpfs; /* the fixture's own */
	char path[64];
};

static int store_setup(void **state)
{
	struct store *s = calloc(1, sizeof *s);
	struct statfs fs;

	snprintf(s->path, sizeof s->path, "./store.XXXXXX");
	if (!mkdtemp(s->path))
		return -1;
	s->fixture = fixture_new(true, false);
	s->tmpfs = s->fixture->tree_fd;
	s->fixture->tree_fd = s->fixture->config.tree_fd =
	    open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	alarm(60);
	*state = s;
	if (fstatfs(s->fixture->tree_fd, &fs) < 0 || fs.f_type == 0x01021994 || geteuid() != 0)
		return 0; /* no real file system here: the test skips itself */
	return fixture_start(s->fixture);
}

static int store_teardown(void **state)
{
	struct store *s = *state;
	struct fixture *f = s->fixture;
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", s->path);
	fixture_stop(f);
	close(f->tree_fd);
	f->tree_fd = s->tmpfs;
	fixture_free(f);
	alarm(0);
	free(s);
	return system(command) == 0 ? 0 : -1;
}

/* The machine was off: nothing is left but what is in the tree. */
static void mount_again(struct fixture *f)
{
	fixture_stop(f);
	fixture_drain(f);
	while (f->held_count)
		close(f->held[--f->held_count].fd);
	close(f->config.state_fd);
	f->config.state_fd = memfd_create("state", MFD_CLOEXEC);
	assert_int_equal(fixture_start(f), 0);
}

static void a_store_keeps_limits(void **state)
{
	struct store *s = *state;
	struct fixture *f = s->fixture;
	uint64_t outer, top, inner, gone, a;

	if (!f->core)
		skip();
	outer = limited_dir(f, ROOT, "o", PAGES(50));
	top = used_tree(f, outer);
	inner = limited_dir(f, top, "i", PAGES(8));
	gone = limited_dir(f, ROOT, "gone", PAGES(1));
	assert_int_equal(unlimit_as(f, gone, 0), 0);
	a = create_open(f, inner, "a");
	assert_int_equal(set_size(f, a, PAGES(4)), 0);
	a = create_open(f, inner, "temporary");
	assert_int_equal(set_size(f, a, PAGES(3)), 0);
	assert_int_equal(set_lifetime(f, a, "temporary"), 0);
	assert_int_equal(charged_to(f, outer), PAGES(21));
	mount_again(f);
	outer = look_up(f, ROOT, "o");
	top = look_up(f, outer, "t");
	inner = look_up(f, top, "i");
	assert_int_equal(charged_to(f, outer), PAGES(18));
	assert_attribute(f, inner, "user.mapping.limit", "32768");
	assert_int_equal(charged_to(f, inner), PAGES(4));
	assert_int_equal(
	    core_getxattr(f->core, look_up(f, ROOT, "gone"), "user.mapping.limit", NULL, 0),
	    -ENODATA);
	a = look_up(f, inner, "a");
	assert_int_equal(set_size(f, a, PAGES(9)), -ENOSPC);
	assert_int_equal(set_size(f, a, PAGES(8)), 0);
	assert_int_equal(limit_as(f, inner, "1g", 1000), -EPERM);
	limit_to(f, ROOT, PAGES(60));
	fixture_restart(f);
	mount_again(f);
	assert_int_equal(charged_to(f, ROOT), PAGES(22));
	assert_attribute(f, ROOT, "user.mapping.limit", "245760");
}

#define TEST(name)  cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define PLACE(name) cmocka_unit_test_setup_teardown(name, fixture_setup_rootless, fixture_teardown)
#define BOTH(name)  TEST(name), PLACE(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOTH(a_used_tree_is_counted),
	    BOTH(less_than_what_is_there),
	    BOTH(a_name_outside_is_in_the_way),
	    BOTH(limits_come_and_go_between),
	    BOTH(orphans_stay_outside),
	    BOTH(growth_under_way_is_charged),
	    BOTH(unseen_growth_is_charged_late),
	    TEST(there_can_be_many),
	    cmocka_unit_test_setup_teardown(a_store_keeps_limits, store_setup, store_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
