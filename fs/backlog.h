/* Requests that were read and are not begun yet. Where several users have some, they are taken in
 * turns, one of each: who sends many at a time waits for itself, and not everybody else with it.
 * Used only while there is a crowd (else a request is served where it was read), and only where the
 * kernel sends again what a killed worker leaves: nothing in here is known to the next one. */
#ifndef MAPPINGFS_FS_BACKLOG_H
#define MAPPINGFS_FS_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKLOG_LANES 64 /* users, more or less: two may share one */

struct backlog_request {
	struct backlog_request *next;
	size_t length;
	_Alignas(8) uint8_t bytes[];
};

struct backlog_lane {
	struct backlog_request *first, *last;
};

struct backlog {
	struct backlog_lane lanes[BACKLOG_LANES];
	uint64_t waiting; /* bit: the lane is not empty */
	unsigned turn;    /* the lane that had the last one */
	size_t count, bytes;
	/* Is there a crowd? */
	uint32_t last_uid;
	unsigned run;    /* requests since there was none */
	unsigned change; /* ... since another user came */
};

static inline bool backlog_is_empty(const struct backlog *backlog)
{
	return !backlog->waiting;
}

/* A request was read; is it to be put here? */
bool backlog_wants(struct backlog *backlog, const void *request, size_t length);
/* There is nothing more to read. */
void backlog_pause(struct backlog *backlog);
/* Is another one to be read before the next is taken? */
bool backlog_reads_on(const struct backlog *backlog);

/* Copies it. False: no memory. */
bool backlog_put(struct backlog *backlog, const void *request, size_t length);
/* The next one in turn, to be freed with free(); NULL: there is none. */
struct backlog_request *backlog_take(struct backlog *backlog);
/* The one of this number, as it came; NULL: it is not here. */
struct backlog_request *backlog_take_unique(struct backlog *backlog, uint64_t unique);
void backlog_finish(struct backlog *backlog);

#endif
