/* Another program takes over from the running one: under load, without an error; one that cannot is
 * refused, or given up, and the running one goes on. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"
#include "tests/sys/storm_crowd.h"

enum { UPGRADES = 8, OBJECTS = TEST_SANITIZED ? 2000 : 10000 };

#define OLD_VERSION MAPPINGFS_VERSION
#define NEW_VERSION "0.1.7"

static const char *bin(void)
{
	return getenv("MAPPINGFS_BIN") ? getenv("MAPPINGFS_BIN") : TEST_BIN_DIR;
}

/* The programs in a directory of their own. As packages do it: a new file under the old name. */
static void install(struct sys *sys)
{
	assert_int_equal(sys_shell(sys,
				   "mkdir -p %s/bin && cd %s/bin && for p in mappingfs "
				   "mappingfs-worker; do cp %s/$p .$p && mv .$p $p; done",
				   sys->dir, sys->dir, bin()),
			 0);
}

/* The same with another version in it. */
static void install_newer(struct sys *sys)
{
	install(sys);
	assert_int_equal(sys_shell(sys,
				   "cd %s/bin && sed -i 's/%s/%s/g' mappingfs mappingfs-worker",
				   sys->dir, OLD_VERSION, NEW_VERSION),
			 0);
}

static void mount_installed(struct sys *sys, const char *options)
{
	const char *mode = sys->mode == SYS_CACHED ? "cached" : "passthrough", *why;

	if (sys->mode == SYS_PASSTHROUGH && !sys_passthrough_possible(&why))
		sys_skip("passthrough cannot be had: %s", why);
	install(sys);
	assert_int_equal(
	    sys_shell(sys, "%s/bin/mappingfs -o mode=%s,%s %s", sys->dir, mode, options, sys->mnt),
	    0);
	sys_learn_supervisor(sys, (pid_t)sys_status_number(sys, "supervisor_pid"));
}

static int upgrade(struct sys *sys)
{
	return sys_shell(sys, "mapctl upgrade %s", sys->mnt);
}

static bool version_is(struct sys *sys, const char *version)
{
	json_t *status = sys_status(sys);
	bool same =
	    !strcmp(json_string_value(json_object_get(status, "version")), version) &&
	    !strcmp(json_string_value(json_object_get(status, "supervisor_version")), version);

	json_decref(status);
	return same;
}

static double stall_of_newest(struct sys *sys)
{
	json_t *status = sys_status(sys);
	double stall =
	    json_number_value(json_object_get(json_object_get(status, "upgrade"), "stall_ms"));

	json_decref(status);
	return stall;
}

static int wait_in_line(void *context)
{
	struct sys *sys = context;
	char line[64] = "";
	AUTO_CLOSE int fd = open(sys_path(sys, "event"), O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(pread(fd, line, sizeof line - 1, 0) > 0);
	return 0;
}

static void under_load(void **state)
{
	struct sys *sys = *state;
	struct storm_crowd crowd;
	pid_t supervisor, waiter;
	const char *file;
	double stall = 0;

	sys_time_limit(sys, 180);
	mount_installed(sys, "size=256m");
	supervisor = sys->supervisor;
	storm_prepare(&crowd, sys, STORM_LOADS);
	assert_int_equal(sys_shell(sys, "mapctl --mount %s create event --type event", sys->mnt),
			 0);
	AUTO_CLOSE int plain = make_plain_file(sys, "plain", 8192, &file);
	object_make(sys, "bound", WIRE_BIND, 0, plain);
	assert_int_equal(upgrade(sys), 0);
	struct leaks before = leaks_count(sys);

	waiter = sys_fork(sys, wait_in_line, sys);
	storm_start(&crowd, sys);
	for (int i = 0; i < UPGRADES; i++) {
		if (i % 2)
			install(sys);
		else
			install_newer(sys);
		if (upgrade(sys))
			fail_msg("%s", sys->output);
		assert_true(version_is(sys, i % 2 ? OLD_VERSION : NEW_VERSION));
		if (stall_of_newest(sys) > stall)
			stall = stall_of_newest(sys);
	}
	struct storm_total total = storm_stop(&crowd, sys);
	sys_say("%d upgrades, %llu operations, the longest took %.1f ms; no worker for %.1f ms",
		UPGRADES, (unsigned long long)total.rounds, (double)total.longest_ns / 1e6, stall);
	assert_int_equal(total.failed, 0);
	assert_int_equal(sys_status_number(sys, "supervisor_pid"), supervisor);
	assert_int_equal(sys_status_number(sys, "takeovers"), 0);
	AUTO_CLOSE int fd = open(sys_path(sys, "bound"), O_RDONLY | O_CLOEXEC);
	char pattern[4096];
	assert_int_equal(pread(fd, pattern, sizeof pattern, 0), sizeof pattern);
	assert_true(has_pattern(pattern, 0, sizeof pattern));
	close(steal_fd(&fd));
	assert_int_equal(sys_shell(sys, "echo set >%s/event", sys->mnt), 0);
	assert_int_equal(sys_wait(sys, waiter), 0);
	leaks_check(sys, &before);
	/* The new program's supervisor can be replaced as well. */
	WAIT_UNTIL(20, sys_standby(sys) > 0);
	kill(sys->supervisor, SIGKILL);
	sys_learn_successor(sys);
	assert_int_equal(upgrade(sys), 0);
	object_check_service(sys);
}

/* What the running program shows after an upgrade that was not one. */
static void goes_on(struct sys *sys, const char *says)
{
	if (!strstr(sys->output, says))
		fail_msg("says: %s", sys->output);
	assert_true(version_is(sys, OLD_VERSION));
	object_check_service(sys);
}

static void replace(struct sys *sys, const char *program, const char *script)
{
	assert_int_equal(sys_shell(sys,
				   "cd %s/bin && printf '%%s\\n' '#!/bin/sh' '%s' >.new && "
				   "chmod 755 .new && mv .new %s",
				   sys->dir, script, program),
			 0);
}

static void what_cannot_is_refused(void **state)
{
	static const struct {
		const char *program, *script, *says;
	} rows[] = {
	    {"mappingfs", "exit 0", "does not know how"},
	    {"mappingfs", "exit 1", "does not know how"},
	    {"mappingfs", "kill -11 $$", "dies of signal 11"},
	    {"mappingfs", "echo no such luck; exit 1", "no such luck"},
	};
	struct sys *sys = *state;
	pid_t worker;

	mount_installed(sys, "size=16m");
	worker = sys_worker(sys);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		install(sys);
		replace(sys, rows[i].program, rows[i].script);
		assert_int_equal(upgrade(sys), 1);
		goes_on(sys, rows[i].says);
	}
	for (int i = 0; i < 2; i++) {
		install(sys);
		assert_int_equal(sys_shell(sys,
					   "cp /bin/%s %s/bin/.w && mv %s/bin/.w "
					   "%s/bin/mappingfs-worker",
					   i ? "true" : "echo", sys->dir, sys->dir, sys->dir),
				 0);
		assert_int_equal(upgrade(sys), 1);
		goes_on(sys, i ? "does not run" : "another version");
	}
	for (int i = 0; i < 2; i++) {
		const char *missing = i ? "mappingfs" : "mappingfs-worker";

		install(sys);
		assert_int_equal(sys_shell(sys, "rm %s/bin/%s", sys->dir, missing), 0);
		assert_int_equal(upgrade(sys), 1);
		goes_on(sys, "refused");
		install(sys);
		assert_int_equal(sys_shell(sys, "chmod 0 %s/bin/%s", sys->dir, missing), 0);
		assert_int_equal(upgrade(sys), 1);
		goes_on(sys, "refused");
	}
	assert_int_equal(sys_worker(sys), worker); /* nothing was touched */
	assert_int_equal(sys_status_number(sys, "restarts"), 0);
}

/* It says that it can, and cannot. */
static void what_fails_is_given_up(void **state)
{
	struct sys *sys = *state;
	char real[300];

	sys_time_limit(sys, 120);
	snprintf(real, sizeof real, "%s/mappingfs-worker", bin());
	setenv("MAPPINGFS_TEST_REAL_WORKER", real, 1);
	mount_installed(sys, "size=16m");
	assert_int_equal(sys_shell(sys,
				   "cp %s/false_worker %s/bin/.w && mv %s/bin/.w "
				   "%s/bin/mappingfs-worker",
				   TEST_HELPER_BIN_DIR, sys->dir, sys->dir, sys->dir),
			 0);
	assert_int_equal(upgrade(sys), 1);
	goes_on(sys, "the former goes on");
	install(sys);
	replace(sys, "mappingfs", "[ $1 = --adopt ] || echo can take over");
	assert_int_equal(upgrade(sys), 1);
	goes_on(sys, "ended before it took over");
	install(sys);
	close(sys->supervisor_pidfd); /* the former program's standby took over */
	sys_learn_supervisor(sys, (pid_t)sys_status_number(sys, "supervisor_pid"));
	assert_int_equal(upgrade(sys), 0);
	object_check_service(sys);
}

static void strangers_are_refused(void **state)
{
	struct sys *sys = *state;
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	mount_installed(sys, "size=16m");
	assert_int_equal(sys_shell(sys,
				   "setpriv --reuid %u --regid %u --clear-groups %s/mapctl "
				   "upgrade %s",
				   uid, gid, bin(), sys->mnt),
			 1);
	goes_on(sys, "only root and who mounted it");
	assert_int_equal(sys_status_number(sys, "restarts"), 0);
	/* The signal does the same, for who may send it. */
	assert_int_equal(kill(sys->supervisor, SIGUSR2), 0);
	WAIT_UNTIL(20, sys_status_number(sys, "restarts") == 1);
	WAIT_UNTIL(20, stall_of_newest(sys) > 0);
}

/* How long it takes with many objects in use. */
static void many_objects(void **state)
{
	struct sys *sys = *state;
	double stall = 0;
	static int fds[1000];

	sys_time_limit(sys, 180);
	mount_installed(sys, "size=256m");
	for (int i = 0; i < OBJECTS; i++)
		assert_int_equal(mknod(sys_path(sys, "o%d", i), S_IFREG | 0600, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		assert_true((fds[i] = open(sys_path(sys, "o%zu", i), O_RDWR | O_CLOEXEC)) >= 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(upgrade(sys), 0);
		if (stall_of_newest(sys) > stall)
			stall = stall_of_newest(sys);
	}
	sys_say("%lld objects known: no worker for %.1f ms at most",
		sys_status_number(sys, "objects_known"), stall);
	assert_true(sys_status_number(sys, "objects_known") >= OBJECTS);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(under_load),
    SYS_TEST_PASSTHROUGH(what_cannot_is_refused),
    SYS_TEST_PASSTHROUGH(what_fails_is_given_up),
    SYS_TEST_PASSTHROUGH(strangers_are_refused),
    SYS_TEST_PASSTHROUGH(many_objects),
};

int main(void)
{
	return sys_run_tests("supervisor_upgrade", tests);
}
