/* What is written to objects to wait on: the first byte is the type; then lines, each with a byte
 * that says through which of two handles, and whether somebody waits meanwhile. */
#include "core/internal.h"
#include "core/util.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/world.h"

#include <poll.h>

enum {
	OTHER_HANDLE = 1,
	WAITS = 2,
	POLLS = 4,
	TAKES = 8,
	NEXT_WORKER = 16,
	SEVERAL_LINES = 32, /* what follows is written at once */
	MOST_WRITES = 64
};

static uint64_t node, handles[2];

static void make(enum object_type type)
{
	struct core_opened opened;

	node = world_object(type, "object", &handles[0]);
	world_request();
	MUST(core_open(world.core, node, O_RDWR, &opened) == 0);
	handles[1] = opened.handle;
}

static void write_words(struct input *in, uint64_t handle, uint8_t how)
{
	const uint8_t *end = memchr(in->at, '\n', in->left);
	size_t size = how & SEVERAL_LINES || !end ? in->left : (size_t)(end - in->at) + 1, length;
	uint8_t *text = input_bytes(in, size, 0, &length);
	int taken;

	world_request();
	taken = core_signal(world.core, node, handle, (const char *)text, length,
			    &(struct core_caller){0});
	MUST(taken <= (int)length);
	free(text);
}

static void look(void)
{
	struct pollfd core = {.fd = core_poll_fd(world.core), .events = POLLIN};
	char state[256];
	int length = core_getxattr(world.core, node, "user.mapping.state", state, sizeof state);

	MUST(length <= (int)sizeof state);
	if (poll(&core, 1, 0) > 0)
		core_dispatch(world.core);
}

static void go_on(struct input *in)
{
	uint8_t how = input_u8(in);
	uint64_t handle = handles[how & OTHER_HANDLE];

	world_request();
	if (how & (WAITS | TAKES))
		core_wait(world.core, node, handle, how & WAITS,
			  &(struct core_waited){.unique = world.unique});
	if (how & POLLS)
		core_poll(world.core, node, handle, world.unique, true);
	write_words(in, handle, how);
	look();
	if (how & NEXT_WORKER) {
		world_stop();
		MUST(world_start() == 0);
		core_resumed(world.core);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	int type = OBJECT_EVENT + input_u8(&in) % (OBJECT_TYPES - OBJECT_EVENT);

	world_empty(false, false);
	MUST(world_start() == 0);
	make((enum object_type)type);
	for (int i = 0; i < MOST_WRITES && in.left; i++)
		go_on(&in);
	for (int i = 0; i < 2; i++) {
		world_request();
		core_release(world.core, node, handles[i]);
	}
	world_stop();
	return 0;
}
