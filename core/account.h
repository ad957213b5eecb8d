/* Limits of directory trees. A directory with a limit is the top of an account; what lies in it and
 * in no deeper account is charged there, and counts for all accounts around it.
 *
 * Charged is the size of memory-backed objects, rounded up to pages, of sparse ones too: who has
 * mapped one can touch all of it, and nobody could stop that. A charge is taken before a size
 * changes (account_begin()) and made exact after (account_end()); a slot in between is marked, and
 * a new worker makes it exact. So the sums never drift, and what is promised to one is never
 * promised to another, however long the growth takes.
 *
 * The table in the state area has for each account what is charged to it alone, known objects and
 * those the kernel has forgotten; the sums over what lies deeper are made anew by each worker.
 *
 * What is not stopped: handles that were opened for writing before there was a limit extend files
 * without asking. They are charged when they are seen, and nobody else grows then. */
#ifndef MAPPINGFS_CORE_ACCOUNT_H
#define MAPPINGFS_CORE_ACCOUNT_H

#include "core/internal.h"

#include <sys/statvfs.h>

struct accounts {
	struct map by_ino;              /* top directory -> index */
	uint64_t total[STATE_ACCOUNTS]; /* with all that lies deeper */
};

int accounts_open(struct core *core);
void accounts_finish(struct core *core);
/* For a new worker, once it knows the slots: what another was doing is undone or finished. */
void accounts_resume(struct core *core);

/* --- charging --- */

/* The slot of an inode that just became known, not alive yet: whose limit counts. Of what it was
 * charged for when it was forgotten nothing changes. */
void account_join(struct core *core, struct slot *slot, uint64_t parent, const struct stat *st);
bool account_is_memory(const struct slot *slot); /* its size is charged, if anybody is */
bool account_counts(const struct slot *slot);    /* ... to a directory's limit */
bool account_charges(const struct slot *slot);   /* ... or to a user */
/* It is about to be `size` bytes long, or to shrink: 0, -ENOSPC, or -EDQUOT. On success
 * account_end() must follow, when its size is what it is. */
int account_begin(struct core *core, struct slot *slot, uint64_t size);
void account_end(struct core *core, struct slot *slot);
/* The largest size it can have now, at most `wanted`. */
uint64_t account_reach(struct core *core, const struct slot *slot, uint64_t wanted);
/* It is found to be this large. */
void account_seen(struct core *core, struct slot *slot, const struct stat *st);
/* The slot is about to be freed; true: its inode with it. */
bool account_let_go(struct core *core, struct slot *slot);
/* Its inode is gone. Stages. */
void account_dead(struct core *core, struct slot *slot);

/* A name is about to be unlinked whose inode may be unknown (slot: NULL), though the kernel looks
 * at what it removes: what a directory's limit is charged for it is noted in the request's record;
 * and given back when the request is finished, which this does. */
void account_note_unknown(struct core *core, const struct slot *slot, uint64_t parent, int dirfd,
			  const char *name, const struct stat *st);
int account_finish_unknown(struct core *core, uint64_t parent);

/* --- names --- */

/* -EXDEV: charged for is not taken from one account to another. What is never charged may go. */
int account_may_move(struct core *core, uint64_t parent, int dirfd, const char *name,
		     uint64_t new_parent);
int account_may_link(struct core *core, const struct slot *slot, uint64_t new_parent);
/* An unknown directory is gone. */
void account_directory_gone(struct core *core, ino_t ino);

/* --- telling --- */

/* From the file system's own word to what can be had here. */
void account_statfs(struct core *core, uint64_t node, struct statvfs *out);

/* --- the table, for limit.c and store.c --- */

/* Index of the account that a directory is the top of; 0: none. */
uint32_t account_of_top(struct core *core, const struct slot *directory);
/* Index, or -errno: -ENFILE there are too many. Commits. */
int account_create(struct core *core, ino_t ino, uint32_t parent, uint64_t limit, uint32_t flags);
/* All that belongs to it goes to the one around it. Commits. */
void account_dissolve(struct core *core, uint32_t index);
/* Moves a slot, with what it is charged for; from outside all accounts: what its size says. */
void account_take(struct core *core, struct slot *slot, uint32_t index, const struct stat *st);
void account_stage_own(struct core *core, uint32_t index, uint64_t add, uint64_t subtract);
void accounts_sum(struct core *core); /* the totals */

#endif
