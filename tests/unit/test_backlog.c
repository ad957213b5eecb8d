/* Requests of several users take turns: who is served when, what is served at once, and when there
 * is a crowd at all. */
#include "core/util.h"
#include "fs/backlog.h"
#include "fs/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct backlog backlog;

static int setup(void **state)
{
	(void)state;
	alarm(10);
	backlog = (struct backlog){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backlog_finish(&backlog);
	assert_int_equal(backlog.count, 0);
	assert_int_equal(backlog.bytes, 0);
	assert_true(backlog_is_empty(&backlog));
	return 0;
}

static struct fuse_in_header request(uint32_t uid, uint64_t unique)
{
	return (struct fuse_in_header){.len = sizeof(struct fuse_in_header),
				       .opcode = FUSE_GETATTR,
				       .unique = unique,
				       .uid = uid};
}

static void put(uint32_t uid, uint64_t unique)
{
	struct fuse_in_header r = request(uid, unique);

	assert_true(backlog_put(&backlog, &r, sizeof r));
}

static uint64_t number_of(struct backlog_request *taken)
{
	struct fuse_in_header header;

	assert_non_null(taken);
	assert_int_equal(taken->length, sizeof header);
	memcpy(&header, taken->bytes, sizeof header);
	free(taken);
	return header.unique;
}

static void one_of_each(void **state)
{
	bool late = false;
	unsigned others = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		put(1000, 100 + i);
	put(0, 1);
	put(0, 2);
	put(33, 3);
	for (unsigned i = 0; i < 6; i++) {
		uint64_t number = number_of(backlog_take(&backlog));

		others += number < 100;
		late |= number == 2 && i < 2; /* not both of one before another's first */
	}
	assert_int_equal(others, 3);
	assert_false(late);
	assert_int_equal(backlog.count, 97);
	/* Who comes later does not wait for the rest. */
	put(5, 9);
	assert_true(number_of(backlog_take(&backlog)) == 9 ||
		    number_of(backlog_take(&backlog)) == 9);
}

static void in_order_for_each(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		put(7, i);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(number_of(backlog_take(&backlog)), i);
	assert_null(backlog_take(&backlog));
}

static void by_number(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		put(7, i);
	put(8, 50);
	assert_null(backlog_take_unique(&backlog, 99));
	assert_int_equal(number_of(backlog_take_unique(&backlog, 4)), 4);
	assert_int_equal(number_of(backlog_take_unique(&backlog, 0)), 0);
	assert_int_equal(number_of(backlog_take_unique(&backlog, 2)), 2);
	assert_int_equal(number_of(backlog_take_unique(&backlog, 50)), 50);
	put(7, 5); /* behind the last one there is now */
	assert_int_equal(number_of(backlog_take(&backlog)), 1);
	assert_int_equal(number_of(backlog_take(&backlog)), 3);
	assert_int_equal(number_of(backlog_take(&backlog)), 5);
	assert_null(backlog_take(&backlog));
}

static bool wants(uint32_t uid, uint32_t opcode)
{
	struct fuse_in_header r = request(uid, 1);

	r.opcode = opcode;
	return backlog_wants(&backlog, &r, sizeof r);
}

static void a_crowd_is_of_several(void **state)
{
	bool wanted = false;

	(void)state;
	for (int i = 0; i < 5000; i++)
		wanted = wants(1000, FUSE_OPEN);
	assert_false(wanted); /* one alone */
	assert_true(backlog_reads_on(&backlog));
	assert_true(wants(0, FUSE_OPEN)); /* another one, among many */
	assert_true(wants(1000, FUSE_OPEN));
	assert_false(wants(1000, FUSE_RELEASE));
	assert_false(wants(0, FUSE_FORGET));
	assert_false(wants(0, FUSE_INTERRUPT));
	assert_true(wants(1000, FUSE_OPEN));
	backlog_pause(&backlog); /* they come one by one */
	for (int i = 0; i < 4; i++)
		assert_false(wants(i % 2 ? 0 : 1000, FUSE_OPEN));
	/* Two in turns, without a pause; then one of them is gone. */
	for (int i = 0; i < 10; i++)
		wanted = wants(i % 2 ? 0 : 1000, FUSE_OPEN);
	assert_true(wanted);
	put(1000, 1);
	assert_true(backlog_reads_on(&backlog));
	for (int i = 0; i < 2000; i++)
		wanted = wants(1000, FUSE_OPEN);
	assert_false(wanted);
	assert_false(backlog_reads_on(&backlog)); /* what is here comes first */
}

static void it_has_an_end(void **state)
{
	enum { LARGE = 1 << 20 };
	struct fuse_in_header *large = calloc(1, LARGE);
	unsigned count = 0;

	(void)state;
	assert_non_null(large);
	for (int i = 0; i < 10; i++)
		wants(i % 2 ? 0 : 1000, FUSE_OPEN);
	large->opcode = FUSE_WRITE;
	for (; backlog_reads_on(&backlog) && backlog_wants(&backlog, large, LARGE); count++)
		assert_true(backlog_put(&backlog, large, LARGE));
	assert_int_equal(count, 8);
	free(large);
	backlog_finish(&backlog);
	for (count = 0; backlog_reads_on(&backlog) && count < 100000; count++)
		put(count % 2, count);
	assert_int_equal(count, 4096);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(one_of_each, setup, teardown),
    cmocka_unit_test_setup_teardown(in_order_for_each, setup, teardown),
    cmocka_unit_test_setup_teardown(by_number, setup, teardown),
    cmocka_unit_test_setup_teardown(a_crowd_is_of_several, setup, teardown),
    cmocka_unit_test_setup_teardown(it_has_an_end, setup, teardown),
};

int main(void)
{
	return cmocka_run_group_tests_name("backlog", tests, NULL, NULL);
}
