#include "core/account.h"
#include "core/user.h"
#include "core/util.h"

#include <sys/statvfs.h>

static void present_bound(struct core *core, struct slot *slot, struct stat *st)
{
	int fd = binding_descriptor(core, slot);
	struct stat file;

	st->st_size = (off_t)slot->size;
	if (slot->flags & SLOT_READ_ONLY)
		st->st_mode &= ~(mode_t)0222;
	if (fd < 0 || fstat(fd, &file) < 0)
		return;
	st->st_blocks = file.st_blocks;
	if (file.st_mtim.tv_sec > st->st_mtim.tv_sec)
		st->st_mtim = file.st_mtim;
}

/* The tree's stat, as the kernel is to see it. */
void attr_present(struct core *core, struct slot *slot, struct stat *st)
{
	if (slot->flags & SLOT_ORPHAN)
		st->st_nlink = S_ISDIR(st->st_mode) ? 0 : st->st_nlink - 1;
	if (slot->flags & SLOT_BOUND)
		present_bound(core, slot, st);
}

/* An object made by mknod(2) and not used yet gets its size, binding and lifetime past the kernel.
 */
static bool may_be_configured(const struct slot *slot, const struct stat *st)
{
	return (slot->flags & (SLOT_REGULAR | SLOT_USED)) == SLOT_REGULAR && st->st_size == 0;
}

/* A set-id bit may go with any write. */
static double attr_timeout(const struct slot *slot, const struct stat *st)
{
	if (may_be_configured(slot, st) || (slot->flags & SLOT_SETID))
		return 0;
	return slot->flags & SLOT_REGULAR ? TIMEOUT_FILE : TIMEOUT_FOREVER;
}

void attr_entry(struct core *core, struct slot *slot, const struct stat *st, struct core_entry *out)
{
	out->node = state_node(&core->state, slot);
	out->st = *st;
	attr_present(core, slot, &out->st);
	out->entry_timeout = slot->flags & SLOT_TEMPORARY ? 0 : TIMEOUT_FOREVER;
	out->attr_timeout = attr_timeout(slot, st);
	if (may_be_configured(slot, st))
		out->entry_timeout = 0;
}

int slot_stat(struct core *core, struct slot *slot, struct stat *st)
{
	int fd = -1;

	if ((slot->flags & (SLOT_REGULAR | SLOT_BOUND)) == SLOT_REGULAR)
		fd = fdcache_get(&core->files, state_index(&core->state, slot));
	return fd >= 0 ? neg_errno(fstat(fd, st)) : tree_stat(&core->tree, slot, st);
}

int core_getattr(struct core *core, uint64_t node, struct stat *st, double *timeout)
{
	struct slot *slot = slot_get(core, node);
	int rc;

	if (!slot)
		return -ESTALE;
	rc = slot_stat(core, slot, st);
	if (rc < 0)
		return rc;
	account_seen(core, slot, st);
	*timeout = attr_timeout(slot, st);
	attr_present(core, slot, st);
	return 0;
}

static int set_mode(int fd, mode_t mode)
{
	return neg_errno(chmod(tree_fd_path(fd).text, mode & 07777));
}

static int set_owner(int fd, unsigned set, const struct stat *wanted)
{
	uid_t uid = set & CORE_SET_UID ? wanted->st_uid : (uid_t)-1;
	gid_t gid = set & CORE_SET_GID ? wanted->st_gid : (gid_t)-1;

	return neg_errno(fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}

static int set_user(struct core *core, struct slot *slot, int fd, unsigned set,
		    const struct stat *wanted)
{
	struct stat st;
	int rc;

	user_before_chown(core);
	rc = set_owner(fd, set, wanted);
	if (rc == 0)
		rc = neg_errno(fstat(fd, &st));
	if (rc == 0)
		user_after_chown(core, slot, &st);
	return rc;
}

static struct timespec time_of(unsigned set, unsigned given, unsigned now, struct timespec value)
{
	if (set & now)
		value.tv_nsec = UTIME_NOW;
	else if (!(set & given))
		value.tv_nsec = UTIME_OMIT;
	return value;
}

static int set_times(int fd, unsigned set, const struct stat *wanted)
{
	struct timespec times[2] = {
	    time_of(set, CORE_SET_ATIME, CORE_SET_ATIME_NOW, wanted->st_atim),
	    time_of(set, CORE_SET_MTIME, CORE_SET_MTIME_NOW, wanted->st_mtim),
	};
	return neg_errno(utimensat(fd, "", times, AT_EMPTY_PATH));
}

#define SET_TIMES (CORE_SET_ATIME | CORE_SET_MTIME | CORE_SET_ATIME_NOW | CORE_SET_MTIME_NOW)

static int set_plain(struct core *core, struct slot *slot, unsigned set, const struct stat *wanted)
{
	AUTO_CLOSE int fd = -1;
	int rc = 0;

	if (!(set & (CORE_SET_MODE | CORE_SET_UID | CORE_SET_GID | SET_TIMES)))
		return 0;
	fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	if (set & CORE_SET_UID)
		rc = set_user(core, slot, fd, set, wanted);
	else if (set & CORE_SET_GID)
		rc = set_owner(fd, set, wanted);
	if (rc == 0 && (set & CORE_SET_MODE))
		rc = set_mode(fd, wanted->st_mode);
	if (rc == 0 && (set & CORE_SET_MODE) && (slot->flags & SLOT_REGULAR) &&
	    setid_mode(S_IFREG | wanted->st_mode))
		slot->flags |= SLOT_SETID;
	if (rc == 0 && (set & SET_TIMES))
		rc = set_times(fd, set, wanted);
	return rc;
}

int core_setattr(struct core *core, uint64_t node, unsigned set, const struct stat *wanted,
		 struct stat *st, double *timeout, core_done done, void *context)
{
	struct slot *slot = slot_get(core, node);
	int rc;

	if (!slot)
		return -ESTALE;
	rc = set_plain(core, slot, set, wanted);
	if (rc == 0 && (set & CORE_SET_SIZE))
		setid_drop(core, slot);
	if (rc == 0 && (set & CORE_SET_SIZE))
		rc = resize(core, slot, (uint64_t)wanted->st_size, done, context);
	return rc ? rc : core_getattr(core, node, st, timeout);
}

/* The tree's file system is the account: a private tmpfs as large as the mount's limit, or the
 * disk. Directories can have limits of their own. */
int core_statfs(struct core *core, uint64_t node, struct statvfs *out)
{
	if (fstatvfs(core->tree.base_fd, out) < 0)
		return -errno;
	out->f_namemax = STATE_NAME_MAX;
	account_statfs(core, node, out);
	return 0;
}
