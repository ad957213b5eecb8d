/* What the rooms of core share. Nothing outside core includes this. */
#ifndef MAPPINGFS_CORE_INTERNAL_H
#define MAPPINGFS_CORE_INTERNAL_H

#include "core/core.h"
#include "core/jobs.h"
#include "core/map.h"
#include "core/state.h"
#include "core/timers.h"
#include "core/tree.h"

#include <fcntl.h>

/* Every change of a name goes through this kernel, so a name may be believed for ever; a temporary
 * object's may vanish by itself, so never. Attributes of files change unseen (pages come by touch).
 */
#define TIMEOUT_FOREVER 86400.0
#define TIMEOUT_FILE    1.0

struct core {
	struct core_config config;
	struct state state;
	struct tree tree;
	struct fdcache files;     /* data descriptors of regular files, O_RDWR where it can be */
	struct map by_ino;        /* st_ino -> slot index */
	struct map by_watch;      /* watch -> slot index (one of those that share the file) */
	struct map bindings;      /* binding -> descriptor */
	struct probes *probes;    /* lastview.c */
	struct timer second_look; /* lastview.c: a look was missed for want of memory */
	uint64_t overflows;       /* ... events were lost */
	bool watches_lacking;     /* watch.c: it was said that no more can be had */
	uint64_t lease_checked;   /* lease.c: CLOCK_MONOTONIC */
	bool leases_broken;
	bool descriptors_lacking;  /* core.c: that was said */
	struct waits *waits;       /* wait.c */
	struct members *members;   /* job_members.c */
	struct accounts *accounts; /* account.c */
	struct users *users;       /* user.c */
	struct map due;            /* flush.c: slot index -> flushes of ours under way; 0: owed */
	bool due_missed;           /* ... some that are owed are not in it */
	struct timer retry_timer;
	struct map flushes; /* slot index -> flushes since this worker began */
	bool persistent;    /* the tree is a store, or on a real file system */
	uint64_t changes;   /* durable.c */
	uint64_t changed_at[STATE_UNSYNCED], overflowed_at;
	struct jobs *jobs;
	struct timers timers;
	struct timer hidden_timer; /* hidden.c */
	int epoll_fd;
	int clock_fd; /* timer.c: readable when the wall clock is set; -1: nobody wants to know */
	uint32_t *free_slots; /* stack */
	size_t free_count, free_capacity;
	struct request_record *record; /* of the request in hand */
	uid_t request_uid;
	pid_t request_pid;
	bool resent, resent_done, resent_started;
	uint64_t forget_index;            /* inodes of this FORGET handled so far */
	uint64_t known, handles, failing; /* for core_usage() */
	bool observed;                    /* somebody is told of events */
	struct {
		struct timer timer;
		uint32_t next; /* slot */
	} observing;           /* observe.c: looking at what was there before */
};

static inline uint32_t lifetime_flags(uint32_t flags, enum core_lifetime lifetime)
{
	flags &= ~(uint32_t)(SLOT_TEMPORARY | SLOT_HANDLE_BOUND);
	if (lifetime != CORE_PERMANENT)
		flags |= SLOT_TEMPORARY;
	return lifetime == CORE_HANDLE_BOUND ? flags | SLOT_HANDLE_BOUND : flags;
}

static inline enum core_lifetime lifetime_of(uint32_t flags)
{
	if (flags & SLOT_HANDLE_BOUND)
		return CORE_HANDLE_BOUND;
	return flags & SLOT_TEMPORARY ? CORE_TEMPORARY : CORE_PERMANENT;
}

/* Handle-bound, and its last handle went: it has lost its name and gets no handle any more; views
 * may be left. */
static inline bool slot_is_ended(const struct slot *slot)
{
	const uint32_t all = SLOT_HANDLE_BOUND | SLOT_ORPHAN | SLOT_USED;

	return (slot->flags & all) == all && !slot->handles;
}

/* --- core.c --- */
/* This request was carried out by a worker that died: the recorded outcome in *error, node in
 * *node. */
bool core_replayed(struct core *core, int *error, uint64_t *node);
/* Stages "request done" with its outcome, to be committed together with what it changed. */
void core_stage_done(struct core *core, int error, uint64_t node);
/* Commits a change that touches no slot. Returns error. */
int core_finish(struct core *core, int error);

/* --- slots.c: inodes the kernel knows --- */
/* The slot of an inode just found by name, new or known. Nothing is committed yet: on success
 * lookups + 1 is staged. dirfd/parent/name say where it is; st what it is; fresh that we have just
 * made it, so that it has no record. */
int slot_acquire(struct core *core, int dirfd, uint64_t parent, const char *name,
		 const struct stat *st, bool fresh, struct slot **out);
/* A slot of an inode that was just made, before its first commit: lifetime by its directory's or
 * the mount's default, creator; counted for its owner. */
void slot_born(struct core *core, struct slot *slot, uint64_t parent, const struct stat *st,
	       const struct core_caller *caller);
struct slot *slot_get(struct core *core, uint64_t node);   /* NULL: stale, or ended */
struct slot *slot_known(struct core *core, uint64_t node); /* NULL: stale */
struct slot *slot_by_ino(struct core *core, ino_t ino);
/* The one decider: frees the slot when nothing needs it any more. */
void slot_consider_free(struct core *core, struct slot *slot);
void slot_bury(struct core *core, struct slot *slot); /* its backing inode is gone */
int slots_rebuild(struct core *core);

/* --- names.c --- */
int names_directory(struct core *core, uint64_t node); /* borrowed O_PATH fd or -errno */
/* The same, to create something in it for the caller. */
int names_create_in(struct core *core, uint64_t node, const struct core_caller *caller);

/* --- attr.c --- */
int slot_stat(struct core *core, struct slot *slot, struct stat *st); /* the tree's own word */
void attr_present(struct core *core, struct slot *slot, struct stat *st);
void attr_entry(struct core *core, struct slot *slot, const struct stat *st,
		struct core_entry *out);

/* --- record.c: what an inode cannot say of itself, as one xattr --- */
void record_load(struct core *core, struct slot *slot, int dirfd, const char *name);
int record_save(struct core *core, struct slot *slot, int fd); /* fd of the marker, may be O_PATH */
int record_save_slot(struct core *core, struct slot *slot);
/* The flags as they were saved; false: there is no record. */
bool record_flags(const struct core *core, int dirfd, const char *name, uint32_t *flags);
/* A directory's limit, 0: none; flags as the account's. */
uint64_t record_limit(const struct core *core, int dirfd, const char *name, uint16_t *flags);
const char *record_xattr_name(const struct core *core);

/* --- reserve.c --- */
/* Allocates [from, to) of a file, whose size is `from`, without changing the size. Blocks. */
int reserve(int fd, uint64_t from, uint64_t to);

/* --- setid.c --- */
bool setid_mode(mode_t mode);
/* The request in hand changes the object's data. */
void setid_drop(struct core *core, struct slot *slot);

/* --- handles.c --- */
int file_descriptor(struct core *core, struct slot *slot); /* borrowed data descriptor or -errno */
int file_own_descriptor(struct core *core, struct slot *slot, int flags); /* owned */
/* Of the inode in the tree, whatever it is bound to; owned, or -errno. */
int file_inode_descriptor(struct core *core, struct slot *slot, int flags);
void backing_release(struct core *core, struct slot *slot); /* closes the backing id, if any */

/* --- lastview.c --- */
bool lastview_wanted(const struct slot *slot);
/* The object is opened: see its end. */
void lastview_watch(struct core *core, struct slot *slot, int fd);
/* Nothing holds the object any more: flushes it, ends it. */
void lastview_gone(struct core *core, struct slot *slot);
/* A bound object has a handle that may write. */
void lastview_in_use(struct core *core, struct slot *slot);
/* An object in the middle of its life gets this lifetime. 0, or -EBUSY: views without a handle are
 * left, and it is to go with its last handle. The record is still to be saved. */
int lastview_set_lifetime(struct core *core, struct slot *slot, enum core_lifetime lifetime);
void lastview_handle_closed(struct core *core, struct slot *slot);
void lastview_dispatch(struct core *core);
void lastview_init(struct core *core);
/* Something could not be looked at now: everything is, in a second. */
void lastview_look_again(struct core *core);
void lastview_forget(struct core *core, struct slot *slot);
void lastview_resume(struct core *core);
/* Asks the kernel: 1 nothing holds the object, 0 something does, -errno. handles must be 0. */
int lastview_probe(struct core *core, struct slot *slot);
void lastview_finish(struct core *core);
bool lastview_shrink(struct core *core); /* closes what probes keep open; false: nothing */

/* --- flush.c --- */
void flush_init(struct core *core);
void flush_last_view(struct core *core, struct slot *slot);
/* The last flush failed, and another one is owed. */
bool flush_is_failing(const struct slot *slot);
uint64_t flush_next_try(const struct slot *slot); /* CLOCK_REALTIME ns; 0: none is planned */
void flush_resume(struct core *core);
void flush_finish(struct core *core);

/* --- durable.c: what a flush owes an object of a store beside its data --- */
struct durable {
	int fds[STATE_UNSYNCED + 1]; /* the object's inode, and directories; owned */
	unsigned count;
	int base_fd; /* -1: the directories are all here; else everything is to be written */
	uint64_t begun_at;
	struct {
		uint64_t ino, changed_at;
	} names[STATE_UNSYNCED];
	unsigned names_count;
};

/* A name comes into being in this directory, or goes. Before the tree is changed. */
void durable_changed(struct core *core, uint64_t directory);
/* The same of what the store keeps beside its tree. */
void durable_store_changed(struct core *core);
/* Will it be there after the next mount? */
bool durable_kept(const struct core *core, const struct slot *slot);
/* 0 or -errno, and nothing is held; otherwise durable_sync() must follow, or durable_drop(). */
int durable_begin(struct core *core, struct slot *slot, struct durable *out);
int durable_sync(struct durable *durable); /* in any thread */
void durable_drop(struct durable *durable);
void durable_done(struct core *core, const struct durable *durable);

/* --- newborn.c --- */
/* In a store a record must not come after the name it is for. Makes something under a name of its
 * own, gives it the record it begins with, and then its name. make() returns >= 0 or -errno, and so
 * does this; what it returns for a regular file may be a descriptor. */
struct newborn {
	int (*make)(int dirfd, const char *name, const void *context);
	const void *context;
	mode_t type; /* S_IFREG, S_IFDIR */
	uint64_t parent;
	const struct core_caller *caller;
};
bool newborn_wanted(struct core *core, uint64_t parent, mode_t type);
int newborn_make(struct core *core, const struct newborn *newborn, int dirfd, const char *name);
enum core_lifetime newborn_lifetime(struct core *core, uint64_t parent);

/* --- events.c --- */
bool event_emit(struct core *core, const struct core_event *event); /* somebody was told */
/* One more handle: if that is told, so is the last view. */
void event_opened(struct core *core, const struct core_event *event);
/* What a rename replaces must be looked at before. */
struct event_rename {
	uint64_t parent, new_parent, node;
	const char *name, *new_name;
	bool replaces, exchanges;
	struct stat replaced;
};
void event_before_rename(struct core *core, struct event_rename *rename, int from, int to);
void event_renamed(struct core *core, const struct event_rename *rename);
/* Told after the commit, or before the inode is gone. */
#define EVENT(core, ...)                                                                           \
	do {                                                                                       \
		if ((core)->observed)                                                              \
			event_emit((core), &(const struct core_event){__VA_ARGS__});               \
	} while (0)

/* --- observe.c --- */
/* lastview_wanted(), or somebody is to be told. */
bool lastview_seen(const struct core *core, const struct slot *slot);
/* The object has a handle, and somebody is to be told of its last view. */
void observe_opened(struct core *core, struct slot *slot);
/* Nothing holds the object any more. */
void observe_ended(struct core *core, struct slot *slot);
/* Whatever is watched for being seen only is not any more. */
void observe_drop(struct core *core);

/* --- temporary.c --- */
/* The last handle of a handle-bound object went: its name goes, it lives on without one. */
void temporary_unname(struct core *core, struct slot *slot);
/* Nothing holds a temporary object any more. */
void temporary_end(struct core *core, struct slot *slot);

/* --- hidden.c --- */
#define HIDDEN_PREFIX ".mapping-"
bool hidden_is(const struct slot *slot); /* not published yet: the slot is kept */
void hidden_made(struct core *core, struct slot *slot, const char *name);
void hidden_renamed(struct core *core, int dirfd, const char *name); /* to this */
void hidden_known(struct core *core, const struct slot *slot);       /* by a new worker */

/* --- binding.c --- */
int binding_descriptor(struct core *core, const struct slot *slot); /* borrowed or -errno */
void binding_drop(struct core *core, struct slot *slot);
/* Binds a fresh slot, which gets these flags as well; committed. 0 or -errno with *why. */
int binding_create(struct core *core, struct slot *slot, const struct core_setup *setup,
		   uint32_t flags, const char **why);

void binding_recover(struct core *core);
void binding_finish(struct core *core);

/* --- remember.c: bindings in a store --- */
/* Written before the object can have a name. fd: of the file. 0 or -errno. */
int remember_binding(struct core *core, uint64_t id, int fd, bool read_only);
void forget_binding(struct core *core, uint64_t id);
/* Where the file was. 0 or -errno. */
int remembered_path(struct core *core, uint64_t id, char *path, size_t size);
/* A store is taken over: wanted has the ids that objects refer to. */
int remembered_sweep(struct core *core, const struct map *wanted);

/* --- store.c --- */
int store_census(struct core *core);

/* --- cred.c --- */
/* New inodes are the caller's: the kernel applies owner, setgid directories and default ACLs
 * itself. */
void cred_assume(const struct core *core, const struct core_caller *caller);
/* What /proc/PID/status says. 0, or -ESRCH. */
struct cred_status {
	pid_t process;
	uid_t fsuid;
	uint64_t capabilities; /* effective */
	int levels;            /* pid namespaces from ours to its own, both counted */
};
int cred_status(pid_t pid, struct cred_status *out);
/* Effective, and in the user namespace we are in. */
bool cred_is_capable(pid_t pid, const struct cred_status *status, int capability);
/* The process that a thread belongs to; the thread itself if that cannot be told. */
pid_t cred_process(pid_t thread);
/* The machine's root, and not merely a container's that has the same number: it has CAP_SYS_ADMIN
 * in the user namespace we are in. pid 0: the number is believed. */
bool cred_is_root(uid_t uid, pid_t pid);

/* --- resize.c --- */
int resize(struct core *core, struct slot *slot, uint64_t size, core_done done, void *context);

#endif
