/* Names come into being and are looked up. Creation in the tree is the same call as in the mount;
 * the kernel holds the directory's lock meanwhile and has checked rights and absence. */
#include "core/account.h"
#include "core/user.h"
#include "core/util.h"

#include <dirent.h>
#include <string.h>
#include <sys/syscall.h>

int names_directory(struct core *core, uint64_t node)
{
	struct slot *slot = slot_get(core, node);

	return slot ? tree_directory(&core->tree, slot) : -ESTALE;
}

int names_create_in(struct core *core, uint64_t node, const struct core_caller *caller)
{
	int dirfd = names_directory(core, node);

	if (dirfd >= 0)
		cred_assume(core, caller);
	durable_changed(core, node);
	return dirfd;
}

/* A count that the kernel will not hear of after all. */
static int take_back(struct core *core, struct slot *slot, int error)
{
	STAGE(&core->state, slot->lookups, slot->lookups - 1);
	core_stage_done(core, error, 0);
	state_commit(&core->state);
	slot_consider_free(core, slot);
	return error;
}

/* The answer of a lookup or creation that a former worker made and could not send. */
static int replay_entry(struct core *core, int error, uint64_t node, struct core_entry *out)
{
	struct slot *slot = slot_known(core, node);
	struct stat st;

	if (error)
		return error;
	if (!slot)
		return -ESTALE;
	error = tree_stat(&core->tree, slot, &st);
	if (error < 0)
		return take_back(core, slot, error);
	attr_entry(core, slot, &st, out);
	return 0;
}

/* creator: NULL if it was there before. */
static int enter(struct core *core, int dirfd, uint64_t parent, const char *name,
		 const struct core_caller *creator, struct core_entry *out)
{
	struct slot *slot;
	struct stat st;
	int rc;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	rc = slot_acquire(core, dirfd, parent, name, &st, creator, &slot);
	if (rc < 0 && creator)
		user_count_unknown(core, st.st_uid);
	if (rc < 0)
		return rc;
	if (creator) {
		slot_born(core, slot, parent, &st, creator);
		hidden_made(core, slot, name);
	}
	core_stage_done(core, 0, state_node(&core->state, slot));
	state_commit(&core->state);
	if (creator)
		EVENT(core, .kind = CORE_EVENT_CREATED, .node = state_node(&core->state, slot),
		      .at = {parent, name}, .st = &st);
	attr_entry(core, slot, &st, out);
	return 0;
}

int core_lookup(struct core *core, uint64_t parent, const char *name, struct core_entry *out)
{
	int dirfd, rc;
	uint64_t node;

	if (core_replayed(core, &rc, &node))
		return replay_entry(core, rc, node, out);
	dirfd = names_directory(core, parent);
	return dirfd < 0 ? dirfd : enter(core, dirfd, parent, name, NULL, out);
}

/* FORGET is never sent again, so a next worker finds it in the buffer it was read into, and must
 * skip what was done of it: how many inodes were, stands in the request's record. */
static bool forgotten_before(struct core *core)
{
	struct request_record *record = core->record;
	uint64_t index = core->forget_index++;

	if (!record)
		return false;
	if (index < record->before)
		return true;
	STAGE(&core->state, record->before, index + 1);
	return false;
}

void core_forget(struct core *core, uint64_t node, uint64_t count)
{
	struct slot *slot = slot_known(core, node);

	if (forgotten_before(core))
		return;
	if (slot && node != CORE_ROOT_NODE) {
		/* Only where the count has been damaged: see state_check.h. */
		if (count > slot->lookups)
			count = slot->lookups;
		STAGE(&core->state, slot->lookups, slot->lookups - count);
	}
	state_commit(&core->state);
	if (slot)
		slot_consider_free(core, slot);
}

/* One kind of creation. make() is a single call on the tree: 0 or -errno. */
struct creation {
	int (*make)(int dirfd, const char *name, const void *creation);
	mode_t mode;
	const char *target;
};

static int make(struct core *core, int dirfd, uint64_t parent, const char *name,
		const struct core_caller *caller, const struct creation *creation)
{
	const struct newborn newborn = {.make = creation->make,
					.context = creation,
					.type = creation->mode & S_IFMT,
					.parent = parent,
					.caller = caller};

	if (newborn_wanted(core, parent, newborn.type))
		return newborn_make(core, &newborn, dirfd, name);
	return creation->make(dirfd, name, creation);
}

static int create(struct core *core, uint64_t parent, const char *name,
		  const struct core_caller *caller, const struct creation *creation,
		  struct core_entry *out)
{
	int dirfd, rc;
	uint64_t node;

	if (core_replayed(core, &rc, &node))
		return replay_entry(core, rc, node, out);
	dirfd = names_create_in(core, parent, caller);
	if (dirfd < 0)
		return dirfd;
	rc = user_may_create(core, caller->uid);
	if (rc < 0)
		return rc;
	/* The kernel asked because the name was absent: it is there now because we made it. */
	rc = make(core, dirfd, parent, name, caller, creation);
	if (rc < 0 && !(rc == -EEXIST && core->resent_started))
		return rc;
	return enter(core, dirfd, parent, name, caller, out);
}

static int make_node(int dirfd, const char *name, const void *creation)
{
	return neg_errno(mknodat(dirfd, name, ((const struct creation *)creation)->mode, 0));
}

static int make_directory(int dirfd, const char *name, const void *creation)
{
	return neg_errno(mkdirat(dirfd, name, ((const struct creation *)creation)->mode));
}

static int make_symlink(int dirfd, const char *name, const void *creation)
{
	return neg_errno(symlinkat(((const struct creation *)creation)->target, dirfd, name));
}

int core_mknod(struct core *core, uint64_t parent, const char *name, mode_t mode,
	       const struct core_caller *caller, struct core_entry *out)
{
	const struct creation creation = {.make = make_node, .mode = mode};

	if (S_ISCHR(mode) || S_ISBLK(mode))
		return -EPERM;
	return create(core, parent, name, caller, &creation, out);
}

int core_mkdir(struct core *core, uint64_t parent, const char *name, mode_t mode,
	       const struct core_caller *caller, struct core_entry *out)
{
	const struct creation creation = {.make = make_directory, .mode = S_IFDIR | mode};

	return create(core, parent, name, caller, &creation, out);
}

int core_symlink(struct core *core, uint64_t parent, const char *name, const char *target,
		 const struct core_caller *caller, struct core_entry *out)
{
	const struct creation creation = {.make = make_symlink, .target = target};

	return create(core, parent, name, caller, &creation, out);
}

/* The first name of an inode that had none: it moves out of the orphans in one step. */
static int publish(struct core *core, struct slot *slot, uint64_t parent, const char *name,
		   struct core_entry *out)
{
	int dirfd = names_directory(core, parent), rc;
	struct stat st;

	if (dirfd < 0)
		return dirfd;
	durable_changed(core, parent);
	rc = tree_orphan_publish(&core->tree, state_node(&core->state, slot), dirfd, name);
	if (rc == -EEXIST || rc == -ENOENT) {
		if (!core->resent_started || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    st.st_ino != slot->ino)
			return rc;
	} else if (rc < 0) {
		return rc;
	}
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	tree_moved(&core->tree, slot, parent, name);
	STAGE(&core->state, slot->flags, slot->flags & ~(uint32_t)(SLOT_ORPHAN | SLOT_UNBORN));
	STAGE(&core->state, slot->lookups, slot->lookups + 1);
	core_stage_done(core, 0, state_node(&core->state, slot));
	state_commit(&core->state);
	EVENT(core, .kind = CORE_EVENT_CREATED, .node = state_node(&core->state, slot),
	      .at = {parent, name}, .st = &st);
	attr_entry(core, slot, &st, out);
	return 0;
}

/* A former worker has given it this name, and may have noticed that it is no orphan any more. */
static bool linked_before(struct core *core, const struct slot *slot, uint64_t parent,
			  const char *name)
{
	int dirfd = core->resent_started ? names_directory(core, parent) : -1;
	struct stat st;

	return dirfd >= 0 && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == slot->ino;
}

int core_link(struct core *core, uint64_t node, uint64_t parent, const char *name,
	      struct core_entry *out)
{
	struct slot *slot = slot_get(core, node);
	AUTO_CLOSE int fd = -1;
	struct stat st;
	int dirfd, rc;

	if (core_replayed(core, &rc, &node))
		return replay_entry(core, rc, node, out);
	if (!slot)
		return -ESTALE;
	rc = account_may_link(core, slot, parent);
	if (rc == 0)
		rc = slot_stat(core, slot, &st);
	if (rc < 0)
		return rc;
	if ((slot->flags & SLOT_ORPHAN) && st.st_nlink == 1)
		return publish(core, slot, parent, name, out);
	if ((slot->flags & SLOT_TEMPORARY) && !linked_before(core, slot, parent, name))
		return -EPERM; /* "the last handle closes, the name goes": there is one name */
	dirfd = names_directory(core, parent);
	fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	if (dirfd < 0 || fd < 0)
		return dirfd < 0 ? dirfd : fd;
	rc = user_may_create(core, st.st_uid);
	if (rc < 0)
		return rc;
	durable_changed(core, parent);
	if (linkat(AT_FDCWD, tree_fd_path(fd).text, dirfd, name, AT_SYMLINK_FOLLOW) < 0 &&
	    !(errno == EEXIST && core->resent_started))
		return -errno;
	user_stage_name(core, slot);
	rc = enter(core, dirfd, parent, name, NULL, out);
	if (rc < 0)
		state_commit(&core->state); /* the name is there */
	if (rc == 0)
		EVENT(core, .kind = CORE_EVENT_LINKED, .node = out->node, .at = {parent, name});
	return rc;
}

int core_readlink(struct core *core, uint64_t node, char *buffer, size_t size)
{
	struct slot *slot = slot_get(core, node);
	AUTO_CLOSE int fd =
	    slot ? tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW) : -ESTALE;
	ssize_t length;

	if (fd < 0)
		return fd;
	length = readlinkat(fd, "", buffer, size);
	return length < 0 ? -errno : (int)length;
}

struct linux_dirent64 {
	ino64_t ino;
	off64_t next;
	unsigned short length;
	unsigned char type;
	char name[];
};

/* Returns false when add() has had enough. */
static bool add_entries(const char *buffer, long length, core_add_name add, void *context)
{
	for (long at = 0; at < length;) {
		const struct linux_dirent64 *e = (const void *)(buffer + at);
		if (!add(context, e->name, e->ino, DTTOIF(e->type), e->next))
			return false;
		at += e->length;
	}
	return true;
}

/* Nothing is kept between two calls: the offset is the tree's own and good for ever (tmpfs:
 * Linux 6.6). */
int core_readdir(struct core *core, uint64_t node, off_t offset, core_add_name add, void *context)
{
	_Alignas(struct linux_dirent64) char buffer[16384];
	int dirfd = names_directory(core, node);
	AUTO_CLOSE int fd = -1;
	long length;

	if (dirfd < 0)
		return dirfd;
	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (offset && lseek(fd, offset, SEEK_SET) < 0))
		return -errno;
	do {
		length = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
		if (length < 0)
			return -errno;
	} while (length > 0 && add_entries(buffer, length, add, context));
	return 0;
}
