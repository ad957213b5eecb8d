/* What is reported flushed in a store is there after a loss of power: not the data alone, but the
 * record and attributes on the inode, and the names that lead to it.
 *
 * An inode is made durable by its own fsync(2), a name by that of its directory. Which directories
 * have changed since is kept in the state area, a few of them; a flush does them all. So creating,
 * renaming and unlinking cost nothing more, and a flush one call more for each directory that was
 * changed since the last one. Where there are too many, or at the first flush of a mount, which
 * knows nothing of the one before, the whole file system is written. */
#include "core/bindfile.h"
#include "core/internal.h"
#include "core/sys.h"
#include "core/util.h"

#include <stdatomic.h>

#define INO_BINDINGS 0 /* no file has this number */

static void overflow(struct core *core)
{
	struct state_header *h = core->state.header;

	*(volatile uint32_t *)&h->unsynced_all = 1;
	atomic_signal_fence(memory_order_seq_cst);
	*(volatile uint32_t *)&h->unsynced_count = 0;
	core->overflowed_at = ++core->changes;
}

static void note(struct core *core, uint64_t ino)
{
	struct state_header *h = core->state.header;
	uint32_t i = 0;

	while (i < h->unsynced_count && h->unsynced[i] != ino)
		i++;
	if (i == STATE_UNSYNCED) {
		overflow(core);
		return;
	}
	core->changed_at[i] = ++core->changes;
	if (i < h->unsynced_count)
		return;
	h->unsynced[i] = ino;
	atomic_signal_fence(memory_order_seq_cst);
	*(volatile uint32_t *)&h->unsynced_count = i + 1;
}

void durable_changed(struct core *core, uint64_t directory)
{
	const struct slot *slot = core->persistent ? slot_known(core, directory) : NULL;

	if (slot)
		note(core, slot->ino);
}

void durable_store_changed(struct core *core)
{
	note(core, INO_BINDINGS);
}

/* Killed in the middle it is there twice, which does no harm. */
static void forget_name(struct core *core, uint32_t i)
{
	struct state_header *h = core->state.header;
	uint32_t last = h->unsynced_count - 1;

	h->unsynced[i] = h->unsynced[last];
	core->changed_at[i] = core->changed_at[last];
	atomic_signal_fence(memory_order_seq_cst);
	*(volatile uint32_t *)&h->unsynced_count = last;
}

bool durable_kept(const struct core *core, const struct slot *slot)
{
	return core->persistent && !(slot->flags & (SLOT_TEMPORARY | SLOT_ORPHAN | SLOT_DEAD));
}

/* Without a descriptor of a directory that is there, everything has to be written. */
static bool add_directory(struct core *core, uint64_t ino, struct durable *out)
{
	struct slot *slot = slot_by_ino(core, ino);
	int fd;

	if (!slot && ino != INO_BINDINGS)
		return false;
	if (slot && (slot->flags & (SLOT_ORPHAN | SLOT_DEAD)))
		return true; /* nobody will look for a name in it */
	fd = slot ? tree_open_inode(&core->tree, slot, O_RDONLY | O_DIRECTORY)
		  : openat(core->tree.base_fd, BINDFILE_DIRECTORY, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	out->fds[out->count++] = fd;
	return true;
}

static bool add_names(struct core *core, struct durable *out)
{
	const struct state_header *h = core->state.header;
	bool all_found = !h->unsynced_all;

	for (uint32_t i = 0; i < h->unsynced_count && all_found; i++) {
		all_found = add_directory(core, h->unsynced[i], out);
		out->names[i].ino = h->unsynced[i];
		out->names[i].changed_at = core->changed_at[i];
		out->names_count = i + 1;
	}
	return all_found;
}

int durable_begin(struct core *core, struct slot *slot, struct durable *out)
{
	int rc = 0;

	*out = (struct durable){.base_fd = -1, .begun_at = core->changes};
	if (slot->flags & SLOT_UNSAVED)
		rc = record_save_slot(core, slot);
	if (rc < 0)
		return rc;
	out->fds[0] = file_inode_descriptor(core, slot, O_RDONLY);
	if (out->fds[0] < 0)
		return out->fds[0];
	out->count = 1;
	if (add_names(core, out))
		return 0;
	out->base_fd = fcntl(core->tree.base_fd, F_DUPFD_CLOEXEC, 0);
	rc = neg_errno(out->base_fd);
	if (rc < 0)
		durable_drop(out);
	return rc < 0 ? rc : 0;
}

void durable_drop(struct durable *durable)
{
	while (durable->count)
		close(durable->fds[--durable->count]);
	if (durable->base_fd >= 0)
		close(durable->base_fd);
}

int durable_sync(struct durable *durable)
{
	int rc = 0;

	for (unsigned i = 0; i < durable->count && rc == 0; i++)
		rc = sys->fsync(durable->fds[i]);
	if (rc == 0 && durable->base_fd >= 0)
		rc = sys->syncfs(durable->base_fd);
	return rc;
}

static bool is_synced(const struct core *core, const struct durable *durable, uint32_t i)
{
	if (durable->base_fd >= 0)
		return core->changed_at[i] <= durable->begun_at;
	for (unsigned k = 0; k < durable->names_count; k++)
		if (durable->names[k].ino == core->state.header->unsynced[i])
			return durable->names[k].changed_at == core->changed_at[i];
	return false;
}

/* It succeeded. What was changed meanwhile is still to be done. */
void durable_done(struct core *core, const struct durable *durable)
{
	struct state_header *h = core->state.header;

	for (uint32_t i = h->unsynced_count; i > 0; i--)
		if (is_synced(core, durable, i - 1))
			forget_name(core, i - 1);
	if (durable->base_fd >= 0 && core->overflowed_at <= durable->begun_at)
		*(volatile uint32_t *)&h->unsynced_all = 0;
}
