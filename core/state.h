/* The state area: what a restarted worker needs beyond the backing tree, in a memfd the supervisor
 * keeps.
 *
 * Identity, what each number can and cannot tell:
 *   slot        one inode the kernel knows (lookups > 0), or that core still owes something
 *               (SLOT_FLUSH_DUE). Index into the table; reused.
 *   node        what the kernel calls the inode: generation << 32 | slot index. A node whose
 * generation differs from its slot's is stale (ESTALE). Root is node 1: slot 1, generation 0. file
 * handle of the backing inode (name_to_handle_at): finds the inode in the tree again, by any
 *               worker, whatever its names are; dead once the inode is gone.
 *   ino         st_ino in the backing tree: unique among slots that are not SLOT_DEAD.
 *   handles     open file descriptions on the FUSE inode (OPEN and CREATE minus RELEASE). With
 *               passthrough it says nothing about views.
 *   backing id  the kernel's name for the file that backs the inode's data; belongs to the FUSE
 *               connection, survives workers; one per inode while any handle is open.
 *   binding     our number for a bound external file whose descriptor the supervisor keeps.
 *
 * The worker may be killed between any two instructions. A change of several fields is staged, and
 * made by state_commit(): a redo log that the next worker finishes. Fields of a free slot may be
 * written directly: a slot comes to life only by a commit. */
#ifndef MAPPINGFS_CORE_STATE_H
#define MAPPINGFS_CORE_STATE_H

#include "core/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STATE_MAX_SLOTS  (1U << 22)
#define STATE_RECORDS    256U
#define STATE_SAVED      64U
#define STATE_LOG_WORDS  320U /* a wait for all of 64 objects */
#define STATE_HANDLE_MAX 32U
#define STATE_NAME_MAX   255U
#define STATE_HANDLES    (1U << 20) /* open handles of waitable objects */
#define STATE_ACCOUNTS   4096U
#define STATE_MEMBERS    (1U << 16) /* of jobs */
#define STATE_UNSYNCED   32U        /* directories of a store */
#define STATE_USERS      (1U << 16)

enum {
	SLOT_REGULAR = 1 << 0,
	SLOT_DIRECTORY = 1 << 1,
	SLOT_ORPHAN = 1 << 2, /* no name any more: kept under the orphans directory until FORGET */
	SLOT_DEAD = 1 << 3,   /* backing inode is gone: every use is ESTALE */
	SLOT_TEMPORARY = 1 << 4,  /* name goes with the last handle and view */
	SLOT_SPARSE = 1 << 5,     /* pages come by touch, not with the size */
	SLOT_BOUND = 1 << 6,      /* backed by an external file */
	SLOT_READ_ONLY = 1 << 7,  /* for everyone, root too */
	SLOT_WATCHED = 1 << 8,    /* `watch` is set on the backing file */
	SLOT_SETID = 1 << 9,      /* has a set-user-ID or set-group-ID bit */
	SLOT_FLUSH_DUE = 1 << 10, /* last view went; not durable yet */
	SLOT_FLUSH_UNTOLD =
	    1 << 11,         /* a background flush failed and no fsync has returned it yet */
	SLOT_USED = 1 << 12, /* had a handle since it became known: may have an end */
	SLOT_HANDLE_BOUND = 1 << 13, /* with SLOT_TEMPORARY: name goes with the last handle */
	SLOT_UNBORN = 1 << 14,       /* O_TMPFILE opened for writing only, nothing else yet: may be
				      * configured, and then be linked to its first name */
	SLOT_UNSAVED = 1 << 15,      /* the record on the inode is older than the slot */
	SLOT_HIDDEN = 1 << 18,       /* mknod(2) under a hidden name: not published yet */
	SLOT_HELD = 1 << 16,         /* who watches is to be told when nothing holds it any more */
	SLOT_CHARGING = 1 << 17,     /* its size is changing: `charged` may be more than it takes */
	SLOT_UNSEEN = 1 << 19,       /* may have been written past us since its size was charged */
	SLOT_TO_LOOK_AT = 1 << 20,   /* ... and this worker is about to look */
};

enum {                              /* wait_state.options */
       WAIT_MANUAL = 1 << 0,        /* event, timer: stays signaled */
       WAIT_ABANDONED = 1 << 1,     /* mutex: the next owner is told */
       WAIT_REALTIME = 1 << 2,      /* timer: `due` is of CLOCK_REALTIME, else CLOCK_BOOTTIME */
       WAIT_KILL_ON_CLOSE = 1 << 3, /* job */
       WAIT_DUE_SHIFTED = 1 << 4,   /* timer, in a record: `due` would be of CLOCK_BOOTTIME */
};

/* The state of an object to wait on. */
struct wait_state {
	union {
		uint64_t pulse; /* event: a pulse by this request is being carried out; 0: none */
		uint64_t owner; /* mutex: the handle that owns it; 0: free */
		uint64_t due;   /* timer: ns; 0: not set */
	};
	uint64_t period;  /* timer: ns; 0: once */
	uint32_t value;   /* event, timer, job: 1 signaled; semaphore: count; mutex: depth */
	uint32_t maximum; /* semaphore */
	uint32_t options;
	uint32_t reserved;
};

struct slot {
	uint32_t generation;
	uint32_t flags;
	uint64_t lookups;
	uint32_t handles;
	uint32_t backing_id;
	uint64_t ino;
	union {
		struct { /* OBJECT_MAPPING */
			uint64_t binding;
			uint64_t size; /* bound objects: the object's size, bytes */
			uint64_t
			    flushed_at; /* CLOCK_REALTIME ns of the last flush's end; 0 never */
			uint8_t flush_error;     /* positive errno of the last flush (all fit) */
			uint8_t flush_tries;     /* of ours that failed, in a row; at its end it
						  * goes on at 3/4 of it */
			uint16_t flush_failures; /* UINT16_MAX: so many or more */
			uint32_t failing_since;  /* CLOCK_REALTIME s: first of flush_tries;
						  * 0: none */
		};
		struct wait_state wait; /* the other types */
	};
	int32_t watch;
	uint8_t handle_type; /* fits: the kernel's fid types are below 0x100 */
	uint8_t handle_length;
	uint8_t place; /* which of its two is in force */
	uint8_t type;  /* enum object_type */
	uint8_t handle[STATE_HANDLE_MAX];
	uint16_t user;    /* whose it is: index; 0: not counted (yet, or any more) */
	uint8_t extra;    /* KiB of extended attributes, counted as so many objects */
	uint8_t inherit;  /* directories: lifetime of what is made in them, enum core_lifetime + 1;
			   * 0: the mount's default */
	uint16_t account; /* whose limit counts: index; 0: only the mount's own */
	uint16_t reserved;
	uint64_t charged; /* bytes the account and the user are charged for it */
	uint32_t creator_uid, creator_pid;
};
_Static_assert(sizeof(struct slot) == 128, "a slot is two cache lines");

/* Where a name is, for trees whose inodes cannot be opened by handle. */
struct slot_place {
	uint64_t parent; /* node; 0: under the orphans directory */
	char name[STATE_NAME_MAX + 1];
};

/* An open handle of a waitable object. Its number (generation << 32 | index, never 0) is what the
 * kernel sends as fh; the key is known to who holds the descriptor only, and proves it elsewhere.
 */
struct wait_handle {
	uint64_t key;
	uint64_t node; /* 0: free */
	uint64_t poll; /* the kernel wants to be told of a change, under this number; 0: no */
	uint32_t generation;
	uint16_t access;   /* open(2)'s O_ACCMODE */
	uint8_t answered;  /* enum wait_result + 1 of its last wait; 0: none */
	uint8_t line_left; /* that line has not been read to its end */
	uint64_t signaled; /* the newest signal-and-wait that has made its change through it */
	uint32_t uid;      /* who opened it */
	uint32_t reserved;
};

/* A directory tree with a limit of its own. */
struct account {
	uint64_t ino; /* of its top directory; 0: free */
	uint64_t limit;
	uint64_t charged; /* to itself alone, not to accounts in it */
	uint32_t parent;  /* account of the tree around it; 0: none but the mount */
	uint32_t flags;
};

enum {                             /* account.flags */
       ACCOUNT_BEGINNING = 1 << 0, /* what lies in the tree is being gathered */
       ACCOUNT_ENDING = 1 << 1,    /* ... is being given to the account around it */
       ACCOUNT_OF_ROOT = 1 << 2    /* nobody else may change the limit */
};

/* What is there of one owner, known to the kernel or not: see user.h. */
struct state_user {
	uint32_t uid;
	uint32_t reserved;
	uint64_t objects;
	uint64_t bytes;
};

/* A process, or a cgroup, that belongs to a job: see job.h. */
struct job_member {
	uint64_t node;   /* of the job; 0: free; or one of those below, that no slot has */
	uint64_t ino;    /* of the job */
	uint64_t id;     /* cgroup: its file handle's number; process: what tells it from others */
	uint64_t parent; /* id of the cgroup it was made in */
	uint32_t pid;    /* 0: a cgroup */
	uint32_t state;  /* MEMBER_MAKING, MEMBER_ENDED */
	uint32_t serial; /* of the cgroups that this entry has been */
	uint32_t reserved;
};

#define MEMBER_ASLEEP 2ULL /* `node`: the kernel does not know the job now */
#define MEMBER_GONE   3ULL /* `node`: there is no job any more */
enum {
	MEMBER_MAKING = 1 << 0, /* the cgroup is not a member yet, and may not be there */
	MEMBER_ENDED = 1 << 1   /* and its job, asleep, has not been told */
};

enum record_phase { RECORD_NONE, RECORD_STARTED, RECORD_DONE };

/* What became of a kernel request, by its unique number. */
struct request_record {
	uint64_t unique;
	uint64_t node;   /* DONE: the inode it answered with */
	uint64_t before; /* what an operation notes before it acts, for its own second try */
	uint32_t phase;
	int32_t error;
};

struct state_header {
	uint64_t magic;
	uint32_t version;
	uint32_t high; /* slots at or above were never used */
	uint64_t next_binding;
	uint64_t binding_in_hand; /* being bound: the supervisor may hold it, no slot does yet */
	uint64_t last_backing_id; /* the newest id the kernel gave */
	uint32_t attaching;       /* an attach is under way: its id may be lost with us */
	uint32_t attaches_lost;   /* so many times in a row */
	uint32_t log_count;       /* entries of `log` to be redone */
	uint32_t detaching;       /* an id that no slot has any more, and may not be closed yet */
	uint64_t flushes, flush_failures;
	struct {
		uint64_t offset; /* of the field, from the header */
		uint64_t value;
		uint64_t width;
	} log[STATE_LOG_WORDS];
	struct request_record records[STATE_RECORDS];
	/* The request a worker died with is sent again, but others may be read before it, and take
	 * its place among the records: it is put by first. */
	uint64_t in_hand; /* unique of the newest request begun */
	uint32_t saved_next;
	struct request_record saved[STATE_SAVED];
	/* The blocked wait that was granted last: answered right after, so at most this one can be
	 * granted and not answered. */
	uint64_t granted;
	int32_t granted_result; /* enum wait_result */
	uint32_t granted_index;
	uint32_t handles_high, members_high; /* entries at or above were never used */
	uint32_t accounts_high;
	/* Directories, by st_ino, with names that the disk may not have: see durable.c. */
	uint32_t unsynced_count;
	uint32_t unsynced_all; /* there are more than these */
	uint64_t unsynced[STATE_UNSYNCED];
	uint32_t users_high;
	uint64_t counting;  /* request that changes what there is, and has not counted it yet */
	uint64_t uncounted; /* ... of a former worker; all bits: it is not known of which */
};

struct state {
	struct state_header *header;
	struct slot *slots;
	struct slot_place *places; /* two a slot */
	struct wait_handle *handles;
	struct account *accounts;
	struct state_user *users;
	struct job_member *members;
	size_t mapped;
	uint32_t staged;
	bool fresh;   /* this process initialised it: no worker before us */
	bool damaged; /* there was something in it that cannot be right: state_check.h */
};

/* Version, sizes and offsets of all this, as one number. */
uint64_t state_layout(void);
int state_open(struct state *state, int memfd, uint64_t offset);
void state_close(struct state *state);
/* The first worker has set everything up: from now on a new one continues instead. */
void state_set_ready(struct state *state);

void state_stage(struct state *state, volatile void *field, size_t width, uint64_t value);
#define STAGE(state, field, value) state_stage((state), &(field), sizeof(field), (uint64_t)(value))
void state_commit(struct state *state);
void state_abandon(struct state *state); /* forgets what is staged */

/* Both places of a slot; slot->place says which is in force. */
struct slot_place *state_places(struct state *state, const struct slot *slot);
/* NULL: stale or absurd node. */
struct slot *state_slot(struct state *state, uint64_t node);
uint64_t state_node(const struct state *state, const struct slot *slot);
uint32_t state_index(const struct state *state, const struct slot *slot);

/* Is it a file to wait on? */
static inline bool slot_is_waitable(const struct slot *slot)
{
	return slot->type != OBJECT_MAPPING;
}

struct request_record *state_record(struct state *state, uint64_t unique);
/* For a new worker, before its first request. */
void state_save_in_hand(struct state *state);
/* The record of a request that a former worker died with; NULL: not one of those. */
struct request_record *state_saved(struct state *state, uint64_t unique);

#endif
