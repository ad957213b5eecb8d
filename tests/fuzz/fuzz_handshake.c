/* INIT as the kernel sends it, and libfuse's answer to it: a byte of flags, the answer's length,
 * the request. */
#include "fs/handshake.h"
#include "fs/kernel.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	bool passthrough = input_u8(&in) & 1;
	size_t answer_length, length;
	uint8_t *answer = input_bytes(&in, input_u8(&in), 0, &answer_length);
	uint8_t *before = malloc(answer_length + 1);
	uint8_t *request = input_bytes(&in, in.left, 0, &length);

	if (answer_length)
		memcpy(before, answer, answer_length);
	handshake_offers_passthrough(request, length);
	handshake_extends_setxattr(request, length);
	handshake_complete(request, length, answer, answer_length, passthrough);
	/* One that is too short is left alone; of any other only what is ours is touched. */
	if (answer_length < sizeof(struct kernel_init_out))
		MUST(!answer_length || memcmp(answer, before, answer_length) == 0);
	else
		MUST(memcmp(answer + sizeof(struct kernel_init_out),
			    before + sizeof(struct kernel_init_out),
			    answer_length - sizeof(struct kernel_init_out)) == 0);
	free(answer);
	free(before);
	free(request);
	return 0;
}
