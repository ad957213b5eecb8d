/* Limits of users: what is counted is what is there, whatever is done; over a limit EDQUOT; root is
 * free; a count that was lost is found again. */
#include "core/user.h"
#include "tests/unit/core_limits.h"
#include "tests/unit/core_users.h"

#include <sys/xattr.h>

#define ROOT CORE_ROOT_NODE

enum { ALICE = 1000, BOB = 1001 };

static const struct core_caller alice = {.uid = ALICE, .gid = ALICE, .umask = 022};

static void begin_as(struct fixture *f, uid_t uid)
{
	begin_request(f);
	core_request_from(f->core, uid, 0);
}

static void assert_use(struct fixture *f, uid_t uid, uint64_t objects, uint64_t bytes)
{
	const char *wrong = users_miscounted(f);

	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(use_of(f, uid).objects, objects);
	assert_int_equal(use_of(f, uid).bytes, bytes);
}

static int make_as(struct fixture *f, const struct core_caller *caller, const char *name,
		   mode_t mode, uint64_t *node)
{
	struct core_entry entry = {0};
	int rc;

	begin_as(f, caller->uid);
	if (S_ISDIR(mode))
		rc = core_mkdir(f->core, ROOT, name, 0755, caller, &entry);
	else if (S_ISLNK(mode))
		rc = core_symlink(f->core, ROOT, name, "there", caller, &entry);
	else
		rc = core_mknod(f->core, ROOT, name, mode | 0644, caller, &entry);
	*node = entry.node;
	return rc;
}

static int size_as(struct fixture *f, uid_t uid, uint64_t node, uint64_t size)
{
	const struct stat wanted = {.st_size = (off_t)size};
	struct stat st;
	double timeout;

	begin_as(f, uid);
	return core_setattr(f->core, node, CORE_SET_SIZE, &wanted, &st, &timeout, NULL, NULL);
}

static int give_to(struct fixture *f, uint64_t node, uid_t uid)
{
	const struct stat wanted = {.st_uid = uid};
	struct stat st;
	double timeout;

	begin_as(f, 0);
	return core_setattr(f->core, node, CORE_SET_UID, &wanted, &st, &timeout, NULL, NULL);
}

static void every_kind_is_counted(void **state)
{
	static const mode_t kinds[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK};
	struct fixture *f = *state;
	uint64_t nodes[ARRAY_SIZE(kinds)];
	char name[8];

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(name, sizeof name, "k%zu", i);
		assert_int_equal(make_as(f, &alice, name, kinds[i], &nodes[i]), 0);
		assert_use(f, ALICE, i + 1, 0);
	}
	assert_int_equal(size_as(f, ALICE, nodes[0], PAGES(2) + 1), 0);
	assert_use(f, ALICE, 5, PAGES(3));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(name, sizeof name, "k%zu", i);
		if (S_ISDIR(kinds[i]))
			remove_dir(f, ROOT, name);
		else
			unlink_name(f, ROOT, name);
		/* Without a name it is still there. */
		assert_use(f, ALICE, 5 - i, i ? 0 : PAGES(3));
		forget_node(f, nodes[i], 1);
		assert_use(f, ALICE, 4 - i, 0);
	}
}

static void forgotten_ones_stay_counted(void **state)
{
	struct fixture *f = *state;
	uint64_t node, dir;

	assert_int_equal(make_as(f, &alice, "a", S_IFREG, &node), 0);
	assert_int_equal(make_as(f, &alice, "d", S_IFDIR, &dir), 0);
	assert_int_equal(size_as(f, ALICE, node, PAGES(4)), 0);
	forget_node(f, node, 1);
	forget_node(f, dir, 1);
	assert_use(f, ALICE, 2, PAGES(4));
	fixture_restart(f);
	assert_use(f, ALICE, 2, PAGES(4));
	forget_node(f, look_up(f, ROOT, "a"), 1);
	assert_use(f, ALICE, 2, PAGES(4));
	unlink_name(f, ROOT, "a"); /* of no slot */
	assert_use(f, ALICE, 1, 0);
	remove_dir(f, ROOT, "d");
	assert_use(f, ALICE, 0, 0);
}

static void names_and_renames(void **state)
{
	struct fixture *f = *state;
	uint64_t node, other;

	assert_int_equal(make_as(f, &alice, "a", S_IFREG, &node), 0);
	assert_int_equal(size_as(f, ALICE, node, PAGES(1)), 0);
	assert_int_equal(link_to(f, node, ROOT, "b"), 0);
	assert_use(f, ALICE, 2, PAGES(1));
	unlink_name(f, ROOT, "a");
	assert_use(f, ALICE, 1, PAGES(1));
	assert_int_equal(make_as(f, &alice, "c", S_IFREG, &other), 0);
	assert_int_equal(rename_to(f, ROOT, "c", ROOT, "b", 0), 0);
	assert_use(f, ALICE, 2, PAGES(1)); /* "b" is an orphan, and known */
	forget_node(f, node, 2);
	assert_use(f, ALICE, 1, 0);
	assert_int_equal(link_to(f, other, ROOT, "e"), 0);
	forget_node(f, other, 2);
	assert_int_equal(make_as(f, &alice, "g", S_IFREG, &node), 0);
	assert_int_equal(rename_to(f, ROOT, "g", ROOT, "e", 0), 0); /* one name of an unknown one */
	assert_use(f, ALICE, 2, 0);
	assert_int_equal(make_as(f, &alice, "h", S_IFREG, &other), 0);
	assert_int_equal(rename_to(f, ROOT, "h", ROOT, "b", 0), 0); /* all of an unknown one */
	assert_use(f, ALICE, 2, 0);
}

static void given_away(void **state)
{
	struct fixture *f = *state;
	uint64_t node;

	assert_int_equal(make_as(f, &alice, "a", S_IFREG, &node), 0);
	assert_int_equal(size_as(f, ALICE, node, PAGES(3)), 0);
	assert_int_equal(link_to(f, node, ROOT, "b"), 0);
	assert_int_equal(give_to(f, node, BOB), 0);
	assert_use(f, ALICE, 0, 0);
	assert_use(f, BOB, 2, PAGES(3));
	assert_int_equal(give_to(f, node, BOB), 0);
	assert_use(f, BOB, 2, PAGES(3));
}

static void over_a_limit(void **state)
{
	struct fixture *f = *state;
	struct core_entry entry;
	struct core_opened opened;
	uint64_t a, node;

	f->config.user = (struct core_user_limits){.objects = 3, .bytes = PAGES(4)};
	fixture_restart(f);
	assert_int_equal(make_as(f, &alice, "a", S_IFREG, &a), 0);
	assert_int_equal(size_as(f, ALICE, a, PAGES(5)), -EDQUOT);
	assert_int_equal(size_as(f, ALICE, a, PAGES(4)), 0);
	assert_use(f, ALICE, 1, PAGES(4));
	assert_int_equal(make_as(f, &alice, "b", S_IFDIR, &node), 0);
	assert_int_equal(make_as(f, &alice, "c", S_IFLNK, &node), 0);
	assert_int_equal(make_as(f, &alice, "d", S_IFREG, &node), -EDQUOT);
	begin_as(f, ALICE);
	assert_int_equal(
	    core_create_file(f->core, ROOT, "d", 0644, O_RDWR, &alice, &entry, &opened), -EDQUOT);
	begin_as(f, ALICE);
	assert_int_equal(core_tmpfile(f->core, ROOT, 0644, O_RDWR, &alice, &entry, &opened),
			 -EDQUOT);
	begin_as(f, ALICE);
	assert_int_equal(core_link(f->core, a, ROOT, "d", &entry), -EDQUOT);
	assert_int_equal(make_as(f, &root_caller, "r", S_IFREG, &node), 0);
	assert_int_equal(size_as(f, 0, a, PAGES(6)), 0); /* root may, for her */
	assert_use(f, ALICE, 3, PAGES(6));
	assert_int_equal(size_as(f, ALICE, a, PAGES(7)), -EDQUOT);
	unlink_name(f, ROOT, "a");
	forget_node(f, a, 1);
	assert_int_equal(make_as(f, &alice, "d", S_IFREG, &node), 0);
	assert_int_equal(size_as(f, ALICE, node, PAGES(4)), 0);
	assert_use(f, ALICE, 3, PAGES(4));
}

static void written_past_us(void **state)
{
	struct fixture *f = *state;
	uint64_t node;
	char path[PATH_MAX];

	assert_int_equal(make_as(f, &alice, "a", S_IFREG, &node), 0);
	open_node(f, node, O_RDWR);
	snprintf(path, sizeof path, "/proc/self/fd/%d/tree/a", f->tree_fd);
	assert_int_equal(truncate(path, 2 * (off_t)PAGE_BYTES), 0);
	assert_int_equal(use_of(f, ALICE).bytes, 0);
	release_node(f, node);
	WAIT_FOR(f, use_of(f, ALICE).bytes == PAGES(2), 5000);
	assert_use(f, ALICE, 1, PAGES(2));
}

static void a_lost_count_is_found(void **state)
{
	struct fixture *f = *state;
	uint64_t node;

	assert_int_equal(make_as(f, &alice, "a", S_IFREG, &node), 0);
	assert_int_equal(size_as(f, ALICE, node, PAGES(2)), 0);
	/* A worker was killed after the tree's own call, and its client, too. */
	assert_int_equal(mkdirat(f->tree_fd, "tree/lost", 0755), 0);
	assert_int_equal(fchownat(f->tree_fd, "tree/lost", ALICE, ALICE, 0), 0);
	f->core->state.header->counting = 77;
	fixture_restart(f);
	assert_int_equal(use_of(f, ALICE).objects, 1);
	core_resumed(f->core);
	assert_use(f, ALICE, 2, PAGES(2));
	assert_int_equal(f->core->state.header->uncounted, 0);
}

static void attributes_are_objects(void **state)
{
	static char value[40 << 10];
	struct fixture *f = *state;
	uint64_t node;

	f->config.user = (struct core_user_limits){.objects = 60};
	fixture_restart(f);
	assert_int_equal(make_as(f, &alice, "a", S_IFREG, &node), 0);
	begin_as(f, ALICE);
	assert_int_equal(core_setxattr(f->core, node, "user.x", value, 40 << 10, 0, &alice), 0);
	assert_use(f, ALICE, 41, 0);
	begin_as(f, ALICE);
	assert_int_equal(core_setxattr(f->core, node, "user.y", value, 20 << 10, 0, &alice),
			 -EDQUOT);
	begin_as(f, ALICE);
	assert_int_equal(core_setxattr(f->core, node, "user.y", value, 30 << 10, 0, &alice),
			 -ENOSPC);
	begin_as(f, ALICE);
	assert_int_equal(core_setxattr(f->core, node, "user.x", value, 10 << 10, 0, &alice), 0);
	assert_use(f, ALICE, 11, 0);
	forget_node(f, node, 1);
	fixture_restart(f);
	assert_use(f, ALICE, 11, 0);
	node = look_up(f, ROOT, "a");
	begin_as(f, ALICE);
	assert_int_equal(core_removexattr(f->core, node, "user.x"), 0);
	assert_use(f, ALICE, 1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(every_kind_is_counted, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(forgotten_ones_stay_counted, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(names_and_renames, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(given_away, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(over_a_limit, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(written_past_us, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(a_lost_count_is_found, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(attributes_are_objects, fixture_setup,
					    fixture_teardown),
	    cmocka_unit_test_setup_teardown(every_kind_is_counted, fixture_setup_cached,
					    fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
