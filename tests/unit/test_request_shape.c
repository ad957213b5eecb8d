/* Requests that are not whole, and those that are; fuzz_requests tries the rest. */
#include "core/util.h"
#include "fs/kernel.h"
#include "fs/request_shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 128 };

/* The check of a request whose body is exactly this. A copy of exactly its length is looked at. */
static int shape(uint32_t opcode, const void *body, size_t length)
{
	struct fuse_in_header header = {
	    .len = (uint32_t)(sizeof header + length), .opcode = opcode, .unique = 2};
	uint8_t *bytes = test_malloc(sizeof header + length);
	int rc;

	memcpy(bytes, &header, sizeof header);
	if (length)
		memcpy(bytes + sizeof header, body, length);
	rc = request_shape(bytes, sizeof header + length, true);
	test_free(bytes);
	return rc;
}

static void names(void **state)
{
	(void)state;
	assert_int_equal(shape(FUSE_LOOKUP, "name", 5), 0);
	assert_int_equal(shape(FUSE_LOOKUP, "name", 4), -EIO);
	assert_int_equal(shape(FUSE_LOOKUP, "", 0), -EIO);
	assert_int_equal(shape(FUSE_LOOKUP, "", 1), -EIO);
	assert_int_equal(shape(FUSE_LOOKUP, "..", 3), -EIO);
	assert_int_equal(shape(FUSE_UNLINK, "a/b", 4), -EIO);
	assert_int_equal(shape(FUSE_RENAME, "NODEIDNOa\0b", 12), 0);
	assert_int_equal(shape(FUSE_RENAME, "NODEIDNOa\0b", 11), -EIO);
	assert_int_equal(shape(FUSE_SYMLINK, "a\0/any/where", 13), 0);
	assert_int_equal(shape(FUSE_SYMLINK, "a\0/any/where", 12), -EIO);
}

static void sizes(void **state)
{
	uint8_t body[ROOM] = {0};
	struct fuse_write_in write = {.size = 5};
	struct fuse_batch_forget_in forgets = {.count = 2};
	struct fuse_setxattr_in set = {.size = 3};
	struct fuse_read_in read = {.size = UINT32_MAX};

	(void)state;
	memcpy(body, &write, sizeof write);
	assert_int_equal(shape(FUSE_WRITE, body, sizeof write + 5), 0);
	assert_int_equal(shape(FUSE_WRITE, body, sizeof write + 4), -EIO);
	memcpy(body, &forgets, sizeof forgets);
	assert_int_equal(shape(FUSE_BATCH_FORGET, body, sizeof forgets + 32), 0);
	assert_int_equal(shape(FUSE_BATCH_FORGET, body, sizeof forgets + 31), -EIO);
	memcpy(body, &set, sizeof set);
	memcpy(body + sizeof set, "x\0val", 5);
	assert_int_equal(shape(FUSE_SETXATTR, body, sizeof set + 5), 0);
	assert_int_equal(shape(FUSE_SETXATTR, body, sizeof set + 4), -EIO);
	assert_int_equal(shape(FUSE_OPEN, body, sizeof(struct fuse_open_in) - 1), -EIO);
	assert_int_equal(shape(FUSE_READDIR, &read, sizeof read), -EIO);
}

static void headers(void **state)
{
	struct fuse_in_header header = {.len = sizeof header, .opcode = FUSE_STATFS, .unique = 2};

	(void)state;
	assert_int_equal(request_shape(&header, sizeof header, true), 0);
	assert_int_equal(request_shape(&header, sizeof header - 1, true), -EIO);
	assert_true(request_has_answer(&header, sizeof header));
	assert_false(request_has_answer(&header, 8));
	header.len++;
	assert_int_equal(request_shape(&header, sizeof header, true), -EIO);
	header.opcode = FUSE_FORGET;
	assert_false(request_has_answer(&header, sizeof header));
	assert_int_equal(shape(0, NULL, 0), -ENOSYS);
	assert_int_equal(shape(4096, NULL, 0), -ENOSYS); /* CUSE_INIT */
	assert_int_equal(shape(UINT32_MAX, NULL, 0), -ENOSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(sizes),
	    cmocka_unit_test(headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
