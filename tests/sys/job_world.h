/* For the tests of jobs: processes in a cgroup of the test's own, so that what a job leaves there
 * is seen, and members by cgroup or by pidfd alike. */
#ifndef MAPPINGFS_TESTS_SYS_JOB_WORLD_H
#define MAPPINGFS_TESTS_SYS_JOB_WORLD_H

#include <signal.h>

#include "tests/sys/waitables.h"

#define KILLED (128 + SIGKILL) /* sys_wait() of a process that was */

/* Mounts with jobs=`members` ("cgroup" or "pidfd") and makes the test's cgroup, if there can be
 * one; with "cgroup" and none the test is skipped. */
void job_world_begin(struct sys *sys, const char *members);
/* Unmounts if that was not done. Fails if a cgroup is left in the test's, or a process of a test.
 */
void job_world_end(struct sys *sys);
unsigned cgroups_left(void);
bool is_in_job_cgroup(pid_t pid);  /* a cgroup below the test's, and named as ours */
bool job_cgroups_are(uid_t owner); /* all of those left */
void enter_test_cgroup(pid_t pid); /* 0: the caller */

/* Processes in the test's cgroup. */
pid_t start_sleeper(struct sys *sys); /* pauses until it is killed */
pid_t start_sleeper_as(struct sys *sys, uid_t uid, gid_t gid);
pid_t start_polite(struct sys *sys, int status); /* exits with it on SIGTERM and SIGUSR1 */
pid_t start_family(struct sys *sys, pid_t *children, int count); /* pauses, and so do they */
void signal_one(pid_t pid, int number); /* fails the test unless it is one process */
bool runs(pid_t pid);                   /* not a zombie either */

const char *make_job(struct sys *sys, const char *name, uint32_t flags);
int add(const char *path, pid_t pid); /* bytes taken or -errno */
/* Writes to an object as somebody else: 0 or -errno. */
int words_as(struct sys *sys, uid_t uid, gid_t gid, const char *path, const char *text);
void wait_for_state(const char *path, const char *expected);

/* Two rows: each test by cgroup and by pidfd. */
#define JOB_TEST(test)                                                                             \
	static void test##_by_cgroup(void **state)                                                 \
	{                                                                                          \
		job_world_begin(*state, "cgroup");                                                 \
		test(*state);                                                                      \
		job_world_end(*state);                                                             \
	}                                                                                          \
	static void test##_by_pidfd(void **state)                                                  \
	{                                                                                          \
		job_world_begin(*state, "pidfd");                                                  \
		test(*state);                                                                      \
		job_world_end(*state);                                                             \
	}
#define JOB_ROWS(test) SYS_TEST_BOTH_MODES(test##_by_cgroup), SYS_TEST_BOTH_MODES(test##_by_pidfd)
#define CGROUP_TEST(test)                                                                          \
	static void test##_by_cgroup(void **state)                                                 \
	{                                                                                          \
		job_world_begin(*state, "cgroup");                                                 \
		test(*state);                                                                      \
		job_world_end(*state);                                                             \
	}
#define PIDFD_TEST(test)                                                                           \
	static void test##_by_pidfd(void **state)                                                  \
	{                                                                                          \
		job_world_begin(*state, "pidfd");                                                  \
		test(*state);                                                                      \
		job_world_end(*state);                                                             \
	}

#endif
