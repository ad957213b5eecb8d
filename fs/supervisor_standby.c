/* The standby: a child that shares our descriptor table and our record, and sleeps until we die.
 * Nothing has to be sent to it, and it knows what we knew at that very instruction.
 *
 * It may be killed like anybody: then we make another. Only when both are killed before one can do
 * that, the worker is left alone. */
#include "core/log.h"
#include "core/util.h"
#include "fs/supervisor.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME         "mappingfs"
#define STANDBY_NAME "mappingfs-spare" /* as `ps` shows it */

static bool is_standby(const struct supervisor *s, pid_t pid)
{
	return __atomic_load_n(&s->standby, __ATOMIC_ACQUIRE) == pid;
}

static bool replace(struct supervisor *s, pid_t from, pid_t to)
{
	return __atomic_compare_exchange_n(&s->standby, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/* In the child. It is blocked against the same signals as the supervisor, and leaves them to it. */
static bool await_turn(struct supervisor *s)
{
	struct pollfd supervisor = {.fd = s->self_fd, .events = POLLIN};
	pid_t self = getpid();

	prctl(PR_SET_NAME, STANDBY_NAME);
	replace(s, 0, self); /* who made us may have died before it could say so */
	while (poll(&supervisor, 1, -1) != 1)
		;
	/* Not ours: another one is meant, or there is nothing left to do. */
	if (!replace(s, self, 0) || s->finished)
		_exit(0);
	prctl(PR_SET_NAME, NAME);
	s->self_fd = -1; /* was the other one's */
	return !supervisor_map_shared(s);
}

/* fork(2) with one table of descriptors for both. */
static pid_t fork_sharing(void)
{
#ifdef __s390__
	return (pid_t)syscall(SYS_clone, 0, CLONE_FILES | SIGCHLD, 0, 0, 0);
#else
	return (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
#endif
}

static void end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

bool supervisor_standby_start(struct supervisor *s)
{
	pid_t former = s->standby, pid;

	if (s->self_fd < 0)
		s->self_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	pid = s->self_fd < 0 ? -1 : fork_sharing();
	if (!pid)
		return await_turn(s);
	if (pid < 0) {
		log_warn("no standby: %m; if this process is killed, the mount goes on without");
		pid = -1;
	}
	__atomic_store_n(&s->standby, pid, __ATOMIC_RELEASE);
	s->shared->live.standby_pid = pid < 0 ? 0 : pid;
	end(former); /* of the program that we were before exec(2) */
	return false;
}

bool supervisor_standby_ended(struct supervisor *s, pid_t pid)
{
	if (!is_standby(s, pid))
		return false;
	s->standby = 0; /* the loop makes another */
	return true;
}

void supervisor_standby_finish(struct supervisor *s)
{
	s->finished = true;
	end(s->standby);
}
