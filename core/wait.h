/* Waiting: who waits for which object, in order of arrival, and what each type of object does about
 * it. A type is one constant; nothing outside its file knows its rules.
 *
 * Everything is committed before it is told: a change of an object first, then each wait that it
 * lets go, one by one (what it takes, and state_header.granted), then its answer. A worker killed
 * in between leaves at most one wait granted and not answered, which it finds noted when the kernel
 * sends that request again. */
#ifndef MAPPINGFS_CORE_WAIT_H
#define MAPPINGFS_CORE_WAIT_H

#include "core/internal.h"

/* Who asks, and for whom. */
struct wait_caller {
	uint64_t handle;               /* 0: none (state_header asks for itself) */
	const struct core_caller *who; /* of a write; else NULL */
};

struct wait_type {
	/* Checks and sets slot->wait of a fresh object. 0 or -errno with *why. */
	int (*configure)(struct core *core, struct slot *slot, const struct core_setup *setup,
			 const char **why);
	/* Would a wait through this handle succeed now? Changes nothing. */
	bool (*signaled)(struct core *core, const struct slot *slot, uint64_t handle);
	/* Stages what a wait takes; only called while signaled() for this handle. */
	enum wait_result (*take)(struct core *core, struct slot *slot, uint64_t handle);
	/* One word of a write with its arguments: `words` is NULL-terminated, words[0] is not.
	 * Stages the change. 0 or -errno (EINVAL: not such a word). What cannot be staged (another
	 * process is killed, a timer armed) is done in changed(). */
	int (*change)(struct core *core, struct slot *slot, char **words,
		      const struct wait_caller *caller);
	/* After a change was committed, when an object becomes known with state, and in a new
	 * worker: brings volatile things in line (arms the timer). May be NULL. */
	void (*changed)(struct core *core, struct slot *slot);
	/* All waits that could be let go have been: an event's pulse is over. May be NULL. */
	void (*settled)(struct core *core, struct slot *slot);
	/* A handle closes. Stages; true: look at the waits again. May be NULL. */
	bool (*closed)(struct core *core, struct slot *slot, uint64_t handle);
	/* The slot is about to be freed: drops what is volatile. May be NULL. */
	void (*forget)(struct core *core, struct slot *slot);
	/* On its way to the inode and back: what only means something while the machine runs. May
	 * be NULL. */
	void (*pack)(struct wait_state *wait);
	void (*unpack)(struct wait_state *wait);
	/* The state without taking: "signaled", "3 of 5", "owned 2", ... Length as snprintf(). */
	int (*print)(struct core *core, const struct slot *slot, char *buffer, size_t size);
};

extern const struct wait_type wait_event, wait_semaphore, wait_mutex, wait_timer, wait_job;
const struct wait_type *wait_type_of(const struct slot *slot); /* NULL: not to be waited on */

/* An object's state changed by itself (a timer fired, a job's last member ended) and is committed:
 * lets go whom it lets go, tells who polls. */
void wait_changed(struct core *core, struct slot *slot);
/* SLOT_UNSAVED is staged with every change, so that the record is written when the slot is freed.
 */
void wait_stage_unsaved(struct core *core, struct slot *slot);

/* --- for the rest of core --- */
int wait_configure(struct core *core, struct slot *slot, const struct core_setup *setup,
		   const char **why);
/* A handle is opened: stages a table entry. Its number in *handle. */
int wait_stage_open(struct core *core, struct slot *slot, int flags, uint64_t *handle);
/* Is it an open handle, and this object's? */
bool wait_handle_is_of(struct core *core, uint64_t handle, const struct slot *slot);
void wait_release(struct core *core, struct slot *slot, uint64_t handle);  /* stages */
void wait_released(struct core *core, struct slot *slot, uint64_t handle); /* was committed */
void wait_known(struct core *core, struct slot *slot);  /* slot was just made or taken over */
void wait_forget(struct core *core, struct slot *slot); /* slot is about to be freed */
int wait_print(struct core *core, const struct slot *slot, char *buffer, size_t size);
int wait_init(struct core *core);
void wait_gather(struct core *core);        /* a new worker, before its slots */
void wait_clock_was_set(struct core *core); /* core->clock_fd is readable */
void wait_finish(struct core *core);

#endif
