/* Objects to wait on, made by the control protocol and used by plain calls, so that their tests
 * depend on no library. Waits and signals use pread(2) and pwrite(2), which many threads may do on
 * one description at once. */
#ifndef MAPPINGFS_TESTS_SYS_WAITABLES_H
#define MAPPINGFS_TESTS_SYS_WAITABLES_H

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>

#include "core/types.h"
#include "tests/sys/objects.h"

/* All zero is an empty mapping of mode 0644. */
struct typed {
	enum object_type type;
	uint32_t flags; /* WIRE_* */
	uint32_t initial, maximum;
	mode_t mode;   /* 0: 0644 */
	uint64_t size; /* with WIRE_SET_SIZE */
};

/* --- the steps of a creation; 0, a descriptor, or -errno --- */

int typed_unborn(const char *directory, mode_t mode); /* nameless, not configured */
/* `why` (may be NULL): the refusal's text. */
int typed_configure(const char *mnt, int unborn, const struct typed *typed, struct wire_reply *why);
int typed_publish(int unborn, const char *path);

/* All of them. Nothing is left if one fails. */
int typed_create(const char *mnt, const char *path, const struct typed *typed);
/* The same and fails the test if it does not work; the name is relative to the mount. */
const char *typed_make(struct sys *sys, const char *name, struct typed typed);
/* Without a name, opened O_RDWR. Fails the test. */
int typed_unnamed(struct sys *sys, struct typed typed);

const char *make_event(struct sys *sys, const char *name, uint32_t flags);
const char *make_semaphore(struct sys *sys, const char *name, uint32_t initial, uint32_t maximum);
const char *make_mutex(struct sys *sys, const char *name);
const char *make_timer(struct sys *sys, const char *name, uint32_t flags);
/* One of each type that works by itself. */
const char *make_any(struct sys *sys, const char *name, enum object_type type);

/* O_CLOEXEC is added. Fails the test. */
int open_object(const char *path, int flags);
bool state_is(const char *path, const char *expected); /* user.mapping.state */

/* --- waits and words --- */

/* enum wait_result, or -errno; -EPROTO: anything but one of the known lines. */
int wait_here(int fd);
int try_wait(const char *path); /* opened O_NONBLOCK and closed: -EAGAIN: not signaled */
/* Bytes taken or -errno. */
int words(int fd, const char *text);
int words_to(const char *path, const char *text); /* opened O_WRONLY and closed */
bool ready(int fd);                               /* poll(2): POLLIN at once */

/* WIRE_IOC_WAIT: 0 or -errno; index and result in *out (may be NULL). */
int wait_many(const int *fds, unsigned count, uint32_t flags, uint64_t deadline,
	      struct wire_wait *out);
/* WIRE_IOC_SIGNAL_WAIT, on wait_fd: the enum wait_result, or -errno. */
int signal_and_wait(int signal_fd, const char *text, int wait_fd, uint64_t deadline);
#define NO_DEADLINE UINT64_MAX
uint64_t deadline_in(double seconds); /* of CLOCK_MONOTONIC, not stretched */

/* --- who is blocked --- */

/* Is it asleep in that system call? (In FUSE's: its request is queued then.) */
bool blocked_in(pid_t tid, long call);
unsigned count_blocked(pid_t pid, long call); /* threads of the process */

/* A thread that waits once; on the heap, so that it outlives a test that fails. */
struct waiter {
	pthread_t thread;
	int fd;                /* borrowed */
	struct wire_wait many; /* count 0: wait_here() */
	_Atomic pid_t tid;     /* 0: not there yet */
	_Atomic int ended;     /* 1 when `result` is there */
	int result;            /* as wait_here() or wait_many() */
};
struct waiter *waiter_start(int fd);   /* returns when it is blocked, or has ended */
int waiter_end(struct waiter *waiter); /* waits for its end (10 s), frees it: the result */
/* For several; they end with 0 or -errno, and *out (may be NULL) says which. */
struct waiter *waiter_start_many(const int *fds, unsigned count, uint32_t flags, uint64_t deadline);
int waiter_end_many(struct waiter *waiter, struct wire_wait *out);
int waiter_interrupt(struct waiter *waiter); /* by SIGUSR1; the same */

/* A process that opens path, waits once and ends. */
pid_t waiter_process(struct sys *sys, const char *path); /* returns when it is blocked */
#define ENDED_WITH(result) (200 + (result))              /* sys_wait() of it; else an errno */

/* kill -9 of the worker, and on at once: what comes next may find nobody there. */
void strike_worker(struct sys *sys);

/* A handler without SA_RESTART for SIGUSR1, which interrupts. */
void catch_interrupts(void);

#endif
