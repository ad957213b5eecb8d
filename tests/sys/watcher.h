/* A running `mapctl watch`, whose lines are read as short words:
 *
 *	created NAME, linked NAME, renamed NAME<FROM, opened NAME r|w|rw, last-view NAME,
 *	flushed NAME BY, failed NAME ERROR BY, removed NAME REASON LINKS, lost COUNT, restarted,
 *	unmounted
 *
 * with " [TYPE]" after what is no mapping, and "-" for no name. */
#ifndef MAPPINGFS_TESTS_SYS_WATCHER_H
#define MAPPINGFS_TESTS_SYS_WATCHER_H

#include "tests/sys/harness.h"

struct watcher {
	struct sys *sys;
	pid_t pid;
	uid_t uid;
	int output, where;
	const char *last;    /* what watcher_next() gave last */
	char bytes[1 << 17]; /* read, and not given out yet */
	size_t used;
	unsigned marks;
};

/* As this user, of a directory of the mount ("" for all). Returns once it watches. */
void watcher_start(struct watcher *watcher, struct sys *sys, uid_t uid, const char *directory);
/* Exactly these events come next, one a line, and then no other. */
void watcher_expect(struct watcher *watcher, const char *expected);
/* The next event within so many seconds; NULL: none. Static storage. */
const char *watcher_next(struct watcher *watcher, double seconds);
/* Closes its output; it must end by itself. */
void watcher_end(struct watcher *watcher);

/* A line of JSON in short words; static storage. */
const char *event_words(const char *line);

#endif
