/* System tests: a mount on a fresh directory for each test, processes that go with it, and a check
 *at the end of each test that nothing is left: no mount, process, directory, sanitizer report or
 * descriptor of the test program.
 *
 *	static void pages_are_shared(void **state)
 *	{
 *		struct sys *sys = *state;
 *
 *		sys_mount(sys, "size=64m");
 *		assert_int_equal(sys_shell(sys, "echo hello >%s/a", sys->mnt), 0);
 *	}
 *	...
 *	const struct CMUnitTest tests[] = {SYS_TEST_BOTH_MODES(pages_are_shared)};
 *	return sys_run_tests("sharing", tests);
 *
 * A test runs in the mode it was listed with. Where passthrough cannot be had at all (not root, old
 * kernel), its passthrough row is skipped with a message.
 *
 * With MAPPINGFS_TEST_REFERENCE=DIR the "mount" is a plain directory made in DIR (give it a tmpfs):
 * the tests' own mistakes show there. sys->reference is true then, and what only mappingfs has
 * (status, worker, mapctl) is to be left out. */
#ifndef MAPPINGFS_TESTS_SYS_HARNESS_H
#define MAPPINGFS_TESTS_SYS_HARNESS_H

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/util.h"

enum sys_mode { SYS_PASSTHROUGH, SYS_CACHED };

struct sys_child;

struct sys {
	enum sys_mode mode;
	bool reference;      /* plain directory, see above */
	unsigned time_limit; /* seconds a test may take; sys_time_limit() */
	char dir[64];  /* fresh, of mode 0755, removed with its content at the end; not the mount */
	char mnt[256]; /* the mount point, dir/mnt */
	char mark[64]; /* in the environment of every process started, to find what is left */
	bool mounted;
	pid_t supervisor; /* 0 before sys_mount() */
	int supervisor_pidfd;
	char *output; /* of the last sys_shell(): stdout and stderr; never NULL after it */
	struct sys_child *children;
	int fds_before;
	bool refusals_expected; /* system calls that the worker's filter refused are no failure */
};

/* --- listing tests --- */

extern enum sys_mode sys_mode_passthrough, sys_mode_cached; /* what the rows point to */
int sys_setup(void **state);
int sys_teardown(void **state);

#define SYS_ROW(test, label, mode_pointer)                                                         \
	{                                                                                          \
		label, test, sys_setup, sys_teardown, mode_pointer                                 \
	}
#define SYS_TEST_PASSTHROUGH(test) SYS_ROW(test, #test " [passthrough]", &sys_mode_passthrough)
#define SYS_TEST_CACHED(test)      SYS_ROW(test, #test " [cached]", &sys_mode_cached)
#define SYS_TEST_BOTH_MODES(test)  SYS_TEST_PASSTHROUGH(test), SYS_TEST_CACHED(test)

/* Like cmocka_run_group_tests(). MAPPINGFS_TEST_FILTER is a pattern for the names of the tests to
 * run,
 * "*" and "?" as in the shell. */
int sys_run_group(const char *name, const struct CMUnitTest *tests, size_t count);
#define sys_run_tests(name, tests) sys_run_group(name, tests, ARRAY_SIZE(tests))

/* --- mount --- */

/* Mounts at sys->mnt in the test's mode; options (may be NULL) are added to it. Fails the test if
 * the mount does not come up. Returns with sys->supervisor known. */
void sys_mount(struct sys *sys, const char *options);
/* The same, but returns mappingfs' exit status, its words in sys->output; no mode= is added. */
int sys_try_mount(struct sys *sys, const char *options);
/* For a mount whose status only its owner can read: sys_unmount() and the worker functions work
 * then. */
void sys_learn_supervisor(struct sys *sys, pid_t supervisor);
/* umount and wait until supervisor and worker are gone. */
void sys_unmount(struct sys *sys);
/* "DIR/NAME" in the mount, printf-style; static storage, the last eight calls stay valid. */
const char *sys_path(struct sys *sys, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Seconds from now until the test is ended by force. Default 60 (240 with sanitizers). */
void sys_time_limit(struct sys *sys, unsigned seconds);
/* Ends the test program's test as skipped, saying why. */
#define sys_skip(...)                                                                              \
	do {                                                                                       \
		sys_say("skipped: " __VA_ARGS__);                                                  \
		skip();                                                                            \
	} while (0)
void sys_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool sys_passthrough_possible(const char **why_not);

/* --- status and worker --- */

json_t *sys_status(struct sys *sys); /* the whole; json_decref() it */
long long sys_status_number(struct sys *sys, const char *key);
/* Has the list `key` something with these words? */
bool sys_status_says(struct sys *sys, const char *key, const char *words);
/* Text of an extended attribute of path; malloc'd; NULL with errno. */
char *sys_xattr(const char *path, const char *name);
/* The worker as the process table has it: child of the supervisor; 0 while there is none. No
 * request is sent to the mount. */
pid_t sys_worker(struct sys *sys);
/* kill -9 of the worker; returns once another one answers. */
void sys_kill_worker(struct sys *sys);
/* The process that would take the supervisor's place; 0: none. */
pid_t sys_standby(struct sys *sys);
/* After another one has taken it: whoever it is now is the supervisor. */
void sys_learn_successor(struct sys *sys);
/* kill -9 of supervisor, standby and worker, at one instant as far as they can tell. The mount is
 * dead then, and forgotten: sys_mount() may be called again. */
void sys_kill_all(struct sys *sys);
int sys_count_fds(pid_t pid); /* -1: no such process */
/* Resident bytes, the worker's own and of the state area; not the text of programs; 0: no worker.
 */
long long sys_worker_memory(struct sys *sys);

/* Kills the worker again and again from a process of its own, at random intervals, until it is
 * stopped; each kill waits for the next worker to be there. sys_stop_killer() returns the kills. In
 * the reference mode both do nothing (0). */
void sys_start_killer(struct sys *sys, unsigned min_ms, unsigned max_ms);
unsigned sys_stop_killer(struct sys *sys);

/* --- processes --- */

/* sh -c with a printf-style command; exit status, 128+signal if killed. Output: sys->output. */
int sys_shell(struct sys *sys, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* In the background. input/output (may be NULL): our ends of its stdin and stdout, the caller's to
 * close. Without them stdin is /dev/null and stdout ours. */
pid_t sys_start(struct sys *sys, int *input, int *output, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Runs function in a child, which exits with what it returns. No assert_*() in there: CHECK(). */
pid_t sys_fork(struct sys *sys, int (*function)(void *context), void *context);
/* Waits (with a time limit) for a process started by these; exit status, 128+signal if killed. */
int sys_wait(struct sys *sys, pid_t pid);
/* kill -9 and wait. */
void sys_kill(struct sys *sys, pid_t pid);

/* For children: says what failed and makes the function return 1. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			sys_say("%s:%d: %s (errno %d)", __FILE__, __LINE__, #condition, errno);    \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

/* An ordinary user for tests of rights; made if it is not there. */
void sys_ordinary_user(uid_t *uid, gid_t *gid);

/* --- waiting --- */

/* Until the expression is true; fails the test after seconds (times 4 with sanitizers). */
#define WAIT_UNTIL(seconds, expression)                                                            \
	do {                                                                                       \
		uint64_t until_ = sys_deadline(seconds);                                           \
		while (!(expression)) {                                                            \
			if (sys_past(until_))                                                      \
				fail_msg("not within %d s: %s", (int)(seconds), #expression);      \
		}                                                                                  \
	} while (0)
/* The same as a value, for children and for tests that go on. */
#define BECOMES_TRUE(seconds, expression)                                                          \
	({                                                                                         \
		uint64_t until_ = sys_deadline(seconds);                                           \
		bool true_ = false;                                                                \
		while (!(true_ = !!(expression)) && !sys_past(until_))                             \
			;                                                                          \
		true_;                                                                             \
	})
uint64_t sys_deadline(double seconds);
bool sys_past(uint64_t deadline); /* naps for half a millisecond first */

#endif
