/* Limits of users: one owner's greed is that owner's problem.
 *
 * Counted for each owner of inodes are objects (names of whatever kind, what has lost its name and
 * is in use, and each further KiB of extended attributes) and bytes (as for directories with a
 * limit: the size of memory-backed objects in whole pages, of sparse ones too). Both stand in the
 * state area, and change in the same commit as what they count; so do `user`, `extra` and `charged`
 * of a slot, which say what is to be taken off again. What the kernel has forgotten stays counted.
 *
 * A change of the tree itself is not part of a commit. header.counting says that one is under way;
 * a killed worker's request comes again and is counted then. One that does not (its caller was
 * killed meanwhile) leaves header.uncounted, and everything is counted anew: the one case in which
 * a new worker looks at the whole tree.
 *
 * The machine's root is not limited, and what it does for others neither. Blocked waits, polls, and
 * handles of objects to wait on are counted for who asks, by this worker alone: they all come
 * again. */
#ifndef MAPPINGFS_CORE_USER_H
#define MAPPINGFS_CORE_USER_H

#include "core/internal.h"

/* One user's share of the table of handles of objects to wait on. */
#define USER_HANDLES (STATE_HANDLES / 8)

#define USER_EXTRA_MAX 64U /* KiB of extended attributes that one object can have */

struct users {
	struct map by_uid; /* -> index */
	struct user_use {
		uint32_t waits, handles;
	} use[STATE_USERS];
	struct { /* a name that is about to go, of an inode that no slot answers for */
		uint32_t user;
		uint64_t objects, bytes;
	} going;
	struct timer timer; /* for slots to look at */
	struct core *core;
	uint64_t *look; /* nodes */
	size_t look_count, look_capacity;
	uint64_t complained_at;
};

int users_open(struct core *core);
void users_finish(struct core *core);
/* A request of a former worker that had not counted yet is waited for, until users_resumed(). */
void users_resume(struct core *core);
void users_resumed(struct core *core);
void users_recount(struct core *core);

uint32_t user_index(struct core *core, uid_t uid); /* what slot.user says; never 0 */

/* --- objects --- */

/* A name is about to be made for an inode of `uid`: 0 or -EDQUOT. The count follows, in the commit
 * that makes it known. */
int user_may_create(struct core *core, uid_t uid);
/* Stages that a fresh inode is there; if it has been counted, nothing. */
void user_stage_born(struct core *core, struct slot *slot, uid_t uid);
/* Stages one more name of an inode. */
void user_stage_name(struct core *core, const struct slot *slot);
/* It was made, and no slot could be had for it. Commits. */
void user_count_unknown(struct core *core, uid_t uid);
/* The slot of an inode that was there becomes known; not alive yet. */
void user_join(struct core *core, struct slot *slot, const struct stat *st);

/* This name is about to go, and its inode with it, or it has other names. slot: NULL if not known.
 */
void user_note_name(struct core *core, const struct slot *slot, int dirfd, const char *name,
		    const struct stat *st);
void user_stage_gone(struct core *core); /* it has gone */
/* The slot's inode ends (all of it), or loses the name it had as an orphan. Stages. */
void user_stage_end(struct core *core, struct slot *slot, bool whole);

/* Its owner is about to change, and has. Commits. */
void user_before_chown(struct core *core);
void user_after_chown(struct core *core, struct slot *slot, const struct stat *st);

/* Extended attributes of it take so many bytes from now on: 0, -EDQUOT, or -ENOSPC: more than one
 * object can have. Stages; the record is to be saved. */
int user_stage_extra(struct core *core, struct slot *slot, uint64_t bytes);

/* --- bytes --- */

/* What an inode that no slot answers for is charged for. probe: as its record says. */
uint64_t user_census_bytes(const struct slot *probe, const struct stat *st);
bool user_is_over(struct core *core, const struct slot *slot); /* has no byte left */
/* May so many more be charged to its owner? 0 or -EDQUOT. */
int user_may_grow(struct core *core, const struct slot *slot, uint64_t bytes);
/* How many more, at most `wanted`. */
uint64_t user_room(struct core *core, const struct slot *slot, uint64_t wanted);
void user_stage_bytes(struct core *core, uint32_t index, uint64_t before, uint64_t after);
/* The last handle of an object that may have been written past us went: somebody looks. */
void user_look_later(struct core *core, struct slot *slot);

/* --- waits: volatile --- */

/* 0, or -EDQUOT; on success they are counted. again: the request comes from a former worker. */
int user_take_waits(struct core *core, uid_t uid, uint32_t count, bool again);
void user_drop_waits(struct core *core, uid_t uid, uint32_t count);
int user_may_take_handle(struct core *core, uid_t uid); /* 0 or -ENFILE */
void user_count_handle(struct core *core, uid_t uid, bool opened);

#endif
