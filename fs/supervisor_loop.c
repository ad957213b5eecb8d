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

enum source { SOURCE_SIGNAL, SOURCE_MOUNTINFO, SOURCE_CHANNEL, SOURCE_CHILD /* + its role */ };

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

void supervisor_watch_child(struct supervisor *s, enum child_role role)
{
	watch(s, s->children[role].fd, EPOLLIN, (enum source)(SOURCE_CHILD + (int)role));
}

enum exit_code supervisor_loop_init(struct supervisor *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR2);
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

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		supervisor_close(fds[i]);
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

static void worker_ended(struct supervisor *s, int status)
{
	enum supervisor_event event;

	supervisor_receive(s); /* what it said before it died */
	supervisor_worker_ended(s, status);
	s->ended_cleanly = WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_UNMOUNTED;
	event = classify(s, status);
	/* The former program may do better. */
	if (!s->worker_ready && supervisor_upgrade_reverts(s, event == EVENT_FATAL))
		event = EVENT_DIED;
	supervisor_dispatch(s, event);
}

static void binder_ended(struct supervisor *s, int status)
{
	supervisor_forget_child(s, CHILD_BINDER);
	errand_ended("no control socket in the mount", status);
	supervisor_dispatch(s, EVENT_OFFERED);
}

static void checker_ended(struct supervisor *s, int status)
{
	supervisor_forget_child(s, CHILD_CHECKER);
	supervisor_upgrade_checked(s, status);
}

static void unmounter_ended(struct supervisor *s, int status)
{
	supervisor_forget_child(s, CHILD_UNMOUNTER);
	errand_ended("unmounting", status);
	supervisor_dispatch(s, EVENT_DETACHED);
}

static void (*const ended[CHILD_COUNT])(struct supervisor *s, int status) = {
    [CHILD_WORKER] = worker_ended,
    [CHILD_BINDER] = binder_ended,
    [CHILD_UNMOUNTER] = unmounter_ended,
    [CHILD_CHECKER] = checker_ended,
};

static void reap_one(struct supervisor *s, pid_t pid, int status)
{
	if (supervisor_standby_ended(s, pid))
		return;
	for (int i = 0; i < CHILD_COUNT; i++) {
		if (pid != supervisor_child(s, (enum child_role)i))
			continue;
		ended[i](s, status);
		return;
	}
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		reap_one(s, pid, status);
}

void supervisor_child_gone(struct supervisor *s, enum child_role role)
{
	const struct handover *h = s->shared;
	int status = 0;

	if (role == CHILD_CHECKER)
		status = SIGKILL; /* nobody heard its answer */
	if (role == CHILD_WORKER)
		status = h->live.exited ? (h->live.exit_status & 0xff) << 8 : SIGKILL;
	ended[role](s, status);
}

/* Mostly the other threads die in the same instant, and the true status can be had. */
static void on_child(struct supervisor *s, enum child_role role)
{
	const struct timespec pause = {.tv_nsec = DYING_PAUSE_NS};
	pid_t child = supervisor_child(s, role);

	for (int i = 0; i < DYING_TRIES && supervisor_is_parent(s, role); i++) {
		reap(s);
		if (supervisor_child(s, role) != child || !child)
			return;
		nanosleep(&pause, NULL);
	}
	if (supervisor_is_parent(s, role))
		log_warn("worker %d is dead but for a thread that waits in the kernel", child);
	supervisor_child_gone(s, role);
}

/* --- waiting --- */

static void on_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGUSR2)
			supervisor_upgrade_ask(s);
		if (info.ssi_signo == SIGCHLD || info.ssi_signo == SIGUSR2)
			continue;
		s->stop_asked = true;
		supervisor_dispatch(s, EVENT_STOP);
		s->stop_asked = false;
	}
	reap(s);
}

void supervisor_check_mount(struct supervisor *s)
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
		supervisor_check_mount(s);
		break;
	case SOURCE_CHANNEL:
		supervisor_receive(s);
		break;
	default:
		on_child(s, (enum child_role)(source - SOURCE_CHILD));
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

bool supervisor_stand_by(struct supervisor *s)
{
	if (!supervisor_standby_start(s))
		return false;
	while (!s->standby) /* one of our own comes first */
		supervisor_standby_start(s);
	return true;
}

/* False: it is our turn, and we cannot take it. */
static bool keep_standby(struct supervisor *s)
{
	if (s->standby || !supervisor_stand_by(s))
		return true;
	s->code = supervisor_adopt(s, true);
	return !s->code;
}

void supervisor_loop(struct supervisor *s)
{
	while (s->state != STATE_ENDED) {
		struct epoll_event event;

		if (!keep_standby(s))
			break;
		/* One at a time: handling one may close what the next would speak of. */
		if (epoll_wait(s->epoll_fd, &event, 1, next_timeout(s)) > 0)
			on_source(s, (enum source)event.data.u32);
		on_deadlines(s);
	}
}
