/* The hash map, against a plain table. */
#include "core/map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define KEYS  512
#define STEPS 400000

static int setup(void **state)
{
	(void)state;
	alarm(30);
	return 0;
}

static void empty(void **state)
{
	struct map map = {0};
	uint32_t value = 7;

	(void)state;
	assert_false(map_get(&map, 0, &value));
	assert_false(map_remove(&map, 0));
	assert_int_equal(value, 7);
	map_finish(&map);
	map_finish(&map); /* twice is harmless */
}

static void key_zero_and_replace(void **state)
{
	struct map map = {0};
	uint32_t value;

	(void)state;
	assert_int_equal(map_put(&map, 0, 1), 0);
	assert_int_equal(map_put(&map, 0, 2), 0);
	assert_int_equal(map_put(&map, UINT64_MAX, 3), 0);
	assert_int_equal(map.count, 2);
	assert_true(map_get(&map, 0, &value));
	assert_int_equal(value, 2);
	assert_true(map_remove(&map, 0));
	assert_false(map_remove(&map, 0));
	assert_true(map_get(&map, UINT64_MAX, &value));
	assert_int_equal(value, 3);
	map_finish(&map);
}

static void check_all(const struct map *map, const uint64_t *keys, const int64_t *expected)
{
	size_t count = 0;
	uint32_t value;

	for (size_t i = 0; i < KEYS; i++) {
		bool there = map_get(map, keys[i], &value);
		assert_int_equal(there, expected[i] >= 0);
		if (there)
			assert_int_equal(value, expected[i]);
		count += there;
	}
	assert_int_equal(map->count, count);
}

/* Keys of one home and of many: removal must not lose what was displaced. */
static void behaves_as_a_table(void **state)
{
	struct map map = {0};
	uint64_t keys[KEYS];
	int64_t expected[KEYS];
	unsigned random = 1;

	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		keys[i] = i % 2 ? i << 40 : i;
		expected[i] = -1;
	}
	for (size_t step = 0; step < STEPS; step++) {
		size_t i = (size_t)rand_r(&random) % KEYS;
		if (rand_r(&random) % 2) {
			expected[i] = (int64_t)step;
			assert_int_equal(map_put(&map, keys[i], (uint32_t)step), 0);
		} else {
			assert_int_equal(map_remove(&map, keys[i]), expected[i] >= 0);
			expected[i] = -1;
		}
		if (step % 1000 == 0)
			check_all(&map, keys, expected);
	}
	check_all(&map, keys, expected);
	assert_true(map.count < map.capacity);
	map_finish(&map);
}

static void does_not_grow_by_replacing(void **state)
{
	struct map map = {0};
	size_t capacity;

	(void)state;
	for (uint64_t i = 0; i < 50; i++)
		assert_int_equal(map_put(&map, i, 0), 0);
	capacity = map.capacity;
	for (uint64_t i = 0; i < 100000; i++) {
		assert_int_equal(map_put(&map, i % 50, 1), 0);
		assert_true(map_remove(&map, i % 50));
		assert_int_equal(map_put(&map, i % 50, 1), 0);
	}
	assert_int_equal(map.capacity, capacity);
	map_finish(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(empty, setup),
	    cmocka_unit_test_setup(key_zero_and_replace, setup),
	    cmocka_unit_test_setup(behaves_as_a_table, setup),
	    cmocka_unit_test_setup(does_not_grow_by_replacing, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
