/* The descriptor cache: bounded, least recently used goes first, closes what it owns. */
#include "core/fdcache.h"
#include "tests/unit/core_fixture.h"

struct box {
	struct fdcache cache;
	size_t fds_before;
};

static int setup(void **state)
{
	struct box *box = malloc(sizeof *box);

	alarm(30);
	box->fds_before = open_fds();
	fdcache_init(&box->cache);
	*state = box;
	return 0;
}

static int teardown(void **state)
{
	struct box *box = *state;
	size_t before = box->fds_before;

	fdcache_finish(&box->cache);
	free(box);
	return open_fds() == before ? 0 : -1;
}

static int new_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void gives_what_was_put(void **state)
{
	struct fdcache *cache = &((struct box *)*state)->cache;
	int fd = new_fd();

	assert_int_equal(fdcache_get(cache, 5), -1);
	assert_int_equal(fdcache_put(cache, 5, fd), fd);
	assert_int_equal(fdcache_get(cache, 5), fd);
	assert_int_equal(fdcache_get(cache, 6), -1);
	fdcache_drop(cache, 6);
	fdcache_drop(cache, 5);
	assert_int_equal(fdcache_get(cache, 5), -1);
	assert_false(is_open(fd));
}

static void replaces_and_closes(void **state)
{
	struct fdcache *cache = &((struct box *)*state)->cache;
	int first = new_fd(), second = new_fd();

	fdcache_put(cache, 1, first);
	fdcache_put(cache, 1, second);
	assert_false(is_open(first));
	assert_int_equal(fdcache_get(cache, 1), second);
}

static void evicts_least_recently_used(void **state)
{
	struct fdcache *cache = &((struct box *)*state)->cache;
	size_t before = open_fds();

	for (uint32_t i = 0; i < FDCACHE_CAPACITY; i++)
		fdcache_put(cache, i, new_fd());
	for (uint32_t i = 0; i < FDCACHE_CAPACITY; i += 2)
		assert_true(fdcache_get(cache, i) >= 0); /* used again */
	for (uint32_t i = 0; i < FDCACHE_CAPACITY / 2; i++)
		fdcache_put(cache, 100000 + i, new_fd());
	for (uint32_t i = 0; i < FDCACHE_CAPACITY; i++)
		assert_int_equal(fdcache_get(cache, i) >= 0, i % 2 == 0);
	assert_int_equal(open_fds(), before + FDCACHE_CAPACITY);
}

/* Against a list of keys in order of use. */
static void behaves_as_a_list(void **state)
{
	struct fdcache *cache = &((struct box *)*state)->cache;
	static uint32_t order[FDCACHE_CAPACITY + 1]; /* newest last */
	unsigned random = 1;
	size_t count = 0;

	for (int step = 0; step < 20000; step++) {
		uint32_t key = (uint32_t)rand_r(&random) % (FDCACHE_CAPACITY + 100);
		size_t at = 0;
		bool put = rand_r(&random) % 4 == 0, drop = rand_r(&random) % 16 == 0;

		while (at < count && order[at] != key)
			at++;
		assert_int_equal(fdcache_get(cache, key) >= 0, at < count);
		if (at < count) {
			memmove(order + at, order + at + 1, (--count - at) * sizeof *order);
			order[count++] = key;
			if (drop) {
				fdcache_drop(cache, key);
				count--;
			}
		} else if (put) {
			fdcache_put(cache, key, new_fd());
			order[count++] = key;
		}
		if (count > FDCACHE_CAPACITY)
			memmove(order, order + 1, --count * sizeof *order);
	}
	assert_true(count > FDCACHE_CAPACITY / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(gives_what_was_put, setup, teardown),
	    cmocka_unit_test_setup_teardown(replaces_and_closes, setup, teardown),
	    cmocka_unit_test_setup_teardown(evicts_least_recently_used, setup, teardown),
	    cmocka_unit_test_setup_teardown(behaves_as_a_list, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
