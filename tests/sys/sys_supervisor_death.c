/* The supervisor is killed, alone, at any moment: nobody notices. Another takes its place, with all
 * it held. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"
#include "tests/sys/reaper.h"
#include "tests/sys/storm_crowd.h"

enum { TAKEOVERS = 12, KILLS = TEST_SANITIZED ? 40 : 120, MOUNTS = 12 };

static void kill_supervisor(struct sys *sys)
{
	WAIT_UNTIL(20, sys_standby(sys) > 0);
	assert_int_equal(kill(sys->supervisor, SIGKILL), 0);
	sys_learn_successor(sys);
}

static int wait_in_line(void *context)
{
	struct sys *sys = context;
	char line[64] = "";
	AUTO_CLOSE int fd = open(sys_path(sys, "event"), O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(pread(fd, line, sizeof line - 1, 0) > 0);
	CHECK(!strcmp(line, "signaled\n"));
	return 0;
}

static bool is_gone(struct sys *sys)
{
	return sys_shell(sys, "grep -q ' %s ' /proc/self/mountinfo", sys->mnt) != 0;
}

static void ends_cleanly(struct sys *sys)
{
	sys_unmount(sys);
	assert_true(is_gone(sys));
}

/* One after another: the same worker serves on, and what is held stays held. */
static void nobody_notices(void **state)
{
	struct sys *sys = *state;
	const char *file;
	pid_t worker, waiter;
	char *view;

	sys_mount(sys, NULL);
	worker = sys_worker(sys);
	assert_int_equal(sys_shell(sys, "mapctl --mount %s create event --type event", sys->mnt),
			 0);
	AUTO_CLOSE int plain = make_plain_file(sys, "plain", 8192, &file);
	object_make(sys, "bound", WIRE_BIND, 0, plain);
	object_make(sys, "memory", WIRE_SET_SIZE, 8192, -1);
	view = view_of(sys_path(sys, "memory"), O_RDWR, 8192, PROT_READ | PROT_WRITE, MAP_SHARED);
	waiter = sys_fork(sys, wait_in_line, sys);
	for (int i = 0; i < TAKEOVERS; i++) {
		kill_supervisor(sys);
		view[i] = (char)i;
		object_check_service(sys);
	}
	assert_int_equal(sys_status_number(sys, "takeovers"), TAKEOVERS);
	assert_int_equal(sys_status_number(sys, "restarts"), 0);
	assert_int_equal(sys_worker(sys), worker);
	/* The new one holds what the old one held, and takes what is given to it. */
	object_make(sys, "bound2", WIRE_BIND, 0, plain);
	sys_kill_worker(sys);
	AUTO_FREE char *pattern = malloc(8192);
	for (int i = 0; i < 2; i++) {
		AUTO_CLOSE int fd =
		    open(sys_path(sys, i ? "bound2" : "bound"), O_RDONLY | O_CLOEXEC);
		assert_int_equal(pread(fd, pattern, 8192, 0), 8192);
		assert_true(has_pattern(pattern, 0, 8192));
	}
	assert_int_equal(view[TAKEOVERS - 1], TAKEOVERS - 1);
	assert_int_equal(sys_shell(sys, "echo set >%s/event", sys->mnt), 0);
	assert_int_equal(sys_wait(sys, waiter), 0);
	munmap(view, 8192);
	ends_cleanly(sys);
}

static void signals_reach_the_successor(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, NULL);
	kill_supervisor(sys);
	assert_int_equal(kill(sys->supervisor, SIGTERM), 0);
	WAIT_UNTIL(20, is_gone(sys));
	WAIT_UNTIL(20, sys_worker(sys) == 0 && sys_standby(sys) == 0);
	sys->mounted = false;
	close(sys->supervisor_pidfd);
	sys->supervisor_pidfd = -1;
}

/* While it mounts, binds the socket, reports: the command says that it is done, and it is. */
static void killed_while_it_begins(void **state)
{
	struct sys *sys = *state;
	unsigned begun = 0;

	sys_time_limit(sys, 120);
	for (int i = 0; i < MOUNTS; i++) {
		pid_t command =
		    sys_start(sys, NULL, NULL, "exec mappingfs -o mode=%s %s",
			      sys->mode == SYS_CACHED ? "cached" : "passthrough", sys->mnt);
		pid_t standby, parent = 0;
		char path[64];
		FILE *file;

		WAIT_UNTIL(20, (standby = sys_standby(sys)) > 0);
		usleep((useconds_t)(i * 700));
		snprintf(path, sizeof path, "/proc/%d/stat", standby);
		file = fopen(path, "re");
		assert_non_null(file);
		assert_int_equal(fscanf(file, "%*d %*s %*c %d", &parent), 1);
		fclose(file);
		assert_true(parent > 1);
		assert_int_equal(kill(parent, SIGKILL), 0);
		assert_int_equal(sys_wait(sys, command), 0);
		sys_learn_supervisor(sys, (pid_t)sys_status_number(sys, "supervisor_pid"));
		WAIT_UNTIL(20, sys_status_number(sys, "takeovers") == 1);
		if (sys->supervisor != standby) {
			close(sys->supervisor_pidfd);
			sys_learn_supervisor(sys, standby);
		}
		object_check_service(sys);
		assert_int_equal(sys_status_number(sys, "restarts"), 0);
		begun++;
		ends_cleanly(sys);
	}
	sys_say("%u mounts", begun);
}

/* The end may be interrupted, too. */
static void killed_while_it_ends(void **state)
{
	struct sys *sys = *state;
	unsigned unheard = 0;

	sys_time_limit(sys, 120);
	for (int i = 0; i < MOUNTS; i++) {
		pid_t standby;

		sys_mount(sys, NULL);
		WAIT_UNTIL(20, (standby = sys_standby(sys)) > 0);
		assert_int_equal(kill(sys->supervisor, SIGTERM), 0);
		usleep((useconds_t)(i * 400));
		kill(sys->supervisor, SIGKILL);
		/* What it had not read yet died with it. */
		if (!BECOMES_TRUE(2, is_gone(sys))) {
			unheard++;
			assert_int_equal(kill(standby, SIGTERM), 0);
		}
		WAIT_UNTIL(20, is_gone(sys));
		WAIT_UNTIL(20, sys_worker(sys) == 0 && sys_standby(sys) == 0);
		sys->mounted = false;
		close(sys->supervisor_pidfd);
		sys->supervisor_pidfd = -1;
	}
	sys_say("%d ends, %u not heard of", MOUNTS, unheard);
	assert_true(unheard < MOUNTS);
}

static long wakeups(pid_t pid)
{
	char path[64], line[256];
	long count = -1;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		sscanf(line, "voluntary_ctxt_switches: %ld", &count);
	if (file)
		fclose(file);
	return count;
}

static void the_standby_sleeps(void **state)
{
	struct sys *sys = *state;
	long before;

	sys_mount(sys, NULL);
	WAIT_UNTIL(20, sys_standby(sys) > 0);
	usleep(100000);
	before = wakeups(sys_standby(sys));
	for (int i = 0; i < 20; i++)
		object_check_service(sys);
	sys_kill_worker(sys);
	assert_int_equal(wakeups(sys_standby(sys)), before);
}

/* --- under load --- */

struct binder {
	struct sys *sys;
	volatile bool *stop;
	unsigned *count;
	int file;
};

/* Binds and lets go: what it says to the supervisor must be heard. */
static int bind_again_and_again(void *context)
{
	struct binder *b = context;
	char path[300];

	while (!*b->stop) {
		snprintf(path, sizeof path, "%s/binding", b->sys->mnt);
		int rc = object_create(b->sys->mnt, path, 0600, WIRE_BIND, 0, b->file);

		if (rc)
			sys_say("binding: %s", strerror(-rc));
		CHECK(rc == 0);
		CHECK(unlink(path) == 0);
		(*b->count)++;
	}
	return 0;
}

/* Takes and gives back: the count must be right at the end. */
static int take_and_give(void *context)
{
	struct binder *b = context;
	AUTO_CLOSE int fd = open(sys_path(b->sys, "tickets"), O_RDWR | O_CLOEXEC);
	char line[32];

	CHECK(fd >= 0);
	while (!*b->stop) {
		CHECK(pread(fd, line, sizeof line, 0) == 9);
		CHECK(pwrite(fd, "release\n", 8, 0) == 8);
		(*b->count)++;
	}
	return 0;
}

static void all_of_them_in_any_order(void **state)
{
	enum { TAKERS = 3 };
	struct sys *sys = *state;
	struct shared {
		volatile bool stop;
		unsigned count[TAKERS + 1];
	} *shared =
	    mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct storm_crowd crowd;
	pid_t others[TAKERS + 1], reaper_pid;
	struct binder b[TAKERS + 1];
	const char *file;
	struct reaper *reaper;
	unsigned kills;

	sys_time_limit(sys, 240);
	sys_mount(sys, "size=256m");
	storm_prepare(&crowd, sys, STORM_LOADS);
	assert_int_equal(
	    sys_shell(sys, "mapctl --mount %s create tickets --type semaphore --initial 2 --max 2",
		      sys->mnt),
	    0);
	AUTO_CLOSE int plain = make_plain_file(sys, "plain", 4096, &file);
	sys_kill_worker(sys);
	kill_supervisor(sys); /* so that processes of the same kind are counted */
	WAIT_UNTIL(20, sys_standby(sys) > 0);
	struct leaks before = leaks_count(sys);

	storm_start(&crowd, sys);
	for (int i = 0; i <= TAKERS; i++) {
		b[i] = (struct binder){sys, &shared->stop, &shared->count[i], plain};
		others[i] =
		    sys_fork(sys, i == TAKERS ? bind_again_and_again : take_and_give, &b[i]);
	}
	reaper = reaper_start(sys, 1, 60, &reaper_pid);
	WAIT_UNTIL(120, reaper->kills[0] + reaper->kills[1] + reaper->kills[2] >= KILLS ||
			    waitid(P_PID, (id_t)reaper_pid, &(siginfo_t){0},
				   WEXITED | WNOHANG | WNOWAIT) < 0);
	kills = reaper_stop(reaper, reaper_pid);
	struct storm_total total = storm_stop(&crowd, sys);
	shared->stop = true;
	for (int i = 0; i <= TAKERS; i++) {
		total.failed += sys_wait(sys, others[i]) != 0;
		assert_true(shared->count[i] > 0);
		total.rounds += shared->count[i];
	}
	sys_say("%llu operations, %u bindings, %u failed; the longest took %llu ms",
		(unsigned long long)total.rounds, shared->count[TAKERS], total.failed,
		(unsigned long long)total.longest_ns / 1000000);
	assert_int_equal(total.failed, 0);
	assert_true(kills >= KILLS);
	assert_true(text_xattr_is(sys_path(sys, "tickets"), "user.mapping.state", "2 of 2"));
	WAIT_UNTIL(20, sys_standby(sys) > 0);
	leaks_check(sys, &before);
	munmap(shared, sizeof *shared);
	ends_cleanly(sys);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(nobody_notices),          SYS_TEST_BOTH_MODES(signals_reach_the_successor),
    SYS_TEST_PASSTHROUGH(killed_while_it_begins), SYS_TEST_PASSTHROUGH(killed_while_it_ends),
    SYS_TEST_PASSTHROUGH(the_standby_sleeps),     SYS_TEST_BOTH_MODES(all_of_them_in_any_order),
};

int main(void)
{
	return sys_run_tests("supervisor_death", tests);
}
