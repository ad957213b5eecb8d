/* Acting as who asks: the kernel itself decides what a caller may do to a process.
 *
 * The caller sleeps in the kernel until we have answered and cannot go away before, not even by
 * SIGKILL: what /proc says of it is of no one else.
 *
 * A child that shares our memory takes the caller's uid, drops all capabilities and sends the
 * signals. We stay what we are: a thread of ours that had the caller's uid, even for a moment,
 * could be killed by the caller. The child can, and then nothing has been permitted. */
#include "core/job.h"
#include "core/log.h"
#include "core/util.h"

#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifdef SYS_setresuid32
#define SYS_SETRESUID SYS_setresuid32
#else
#define SYS_SETRESUID SYS_setresuid
#endif
#ifndef PIDFD_GET_PID_NAMESPACE /* Linux 6.11 */
#define PIDFD_GET_PID_NAMESPACE _IO(0xff, 5)
#endif
#ifndef NS_GET_PID_FROM_PIDNS /* Linux 6.11 */
#define NS_GET_PID_FROM_PIDNS _IOR(0xb7, 0x6, int)
#endif

/* --- who it is --- */

int actor_init(struct actor *actor, const struct core_caller *who)
{
	struct cred_status status;

	*actor = (struct actor){.uid = who->uid};
	if (who->pid <= 0 || cred_status(who->pid, &status) < 0)
		return -EPERM;
	actor->any = status.fsuid == who->uid && cred_is_capable(who->pid, &status, CAP_KILL);
	return 0;
}

/* A number of a namespace below ours. */
static pid_t translate(pid_t caller, pid_t theirs)
{
	AUTO_CLOSE int process = (int)syscall(SYS_pidfd_open, cred_process(caller), 0);
	AUTO_CLOSE int ns = process < 0 ? -1 : ioctl(process, PIDFD_GET_PID_NAMESPACE, 0);
	int pid;

	pid = ns < 0 ? -1 : ioctl(ns, NS_GET_PID_FROM_PIDNS, theirs);
	if (pid > 0)
		return pid;
	if (errno == ESRCH)
		return -ESRCH;
	log_debug("process %d of another pid namespace cannot be named to a job: needs Linux 6.11",
		  caller);
	return -EPERM;
}

pid_t actor_pid(const struct core_caller *who, pid_t theirs)
{
	struct cred_status status;

	if (who->pid <= 0 || cred_status(who->pid, &status) < 0)
		return -EPERM;
	return status.levels <= 1 ? theirs : translate(who->pid, theirs);
}

/* --- what it may --- */

struct errand {
	uid_t uid;
	const int *pidfds;
	size_t count;
	int signal;
	int *results;
};

static void send_all(const struct errand *e)
{
	for (size_t i = 0; i < e->count; i++)
		e->results[i] = pidfd_signal(e->pidfds[i], e->signal);
}

/* In the child. System calls only: libc's own would change the ids of all threads. As long as it
 * has its capabilities nobody can trace it, and then it cannot be traced for another reason. */
static int run_errand(void *context)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
	const struct errand *e = context;

	syscall(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (syscall(SYS_SETRESUID, e->uid, e->uid, e->uid) < 0)
		return 0;
	syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (syscall(SYS_capset, &header, none) < 0)
		return 0;
	send_all(e);
	return 0;
}

static void send_child(const struct errand *e)
{
	static char stack[16384] __attribute__((aligned(64)));
	int dumpable = prctl(PR_GET_DUMPABLE);
	pid_t pid;

	pid = clone(run_errand, stack + sizeof stack,
		    CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_FS, (void *)e);
	if (pid < 0) {
		log_error("rights cannot be checked: %m");
		return;
	}
	while (waitpid(pid, NULL, (int)__WCLONE) < 0 && errno == EINTR)
		;
	if (dumpable == 1) /* it is the memory's, and so ours */
		prctl(PR_SET_DUMPABLE, 1);
}

void actor_signal(const struct actor *actor, const int *pidfds, size_t count, int signal,
		  int *results)
{
	const struct errand e = {.uid = actor->uid,
				 .pidfds = pidfds,
				 .count = count,
				 .signal = signal,
				 .results = results};

	for (size_t i = 0; i < count; i++)
		results[i] = -EPERM;
	/* Without privileges we may no more than our own user. */
	if (actor->any || (geteuid() != 0 && actor->uid == geteuid()))
		send_all(&e);
	else if (geteuid() == 0)
		send_child(&e);
}
