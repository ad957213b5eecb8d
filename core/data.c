/* Data that does pass through us: the cached mode's reads and writes, and what every mode sends
 * here. */
#include "core/account.h"
#include "core/sys.h"
#include "core/user.h"
#include "core/util.h"

#include <linux/falloc.h>

int core_data_fd(struct core *core, uint64_t node)
{
	struct slot *slot = slot_get(core, node);

	return slot ? file_descriptor(core, slot) : -ESTALE;
}

/* As much as the limit leaves, like a full disk. */
static int write_charged(struct core *core, struct slot *slot, int fd, const void *bytes,
			 size_t size, off_t offset)
{
	uint64_t reach = account_reach(core, slot, (uint64_t)offset + size);
	int rc;

	if (reach > (uint64_t)offset)
		size = (size_t)(reach - (uint64_t)offset);
	rc = account_begin(core, slot, (uint64_t)offset + size);
	if (rc < 0)
		return rc;
	rc = sys->pwrite(fd, bytes, size, offset);
	account_end(core, slot);
	return rc;
}

int core_write(struct core *core, uint64_t node, const void *bytes, size_t size, off_t offset)
{
	struct slot *slot = slot_get(core, node);
	int fd = slot ? file_descriptor(core, slot) : -ESTALE;
	uint64_t end = (uint64_t)offset + size;

	if (fd < 0)
		return fd;
	setid_drop(core, slot);
	/* Over what is charged already. */
	if (account_charges(slot) && end > slot->charged)
		return write_charged(core, slot, fd, bytes, size, offset);
	return sys->pwrite(fd, bytes, size, offset);
}

/* A size set this way is a promise, too: the hole before what is allocated is part of it. */
static int reserve_below(const struct slot *slot, int fd, int mode, uint64_t end)
{
	struct stat st;

	if ((mode & FALLOC_FL_KEEP_SIZE) || (slot->flags & (SLOT_SPARSE | SLOT_BOUND)))
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	return reserve(fd, (uint64_t)st.st_size, end);
}

/* What lies beyond the end of a file is charged to nobody. */
static int charge_range(struct core *core, struct slot *slot, int mode, uint64_t end)
{
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		return account_begin(core, slot, end);
	if ((mode & FALLOC_FL_PUNCH_HOLE) || end <= slot->charged || !account_charges(slot))
		return 0;
	/* A user's has to fit, as everything else that is not seen before it is done. */
	return account_counts(slot) ? -EOPNOTSUPP : user_may_grow(core, slot, end - slot->charged);
}

static int allocate(struct core *core, struct slot *slot, int fd, int mode, off_t offset,
		    off_t length)
{
	uint64_t end = (uint64_t)offset + (uint64_t)length;
	int rc = charge_range(core, slot, mode, end);

	if (rc < 0)
		return rc;
	rc = reserve_below(slot, fd, mode, end);
	if (rc == 0)
		rc = sys->fallocate(fd, mode, offset, length);
	account_end(core, slot);
	return rc;
}

int core_fallocate(struct core *core, uint64_t node, int mode, off_t offset, off_t length)
{
	struct slot *slot = slot_get(core, node);
	int fd = slot ? file_descriptor(core, slot) : -ESTALE;
	uint64_t end = (uint64_t)offset + (uint64_t)length;
	int rc;

	if (fd < 0)
		return fd;
	if (slot->flags & SLOT_READ_ONLY)
		return -EACCES;
	setid_drop(core, slot);
	rc = allocate(core, slot, fd, mode, offset, length);
	if (rc == 0 && (slot->flags & SLOT_BOUND) && !(mode & FALLOC_FL_KEEP_SIZE) &&
	    end > slot->size) {
		STAGE(&core->state, slot->size, end);
		state_commit(&core->state);
		record_save_slot(core, slot);
	}
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
