/* The state area as a worker that was taken over leaves it: that of a world with something of
 * everything, and changes of it. A byte of how the tree is served, then the changes: a byte for the
 * table, two for the entry, one each for the field's place and width, eight of the value. The next
 * worker takes over, and is then used. */
#include "core/internal.h"
#include "core/state.h"
#include "core/util.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/world.h"

#include <poll.h>
#include <sys/mman.h>

enum { KIND_HANDLES, KIND_CACHED, KIND_ROOTLESS, KINDS };

static uint64_t nodes[16], handles[16];
static size_t count;

/* --- what the former worker did --- */

static void note(uint64_t node, uint64_t handle)
{
	nodes[count] = node;
	handles[count++] = handle;
}

static void make_directory(const char *name, const char *attribute, const char *value)
{
	const struct core_caller caller = {0};
	struct core_entry entry;

	world_request();
	MUST(core_mkdir(world.core, CORE_ROOT_NODE, name, 0755, &caller, &entry) == 0);
	world_request();
	core_setxattr(world.core, entry.node, attribute, value, strlen(value), 0, &caller);
	note(entry.node, 0);
}

static void make_bound(void)
{
	const struct core_caller caller = {0};
	AUTO_CLOSE int fd = memfd_create("file", MFD_CLOEXEC);
	const struct core_setup setup = {.lifetime = -1, .file_fd = fd};
	struct core_entry entry;
	const char *why;

	MUST(ftruncate(fd, 5000) == 0);
	world_request();
	MUST(core_mknod(world.core, CORE_ROOT_NODE, "bound", S_IFREG | 0600, &caller, &entry) == 0);
	core_configure(world.core, entry.node, &setup, &caller, &why);
	note(entry.node, 0);
}

static void say(size_t object, const char *words)
{
	world_request();
	core_signal(world.core, nodes[object], handles[object], words, strlen(words),
		    &(struct core_caller){0});
}

static void make_everything(void)
{
	uint64_t handle;

	count = 0;
	for (int type = OBJECT_MAPPING; type < OBJECT_TYPES; type++) {
		uint64_t node =
		    world_object((enum object_type)type, (char[]){(char)('a' + type), 0}, &handle);
		note(node, handle);
	}
	make_directory("limit", "user.mapping.limit", "64k");
	make_directory("inherit", "user.mapping.lifetime", "temporary");
	make_bound();
	world_request(); /* a mutex that is owned */
	core_wait(world.core, nodes[OBJECT_MUTEX], handles[OBJECT_MUTEX], false,
		  &(struct core_waited){.unique = world.unique});
	world_request(); /* somebody who waits */
	core_wait(world.core, nodes[OBJECT_EVENT], handles[OBJECT_EVENT], true,
		  &(struct core_waited){.unique = world.unique});
	say(OBJECT_TIMER, "set 100s 1s");
	say(OBJECT_JOB, "add 1");
	world_request(); /* an orphan */
	core_unlink(world.core, CORE_ROOT_NODE, "a");
}

/* --- what it left --- */

static uint8_t *entry_at(struct state *s, uint8_t table, uint16_t entry, size_t *size)
{
	switch (table % 9) {
	case 0: /* the header's numbers before and behind its tables */
		*size = offsetof(struct state_header, log);
		return (uint8_t *)s->header;
	case 1:
		*size = sizeof *s->header - offsetof(struct state_header, saved);
		return (uint8_t *)s->header->saved;
	case 2:
		*size = sizeof s->header->log[0];
		return (uint8_t *)&s->header->log[entry % STATE_LOG_WORDS];
	case 3:
		*size = sizeof s->slots[0];
		return (uint8_t *)&s->slots[entry];
	case 4:
		*size = sizeof s->places[0];
		return (uint8_t *)&s->places[entry];
	case 5:
		*size = sizeof s->handles[0];
		return (uint8_t *)&s->handles[entry];
	case 6:
		*size = sizeof s->accounts[0];
		return (uint8_t *)&s->accounts[entry % STATE_ACCOUNTS];
	case 7:
		*size = sizeof s->members[0];
		return (uint8_t *)&s->members[entry];
	default:
		*size = sizeof s->users[0];
		return (uint8_t *)&s->users[entry];
	}
}

static void change_one(struct state *s, struct input *in)
{
	uint8_t table = input_u8(in);
	uint16_t entry = input_u16(in);
	size_t place = input_u8(in), width = 1U << input_u8(in) % 4, size;
	uint8_t *bytes = entry_at(s, table, entry, &size);
	uint64_t value = input_u64(in);

	/* Two bytes reach into all of the largest. */
	if (table % 9 == 1)
		place = (place | (size_t)entry << 8) * 4;
	place = place * (width > 1 ? width : 1) % size;
	if (place + width > size)
		place = size - width;
	memcpy(bytes + place, &value, width);
}

static void change(struct input *in)
{
	struct state state;

	MUST(state_open(&state, world.config.state_fd, world.config.state_offset) == 0);
	while (in->left)
		change_one(&state, in);
	state_close(&state);
}

/* --- what the next one does --- */

static void dispatch(void)
{
	struct pollfd core = {.fd = core_poll_fd(world.core), .events = POLLIN};

	for (int i = 0; i < 4 && poll(&core, 1, 0) > 0; i++)
		core_dispatch(world.core);
}

static void use_node(uint64_t node, uint64_t handle)
{
	struct core_opened opened;
	char value[512];
	struct stat st;
	double timeout;

	world_request();
	core_getattr(world.core, node, &st, &timeout);
	core_getxattr(world.core, node, "user.mapping.state", value, sizeof value);
	core_listxattr(world.core, node, value, sizeof value);
	world_request();
	core_signal(world.core, node, handle, "set\n", 4, &(struct core_caller){0});
	core_poll(world.core, node, handle, 5, true);
	world_request();
	core_wait(world.core, node, handle, true, &(struct core_waited){.unique = world.unique});
	world_request();
	if (core_open(world.core, node, O_RDWR, &opened) == 0)
		core_release(world.core, node, opened.handle);
	world_request();
	core_release(world.core, node, handle);
	world_request();
	core_forget(world.core, node, 1);
}

/* What the kernel sends again: the newest requests, some of which are recorded. */
static void send_again(void)
{
	struct core_waited waited = {0};
	struct core_entry entry;

	for (uint64_t back = 0; back < 8; back += 2) {
		waited.unique = (world.unique - back) | 1ULL << 63;
		core_request(world.core, world.unique - back, true);
		core_request_from(world.core, 0, 0);
		if (back < 4)
			core_wait(world.core, nodes[OBJECT_EVENT], handles[OBJECT_EVENT], true,
				  &waited);
		else
			core_lookup(world.core, CORE_ROOT_NODE, "b", &entry);
	}
	core_resumed(world.core);
}

static void use(void)
{
	static const char names[][8] = {"a", "b", "c", "d", "e", "f", "limit", "inherit", "bound"};
	struct core_counters counters;
	struct core_entry entry;
	struct core_usage usage;
	struct core_user users[4];
	struct core_failing failing[2];
	struct statvfs st;

	dispatch();
	send_again();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		world_request();
		core_lookup(world.core, CORE_ROOT_NODE, names[i], &entry);
	}
	for (size_t i = 0; i < count; i++)
		use_node(nodes[i], handles[i]);
	core_statfs(world.core, CORE_ROOT_NODE, &st);
	core_usage(world.core, &usage);
	core_users(world.core, users, ARRAY_SIZE(users), true, 0);
	core_failing(world.core, failing, ARRAY_SIZE(failing));
	core_counters(world.core, &counters);
	dispatch();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	const int kind = input_u8(&in) % KINDS;

	world_empty(kind != KIND_HANDLES, kind == KIND_ROOTLESS);
	MUST(world_start() == 0);
	make_everything();
	world_stop();
	change(&in);
	/* It may refuse, but no content makes it die; and what it leaves, the next one takes. */
	for (int worker = 0; worker < 2; worker++)
		if (world_start() == 0) {
			use();
			world_stop();
		}
	core_end_jobs(world.config.state_fd, world.config.state_offset, 0);
	return 0;
}
