#include "tests/sys/storm_crowd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void make_shared(struct sys *sys)
{
	assert_int_equal(mkdir(sys_path(sys, "shared"), 0777), 0);
	assert_int_equal(chmod(sys_path(sys, "shared"), 0777), 0);
	assert_int_equal(chmod(sys->dir, 0777), 0);
	const char *counter = sys_path(sys, "shared/counter");
	assert_int_equal(mknod(counter, S_IFREG | 0600, 0), 0);
	assert_int_equal(chmod(counter, 0666), 0);
	assert_int_equal(truncate(counter, 4096), 0);
}

static uint64_t counter_value(struct sys *sys)
{
	uint64_t value = 0;
	AUTO_CLOSE int fd = open(sys_path(sys, "shared/counter"), O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(fd, &value, sizeof value, 0), sizeof value);
	return value;
}

void storm_prepare(struct storm_crowd *crowd, struct sys *sys, unsigned count)
{
	uid_t uid;
	gid_t gid;

	*crowd = (struct storm_crowd){.count = count};
	crowd->storm = mmap(NULL, sizeof *crowd->storm, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(crowd->storm != MAP_FAILED);
	sys_ordinary_user(&uid, &gid);
	make_shared(sys);
	for (unsigned i = 0; i < count; i++) {
		const char *directory = sys_path(sys, "load%u", i);
		uid_t owner = i % 3 == 2 ? uid : 0;

		crowd->loads[i] =
		    (struct storm_load){crowd->storm, sys->mnt, sys->dir, i, owner, sys->reference};
		assert_int_equal(mkdir(directory, 0755), 0);
		assert_int_equal(chown(directory, owner, owner), 0);
	}
}

void storm_start(struct storm_crowd *crowd, struct sys *sys)
{
	for (unsigned i = 0; i < crowd->count; i++)
		crowd->pids[i] = sys_fork(sys, storm_load_run, &crowd->loads[i]);
}

bool storm_goes_on(const struct storm_crowd *crowd)
{
	for (unsigned i = 0; i < crowd->count; i++) {
		siginfo_t ended = {0};

		if (waitid(P_PID, (id_t)crowd->pids[i], &ended, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    ended.si_pid != 0)
			return false;
	}
	return true;
}

struct storm_total storm_stop(struct storm_crowd *crowd, struct sys *sys)
{
	struct storm *storm = crowd->storm;
	struct storm_total total = {.longest = "none"};

	storm->stop = 1;
	for (unsigned i = 0; i < crowd->count; i++) {
		total.failed += sys_wait(sys, crowd->pids[i]) != 0;
		total.rounds += storm->rounds[i];
		total.locked += storm->locked[i];
		if (storm->longest_ns[i] > total.longest_ns) {
			total.longest_ns = storm->longest_ns[i];
			total.longest = storm->longest[i];
		}
	}
	munmap(storm, sizeof *storm);
	if (!total.failed)
		assert_int_equal(counter_value(sys), total.locked);
	return total;
}
