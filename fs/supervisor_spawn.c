#include "core/log.h"
#include "core/util.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NOT_EXECUTED 127 /* by our own child, before it is a worker */

/* Beside our own program, or where packages put what is not called by people. */
int supervisor_find_worker(void)
{
	static const char *const places[] = {
	    "%s/mappingfs-worker",
	    "%s/../libexec/mappingfs/mappingfs-worker",
	};
	char own[PATH_MAX], path[PATH_MAX + 64];
	ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
	char *slash;

	if (length < 0) {
		log_error("/proc/self/exe: %m");
		return -errno;
	}
	own[length] = '\0';
	slash = strrchr(own, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		int fd;

		snprintf(path, sizeof path, places[i], own);
		fd = open(path, O_PATH | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	log_error("mappingfs-worker is neither in %s nor in %s/../libexec/mappingfs", own, own);
	return -ENOENT;
}

/* --- in the child --- */

static void default_signals(void)
{
	sigset_t none;

	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A daemon's worker says what it has to say to syslog, and through live.fatal_reason. */
static int place_stdio(bool foreground)
{
	int null;

	if (foreground)
		return 0;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (null < 0 || dup2(null, fd) < 0)
			return -1;
	}
	return 0;
}

struct placing {
	int from, to;
	bool may_lack; /* from can be -1 */
};

static bool is_lacking(const struct placing *placing)
{
	return placing->may_lack && placing->from < 0;
}

/* Two steps, since a descriptor may sit where another has to go. */
static int place_all(const struct placing *fixed, size_t count)
{
	int aside[8];

	for (size_t i = 0; i < count; i++) {
		aside[i] = fcntl(fixed[i].from, F_DUPFD_CLOEXEC, HANDOVER_FD_FIRST_BOUND);
		if (aside[i] < 0 && !is_lacking(&fixed[i]))
			return -1;
	}
	for (size_t i = 0; i < count; i++) {
		if (!is_lacking(&fixed[i]) && dup2(aside[i], fixed[i].to) < 0)
			return -1;
	}
	return 0;
}

static int place_fixed(const struct supervisor *s, int channel)
{
	const struct placing fixed[] = {
	    {s->mount.fuse_fd, HANDOVER_FD_FUSE, false},
	    {s->state_fd, HANDOVER_FD_STATE, false},
	    {s->backing.tree_fd, HANDOVER_FD_TREE, false},
	    {s->notify_fd, HANDOVER_FD_NOTIFY, s->shared->config.flags & HANDOVER_NO_NOTIFY},
	    {s->control_fd, HANDOVER_FD_CONTROL, false},
	    {channel, HANDOVER_FD_CHANNEL, false},
	    {s->cgroup_fd, HANDOVER_FD_CGROUP, true},
	};

	return place_all(fixed, ARRAY_SIZE(fixed));
}

/* Everything else we have is close-on-exec. */
static int keep_bound(const struct supervisor *s)
{
	for (unsigned i = 0, left = s->bound_count; left; i++) {
		if (!s->bound[i].id)
			continue;
		if (fcntl(s->bound[i].fd, F_SETFD, 0))
			return -1;
		left--;
	}
	return 0;
}

static void execute(struct supervisor *s, int program)
{
	const char *argv[] = {"mappingfs-worker", s->mount.point, NULL};

	execveat(program, "", (char *const *)argv, environ, AT_EMPTY_PATH);
}

static void become_worker(struct supervisor *s, int channel)
{
	char *reason = s->shared->live.fatal_reason;
	int program = fcntl(s->exec_fd, F_DUPFD_CLOEXEC, HANDOVER_FD_FIRST_BOUND);

	default_signals();
	setpgid(0, 0); /* Ctrl-C on the terminal is for the supervisor alone */
	unsetenv("NOTIFY_SOCKET");
	if (program >= 0 && !place_stdio(s->foreground) && !place_fixed(s, channel) &&
	    !keep_bound(s))
		execute(s, program);
	snprintf(reason, sizeof s->shared->live.fatal_reason,
		 "cannot execute mappingfs-worker: %m");
	_exit(EXIT_NOT_EXECUTED);
}

static void become_undertaker(struct supervisor *s)
{
	const struct placing fixed[] = {{s->state_fd, HANDOVER_FD_STATE, false},
					{s->cgroup_fd, HANDOVER_FD_CGROUP, true}};
	int program = fcntl(s->exec_fd, F_DUPFD_CLOEXEC, HANDOVER_FD_FIRST_BOUND);

	default_signals();
	if (program >= 0 && !place_stdio(s->foreground) && !place_all(fixed, ARRAY_SIZE(fixed)))
		execute(s, program);
	_exit(EXIT_NOT_EXECUTED);
}

/* --- in the supervisor --- */

void supervisor_end_jobs(struct supervisor *s)
{
	pid_t pid;

	if (!s->shared || !s->shared->live.has_jobs)
		return;
	s->shared->live.ending = 1;
	pid = fork();
	if (!pid)
		become_undertaker(s);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int fork_worker(struct supervisor *s, int channel)
{
	pid_t pid;

	if (s->started)
		s->shared->live.restarts++;
	s->started = true;
	s->worker_ready = false;
	s->shared->live.exited = 0;
	s->shared->live.ready_pid = 0;
	pid = supervisor_fork(s, CHILD_WORKER);
	if (!pid)
		become_worker(s, channel);
	if (pid < 0)
		return pid;
	s->shared->live.worker_pid = pid;
	supervisor_watch_leader(s);
	log_debug("worker %d started", pid);
	return 0;
}

int supervisor_start_worker(struct supervisor *s)
{
	AUTO_CLOSE int theirs = -1;
	int pair[2], rc;

	supervisor_close_channel(s);
	/* A former supervisor was about to let go of it. */
	if (s->control_fd < 0 && (rc = supervisor_silence_control(s)))
		return rc;
	if (s->standby < 0 && !s->fdstore)
		s->standby = 0; /* none could be had; perhaps now */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	s->channel_fd = pair[0];
	theirs = pair[1];
	rc = supervisor_watch_channel(s);
	if (!rc)
		rc = fork_worker(s, theirs);
	if (rc)
		supervisor_close_channel(s);
	return rc;
}

static void describe_end(struct supervisor *s, int status)
{
	pid_t worker = supervisor_child(s, CHILD_WORKER);
	char *out = s->last_end;
	size_t size = sizeof s->last_end;

	if (WIFSIGNALED(status) && !supervisor_is_parent(s, CHILD_WORKER))
		snprintf(out, size, "worker %d died", worker);
	else if (WIFSIGNALED(status))
		snprintf(out, size, "worker %d was killed by signal %d (%s)", worker,
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == WORKER_EXIT_FATAL ||
		 WEXITSTATUS(status) == EXIT_NOT_EXECUTED)
		snprintf(out, size, "%.*s", (int)sizeof s->shared->live.fatal_reason,
			 s->shared->live.fatal_reason[0] ? s->shared->live.fatal_reason
							 : "the worker says it cannot work here");
	else
		snprintf(out, size, "worker %d ended with status %d%s", worker, WEXITSTATUS(status),
			 s->worker_ready ? "" : " before it answered");
}

void supervisor_worker_ended(struct supervisor *s, int status)
{
	supervisor_close_channel(s);
	describe_end(s, status);
	if (!s->worker_ready)
		s->failures++;
	supervisor_forget_child(s, CHILD_WORKER);
	s->shared->live.worker_pid = 0;
}
