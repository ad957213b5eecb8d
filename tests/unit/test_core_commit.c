/* Room is taken when a size is set: what does not fit is refused then, and everything comes back.
 */
#include "tests/unit/core_fixture.h"

#include <linux/falloc.h>

#define ROOT CORE_ROOT_NODE
#define MIB  (1ULL << 20)

static uint64_t room(struct fixture *f)
{
	struct statvfs st;

	assert_int_equal(core_statfs(f->core, CORE_ROOT_NODE, &st), 0);
	return st.f_bavail * st.f_frsize;
}

static int configure(struct fixture *f, uint64_t node, const struct core_setup *setup)
{
	const char *why = NULL;
	int rc = core_configure(f->core, node, setup, &root_caller, &why);

	assert_true(rc == 0 || why);
	return rc;
}

static void size_is_committed(void **state)
{
	struct fixture *f = *state;
	uint64_t node = create_open(f, ROOT, "file");

	assert_int_equal(set_size(f, node, 3 * PAGE_BYTES + 1), 0);
	assert_int_equal(usage_of(f).committed, 4 * PAGE_BYTES);
	assert_attribute(f, node, "user.mapping.commit", "16384");
	assert_int_equal(stat_of(f, node).st_size, 3 * PAGE_BYTES + 1);
	assert_int_equal(set_size(f, node, PAGE_BYTES), 0);
	assert_int_equal(usage_of(f).committed, PAGE_BYTES);
	assert_int_equal(set_size(f, node, 0), 0);
	assert_int_equal(usage_of(f).committed, 0);
	release_node(f, node);
	unlink_name(f, ROOT, "file");
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

static void too_much_is_refused(void **state)
{
	struct fixture *f = *state;
	uint64_t a = make_file(f, ROOT, "a"), b = make_file(f, ROOT, "b");
	uint64_t before = room(f);

	assert_int_equal(set_size(f, a, 40 * MIB), 0);
	assert_true(room(f) <= before - 40 * MIB);
	assert_int_equal(set_size(f, b, before - 40 * MIB + PAGE_BYTES), -ENOSPC);
	assert_int_equal(stat_of(f, b).st_size, 0);
	assert_int_equal(usage_of(f).committed, 40 * MIB);
	assert_int_equal(set_size(f, b, before - 40 * MIB), 0); /* to the last page */
	assert_int_equal(room(f), 0);
	assert_int_equal(set_size(f, a, 40 * MIB + 1), -ENOSPC);
	assert_int_equal(stat_of(f, a).st_size, 40 * MIB);
	assert_int_equal(set_size(f, a, INT64_MAX), -ENOSPC);
	assert_int_equal(set_size(f, a, 0), 0);
	assert_int_equal(room(f), 40 * MIB);
}

/* The pages are there: what another takes cannot be taken from a promise. */
static void promised_pages_stay(void **state)
{
	struct fixture *f = *state;
	uint64_t promised = make_file(f, ROOT, "promised"), greedy = make_file(f, ROOT, "greedy");
	static char block[MIB];
	off_t at = 0;
	int rc;

	assert_int_equal(set_size(f, promised, 20 * MIB), 0);
	while ((rc = core_write(f->core, greedy, block, sizeof block, at)) > 0)
		at += rc;
	assert_int_equal(rc, -ENOSPC);
	for (uint64_t i = 0; i < 20; i++)
		assert_int_equal(
		    core_write(f->core, promised, block, sizeof block, (off_t)(i * MIB)),
		    sizeof block);
}

static void failed_growth_changes_nothing(void **state)
{
	struct fixture *f = *state;
	uint64_t node = make_file(f, ROOT, "file");

	assert_int_equal(set_size(f, node, 2 * PAGE_BYTES), 0);
	fail_call(f, FAULT_FALLOCATE, -ENOSPC, 1);
	assert_int_equal(set_size(f, node, 8 * PAGE_BYTES), -ENOSPC);
	assert_int_equal(stat_of(f, node).st_size, 2 * PAGE_BYTES);
	assert_int_equal(usage_of(f).committed, 2 * PAGE_BYTES);
	fail_call(f, FAULT_FALLOCATE, -ENOSPC, 1);
	assert_int_equal(set_size(f, node, 20 * MIB), -ENOSPC); /* in the pool */
	assert_int_equal(stat_of(f, node).st_size, 2 * PAGE_BYTES);
	assert_int_equal(usage_of(f).committed, 2 * PAGE_BYTES);
	fail_call(f, FAULT_FALLOCATE, -EOPNOTSUPP, 1); /* a file system that cannot */
	assert_int_equal(set_size(f, node, 8 * PAGE_BYTES), 0);
	assert_int_equal(stat_of(f, node).st_size, 8 * PAGE_BYTES);
}

static void refused_configuration_changes_nothing(void **state)
{
	const struct core_setup too_big = {
	    .lifetime = 1, .file_fd = -1, .set_size = true, .size = 65 * MIB};
	const struct core_setup sparse = {
	    .lifetime = 1, .file_fd = -1, .sparse = true, .set_size = true, .size = MIB};
	struct fixture *f = *state;
	uint64_t node = make_file(f, ROOT, "file");

	assert_int_equal(configure(f, node, &too_big), -ENOSPC);
	assert_attribute(f, node, "user.mapping.lifetime", "permanent");
	assert_int_equal(stat_of(f, node).st_size, 0);
	assert_int_equal(usage_of(f).committed, 0);
	fail_call(f, FAULT_FTRUNCATE, -EFBIG, 1);
	assert_int_equal(configure(f, node, &sparse), -EFBIG);
	assert_attribute(f, node, "user.mapping.lifetime", "permanent");
	assert_attribute(f, node, "user.mapping.backing", "memory");
}

static void failed_ftruncate_gives_the_room_back(void **state)
{
	const struct core_setup setup = {
	    .lifetime = -1, .file_fd = -1, .set_size = true, .size = MIB};
	struct fixture *f = *state;
	uint64_t node = make_file(f, ROOT, "file");

	fail_call(f, FAULT_FTRUNCATE, -EFBIG, 1);
	assert_int_equal(set_size(f, node, MIB), -EFBIG);
	assert_int_equal(usage_of(f).committed, 0);
	fail_call(f, FAULT_FTRUNCATE, -EFBIG, 1);
	assert_int_equal(configure(f, node, &setup), -EFBIG);
	assert_int_equal(usage_of(f).committed, 0);
}

static void sparse_takes_pages_as_they_come(void **state)
{
	const struct core_setup setup = {
	    .lifetime = -1, .file_fd = -1, .sparse = true, .set_size = true, .size = 1 << 30};
	struct fixture *f = *state;
	uint64_t node = make_file(f, ROOT, "file");

	assert_int_equal(configure(f, node, &setup), 0);
	assert_int_equal(usage_of(f).committed, 0);
	assert_int_equal(stat_of(f, node).st_size, 1 << 30);
	assert_attribute(f, node, "user.mapping.backing", "sparse");
	assert_int_equal(core_write(f->core, node, "x", 1, 1 << 29), 1);
	assert_int_equal(usage_of(f).committed, PAGE_BYTES);
	assert_int_equal(set_size(f, node, 1ULL << 31), 0);
	assert_int_equal(usage_of(f).committed, PAGE_BYTES);
	forget_node(f, node, 1); /* it stays sparse when it is known again */
	node = look_up(f, ROOT, "file");
	assert_attribute(f, node, "user.mapping.backing", "sparse");
	assert_int_equal(set_size(f, node, 1ULL << 32), 0);
	unlink_name(f, ROOT, "file");
	forget_node(f, node, 1);
	assert_nothing_left(f);
}

static void fallocate_and_holes(void **state)
{
	struct fixture *f = *state;
	uint64_t node = make_file(f, ROOT, "file");
	off_t at;

	assert_int_equal(core_fallocate(f->core, node, 0, 0, 4 * PAGE_BYTES), 0);
	assert_int_equal(stat_of(f, node).st_size, 4 * PAGE_BYTES);
	assert_int_equal(core_fallocate(f->core, node, 0, 0, 65 * MIB), -ENOSPC);
	assert_int_equal(stat_of(f, node).st_size, 4 * PAGE_BYTES);
	assert_int_equal(usage_of(f).committed, 4 * PAGE_BYTES);
	assert_int_equal(core_write(f->core, node, "x", 1, 3 * PAGE_BYTES), 1);
	assert_int_equal(core_fallocate(f->core, node, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					0, PAGE_BYTES),
			 0);
	assert_int_equal(usage_of(f).committed, 3 * PAGE_BYTES);
	assert_int_equal(core_seek(f->core, node, 0, SEEK_DATA, &at), 0);
	assert_true(at >= (off_t)PAGE_BYTES);
	assert_int_equal(core_seek(f->core, node, 0, SEEK_HOLE, &at), 0);
	assert_int_equal(at, 0);
	assert_int_equal(core_seek(f->core, node, 5 * PAGE_BYTES, SEEK_DATA, &at), -ENXIO);
	fail_call(f, FAULT_FALLOCATE, -ENOSPC, 1);
	assert_int_equal(core_fallocate(f->core, node, 0, 0, 8 * PAGE_BYTES), -ENOSPC);
}

/* The sum after a storm of everything is what the objects left say. */
static void sum_returns_to_zero(void **state)
{
	struct fixture *f = *state;
	uint64_t nodes[40] = {0};
	unsigned random = 5;
	char name[16];

	for (int step = 0; step < 1200; step++) {
		unsigned i = (unsigned)rand_r(&random) % ARRAY_SIZE(nodes);
		uint64_t size = (uint64_t)rand_r(&random) % (3 * MIB);

		snprintf(name, sizeof name, "%u", i);
		if (!nodes[i])
			nodes[i] = create_open(f, ROOT, name);
		else if (rand_r(&random) % 4)
			assert_in_range(-set_size(f, nodes[i], size), 0, ENOSPC);
		else {
			unlink_name(f, ROOT, name);
			release_node(f, nodes[i]);
			forget_node(f, nodes[i], 1);
			nodes[i] = 0;
		}
		if (step % 200 == 0)
			fixture_restart(f);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++) {
		snprintf(name, sizeof name, "%u", i);
		if (!nodes[i])
			continue;
		unlink_name(f, ROOT, name);
		release_node(f, nodes[i]);
		forget_node(f, nodes[i], 1);
	}
	assert_nothing_left(f);
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define CACHED(name) cmocka_unit_test_setup_teardown(name, fixture_setup_cached, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(size_is_committed),
	    CACHED(size_is_committed),
	    TEST(too_much_is_refused),
	    TEST(promised_pages_stay),
	    TEST(failed_growth_changes_nothing),
	    TEST(refused_configuration_changes_nothing),
	    TEST(failed_ftruncate_gives_the_room_back),
	    TEST(sparse_takes_pages_as_they_come),
	    TEST(fallocate_and_holes),
	    TEST(sum_returns_to_zero),
	    CACHED(sum_returns_to_zero),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
