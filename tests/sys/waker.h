/* Wakes sleepers on the mutexes of LMDB's lock file while nothing moves.
 *
 * A robust mutex's owner that is killed between its store of 0 and its FUTEX_WAKE leaves the
 * waiters asleep with the word at 0, if the kernel does not wake them in its place (futex:
 * handle_futex_death()). Linux 6.18 sometimes does not: the same program, run on a plain kernel
 * tmpfs with huge=within_size and no daemon anywhere, hangs like this within a few runs. It is not
 * what these tests are about. */
#ifndef MAPPINGFS_TESTS_SYS_WAKER_H
#define MAPPINGFS_TESTS_SYS_WAKER_H

#include "tests/sys/writers.h"

struct waker {
	pid_t pid;
	unsigned *wakes; /* shared: times somebody had to be woken */
};

/* lock_file must be there before the first stand-still. */
void waker_start(struct waker *waker, const struct writers_shared *progress, const char *lock_file);
unsigned waker_stop(struct waker *waker); /* how often it had to wake */

#endif
