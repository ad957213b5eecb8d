/* What changes objects to wait on: words, and waits that take. */
#include "tests/points/crash_table.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long say(int fd, const char *words)
{
	ssize_t done = pwrite(fd, words, strlen(words), 0);

	return done < 0 ? -(long)errno : (long)done;
}

static long take(struct world *w, char *text)
{
	ssize_t got = pread(w->fds[0], text, CRASH_TEXT_MAX - 1, 0);

	return got < 0 ? -(long)errno : 0;
}

#define SAYS(name, words)                                                                          \
	static long name(struct world *w, char *text)                                              \
	{                                                                                          \
		(void)text;                                                                        \
		return say(w->fds[0], words);                                                      \
	}
SAYS(set, "set\n")
SAYS(reset, "reset\n")
SAYS(pulse, "pulse\n")
SAYS(release, "release\n")
SAYS(release_two, "release 2\n")
SAYS(release_thrice, "release\nrelease\nrelease\n")
SAYS(release_too_many, "release\nrelease 2\nrelease 9\nrelease\n")
SAYS(release_and_nonsense, "release\nnonsense\n")
SAYS(set_far, "set 1000s\n")
SAYS(set_near, "set 0s\n")
SAYS(set_periodic, "set 1000s 500s\n")
SAYS(cancel, "cancel\n")

static long close_handle(struct world *w, char *text)
{
	(void)text;
	/* Opened and taken here: closed with this process. */
	w->fds[0] = openat(w->dir, "a", O_RDWR | O_CLOEXEC);
	return w->fds[0] < 0 ? -(long)errno : take(w, text);
}

static long take_many(struct world *w, bool all, char *text)
{
	const int fds[2] = {w->fds[0], w->fds[1]};
	size_t index = 9;
	int rc = mapping_wait_many(fds, 2, all, MAPPING_FOREVER, &index, NULL);

	snprintf(text, CRASH_TEXT_MAX, "%zu", index);
	return rc;
}

static long take_any(struct world *w, char *text)
{
	return take_many(w, false, text);
}

static long take_all(struct world *w, char *text)
{
	return take_many(w, true, text);
}

static long take_in_time(struct world *w, char *text)
{
	(void)text;
	return mapping_wait(w->fds[0], 0, NULL);
}

static long signal_and_take(struct world *w, char *text)
{
	(void)text;
	return mapping_signal_and_wait(w->fds[0], "release", w->fds[1], MAPPING_FOREVER, NULL);
}

static long signal_and_time_out(struct world *w, char *text)
{
	(void)text;
	return mapping_signal_and_wait(w->fds[0], "release", w->fds[1], 3000000, NULL);
}

static long add_child(struct world *w, char *text)
{
	(void)text;
	return mapping_job_add(w->fds[0], w->child, NULL);
}

static long add_and_kill(struct world *w, char *text)
{
	long rc = add_child(w, text);

	if (rc == 0)
		rc = mapping_job_kill(w->fds[0], SIGKILL, NULL);
	return rc < 0 ? rc : take(w, text);
}

/* The last handle of a job that is to end with it. */
static long add_and_close(struct world *w, char *text)
{
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, w->child, 0);
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	int job = openat(w->dir, "a", O_RDWR | O_CLOEXEC), rc;

	if (job < 0)
		return -(long)errno;
	rc = mapping_job_add(job, w->child, NULL);
	close(job);
	if (rc < 0)
		return rc;
	if (poll(&ended, 1, 20000) != 1)
		return -ETIME;
	w->fds[0] = openat(w->dir, "a", O_RDWR | O_CLOEXEC);
	return w->fds[0] < 0 ? -(long)errno : take(w, text);
}

const struct crash_operation crash_waits[] = {
    CRASH_ROW("event: set", "event a; open a", set, 4),
    CRASH_ROW("event: set, manual", "event a manual; open a", set, 4),
    CRASH_ROW("event: set what is set", "event a set; open a", set, 4, .unseen = true),
    CRASH_ROW("event: reset", "event a set; open a", reset, 6),
    CRASH_ROW("event: pulse, nobody waits", "event a; open a", pulse, 6, .unseen = true),
    CRASH_ROW("event: take", "event a set; open a", take, 0, .expected_text = "signaled\n"),
    CRASH_ROW("event: see, manual", "event a manual set; open a", take, 0,
	      .expected_text = "signaled\n", .unseen = true),
    CRASH_ROW("semaphore: release", "semaphore a 1 9; open a", release, 8),
    CRASH_ROW("semaphore: release two", "semaphore a 1 9; open a", release_two, 10),
    CRASH_ROW("semaphore: release thrice", "semaphore a 1 9; open a", release_thrice, 24),
    CRASH_ROW("semaphore: over its maximum", "semaphore a 9 9; open a", release, -EOVERFLOW),
    CRASH_ROW("semaphore: over its maximum in the end", "semaphore a 1 9; open a", release_too_many,
	      18),
    CRASH_ROW("semaphore: release and nonsense", "semaphore a 1 9; open a", release_and_nonsense,
	      8),
    CRASH_ROW("semaphore: take", "semaphore a 5 9; open a", take, 0, .expected_text = "acquired\n"),
    CRASH_ROW("semaphore: take in time", "semaphore a 5 9; open a", take_in_time, 0),
    CRASH_ROW("semaphore: nothing to take", "semaphore a 0 9; open a", take_in_time, -ETIMEDOUT),
    CRASH_ROW("mutex: take", "mutex a; open a", take, 0, .expected_text = "acquired\n"),
    CRASH_ROW("mutex: take again", "mutex a; open a; take @0", take, 0,
	      .expected_text = "acquired\n"),
    CRASH_ROW("mutex: release", "mutex a; open a; take @0", release, 8),
    CRASH_ROW("mutex: release one of two", "mutex a; open a; take @0; take @0", release, 8),
    CRASH_ROW("mutex: release another's", "mutex a; open a; open a; take @1", release, -EPERM),
    CRASH_ROW("mutex: take and die", "mutex a", close_handle, 0, .expected_text = "acquired\n"),
    CRASH_ROW("timer: set", "timer a; open a", set_far, 10),
    CRASH_ROW("timer: set for now", "timer a manual; open a", set_near, 7),
    CRASH_ROW("timer: set, periodic", "timer a; open a", set_periodic, 15),
    CRASH_ROW("timer: cancel", "timer a; open a; words @0 set 1000s", cancel, 7),
    CRASH_ROW("timer: take", "timer a; open a; words @0 set 0s", take, 0,
	      .expected_text = "signaled\n"),
    CRASH_ROW("job: add", "job a; open a; child", add_child, 0),
    CRASH_ROW("job: add and kill", "job a; open a; child", add_and_kill, 0,
	      .expected_text = "signaled\n"),
    CRASH_ROW("job: add and close, kill on close", "job a kill; child", add_and_close, 0,
	      .expected_text = "signaled\n"),
    CRASH_ROW("several: take any", "semaphore a 0 9; semaphore b 3 9; open a; open b", take_any, 0,
	      .expected_text = "1"),
    CRASH_ROW("several: take all", "semaphore a 2 9; event b set; open a; open b", take_all, 0,
	      .expected_text = "1"),
    CRASH_ROW("signal and take", "semaphore a 2 9; semaphore b 4 9; open a; open b",
	      signal_and_take, 0),
    CRASH_ROW("signal and time out", "semaphore a 2 9; semaphore b 0 9; open a; open b",
	      signal_and_time_out, -ETIMEDOUT),
    CRASH_ROW("signal, not possible", "semaphore a 9 9; semaphore b 4 9; open a; open b",
	      signal_and_take, -EOVERFLOW),
};
const size_t crash_waits_count = ARRAY_SIZE(crash_waits);
