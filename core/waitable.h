/* Objects to wait on: event, semaphore, mutex, timer, job. Part of core.h's door.
 *
 * A blocked wait is a request that is not answered yet: it costs one small allocation and no
 * thread. It is known by the unique number of its kernel request, and answered through
 * core_listener.waited. A new worker gets all of them again from the kernel, in any order, and
 * grants none before core_resumed(): then they stand in the order of their unique numbers, which is
 * the order of arrival. */
#ifndef MAPPINGFS_CORE_WAITABLE_H
#define MAPPINGFS_CORE_WAITABLE_H

#include "core/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct core_caller;

#define CORE_WAIT_MAX 64 /* objects in one wait */

/* A wait, and how it ended. */
struct core_waited {
	uint64_t unique; /* set by the caller: as the request came */
	uint64_t cookie; /* set by the caller, for itself */
	uint64_t handle; /* through which the object of `index` was waited for */
	int error;       /* 0 or -errno: EINTR, ETIMEDOUT, EIDRM (the object is gone) */
	enum wait_result result;
	uint32_t index; /* of many: which; with all: the last one */
};

/* Takes what the type takes, or queues (block) with CORE_DEFERRED, or -EAGAIN. 0: out is filled. */
int core_wait(struct core *core, uint64_t node, uint64_t handle, bool block,
	      struct core_waited *out);

/* How the last wait through this handle ended: its line can be read on, byte by byte even. False:
 * there was none. */
bool core_waited_last(struct core *core, uint64_t handle, enum wait_result *result);

/* That line has been read to its end, or not: then there is something to poll for (some shells poll
 * before each byte). */
void core_line_left(struct core *core, uint64_t handle, bool left);

/* A handle as its holder proves it: number and key. */
struct core_handle_proof {
	uint64_t handle, key;
};
int core_handle_proof(struct core *core, uint64_t handle, struct core_handle_proof *out);

struct core_wait_many {
	const struct core_handle_proof *handles;
	uint32_t count;    /* 1 to CORE_WAIT_MAX */
	bool all;          /* all together or none; else any, the first in this order */
	uint64_t deadline; /* CLOCK_MONOTONIC ns; UINT64_MAX: none; past: try once */
};
/* As core_wait(). -EBADF: a handle or key is wrong; -EACCES: not open for reading; -EINVAL. */
int core_wait_many(struct core *core, const struct core_wait_many *many, struct core_waited *out);

/* One line of words for one object, then a wait for another, as one request. */
struct core_signal_wait {
	struct core_handle_proof signal; /* of the object to change: open for writing */
	const char *words;
	size_t length;
	uint64_t node, handle; /* to wait for */
	uint64_t deadline;     /* as core_wait_many */
};
/* As core_wait(); an error of the change means that there was no wait. Once it was made it stays
 * made, however the wait ends. One at a time through one handle to signal: else -EBUSY. */
int core_signal_wait(struct core *core, const struct core_signal_wait *request,
		     const struct core_caller *caller, struct core_waited *out);
/* A request of that kind, sent again, that a former worker has not made the change of. */
bool core_signal_wait_is_due(struct core *core, const struct core_handle_proof *signal,
			     uint64_t unique);

/* The words of a write: bytes taken, or -errno if not even the first line was. */
int core_signal(struct core *core, uint64_t node, uint64_t handle, const char *text, size_t size,
		const struct core_caller *caller);

/* Would a wait through this handle succeed at once? 1, 0, or -errno. notify: tell the number
 * `poll` once that may have changed. */
int core_poll(struct core *core, uint64_t node, uint64_t handle, uint64_t poll, bool notify);

/* The wait's caller was interrupted: it is answered with -EINTR. False: no such wait. */
bool core_interrupt(struct core *core, uint64_t unique);

/* All requests that a former worker left have been taken. */
void core_resumed(struct core *core);

#endif
