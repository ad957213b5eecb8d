/* A small pool of threads for work that can block (fdatasync, reading /proc). A job runs in a
 * thread and is finished on the main thread. Threads start with the first job and block all
 * signals. */
#ifndef MAPPINGFS_CORE_JOBS_H
#define MAPPINGFS_CORE_JOBS_H

#define JOBS_THREADS 4

struct job {
	void (*run)(struct job *job);  /* in a pool thread; touches nothing but the job */
	void (*done)(struct job *job); /* on the main thread; the job is the callee's again */
	struct job *next;              /* the pool's */
};

struct jobs;
struct jobs *jobs_create(void);
void jobs_destroy(struct jobs *jobs); /* waits for running jobs; calls done() of each */
int jobs_poll_fd(struct jobs *jobs);
void jobs_dispatch(struct jobs *jobs); /* calls done() of finished jobs */
int jobs_submit(struct jobs *jobs,
		struct job *job); /* 0 or -errno; the pool owns job until done() */

#endif
