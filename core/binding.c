/* Objects bound to an external file. The caller opened the file, so the kernel checked its rights;
 * we never resolve a path. (For a store that is mounted again the supervisor does, and takes no
 * other inode.) The supervisor keeps the descriptor: it outlives every worker, and stays
 * the one open file description that the lease probe must be alone with. */
#include "core/internal.h"
#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int binding_descriptor(struct core *core, const struct slot *slot)
{
	uint32_t fd;

	/* Of a store, and the file was not found when it was mounted. */
	return map_get(&core->bindings, slot->binding, &fd) ? (int)fd : -ENXIO;
}

static void let_go(struct core *core, uint64_t id)
{
	uint32_t fd;

	if (map_get(&core->bindings, id, &fd)) {
		map_remove(&core->bindings, id);
		close((int)fd);
	}
	if (core->config.listener.drop)
		core->config.listener.drop(core->config.listener.context, id);
	forget_binding(core, id);
}

void binding_drop(struct core *core, struct slot *slot)
{
	if (!(slot->flags & SLOT_BOUND))
		return;
	let_go(core, slot->binding);
	STAGE(&core->state, slot->flags, slot->flags & ~(uint32_t)SLOT_BOUND);
	state_commit(&core->state);
}

/* Descriptors that the supervisor keeps keep the lease of a worker that died while it asked, too:
 * whoever opens the file would wait until the kernel breaks it, 45 s. */
static void drop_leases(struct core *core)
{
	for (size_t i = 0; core->config.data.attach && i < core->bindings.capacity; i++)
		if (core->bindings.entries[i].used)
			sys->lease_end((int)core->bindings.entries[i].value);
}

void binding_recover(struct core *core)
{
	struct state_header *h = core->state.header;

	drop_leases(core);
	if (h->binding_in_hand)
		let_go(core, h->binding_in_hand);
	h->binding_in_hand = 0;
}

void binding_finish(struct core *core)
{
	for (size_t i = 0; i < core->bindings.capacity; i++)
		if (core->bindings.entries[i].used)
			close((int)core->bindings.entries[i].value);
	map_finish(&core->bindings);
}

/* What the passed descriptor is, asked without a request to any file system: it may be one that
 * hangs, or our own, which waits for us. */
struct external {
	struct statx st;
	bool writable;
};

static int examine(struct core *core, int fd, struct external *file, const char **why)
{
	int flags = fcntl(fd, F_GETFL);

	*why = "the file is not open for reading";
	if (flags < 0)
		return -errno;
	if (flags & O_PATH)
		return -EBADF;
	if ((flags & O_ACCMODE) == O_WRONLY)
		return -EACCES;
	file->writable = (flags & O_ACCMODE) == O_RDWR;
	*why = "the file cannot be examined";
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &file->st) < 0)
		return -errno;
	*why = "not a regular file";
	if (!S_ISREG(file->st.stx_mode))
		return -EINVAL;
	*why = "the file is itself in this mount";
	if (file->st.stx_dev_major == core->config.device_major &&
	    file->st.stx_dev_minor == core->config.device_minor)
		return -EINVAL;
	return 0;
}

/* The file reaches at least `size` afterwards, with room on the disk for it, or is as it was. */
static int grow_file(int fd, uint64_t from, uint64_t size, const char **why)
{
	int rc = sys->fallocate(fd, 0, 0, (off_t)size);

	if (rc == -EOPNOTSUPP)
		rc = sys->ftruncate(fd, (off_t)size);
	if (rc == 0)
		return 0;
	*why = "the file cannot grow to the size asked for";
	sys->ftruncate(fd, (off_t)from);
	return rc;
}

static int decide_size(const struct core_setup *setup, const struct external *file, bool read_only,
		       uint64_t *size, const char **why)
{
	*size = setup->set_size ? setup->size : file->st.stx_size;
	*why = "the file is empty and no size was given";
	if (*size == 0)
		return -EINVAL;
	*why = "the size is larger than the file, and the file may not be written";
	if (*size > file->st.stx_size && read_only)
		return -EACCES;
	return 0;
}

static int hold(struct core *core, uint64_t id, int fd, const char **why)
{
	const struct core_listener *l = &core->config.listener;
	int copy, rc;

	*why = "too many files are bound in this mount";
	core->state.header->binding_in_hand = id;
	rc = l->hold ? l->hold(l->context, id, fd) : 0;
	if (rc < 0)
		return rc;
	copy = WITH_ROOM(&core->tree, sys->duplicate(fd));
	rc = copy < 0 ? copy : map_put(&core->bindings, id, (uint32_t)copy);
	if (rc < 0)
		let_go(core, id);
	return rc;
}

static int keep(struct core *core, uint64_t id, int fd, bool read_only, const char **why)
{
	int rc = remember_binding(core, id, fd, read_only);

	*why = rc == -ENAMETOOLONG ? "the file's path is too long for the store to remember"
				   : "the store cannot remember the file";
	if (rc < 0)
		let_go(core, id);
	return rc;
}

/* A descriptor straight from memfd_create(2) is not counted for leases; a new description of it is.
 * The passed one also shares its offset and locks with the caller: we want our own. */
static int reopen(struct core *core, int fd, bool writable)
{
	const int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC;

	return WITH_ROOM(&core->tree, sys->openat(AT_FDCWD, tree_fd_path(fd).text, flags, 0));
}

static bool same_file(struct core *core, struct slot *slot, const struct external *file)
{
	int fd = binding_descriptor(core, slot);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == file->st.stx_ino &&
	       major(st.st_dev) == file->st.stx_dev_major &&
	       minor(st.st_dev) == file->st.stx_dev_minor;
}

int binding_create(struct core *core, struct slot *slot, const struct core_setup *setup,
		   uint32_t flags, const char **why)
{
	struct state_header *h = core->state.header;
	bool read_only;
	struct external file;
	AUTO_CLOSE int fd = -1;
	uint64_t size, id = h->next_binding;
	int rc = examine(core, setup->file_fd, &file, why);

	if (rc < 0)
		return rc;
	if (slot->flags & SLOT_BOUND) {
		*why = "the object is bound to another file already";
		return same_file(core, slot, &file) ? 0 : -EEXIST;
	}
	read_only = setup->read_only || !file.writable;
	rc = decide_size(setup, &file, read_only, &size, why);
	if (rc < 0)
		return rc;
	*why = "the file cannot be opened again";
	fd = reopen(core, setup->file_fd, !read_only);
	if (fd < 0)
		return fd;
	h->next_binding = id + 1;
	rc = hold(core, id, fd, why);
	if (rc == 0 && size > file.st.stx_size) {
		rc = grow_file(fd, file.st.stx_size, size, why);
		if (rc < 0)
			let_go(core, id);
	}
	if (rc == 0)
		rc = keep(core, id, fd, read_only, why);
	if (rc < 0) {
		h->binding_in_hand = 0;
		return rc;
	}
	STAGE(&core->state, slot->flags,
	      flags | SLOT_BOUND | (read_only ? (uint32_t)SLOT_READ_ONLY : 0U));
	STAGE(&core->state, slot->binding, id);
	STAGE(&core->state, slot->size, size);
	STAGE(&core->state, h->binding_in_hand, 0);
	state_commit(&core->state);
	return 0;
}
