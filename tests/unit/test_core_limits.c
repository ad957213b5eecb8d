/* Limits of directory trees: what is charged, what is refused, what comes back. */
#include "tests/unit/core_limits.h"

#include <linux/falloc.h>
#include <linux/fs.h>

#define ROOT CORE_ROOT_NODE
#define MIB  (1ULL << 20)

/* --- the attribute --- */

static void limit_is_an_attribute(void **state)
{
	static const char *const wrong[] = {
	    "", "x", "-1", "1x", "1kk", "k", " 1", "1.5m", "99999999999999999999", "9000000t"};
	static const struct {
		const char *value, *bytes;
	} rows[] = {{"65536", "65536"},   {"64k", "65536"},        {"3M", "3145728"},
		    {"1g", "1073741824"}, {"2T", "2199023255552"}, {"4097", "4097"}};
	struct fixture *f = *state;
	uint64_t dir = make_dir(f, ROOT, "d"), file = make_file(f, ROOT, "file");
	char list[512];

	assert_int_equal(core_getxattr(f->core, dir, "user.mapping.limit", list, sizeof list),
			 -ENODATA);
	assert_int_equal(unlimit_as(f, dir, 0), -ENODATA);
	assert_int_equal(limit_as(f, dir, "0", 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(limit_as(f, dir, wrong[i], 0), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(limit_as(f, dir, rows[i].value, 0), 0);
		assert_attribute(f, dir, "user.mapping.limit", rows[i].bytes);
		assert_attribute(f, dir, "user.mapping.commit", "0");
	}
	assert_true(core_listxattr(f->core, dir, list, sizeof list) > 0);
	assert_non_null(memmem(list, sizeof list, "user.mapping.limit", 19));
	assert_int_equal(limit_as(f, file, "1m", 0), -EPERM);
	assert_int_equal(unlimit_as(f, dir, 0), 0);
	assert_int_equal(core_getxattr(f->core, dir, "user.mapping.limit", list, sizeof list),
			 -ENODATA);
	assert_int_equal(limit_as(f, dir, "1m", 0), 0);
	assert_int_equal(limit_as(f, dir, "0", 0), 0);
	assert_int_equal(unlimit_as(f, dir, 0), -ENODATA);
}

static void owner_may_while_it_is_empty(void **state)
{
	const struct core_caller owner = {.uid = 1000, .gid = 1000, .umask = 022};
	struct fixture *f = *state;
	struct core_entry dir;
	uint64_t file;

	begin_request(f);
	assert_int_equal(core_mkdir(f->core, ROOT, "own", 0755, &owner, &dir), 0);
	if (f->config.rootless)
		return; /* all is one user's */
	assert_int_equal(limit_as(f, dir.node, "1m", 1001), -EPERM);
	assert_int_equal(limit_as(f, dir.node, "1m", 1000), 0);
	assert_int_equal(limit_as(f, dir.node, "2m", 1000), 0);
	file = make_file(f, dir.node, "file");
	assert_int_equal(limit_as(f, dir.node, "3m", 1000), -ENOTEMPTY);
	assert_int_equal(unlimit_as(f, dir.node, 1000), -ENOTEMPTY);
	assert_attribute(f, dir.node, "user.mapping.limit", "2097152");
	unlink_name(f, dir.node, "file");
	forget_node(f, file, 1);
	assert_int_equal(unlimit_as(f, dir.node, 1001), -EPERM);
	assert_int_equal(unlimit_as(f, dir.node, 1000), 0);
	assert_int_equal(limit_as(f, dir.node, "1m", 0), 0); /* what root sets, root changes */
	assert_int_equal(limit_as(f, dir.node, "2m", 1000), -EPERM);
	assert_int_equal(limit_as(f, dir.node, "0", 1000), -EPERM);
	assert_int_equal(unlimit_as(f, dir.node, 1000), -EPERM);
	assert_int_equal(unlimit_as(f, dir.node, 0), 0);
}

/* --- every way to grow --- */

static void growth_stops_at_the_limit(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = limited_dir(f, ROOT, "d", PAGES(10) + 5);
	uint64_t a = create_open(f, dir, "a"), b = make_file(f, dir, "b");

	assert_int_equal(set_size(f, a, PAGES(6) + 1), 0);
	assert_int_equal(charged_to(f, dir), PAGES(7));
	assert_int_equal(available_in(f, dir), PAGES(3));
	assert_int_equal(set_size(f, b, PAGES(3) + 1), -ENOSPC);
	assert_int_equal(stat_of(f, b).st_size, 0);
	assert_int_equal(set_size(f, b, PAGES(3)), 0);
	assert_int_equal(set_size(f, b, PAGES(3) + 1), -ENOSPC);
	assert_int_equal(set_size(f, a, PAGES(7)), 0); /* inside the last page */
	assert_int_equal(set_size(f, a, INT64_MAX), -ENOSPC);
	assert_int_equal(available_in(f, dir), 0);
	assert_int_equal(charged_to(f, dir), lies_below(f, "d"));
	assert_int_equal(set_size(f, a, 0), 0);
	assert_int_equal(charged_to(f, dir), PAGES(3));
	release_node(f, a);
	unlink_name(f, dir, "a");
	unlink_name(f, dir, "b");
	forget_node(f, a, 1);
	assert_int_equal(charged_to(f, dir), PAGES(3)); /* known yet */
	forget_node(f, b, 1);
	assert_int_equal(charged_to(f, dir), 0);
	remove_dir(f, ROOT, "d");
	forget_node(f, dir, 1);
	assert_nothing_left(f);
}

static void allocation_is_charged(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = limited_dir(f, ROOT, "d", PAGES(10)), a = make_file(f, dir, "a");

	assert_int_equal(core_fallocate(f->core, a, 0, 0, PAGES(11)), -ENOSPC);
	assert_int_equal(core_fallocate(f->core, a, 0, PAGES(4), PAGES(2)), 0);
	assert_int_equal(charged_to(f, dir), PAGES(6));
	assert_int_equal(core_fallocate(f->core, a, 0, PAGES(5), PAGES(6)), -ENOSPC);
	assert_int_equal(stat_of(f, a).st_size, PAGES(6));
	/* Nobody would be charged for these. */
	assert_int_equal(core_fallocate(f->core, a, FALLOC_FL_KEEP_SIZE, 0, PAGES(7)), -EOPNOTSUPP);
	assert_int_equal(core_fallocate(f->core, a, FALLOC_FL_KEEP_SIZE, 0, PAGES(6)), 0);
	assert_int_equal(
	    core_fallocate(f->core, a, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGES(30)),
	    0);
	assert_int_equal(charged_to(f, dir), PAGES(6));
	fail_call(f, FAULT_FALLOCATE, -ENOSPC, 1);
	assert_int_equal(core_fallocate(f->core, a, 0, 0, PAGES(8)), -ENOSPC);
	assert_int_equal(charged_to(f, dir), PAGES(6));
	fail_call(f, FAULT_FTRUNCATE, -EFBIG, 1);
	assert_int_equal(set_size(f, a, PAGES(8)), -EFBIG);
	assert_int_equal(charged_to(f, dir), PAGES(6));
	assert_int_equal(usage_of(f).committed, 0);
}

static void writes_stop_like_on_a_full_disk(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = limited_dir(f, ROOT, "d", PAGES(10));
	uint64_t a = create_open(f, dir, "a"), b = make_file(f, dir, "b");

	assert_int_equal(write_at(f, a, PAGES(4) + 1, 0), PAGES(4) + 1);
	assert_int_equal(charged_to(f, dir), PAGES(5));
	assert_int_equal(write_at(f, a, PAGE_BYTES - 1, PAGES(4) + 1), PAGE_BYTES - 1);
	assert_int_equal(write_at(f, a, PAGES(8), PAGES(4) + 5), PAGES(6) - 5);
	assert_int_equal(write_at(f, a, 1, PAGES(10)), -ENOSPC);
	assert_int_equal(write_at(f, a, 1, PAGES(100)), -ENOSPC);
	assert_int_equal(write_at(f, b, 1, 0), -ENOSPC);
	assert_int_equal(write_at(f, b, 0, 0), 0);
	assert_int_equal(write_at(f, a, PAGES(10), 0), PAGES(10));
	assert_int_equal(stat_of(f, a).st_size, PAGES(10));
	assert_int_equal(stat_of(f, b).st_size, 0);
	assert_int_equal(charged_to(f, dir), PAGES(10));
}

/* Only these need it: a plain write through a backing id asks nobody. */
static void handles_that_write_ask(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = limited_dir(f, ROOT, "d", PAGES(10)), in, out;
	bool passthrough = f->config.data.attach != NULL;
	struct core_opened opened;
	struct core_entry entry;

	begin_request(f);
	assert_int_equal(core_create_file(f->core, dir, "in", 0644, O_WRONLY | O_CREAT,
					  &root_caller, &entry, &opened),
			 0);
	assert_int_equal(opened.direct, passthrough);
	in = entry.node;
	out = make_file(f, ROOT, "out");
	begin_request(f);
	assert_int_equal(core_open(f->core, in, O_RDWR, &opened), 0);
	assert_int_equal(opened.direct, passthrough);
	assert_int_equal(opened.backing_id != 0, passthrough);
	begin_request(f);
	assert_int_equal(core_open(f->core, in, O_RDONLY, &opened), 0);
	assert_false(opened.direct);
	begin_request(f);
	assert_int_equal(core_open(f->core, out, O_RDWR, &opened), 0);
	assert_false(opened.direct);
}

static void configured_sizes_are_charged(void **state)
{
	struct core_setup setup = {
	    .lifetime = -1, .file_fd = -1, .set_size = true, .size = PAGES(11)};
	struct fixture *f = *state;
	uint64_t dir = limited_dir(f, ROOT, "d", PAGES(10)), a = make_file(f, dir, "a");
	const char *why = NULL;

	for (int sparse = 0; sparse < 2; sparse++) {
		setup.sparse = sparse;
		assert_int_equal(core_configure(f->core, a, &setup, &root_caller, &why), -ENOSPC);
		assert_non_null(strstr(why, "limit of the directory"));
		assert_int_equal(charged_to(f, dir), 0);
	}
	setup.size = PAGES(9);
	assert_int_equal(core_configure(f->core, a, &setup, &root_caller, &why), 0);
	/* Sparse, and charged for all of it: who has a view can touch it. */
	assert_int_equal(charged_to(f, dir), PAGES(9));
	assert_int_equal(usage_of(f).committed, 0);
	assert_int_equal(set_size(f, a, PAGES(11)), -ENOSPC);
	assert_int_equal(set_size(f, a, PAGES(10)), 0);
	assert_int_equal(write_at(f, a, 1, PAGES(10)), -ENOSPC);
}

static void files_and_waitables_cost_nothing(void **state)
{
	struct core_setup setup = {.type = OBJECT_EVENT, .lifetime = -1, .file_fd = -1};
	struct fixture *f = *state;
	uint64_t dir = limited_dir(f, ROOT, "d", PAGES(1)), other, event, bound;
	int file = outside_file(f, "file", PAGES(50));
	const char *why;

	event = make_file(f, dir, "event");
	assert_int_equal(core_configure(f->core, event, &setup, &root_caller, &why), 0);
	bound = make_file(f, dir, "bound");
	setup = (struct core_setup){.lifetime = -1, .file_fd = file};
	assert_int_equal(core_configure(f->core, bound, &setup, &root_caller, &why), 0);
	assert_int_equal(stat_of(f, bound).st_size, PAGES(50));
	assert_int_equal(set_size(f, bound, PAGES(60)), 0);
	assert_int_equal(write_at(f, bound, 10, PAGES(60)), 10);
	assert_int_equal(charged_to(f, dir), 0);
	/* So they may go where they like. */
	other = limited_dir(f, ROOT, "other", PAGES(1));
	assert_int_equal(rename_to(f, dir, "bound", other, "bound", 0), 0);
	assert_int_equal(rename_to(f, dir, "event", ROOT, "event", 0), 0);
	assert_int_equal(available_in(f, bound), PAGES(1));
	assert_int_equal(link_to(f, bound, dir, "again"), 0);
	close(file);
}

static void unnamed_ones_are_charged(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = limited_dir(f, ROOT, "d", PAGES(10)), node;
	struct core_opened opened;
	struct core_entry entry;

	begin_request(f);
	assert_int_equal(core_tmpfile(f->core, dir, 0644, O_RDWR, &root_caller, &entry, &opened),
			 0);
	assert_int_equal(opened.direct, f->config.data.attach != NULL);
	node = entry.node;
	assert_int_equal(set_size(f, node, PAGES(11)), -ENOSPC);
	assert_int_equal(set_size(f, node, PAGES(7)), 0);
	fixture_restart(f);
	assert_int_equal(charged_to(f, dir), PAGES(7));
	assert_int_equal(link_to(f, node, ROOT, "name"), -EXDEV);
	assert_int_equal(link_to(f, node, dir, "name"), 0);
	assert_int_equal(charged_to(f, dir), PAGES(7));
	begin_request(f);
	assert_int_equal(core_tmpfile(f->core, dir, 0644, O_RDWR, &root_caller, &entry, &opened),
			 0);
	assert_int_equal(set_size(f, entry.node, PAGES(3)), 0);
	assert_int_equal(set_size(f, entry.node, PAGES(4)), -ENOSPC);
	release_node(f, entry.node);
	forget_node(f, entry.node, 1);
	assert_int_equal(charged_to(f, dir), PAGES(7));
}

/* Neither may be promised what the other was. */
static void two_growths_under_way_at_once(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = limited_dir(f, ROOT, "d", 40 * MIB);
	uint64_t a = make_file(f, dir, "a"), b = make_file(f, dir, "b"), c = make_file(f, dir, "c");
	struct growth first, second, third;

	start_growth(f, a, 25 * MIB, &first);
	assert_true(first.deferred);
	stat_of(f, a); /* a look in between takes nothing back */
	start_growth(f, b, 25 * MIB, &second);
	assert_int_equal(second.error, -ENOSPC);
	start_growth(f, c, 17 * MIB, &third);
	assert_int_equal(third.error, -ENOSPC);
	assert_int_equal(set_size(f, b, 15 * MIB), 0);
	assert_int_equal(write_at(f, c, 1, 0), -ENOSPC);
	WAIT_FOR(f, first.answered, 10000);
	assert_int_equal(first.error, 0);
	assert_int_equal(charged_to(f, dir), lies_below(f, "d"));
	fail_call(f, FAULT_FALLOCATE, -ENOSPC, 1); /* what fails gives it back */
	assert_int_equal(set_size(f, a, 0), 0);
	start_growth(f, a, 20 * MIB, &first);
	assert_true(first.deferred);
	WAIT_FOR(f, first.answered, 10000);
	assert_int_equal(first.error, -ENOSPC);
	assert_int_equal(charged_to(f, dir), 15 * MIB);
}

/* --- trees in trees --- */

static void inner_limits_count_for_outer_ones(void **state)
{
	struct fixture *f = *state;
	uint64_t outer = limited_dir(f, ROOT, "o", PAGES(10));
	uint64_t plain = make_dir(f, outer, "p"), inner = limited_dir(f, plain, "i", PAGES(8));
	uint64_t deep = limited_dir(f, inner, "d", PAGES(100));
	uint64_t a = make_file(f, plain, "a"), b = make_file(f, inner, "b"),
		 c = make_file(f, deep, "c");
	struct statvfs st;

	assert_int_equal(set_size(f, a, PAGES(4)), 0);
	assert_int_equal(available_in(f, outer), PAGES(6));
	assert_int_equal(available_in(f, plain), PAGES(6));
	assert_int_equal(available_in(f, inner), PAGES(6));
	assert_int_equal(available_in(f, deep), PAGES(6));
	assert_int_equal(available_in(f, c), PAGES(6));
	st = space_of(f, inner);
	assert_int_equal(st.f_blocks * st.f_frsize, PAGES(8));
	assert_int_equal(st.f_bfree, st.f_blocks);
	assert_int_equal(set_size(f, c, PAGES(7)), -ENOSPC);
	assert_int_equal(set_size(f, c, PAGES(5)), 0);
	assert_int_equal(set_size(f, b, PAGES(2)), -ENOSPC);
	assert_int_equal(set_size(f, b, PAGES(1)), 0);
	assert_int_equal(charged_to(f, outer), PAGES(10));
	assert_int_equal(charged_to(f, inner), PAGES(6));
	assert_int_equal(charged_to(f, deep), PAGES(5));
	st = space_of(f, deep);
	assert_int_equal((st.f_blocks - st.f_bfree) * st.f_frsize, PAGES(5));
	assert_int_equal(st.f_bavail, 0);
	assert_int_equal(set_size(f, a, 0), 0);
	assert_int_equal(set_size(f, c, PAGES(8)), -ENOSPC); /* the one in the middle */
	assert_int_equal(set_size(f, c, PAGES(7)), 0);
	fixture_restart(f);
	assert_int_equal(charged_to(f, outer), PAGES(8));
	assert_int_equal(charged_to(f, inner), PAGES(8));
	assert_int_equal(charged_to(f, deep), PAGES(7));
	assert_int_equal(available_in(f, outer), PAGES(2));
	assert_int_equal(available_in(f, deep), 0);
}

static void the_mount_itself_is_the_least(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = limited_dir(f, ROOT, "d", 1ULL << 40), out = make_file(f, ROOT, "out");
	struct statvfs whole = space_of(f, ROOT), st = space_of(f, dir);

	assert_int_equal(st.f_blocks, whole.f_blocks);
	assert_int_equal(st.f_bavail, whole.f_bavail);
	assert_int_equal(set_size(f, out, 10 * MIB), 0);
	assert_int_equal(available_in(f, dir), available_in(f, ROOT));
	assert_true(available_in(f, dir) < whole.f_bavail * whole.f_frsize);
	/* And the mount as a whole can have one. */
	limit_to(f, ROOT, 12 * MIB);
	assert_int_equal(charged_to(f, ROOT), 10 * MIB);
	assert_int_equal(available_in(f, dir), 2 * MIB);
	assert_int_equal(set_size(f, out, 13 * MIB), -ENOSPC);
	fixture_restart(f);
	assert_int_equal(charged_to(f, ROOT), 10 * MIB);
	assert_int_equal(unlimit_as(f, ROOT, 0), 0);
	assert_int_equal(set_size(f, out, 13 * MIB), 0);
}

static void charged_for_stays_where_it_is(void **state)
{
	struct fixture *f = *state;
	uint64_t d = limited_dir(f, ROOT, "d", PAGES(10)), e = limited_dir(f, ROOT, "e", PAGES(10));
	uint64_t sub = make_dir(f, d, "sub"), own = limited_dir(f, d, "own", PAGES(3));
	uint64_t a = make_file(f, d, "a"), b = make_file(f, e, "b");

	assert_int_equal(set_size(f, a, PAGES(3)), 0);
	assert_int_equal(rename_to(f, d, "a", e, "a", 0), -EXDEV);
	assert_int_equal(rename_to(f, d, "a", ROOT, "a", 0), -EXDEV);
	assert_int_equal(rename_to(f, d, "a", own, "a", 0), -EXDEV);
	assert_int_equal(rename_to(f, d, "a", e, "b", RENAME_EXCHANGE), -EXDEV);
	assert_int_equal(rename_to(f, d, "sub", ROOT, "sub", 0), -EXDEV);
	assert_int_equal(rename_to(f, d, "own", e, "own", 0), -EXDEV);
	assert_int_equal(link_to(f, a, e, "a"), -EXDEV);
	assert_int_equal(link_to(f, a, ROOT, "a"), -EXDEV);
	assert_int_equal(rename_to(f, d, "a", sub, "a", 0), 0);
	assert_int_equal(rename_to(f, d, "own", sub, "own", 0), 0);
	assert_int_equal(rename_to(f, ROOT, "d", ROOT, "dd", 0), 0); /* both in the mount's */
	assert_int_equal(link_to(f, a, d, "second"), 0);
	assert_int_equal(charged_to(f, d), PAGES(3));
	unlink_name(f, sub, "a");
	assert_int_equal(charged_to(f, d), PAGES(3));
	begin_request(f);
	assert_int_equal(
	    core_symlink(f->core, d, "link", "x", &root_caller, &(struct core_entry){0}), 0);
	assert_int_equal(rename_to(f, d, "link", e, "link", 0), 0);
	unlink_name(f, d, "second");
	forget_node(f, a, 2);
	assert_int_equal(charged_to(f, d), 0);
	assert_int_equal(charged_to(f, e), 0);
	(void)b;
}

/* --- what comes and goes --- */

static void forgotten_inodes_stay_charged(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = limited_dir(f, ROOT, "d", PAGES(10)), a = make_file(f, dir, "a"), b;

	assert_int_equal(set_size(f, a, PAGES(6)), 0);
	forget_node(f, a, 1);
	assert_int_equal(charged_to(f, dir), PAGES(6));
	forget_node(f, dir, 1);
	fixture_restart(f);
	dir = look_up(f, ROOT, "d");
	assert_int_equal(charged_to(f, dir), PAGES(6));
	assert_attribute(f, dir, "user.mapping.limit", "40960");
	b = make_file(f, dir, "b");
	assert_int_equal(set_size(f, b, PAGES(5)), -ENOSPC);
	a = look_up(f, dir, "a");
	assert_int_equal(set_size(f, a, PAGES(5)), 0);
	assert_int_equal(set_size(f, b, PAGES(5)), 0);
	forget_node(f, a, 1);
	unlink_name(f, dir, "a"); /* which the kernel does not do to what it does not know */
	assert_int_equal(charged_to(f, dir), PAGES(5));
}

static void temporary_ones_give_back(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = limited_dir(f, ROOT, "d", PAGES(10)), a = create_open(f, dir, "a");

	assert_int_equal(set_lifetime(f, a, "temporary"), 0);
	assert_int_equal(set_size(f, a, PAGES(6)), 0);
	release_node(f, a);
	WAIT_FOR(f, charged_to(f, dir) == 0, 5000);
	forget_node(f, a, 1);
	assert_int_equal(charged_to(f, dir), 0);
	a = create_open(f, dir, "a");
	assert_int_equal(set_lifetime(f, a, "handle"), 0);
	assert_int_equal(set_size(f, a, PAGES(6)), 0);
	release_node(f, a);
	forget_node(f, a, 1);
	WAIT_FOR(f, charged_to(f, dir) == 0, 5000);
	remove_dir(f, ROOT, "d");
	forget_node(f, dir, 1);
	assert_nothing_left(f);
}

/* A removed directory's open orphans go on being charged to what is around it. */
static void orphans_outlive_their_limit(void **state)
{
	struct fixture *f = *state;
	uint64_t outer = limited_dir(f, ROOT, "o", PAGES(10));
	uint64_t inner = limited_dir(f, outer, "i", PAGES(6)), a = create_open(f, inner, "a");
	uint64_t again;

	assert_int_equal(set_size(f, a, PAGES(4)), 0);
	unlink_name(f, inner, "a");
	remove_dir(f, outer, "i");
	again = make_dir(f, outer, "i");
	assert_int_equal(available_in(f, again), PAGES(6));
	forget_node(f, inner, 1);
	assert_int_equal(charged_to(f, outer), PAGES(4));
	assert_int_equal(set_size(f, a, PAGES(11)), -ENOSPC);
	assert_int_equal(set_size(f, a, PAGES(7)), 0); /* more than the inner one's */
	assert_int_equal(charged_to(f, outer), PAGES(7));
	fixture_restart(f);
	release_node(f, a);
	forget_node(f, a, 1);
	assert_int_equal(charged_to(f, outer), 0);
}

/* --- a storm --- */

struct storm {
	uint64_t dirs[4], nodes[24];
	unsigned dir_of[24];
};

static void storm_step(struct fixture *f, struct storm *s, unsigned *random)
{
	unsigned i = (unsigned)rand_r(random) % ARRAY_SIZE(s->nodes), what;
	uint64_t size = (uint64_t)rand_r(random) % PAGES(9);
	char name[16];

	snprintf(name, sizeof name, "%u", i);
	what = s->nodes[i] ? (unsigned)rand_r(random) % 8 : 9;
	if (what == 9) {
		s->dir_of[i] = (unsigned)rand_r(random) % ARRAY_SIZE(s->dirs);
		s->nodes[i] = create_open(f, s->dirs[s->dir_of[i]], name);
	} else if (what < 3) {
		assert_in_range(-set_size(f, s->nodes[i], size), 0, ENOSPC);
	} else if (what < 5) {
		assert_true(write_at(f, s->nodes[i], 100, size) != -EIO);
	} else if (what == 5) {
		begin_request(f);
		core_fallocate(f->core, s->nodes[i], 0, (off_t)(size / 2), (off_t)size + 1);
	} else {
		unlink_name(f, s->dirs[s->dir_of[i]], name);
		release_node(f, s->nodes[i]);
		forget_node(f, s->nodes[i], 1);
		s->nodes[i] = 0;
	}
}

static void sums_are_what_is_there(void **state)
{
	static const char *const names[] = {"o", "o/a", "o/a/b", "o/c"};
	struct fixture *f = *state;
	struct storm s = {0};
	unsigned random = 7;

	s.dirs[0] = limited_dir(f, ROOT, "o", PAGES(60));
	s.dirs[1] = limited_dir(f, s.dirs[0], "a", PAGES(30));
	s.dirs[2] = limited_dir(f, s.dirs[1], "b", PAGES(25));
	s.dirs[3] = limited_dir(f, s.dirs[0], "c", PAGES(40));
	for (int step = 0; step < 3000; step++) {
		storm_step(f, &s, &random);
		if (step % 500 == 499)
			fixture_restart(f);
		for (size_t i = 0; step % 10 == 0 && i < ARRAY_SIZE(names); i++)
			assert_int_equal(charged_to(f, s.dirs[i]), lies_below(f, names[i]));
		assert_true(charged_to(f, s.dirs[0]) <= PAGES(60));
		assert_true(charged_to(f, s.dirs[2]) <= PAGES(25));
	}
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define CACHED(name) cmocka_unit_test_setup_teardown(name, fixture_setup_cached, fixture_teardown)
#define PLACE(name)  cmocka_unit_test_setup_teardown(name, fixture_setup_rootless, fixture_teardown)
#define EVERY(name)  TEST(name), CACHED(name), PLACE(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    EVERY(limit_is_an_attribute),
	    TEST(owner_may_while_it_is_empty),
	    EVERY(growth_stops_at_the_limit),
	    EVERY(allocation_is_charged),
	    EVERY(writes_stop_like_on_a_full_disk),
	    EVERY(handles_that_write_ask),
	    EVERY(configured_sizes_are_charged),
	    TEST(files_and_waitables_cost_nothing),
	    EVERY(unnamed_ones_are_charged),
	    EVERY(two_growths_under_way_at_once),
	    EVERY(inner_limits_count_for_outer_ones),
	    EVERY(the_mount_itself_is_the_least),
	    EVERY(charged_for_stays_where_it_is),
	    EVERY(forgotten_inodes_stay_charged),
	    EVERY(temporary_ones_give_back),
	    EVERY(orphans_outlive_their_limit),
	    EVERY(sums_are_what_is_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
