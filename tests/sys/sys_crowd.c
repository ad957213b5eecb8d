/* Many processes of few users at a time: who has many does not keep another one waiting, and what
 * was read and not begun yet when a worker is killed is done once all the same. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sys/hostile.h"
#include "tests/sys/leaks.h"
#include "tests/sys/waitables.h"

enum { MANY = 64, USERS = 3, PROCESSES = 24, KILLS = TEST_SANITIZED ? 25 : 100 };
enum { SOONEST_MS = TEST_SANITIZED ? 60 : 10, LATEST_MS = TEST_SANITIZED ? 120 : 30 };

/* --- many who do nothing but hammer the mount --- */

static int open_and_close(struct flood *f, int who, long count)
{
	int fd;

	(void)who;
	(void)count;
	fd = open(sys_path(f->sys, "honest"), O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -1 : close(fd);
}

static int look(struct flood *f, int who, long count)
{
	struct stat st;

	return lstat(sys_path(f->sys, "none%d-%ld", who, count), &st) < 0 && errno == ENOENT ? 0
											     : -1;
}

static void many_wait_for_themselves(void **state)
{
	struct sys *sys = *state;
	struct honest *honest;

	sys_time_limit(sys, 120);
	sys_mount(sys, NULL);
	honest = honest_start(sys);
	assert_true(flood_run(sys, honest, "64 who open", open_and_close, MANY, 2) > MANY);
	assert_true(flood_run(sys, honest, "64 who look for names", look, MANY, 2) > MANY);
	honest_end(honest);
}

/* --- the same under kills --- */

struct crowd {
	struct sys *sys;
	volatile int stop;
	_Atomic int next;
	_Atomic uint64_t rounds, longest_ns;
};

/* Each of these can be done once only. */
static int names_once(struct sys *sys, int who, uint64_t round)
{
	const char *a = sys_path(sys, "p%d/a%llu", who, (unsigned long long)round);
	const char *b = sys_path(sys, "p%d/b%llu", who, (unsigned long long)round);
	int fd = open(a, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK(ftruncate(fd, 4096) == 0);
	close(fd);
	CHECK(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE) == 0);
	CHECK(unlink(a) < 0 && errno == ENOENT);
	CHECK(unlink(b) == 0);
	return 0;
}

/* Who takes has released before: nobody waits for ever. */
static int token_once(int fd)
{
	CHECK(words(fd, "release\n") == 8);
	CHECK(wait_here(fd) == WAIT_ACQUIRED);
	return 0;
}

static int be_one(void *context)
{
	struct crowd *crowd = context;
	int who = crowd->next++;

	CHECK(become(1000 + (uid_t)(who % USERS)) == 0);
	AUTO_CLOSE int fd = open(sys_path(crowd->sys, "tokens"), O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(mkdir(sys_path(crowd->sys, "p%d", who), 0755) == 0);
	for (uint64_t round = 0; !crowd->stop; round++) {
		uint64_t began = clock_ns(CLOCK_MONOTONIC), took;

		CHECK(names_once(crowd->sys, who, round) == 0);
		CHECK(token_once(fd) == 0);
		took = clock_ns(CLOCK_MONOTONIC) - began;
		crowd->rounds++;
		if (took > crowd->longest_ns)
			crowd->longest_ns = took;
	}
	CHECK(rmdir(sys_path(crowd->sys, "p%d", who)) == 0);
	return 0;
}

static void once_in_a_crowd(void **state)
{
	struct sys *sys = *state;
	struct crowd *crowd =
	    mmap(NULL, sizeof *crowd, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *path;
	pid_t pids[PROCESSES];
	struct leaks before;
	unsigned kills;

	assert_true(crowd != MAP_FAILED);
	crowd->sys = sys;
	sys_time_limit(sys, 120);
	sys_mount(sys, NULL);
	assert_int_equal(chmod(sys->mnt, 01777), 0);
	path = make_semaphore(sys, "tokens", 5, 1 << 20);
	assert_int_equal(chmod(path, 0666), 0);
	sys_kill_worker(sys);
	before = leaks_count(sys);
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = sys_fork(sys, be_one, crowd);
	sys_start_killer(sys, SOONEST_MS, LATEST_MS);
	WAIT_UNTIL(60, sys_status_number(sys, "restarts") >= KILLS);
	kills = sys_stop_killer(sys);
	crowd->stop = 1;
	for (int i = 0; i < PROCESSES; i++)
		assert_int_equal(sys_wait(sys, pids[i]), 0);
	sys_say(
	    "%d processes of %d users, %u kills, %llu rounds of 8 requests and more, the longest "
	    "took %llu ms",
	    PROCESSES, USERS, kills, (unsigned long long)crowd->rounds,
	    (unsigned long long)crowd->longest_ns / 1000000);
	assert_true(crowd->rounds > kills);
	AUTO_FREE char *left = sys_xattr(path, "user.mapping.state");
	assert_non_null(left);
	assert_string_equal(left, "5 of 1048576");
	leaks_check(sys, &before);
	munmap(crowd, sizeof *crowd);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(many_wait_for_themselves),
    SYS_TEST_BOTH_MODES(once_in_a_crowd),
};

int main(void)
{
	return sys_run_tests("crowd", tests);
}
