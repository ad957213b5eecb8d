#include "fs/supervisor.h"

#include "core/log.h"
#include "core/util.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#define MILLISECOND       1000000ULL
#define SECOND            (1000 * MILLISECOND)
#define FAILURES_AT_ONCE  3             /* restarts without a pause */
#define FAILURES_GIVE_UP  20            /* in a row, before READY */
#define FAILURES_PATIENCE (30 * SECOND) /* and for so long, if a worker ever answered */
#define LONGEST_PAUSE     (100 * MILLISECOND)
#define CONTROL_BACKLOG   128
#define UNMOUNT_LIMIT     (10 * SECOND)
#define WORKER_LIMIT      SECOND

typedef enum supervisor_state (*action)(struct supervisor *s);

static uint64_t now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* --- the worker runs --- */

static uint64_t pause_before_restart(unsigned failures)
{
	unsigned doublings;

	if (failures <= FAILURES_AT_ONCE)
		return 0;
	doublings = failures - FAILURES_AT_ONCE - 1;
	return doublings >= 7 ? LONGEST_PAUSE : MILLISECOND << doublings;
}

static enum supervisor_state start(struct supervisor *s)
{
	int rc;

	s->restart_at = 0;
	rc = supervisor_start_worker(s);
	if (rc) {
		log_error("starting a worker: %s", strerror(-rc));
		s->restart_at = now() + LONGEST_PAUSE;
	}
	return s->state;
}

static enum supervisor_state give_up(struct supervisor *s);

static enum supervisor_state restart(struct supervisor *s)
{
	bool hopeless = s->failures >= FAILURES_GIVE_UP &&
			(!s->ever_ready || now() - s->ready_at > FAILURES_PATIENCE);
	uint64_t pause = pause_before_restart(s->failures);

	if (hopeless && s->state < STATE_LEAVING)
		return give_up(s);
	if (hopeless)
		return STATE_ENDED;
	log_warn("%s; starting another", s->last_end);
	if (!pause)
		return start(s);
	s->restart_at = now() + pause;
	return s->state;
}

/* --- the mount is offered --- */

static enum supervisor_state serve(struct supervisor *s)
{
	/* Why it is not bound has been said. The next worker gets a socket that keeps quiet. */
	if (listen(s->control_fd, CONTROL_BACKLOG) && !supervisor_silence_control(s))
		supervisor_signal(s, CHILD_WORKER, SIGTERM);
	if (!s->reported)
		supervisor_report_ready(s);
	return STATE_SERVING;
}

static enum supervisor_state offer(struct supervisor *s)
{
	pid_t pid = supervisor_errand_bind(s);

	if (pid < 0) {
		log_warn("no control socket: %s", strerror(-pid));
		return serve(s);
	}
	return STATE_OFFERING;
}

/* --- told to end --- */

static enum supervisor_state stop_worker(struct supervisor *s)
{
	s->limit_at = 0;
	s->restart_at = 0;
	/* Ours first: the last one to let go of the socket ends the file system, and that may have
	 * to wait for a worker. */
	supervisor_close(&s->control_fd);
	supervisor_fdstore_control(s);
	if (!supervisor_child(s, CHILD_WORKER))
		return STATE_ENDED;
	supervisor_signal(s, CHILD_WORKER, SIGTERM);
	s->limit_at = now() + WORKER_LIMIT;
	return STATE_STOPPING;
}

static enum supervisor_state unmount_with(struct supervisor *s, bool force)
{
	pid_t pid;

	supervisor_signal(s, CHILD_BINDER, SIGKILL);
	supervisor_signal(s, CHILD_UNMOUNTER, SIGKILL);
	pid = supervisor_errand_unmount(s, force);
	if (pid < 0) {
		log_error("unmounting: %s", strerror(-pid));
		return stop_worker(s); /* cleaning up tries once more */
	}
	s->limit_at = now() + UNMOUNT_LIMIT;
	return STATE_UNMOUNTING;
}

static enum supervisor_state unmount(struct supervisor *s)
{
	log_info("%s: ending", s->mount.point);
	supervisor_report_stopping(s);
	return unmount_with(s, !s->ever_ready);
}

static enum supervisor_state unmount_by_force(struct supervisor *s)
{
	return unmount_with(s, true);
}

/* Killing is not enough for a worker that waits for itself, as the last one to let go of the file
 * system does: closing /dev/fuse ends what it waits for. */
static enum supervisor_state kill_worker(struct supervisor *s)
{
	s->limit_at = 0;
	log_warn("the worker does not end by itself: killing it");
	supervisor_signal(s, CHILD_WORKER, SIGKILL);
	mount_finish(&s->mount);
	return s->state;
}

static enum supervisor_state give_up(struct supervisor *s)
{
	s->code = EXIT_CODE_WORKER;
	log_error("%s: giving up: %s", s->mount.point, s->last_end);
	supervisor_report_stopping(s);
	return unmount_with(s, true);
}

static enum supervisor_state end(struct supervisor *s)
{
	if (!s->ever_ready && !s->code) {
		log_error("%s: unmounted before it answered", s->mount.point);
		s->code = EXIT_CODE_MOUNT;
	}
	return STATE_ENDED;
}

/* --- unmounted by somebody else --- */

/* Nobody can use it any more, but a persistent store is owed what a worker that died knew. */
static enum supervisor_state unmounted(struct supervisor *s)
{
	if (s->ended_cleanly || s->saving || !s->ever_ready ||
	    !(s->shared->config.flags & HANDOVER_STORE) || supervisor_silence_control(s))
		return end(s);
	log_info("%s; another one saves what it knew", s->last_end);
	s->saving = true;
	s->limit_at = 0;
	start(s);
	return STATE_LINGERING;
}

/* A socket outside the mount (rootless) does not pin it. */
static bool control_pins_mount(const struct supervisor *s)
{
	return !s->control_path[0];
}

/* The file system lives on for those who still hold it, without a control socket. */
static enum supervisor_state linger(struct supervisor *s)
{
	s->limit_at = 0;
	if (mount_is_gone(&s->mount))
		return unmounted(s);
	if (control_pins_mount(s) && supervisor_silence_control(s))
		return unmounted(s);
	log_info("%s: unmounted here, still in use elsewhere", s->mount.point);
	start(s);
	return STATE_LINGERING;
}

static enum supervisor_state let_go(struct supervisor *s)
{
	log_info("%s: unmounted", s->mount.point);
	s->restart_at = 0;
	supervisor_signal(s, CHILD_BINDER, SIGKILL);
	if (!supervisor_child(s, CHILD_WORKER))
		return linger(s);
	if (!control_pins_mount(s))
		return STATE_LINGERING; /* the worker notices the end by itself */
	supervisor_close(&s->control_fd);
	supervisor_fdstore_control(s);
	supervisor_signal(s, CHILD_WORKER, SIGTERM);
	s->limit_at = now() + WORKER_LIMIT;
	return STATE_LEAVING;
}

static enum supervisor_state kill_late(struct supervisor *s)
{
	s->limit_at = 0;
	supervisor_signal(s, CHILD_WORKER, SIGKILL);
	return s->state;
}

/* --- in the place of a supervisor that was killed --- */

/* Between a worker's end and the next one's beginning, perhaps. */
static enum supervisor_state resume(struct supervisor *s)
{
	if (supervisor_child(s, CHILD_WORKER) || s->restart_at)
		return s->state;
	return start(s);
}

/* It may have heard that the worker is ready, and no more. */
static enum supervisor_state resume_starting(struct supervisor *s)
{
	if (!s->worker_ready)
		return resume(s);
	return supervisor_child(s, CHILD_BINDER) ? STATE_OFFERING : offer(s);
}

static enum supervisor_state resume_offering(struct supervisor *s)
{
	resume(s);
	return supervisor_child(s, CHILD_BINDER) ? s->state : offer(s);
}

static enum supervisor_state resume_serving(struct supervisor *s)
{
	resume(s);
	return serve(s);
}

static enum supervisor_state resume_lingering(struct supervisor *s)
{
	return supervisor_child(s, CHILD_WORKER) || s->restart_at ? s->state : linger(s);
}

static enum supervisor_state resume_unmounting(struct supervisor *s)
{
	resume(s);
	return supervisor_child(s, CHILD_UNMOUNTER) ? s->state : unmount_with(s, !s->ever_ready);
}

/* What happens in each state at each event; an empty cell is nothing. */
/* clang-format off */
static const action table[STATE_COUNT][EVENT_COUNT] = {
	[STATE_STARTING] = {
		[EVENT_READY] = offer,
		[EVENT_DIED] = restart,
		[EVENT_FATAL] = give_up,
		[EVENT_UNMOUNTED] = unmounted,
		[EVENT_GONE] = let_go,
		[EVENT_STOP] = unmount,
		[EVENT_RESTART] = start,
		[EVENT_ADOPTED] = resume_starting,
	},
	[STATE_OFFERING] = {
		[EVENT_OFFERED] = serve,
		[EVENT_DIED] = restart,
		[EVENT_FATAL] = give_up,
		[EVENT_UNMOUNTED] = unmounted,
		[EVENT_GONE] = let_go,
		[EVENT_STOP] = unmount,
		[EVENT_RESTART] = start,
		[EVENT_ADOPTED] = resume_offering,
	},
	[STATE_SERVING] = {
		[EVENT_DIED] = restart,
		[EVENT_FATAL] = give_up,
		[EVENT_UNMOUNTED] = unmounted,
		[EVENT_GONE] = let_go,
		[EVENT_STOP] = unmount,
		[EVENT_RESTART] = start,
		[EVENT_LIMIT] = kill_late,
		[EVENT_UPGRADE] = supervisor_upgrade_check,
		[EVENT_CHECKED] = supervisor_upgrade_enter,
		[EVENT_ADOPTED] = resume_serving,
	},
	[STATE_LEAVING] = {
		[EVENT_DIED] = linger,
		[EVENT_FATAL] = end,
		[EVENT_UNMOUNTED] = unmounted,
		[EVENT_STOP] = stop_worker,
		[EVENT_LIMIT] = kill_late,
		[EVENT_ADOPTED] = let_go,
	},
	[STATE_LINGERING] = {
		[EVENT_DIED] = restart,
		[EVENT_FATAL] = end,
		[EVENT_UNMOUNTED] = unmounted,
		[EVENT_STOP] = stop_worker,
		[EVENT_RESTART] = start,
		[EVENT_ADOPTED] = resume_lingering,
	},
	[STATE_UNMOUNTING] = {
		[EVENT_DIED] = restart, /* unmounting may have to write through it */
		[EVENT_FATAL] = unmount_by_force,
		[EVENT_DETACHED] = stop_worker,
		[EVENT_STOP] = unmount_by_force,
		[EVENT_RESTART] = start,
		[EVENT_LIMIT] = unmount_by_force,
		[EVENT_ADOPTED] = resume_unmounting,
	},
	[STATE_STOPPING] = {
		[EVENT_DIED] = end,
		[EVENT_FATAL] = end,
		[EVENT_UNMOUNTED] = unmounted,
		[EVENT_STOP] = kill_worker,
		[EVENT_LIMIT] = kill_worker,
		[EVENT_ADOPTED] = stop_worker,
	},
};
/* clang-format on */

void supervisor_dispatch(struct supervisor *s, enum supervisor_event event)
{
	action act;

	if (event == EVENT_READY) {
		s->worker_ready = s->ever_ready = true;
		s->ready_at = now();
		s->failures = 0;
		supervisor_upgrade_ready(s);
	}
	act = table[s->state][event];
	if (act)
		s->state = act(s);
}

enum exit_code supervisor_end(struct supervisor *s)
{
	enum exit_code code;

	supervisor_cleanup(s);
	supervisor_standby_finish(s);
	supervisor_report_end(s);
	code = s->code;
	supervisor_record_destroy(s);
	return code;
}

enum exit_code supervisor_run(const struct options *options, int report_fd)
{
	struct supervisor *s = options->foreground ? supervisor_fdstore_find() : NULL;

	if (s)
		return supervisor_begin_again(s, options);
	s = supervisor_record_create();
	if (!s) {
		log_error("preparing to survive: %m");
		return EXIT_CODE_MOUNT;
	}
	s->report_fd = report_fd;
	s->code = supervisor_setup(s, options);
	if (!s->code) {
		supervisor_fdstore_begin(s);
		s->restart_at = now(); /* the first one is due, once there is a standby */
		supervisor_loop(s);
	}
	return supervisor_end(s);
}
