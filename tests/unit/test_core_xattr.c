/* Extended attributes: those of the tree, those that are computed, and those that nobody sees. */
#include "core/internal.h"
#include "tests/unit/core_fixture.h"

#include <sys/xattr.h>

#define ROOT CORE_ROOT_NODE

static int set(struct fixture *f, uint64_t node, const char *name, const char *value, int flags)
{
	begin_request(f);
	return core_setxattr(f->core, node, name, value, strlen(value), flags, &root_caller);
}

static int get(struct fixture *f, uint64_t node, const char *name)
{
	char value[512];

	begin_request(f);
	return core_getxattr(f->core, node, name, value, sizeof value);
}

static int drop(struct fixture *f, uint64_t node, const char *name)
{
	begin_request(f);
	return core_removexattr(f->core, node, name);
}

static bool is_listed(struct fixture *f, uint64_t node, const char *name)
{
	char list[1024];
	int length;

	begin_request(f);
	length = core_listxattr(f->core, node, list, sizeof list);
	assert_true(length >= 0);
	for (int at = 0; at < length; at += (int)strlen(list + at) + 1)
		if (strcmp(list + at, name) == 0)
			return true;
	return false;
}

static void plain_ones(void **state)
{
	struct fixture *f = *state;
	uint64_t nodes[2] = {make_file(f, ROOT, "file"), make_dir(f, ROOT, "dir")};

	for (int i = 0; i < 2; i++) {
		uint64_t node = nodes[i];

		assert_int_equal(get(f, node, "user.a"), -ENODATA);
		assert_int_equal(set(f, node, "user.a", "one", XATTR_REPLACE), -ENODATA);
		assert_int_equal(set(f, node, "user.a", "one", XATTR_CREATE), 0);
		assert_int_equal(set(f, node, "user.a", "two", XATTR_CREATE), -EEXIST);
		assert_attribute(f, node, "user.a", "one");
		assert_int_equal(set(f, node, "user.a", "three", XATTR_REPLACE), 0);
		assert_attribute(f, node, "user.a", "three");
		assert_int_equal(set(f, node, "user.empty", "", 0), 0);
		assert_int_equal(get(f, node, "user.empty"), 0);
		assert_true(is_listed(f, node, "user.a"));
		assert_true(is_listed(f, node, "user.empty"));
		assert_int_equal(drop(f, node, "user.a"), 0);
		assert_int_equal(drop(f, node, "user.a"), -ENODATA);
		assert_false(is_listed(f, node, "user.a"));
	}
	assert_int_equal(get(f, 77, "user.a"), -ESTALE);
	assert_int_equal(set(f, 77, "user.a", "x", 0), -ESTALE);
	assert_int_equal(drop(f, 77, "user.a"), -ESTALE);
}

static void computed_ones(void **state)
{
	struct fixture *f = *state;
	const char *names[] = {"type",    "lifetime", "backing", "commit",
			       "handles", "flush",    "views"};
	uint64_t node = create_open(f, ROOT, "file"), dir = make_dir(f, ROOT, "dir");
	char name[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof name, "user.mapping.%s", names[i]);
		assert_true(is_listed(f, node, name));
		assert_false(is_listed(f, dir, name));
		assert_int_equal(get(f, dir, name), -ENODATA);
		assert_int_equal(drop(f, node, name), -EPERM);
		if (strcmp(names[i], "lifetime") != 0)
			assert_int_equal(set(f, node, name, "x", 0), -EPERM);
	}
	assert_attribute(f, node, "user.mapping.type", "mapping");
	assert_attribute(f, node, "user.mapping.lifetime", "permanent");
	assert_attribute(f, node, "user.mapping.backing", "memory");
	assert_attribute(f, node, "user.mapping.commit", "0");
	assert_attribute(f, node, "user.mapping.handles", "1");
	assert_attribute(f, node, "user.mapping.flush", "never");
	assert_int_equal(get(f, node, "user.mapping.none"), -ENODATA);
	assert_int_equal(get(f, node, "user.mapping."), -ENODATA);
	open_node(f, node, O_RDONLY);
	assert_attribute(f, node, "user.mapping.handles", "2");
	unlink_name(f, ROOT, "file");
	assert_attribute(f, node, "user.mapping.type", "mapping");
}

static void lifetime_is_the_owners(void **state)
{
	const struct core_caller other = {.uid = 1234, .gid = 1234, .umask = 022};
	struct fixture *f = *state;
	uint64_t node = make_file(f, ROOT, "file");

	begin_request(f);
	assert_int_equal(
	    core_setxattr(f->core, node, "user.mapping.lifetime", "temporary", 9, 0, &other),
	    -EPERM);
	assert_int_equal(set(f, node, "user.mapping.lifetime", "eternal", 0), -EINVAL);
	assert_int_equal(set(f, node, "user.mapping.lifetime", "temporary\n", 0), -EINVAL);
	assert_int_equal(set(f, node, "user.mapping.lifetime", "", 0), -EINVAL);
	assert_attribute(f, node, "user.mapping.lifetime", "permanent");
	assert_int_equal(set(f, node, "user.mapping.lifetime", "temporary", 0), 0);
	assert_attribute(f, node, "user.mapping.lifetime", "temporary");
	forget_node(f, node, 1);
	fixture_restart(f);
	assert_attribute(f, look_up(f, ROOT, "file"), "user.mapping.lifetime", "temporary");
}

/* Nobody reads or forges what we keep on an inode. */
static void record_is_hidden(void **state)
{
	struct fixture *f = *state;
	uint64_t node = make_file(f, ROOT, "file");
	const char *record = record_xattr_name(f->core);

	assert_int_equal(set_lifetime(f, node, "temporary"), 0);
	assert_false(is_listed(f, node, record));
	assert_int_equal(get(f, node, record), -ENODATA);
	assert_int_equal(set(f, node, record, "forged", 0), -EPERM);
	assert_int_equal(drop(f, node, record), -EPERM);
	assert_attribute(f, node, "user.mapping.lifetime", "temporary");
}

static void small_buffers(void **state)
{
	struct fixture *f = *state;
	uint64_t node = make_file(f, ROOT, "file");
	char value[16];

	assert_int_equal(set(f, node, "user.a", "0123456789", 0), 0);
	assert_int_equal(core_getxattr(f->core, node, "user.a", value, 4), -ERANGE);
	assert_int_equal(core_getxattr(f->core, node, "user.mapping.type", value, 4), -ERANGE);
	for (size_t size = 1; size < sizeof value; size++)
		assert_int_equal(core_listxattr(f->core, node, value, size), -ERANGE);
}

static void symbolic_links_have_none(void **state)
{
	struct fixture *f = *state;
	struct core_entry entry;
	uint64_t node = make_file(f, ROOT, "file");

	begin_request(f);
	assert_int_equal(core_symlink(f->core, ROOT, "link", "file", &root_caller, &entry), 0);
	assert_int_equal(set(f, entry.node, "user.a", "x", 0), -EPERM);
	assert_int_equal(get(f, node, "user.a"), -ENODATA); /* not followed */
}

#define BOTH(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown),                    \
	    cmocka_unit_test_setup_teardown(name, fixture_setup_rootless, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOTH(plain_ones),       BOTH(computed_ones), BOTH(lifetime_is_the_owners),
	    BOTH(record_is_hidden), BOTH(small_buffers), BOTH(symbolic_links_have_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
