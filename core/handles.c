/* Handles: open file descriptions on an inode, and the one backing id that serves them all. */
#include "core/account.h"
#include "core/crash.h"
#include "core/log.h"
#include "core/sys.h"
#include "core/user.h"
#include "core/util.h"
#include "core/wait.h"

#define HANDLE_FLAGS_WRITE(flags)      (((flags)&O_ACCMODE) != O_RDONLY)
#define HANDLE_FLAGS_WRITE_ONLY(flags) (((flags)&O_ACCMODE) == O_WRONLY)

/* Without CAP_DAC_OVERRIDE the file's own mode can be in our way; the kernel has checked the
 * caller. */
static int open_against_mode(struct core *core, struct slot *slot, int flags)
{
	AUTO_CLOSE int path_fd = tree_open_inode(&core->tree, slot, O_PATH);
	struct tree_path path = tree_fd_path(path_fd);
	struct stat st;
	int fd;

	if (path_fd < 0)
		return path_fd;
	if (fstat(path_fd, &st) < 0 || chmod(path.text, 0600) < 0)
		return -errno;
	fd = sys->openat(AT_FDCWD, path.text, flags | O_CLOEXEC, 0);
	chmod(path.text, st.st_mode & 07777);
	return fd;
}

int file_inode_descriptor(struct core *core, struct slot *slot, int flags)
{
	int fd = tree_open_inode(&core->tree, slot, flags);

	return fd == -EACCES ? open_against_mode(core, slot, flags) : fd;
}

int file_own_descriptor(struct core *core, struct slot *slot, int flags)
{

	if (slot_is_waitable(slot))
		return -EINVAL; /* it has no data */
	if (slot->flags & SLOT_BOUND) {
		int bound = binding_descriptor(core, slot);
		return bound < 0 ? bound : WITH_ROOM(&core->tree, sys->duplicate(bound));
	}
	return file_inode_descriptor(core, slot, flags);
}

int file_descriptor(struct core *core, struct slot *slot)
{
	uint32_t key = state_index(&core->state, slot);
	int fd;

	if (slot->flags & SLOT_DEAD)
		return -ESTALE;
	if (slot_is_waitable(slot))
		return -EINVAL;
	if (slot->flags & SLOT_BOUND)
		return binding_descriptor(core, slot);
	fd = fdcache_get(&core->files, key);
	if (fd >= 0)
		return fd;
	fd = file_own_descriptor(core, slot, O_RDWR);
	return fd < 0 ? fd : fdcache_put(&core->files, key, fd);
}

/* Gives the inode its backing id, staged; the id given and not written down is found by
 * recover_attach. */
static int stage_backing(struct core *core, struct slot *slot, int fd)
{
	struct state_header *h = core->state.header;
	int id;

	if (slot->backing_id)
		return (int)slot->backing_id;
	*(volatile uint32_t *)&h->attaching = 1;
	id = core->config.data.attach(core->config.data.context, fd);
	if (id < 0) {
		h->attaching = 0;
		return id;
	}
	*(volatile uint64_t *)&h->last_backing_id = (uint64_t)id;
	CRASH_POINT("attach: noted");
	*(volatile uint32_t *)&h->attaches_lost = 0;
	STAGE(&core->state, slot->backing_id, (uint32_t)id);
	STAGE(&core->state, h->attaching, 0);
	return id;
}

/* An id that is closed but stands in its slot would be given to the next open, which fails; one
 * that is forgotten is closed by nobody. So it is written down in between: see recover_detach. */
void backing_release(struct core *core, struct slot *slot)
{
	struct state_header *h = core->state.header;
	uint32_t id = slot->backing_id;

	if (!id)
		return;
	*(volatile uint32_t *)&h->detaching = id;
	STAGE(&core->state, slot->backing_id, 0);
	state_commit(&core->state);
	core->config.data.detach(core->config.data.context, id);
	*(volatile uint32_t *)&h->detaching = 0;
}

/* The handle of an unborn object is no use of it. */
static void stage_handle(struct core *core, struct slot *slot, bool unborn)
{
	uint32_t flags = slot->flags & ~(uint32_t)SLOT_UNBORN;

	STAGE(&core->state, slot->handles, slot->handles + 1);
	STAGE(&core->state, slot->flags, unborn ? slot->flags : flags | SLOT_USED);
	core->handles++;
}

static void fill_opened(struct core *core, const struct slot *slot, int flags,
			struct core_opened *opened)
{
	opened->keep_cache = !(slot->flags & SLOT_BOUND);
	/* Without a backing id every write comes to us, and only cached files can be mapped. */
	opened->direct =
	    opened->backing_id && HANDLE_FLAGS_WRITE(flags) &&
	    ((slot->flags & SLOT_SETID) || account_counts(slot) || user_is_over(core, slot));
	opened->handle = 0;
}

static int prepare_wait_open(struct core *core, struct slot *slot, int flags,
			     struct core_opened *opened)
{
	int rc = wait_stage_open(core, slot, flags, &opened->handle);

	if (rc < 0)
		return rc;
	opened->backing_id = 0;
	opened->direct = true;
	stage_handle(core, slot, false);
	if (core->record)
		STAGE(&core->state, core->record->before, opened->handle);
	return 0;
}

/* Its backing may change yet: data goes through us. */
static int prepare_unborn_open(struct core *core, struct slot *slot, struct core_opened *opened)
{
	stage_handle(core, slot, true);
	*opened = (struct core_opened){.direct = true};
	return 0;
}

/* Everything an open needs of the inode, staged. */
static int prepare_open(struct core *core, struct slot *slot, int flags, struct core_opened *opened)
{
	int fd = -1, id = 0;

	if (slot_is_waitable(slot))
		return prepare_wait_open(core, slot, flags, opened);
	if ((slot->flags & SLOT_READ_ONLY) && HANDLE_FLAGS_WRITE(flags))
		return -EACCES;
	if (slot->backing_id && !lastview_wanted(slot)) {
		id = (int)slot->backing_id;
	} else {
		fd = file_descriptor(core, slot);
		if (fd < 0)
			return fd;
		if (core->config.data.attach)
			id = stage_backing(core, slot, fd);
		if (id < 0)
			return id;
		if (core->config.data.attach && lastview_wanted(slot))
			lastview_watch(core, slot, fd);
	}
	if ((slot->flags & SLOT_BOUND) && HANDLE_FLAGS_WRITE(flags))
		lastview_in_use(core, slot);
	if (id && HANDLE_FLAGS_WRITE(flags) && account_is_memory(slot))
		slot->flags |= SLOT_UNSEEN;
	stage_handle(core, slot, false);
	opened->backing_id = (uint32_t)id;
	fill_opened(core, slot, flags, opened);
	return 0;
}

/* What the open that a former worker carried out gave. */
static void replay_opened(struct core *core, const struct slot *slot, int flags,
			  struct core_opened *opened)
{
	if (slot_is_waitable(slot)) {
		*opened = (struct core_opened){.direct = true, .handle = core->record->before};
	} else if (slot->flags & SLOT_UNBORN) {
		*opened = (struct core_opened){.direct = true};
	} else {
		opened->backing_id = slot->backing_id;
		fill_opened(core, slot, flags, opened);
	}
}

int core_open(struct core *core, uint64_t node, int flags, struct core_opened *opened)
{
	struct slot *slot = slot_get(core, node);
	int rc;

	if (!slot || (slot->flags & SLOT_DEAD))
		return -ESTALE;
	if (core_replayed(core, &rc, NULL)) {
		replay_opened(core, slot, flags, opened);
		return rc;
	}
	rc = prepare_open(core, slot, flags, opened);
	if (rc == 0)
		core_stage_done(core, 0, node);
	state_commit(&core->state);
	if (rc == 0)
		event_opened(core, &(struct core_event){
				       .kind = CORE_EVENT_OPENED, .node = node, .flags = flags});
	return rc;
}

void core_release(struct core *core, uint64_t node, uint64_t handle)
{
	struct slot *slot = state_slot(&core->state, node);
	int rc;

	if (!slot || core_replayed(core, &rc, NULL))
		return;
	if (!slot->handles) /* only where the count has been damaged: see state_check.h */
		return;
	if (!slot_is_waitable(slot) || !wait_handle_is_of(core, handle, slot))
		handle = 0;
	STAGE(&core->state, slot->handles, slot->handles - 1);
	if (handle)
		wait_release(core, slot, handle);
	core_stage_done(core, 0, node);
	state_commit(&core->state);
	core->handles--;
	if (handle)
		wait_released(core, slot, handle);
	if ((slot->flags & SLOT_UNSEEN) && !slot->handles)
		user_look_later(core, slot);
	if (lastview_seen(core, slot))
		lastview_handle_closed(core, slot);
	slot_consider_free(core, slot);
}

static int make_file(int dirfd, const char *name, const void *mode)
{
	return sys->openat(dirfd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC,
			   *(const mode_t *)mode);
}

/* Opens what the kernel found absent. A plain O_CREAT may meet an object that a temporary one's end
 * or a second try left; the kernel checked no right on it, but then it made it itself. */
static int create_inode(struct core *core, int dirfd, uint64_t parent, const char *name,
			mode_t mode, int flags, const struct core_caller *caller, bool *fresh)
{
	const struct newborn newborn = {.make = make_file,
					.context = &mode,
					.type = S_IFREG,
					.parent = parent,
					.caller = caller};
	int fd = WITH_ROOM(&core->tree, newborn_wanted(core, parent, S_IFREG)
					    ? newborn_make(core, &newborn, dirfd, name)
					    : make_file(dirfd, name, &mode));

	*fresh = fd >= 0;
	if (fd != -EEXIST || ((flags & O_EXCL) && !core->resent_started))
		return fd;
	return sys->openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
}

static int replay_create(struct core *core, int error, uint64_t node, struct core_entry *out,
			 struct core_opened *opened)
{
	struct slot *slot = slot_get(core, node);
	struct stat st;

	if (error)
		return error;
	if (!slot)
		return -ESTALE;
	replay_opened(core, slot, O_RDWR, opened);
	error = tree_stat(&core->tree, slot, &st);
	if (error == 0)
		attr_entry(core, slot, &st, out);
	return error;
}

/* The new inode's first handle, and the answer. Owns fd. */
static int open_created(struct core *core, struct slot *slot, const struct stat *st, int flags,
			int fd, struct core_entry *out, struct core_opened *opened)
{
	int rc;

	fdcache_put(&core->files, state_index(&core->state, slot), fd);
	rc = slot->flags & SLOT_UNBORN ? prepare_unborn_open(core, slot, opened)
				       : prepare_open(core, slot, flags, opened);
	if (rc < 0) {
		state_abandon(&core->state);
		if (!slot->lookups)
			slot->user = 0; /* has not been counted */
		slot_consider_free(core, slot);
		return rc;
	}
	core_stage_done(core, 0, state_node(&core->state, slot));
	state_commit(&core->state);
	attr_entry(core, slot, st, out);
	return 0;
}

/* Owns fd. */
static int enter_created(struct core *core, int dirfd, uint64_t parent, const char *name, int flags,
			 int fd, bool fresh, const struct core_caller *caller,
			 struct core_entry *out, struct core_opened *opened)
{
	struct slot *slot;
	struct stat st;
	int rc;

	fresh |= core->resent_started;
	rc = neg_errno(fstat(fd, &st));
	if (rc == 0)
		rc = slot_acquire(core, dirfd, parent, name, &st, fresh, &slot);
	if (rc < 0) {
		close(fd);
		if (fresh)
			user_count_unknown(core, caller->uid);
		return rc;
	}
	if (fresh)
		slot_born(core, slot, parent, &st, caller);
	rc = open_created(core, slot, &st, flags, fd, out, opened);
	if (rc < 0 && fresh)
		user_count_unknown(core, st.st_uid);
	if (rc < 0)
		return rc;
	if (fresh)
		EVENT(core, .kind = CORE_EVENT_CREATED, .node = out->node, .at = {parent, name},
		      .st = &st);
	event_opened(core, &(struct core_event){.kind = CORE_EVENT_OPENED,
						.node = out->node,
						.at = {parent, name},
						.st = &st,
						.flags = flags});
	return 0;
}

int core_create_file(struct core *core, uint64_t parent, const char *name, mode_t mode, int flags,
		     const struct core_caller *caller, struct core_entry *out,
		     struct core_opened *opened)
{
	int dirfd, fd, rc;
	uint64_t node;
	bool fresh;

	if (core_replayed(core, &rc, &node))
		return replay_create(core, rc, node, out, opened);
	dirfd = names_create_in(core, parent, caller);
	if (dirfd < 0)
		return dirfd;
	rc = user_may_create(core, caller->uid);
	if (rc < 0)
		return rc;
	fd = create_inode(core, dirfd, parent, name, mode, flags, caller, &fresh);
	if (fd < 0)
		return fd;
	return enter_created(core, dirfd, parent, name, flags, fd, fresh, caller, out, opened);
}

/* An inode without a name is an orphan from its first day; the tree's own O_TMPFILE gives it the
 * owner and mode that the directory says. */
int core_tmpfile(struct core *core, uint64_t parent, mode_t mode, int flags,
		 const struct core_caller *caller, struct core_entry *out,
		 struct core_opened *opened)
{
	int dirfd, fd, rc;
	struct slot *slot;
	struct stat st;
	uint64_t node;

	if (core_replayed(core, &rc, &node))
		return replay_create(core, rc, node, out, opened);
	dirfd = names_create_in(core, parent, caller);
	if (dirfd < 0)
		return dirfd;
	rc = user_may_create(core, caller->uid);
	if (rc < 0)
		return rc;
	fd = WITH_ROOM(&core->tree, sys->openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
	if (fd < 0)
		return fd;
	rc = neg_errno(fstat(fd, &st));
	if (rc == 0)
		rc = slot_acquire(core, fd, 0, "", &st, true, &slot);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	rc = tree_orphan_adopt(&core->tree, state_node(&core->state, slot), fd);
	if (rc < 0) {
		close(fd);
		state_abandon(&core->state);
		slot_consider_free(core, slot);
		return rc;
	}
	slot->flags |= SLOT_ORPHAN | (HANDLE_FLAGS_WRITE_ONLY(flags) ? (uint32_t)SLOT_UNBORN : 0U);
	slot_born(core, slot, parent, &st, caller);
	st.st_nlink = 1;
	rc = open_created(core, slot, &st, flags, fd, out, opened);
	if (rc == 0 && !(slot->flags & SLOT_UNBORN))
		event_opened(core, &(struct core_event){.kind = CORE_EVENT_OPENED,
							.node = out->node,
							.flags = flags});
	return rc;
}
