/* What a backing inode cannot say of itself, kept on it as one extended attribute. trusted.* where
 * we may, so that no client reads or forges it. There are as many as objects, and in a tmpfs they
 * are kernel memory: the name has at most 15 bytes, and zeros at the end are left out. */
#include "core/internal.h"
#include "core/limit.h"
#include "core/proc.h"
#include "core/sys.h"
#include "core/util.h"
#include "core/wait.h"

#include <stdio.h>
#include <sys/xattr.h>

#define RECORD_VERSION  2
#define RECORD_SHORTEST 4 /* the version */
#define RECORD_FLAGS                                                                               \
	(SLOT_TEMPORARY | SLOT_HANDLE_BOUND | SLOT_SPARSE | SLOT_BOUND | SLOT_READ_ONLY |          \
	 SLOT_FLUSH_UNTOLD | SLOT_HIDDEN)

_Static_assert(sizeof(struct wait_state) == 32, "it is the larger part of the union");

struct record {
	uint32_t version;
	uint32_t flags; /* RECORD_FLAGS of the slot */
	uint8_t type, inherit;
	uint16_t limit_flags; /* of struct account */
	uint32_t creator_uid, creator_pid;
	uint32_t extra; /* of struct slot */
	uint64_t limit; /* directories: of the tree below; 0: none of its own */
	union {
		struct {
			uint64_t binding;
			uint64_t size;
			uint64_t flushed_at;
			uint8_t flush_error, flush_tries;
			uint16_t flush_failures;
			uint32_t failing_since;
		};
		struct wait_state wait;
	};
};

const char *record_xattr_name(const struct core *core)
{
	return core->config.rootless ? "user.mappingfs" : "trusted.mapping";
}

static bool get(const struct core *core, int dirfd, const char *name, struct record *out)
{
	char path[STATE_NAME_MAX + 40];

	*out = (struct record){0};
	snprintf(path, sizeof path, "%s%d/%s", proc_own_prefix(), dirfd, name);
	return lgetxattr(path, record_xattr_name(core), out, sizeof *out) >= RECORD_SHORTEST &&
	       out->version == RECORD_VERSION;
}

static size_t length_of(const struct record *record)
{
	const char *bytes = (const char *)record;
	size_t length = sizeof *record;

	while (length > RECORD_SHORTEST && !bytes[length - 1])
		length--;
	return length;
}

void record_load(struct core *core, struct slot *slot, int dirfd, const char *name)
{
	struct record record;

	slot->creator_uid = UINT32_MAX;
	if (!get(core, dirfd, name, &record))
		return;
	slot->flags |= record.flags & RECORD_FLAGS & ~(uint32_t)SLOT_HIDDEN;
	slot->type = record.type < OBJECT_TYPES ? record.type : OBJECT_MAPPING;
	slot->inherit = record.inherit;
	slot->extra = (uint8_t)record.extra;
	slot->creator_uid = record.creator_uid;
	slot->creator_pid = record.creator_pid;
	slot->wait = record.wait; /* all of the union: the larger part */
	if (!slot_is_waitable(slot))
		slot->flush_tries = slot->failing_since = 0; /* owed then, not by us */
	else if (wait_type_of(slot)->unpack)
		wait_type_of(slot)->unpack(&slot->wait);
}

bool record_flags(const struct core *core, int dirfd, const char *name, uint32_t *flags)
{
	struct record record;

	if (!get(core, dirfd, name, &record))
		return false;
	*flags = record.flags;
	return true;
}

uint64_t record_limit(const struct core *core, int dirfd, const char *name, uint16_t *flags)
{
	struct record record;

	if (!get(core, dirfd, name, &record))
		return 0;
	*flags = record.limit_flags;
	return record.limit;
}

int record_save(struct core *core, struct slot *slot, int fd)
{
	struct record record = {
	    .version = RECORD_VERSION,
	    .flags = slot->flags & RECORD_FLAGS,
	    .type = slot->type,
	    .inherit = slot->inherit,
	    .extra = slot->extra,
	    .creator_uid = slot->creator_uid,
	    .creator_pid = slot->creator_pid,
	    .wait = slot->wait,
	};
	int rc;

	if (slot_is_waitable(slot) && wait_type_of(slot)->pack)
		wait_type_of(slot)->pack(&record.wait);
	record.limit = limit_of_record(core, slot, &record.limit_flags);
	rc = sys->setxattr(tree_fd_path(fd).text, record_xattr_name(core), &record,
			   length_of(&record));

	if (rc == 0)
		slot->flags &= ~(uint32_t)SLOT_UNSAVED;
	return rc;
}

int record_save_slot(struct core *core, struct slot *slot)
{
	AUTO_CLOSE int fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	return fd < 0 ? fd : record_save(core, slot, fd);
}
