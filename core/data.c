/* Data that does pass through us: the cached mode's reads and writes, and what every mode sends here. */
#include "core/internal.h"
#include "core/sys.h"
#include "core/util.h"

#include <linux/falloc.h>

int core_data_fd(struct core *core, uint64_t node)
{
	struct slot *slot = slot_get(core, node);

	return slot ? file_descriptor(core, slot) : -ESTALE;
}

/* Makes room on the account for an object that will reach `end`; staged. */
static int stage_growth(struct core *core, struct slot *slot, int fd, uint64_t end)
{
	struct stat st;
	uint64_t want = page_round_up(end);

	if ((slot->flags & (SLOT_BOUND | SLOT_SPARSE)) || want <= slot->charged)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	return commit_stage(core, slot, want, false);
}

int core_write(struct core *core, uint64_t node, const void *bytes, size_t size, off_t offset)
{
	struct slot *slot = slot_get(core, node);
	int fd = slot ? file_descriptor(core, slot) : -ESTALE;
	ssize_t written;
	int rc;

	if (fd < 0)
		return fd;
	rc = stage_growth(core, slot, fd, (uint64_t)offset + size);
	if (rc < 0)
		return rc;
	state_commit(&core->state);
	written = pwrite(fd, bytes, size, offset);
	return written < 0 ? -errno : (int)written;
}

int core_fallocate(struct core *core, uint64_t node, int mode, off_t offset, off_t length)
{
	struct slot *slot = slot_get(core, node);
	int fd = slot ? file_descriptor(core, slot) : -ESTALE;
	struct stat st;
	int rc = 0;

	if (fd < 0)
		return fd;
	if (slot->flags & SLOT_READ_ONLY)
		return -EACCES;
	if (!(mode & FALLOC_FL_PUNCH_HOLE))
		rc = stage_growth(core, slot, fd, (uint64_t)offset + (uint64_t)length);
	if (rc < 0)
		return rc;
	state_commit(&core->state);
	rc = sys->fallocate(fd, mode, offset, length);
	if (rc == 0 && (slot->flags & SLOT_BOUND) && !(mode & FALLOC_FL_KEEP_SIZE) &&
	    (uint64_t)(offset + length) > slot->size) {
		STAGE(&core->state, slot->size, (uint64_t)(offset + length));
		state_commit(&core->state);
		record_save_slot(core, slot);
	}
	if (fstat(fd, &st) == 0)
		commit_settle(core, slot, &st);
	return rc;
}

int core_seek(struct core *core, uint64_t node, off_t offset, int whence, off_t *out)
{
	struct slot *slot = slot_get(core, node);
	AUTO_CLOSE int fd = slot ? file_own_descriptor(core, slot, O_RDONLY) : -ESTALE;

	if (fd < 0)
		return fd;
	*out = lseek(fd, offset, whence);
	return *out < 0 ? -errno : 0;
}
