/* Processes and cgroups for unit tests of jobs. Nothing here asserts: it is used in forked workers,
 * too. */
#ifndef MAPPINGFS_TESTS_UNIT_CORE_JOB_H
#define MAPPINGFS_TESTS_UNIT_CORE_JOB_H

#include "tests/unit/core_waits.h"

/* A cgroup of the test's own. False: there cannot be one. fixture_cgroup_fd is set by this. */
bool job_group_make(void);
void job_use_cgroups(bool use); /* of fixtures to come */
void job_group_remove(void);
bool job_group_write(const char *file, const char *text);
/* Moves a process out of a job's cgroup and removes what is empty then. */
bool job_group_take_back(pid_t pid);
unsigned job_group_count(const struct fixture *f); /* cgroups of its jobs in it */
bool in_job_cgroup(pid_t pid);

/* Sleeps in the test's cgroup, as uid; ends by itself after 20 s. Has no descriptors of ours. Never
 * fails: aborts. */
pid_t job_process(uid_t uid);
bool job_process_runs(pid_t pid);
void job_process_kill(pid_t pid); /* aborts unless it is a number of one process */
void job_process_end(pid_t pid);  /* and reaps if it is ours */

/* "add PID" or any words, as uid, which the test's process says: bytes taken or -errno. */
int job_say(struct fixture *f, uint64_t node, uint64_t handle, uid_t uid, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Serves until the object's state is this; false: not within 10 s. */
bool job_becomes(struct fixture *f, uint64_t node, const char *state);

#endif
