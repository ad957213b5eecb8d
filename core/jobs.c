#include "core/jobs.h"

#include "core/util.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

struct queue {
	struct job *head, **tail;
};

struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct queue waiting, finished;
	pthread_t threads[JOBS_THREADS];
	unsigned started, idle, waiting_count;
	bool stopping;
	int event_fd;
};

static void queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static void queue_push(struct queue *q, struct job *job)
{
	job->next = NULL;
	*q->tail = job;
	q->tail = &job->next;
}

static struct job *queue_pop(struct queue *q)
{
	struct job *job = q->head;
	if (job && !(q->head = job->next))
		q->tail = &q->head;
	return job;
}

static void announce(struct jobs *jobs)
{
	uint64_t one = 1;
	while (write(jobs->event_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void *thread_main(void *argument)
{
	struct jobs *jobs = argument;
	struct job *job;

	pthread_mutex_lock(&jobs->lock);
	for (;;) {
		while (!(job = queue_pop(&jobs->waiting)) && !jobs->stopping) {
			jobs->idle++;
			pthread_cond_wait(&jobs->work, &jobs->lock);
			jobs->idle--;
		}
		if (!job)
			break;
		jobs->waiting_count--;
		pthread_mutex_unlock(&jobs->lock);
		job->run(job);
		pthread_mutex_lock(&jobs->lock);
		queue_push(&jobs->finished, job);
		announce(jobs);
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

struct jobs *jobs_create(void)
{
	struct jobs *jobs = calloc(1, sizeof *jobs);

	if (!jobs)
		return NULL;
	jobs->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (jobs->event_fd < 0) {
		free(jobs);
		return NULL;
	}
	queue_init(&jobs->waiting);
	queue_init(&jobs->finished);
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->work, NULL);
	return jobs;
}

void jobs_destroy(struct jobs *jobs)
{
	if (!jobs)
		return;
	pthread_mutex_lock(&jobs->lock);
	jobs->stopping = true;
	pthread_cond_broadcast(&jobs->work);
	pthread_mutex_unlock(&jobs->lock);
	for (unsigned i = 0; i < jobs->started; i++)
		pthread_join(jobs->threads[i], NULL);
	jobs_dispatch(jobs);
	close(jobs->event_fd);
	pthread_cond_destroy(&jobs->work);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}

int jobs_poll_fd(struct jobs *jobs)
{
	return jobs->event_fd;
}

void jobs_dispatch(struct jobs *jobs)
{
	struct queue done;
	struct job *job;
	uint64_t count;

	if (read(jobs->event_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&jobs->lock);
	done.head = jobs->finished.head;
	queue_init(&jobs->finished);
	pthread_mutex_unlock(&jobs->lock);
	done.tail = NULL;
	while ((job = done.head)) {
		done.head = job->next;
		job->done(job);
	}
}

/* Signals belong to the main thread's signalfd; but SIGSYS says what this thread itself did, and
 * kills where it is blocked. */
static int start_thread(struct jobs *jobs)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	sigdelset(&all, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&jobs->threads[jobs->started], NULL, thread_main, jobs);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		jobs->started++;
	return -rc;
}

int jobs_submit(struct jobs *jobs, struct job *job)
{
	int rc = 0;

	pthread_mutex_lock(&jobs->lock);
	/* A thread that was signalled counts as idle until it runs: one for each job that waits. */
	if (jobs->waiting_count >= jobs->idle && jobs->started < JOBS_THREADS)
		rc = start_thread(jobs);
	if (rc == 0 || jobs->started) {
		jobs->waiting_count++;
		queue_push(&jobs->waiting, job);
		pthread_cond_signal(&jobs->work);
		rc = 0;
	}
	pthread_mutex_unlock(&jobs->lock);
	return rc;
}
