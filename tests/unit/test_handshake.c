/* INIT's answer: what is added to libfuse's, and that nothing else is touched. */
#include "fs/handshake.h"
#include "fs/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct request {
	struct fuse_in_header header;
	struct fuse_init_in init;
};

static struct request modern(void)
{
	struct request r = {
	    .header = {.len = sizeof r, .opcode = FUSE_INIT, .unique = 2},
	    .init = {.major = 7,
		     .minor = KERNEL_MINOR_PASSTHROUGH,
		     .flags = KERNEL_INIT_EXT | KERNEL_HANDLE_KILLPRIV_V2,
		     .flags2 = KERNEL_PASSTHROUGH},
	};
	return r;
}

static int setup(void **state)
{
	(void)state;
	alarm(10);
	return 0;
}

static void offer_is_recognised(void **state)
{
	struct request r = modern();

	(void)state;
	assert_true(handshake_offers_passthrough(&r, sizeof r));
	r.init.minor = KERNEL_MINOR_PASSTHROUGH - 1;
	assert_false(handshake_offers_passthrough(&r, sizeof r));
	r = modern();
	r.init.flags = 0; /* flags2 is not valid then */
	assert_false(handshake_offers_passthrough(&r, sizeof r));
	r = modern();
	r.init.flags2 = ~KERNEL_PASSTHROUGH;
	assert_false(handshake_offers_passthrough(&r, sizeof r));
}

/* An old kernel sends less; nothing behind the end is believed or read. */
static void short_request(void **state)
{
	struct request r = modern();

	(void)state;
	for (size_t length = 0; length <= sizeof r.header + 16; length++) {
		char *exact = test_malloc(length + 1);
		memcpy(exact, &r, length);
		assert_false(handshake_offers_passthrough(exact, length));
		test_free(exact);
	}
}

static void answer_gets_passthrough(void **state)
{
	struct request r = modern();
	struct kernel_init_out out = {.major = 7,
				      .minor = 31,
				      .max_readahead = 131072,
				      .flags = 3,
				      .max_write = 4096,
				      .max_pages = 256,
				      .unused = {1, 2, 3, 4, 5, 6}};
	struct kernel_init_out expected = out;

	(void)state;
	handshake_complete(&r, sizeof r, &out, sizeof out, true);
	expected.minor = KERNEL_MINOR_PASSTHROUGH;
	expected.flags = 3 | KERNEL_INIT_EXT | KERNEL_HANDLE_KILLPRIV_V2;
	expected.flags2 = KERNEL_PASSTHROUGH;
	expected.max_stack_depth = 1;
	assert_memory_equal(&out, &expected, sizeof out);
}

static void answer_without_passthrough(void **state)
{
	struct request r = modern();
	struct kernel_init_out out = {.major = 7, .minor = 31, .flags = 3}, expected = out;

	(void)state;
	r.init.flags &= ~KERNEL_HANDLE_KILLPRIV_V2;
	handshake_complete(&r, sizeof r, &out, sizeof out, false);
	assert_memory_equal(&out, &expected,
			    sizeof out); /* what was not offered is not asked for */
	r = modern();
	handshake_complete(&r, sizeof r, &out, sizeof out, false);
	expected.flags |= KERNEL_HANDLE_KILLPRIV_V2;
	assert_memory_equal(&out, &expected, sizeof out);
}

static void short_answer_is_left_alone(void **state)
{
	struct request r = modern();
	uint8_t out[64], before[64];

	(void)state;
	memset(out, 0x5a, sizeof out);
	memcpy(before, out, sizeof out);
	for (size_t length = 0; length < sizeof out; length++)
		handshake_complete(&r, sizeof r, out, length, true);
	assert_memory_equal(out, before, sizeof out);
}

static void longer_setxattr(void **state)
{
	struct kernel_init_out out = {.major = 7, .minor = 31};
	struct request r = modern();

	(void)state;
	assert_false(handshake_extends_setxattr(&r, sizeof r));
	assert_false(handshake_extends_setxattr(&r, 0));
	r.init.flags |= FUSE_SETXATTR_EXT;
	assert_true(handshake_extends_setxattr(&r, sizeof r));
	handshake_complete(&r, sizeof r, &out, sizeof out, false);
	assert_true(out.flags & FUSE_SETXATTR_EXT);
}

/* The kernel's numbers, as its header has them. */
static void constants(void **state)
{
	(void)state;
	assert_int_equal(KERNEL_IOC_BACKING_OPEN, 0x4010e501);
	assert_int_equal(KERNEL_IOC_BACKING_CLOSE, 0x4004e502);
	assert_int_equal(sizeof(struct kernel_open_out), 16);
	assert_int_equal(offsetof(struct kernel_init_out, flags2), 32);
	assert_int_equal(offsetof(struct kernel_init_out, max_stack_depth), 36);
}

static void sending_again_is_recognised(void **state)
{
	struct request r = modern();

	(void)state;
	assert_false(handshake_sends_again(&r, sizeof r));
	r.init.flags2 |= KERNEL_HAS_RESEND;
	assert_true(handshake_sends_again(&r, sizeof r));
	assert_false(handshake_sends_again(&r, offsetof(struct request, init.flags2)));
	r.init.flags &= ~KERNEL_INIT_EXT;
	assert_false(handshake_sends_again(&r, sizeof r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(offer_is_recognised, setup),
	    cmocka_unit_test_setup(sending_again_is_recognised, setup),
	    cmocka_unit_test_setup(short_request, setup),
	    cmocka_unit_test_setup(answer_gets_passthrough, setup),
	    cmocka_unit_test_setup(answer_without_passthrough, setup),
	    cmocka_unit_test_setup(short_answer_is_left_alone, setup),
	    cmocka_unit_test_setup(longer_setxattr, setup),
	    cmocka_unit_test_setup(constants, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
