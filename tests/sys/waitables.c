#include "tests/sys/waitables.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* --- creation --- */

static struct typed usual(enum object_type type)
{
	struct typed typed = {.type = type};

	if (type == OBJECT_SEMAPHORE)
		typed.maximum = 1;
	return typed;
}

int typed_unborn(const char *directory, mode_t mode)
{
	return neg_errno(open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode));
}

int typed_configure(const char *mnt, int unborn, const struct typed *typed, struct wire_reply *why)
{
	struct wire_request request = wire_request_of(WIRE_CONFIGURE, typed->flags, typed->size);
	struct wire_reply reply = {0};
	char path[64];
	AUTO_CLOSE int extra = -1;

	request.object_type = typed->type;
	request.initial = typed->initial;
	request.maximum = typed->maximum;
	snprintf(path, sizeof path, "/proc/self/fd/%d", unborn);
	AUTO_CLOSE int object = open(path, O_PATH | O_CLOEXEC);
	if (object < 0)
		return -errno;
	int rc = control_call(mnt, &request, &object, 1, &reply, &extra);
	if (why)
		*why = reply;
	return rc < 0 ? rc : -reply.error;
}

int typed_publish(int unborn, const char *path)
{
	char self[64];

	snprintf(self, sizeof self, "/proc/self/fd/%d", unborn);
	return neg_errno(linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
}

static void directory_of(const char *path, char *out, size_t size)
{
	const char *slash = strrchr(path, '/');

	snprintf(out, size, "%.*s", slash ? (int)(slash - path) : 0, path);
}

int typed_create(const char *mnt, const char *path, const struct typed *typed)
{
	mode_t mode = typed->mode ? typed->mode : 0644;
	char directory[1100];

	directory_of(path, directory, sizeof directory);
	AUTO_CLOSE int unborn = typed_unborn(directory, mode);
	if (unborn < 0)
		return unborn;
	int rc = typed_configure(mnt, unborn, typed, NULL);
	if (rc == 0)
		rc = neg_errno(fchmod(unborn, mode));
	return rc < 0 ? rc : typed_publish(unborn, path);
}

const char *typed_make(struct sys *sys, const char *name, struct typed typed)
{
	const char *path = sys_path(sys, "%s", name);
	int rc = typed_create(sys->mnt, path, &typed);

	if (rc < 0)
		fail_msg("cannot create %s %s: %s", object_type_name(typed.type), name,
			 strerror(-rc));
	return path;
}

int typed_unnamed(struct sys *sys, struct typed typed)
{
	AUTO_CLOSE int unborn = typed_unborn(sys->mnt, 0600);
	char self[64];

	assert_true(unborn >= 0);
	assert_int_equal(typed_configure(sys->mnt, unborn, &typed, NULL), 0);
	snprintf(self, sizeof self, "/proc/self/fd/%d", unborn);
	return open_object(self, O_RDWR);
}

const char *make_event(struct sys *sys, const char *name, uint32_t flags)
{
	return typed_make(sys, name, (struct typed){.type = OBJECT_EVENT, .flags = flags});
}

const char *make_semaphore(struct sys *sys, const char *name, uint32_t initial, uint32_t maximum)
{
	return typed_make(
	    sys, name,
	    (struct typed){.type = OBJECT_SEMAPHORE, .initial = initial, .maximum = maximum});
}

const char *make_mutex(struct sys *sys, const char *name)
{
	return typed_make(sys, name, (struct typed){.type = OBJECT_MUTEX});
}

const char *make_timer(struct sys *sys, const char *name, uint32_t flags)
{
	return typed_make(sys, name, (struct typed){.type = OBJECT_TIMER, .flags = flags});
}

const char *make_any(struct sys *sys, const char *name, enum object_type type)
{
	return typed_make(sys, name, usual(type));
}

int open_object(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		fail_msg("cannot open %s: %s", path, strerror(errno));
	return fd;
}

bool state_is(const char *path, const char *expected)
{
	return text_xattr_is(path, "user.mapping.state", expected);
}

/* --- waits and words --- */

int wait_here(int fd)
{
	char line[64];
	ssize_t n = pread(fd, line, sizeof line - 1, 0);

	if (n < 0)
		return -errno;
	line[n] = '\0';
	for (int result = WAIT_SIGNALED; result <= WAIT_WAS_ABANDONED; result++) {
		const char *name = wait_result_name((enum wait_result)result);

		if (n == (ssize_t)strlen(name) + 1 && !strncmp(line, name, strlen(name)) &&
		    line[n - 1] == '\n')
			return result;
	}
	return -EPROTO;
}

int try_wait(const char *path)
{
	AUTO_CLOSE int fd = open_object(path, O_RDONLY | O_NONBLOCK);

	return wait_here(fd);
}

int words(int fd, const char *text)
{
	return (int)neg_errno((int)pwrite(fd, text, strlen(text), 0));
}

int words_to(const char *path, const char *text)
{
	AUTO_CLOSE int fd = open_object(path, O_WRONLY);

	return words(fd, text);
}

bool ready(int fd)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};

	return poll(&polled, 1, 0) == 1 && (polled.revents & POLLIN);
}

int wait_many(const int *fds, unsigned count, uint32_t flags, uint64_t deadline,
	      struct wire_wait *out)
{
	struct wire_wait many = {.count = count, .flags = flags, .deadline = deadline};

	for (unsigned i = 0; i < count && i < WIRE_WAIT_MAX; i++)
		if (ioctl(fds[i], WIRE_IOC_HANDLE, &many.handles[i]) < 0)
			return -errno;
	int rc = neg_errno(ioctl(fds[0], WIRE_IOC_WAIT, &many));
	if (out)
		*out = many;
	return rc;
}

int signal_and_wait(int signal_fd, const char *text, int wait_fd, uint64_t deadline)
{
	struct wire_signal_wait both = {.length = (uint32_t)strlen(text), .deadline = deadline};

	memcpy(both.words, text, strlen(text) < sizeof both.words ? strlen(text) : 0);
	if (ioctl(signal_fd, WIRE_IOC_HANDLE, &both.signal) < 0 ||
	    ioctl(wait_fd, WIRE_IOC_SIGNAL_WAIT, &both) < 0)
		return -errno;
	return both.index == 0 ? (int)both.result : -EPROTO;
}

uint64_t deadline_in(double seconds)
{
	return clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
}

/* --- who is blocked --- */

bool blocked_in(pid_t tid, long call)
{
	char path[64], line[32] = "";
	long found;

	snprintf(path, sizeof path, "/proc/%d/syscall", tid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, line, sizeof line - 1) <= 0)
		return false;
	return sscanf(line, "%ld", &found) == 1 && found == call;
}

unsigned count_blocked(pid_t pid, long call)
{
	struct dirent *entry;
	unsigned count = 0;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		count += blocked_in(atoi(entry->d_name), call);
	if (dir)
		closedir(dir);
	return count;
}

static void *waiter_run(void *context)
{
	struct waiter *w = context;

	w->tid = (pid_t)syscall(SYS_gettid);
	w->result =
	    w->many.count ? neg_errno(ioctl(w->fd, WIRE_IOC_WAIT, &w->many)) : wait_here(w->fd);
	w->ended = 1;
	return NULL;
}

static struct waiter *start(struct waiter *w, long call)
{
	assert_int_equal(pthread_create(&w->thread, NULL, waiter_run, w), 0);
	WAIT_UNTIL(10, w->ended || (w->tid && blocked_in(w->tid, call)));
	return w;
}

struct waiter *waiter_start(int fd)
{
	struct waiter *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->fd = fd;
	return start(w, SYS_pread64);
}

struct waiter *waiter_start_many(const int *fds, unsigned count, uint32_t flags, uint64_t deadline)
{
	struct waiter *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->fd = fds[0];
	w->many = (struct wire_wait){.count = count, .flags = flags, .deadline = deadline};
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(ioctl(fds[i], WIRE_IOC_HANDLE, &w->many.handles[i]), 0);
	return start(w, SYS_ioctl);
}

int waiter_end_many(struct waiter *waiter, struct wire_wait *out)
{
	WAIT_UNTIL(10, waiter->ended);
	assert_int_equal(pthread_join(waiter->thread, NULL), 0);
	int result = waiter->result;
	if (out)
		*out = waiter->many;
	free(waiter);
	return result;
}

int waiter_end(struct waiter *waiter)
{
	return waiter_end_many(waiter, NULL);
}

int waiter_interrupt(struct waiter *waiter)
{
	pthread_kill(waiter->thread, SIGUSR1);
	return waiter_end(waiter);
}

static int wait_and_end(void *context)
{
	AUTO_CLOSE int fd = open(context, O_RDWR | O_CLOEXEC);
	int result = fd < 0 ? -errno : wait_here(fd);

	return result < 0 ? -result : ENDED_WITH(result);
}

pid_t waiter_process(struct sys *sys, const char *path)
{
	pid_t pid = sys_fork(sys, wait_and_end, (void *)(uintptr_t)path);

	WAIT_UNTIL(10, blocked_in(pid, SYS_pread64));
	return pid;
}

void strike_worker(struct sys *sys)
{
	pid_t worker;

	WAIT_UNTIL(10, (worker = sys_worker(sys)) > 0);
	kill(worker, SIGKILL);
}

static void interrupted(int number)
{
	(void)number;
}

void catch_interrupts(void)
{
	struct sigaction action = {.sa_handler = interrupted};

	sigaction(SIGUSR1, &action, NULL);
}
