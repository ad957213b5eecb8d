/* Names go: unlink, rmdir, and rename, which may replace one. An inode that loses its last name
 * while the kernel knows it moves to the orphans, where it stays until FORGET. */
#include "core/account.h"
#include "core/user.h"
#include "core/util.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define RENAME_FLAGS (RENAME_NOREPLACE | RENAME_EXCHANGE)

static void stage_orphan(struct core *core, struct slot *slot)
{
	STAGE(&core->state, slot->flags, slot->flags | SLOT_ORPHAN);
}

/* The service itself: without its name nobody reaches it before the next mount. */
static bool is_control(uint64_t parent, const char *name)
{
	return parent == CORE_ROOT_NODE && strcmp(name, CORE_CONTROL_NAME) == 0;
}

/* Without handles an inode is found by one name only, so any name's loss makes an orphan. */
static bool loses_last_name(struct core *core, const struct slot *slot, const struct stat *st)
{
	return slot && !(slot->flags & SLOT_ORPHAN) && (st->st_nlink == 1 || !core->tree.by_handle);
}

int core_unlink(struct core *core, uint64_t parent, const char *name)
{
	struct slot *slot;
	struct stat st;
	int dirfd, rc;

	if (core_replayed(core, &rc, NULL))
		return rc;
	if (is_control(parent, name))
		return -EPERM;
	dirfd = names_directory(core, parent);
	if (dirfd < 0)
		return dirfd;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT && core->resent_started
			   ? account_finish_unknown(core, parent)
			   : -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	durable_changed(core, parent);
	slot = slot_by_ino(core, st.st_ino);
	if (loses_last_name(core, slot, &st)) {
		rc = tree_orphan_move(&core->tree, state_node(&core->state, slot), dirfd, name);
		if (rc < 0)
			return rc;
		stage_orphan(core, slot);
	} else {
		account_note_unknown(core, slot, parent, dirfd, name, &st);
		user_note_name(core, slot, dirfd, name, &st);
		if (unlinkat(dirfd, name, 0) < 0)
			return -errno;
	}
	account_finish_unknown(core, parent);
	EVENT(core, .kind = CORE_EVENT_REMOVED, .node = slot ? state_node(&core->state, slot) : 0,
	      .at = {parent, name}, .st = &st, .removal = CORE_REMOVED_UNLINK,
	      .links = st.st_nlink - 1);
	return 0;
}

static int directory_is_empty(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int entries = 0;

	if (!dir) {
		int rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (entries < 3 && readdir(dir))
		entries++;
	closedir(dir);
	return entries > 2 ? -ENOTEMPTY : 0;
}

/* An empty directory that someone may still stand in becomes an orphan, too. */
static int retire_directory(struct core *core, int dirfd, const char *name, const struct stat *st)
{
	struct slot *slot = slot_by_ino(core, st->st_ino);
	int rc = directory_is_empty(dirfd, name);

	if (rc < 0)
		return rc;
	if (!slot) {
		user_note_name(core, NULL, dirfd, name, st);
		rc = neg_errno(unlinkat(dirfd, name, AT_REMOVEDIR));
		if (rc == 0) {
			account_directory_gone(core, st->st_ino);
			user_stage_gone(core);
		}
		return rc;
	}
	rc = tree_orphan_move(&core->tree, state_node(&core->state, slot), dirfd, name);
	if (rc == 0)
		stage_orphan(core, slot);
	return rc;
}

int core_rmdir(struct core *core, uint64_t parent, const char *name)
{
	struct stat st;
	int dirfd, rc;

	if (core_replayed(core, &rc, NULL))
		return rc;
	dirfd = names_directory(core, parent);
	if (dirfd < 0)
		return dirfd;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT && core->resent_started ? core_finish(core, 0) : -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	durable_changed(core, parent);
	rc = retire_directory(core, dirfd, name, &st);
	return rc < 0 ? rc : core_finish(core, 0);
}

/* Before the rename takes the target's name: keep the inode, if the kernel knows it. */
static int save_target(struct core *core, int dirfd, const char *name, const struct stat *source)
{
	struct slot *slot;
	struct stat st;
	int rc;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (st.st_ino == source->st_ino)
		return 0;
	if (S_ISDIR(st.st_mode))
		return S_ISDIR(source->st_mode) ? retire_directory(core, dirfd, name, &st)
						: -EISDIR;
	if (S_ISDIR(source->st_mode))
		return -ENOTDIR;
	slot = slot_by_ino(core, st.st_ino);
	if (!loses_last_name(core, slot, &st)) {
		user_note_name(core, slot, dirfd, name, &st);
		return 0;
	}
	rc = tree_orphan_link(&core->tree, state_node(&core->state, slot), dirfd, name);
	if (rc == 0)
		stage_orphan(core, slot);
	return rc;
}

static void note_place(struct core *core, int dirfd, uint64_t parent, const char *name)
{
	struct slot *slot;
	struct stat st;

	if (core->tree.by_handle || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	slot = slot_by_ino(core, st.st_ino);
	if (slot && !(slot->flags & SLOT_ORPHAN))
		tree_moved(&core->tree, slot, parent, name);
}

/* An exchange looks the same done once or twice: remember what stood where before. */
static int exchange(struct core *core, int from, const char *name, int to, const char *new_name,
		    const struct stat *source)
{
	struct request_record *record = core->record;
	struct stat target;

	if (core->resent_started && record->before && record->before != source->st_ino &&
	    fstatat(to, new_name, &target, AT_SYMLINK_NOFOLLOW) == 0 &&
	    target.st_ino == record->before)
		return 0;
	if (record)
		*(volatile uint64_t *)&record->before = source->st_ino;
	return neg_errno(renameat2(from, name, to, new_name, RENAME_EXCHANGE));
}

static int do_rename(struct core *core, int from, const char *name, int to, const char *new_name,
		     unsigned flags)
{
	struct stat source;
	int rc = 0;

	if (fstatat(from, name, &source, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT && core->resent_started ? 0 : -errno;
	if (flags & RENAME_EXCHANGE)
		return exchange(core, from, name, to, new_name, &source);
	if (!(flags & RENAME_NOREPLACE))
		rc = save_target(core, to, new_name, &source);
	return rc < 0 ? rc : neg_errno(renameat2(from, name, to, new_name, flags));
}

int core_rename(struct core *core, uint64_t parent, const char *name, uint64_t new_parent,
		const char *new_name, unsigned flags)
{
	struct event_rename told = {.parent = parent,
				    .name = name,
				    .new_parent = new_parent,
				    .new_name = new_name,
				    .exchanges = flags & RENAME_EXCHANGE};
	int from, to, rc;

	if (core_replayed(core, &rc, NULL))
		return rc;
	if (flags & ~(unsigned)RENAME_FLAGS)
		return -EINVAL;
	if (is_control(parent, name) || is_control(new_parent, new_name))
		return -EPERM;
	from = names_directory(core, parent);
	to = names_directory(core, new_parent);
	if (from < 0 || to < 0)
		return from < 0 ? from : to;
	rc = account_may_move(core, parent, from, name, new_parent);
	if (rc == 0 && (flags & RENAME_EXCHANGE))
		rc = account_may_move(core, new_parent, to, new_name, parent);
	if (rc < 0)
		return rc;
	durable_changed(core, parent);
	durable_changed(core, new_parent);
	event_before_rename(core, &told, from, to);
	rc = do_rename(core, from, name, to, new_name, flags);
	note_place(core, to, new_parent, new_name);
	if (flags & RENAME_EXCHANGE)
		note_place(core, from, parent, name);
	/* What was staged of a replaced target stands even if the rename failed: it is an orphan.
	 */
	if (rc < 0) {
		state_commit(&core->state);
		return rc;
	}
	hidden_renamed(core, to, new_name);
	user_stage_gone(core);
	core_finish(core, 0);
	event_renamed(core, &told);
	return 0;
}
