/* Getting rid of descriptors that a peer sent. close(2) calls the flush of the file's owner, which
 * for a FUSE file (one of ours, even) is a request to its server: it can take forever, so it
 * happens in a job. One job at a time for each kind, so that servers which never answer hold one
 * thread of the pool and not all, and ordinary files do not queue behind them. */
#include "fs/control_internal.h"

#include "core/core.h"
#include "core/util.h"

static void start(struct control_closer *closer);

static void run(struct job *job)
{
	struct control_closer *closer = CONTAINER_OF(job, struct control_closer, job);

	for (size_t i = 0; i < closer->closing_count; i++)
		close(closer->closing[i].fd);
}

static void done(struct job *job)
{
	struct control_closer *closer = CONTAINER_OF(job, struct control_closer, job);

	free(closer->closing);
	closer->closing = NULL;
	closer->closing_count = 0;
	closer->running = false;
	if (!closer->control->destroyed)
		start(closer);
	control_unref(closer->control);
}

static void start(struct control_closer *closer)
{
	if (closer->running || !closer->waiting_count)
		return;
	closer->closing = closer->waiting;
	closer->closing_count = closer->waiting_count;
	closer->waiting = NULL;
	closer->waiting_count = 0;
	closer->running = true;
	control_ref(closer->control);
	if (jobs_submit(core_jobs(closer->control->config.core), &closer->job)) {
		/* No thread: they wait on, for the next one to be discarded. */
		closer->waiting = closer->closing;
		closer->waiting_count = closer->closing_count;
		closer->closing = NULL;
		closer->closing_count = 0;
		closer->running = false;
		control_unref(closer->control);
	}
}

void control_close_init(struct control *control)
{
	for (size_t i = 0; i < CLOSER_COUNT; i++) {
		struct control_closer *closer = &control->closers[i];

		closer->control = control;
		closer->job = (struct job){.run = run, .done = done};
	}
}

/* What is left is closed here only where that cannot hang; the process ends soon in any case. */
void control_close_finish(struct control *control)
{
	for (size_t kind = 0; kind < CLOSER_COUNT; kind++) {
		struct control_closer *closer = &control->closers[kind];

		for (size_t i = 0; kind == CLOSER_ORDINARY && i < closer->waiting_count; i++)
			close(closer->waiting[i].fd);
		free(closer->waiting);
		closer->waiting = NULL;
		closer->waiting_count = 0;
	}
}

void control_discard(struct control *control, int fd, uid_t uid)
{
	struct control_closer *closer;
	struct control_unclosed *grown;

	if (control_fd_is_path(fd)) { /* no flush; what dropping an inode sends is not waited for */
		close(fd);
		return;
	}
	closer = &control->closers[control_fd_is_fuse(fd) ? CLOSER_SUSPECT : CLOSER_ORDINARY];
	grown = reallocarray(closer->waiting, closer->waiting_count + 1, sizeof *grown);
	if (!grown) {
		close(fd);
		return;
	}
	closer->waiting = grown;
	grown[closer->waiting_count++] = (struct control_unclosed){.fd = fd, .uid = uid};
	start(closer);
}

bool control_may_take_fds(const struct control *control, uid_t uid)
{
	size_t count = 0;

	for (size_t kind = 0; kind < CLOSER_COUNT; kind++) {
		const struct control_closer *closer = &control->closers[kind];

		for (size_t i = 0; i < closer->waiting_count; i++)
			count += closer->waiting[i].uid == uid;
		for (size_t i = 0; i < closer->closing_count; i++)
			count += closer->closing[i].uid == uid;
	}
	return count < CONTROL_MAX_UNCLOSED;
}
