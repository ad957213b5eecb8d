/* wire_check_request(): the shape of every control request, good and bad. */
#include "fs/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct wire_request make(uint16_t type, uint32_t flags, uint64_t size)
{
	return (struct wire_request){.magic = WIRE_MAGIC,
				     .version = WIRE_VERSION,
				     .type = type,
				     .length = sizeof(struct wire_request),
				     .flags = flags,
				     .size = size};
}

static int check(const void *bytes, size_t length, size_t fds)
{
	/* An exact copy on the heap: a sanitizer sees a read beyond the message. */
	void *copy = malloc(length ? length : 1);
	struct wire_request out;
	const char *why = NULL;
	int error;

	memcpy(copy, bytes, length);
	error = wire_check_request(copy, length, fds, &out, &why);
	free(copy);
	assert_non_null(why);
	assert_true(error >= 0);
	assert_true(strlen(why) < WIRE_TEXT_MAX / 2);
	if (error)
		assert_true(strlen(why) > 0);
	else
		assert_string_equal(why, "");
	return error;
}

static int check_type(uint16_t type, uint32_t flags, uint64_t size, size_t fds)
{
	struct wire_request request = make(type, flags, size);

	return check(&request, sizeof request, fds);
}

static void accepts_good_requests(void **state)
{
	(void)state;
	assert_int_equal(check_type(WIRE_STATUS, 0, 0, 0), 0);
	assert_int_equal(check_type(WIRE_WHO, 0, 0, 1), 0);
	assert_int_equal(check_type(WIRE_CONFIGURE, 0, 0, 1), 0);
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_SET_SIZE | WIRE_SPARSE, 1, 1), 0);
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_SET_SIZE, INT64_MAX, 1), 0);
	assert_int_equal(
	    check_type(WIRE_CONFIGURE, WIRE_BIND | WIRE_READ_ONLY | WIRE_TEMPORARY, 0, 2), 0);
}

static void hands_out_the_fields(void **state)
{
	struct wire_request in = make(WIRE_CONFIGURE, WIRE_SET_SIZE | WIRE_PERMANENT, 4097), out;
	const char *why;

	(void)state;
	assert_int_equal(wire_check_request(&in, sizeof in, 1, &out, &why), 0);
	assert_memory_equal(&in, &out, sizeof in);
}

static void refuses_wrong_lengths(void **state)
{
	char bytes[WIRE_MAX_REQUEST + 1] = {0};
	struct wire_request request = make(WIRE_STATUS, 0, 0);

	(void)state;
	memcpy(bytes, &request, sizeof request);
	for (size_t length = 0; length < sizeof bytes; length++)
		if (length != sizeof request)
			assert_int_equal(check(bytes, length, 0), EINVAL);
	assert_int_equal(check(bytes, sizeof bytes, 0), EMSGSIZE);
	request.length = 8;
	assert_int_equal(check(&request, sizeof request, 0), EINVAL);
	request.length = UINT32_MAX;
	assert_int_equal(check(&request, sizeof request, 0), EINVAL);
}

static void refuses_strangers(void **state)
{
	struct wire_request request = make(WIRE_STATUS, 0, 0);

	(void)state;
	request.magic ^= 1;
	assert_int_equal(check(&request, sizeof request, 0), EPROTO);
	request = make(WIRE_STATUS, 0, 0);
	request.version++;
	assert_int_equal(check(&request, sizeof request, 0), EPROTONOSUPPORT);
	assert_int_equal(check_type(0, 0, 0, 0), EOPNOTSUPP);
	assert_int_equal(check_type(4, 0, 0, 0), EOPNOTSUPP);
	assert_int_equal(check_type(UINT16_MAX, 0, 0, 0), EOPNOTSUPP);
}

static void refuses_wrong_descriptor_counts(void **state)
{
	(void)state;
	assert_int_equal(check_type(WIRE_STATUS, 0, 0, 1), EINVAL);
	assert_int_equal(check_type(WIRE_WHO, 0, 0, 0), EINVAL);
	assert_int_equal(check_type(WIRE_WHO, 0, 0, 2), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, 0, 0, 0), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, 0, 0, 2), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_BIND, 0, 1), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_BIND, 0, 3), EINVAL);
}

static void refuses_contradictions(void **state)
{
	(void)state;
	assert_int_equal(check_type(WIRE_STATUS, WIRE_SPARSE, 0, 0), EINVAL);
	assert_int_equal(check_type(WIRE_WHO, 0, 1, 1), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, 1U << 6, 0, 1), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, 1U << 31, 0, 1), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_TEMPORARY | WIRE_PERMANENT, 0, 1), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_BIND | WIRE_SPARSE, 0, 2), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_READ_ONLY, 0, 1), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, 0, 5, 1), EINVAL);
}

static void refuses_impossible_sizes(void **state)
{
	(void)state;
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_SET_SIZE, 0, 1), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_SET_SIZE, (uint64_t)INT64_MAX + 1, 1),
			 EFBIG);
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_SET_SIZE, UINT64_MAX, 1), EFBIG);
}

/* Whatever comes, only sound requests are let through. */
static void survives_random_bytes(void **state)
{
	unsigned char bytes[WIRE_MAX_REQUEST + 8];

	(void)state;
	srandom(1);
	for (int round = 0; round < 200000; round++) {
		struct wire_request request = make((uint16_t)(random() % 5), 0, 0);
		size_t length = (size_t)random() % sizeof bytes;

		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (unsigned char)random();
		if (round % 2) {
			memcpy(bytes, &request, sizeof request);
			bytes[(size_t)random() % sizeof request] ^=
			    (unsigned char)(1 << random() % 8);
			length = sizeof request;
		}
		check(bytes, length, (size_t)random() % 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(accepts_good_requests),
	    cmocka_unit_test(hands_out_the_fields),
	    cmocka_unit_test(refuses_wrong_lengths),
	    cmocka_unit_test(refuses_strangers),
	    cmocka_unit_test(refuses_wrong_descriptor_counts),
	    cmocka_unit_test(refuses_contradictions),
	    cmocka_unit_test(refuses_impossible_sizes),
	    cmocka_unit_test(survives_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
