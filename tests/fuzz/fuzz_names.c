/* Names and attributes: a byte of how the tree is served, then operations, each a byte for what it
 * is, one for each node it is about, and strings of up to 255 bytes. What is no name (see
 * request_shape.h) never comes so far. */
#include "core/internal.h"
#include "core/util.h"
#include "fs/request_shape.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/world.h"

#include <sys/xattr.h>

enum { NODES = 16, MOST_OPERATIONS = 64 };

static const struct core_caller caller = {0};
static uint64_t nodes[NODES] = {CORE_ROOT_NODE};
static size_t count;
static uid_t uid;

static void learn(int rc, const struct core_entry *entry)
{
	if (rc == 0)
		nodes[count++ % (NODES - 1) + 1] = entry->node;
}

static uint64_t take_node(struct input *in)
{
	return nodes[input_u8(in) % (count < NODES ? count + 1 : NODES)];
}

/* --- names --- */

static void create(uint8_t kind, uint64_t node, const char *name, const char *other)
{
	struct core_opened opened;
	struct core_entry entry;
	int rc = -1;

	switch (kind) {
	case 0:
		rc = core_lookup(world.core, node, name, &entry);
		break;
	case 1:
		rc = core_mknod(world.core, node, name, S_IFREG | 0644, &caller, &entry);
		break;
	case 2:
		rc = core_mkdir(world.core, node, name, 0755, &caller, &entry);
		break;
	case 3:
		rc = core_symlink(world.core, node, name, other, &caller, &entry);
		break;
	default:
		rc = core_create_file(world.core, node, name, 0644, O_RDWR, &caller, &entry,
				      &opened);
	}
	learn(rc, &entry);
}

static void use_names(uint8_t kind, struct input *in)
{
	uint64_t node = take_node(in), second = take_node(in);
	char *name = input_text(in), *other = input_text(in);
	struct core_entry entry;

	if (!is_component(name))
		goto out;
	if (kind < 5)
		create(kind, node, name, other);
	else if (kind == 5)
		learn(core_link(world.core, second, node, name, &entry), &entry);
	else if (kind == 6)
		core_unlink(world.core, node, name);
	else if (kind == 7)
		core_rmdir(world.core, node, name);
	else if (is_component(other))
		core_rename(world.core, node, name, second, other, input_u8(in) & 3);
out:
	free(name);
	free(other);
}

/* --- attributes --- */

static void use_attributes(uint8_t kind, struct input *in)
{
	uint64_t node = take_node(in);
	char *name = input_text(in), buffer[512];
	uint8_t *value;
	size_t length;
	int got = 0;

	value = input_bytes(in, input_u8(in), 0, &length);
	if (!name[0])
		kind = 2;
	if (kind == 0)
		core_setxattr(world.core, node, name, value, length,
			      input_u8(in) & (XATTR_CREATE | XATTR_REPLACE),
			      &(struct core_caller){.uid = uid});
	else if (kind == 1)
		got = core_getxattr(world.core, node, name, buffer, input_u8(in));
	else if (kind == 2)
		got = core_listxattr(world.core, node, buffer, sizeof buffer);
	else
		core_removexattr(world.core, node, name);
	MUST(got <= (int)sizeof buffer || kind == 1);
	free(name);
	free(value);
}

/* --- the rest --- */

static bool any_name(void *context, const char *name, ino_t ino, mode_t type, off_t next)
{
	(void)ino;
	(void)type;
	(void)next;
	MUST(name[0]);
	return ++*(int *)context < 100;
}

static void use_inode(uint8_t kind, struct input *in)
{
	uint64_t node = take_node(in);
	struct core_opened opened;
	struct statvfs fs;
	char target[512];
	int seen = 0, length;

	switch (kind) {
	case 0:
		length = core_readlink(world.core, node, target, sizeof target);
		MUST(length < 0 || memchr(target, '\0', sizeof target));
		break;
	case 1:
		core_readdir(world.core, node, (off_t)input_u8(in), any_name, &seen);
		break;
	case 2:
		core_statfs(world.core, node, &fs);
		break;
	case 3:
		if (core_open(world.core, node, input_u8(in) & O_ACCMODE, &opened) == 0)
			core_release(world.core, node, opened.handle);
		break;
	case 4:
		if (node != CORE_ROOT_NODE)
			core_forget(world.core, node, 1);
		break;
	case 5:
		uid = input_u8(in) & 1 ? 1000 : 0;
		break;
	default: /* another worker goes on */
		world_stop();
		MUST(world_start() == 0);
		core_resumed(world.core);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t kind = input_u8(&in);

	world_empty(kind & 1, kind & 2);
	MUST(world_start() == 0);
	count = 0;
	uid = 0;
	for (int i = 0; i < MOST_OPERATIONS && in.left; i++) {
		kind = input_u8(&in) % 20;
		world_request_from(uid);
		if (kind < 9)
			use_names(kind, &in);
		else if (kind < 13)
			use_attributes(kind - 9, &in);
		else
			use_inode(kind - 13, &in);
	}
	world_stop();
	return 0;
}
