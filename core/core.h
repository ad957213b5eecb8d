/* The model of mappingfs, without FUSE: mapping objects, names, handles, views, backing, flush.
 *
 * Errors are 0 or -errno. One thread calls everything here; work that can block goes to the job
 * pool inside and comes back through core_dispatch(). Nodes are the numbers the kernel knows inodes
 * by.
 *
 * Exactly once: the caller brackets each kernel request with core_request(); a call that changes
 * something records its outcome in the state area before it is answered, so that the same request
 * sent again (the worker died in between) is answered from the record. */
#ifndef MAPPINGFS_CORE_CORE_H
#define MAPPINGFS_CORE_CORE_H

#include "core/events.h"
#include "core/top.h"
#include "core/types.h"
#include "core/waitable.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#define CORE_ROOT_NODE    1ULL
#define CORE_CONTROL_NAME ".control" /* in the root: cannot be removed or renamed */
#define CORE_DEFERRED     1          /* the answer comes later, through the callback given */

struct core;

/* How a file's data reaches the kernel. attach() makes the descriptor's file the backing of an
 * inode and returns an id > 0 or -errno; the descriptor stays the caller's. NULL attach: data goes
 * through core_data_fd() (cached mode). */
struct core_data_path {
	int (*attach)(void *context, int fd);
	void (*detach)(void *context, uint32_t id);
	void *context;
};

/* What core tells the outside. All optional. */
struct core_listener {
	/* A name vanished without the kernel having asked for it (temporary object ended). */
	void (*name_gone)(void *context, uint64_t parent, uint64_t node, const char *name);
	/* Nothing uses this inode any more, and no name is left: it may be forgotten. */
	void (*unused)(void *context, uint64_t node);
	/* Hands a descriptor to whoever outlives us. 0 or -errno; fd stays the caller's. */
	int (*hold)(void *context, uint64_t id, int fd);
	void (*drop)(void *context, uint64_t id);
	/* A wait that was deferred has ended. */
	void (*waited)(void *context, const struct core_waited *waited);
	/* Is it one of the processes that serve the mount? They join no job. */
	bool (*serves)(void *context, pid_t pid);
	/* The first process joined a job: core_end_jobs() has something to do. */
	void (*has_jobs)(void *context);
	/* Who polls under this number should look again. */
	void (*poll_changed)(void *context, uint64_t poll);
	/* Between core_observe(true) and core_observe(false): something happened to an object.
	 * False: nobody wants to know of this one, so its last view needs no watching. */
	bool (*event)(void *context, const struct core_event *event);
	void *context;
};

/* A descriptor of a bound file that this process inherited. Core owns fd from core_create() on. */
struct core_bound_fd {
	uint64_t id;
	int fd;
};

/* What one user can have, root apart; 0: as much as there is. */
struct core_user_limits {
	uint64_t objects, bytes;
	uint32_t waits; /* blocked ones, an object each, and polls */
};

struct core_config {
	int tree_fd;           /* backing area, borrowed for core's life */
	int notify_fd;         /* inotify instance, borrowed; -1: ends are looked for */
	int state_fd;          /* memfd, borrowed */
	uint64_t state_offset; /* where core's state begins in it */
	uint64_t limit; /* size of the tree's file system, for core_usage(); 0: a store's disk */
	struct core_user_limits user;
	enum core_lifetime lifetime; /* default of new objects */
	bool store;                  /* the tree is there again after the next mount */
	bool rootless; /* cannot change owners, open by handle or use trusted.* xattrs */
	uint32_t root_mode, root_uid, root_gid; /* of the root directory when it is made first */
	uint32_t device_major, device_minor;    /* st_dev of the mount: how views are recognised */
	struct core_data_path data;
	struct core_listener listener;
	const struct core_bound_fd *bound;
	size_t bound_count;
	int cgroup_fd;     /* top of the cgroup v2 tree, borrowed; 0: jobs do without */
	bool cgroups_only; /* a process that cgroups cannot hold joins no job */
};

/* Of the state area: two programs whose numbers differ cannot use the same one. */
uint64_t core_state_layout(void);
int core_create(const struct core_config *config, struct core **out);
void core_destroy(struct core *core); /* NULL is fine */
/* After the last worker: members of jobs are killed or let go, no cgroup stays. With the same
 * values that core_config had. Takes two seconds at most. */
void core_end_jobs(int state_fd, uint64_t state_offset, int cgroup_fd);
/* The mount has ended: what only the state area knows of a persistent store goes to its inodes. */
void core_save(struct core *core);
int core_poll_fd(struct core *core); /* readable: call core_dispatch() */
void core_dispatch(struct core *core);

/* Begins a kernel request. unique: its number without the resend bit; resent: that bit (or a FORGET
 * found in a former worker's hands). */
void core_request(struct core *core, uint64_t unique, bool resent);

/* Who sends it: set after core_request(). pid 0: not visible from here. */
void core_request_from(struct core *core, uid_t uid, pid_t pid);

struct core_caller {
	uid_t uid;
	gid_t gid;
	mode_t umask;
	pid_t pid; /* 0: not visible from here */
};

/* One inode, as the kernel is told of it. */
struct core_entry {
	uint64_t node;
	struct stat st;
	double entry_timeout, attr_timeout; /* seconds the kernel may believe it */
};

struct core_opened {
	uint32_t backing_id; /* 0: cached mode */
	bool keep_cache;
	bool direct; /* reads and writes go through core_data_fd() and core_write() all the same */
	uint64_t handle; /* not 0: of an object to wait on, whose reads and writes are core_wait()
			  * and core_signal() */
};

enum { /* core_setattr(): which fields of the stat are meant */
       CORE_SET_MODE = 1 << 0,
       CORE_SET_UID = 1 << 1,
       CORE_SET_GID = 1 << 2,
       CORE_SET_SIZE = 1 << 3,
       CORE_SET_ATIME = 1 << 4,
       CORE_SET_MTIME = 1 << 5,
       CORE_SET_ATIME_NOW = 1 << 6,
       CORE_SET_MTIME_NOW = 1 << 7,
};

typedef void (*core_done)(void *context, int error);

/* --- names --- */
int core_lookup(struct core *core, uint64_t parent, const char *name, struct core_entry *out);
void core_forget(struct core *core, uint64_t node, uint64_t count);
int core_mknod(struct core *core, uint64_t parent, const char *name, mode_t mode,
	       const struct core_caller *caller, struct core_entry *out);
int core_mkdir(struct core *core, uint64_t parent, const char *name, mode_t mode,
	       const struct core_caller *caller, struct core_entry *out);
int core_symlink(struct core *core, uint64_t parent, const char *name, const char *target,
		 const struct core_caller *caller, struct core_entry *out);
int core_link(struct core *core, uint64_t node, uint64_t parent, const char *name,
	      struct core_entry *out);
int core_unlink(struct core *core, uint64_t parent, const char *name);
int core_rmdir(struct core *core, uint64_t parent, const char *name);
int core_rename(struct core *core, uint64_t parent, const char *name, uint64_t new_parent,
		const char *new_name, unsigned flags);
int core_readlink(struct core *core, uint64_t node, char *buffer, size_t size);

/* Calls add() for each entry from offset on until it returns false. next: offset after the entry.
 */
typedef bool (*core_add_name)(void *context, const char *name, ino_t ino, mode_t type, off_t next);
int core_readdir(struct core *core, uint64_t node, off_t offset, core_add_name add, void *context);

/* --- attributes --- */
int core_getattr(struct core *core, uint64_t node, struct stat *st, double *timeout);
/* 0: done, *st is the new state. CORE_DEFERRED: done() is called later; core_getattr() then. */
int core_setattr(struct core *core, uint64_t node, unsigned set, const struct stat *wanted,
		 struct stat *st, double *timeout, core_done done, void *context);
int core_statfs(struct core *core, uint64_t node, struct statvfs *out); /* as node's tree sees it */
#define CORE_XATTR_KILL_SGID (1 << 16) /* flag: the caller may not keep a set-group-ID bit */
int core_setxattr(struct core *core, uint64_t node, const char *name, const void *value,
		  size_t size, int flags, const struct core_caller *caller);
int core_removexattr(struct core *core, uint64_t node, const char *name);
int core_listxattr(struct core *core, uint64_t node, char *buffer,
		   size_t size); /* length or -errno */
/* Length or -errno. Not for CORE_XATTR_VIEWS, whose value takes a look at every process. */
int core_getxattr(struct core *core, uint64_t node, const char *name, char *buffer, size_t size);

#define CORE_XATTR_VIEWS "user.mapping.views"
/* Counts the object's views in all processes and calls done() with the number, or -errno, in its
 * error. Always CORE_DEFERRED or -errno. */
int core_count_views(struct core *core, uint64_t node, core_done done, void *context);

/* --- handles and data --- */
int core_create_file(struct core *core, uint64_t parent, const char *name, mode_t mode, int flags,
		     const struct core_caller *caller, struct core_entry *out,
		     struct core_opened *opened);
/* open(O_TMPFILE) in the directory `parent`. Opened for writing only it is *unborn*: it may be
 * configured, and core_link() gives it its first name. */
int core_tmpfile(struct core *core, uint64_t parent, mode_t mode, int flags,
		 const struct core_caller *caller, struct core_entry *out,
		 struct core_opened *opened);
int core_open(struct core *core, uint64_t node, int flags, struct core_opened *opened);
void core_release(struct core *core, uint64_t node, uint64_t handle);
int core_data_fd(struct core *core, uint64_t node); /* borrowed until the next call; or -errno */
int core_write(struct core *core, uint64_t node, const void *bytes, size_t size, off_t offset);
int core_fallocate(struct core *core, uint64_t node, int mode, off_t offset, off_t length);
int core_seek(struct core *core, uint64_t node, off_t offset, int whence, off_t *out);
int core_flush(struct core *core, uint64_t node, core_done done, void *context); /* as setattr */

/* --- objects: what plain calls cannot say --- */
struct core_setup {
	enum object_type type;
	int lifetime; /* enum core_lifetime; -1: default of the directory, else of the mount */
	/* OBJECT_MAPPING */
	bool sparse;
	bool set_size;
	bool read_only;
	uint64_t size;
	int file_fd; /* -1: memory. Borrowed: core duplicates it when it keeps it */
	/* the others */
	bool manual, signaled;     /* event, timer: manual; event: signaled from the start */
	uint32_t initial, maximum; /* semaphore: initial <= maximum, 1 <= maximum <= INT32_MAX */
	bool kill_on_close;        /* job */
};
/* Configures a fresh object (unborn, or made by mknod(2) and never opened) owned by `caller` (or by
 * anyone, for uid 0). On refusal nothing has changed and *why says why (static string). Done twice
 * with the same file it succeeds. */
int core_configure(struct core *core, uint64_t node, const struct core_setup *setup,
		   const struct core_caller *caller, const char **why);

struct core_usage {
	uint64_t limit,
	    committed; /* bytes; committed: pages taken or promised, in the whole tree */
	uint64_t objects_known, handles; /* inodes the kernel knows; open handles on them */
	uint64_t flushes, flush_failures,
	    flushes_failing; /* failing: objects whose last flush failed */
	uint64_t bound;
	uint64_t overflows; /* times that events of closed files were lost, and all was looked at */
	/* What goes slower than it should, or did: the log says why. */
	bool leases_refused, watches_lacking, descriptors_lacking;
};
void core_usage(struct core *core, struct core_usage *out);

/* Objects whose flush failed and is tried again: at most max of them; how many. */
struct core_failing {
	uint64_t inode, since, next_try; /* CLOCK_REALTIME: since in s, next_try in ns */
	int error;                       /* positive */
	unsigned tries;                  /* that failed, in a row */
	char file[256];                  /* bound: the file's path, as far as it fits */
};
size_t core_failing(struct core *core, struct core_failing *out, size_t max);

/* What there is of a user, against the limits. */
struct core_user {
	uid_t uid; /* (uid_t)-1: of all that were too many for the table */
	uint64_t objects, bytes;
	uint32_t waits, handles; /* of objects to wait on */
};
/* Fills in `room` of them at most, of `all` or of one; returns how many there are. */
uint32_t core_users(struct core *core, struct core_user *out, uint32_t room, bool all, uid_t uid);

/* st_ino of a node for inspect_scan(), or -errno (ESTALE). */
int core_inode_number(struct core *core, uint64_t node, ino_t *out);
int core_node_of(struct core *core, ino_t ino, uint64_t *node); /* the reverse: 0 or -ESTALE */
int core_owner(struct core *core, uint64_t node, uid_t *out);

struct jobs;
struct jobs *core_jobs(struct core *core); /* the pool, for work outside that can block */

/* What has to come back to what it was once nothing is in use any more. Takes time: for tests. */
struct core_counters {
	uint64_t slots, slots_high, slots_free;  /* in use; ever used; this worker's free list */
	uint64_t backing_ids, watches, bindings; /* of those in use */
	uint64_t flushes_due, orphans;
	uint64_t descriptors_bound;
	uint64_t timers, probes, alarms;
	uint64_t waits, wait_queues, wait_handles;
	uint64_t members, accounts;
};
void core_counters(struct core *core, struct core_counters *out);

#endif
