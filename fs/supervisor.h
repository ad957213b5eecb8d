/* The supervisor: holds everything that has to outlive a worker, and has a worker run. It never
 * waits for the mount itself: whatever could is done by a short-lived child (an errand).
 *
 * It may die, too. All it knows is one structure in a memory file (the record), and all it holds
 * are descriptors whose numbers stand there: whoever has both takes its place (adopts).
 *
 * supervisor.c	       the table of state x event, and what each cell does
 * supervisor_loop.c   descriptors, signals and deadlines become events
 * supervisor_setup.c  everything that is made once, and its end
 * supervisor_report.c what the launching process, systemd and the log are told
 * supervisor_spawn.c  starting a worker with the descriptors of handover.h
 * supervisor_child.c  the processes it starts, which may outlive it
 * supervisor_channel.c what a worker says: READY, HOLD, DROP
 * supervisor_bindings.c files that objects of a store were bound to
 * supervisor_errand.c binding the control socket, unmounting
 * supervisor_record.c the record, and which descriptors belong to it
 * supervisor_standby.c a process that waits for our death
 * supervisor_adopt.c  going on where a former supervisor stopped
 * supervisor_upgrade.c another program in place of the running one
 * supervisor_fdstore.c systemd's store of descriptors
 * supervisor_layout.c whether two programs can use the same memory */
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
	EVENT_UPGRADE,   /* asked for */
	EVENT_CHECKED,   /* errand done: the program on disk can go on here */
	EVENT_ADOPTED,   /* another supervisor stopped here, perhaps in the middle of something */
	EVENT_LIMIT,     /* something took too long */
	EVENT_COUNT
};

/* What a supervisor starts. */
enum child_role { CHILD_WORKER, CHILD_BINDER, CHILD_UNMOUNTER, CHILD_CHECKER, CHILD_COUNT };

struct supervisor_child {
	uint64_t word;     /* the supervisor's generation << 32 | pid; pid 0: none */
	uint64_t noted_at; /* CLOCK_BOOTTIME: it ran then */
	pid_t parent;      /* only this process can be told how it ended */
	int fd;            /* pidfd, or -1 */
};

/* From the wish to the first answer of the new worker. */
enum upgrade_phase {
	PHASE_NONE,
	PHASE_CHECKING,  /* an errand asks the program on disk whether it can go on here */
	PHASE_ENTERING,  /* exec(2) */
	PHASE_REPLACING, /* the worker of the former program ends, that of the new one begins */
};

struct supervisor_upgrade {
	enum upgrade_phase phase;
	uint32_t number;    /* of the newest */
	int words_fd;       /* memory file: what the check has to say */
	int former_exec_fd; /* PHASE_REPLACING: the worker's former program */
	uint64_t begun_at;  /* PHASE_REPLACING: CLOCK_MONOTONIC */
};

#define RECORD_MAGIC   0x5253464dU /* "MFSR" */
#define RECORD_VERSION 1U

/* The record: shared by the supervisor and its standby, kept over exec(2) and in systemd's store.
 * No pointers but `shared`. Workers do not get it: one gone mad may write to what it shares with
 * us, and must not make us close something else. A change may stop between any two instructions. */
struct supervisor {
	struct {
		uint32_t magic, version;
		uint64_t layout; /* record_layout() */
	} header;
	bool foreground, debug;
	char program[PATH_MAX]; /* our own, on disk */
	struct mount mount;
	struct mount_backing backing;
	struct handover *shared; /* in state_fd; of the process that runs */
	int record_fd;           /* this structure */
	int state_fd, notify_fd, control_fd;
	int cgroup_fd;  /* top of the cgroup v2 tree; -1: jobs do without */
	int silent_fd;  /* the other end of control_fd, if that is a silent one */
	int exec_fd;    /* the worker's program, O_PATH */
	int channel_fd; /* to the worker; -1 without */
	int signal_fd, mountinfo_fd, epoll_fd; /* of the process that runs */
	int self_fd;                           /* pidfd of it, for the standby */
	int report_fd;               /* to the process that launched us; -1: foreground, or told */
	char control_path[PATH_MAX]; /* the socket outside the mount (rootless), or "" */

	uint32_t generation; /* counts takeovers; of the words of children */
	pid_t standby;       /* who may take over; 0: nobody */
	bool fdstore;        /* systemd keeps our descriptors, too; there is no standby */
	bool reported;       /* that it is ready */
	bool stop_asked;     /* by a signal, and not handled to its end */
	bool finished;       /* nothing is left to take over */
	struct supervisor_child children[CHILD_COUNT];
	struct supervisor_upgrade upgrade;

	enum supervisor_state state;
	bool started, worker_ready, ever_ready;
	bool ended_cleanly; /* the last worker that ended */
	bool saving;        /* a worker runs only to save what another one left */
	unsigned failures;  /* workers in a row that ended before READY */
	char last_end[256]; /* how the last worker ended */
	uint64_t ready_at;  /* CLOCK_MONOTONIC, as the deadlines below (0: none) */
	uint64_t restart_at, limit_at;
	enum exit_code code;

	/* Whose descriptors are held, by slot. */
	unsigned bound_count;
	struct bound {
		uint64_t id; /* 0: free */
		int fd;
	} bound[HANDOVER_MAX_BOUND];
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
/* Its pidfd tells of its end: of a worker, and of what a former supervisor started. */
void supervisor_watch_child(struct supervisor *s, enum child_role role);
/* How it ended only its parent was told. */
void supervisor_child_gone(struct supervisor *s, enum child_role role);
void supervisor_check_mount(struct supervisor *s); /* has it left our namespace? */
/* Has a standby made. True: the supervisor before us was killed, and we are the standby. */
bool supervisor_stand_by(struct supervisor *s);
void supervisor_loop(struct supervisor *s);
/* supervisor.c: after the loop. Destroys s. */
enum exit_code supervisor_end(struct supervisor *s);
/* supervisor_setup.c */
enum exit_code supervisor_setup(struct supervisor *s, const struct options *options);
void supervisor_cleanup(struct supervisor *s);
void supervisor_raise_fd_limit(void);
/* Instead of the control socket, one that nobody can connect to and that wakes no worker: one that
 * is neither bound nor listens would look hung up, always. 0 or -errno. */
int supervisor_silence_control(struct supervisor *s);
/* supervisor_report.c: to the launching process, systemd and the log */
void supervisor_report_ready(struct supervisor *s);
void supervisor_report_successor(const struct supervisor *s);
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
/* What the worker said may have been lost with a former supervisor. */
void supervisor_ask_again(struct supervisor *s);
/* supervisor_child.c */
/* As fork(2), or -errno. Somebody knows of the child, or it ends before it does anything. */
pid_t supervisor_fork(struct supervisor *s, enum child_role role);
pid_t supervisor_child(const struct supervisor *s, enum child_role role); /* 0: none */
bool supervisor_is_parent(const struct supervisor *s, enum child_role role);
void supervisor_watch_leader(struct supervisor *s); /* of the worker */
void supervisor_signal(struct supervisor *s, enum child_role role, int signal);
void supervisor_forget_child(struct supervisor *s, enum child_role role);
/* Shuts out children of a former supervisor that nobody knows of. */
void supervisor_begin_generation(struct supervisor *s);
/* Watches one that a former supervisor started. False: there is none, or not any more. */
bool supervisor_adopt_child(struct supervisor *s, enum child_role role);
/* Kills what is left of it, and waits. */
void supervisor_end_child(struct supervisor *s, enum child_role role);
/* supervisor_record.c */
struct supervisor *supervisor_record_create(void); /* NULL with errno */
void supervisor_record_destroy(struct supervisor *s);
uint64_t supervisor_record_layout(void);
/* 0 or -errno; s->shared is of this process then. */
int supervisor_map_shared(struct supervisor *s);
void supervisor_close(int *fd); /* -1 first: who adopts must not close a number twice */
/* Closes what the record does not name: it was in the hands of a former supervisor. */
void supervisor_sweep(struct supervisor *s);
/* Over exec(2), or not. */
void supervisor_keep_fds(struct supervisor *s, bool keep);
/* NULL: that is not one we could use. Checks everything but what is in it. */
struct supervisor *supervisor_record_map(int fd);
#define WORDS_OF_CONSENT "can take over" /* what a program says that can */
/* supervisor_layout.c */
/* What a worker's program says of itself, a line. 0 or -errno. */
int supervisor_worker_layout(int program, char *out, size_t size);
/* For a new program: 0 if it can take over, else says why not on standard output. */
int supervisor_can_adopt(const char *record_layout, const char *worker_layout);
/* supervisor_upgrade.c */
void supervisor_upgrade_ask(struct supervisor *s);
enum supervisor_state supervisor_upgrade_check(struct supervisor *s);
enum supervisor_state supervisor_upgrade_enter(struct supervisor *s);
void supervisor_upgrade_checked(struct supervisor *s, int status);
/* After adoption: what became of an upgrade that was under way. */
void supervisor_upgrade_resume(struct supervisor *s);
void supervisor_upgrade_ready(struct supervisor *s); /* a worker is */
/* A worker ended before it was ready. True: the former program is back in its place. */
bool supervisor_upgrade_reverts(struct supervisor *s, bool fatal);
/* In the new program, by exec(2) with the record's descriptor. */
enum exit_code supervisor_reenter(int record_fd);
/* supervisor_report.c */
void supervisor_note_version(struct supervisor *s); /* for the status */
/* supervisor_fdstore.c: does nothing without a store */
void supervisor_fdstore_begin(struct supervisor *s);
void supervisor_fdstore_control(struct supervisor *s);         /* it is another one, or closed */
void supervisor_fdstore_bound(struct supervisor *s, int slot); /* its fd came, or went (-1) */
void supervisor_fdstore_end(struct supervisor *s);
/* What a former service left there, with the numbers it has here; NULL: nothing of use. */
struct supervisor *supervisor_fdstore_find(void);
enum exit_code supervisor_begin_again(struct supervisor *s, const struct options *options);
/* supervisor_standby.c */
/* True in the child, when its turn has come: it is the supervisor then. */
bool supervisor_standby_start(struct supervisor *s);
bool supervisor_standby_ended(struct supervisor *s, pid_t pid);
void supervisor_standby_finish(struct supervisor *s);
/* supervisor_adopt.c. killed: of the former supervisor nothing is left but what it held. */
enum exit_code supervisor_adopt(struct supervisor *s, bool killed);
/* Keeps a duplicate of a bound file for this worker and the next ones. 0 or a positive errno. */
int supervisor_hold(struct supervisor *s, uint64_t id, int fd);
/* supervisor_bindings.c: those of a store, before the first worker. Takes a few seconds at most for
 * each file system that does not answer. */
void supervisor_restore_bindings(struct supervisor *s);
/* supervisor_errand.c: pid or -errno */
pid_t supervisor_errand_bind(struct supervisor *s);
pid_t supervisor_errand_unmount(struct supervisor *s, bool force);

#endif
