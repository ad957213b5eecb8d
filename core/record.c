/* What a backing inode cannot say of itself, kept on it as one extended attribute: absent on a
 * plain permanent memory object. trusted.* where we may, so that no client reads or forges it. */
#include "core/internal.h"
#include "core/util.h"

#include <stdio.h>
#include <sys/xattr.h>

#define RECORD_VERSION 1
#define RECORD_FLAGS                                                                               \
	(SLOT_TEMPORARY | SLOT_SPARSE | SLOT_BOUND | SLOT_READ_ONLY | SLOT_FLUSH_UNTOLD)

struct record {
	uint32_t version;
	uint32_t flags; /* RECORD_FLAGS of the slot */
	uint64_t binding;
	uint64_t size;
	uint64_t flushed_at;
	int32_t flush_error;
	uint32_t flush_failures;
};

const char *record_xattr_name(const struct core *core)
{
	return core->config.rootless ? "user.mappingfs.record" : "trusted.mappingfs";
}

void record_load(struct core *core, struct slot *slot, int dirfd, const char *name)
{
	char path[STATE_NAME_MAX + 40];
	struct record record;

	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dirfd, name);
	if (lgetxattr(path, record_xattr_name(core), &record, sizeof record) != sizeof record ||
	    record.version != RECORD_VERSION)
		return;
	slot->flags |= record.flags & RECORD_FLAGS;
	slot->binding = record.binding;
	slot->size = record.size;
	slot->flushed_at = record.flushed_at;
	slot->flush_error = record.flush_error;
	slot->flush_failures = record.flush_failures;
}

int record_save(struct core *core, struct slot *slot, int fd)
{
	struct record record = {
	    .version = RECORD_VERSION,
	    .flags = slot->flags & RECORD_FLAGS,
	    .binding = slot->binding,
	    .size = slot->size,
	    .flushed_at = slot->flushed_at,
	    .flush_error = slot->flush_error,
	    .flush_failures = slot->flush_failures,
	};
	return neg_errno(
	    setxattr(tree_fd_path(fd).text, record_xattr_name(core), &record, sizeof record, 0));
}

int record_save_slot(struct core *core, struct slot *slot)
{
	AUTO_CLOSE int fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	return fd < 0 ? fd : record_save(core, slot, fd);
}
