/* The bytes of one input, taken from the front. What is not there reads as zeros. */
#ifndef MAPPINGFS_TESTS_FUZZ_INPUT_H
#define MAPPINGFS_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct input {
	const uint8_t *at;
	size_t left;
};

static inline void input_take(struct input *in, void *out, size_t size)
{
	size_t there = size < in->left ? size : in->left;

	memset(out, 0, size);
	if (there)
		memcpy(out, in->at, there);
	in->at += there;
	in->left -= there;
}

static inline uint8_t input_u8(struct input *in)
{
	uint8_t value;

	input_take(in, &value, sizeof value);
	return value;
}

static inline uint16_t input_u16(struct input *in)
{
	uint16_t value;

	input_take(in, &value, sizeof value);
	return value;
}

static inline uint64_t input_u64(struct input *in)
{
	uint64_t value;

	input_take(in, &value, sizeof value);
	return value;
}

/* At most `size` bytes in memory of exactly their length, so that a read beyond them is seen; one
 * more, a NUL, with `text`. The caller frees it. */
static inline uint8_t *input_bytes(struct input *in, size_t size, int text, size_t *length)
{
	size_t there = size < in->left ? size : in->left;
	uint8_t *bytes = malloc(there + (text ? 1 : 0) + !(there || text));

	if (!bytes)
		abort();
	input_take(in, bytes, there);
	if (text)
		bytes[there] = '\0';
	*length = there;
	return bytes;
}

/* A string: a byte that says how long it is, and then itself. */
static inline char *input_text(struct input *in)
{
	size_t length;

	return (char *)input_bytes(in, input_u8(in), 1, &length);
}

/* What must hold whatever the input was. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
