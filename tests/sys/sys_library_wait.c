/* The C library: waiting for one object and for many, with and without an end, and the words. */
#include "tests/sys/library.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define MS 1000000LL

static int make(const struct mapping_mount *mount, enum mapping_type type)
{
	struct mapping_attributes a = {.type = type, .maximum = type == MAPPING_SEMAPHORE ? 3 : 0};
	int fd;

	DONE(mapping_create(mount, NULL, &a, O_RDWR, &fd, e));
	return fd;
}

static const char *state_of(int fd)
{
	static struct mapping_info info;

	DONE(mapping_get_fd(fd, &info, e));
	return info.state;
}

static int64_t now_ns(void)
{
	return (int64_t)clock_ns(CLOCK_MONOTONIC);
}

/* --- one --- */

static void events(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	AUTO_CLOSE int fd = make(mount, MAPPING_EVENT);

	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(fd, 0, e));
	DONE(mapping_event_set(fd, e));
	DONE(mapping_event_set(fd, e));
	assert_int_equal(DONE(mapping_wait(fd, MAPPING_FOREVER, e)), 0);
	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(fd, 0, e));
	DONE(mapping_event_set(fd, e));
	DONE(mapping_event_reset(fd, e));
	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(fd, 0, e));
	DONE(mapping_event_pulse(fd, e));
	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(fd, 0, e));
	DONE(mapping_signal(fd, "set", e));
	DONE(mapping_wait(fd, 1, e));
	mapping_mount_close(mount);
}

static void semaphores(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	AUTO_CLOSE int fd = make(mount, MAPPING_SEMAPHORE);

	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(fd, 0, e));
	DONE(mapping_semaphore_release(fd, 2, e));
	REFUSED(EOVERFLOW, "maximum", mapping_semaphore_release(fd, 2, e));
	assert_string_equal(state_of(fd), "2 of 3");
	REFUSED(EINVAL, "release 0", mapping_semaphore_release(fd, 0, e));
	REFUSED(EOVERFLOW, "maximum", mapping_semaphore_release(fd, UINT32_MAX, e));
	DONE(mapping_wait(fd, MAPPING_FOREVER, e));
	DONE(mapping_wait(fd, 0, e));
	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(fd, 0, e));
	mapping_mount_close(mount);
}

static void mutexes(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	struct mapping_attributes a = {.type = MAPPING_MUTEX, .owned = true};
	AUTO_CLOSE int other = -1;
	int fd;

	DONE(mapping_create(mount, "m", &a, O_RDWR, &fd, e));
	other = DONE(mapping_open(mount, "m", MAPPING_MUTEX, O_RDWR, e));
	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(other, 0, e));
	REFUSED(EPERM, "does not own", mapping_mutex_release(other, e));
	DONE(mapping_wait(fd, MAPPING_FOREVER, e)); /* again: recursive */
	DONE(mapping_mutex_release(fd, e));
	DONE(mapping_mutex_release(fd, e));
	REFUSED(EPERM, "does not own", mapping_mutex_release(fd, e));
	assert_int_equal(DONE(mapping_wait(other, 0, e)), 0);
	DONE(mapping_mutex_release(other, e));
	DONE(mapping_wait(fd, 0, e));
	close(fd); /* owned */
	assert_int_equal(DONE(mapping_wait(other, MAPPING_FOREVER, e)), MAPPING_ABANDONED);
	assert_int_equal(DONE(mapping_wait(other, 0, e)), 0);
	mapping_mount_close(mount);
}

static void timers(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	AUTO_CLOSE int fd = make(mount, MAPPING_TIMER);
	struct timespec due;
	int64_t start;

	REFUSED(EINVAL, "negative", mapping_timer_set(fd, -1, 0, e));
	REFUSED(EINVAL, "negative", mapping_timer_set(fd, 0, -1, e));
	DONE(mapping_timer_set(fd, 0, 0, e));
	DONE(mapping_wait(fd, MAPPING_FOREVER, e));
	start = now_ns();
	DONE(mapping_timer_set(fd, 30 * MS, 20 * MS, e));
	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(fd, 0, e));
	DONE(mapping_wait(fd, MAPPING_FOREVER, e));
	assert_true(now_ns() - start >= 30 * MS);
	DONE(mapping_wait(fd, MAPPING_FOREVER, e));
	assert_true(now_ns() - start >= 50 * MS);
	DONE(mapping_timer_cancel(fd, e));
	clock_gettime(CLOCK_REALTIME, &due);
	DONE(mapping_timer_set_at(fd, &due, 0, e));
	DONE(mapping_wait(fd, MAPPING_FOREVER, e));
	due.tv_sec += 3600;
	DONE(mapping_timer_set_at(fd, &due, 1, e));
	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(fd, 20 * MS, e));
	due.tv_nsec = 1000000000;
	REFUSED(EINVAL, "moment", mapping_timer_set_at(fd, &due, 0, e));
	mapping_mount_close(mount);
}

static int idle(void *context)
{
	(void)context;
	pause();
	return 0;
}

static void jobs(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);
	AUTO_CLOSE int fd = make(mount, MAPPING_JOB);
	pid_t pid = sys_fork(sys, idle, NULL);

	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(fd, 0, e));
	REFUSED(EINVAL, "negative", mapping_job_add(fd, -5, e));
	REFUSED(EINVAL, "signal", mapping_job_kill(fd, 9999, e));
	REFUSED(ESRCH, "no such process", mapping_job_add(fd, 0x3fffff, e));
	DONE(mapping_job_add(fd, pid, e));
	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(fd, 10 * MS, e));
	DONE(mapping_job_kill(fd, 0, e));
	assert_int_equal(sys_wait(sys, pid), 128 + SIGKILL);
	DONE(mapping_wait(fd, 20000 * MS, e));
	mapping_mount_close(mount);
}

/* --- the end of a wait --- */

static void times_out(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	AUTO_CLOSE int fd = make(mount, MAPPING_EVENT);
	AUTO_CLOSE int timer = make(mount, MAPPING_TIMER);
	int64_t start = now_ns(), took;

	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(fd, 50 * MS, e));
	took = now_ns() - start;
	assert_true(took >= 50 * MS && took < 5000 * MS);
	REFUSED(EINVAL, "negative", mapping_wait(fd, -1, e));
	DONE(mapping_timer_set(timer, 30 * MS, 0, e));
	DONE(mapping_wait(timer, INT64_MAX - 1, e)); /* does not wrap around */
	mapping_mount_close(mount);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
	(void)number;
	alarms = alarms + 1;
}

/* SA_RESTART or not: a signal ends the wait, and nothing was taken. */
static void signals_end_waits(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	AUTO_CLOSE int fd = make(mount, MAPPING_SEMAPHORE);
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART}, old;
	int fds[] = {fd};

	assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
	for (int i = 0; i < 4; i++) {
		/* Comes again and again, in case the first is early. */
		const struct itimerval soon = {{.tv_usec = 20000}, {.tv_usec = 20000}};
		const struct itimerval never = {0};

		assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
		if (i == 0)
			REFUSED(EINTR, "signal", mapping_wait(fd, MAPPING_FOREVER, e));
		else if (i == 1)
			REFUSED(EINTR, "signal", mapping_wait(fd, 60000 * MS, e));
		else
			REFUSED(EINTR, "signal",
				mapping_wait_many(fds, 1, i == 3, MAPPING_FOREVER, NULL, e));
		setitimer(ITIMER_REAL, &never, NULL);
	}
	assert_true(alarms >= 4);
	sigaction(SIGALRM, &old, NULL);
	DONE(mapping_semaphore_release(fd, 3, e));
	assert_string_equal(state_of(fd), "3 of 3");
	mapping_mount_close(mount);
}

static void nonblocking_handles_wait_all_the_same(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	struct mapping_attributes a = {.type = MAPPING_TIMER};
	int fd;

	DONE(mapping_create(mount, "t", &a, O_RDWR | O_NONBLOCK, &fd, e));
	DONE(mapping_timer_set(fd, 30 * MS, 0, e));
	DONE(mapping_wait(fd, MAPPING_FOREVER, e));
	REFUSED(ETIMEDOUT, "not signaled", mapping_wait(fd, 5 * MS, e));
	close(fd);
	mapping_mount_close(mount);
}

static void *kill_worker(void *context)
{
	sys_kill_worker(context);
	return NULL;
}

/* The waits stand at the kernel, not at the worker. */
static void waits_outlive_the_worker(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);
	int fds[] = {make(mount, MAPPING_EVENT), make(mount, MAPPING_TIMER)};
	pthread_t killer;
	size_t index;

	for (int i = 0; i < 3; i++) {
		DONE(mapping_timer_set(fds[1], 300 * MS, 0, e));
		assert_int_equal(pthread_create(&killer, NULL, kill_worker, sys), 0);
		if (i == 0)
			DONE(mapping_wait(fds[1], MAPPING_FOREVER, e));
		else if (i == 1)
			DONE(mapping_wait(fds[1], 60000 * MS, e));
		else
			DONE(mapping_wait_many(fds, 2, false, 60000 * MS, &index, e));
		pthread_join(killer, NULL);
	}
	assert_int_equal(index, 1);
	close(fds[0]);
	close(fds[1]);
	mapping_mount_close(mount);
}

/* --- many --- */

static void any_of_many(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	int fds[MAPPING_WAIT_MAX + 1];
	size_t index = 99;

	for (int i = 0; i < MAPPING_WAIT_MAX; i++)
		fds[i] = make(mount, MAPPING_EVENT);
	fds[MAPPING_WAIT_MAX] = fds[0];
	REFUSED(ETIMEDOUT, "not signaled", mapping_wait_many(fds, 64, false, 0, &index, e));
	assert_int_equal(index, 99);
	DONE(mapping_event_set(fds[63], e));
	DONE(mapping_event_set(fds[7], e));
	DONE(mapping_wait_many(fds, 64, false, MAPPING_FOREVER, &index, e));
	assert_int_equal(index, 7);
	DONE(mapping_wait_many(fds, 64, false, 0, &index, e));
	assert_int_equal(index, 63);
	DONE(mapping_event_set(fds[0], e));
	DONE(mapping_wait_many(fds, 1, false, 10 * MS, NULL, e));
	REFUSED(EINVAL, "1 to 64", mapping_wait_many(fds, 65, false, 0, &index, e));
	REFUSED(EINVAL, "1 to 64", mapping_wait_many(fds, 0, false, 0, &index, e));
	REFUSED(EINVAL, "negative", mapping_wait_many(fds, 1, false, -2, &index, e));
	for (int i = 0; i < MAPPING_WAIT_MAX; i++)
		close(fds[i]);
	mapping_mount_close(mount);
}

static void all_or_none(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	int fds[] = {make(mount, MAPPING_EVENT), make(mount, MAPPING_SEMAPHORE),
		     make(mount, MAPPING_MUTEX)};
	size_t index = 99;

	DONE(mapping_semaphore_release(fds[1], 1, e));
	REFUSED(ETIMEDOUT, "not signaled", mapping_wait_many(fds, 3, true, 20 * MS, &index, e));
	assert_string_equal(state_of(fds[1]), "1 of 3");
	assert_string_equal(state_of(fds[2]), "free");
	DONE(mapping_event_set(fds[0], e));
	assert_int_equal(DONE(mapping_wait_many(fds, 3, true, MAPPING_FOREVER, NULL, e)), 0);
	assert_string_equal(state_of(fds[0]), "unsignaled auto");
	assert_string_equal(state_of(fds[1]), "0 of 3");
	assert_string_equal(state_of(fds[2]), "owned 1");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	mapping_mount_close(mount);
}

static void abandoned_among_many(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	struct mapping_attributes a = {.type = MAPPING_MUTEX, .owned = true};
	int fds[3], owner;
	size_t index;

	fds[0] = make(mount, MAPPING_SEMAPHORE);
	fds[2] = make(mount, MAPPING_SEMAPHORE);
	for (int i = 0; i < 2; i++) {
		DONE(mapping_create(mount, "m", &a, O_RDWR, &owner, e));
		fds[1] = DONE(mapping_open(mount, "m", MAPPING_MUTEX, O_RDWR, e));
		close(owner);
		if (i) {
			DONE(mapping_semaphore_release(fds[0], 1, e));
			DONE(mapping_semaphore_release(fds[2], 1, e));
		}
		assert_int_equal(DONE(mapping_wait_many(fds, 3, i, MAPPING_FOREVER, &index, e)),
				 MAPPING_ABANDONED);
		assert_int_equal(index, 1);
		close(fds[1]);
		DONE(mapping_remove(mount, "m", e));
	}
	close(fds[0]);
	close(fds[2]);
	mapping_mount_close(mount);
}

/* --- what is no object to wait on, or not open for it --- */

static void wrong_descriptors(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);
	struct mapping_attributes a = {.set_size = true, .size = 4096};
	int fds[] = {make(mount, MAPPING_EVENT), -1}, pair[2], map, closed = 1000;
	AUTO_CLOSE int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int reader = -1, writer = -1, path = -1;
	struct mapping_info info;

	DONE(mapping_create(mount, NULL, &a, O_RDWR, &map, e));
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	close(library_make(mount, "e", (struct mapping_attributes){.type = MAPPING_EVENT}));
	reader = DONE(mapping_open(mount, "e", MAPPING_EVENT, O_RDONLY, e));
	writer = DONE(mapping_open(mount, "e", MAPPING_EVENT, O_WRONLY, e));
	path = open(sys_path(sys, "e"), O_PATH | O_CLOEXEC);

	REFUSED(EINVAL, "this is a mapping", mapping_wait(map, MAPPING_FOREVER, e));
	REFUSED(EINVAL, "this is a mapping", mapping_wait(map, 0, e));
	REFUSED(EINVAL, "this is a mapping", mapping_event_set(map, e));
	REFUSED(EINVAL, "this is a mapping", mapping_signal(map, "release", e));
	REFUSED(EINVAL, "not an object", mapping_wait(file, 0, e));
	REFUSED(EINVAL, "not an object", mapping_wait(file, MAPPING_FOREVER, e));
	REFUSED(EINVAL, "not an object", mapping_event_set(file, e));
	REFUSED(EINVAL, "FIFO", mapping_wait(pair[0], MAPPING_FOREVER, e));
	REFUSED(EINVAL, "FIFO", mapping_wait(pair[0], 0, e));
	REFUSED(EBADF, "for reading", mapping_wait(writer, MAPPING_FOREVER, e));
	REFUSED(EBADF, "for reading", mapping_wait(writer, 0, e));
	REFUSED(EBADF, "for reading", mapping_wait(path, 0, e));
	REFUSED(EBADF, "for writing", mapping_event_set(reader, e));
	REFUSED(EBADF, "", mapping_wait(closed, 0, e));
	REFUSED(EBADF, "", mapping_wait(closed, MAPPING_FOREVER, e));
	REFUSED(EBADF, "", mapping_event_set(closed, e));
	fds[1] = map;
	REFUSED(EINVAL, "object 2 of 2: this is a mapping",
		mapping_wait_many(fds, 2, false, 0, NULL, e));
	fds[1] = writer;
	REFUSED(EBADF, "for reading", mapping_wait_many(fds, 2, false, 0, NULL, e));
	DONE(mapping_get_fd(map, &info, e));
	assert_int_equal(info.size, 4096);
	close(pair[0]);
	close(pair[1]);
	close(map);
	close(fds[0]);
	mapping_mount_close(mount);
}

static void wrong_words(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	AUTO_CLOSE int event = make(mount, MAPPING_EVENT);
	AUTO_CLOSE int timer = make(mount, MAPPING_TIMER);
	char longest[400];

	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	REFUSED(EINVAL, "its words: set, reset, pulse", mapping_signal(event, "release", e));
	REFUSED(EINVAL, "its words: set, reset, pulse", mapping_semaphore_release(event, 1, e));
	REFUSED(EINVAL, "its words: set, reset, pulse", mapping_timer_set(event, 1, 0, e));
	REFUSED(EINVAL, "its words: set DUE", mapping_event_set(timer, e));
	REFUSED(EINVAL, "one line", mapping_signal(event, "", e));
	REFUSED(EINVAL, "one line", mapping_signal(event, "set\nreset", e));
	REFUSED(EINVAL, "one line", mapping_signal(event, longest, e));
	assert_string_equal(state_of(event), "unsignaled auto");
	mapping_mount_close(mount);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(events),
    SYS_TEST_BOTH_MODES(semaphores),
    SYS_TEST_BOTH_MODES(mutexes),
    SYS_TEST_BOTH_MODES(timers),
    SYS_TEST_BOTH_MODES(jobs),
    SYS_TEST_BOTH_MODES(times_out),
    SYS_TEST_BOTH_MODES(signals_end_waits),
    SYS_TEST_BOTH_MODES(nonblocking_handles_wait_all_the_same),
    SYS_TEST_BOTH_MODES(waits_outlive_the_worker),
    SYS_TEST_BOTH_MODES(any_of_many),
    SYS_TEST_BOTH_MODES(all_or_none),
    SYS_TEST_BOTH_MODES(abandoned_among_many),
    SYS_TEST_BOTH_MODES(wrong_descriptors),
    SYS_TEST_BOTH_MODES(wrong_words),
};

int main(void)
{
	return sys_run_tests("library: waiting", tests);
}
