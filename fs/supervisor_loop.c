/* Turns descriptors, signals and deadlines into events. Sleeps without a limit unless a deadline is
 * set. */
#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum source { SOURCE_SIGNAL, SOURCE_MOUNTINFO, SOURCE_CHANNEL, SOURCE_LEADER };

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif
#define DYING_TRIES    20
#define DYING_PAUSE_NS 250000

static int watch(struct supervisor *s, int fd, uint32_t events, enum source source)
{
	struct epoll_event event = {.events = events, .data.u32 = source};

	return neg_errno(epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event));
}

/* The channel leaves the set by being closed. */
int supervisor_watch_channel(struct supervisor *s)
{
	return watch(s, s->channel_fd, EPOLLIN, SOURCE_CHANNEL);
}

/* A killed worker is reaped only when its last thread is dead, and one may sit in fdatasync(2) on a
 * dying disk. Its first thread serves: when that ends, the next worker is due. */
void supervisor_watch_leader(struct supervisor *s)
{
	s->leader_fd = sys->pidfd_open(s->worker, PIDFD_THREAD);
	if (s->leader_fd >= 0)
		watch(s, s->leader_fd, EPOLLIN, SOURCE_LEADER);
}

enum exit_code supervisor_loop_init(struct supervisor *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	s->mountinfo_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->signal_fd < 0 || s->mountinfo_fd < 0 || s->epoll_fd < 0 ||
	    watch(s, s->signal_fd, EPOLLIN, SOURCE_SIGNAL) ||
	    watch(s, s->mountinfo_fd, EPOLLPRI, SOURCE_MOUNTINFO)) {
		log_error("preparing to wait: %m");
		return EXIT_CODE_MOUNT;
	}
	return EXIT_CODE_OK;
}

void supervisor_loop_finish(struct supervisor *s)
{
	int *const fds[] = {&s->signal_fd, &s->mountinfo_fd, &s->epoll_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* --- children --- */

static enum supervisor_event classify(const struct supervisor *s, int status)
{
	if (mount_is_gone(&s->mount))
		return EVENT_UNMOUNTED;
	if (WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_FATAL)
		return EVENT_FATAL;
	return EVENT_DIED; /* also one that somebody asked to end while the mount lives */
}

static void errand_ended(const char *what, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status))
		log_warn("%s: %s", what, strerror(WEXITSTATUS(status)));
}

static void child_ended(struct supervisor *s, pid_t pid, int status)
{
	if (pid == s->worker) {
		enum supervisor_event event;

		supervisor_receive(s); /* what it said before it died */
		supervisor_worker_ended(s, status);
		s->ended_cleanly =
		    WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_UNMOUNTED;
		event = classify(s, status);
		supervisor_dispatch(s, event);
	} else if (pid == s->binder) {
		s->binder = 0;
		errand_ended("no control socket in the mount", status);
		supervisor_dispatch(s, EVENT_OFFERED);
	} else if (pid == s->unmounter) {
		s->unmounter = 0;
		errand_ended("unmounting", status);
		supervisor_dispatch(s, EVENT_DETACHED);
	}
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		child_ended(s, pid, status);
}

/* Mostly the other threads die in the same instant, and the true status can be had. */
static void on_leader(struct supervisor *s)
{
	const struct timespec pause = {.tv_nsec = DYING_PAUSE_NS};
	pid_t worker = s->worker;

	for (int i = 0; i < DYING_TRIES; i++) {
		reap(s);
		if (s->worker != worker || !worker)
			return;
		nanosleep(&pause, NULL);
	}
	log_warn("worker %d is dead but for a thread that waits in the kernel", worker);
	child_ended(s, worker, SIGKILL);
}

/* --- waiting --- */

static void on_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo != SIGCHLD)
			supervisor_dispatch(s, EVENT_STOP);
	}
	reap(s);
}

static void on_mountinfo(struct supervisor *s)
{
	if (!mount_info_has_device(s->mount.device_major, s->mount.device_minor))
		supervisor_dispatch(s, EVENT_GONE);
}

static void on_source(struct supervisor *s, enum source source)
{
	switch (source) {
	case SOURCE_SIGNAL:
		on_signals(s);
		break;
	case SOURCE_MOUNTINFO:
		on_mountinfo(s);
		break;
	case SOURCE_CHANNEL:
		supervisor_receive(s);
		break;
	case SOURCE_LEADER:
		on_leader(s);
		break;
	}
}

static int milliseconds_until(uint64_t deadline, uint64_t now)
{
	return deadline <= now ? 0 : (int)((deadline - now + 999999) / 1000000);
}

static int next_timeout(const struct supervisor *s)
{
	uint64_t first = s->restart_at;

	if (!first || (s->limit_at && s->limit_at < first))
		first = s->limit_at;
	return first ? milliseconds_until(first, clock_ns(CLOCK_MONOTONIC)) : -1;
}

static void on_deadlines(struct supervisor *s)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (s->restart_at && s->restart_at <= now)
		supervisor_dispatch(s, EVENT_RESTART);
	if (s->limit_at && s->limit_at <= now)
		supervisor_dispatch(s, EVENT_LIMIT);
}

void supervisor_loop(struct supervisor *s)
{
	while (s->state != STATE_ENDED) {
		struct epoll_event event;

		/* One at a time: handling one may close what the next would speak of. */
		if (epoll_wait(s->epoll_fd, &event, 1, next_timeout(s)) > 0)
			on_source(s, (enum source)event.data.u32);
		on_deadlines(s);
	}
}
