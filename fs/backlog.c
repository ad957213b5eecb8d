#include "fs/backlog.h"

#include "core/util.h"
#include "fs/kernel.h"

#include <string.h>

#define COUNT_MAX 4096U
#define BYTES_MAX (8U << 20)
#define CROWD_RUN 4    /* requests without a pause */
#define CROWD_MIX 1024 /* requests, in which another user had one */

_Static_assert(BACKLOG_LANES == 64, "a bit each");

/* --- is there a crowd? --- */

/* Nobody waits for these, or they are about others; most of them are nobody's, too. */
static bool is_served_at_once(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_INIT:
	case FUSE_DESTROY:
		return true;
	default:
		return false;
	}
}

static bool is_crowd(const struct backlog *b)
{
	return b->run > CROWD_RUN && b->change < CROWD_MIX;
}

bool backlog_wants(struct backlog *b, const void *request, size_t length)
{
	const struct fuse_in_header *header = request;

	b->run += b->run <= CROWD_RUN;
	if (is_served_at_once(header->opcode))
		return false;
	b->change = header->uid == b->last_uid ? b->change + (b->change < CROWD_MIX) : 0;
	b->last_uid = header->uid;
	return is_crowd(b) && length <= BYTES_MAX - b->bytes;
}

void backlog_pause(struct backlog *b)
{
	if (backlog_is_empty(b))
		b->run = 0;
}

bool backlog_reads_on(const struct backlog *b)
{
	return backlog_is_empty(b) || (is_crowd(b) && b->count < COUNT_MAX && b->bytes < BYTES_MAX);
}

/* --- lanes --- */

static unsigned lane_of(uint32_t uid)
{
	return uid * 2654435769U >> 26;
}

bool backlog_put(struct backlog *b, const void *request, size_t length)
{
	const struct fuse_in_header *header = request;
	unsigned at = lane_of(header->uid);
	struct backlog_lane *lane = &b->lanes[at];
	struct backlog_request *copy = malloc(sizeof *copy + length);

	if (!copy)
		return false;
	copy->next = NULL;
	copy->length = length;
	memcpy(copy->bytes, request, length);
	*(lane->first ? &lane->last->next : &lane->first) = copy;
	lane->last = copy;
	b->waiting |= 1ULL << at;
	b->count++;
	b->bytes += length;
	return true;
}

/* `before` is the one before it in the lane; NULL: it is the first. */
static struct backlog_request *take_out(struct backlog *b, unsigned at,
					struct backlog_request *before)
{
	struct backlog_lane *lane = &b->lanes[at];
	struct backlog_request *request = before ? before->next : lane->first;

	*(before ? &before->next : &lane->first) = request->next;
	if (lane->last == request)
		lane->last = before;
	if (!lane->first)
		b->waiting &= ~(1ULL << at);
	b->count--;
	b->bytes -= request->length;
	return request;
}

struct backlog_request *backlog_take(struct backlog *b)
{
	uint64_t after = b->turn + 1 < BACKLOG_LANES ? b->waiting >> (b->turn + 1) : 0;

	if (!b->waiting)
		return NULL;
	b->turn = after ? b->turn + 1 + (unsigned)__builtin_ctzll(after)
			: (unsigned)__builtin_ctzll(b->waiting);
	return take_out(b, b->turn, NULL);
}

struct backlog_request *backlog_take_unique(struct backlog *b, uint64_t unique)
{
	for (uint64_t left = b->waiting; left; left &= left - 1) {
		unsigned at = (unsigned)__builtin_ctzll(left);
		struct backlog_request *before = NULL, *request = b->lanes[at].first;

		for (; request; before = request, request = request->next)
			if (((const struct fuse_in_header *)(void *)request->bytes)->unique ==
			    unique)
				return take_out(b, at, before);
	}
	return NULL;
}

void backlog_finish(struct backlog *b)
{
	struct backlog_request *request;

	while ((request = backlog_take(b)))
		free(request);
}
