/* The supervisor: holds everything that has to outlive a worker, and has a worker run. It never
 * waits for the mount itself: whatever could is done by a short-lived child (an errand).
 *
 * supervisor.c	       the table of state x event, and what each cell does
 * supervisor_loop.c   descriptors, signals and deadlines become events
 * supervisor_setup.c  everything that is made once, and its end
 * supervisor_report.c what the launching process, systemd and the log are told
 * supervisor_spawn.c  starting a worker with the descriptors of handover.h
 * supervisor_channel.c what a worker says: READY, HOLD, DROP
 * supervisor_bindings.c files that objects of a store were bound to
 * supervisor_errand.c binding the control socket, unmounting */
#ifndef MAPPINGFS_FS_SUPERVISOR_H
#define MAPPINGFS_FS_SUPERVISOR_H

#include "fs/handover.h"
#include "fs/mount.h"
#include "fs/options.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum supervisor_state {
	STATE_STARTING, /* no worker has answered yet */
	STATE_OFFERING, /* the mount answers; the control socket is being made in it */
	STATE_SERVING,
	STATE_LEAVING, /* unmounted here: the worker lets go of its socket, which pins the mount */
	STATE_LINGERING,  /* unmounted here, but others (containers, open files) still hold it */
	STATE_UNMOUNTING, /* told to end; an errand unmounts */
	STATE_STOPPING,   /* unmounted; the worker is to end */
	STATE_ENDED,
	STATE_COUNT
};

enum supervisor_event {
	EVENT_READY,     /* the worker answers */
	EVENT_DIED,      /* it ended, and another should run */
	EVENT_FATAL,     /* it ended and says that no other can do better */
	EVENT_UNMOUNTED, /* it ended, and the file system is gone for good */
	EVENT_OFFERED,   /* errand done: the control socket is there, or cannot be */
	EVENT_DETACHED,  /* errand done: the mount is taken down, or cannot be */
	EVENT_GONE,      /* the mount left our namespace */
	EVENT_STOP,      /* SIGTERM, SIGINT, SIGHUP */
	EVENT_RESTART,   /* the pause before the next worker is over */
	EVENT_LIMIT,     /* something took too long */
	EVENT_COUNT
};

struct supervisor {
	const struct options *options;
	struct mount mount;
	struct mount_backing backing;
	struct handover *shared; /* in state_fd */
	int state_fd, notify_fd, control_fd;
	int cgroup_fd;  /* top of the cgroup v2 tree; -1: jobs do without */
	int silent_fd;  /* the other end of control_fd, if that is a silent one */
	int exec_fd;    /* the worker's program, O_PATH */
	int channel_fd; /* to the worker; -1 without */
	int leader_fd;  /* pidfd of the worker's first thread; -1 where the kernel has none */
	int signal_fd, mountinfo_fd, epoll_fd;
	int report_fd;               /* to the process that launched us; -1: foreground */
	char control_path[PATH_MAX]; /* the socket outside the mount (rootless), or "" */

	/* Whose descriptors are held, by slot. The copy in `shared` is for workers: one gone mad
	 * may write there, and must not make us close something else. */
	struct bound {
		uint64_t id; /* 0: free */
		int fd;
	} * bound;
	unsigned bound_count;

	enum supervisor_state state;
	pid_t worker, binder, unmounter; /* 0: none */
	bool started, worker_ready, ever_ready;
	bool ended_cleanly; /* the last worker that ended */
	bool saving;        /* a worker runs only to save what another one left */
	unsigned failures;  /* workers in a row that ended before READY */
	char last_end[256]; /* how the last worker ended */
	uint64_t ready_at;  /* CLOCK_MONOTONIC, as the deadlines below (0: none) */
	uint64_t restart_at, limit_at;
	enum exit_code code;
};

/* Mounts, serves until the end, cleans up. report_fd (owned; -1 in the foreground) gets one byte,
 * the exit code, once the mount answers or cannot. */
enum exit_code supervisor_run(const struct options *options, int report_fd);

/* supervisor.c */
void supervisor_dispatch(struct supervisor *s, enum supervisor_event event);
/* supervisor_loop.c */
enum exit_code supervisor_loop_init(struct supervisor *s);
void supervisor_loop_finish(struct supervisor *s);
int supervisor_watch_channel(struct supervisor *s);
void supervisor_watch_leader(struct supervisor *s);
void supervisor_loop(struct supervisor *s);
/* supervisor_setup.c */
enum exit_code supervisor_setup(struct supervisor *s);
void supervisor_cleanup(struct supervisor *s);
/* Instead of the control socket, one that nobody can connect to and that wakes no worker: one that
 * is neither bound nor listens would look hung up, always. 0 or -errno. */
int supervisor_silence_control(struct supervisor *s);
/* supervisor_report.c: to the launching process, systemd and the log */
void supervisor_report_ready(struct supervisor *s);
void supervisor_report_stopping(struct supervisor *s);
void supervisor_report_end(struct supervisor *s);
/* supervisor_spawn.c */
int supervisor_find_worker(void); /* its program, O_PATH; or -errno, said on the log */
int supervisor_start_worker(struct supervisor *s); /* 0 or -errno */
/* Has a worker end what jobs are left, when nothing of the mount is. Waits for it. */
void supervisor_end_jobs(struct supervisor *s);
void supervisor_worker_ended(struct supervisor *s,
			     int status); /* closes its channel, notes how it ended */
/* supervisor_channel.c: all that is waiting. EOF and nonsense are survived. */
void supervisor_receive(struct supervisor *s);
void supervisor_close_channel(struct supervisor *s);
/* Keeps a duplicate of a bound file for this worker and the next ones. 0 or a positive errno. */
int supervisor_hold(struct supervisor *s, uint64_t id, int fd);
/* supervisor_bindings.c: those of a store, before the first worker. Takes a few seconds at most for
 * each file system that does not answer. */
void supervisor_restore_bindings(struct supervisor *s);
/* supervisor_errand.c: pid or -errno */
pid_t supervisor_errand_bind(struct supervisor *s);
pid_t supervisor_errand_unmount(struct supervisor *s, bool force);

#endif
