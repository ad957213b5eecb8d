#include "tests/sys/steps.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Old ones that newer machines do not have. */
static const int watched[] = {
#ifdef __NR_open
    __NR_open,       __NR_mknod,     __NR_link,        __NR_rename,   __NR_unlink,
    __NR_chmod,      __NR_chown,     __NR_stat,        __NR_lstat,    __NR_readlink,
#endif
#ifdef __NR_newfstatat
    __NR_newfstatat,
#endif
#ifdef __NR_renameat
    __NR_renameat,
#endif
    __NR_fstat,      __NR_openat,    __NR_openat2,     __NR_statx,    __NR_getxattr,
    __NR_setxattr,   __NR_fgetxattr, __NR_removexattr, __NR_ioctl,    __NR_fcntl,
    __NR_mknodat,    __NR_linkat,    __NR_renameat2,   __NR_fchmodat, __NR_fchmod,
    __NR_fchownat,   __NR_fchown,    __NR_readlinkat,  __NR_socket,   __NR_connect,
    __NR_sendmsg,    __NR_recvmsg,   __NR_setsockopt,  __NR_pread64,  __NR_pwrite64,
    __NR_fsync,      __NR_ftruncate, __NR_getrandom,
};

enum { ROOM = 4 + ARRAY_SIZE(watched) };

/* Shared with the child. */
struct shared {
	volatile int listener; /* its number in the child; 0: not yet, negative: -errno */
	volatile bool taken, armed;
	volatile int left;
};

struct child {
	const struct steps *steps;
	struct shared *shared;
};

static int listen_to_calls(void)
{
	struct sock_filter filter[ROOM];
	struct sock_fprog program = {.filter = filter};
	unsigned short n = 0;

	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						   offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
		filter[n++] =
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)watched[i],
						 (unsigned char)(ARRAY_SIZE(watched) - i), 0);
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	program.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return neg_errno((int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
				      SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

static int be_watched(void *context)
{
	const struct child *child = context;
	struct shared *shared = child->shared;
	int fds, rc, listener = listen_to_calls();

	shared->listener = listener;
	if (listener < 0)
		return 1;
	while (!shared->taken)
		sched_yield();
	close(listener);
	fds = sys_count_fds(getpid());
	shared->armed = true;
	rc = child->steps->function(child->steps->context);
	shared->armed = false;
	shared->left = sys_count_fds(getpid()) - fds;
	return rc;
}

/* The listener as our own descriptor. */
static int take_listener(struct shared *shared, pid_t pid)
{
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int fd = -1;

	WAIT_UNTIL(20, shared->listener);
	if (shared->listener > 0 && pidfd >= 0)
		fd = (int)syscall(__NR_pidfd_getfd, pidfd, shared->listener, 0);
	shared->taken = true;
	return fd;
}

static bool wants_tmpfile(const struct seccomp_data *call)
{
	return (call->nr == __NR_openat && (call->args[2] & O_TMPFILE) == O_TMPFILE);
}

/* False: the child is gone. */
static bool answer(int listener, struct steps *steps, const struct shared *shared, pid_t pid)
{
	struct seccomp_notif call = {0};
	struct seccomp_notif_resp response = {0};

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return errno == EINTR;
	response.id = call.id;
	response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if (shared->armed && steps->no_tmpfile && wants_tmpfile(&call.data)) {
		response.flags = 0;
		response.error = -EOPNOTSUPP;
	} else if (shared->armed && steps->calls++ == steps->number) {
		if (!steps->error) {
			kill(pid, SIGKILL);
			return false;
		}
		response.flags = 0;
		response.error = -steps->error;
	}
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0 || errno == ENOENT;
}

static void supervise(int listener, struct steps *steps, const struct shared *shared, pid_t pid)
{
	struct pollfd poll_fd = {.fd = listener, .events = POLLIN};

	while (poll(&poll_fd, 1, -1) >= 0 || errno == EINTR) {
		if (poll_fd.revents & POLLIN) {
			if (!answer(listener, steps, shared, pid))
				return;
		} else if (poll_fd.revents) {
			return;
		}
	}
}

void steps_run(struct sys *sys, struct steps *steps)
{
	struct shared *shared =
	    mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct child child = {.steps = steps, .shared = shared};
	AUTO_CLOSE int listener = -1;
	int refused;
	pid_t pid;

	assert_ptr_not_equal(shared, MAP_FAILED);
	steps->calls = 0;
	pid = sys_fork(sys, be_watched, &child);
	listener = take_listener(shared, pid);
	if (listener >= 0)
		supervise(listener, steps, shared, pid);
	else
		kill(pid, SIGKILL);
	steps->status = sys_wait(sys, pid);
	steps->left = shared->left;
	refused = shared->listener < 0 ? -shared->listener : 0;
	munmap(shared, sizeof *shared);
	if (listener < 0)
		sys_skip("no seccomp notifications here: %s", strerror(refused));
}
