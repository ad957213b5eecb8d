/* What the rooms of jobs share. A job holds processes: they are waited for and ended together.
 *
 * A member of a job is a cgroup of its own, made below the cgroup that a process was in when it was
 * added: the process stays within its limits, and its children follow. One job has as many of them
 * as its processes came from different places. Where no cgroup can be had, a member is a single
 * process, known by its number and what tells it from others of that number.
 *
 * job.c          the words, and what the job's state makes of them
 * job_members.c  the table of members in the state area, and their descriptors
 * job_watch.c    their end
 * job_join.c     a process becomes a member
 * job_cgroup.c   cgroups, without objects
 * job_pids.c     processes, without objects
 * job_rights.c   acting as who asks
 * job_kill.c     signals to all members
 * job_end.c      after the mount */
#ifndef MAPPINGFS_CORE_JOB_H
#define MAPPINGFS_CORE_JOB_H

#include "core/wait.h"

#include <limits.h>

/* --- job_members.c --- */
struct members {
	struct core *core;
	int epoll_fd;
	int *fds; /* by entry: pidfd or cgroup.events; -1: not open */
	uint32_t capacity;
	uint32_t hint;      /* no entry below is free */
	struct timer again; /* some are to be looked at again */
};

/* Before slots are looked at: members of slots that are no more are put to sleep. */
int members_resume(struct core *core);
void members_finish(struct core *core);
int members_poll_fd(const struct core *core); /* -1: none yet */
/* Everything is in place for a change: 0 or -errno. */
int members_prepare(struct core *core);
/* A free entry of the table, 0: there is none. */
uint32_t member_take(struct core *core);
/* Descriptor that tells of the member's end: a pidfd, or a cgroup's events. Owned, also on failure.
 * 0 or -errno. */
int member_watch(struct core *core, uint32_t index, int fd);
void member_drop(struct core *core, uint32_t index);      /* it is none, at once */
void member_forgotten(struct core *core, uint32_t index); /* its entry has become free */
void member_close(struct core *core, uint32_t index);     /* its descriptor */
int member_descriptor(struct core *core, uint32_t index); /* borrowed; -1: not open */

/* Calls each() for the members of a job, by its slot's node; at once, they may go meanwhile. */
void members_each(struct core *core, uint64_t node,
		  void (*each)(struct core *core, uint32_t index, void *context), void *context);
/* The job's slot is about to be freed; gone: and so is the job. */
void members_sleep(struct core *core, const struct slot *slot, bool gone);
void members_wake(struct core *core, struct slot *slot); /* it has just got this slot */

/* --- job_watch.c --- */
void members_dispatch(struct core *core);
/* At all of them, those a former worker left too. */
void members_look_after(struct core *core);
void members_look_again(struct timer *timer);

/* --- job_join.c --- */
/* A process becomes a member: does it, and stages that it has. */
int job_join(struct core *core, struct slot *slot, pid_t pid, int pidfd);
/* A worker died while it made this cgroup: it is a member now, or never was. Commits. */
void job_join_finish(struct core *core, uint32_t index);
#define CGROUP_NAME_MAX 96
void job_cgroup_name(int state_fd, uint32_t index, const struct job_member *member,
		     char name[CGROUP_NAME_MAX]);

/* --- job_pids.c --- */
int pidfd_of(pid_t pid); /* owned; -EINVAL: a thread that is not its process' first */
int pidfd_signal(int pidfd, int signal);
/* What /proc/PID/stat says; begin in ticks since the machine's. 0 or -errno. */
int process_begin(pid_t pid, uint64_t *begin, bool *kernel);
/* What tells it from all others that have had or will have its number. */
int process_identity(pid_t pid, int pidfd, uint64_t *id);
int process_open(pid_t pid, uint64_t id); /* pidfd; -ESRCH: that one has ended */
bool process_ended(int pidfd);

struct pid_list {
	pid_t *pids;
	size_t count, capacity;
};
int pid_list_add(struct pid_list *list, pid_t pid);
void pid_list_sort(struct pid_list *list); /* ascending, each once */
bool pid_list_has(const struct pid_list *sorted, pid_t pid);
void pid_list_finish(struct pid_list *list);

/* --- job_cgroup.c: descriptors of cgroups are of their directories, O_RDONLY --- */
int cgroup_open(int root, uint64_t id); /* owned; -ESTALE: it is gone */
int cgroup_id(int cgroup, uint64_t *id);
/* Where a process is, as this process sees it: "/a/b". */
int cgroup_path(pid_t pid, char path[PATH_MAX]);
int cgroup_open_path(int root, const char *path); /* owned */
int cgroup_make(int parent, const char *name);    /* owned; there already: fine, if ours */
int cgroup_move(int cgroup, pid_t pid);
int cgroup_events(int cgroup);             /* owned; POLLPRI: look again */
int cgroup_populated(int events);          /* 1 or 0, also when it is gone; or -errno */
int cgroup_kill(int cgroup);               /* SIGKILL to all; -ENOENT: not known to this kernel */
int cgroup_remove(int cgroup, bool below); /* below: with the empty ones in it */
int cgroup_evacuate(int cgroup);           /* everybody in it moves to the one above */
int cgroup_processes(int cgroup, struct pid_list *out); /* and below, sorted; finish it always */

/* --- job_rights.c --- */
/* What the kernel would let a caller do to other processes. */
struct actor {
	uid_t uid;
	bool any; /* has CAP_KILL in our user namespace */
};
int actor_init(struct actor *actor, const struct core_caller *who);
/* A process by the number the caller knows it by. -EPERM: that cannot be said. */
pid_t actor_pid(const struct core_caller *who, pid_t theirs);
/* Sends as the actor: results[i] is 0 or -errno. The kernel decides, at the moment of sending. */
void actor_signal(const struct actor *actor, const int *pidfds, size_t count, int signal,
		  int *results);

/* --- job_kill.c --- */
/* To all members. 0, or -EPERM: there were some, and none of them may be signaled by the actor. */
int job_kill(struct core *core, uint64_t node, const struct actor *actor, int signal);
void job_kill_member(struct core *core, uint32_t index); /* SIGKILL, by ourselves */
void job_kill_cgroup(int cgroup);
int signal_number(const char *word); /* "TERM", "SIGTERM", "15"; -EINVAL */

#endif
