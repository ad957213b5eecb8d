/* A real systemd, with the unit as it is installed: the service is begun, all its processes are
 * killed, it is reloaded and ended, and nobody who uses the mount notices. systemd runs as the
 * first process of namespaces of its own (helpers/systemd.sh). */
#include <ctype.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sys/objects.h"
#include "tests/sys/storm_crowd.h"

enum { LOADS = 2, KILLS = 3, RELOADS = 3 };

struct inside {
	pid_t systemd;
	struct storm_load *load;
};

struct systemd {
	struct sys *sys;
	pid_t starter, pid; /* unshare(1); systemd */
	char unit[128];
	struct storm_crowd crowd;
	struct inside inside[LOADS];
	char mnt[sizeof((struct sys *)0)->mnt]; /* as it is called in there */
};

/* --- systemd --- */

static const char units[] =
    "set -e; cd %s; mkdir -p units/mappingfs@.service.d mnt\n"
    "cp %s/fs/mappingfs@.service units\n"
    /* Not the machine's services with it. */
    "printf '[Unit]\\nDefaultDependencies=no\\n' >units/test.target\n"
    "printf '[Unit]\\nDefaultDependencies=no\\n[Service]\\nEnvironment=MAPPINGFS_OPTIONS=%s\\n"
    "StandardOutput=append:%s/service.log\\nStandardError=inherit\\n' "
    ">units/mappingfs@.service.d/test.conf\n"
    "systemd-escape --path %s/mnt";

/* The first process of its namespace: the child of the starter, once it is systemd. */
static pid_t find_systemd(pid_t starter)
{
	char path[64], name[32] = "";
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", starter, starter);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	fclose(file);
	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (!fgets(name, sizeof name, file))
		name[0] = '\0';
	fclose(file);
	return strcmp(name, "systemd\n") == 0 ? pid : 0;
}

/* Runs in there; the exit status, what it printed in sys->output. */
#define INSIDE(systemd, command, ...)                                                              \
	sys_shell((systemd)->sys, "nsenter -t %d --mount --pid --cgroup --uts " command,           \
		  (systemd)->pid, ##__VA_ARGS__)

static bool is_up(struct systemd *d)
{
	if (!d->pid)
		d->pid = find_systemd(d->starter);
	return d->pid && INSIDE(d, "systemctl is-system-running 2>&1") == 0;
}

static void tell_log(struct sys *sys)
{
	sys_shell(sys, "cd %s; tail -n 20 systemd.log service.log", sys->dir);
	sys_say("%s", sys->output);
}

static void systemd_start(struct systemd *d, struct sys *sys)
{
	const char *mode = sys->mode == SYS_CACHED ? "mode=cached" : "mode=passthrough";

	*d = (struct systemd){.sys = sys};
	if (geteuid() != 0 || access("/lib/systemd/systemd", X_OK) < 0)
		sys_skip("no systemd, or not root");
	assert_int_equal(sys_shell(sys, units, sys->dir, TEST_SOURCE_DIR, mode, sys->dir, sys->dir),
			 0);
	sys->output[strcspn(sys->output, "\n")] = '\0';
	snprintf(d->unit, sizeof d->unit, "mappingfs@%.100s.service", sys->output);
	d->starter = sys_start(sys, NULL, NULL, "exec sh %s/systemd.sh %s %s", TEST_HELPER_DIR,
			       sys->dir, TEST_BIN_DIR);
	if (!BECOMES_TRUE(20, is_up(d))) {
		tell_log(sys);
		fail_msg("systemd does not begin");
	}
	snprintf(d->mnt, sizeof d->mnt, "%s/mnt", sys->dir);
	/* Through there its mounts are seen from here. */
	snprintf(sys->mnt, sizeof sys->mnt, "/proc/%d/root%s/mnt", d->pid, sys->dir);
}

static void systemd_end(struct systemd *d)
{
	sys_kill(d->sys, d->starter); /* and with it all that is in there */
	WAIT_UNTIL(20, sys_shell(d->sys, "find $(cat %s/cgroup) -depth -type d -exec rmdir {} +",
				 d->sys->dir) == 0);
}

static long show(struct systemd *d, const char *property)
{
	assert_int_equal(INSIDE(d, "systemctl show -P %s '%s'", property, d->unit), 0);
	if (!isdigit((unsigned char)d->sys->output[0]))
		fail_msg("%s: %s", property, d->sys->output);
	return strtol(d->sys->output, NULL, 10);
}

static bool is_active(struct systemd *d)
{
	return INSIDE(d, "systemctl is-active '%s' >/dev/null", d->unit) == 0;
}

/* --- who uses the mount --- */

static int enter(pid_t systemd)
{
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, systemd, 0);

	return pidfd < 0 ? -1 : setns(pidfd, CLONE_NEWNS | CLONE_NEWPID);
}

/* Its children are in both namespaces. */
static int load_inside(void *context)
{
	struct inside *inside = context;
	int status;
	pid_t pid;

	CHECK(enter(inside->systemd) == 0);
	pid = fork();
	if (pid == 0)
		_exit(storm_load_run(inside->load));
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void loads_start(struct systemd *d)
{
	storm_prepare(&d->crowd, d->sys, LOADS);
	for (unsigned i = 0; i < LOADS; i++) {
		d->crowd.loads[i].mnt = d->mnt;
		d->inside[i] = (struct inside){d->pid, &d->crowd.loads[i]};
		d->crowd.pids[i] = sys_fork(d->sys, load_inside, &d->inside[i]);
	}
}

/* Everybody has gone on. */
static void loads_go_on(const struct systemd *d)
{
	const struct storm *storm = d->crowd.storm;

	for (unsigned i = 0; i < LOADS; i++) {
		uint64_t done = storm->rounds[i];

		WAIT_UNTIL(20, storm->rounds[i] > done + 50);
	}
}

static void loads_end(struct systemd *d)
{
	struct storm_total total = storm_stop(&d->crowd, d->sys);

	sys_say("all killed %d times, reloaded %d times: %llu operations, the longest took %llu ms",
		KILLS, RELOADS, (unsigned long long)total.rounds,
		(unsigned long long)total.longest_ns / 1000000);
	assert_int_equal(total.failed, 0);
}

/* --- the test --- */

static void kill_all(struct systemd *d, long restarts)
{
	assert_int_equal(INSIDE(d, "systemctl kill --signal=KILL --kill-who=all '%s'", d->unit), 0);
	WAIT_UNTIL(20, show(d, "NRestarts") > restarts && is_active(d));
}

static void nobody_notices(void **state)
{
	struct sys *sys = *state;
	struct systemd d;
	const char *why;
	char *view;

	if (sys->mode == SYS_PASSTHROUGH && !sys_passthrough_possible(&why))
		sys_skip("passthrough cannot be had: %s", why);
	sys_time_limit(sys, 120);
	systemd_start(&d, sys);
	if (INSIDE(&d, "systemctl start '%s' 2>&1", d.unit) != 0) {
		sys_say("%s", sys->output);
		tell_log(sys);
		fail_msg("the service does not begin");
	}
	assert_true(show(&d, "NFileDescriptorStore") >= 6);
	loads_start(&d);
	object_make(sys, "kept", WIRE_SET_SIZE, 4096, -1);
	view = view_of(sys_path(sys, "kept"), O_RDWR, 4096, PROT_READ | PROT_WRITE, MAP_SHARED);
	view[7] = 'k';
	for (long i = 0; i < KILLS; i++) {
		loads_go_on(&d);
		kill_all(&d, i);
	}
	for (int i = 0; i < RELOADS; i++) {
		loads_go_on(&d);
		assert_int_equal(INSIDE(&d, "systemctl reload '%s'", d.unit), 0);
		assert_true(is_active(&d));
	}
	loads_go_on(&d);
	loads_end(&d);
	assert_int_equal(show(&d, "NRestarts"), KILLS);
	object_check_service(sys);
	assert_int_equal(view[7], 'k');
	munmap(view, 4096);
	/* The end takes all back. */
	if (INSIDE(&d, "systemctl stop '%s' 2>&1", d.unit) != 0)
		fail_msg("stop: %s", sys->output);
	assert_int_equal(INSIDE(&d, "systemctl show -P Result '%s' | grep -qx success", d.unit), 0);
	assert_int_equal(show(&d, "NFileDescriptorStore"), 0);
	assert_int_equal(INSIDE(&d, "sh -c '! findmnt -t fuse.mappingfs %s/mnt'", sys->dir), 0);
	systemd_end(&d);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(nobody_notices),
};

int main(void)
{
	return sys_run_tests("systemd", tests);
}
