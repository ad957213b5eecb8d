/* What the supervisor hands to every worker it starts: descriptors at fixed numbers, and one shared
 * structure at the beginning of the state area (a memfd both map).
 *
 * Ownership: the supervisor holds every descriptor named here for the life of the mount; a worker
 * gets duplicates by inheritance and may close its own freely. `config` is written once, before the
 * first worker starts. `live` is written by the side named beside each field.
 *
 * The supervisor includes this header and nothing of core or libfuse. */
#ifndef MAPPINGFS_FS_HANDOVER_H
#define MAPPINGFS_FS_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

#define HANDOVER_MAGIC   0x3153464dU /* "MFS1" */
#define HANDOVER_VERSION 2U

/* Descriptor numbers in a worker after exec. */
enum {
	HANDOVER_FD_FUSE = 3, /* /dev/fuse, O_NONBLOCK */
	HANDOVER_FD_STATE =
	    4, /* memfd: struct handover, then core's state at HANDOVER_STATE_OFFSET */
	HANDOVER_FD_TREE =
	    5, /* directory (opened O_RDONLY|O_DIRECTORY): root of the backing area */
	HANDOVER_FD_NOTIFY = 6,  /* inotify instance, O_NONBLOCK; see HANDOVER_NO_NOTIFY */
	HANDOVER_FD_CONTROL = 7, /* SOCK_SEQPACKET listening socket of `.control`, O_NONBLOCK */
	HANDOVER_FD_CHANNEL =
	    8, /* SOCK_SEQPACKET pair end, to the supervisor (struct channel_message) */
	HANDOVER_FD_CGROUP = 9,       /* top of the cgroup v2 tree; only with HANDOVER_HAS_CGROUP */
	HANDOVER_FD_END = 10,         /* none from here to the next; a worker closes what is */
	HANDOVER_FD_FIRST_BOUND = 16, /* descriptors of bound external files are at or above this */
};

#define HANDOVER_STATE_OFFSET (2ULL << 20) /* core's own state begins here in the memfd */
#define HANDOVER_MAX_BOUND    16384

/* What members of jobs are known by. */
enum jobs_mode { JOBS_MODE_AUTO, JOBS_MODE_CGROUP, JOBS_MODE_PIDFD };
/* Whether a worker gives up what it does not need. */
enum confine_mode { CONFINE_AUTO, CONFINE_OFF, CONFINE_STRICT };
enum data_mode { DATA_MODE_AUTO, DATA_MODE_PASSTHROUGH, DATA_MODE_CACHED };
/* As enum core_lifetime. */
enum default_lifetime {
	DEFAULT_LIFETIME_PERMANENT,
	DEFAULT_LIFETIME_TEMPORARY,
	DEFAULT_LIFETIME_HANDLE,
};

enum {
	HANDOVER_ALLOW_OTHER = 1 << 0,
	HANDOVER_DEBUG = 1 << 1,      /* -d */
	HANDOVER_FOREGROUND = 1 << 2, /* log to standard error */
	HANDOVER_STORE = 1 << 3,      /* tree is a persistent directory given by store=DIR */
	HANDOVER_ROOTLESS = 1 << 4,   /* mounted by fusermount3; no passthrough */
	HANDOVER_READ_ONLY = 1 << 5,  /* mounted ro */
	HANDOVER_HAS_CGROUP = 1 << 6,
	HANDOVER_NO_NOTIFY = 1 << 7, /* there was no inotify instance to be had */
};

enum upgrade_state {
	UPGRADE_NONE,
	UPGRADE_RUNNING,
	UPGRADE_DONE,
	UPGRADE_REFUSED, /* nothing was touched */
	UPGRADE_FAILED   /* the former program goes on */
};

/* Exit statuses of a worker that mean something to the supervisor; any other end is a death and
 * another worker is started. */
enum {
	WORKER_EXIT_UNMOUNTED = 0, /* /dev/fuse said ENODEV: the file system is gone */
	WORKER_EXIT_FATAL = 3,     /* cannot ever work here; reason is in live.fatal_reason */
};

struct handover {
	uint32_t magic;
	uint32_t version;
	struct {
		uint32_t data_mode; /* enum data_mode, as asked for */
		uint32_t lifetime;  /* enum default_lifetime */
		uint32_t jobs;      /* enum jobs_mode */
		uint32_t confine;   /* enum confine_mode */
		uint32_t flags;     /* HANDOVER_* */
		uint32_t poll_usec; /* longest busy wait for the next request; 0: never */
		uint64_t user_objects, user_size; /* of one user; 0: no limit */
		uint32_t user_waits, user_connections;
		uint64_t limit;     /* bytes that may be committed; 0: no limit (store=DIR only) */
		uint32_t root_mode; /* permission bits of the mount's root */
		uint32_t root_uid, root_gid;
		uint32_t device_major, device_minor; /* st_dev of the mount, from mountinfo */
		uint64_t mounted_at;                 /* CLOCK_REALTIME, nanoseconds */
		int32_t supervisor_pid;              /* anew when another one takes over */
		char mountpoint[4096];               /* absolute, resolved */
		char source[256];
		char store[4096]; /* absolute; empty without store= */
	} config;
	struct {
		/* Of the newest upgrade; all by the supervisor. */
		uint32_t upgrade_number;
		uint32_t upgrade_state; /* enum upgrade_state */
		uint32_t upgrade_usec;  /* how long no worker answered */
		char upgrade_text[256];
		char supervisor_version[32];
		uint32_t restarts;      /* supervisor: workers started after the first */
		int32_t worker_pid;     /* supervisor */
		int32_t standby_pid;    /* supervisor: who takes over if it is killed; 0: nobody */
		uint32_t takeovers;     /* supervisor: how often that happened */
		int32_t ready_pid;      /* worker: itself, right before it says READY */
		uint32_t exited;        /* worker: 1 once exit_status holds; supervisor: 0 before */
		int32_t exit_status;    /* worker: for a supervisor that is not its parent */
		uint32_t answered_init; /* worker: 1 once INIT has been answered */
		uint32_t has_jobs;      /* worker: 1 once a job may have had a member */
		uint32_t ending;       /* supervisor: no mount any more, the worker ends the jobs */
		uint32_t mode;         /* worker: DATA_MODE_PASSTHROUGH or _CACHED, as decided */
		char mode_reason[256]; /* worker: one sentence */
		char fatal_reason[256]; /* worker: before WORKER_EXIT_FATAL */
		/* worker: system calls its filter refused, the last of them; 1 once it has been
		 * said what cannot be given up */
		uint64_t violations;
		int32_t violation_call;
		uint32_t confine_said;
	} live;
	/* Bound external files. Entry i is free while id is 0. The supervisor writes fd and then id
	 * when it takes a descriptor (HOLD), and id = 0 when it lets go (DROP). fd is the number in
	 * every worker started after that; the worker that sent HOLD keeps using its own. */
	struct {
		uint64_t id;
		int32_t fd;
		int32_t reserved;
	} bound[HANDOVER_MAX_BOUND];
};

/* What a program must agree upon to use what another one has written here. */
#define HANDOVER_LAYOUT                                                                            \
	{                                                                                          \
		HANDOVER_VERSION, sizeof(struct handover), offsetof(struct handover, live),        \
		    offsetof(struct handover, bound),                                              \
		    offsetof(struct handover, config.supervisor_pid),                              \
		    offsetof(struct handover, config.mountpoint),                                  \
		    offsetof(struct handover, config.store),                                       \
		    offsetof(struct handover, live.answered_init),                                 \
		    offsetof(struct handover, live.exit_status),                                   \
		    offsetof(struct handover, live.mode), HANDOVER_STATE_OFFSET,                   \
		    HANDOVER_MAX_BOUND, HANDOVER_FD_FIRST_BOUND                                    \
	}

/* Messages on the channel. HOLD carries exactly one descriptor by SCM_RIGHTS; the supervisor owns
 * its copy. Every HOLD and DROP is answered by a message of the same type and id with error set (0,
 * or a positive errno: EMFILE no room). READY is not answered. AGAIN comes from a supervisor that
 * took over: what was not answered yet is to be said again; being said twice does no harm. UPGRADE
 * is answered as soon as live.upgrade_number counts it. */
enum channel_type {
	CHANNEL_READY = 1,
	CHANNEL_HOLD = 2,
	CHANNEL_DROP = 3,
	CHANNEL_AGAIN = 4,
	CHANNEL_UPGRADE = 5
};

struct channel_message {
	uint32_t type;
	int32_t error;
	uint64_t id;
};

#endif
