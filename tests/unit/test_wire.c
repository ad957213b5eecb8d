/* wire_check_request(): the shape of every control request, good and bad. */
#include "core/types.h"
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
	assert_int_equal(check_type(WIRE_WATCH, 0, 0, 0), 0);
	assert_int_equal(check_type(WIRE_WATCH, 0, 0, 1), 0);
	assert_int_equal(check_type(WIRE_TOP, 0, 0, 0), 0);
	assert_int_equal(check_type(WIRE_UPGRADE, 0, 0, 0), 0);
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
	assert_int_equal(check_type(WIRE_UPGRADE + 1, 0, 0, 0), EOPNOTSUPP);
	assert_int_equal(check_type(UINT16_MAX, 0, 0, 0), EOPNOTSUPP);
}

static void refuses_wrong_descriptor_counts(void **state)
{
	(void)state;
	assert_int_equal(check_type(WIRE_STATUS, 0, 0, 1), EINVAL);
	assert_int_equal(check_type(WIRE_WHO, 0, 0, 0), EINVAL);
	assert_int_equal(check_type(WIRE_WHO, 0, 0, 2), EINVAL);
	assert_int_equal(check_type(WIRE_WATCH, 0, 0, 2), EINVAL);
	assert_int_equal(check_type(WIRE_TOP, 0, 0, 1), EINVAL);
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
	assert_int_equal(check_type(WIRE_WATCH, WIRE_SPARSE, 0, 0), EINVAL);
	assert_int_equal(check_type(WIRE_TOP, 0, 1, 0), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, 1U << 10, 0, 1), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, 1U << 31, 0, 1), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_TEMPORARY | WIRE_PERMANENT, 0, 1), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_BIND | WIRE_SPARSE, 0, 2), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, WIRE_READ_ONLY, 0, 1), EINVAL);
	assert_int_equal(check_type(WIRE_CONFIGURE, 0, 5, 1), EINVAL);
}

/* --- objects to wait on --- */

static int check_typed(uint32_t type, uint32_t flags, uint32_t initial, uint32_t maximum,
		       uint64_t size, size_t fds)
{
	struct wire_request request = make(WIRE_CONFIGURE, flags, size);

	request.object_type = type;
	request.initial = initial;
	request.maximum = maximum;
	return check(&request, sizeof request, fds);
}

static void accepts_each_type(void **state)
{
	(void)state;
	assert_int_equal(check_typed(OBJECT_MAPPING, 0, 0, 0, 0, 1), 0);
	assert_int_equal(check_typed(OBJECT_EVENT, 0, 0, 0, 0, 1), 0);
	assert_int_equal(check_typed(OBJECT_EVENT, WIRE_MANUAL | WIRE_SIGNALED, 0, 0, 0, 1), 0);
	assert_int_equal(check_typed(OBJECT_SEMAPHORE, 0, 0, 1, 0, 1), 0);
	assert_int_equal(check_typed(OBJECT_SEMAPHORE, 0, 7, 7, 0, 1), 0);
	assert_int_equal(check_typed(OBJECT_SEMAPHORE, 0, INT32_MAX, INT32_MAX, 0, 1), 0);
	assert_int_equal(check_typed(OBJECT_MUTEX, 0, 0, 0, 0, 1), 0);
	assert_int_equal(check_typed(OBJECT_TIMER, WIRE_MANUAL, 0, 0, 0, 1), 0);
	assert_int_equal(check_typed(OBJECT_JOB, WIRE_KILL_ON_CLOSE, 0, 0, 0, 1), 0);
	for (uint32_t type = 0; type < OBJECT_TYPES; type++) {
		const uint32_t maximum = type == OBJECT_SEMAPHORE;
		const uint32_t lifetimes[] = {WIRE_TEMPORARY, WIRE_PERMANENT, WIRE_HANDLE_BOUND};

		for (size_t i = 0; i < 3; i++)
			assert_int_equal(check_typed(type, lifetimes[i], 0, maximum, 0, 1), 0);
		assert_int_equal(
		    check_typed(type, WIRE_TEMPORARY | WIRE_HANDLE_BOUND, 0, maximum, 0, 1),
		    EINVAL);
		assert_int_equal(
		    check_typed(type, WIRE_PERMANENT | WIRE_HANDLE_BOUND, 0, maximum, 0, 1),
		    EINVAL);
	}
}

static void refuses_unknown_types(void **state)
{
	(void)state;
	assert_int_equal(check_typed(OBJECT_TYPES, 0, 0, 0, 0, 1), EINVAL);
	assert_int_equal(check_typed(UINT32_MAX, 0, 0, 0, 0, 1), EINVAL);
	for (uint16_t other = WIRE_STATUS; other <= WIRE_UPGRADE; other++) {
		struct wire_request request = make(other, 0, 0);
		size_t fds = other == WIRE_WHO;

		if (other == WIRE_CONFIGURE)
			continue;
		assert_int_equal(check(&request, sizeof request, fds), 0);
		request.object_type = OBJECT_EVENT;
		assert_int_equal(check(&request, sizeof request, fds), EINVAL);
		request.object_type = 0;
		request.maximum = 1;
		assert_int_equal(check(&request, sizeof request, fds), EINVAL);
		request.maximum = 0;
		request.reserved = 1;
		assert_int_equal(check(&request, sizeof request, fds), EINVAL);
	}
}

/* What one type knows and another does not: each flag with each type. */
static void refuses_anothers_attributes(void **state)
{
	static const uint32_t known[OBJECT_TYPES] = {
	    [OBJECT_MAPPING] = WIRE_SPARSE,
	    [OBJECT_EVENT] = WIRE_MANUAL | WIRE_SIGNALED,
	    [OBJECT_TIMER] = WIRE_MANUAL,
	    [OBJECT_JOB] = WIRE_KILL_ON_CLOSE,
	};
	static const uint32_t flags[] = {WIRE_SPARSE, WIRE_MANUAL, WIRE_SIGNALED,
					 WIRE_KILL_ON_CLOSE};

	(void)state;
	for (uint32_t type = 0; type < OBJECT_TYPES; type++) {
		const uint32_t maximum = type == OBJECT_SEMAPHORE;

		for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
			assert_int_equal(check_typed(type, flags[i], 0, maximum, 0, 1),
					 known[type] & flags[i] ? 0 : EINVAL);
		if (type != OBJECT_MAPPING) {
			assert_int_equal(check_typed(type, WIRE_SET_SIZE, 0, maximum, 4096, 1),
					 EINVAL);
			assert_int_equal(check_typed(type, 0, 0, maximum, 4096, 1), EINVAL);
			assert_int_equal(check_typed(type, WIRE_BIND, 0, maximum, 0, 2), EINVAL);
			assert_int_equal(check_typed(type, 0, 0, maximum, 0, 2), EINVAL);
			assert_int_equal(check_typed(type, 0, 0, maximum, 0, 0), EINVAL);
		}
		if (type != OBJECT_SEMAPHORE) {
			assert_int_equal(check_typed(type, 0, 0, 1, 0, 1), EINVAL);
			assert_int_equal(check_typed(type, 0, 1, 0, 0, 1), EINVAL);
		}
	}
}

static void refuses_impossible_counts(void **state)
{
	(void)state;
	assert_int_equal(check_typed(OBJECT_SEMAPHORE, 0, 0, 0, 0, 1), EINVAL);
	assert_int_equal(check_typed(OBJECT_SEMAPHORE, 0, 2, 1, 0, 1), EINVAL);
	assert_int_equal(check_typed(OBJECT_SEMAPHORE, 0, 0, (uint32_t)INT32_MAX + 1, 0, 1),
			 EINVAL);
	assert_int_equal(check_typed(OBJECT_SEMAPHORE, 0, UINT32_MAX, UINT32_MAX, 0, 1), EINVAL);
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
		struct wire_request request = make((uint16_t)(random() % (WIRE_UPGRADE + 2)), 0, 0);
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
	    cmocka_unit_test(accepts_each_type),
	    cmocka_unit_test(refuses_unknown_types),
	    cmocka_unit_test(refuses_anothers_attributes),
	    cmocka_unit_test(refuses_impossible_counts),
	    cmocka_unit_test(refuses_impossible_sizes),
	    cmocka_unit_test(survives_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
