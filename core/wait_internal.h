/* What the rooms of waiting share: wait.c (the door), wait_change.c (changes), wait_queue.c (who
 * waits), wait_handles.c (open handles), wait_poll.c (who polls). */
#ifndef MAPPINGFS_CORE_WAIT_INTERNAL_H
#define MAPPINGFS_CORE_WAIT_INTERNAL_H

#include "core/pointers.h"
#include "core/wait.h"

struct waiter;

/* A waiter's place in the queue of one object. */
struct wait_link {
	struct waiter *waiter;
	struct wait_queue *queue;
	struct wait_link *next, *previous;
	uint64_t handle;
};

/* One blocked wait, of one object or many. */
struct waiter {
	struct timer timer; /* of a deadline */
	struct core *core;
	uint64_t unique; /* as the request came */
	uint64_t cookie; /* the caller's */
	uid_t uid;       /* who waits */
	uint32_t count;
	bool many, all;
	bool once;  /* does not block: answered when its turn has come, either way */
	bool named; /* by handles, with a deadline: ends with ETIMEDOUT, else EAGAIN */
	struct wait_link links[];
};

/* Exists while an object has waiters or somebody polls it. */
struct wait_queue {
	uint64_t node;
	struct wait_link *first, *last;
	uint32_t many;       /* waiters in it that wait for other objects, too */
	uint32_t first_poll; /* handle index; 0: none */
};

/* Neighbours among those that poll the same object, by handle index. */
struct poll_link {
	uint32_t next, previous;
};

struct waits {
	struct pointers queues;  /* by slot index */
	struct pointers waiters; /* by unique without the resend bit */
	struct pointers alarms;  /* timer.c: by slot index */
	bool gathering;          /* a new worker has not got all waits again yet */
	struct poll_link *polls;
	uint32_t polls_capacity;
	uint32_t *free_handles; /* stack of indices */
	uint32_t free_count, free_capacity;
	uint64_t keys[32]; /* random numbers in stock */
	uint32_t keys_left;
};

#define WAIT_UNIQUE(unique) ((unique) & ~(1ULL << 63)) /* without the resend bit */

/* --- wait.c --- */
struct slot *wait_slot(struct core *core, uint64_t node); /* NULL: not to be waited on */
void wait_refresh(struct core *core, struct slot *slot);  /* wait_type.changed() */
/* A former worker carried it out, or granted it, and did not live to say so. *error: 0 or -errno.
 */
bool wait_replayed(struct core *core, struct core_waited *out, int *error);
/* What all waits have in common. deadline: as core_wait_many; 0: do not block. */
int wait_for(struct core *core, struct slot *const *slots, const uint64_t *handles,
	     const struct core_wait_many *many, struct core_waited *out);

/* --- wait_queue.c --- */
struct wait_queue *queue_find(struct core *core, const struct slot *slot); /* or NULL */
struct wait_queue *queue_get(struct core *core, const struct slot *slot);  /* NULL: no memory */
void queue_consider_free(struct core *core, struct wait_queue *queue);
/* Enqueues a waiter whose links have handle set; slots[i] goes with links[i]. Owns it. */
int waiter_enqueue(struct core *core, struct waiter *waiter, struct slot *const *slots);
/* Takes it out and answers it. */
void waiter_end(struct core *core, struct waiter *waiter, int error, enum wait_result result,
		uint32_t index);
/* Could a wait succeed through any handle? */
bool wait_worth_looking(struct core *core, struct slot *slot);
/* Lets go whom the object's state lets go. */
void queue_let_go(struct core *core, struct slot *slot);
/* Stages what a wait for these takes: *index is the one (any), or the abandoned one (all). False:
 * not now. */
bool wait_take(struct core *core, struct slot *const *slots, const uint64_t *handles,
	       uint32_t count, bool all, uint32_t *index, enum wait_result *result);
/* Everybody's turn: after a new worker has gathered all. */
void queues_resume(struct core *core);
void queues_finish(struct core *core);
/* A handle closes while waits of many still name it. */
void queue_handle_closed(struct core *core, struct slot *slot, uint64_t handle);

/* --- wait_handles.c --- */
struct wait_handle *wait_handle(struct core *core, uint64_t number); /* NULL: no such */
uint32_t wait_handle_index(uint64_t number);
/* Its wait ended so: the rest of the line can be read. */
void wait_handle_answered(struct core *core, uint64_t number, enum wait_result result);
void wait_handle_free(struct core *core, uint64_t number); /* after its end was committed */
int wait_handles_resume(struct core *core);

/* --- wait_poll.c --- */
int poll_add(struct core *core, struct slot *slot, uint64_t handle, uint64_t poll);
void poll_drop(struct core *core, struct slot *slot, uint64_t handle);
void poll_tell(struct core *core, struct slot *slot);
void polls_resume(struct core *core);

#endif
