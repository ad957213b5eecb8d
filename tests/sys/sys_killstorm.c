/* The worker is killed hundreds of times under a mixed load of several processes: no caller sees an
 * error, nothing is lost, done twice or leaked. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"
#include "tests/sys/storm_load.h"

enum { KILLS = TEST_SANITIZED ? 60 : 300 };

static struct storm_load loads[STORM_LOADS];

static void make_places(struct sys *sys, struct storm *storm)
{
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	assert_int_equal(mkdir(sys_path(sys, "shared"), 0777), 0);
	assert_int_equal(chmod(sys_path(sys, "shared"), 0777), 0);
	assert_int_equal(chmod(sys->dir, 0777), 0);
	const char *counter = sys_path(sys, "shared/counter");
	assert_int_equal(mknod(counter, S_IFREG | 0600, 0), 0);
	assert_int_equal(chmod(counter, 0666), 0);
	assert_int_equal(truncate(counter, 4096), 0);
	for (unsigned i = 0; i < STORM_LOADS; i++) {
		const char *directory = sys_path(sys, "load%u", i);
		loads[i] = (struct storm_load){
		    storm, sys->mnt, sys->dir, i, i % 3 == 2 ? uid : 0, sys->reference};
		assert_int_equal(mkdir(directory, 0755), 0);
		assert_int_equal(chown(directory, loads[i].uid, loads[i].uid), 0);
	}
}

static uint64_t counter_value(struct sys *sys)
{
	uint64_t value = 0;
	AUTO_CLOSE int fd = open(sys_path(sys, "shared/counter"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, &value, sizeof(value), 0), sizeof(value));
	return value;
}

static bool all_alive(const pid_t *pids)
{
	for (int i = 0; i < STORM_LOADS; i++) {
		siginfo_t ended = {0};
		if (waitid(P_PID, (id_t)pids[i], &ended, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    ended.si_pid != 0)
			return false;
	}
	return true;
}

static void storm_of_kills(void **state)
{
	struct sys *sys = *state;
	pid_t pids[STORM_LOADS];
	uint64_t rounds = 0, locked = 0, longest = 0;
	const char *name = "none";
	struct storm *storm =
	    mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	sys_time_limit(sys, 240);
	sys_mount(sys, "size=256m");
	make_places(sys, storm);
	sys_kill_worker(sys); /* so that a worker of the same kind is counted before and after */
	struct leaks before = leaks_count(sys);

	for (int i = 0; i < STORM_LOADS; i++)
		pids[i] = sys_fork(sys, storm_load_run, &loads[i]);
	sys_start_killer(sys, 15, 30);
	while (all_alive(pids) && (sys->reference ? storm->rounds[0] < 2000
						  : sys_status_number(sys, "restarts") < KILLS))
		usleep(20000);
	unsigned kills = sys_stop_killer(sys);
	storm->stop = 1;
	int failed = 0;
	for (int i = 0; i < STORM_LOADS; i++) {
		failed += sys_wait(sys, pids[i]) != 0;
		rounds += storm->rounds[i];
		locked += storm->locked[i];
		if (storm->longest_ns[i] > longest) {
			longest = storm->longest_ns[i];
			name = storm->longest[i];
		}
	}
	sys_say("%u kills, %llu operations, the longest (%s) took %llu ms", kills,
		(unsigned long long)rounds, name, (unsigned long long)longest / 1000000);
	assert_int_equal(failed, 0);
	assert_true(sys->reference || kills >= KILLS - 1);
	assert_true(rounds > kills);
	assert_int_equal(counter_value(sys), locked);
	assert_true(locked > 0);
	leaks_check(sys, &before);
	munmap(storm, sizeof(*storm));
}

/* Without kills: what leaks then has nothing to do with restarts. */
static void load_without_kills(void **state)
{
	struct sys *sys = *state;
	pid_t pids[STORM_LOADS];
	uint64_t rounds = 0, locked = 0;
	struct storm *storm =
	    mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	sys_mount(sys, "size=256m");
	make_places(sys, storm);
	struct leaks before = leaks_count(sys);
	for (int i = 0; i < STORM_LOADS; i++)
		pids[i] = sys_fork(sys, storm_load_run, &loads[i]);
	WAIT_UNTIL(40, !all_alive(pids) || storm->rounds[0] > 2000);
	storm->stop = 1;
	for (int i = 0; i < STORM_LOADS; i++) {
		assert_int_equal(sys_wait(sys, pids[i]), 0);
		rounds += storm->rounds[i];
		locked += storm->locked[i];
	}
	sys_say("%llu operations", (unsigned long long)rounds);
	assert_int_equal(counter_value(sys), locked);
	assert_true(sys->reference || sys_status_number(sys, "restarts") == 0);
	leaks_check(sys, &before);
	munmap(storm, sizeof(*storm));
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(load_without_kills),
    SYS_TEST_BOTH_MODES(storm_of_kills),
};

int main(void)
{
	return sys_run_tests("killstorm", tests);
}
