/* The time limit of a test. A caller waiting in a request that is never answered cannot be
 * interrupted, so a process beside the test watches the clock: it ends the mount by force (which
 * fails all waiting requests), then tells the test, and kills it if even that does not help. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sys/harness_internal.h"

static struct {
	pid_t pid;
	int pipe;
} watchdog = {.pipe = -1};

static void time_is_up(int signal_number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal_number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	fail_msg("time limit");
}

static void end_by_force(struct sys *sys, pid_t test)
{
	sys_say("time limit of %u s reached: ending the mount by force", sys->time_limit);
	if (!sys->reference)
		umount2(sys->mnt, MNT_FORCE | MNT_DETACH);
	marked_processes(sys->mark, kill_process);
	kill(test, SIGALRM);
	sleep(30); /* the test has this long to clean up; it ends us then */
	sys_say("the test does not end: killed");
	kill(test, SIGKILL);
}

static void watch(struct sys *sys, pid_t test, int from_test)
{
	for (;;) {
		struct pollfd ready = {.fd = from_test, .events = POLLIN};
		int rc = poll(&ready, 1, (int)sys->time_limit * 1000);

		if (rc == 0) {
			end_by_force(sys, test);
			return;
		}
		if (rc > 0 && read(from_test, &sys->time_limit, sizeof sys->time_limit) <= 0)
			return;
	}
}

void watchdog_start(struct sys *sys, unsigned seconds)
{
	pid_t test = getpid();
	int ends[2];

	sys->time_limit = seconds;
	signal(SIGALRM, time_is_up);
	if (pipe2(ends, O_CLOEXEC) < 0)
		abort();
	fflush(NULL);
	watchdog.pid = fork();
	if (watchdog.pid == 0) {
		close(ends[1]);
		watch(sys, test, ends[0]);
		_exit(0);
	}
	close(ends[0]);
	watchdog.pipe = ends[1];
}

void watchdog_set(unsigned seconds)
{
	if (write(watchdog.pipe, &seconds, sizeof seconds) != sizeof seconds)
		sys_say("the watchdog is gone");
}

void watchdog_stop(void)
{
	close(watchdog.pipe);
	watchdog.pipe = -1;
	kill(watchdog.pid, SIGKILL); /* children of the test may still hold the pipe */
	waitpid(watchdog.pid, NULL, 0);
}
