/* One process tells another something: an event object, and what the kernel has of its own to
 * compare it with. */
#ifndef MAPPINGFS_TESTS_BENCH_CHANNEL_H
#define MAPPINGFS_TESTS_BENCH_CHANNEL_H

#include "fs/wire.h"
#include "tests/bench/bench.h"

#include <stdatomic.h>
#include <stdbool.h>

struct channel {
	const struct channel_type *type;
	int read_fd, write_fd;
	_Atomic uint32_t *word;
	struct wire_handle proof; /* event: of write_fd, once it was asked for */
	bool all; /* sending lets all go who wait, once and for good; else one for each time */
};

struct channel_type {
	const char *name; /* what --by says */
	int (*open)(struct channel *channel, const char *dir, const char *tag);
	int (*send)(struct channel *channel);
	int (*receive)(struct channel *channel); /* blocks */
	/* Whoever sleeps in receive() by now is waited for at the other end, too. */
	int (*settle)(struct channel *channel);
	void (*close)(struct channel *channel);
	/* send() and receive() as one request; NULL: there is none. */
	int (*exchange)(struct channel *to, struct channel *from);
};

/* By options->by; NULL is "event". -EINVAL: no such type. On success the caller closes it; a forked
 * child may use it without doing so. */
int channel_open(struct channel *channel, const struct bench_options *options, const char *tag,
		 bool all);
void channel_close(struct channel *channel);

#endif
