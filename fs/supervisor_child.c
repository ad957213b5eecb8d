/* Processes that a supervisor starts. It may be killed between fork(2) and the note of whom it
 * started, so the child notes itself, too: if another supervisor has begun by then, it ends at
 * once.
 */
#include "core/sys.h"
#include "core/util.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif
#define START_TIME_FIELD 20 /* of /proc/PID/stat, behind the name and the state */

static uint64_t word_of(uint32_t generation, pid_t pid)
{
	return (uint64_t)generation << 32 | (uint32_t)pid;
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static bool exchange(uint64_t *word, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(word, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

pid_t supervisor_child(const struct supervisor *s, enum child_role role)
{
	return (pid_t)(uint32_t)load(&s->children[role].word);
}

bool supervisor_is_parent(const struct supervisor *s, enum child_role role)
{
	return s->children[role].parent == getpid();
}

static void note(struct supervisor_child *child, uint32_t generation, pid_t pid)
{
	child->noted_at = clock_ns(CLOCK_BOOTTIME);
	exchange(&child->word, word_of(generation, 0), word_of(generation, pid));
}

pid_t supervisor_fork(struct supervisor *s, enum child_role role)
{
	struct supervisor_child *child = &s->children[role];
	uint32_t generation = s->generation;
	pid_t pid;

	supervisor_forget_child(s, role); /* one before it, if any, has been killed */
	child->parent = getpid();
	pid = fork();
	if (pid < 0)
		return -errno;
	note(child, generation, pid ? pid : getpid());
	if (!pid && supervisor_child(s, role) != getpid())
		_exit(0);
	return pid;
}

/* A killed worker is reaped only when its last thread is dead, and one may sit in fdatasync(2) on a
 * dying disk. Its first thread serves: when that ends, the next worker is due. */
static int open_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, PIDFD_THREAD);

	return fd < 0 && errno == EINVAL ? (int)syscall(SYS_pidfd_open, pid, 0) : fd;
}

void supervisor_watch_leader(struct supervisor *s)
{
	struct supervisor_child *worker = &s->children[CHILD_WORKER];

	worker->fd = sys->pidfd_open(supervisor_child(s, CHILD_WORKER), PIDFD_THREAD);
	if (worker->fd >= 0)
		supervisor_watch_child(s, CHILD_WORKER);
}

void supervisor_signal(struct supervisor *s, enum child_role role, int signal)
{
	const struct supervisor_child *child = &s->children[role];
	pid_t pid = supervisor_child(s, role);

	if (pid <= 0)
		return;
	if (supervisor_is_parent(s, role)) /* a number that is not used again before we reap it */
		kill(pid, signal);
	else if (child->fd >= 0)
		syscall(SYS_pidfd_send_signal, child->fd, signal, NULL, 0);
}

void supervisor_forget_child(struct supervisor *s, enum child_role role)
{
	supervisor_close(&s->children[role].fd);
	__atomic_store_n(&s->children[role].word, word_of(s->generation, 0), __ATOMIC_RELEASE);
}

void supervisor_begin_generation(struct supervisor *s)
{
	uint32_t generation = s->generation + 1;

	for (int i = 0; i < CHILD_COUNT; i++) {
		uint64_t *word = &s->children[i].word, old;

		do {
			old = load(word);
		} while (!exchange(word, old, word_of(generation, (pid_t)(uint32_t)old)));
	}
	s->generation = generation;
}

/* CLOCK_BOOTTIME in ns, in whole clock ticks; 0: not there. */
static uint64_t started_at(pid_t pid)
{
	AUTO_CLOSE int fd = -1;
	char path[32], text[1024], *at;
	unsigned long long ticks;
	ssize_t length;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	at = strrchr(text, ')');
	for (int i = 0; at && i < START_TIME_FIELD; i++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, "%llu", &ticks) != 1)
		return 0;
	return ticks * (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Is the process behind the number still the one that was noted? A later one began later. */
static bool is_same(const struct supervisor_child *child, pid_t pid)
{
	uint64_t began = started_at(pid);

	return began && began <= child->noted_at;
}

bool supervisor_adopt_child(struct supervisor *s, enum child_role role)
{
	struct supervisor_child *child = &s->children[role];
	pid_t pid = supervisor_child(s, role);

	if (!pid)
		return false;
	if (child->fd < 0 && is_same(child, pid))
		child->fd = open_pidfd(pid);
	if (child->fd < 0 && !supervisor_is_parent(s, role))
		return false;
	if (child->fd >= 0)
		supervisor_watch_child(s, role);
	return true;
}

void supervisor_end_child(struct supervisor *s, enum child_role role)
{
	const struct supervisor_child *child = &s->children[role];
	struct pollfd ended = {.fd = child->fd, .events = POLLIN};

	supervisor_signal(s, role, SIGKILL);
	if (supervisor_child(s, role) && supervisor_is_parent(s, role))
		waitpid(supervisor_child(s, role), NULL, 0);
	else if (child->fd >= 0)
		poll(&ended, 1, -1);
	supervisor_forget_child(s, role);
}
