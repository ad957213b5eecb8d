/* An ordinary user mounts and uses it, without any help of root. All calls into the mount are made
 * as that user: the kernel keeps everyone else out, root too. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sys/share.h"

static char as_user[256]; /* what is put before a command */

/* The programs are copied: the build may be in a directory the user cannot enter. */
static void become_able(struct sys *sys)
{
	const char *bin = getenv("MAPPINGFS_BIN");
	uid_t uid;
	gid_t gid;

	if (sys->reference)
		sys_skip("nothing to see on a plain directory");
	if (geteuid() != 0)
		sys_skip("only root can become another user");
	sys_ordinary_user(&uid, &gid);
	assert_int_equal(chmod("/dev/fuse", 0666), 0);
	assert_int_equal(chown(sys->mnt, uid, gid), 0);
	snprintf(as_user, sizeof as_user,
		 "exec setpriv --reuid %u --regid %u --clear-groups --inh-caps=-all "
		 "env PATH=%s/bin:/usr/bin:/bin HOME=%s/home",
		 uid, gid, sys->dir, sys->dir);
	assert_int_equal(sys_shell(sys,
				   "cd %s && mkdir bin home && chown %u:%u home && "
				   "cp %s/mappingfs %s/mappingfs-worker %s/mapctl %s bin/",
				   sys->dir, uid, gid, bin ? bin : TEST_BIN_DIR,
				   bin ? bin : TEST_BIN_DIR, bin ? bin : TEST_BIN_DIR, SHARE_C),
			 0);
}

static json_t *user_status(struct sys *sys)
{
	json_t *status;

	if (sys_shell(sys, "%s mapctl --mount %s status --json", as_user, sys->mnt) != 0)
		fail_msg("mapctl status: %s", sys->output);
	status = json_loads(sys->output, 0, NULL);
	if (!status)
		fail_msg("no JSON: %s", sys->output);
	return status;
}

static long long user_status_number(struct sys *sys, const char *key)
{
	json_t *status = user_status(sys);
	long long number = (long long)json_number_value(json_object_get(status, key));

	json_decref(status);
	return number;
}

static void user_mounts(struct sys *sys, const char *options)
{
	json_t *status;

	become_able(sys);
	if (sys_shell(sys, "%s mappingfs -o %s %s", as_user, options, sys->mnt) != 0)
		fail_msg("mappingfs as a user: %s", sys->output);
	sys->mounted = true;
	status = user_status(sys);
	sys_learn_supervisor(sys,
			     (pid_t)json_integer_value(json_object_get(status, "supervisor_pid")));
	assert_string_equal(json_string_value(json_object_get(status, "mode")), "cached");
	assert_true(strlen(json_string_value(json_object_get(status, "mode_reason"))) > 0);
	json_decref(status);
}

static void kill_worker(struct sys *sys)
{
	long long before = user_status_number(sys, "restarts");
	pid_t worker = sys_worker(sys);

	assert_true(worker > 0);
	assert_int_equal(kill(worker, SIGKILL), 0);
	WAIT_UNTIL(10, user_status_number(sys, "restarts") > before);
}

static void nothing_was_refused(struct sys *sys)
{
	json_t *status = user_status(sys), *c = json_object_get(status, "confinement");

	if (json_integer_value(json_object_get(c, "calls_refused")))
		fail_msg("the worker was refused system calls: %s",
			 json_string_value(json_object_get(c, "last_refused")));
	assert_true(json_integer_value(json_object_get(c, "calls_allowed")) > 50);
	json_decref(status);
}

#define USER_DOES(sys, format, ...)                                                                \
	do {                                                                                       \
		if (sys_shell(sys, "%s " format, as_user, __VA_ARGS__) != 0)                       \
			fail_msg("as the user: " format ": %s", __VA_ARGS__, (sys)->output);       \
	} while (0)

static void user_shares_pages(void **state)
{
	struct sys *sys = *state;
	struct share one, other;
	char command[512];

	user_mounts(sys, "size=32m");
	snprintf(command, sizeof command, "%s share", as_user + strlen("exec "));
	USER_DOES(sys, "mapctl --mount %s create memory --size 4M", sys->mnt);
	share_start(&one, sys, command, sys_path(sys, "memory"));
	share_start(&other, sys, command, sys_path(sys, "memory"));
	share_put(&one, 0, 11);
	assert_int_equal(share_get(&other, 0), 11);
	kill_worker(sys);
	share_put(&other, 1 << 20, 12); /* a page nobody had touched */
	assert_int_equal(share_get(&one, 1 << 20), 12);
	share_close_file(&one);
	share_put(&one, 8, 13);
	assert_int_equal(share_get(&other, 8), 13);
	share_end(&one);
	share_end(&other);
	USER_DOES(sys, "mapctl --mount %s rm memory", sys->mnt);
	nothing_was_refused(sys);
}

static void user_uses_files(void **state)
{
	struct sys *sys = *state;

	user_mounts(sys, "size=32m");
	USER_DOES(
	    sys,
	    "sh -ec 'cd %s; mkdir d; echo hello >d/f; mv d/f d/g; chmod 600 d/g; ln -s g d/l; "
	    "test \"$(cat d/l)\" = hello; mkfifo d/p; ls -la d; df .; "
	    "! truncate -s 1g d/big; rm -r d; test ! -e d'",
	    sys->mnt);
	kill_worker(sys);
	USER_DOES(sys, "sh -ec 'cd %s; echo again >f; test \"$(cat f)\" = again; rm f'", sys->mnt);
	nothing_was_refused(sys);
}

static void user_binds_a_file(void **state)
{
	struct sys *sys = *state;
	struct share one;
	char command[512];

	user_mounts(sys, "size=32m");
	snprintf(command, sizeof command, "%s share", as_user + strlen("exec "));
	USER_DOES(sys, "sh -c 'truncate -s 64k %s/home/file'", sys->dir);
	USER_DOES(sys, "mapctl --mount %s create bound --file %s/home/file", sys->mnt, sys->dir);
	share_start(&one, sys, command, sys_path(sys, "bound"));
	share_close_file(&one);
	share_put(&one, 0, 0x3232323232323232UL); /* "22222222" */
	kill_worker(sys);
	share_put(&one, 32768, 0x3333333333333333UL);
	share_kill(&one);
	WAIT_UNTIL(10,
		   sys_shell(sys,
			     "%s sh -c 'getfattr --only-values -n user.mapping.flush %s/bound | "
			     "grep ^ok'",
			     as_user, sys->mnt) == 0);
	assert_int_equal(sys_shell(sys, "head -c 8 %s/home/file", sys->dir), 0);
	assert_string_equal(sys->output, "22222222");
	assert_int_equal(sys_shell(sys, "tail -c +32769 %s/home/file | head -c 8", sys->dir), 0);
	assert_string_equal(sys->output, "33333333");
	nothing_was_refused(sys);
}

static void user_waits(void **state)
{
	struct sys *sys = *state;
	int output;
	char text[32] = "";

	user_mounts(sys, "size=32m");
	USER_DOES(sys, "mapctl --mount %s create event --type event", sys->mnt);
	USER_DOES(sys, "mapctl --mount %s create semaphore --type semaphore --initial 1 --max 2",
		  sys->mnt);
	pid_t pid = sys_start(sys, NULL, &output, "%s cat %s/event", as_user, sys->mnt);
	USER_DOES(sys, "mapctl --mount %s wait semaphore", sys->mnt);
	assert_int_equal(
	    sys_shell(sys, "%s mapctl --mount %s wait --timeout 0.05 semaphore", as_user, sys->mnt),
	    3);
	kill_worker(sys);
	USER_DOES(sys, "mapctl --mount %s signal event set", sys->mnt);
	assert_int_equal(sys_wait(sys, pid), 0);
	assert_int_equal(read(output, text, sizeof text - 1), 9);
	assert_string_equal(text, "signaled\n");
	close(output);
	USER_DOES(sys, "mapctl --mount %s signal semaphore release 2", sys->mnt);
	USER_DOES(sys, "mapctl --mount %s wait --all semaphore", sys->mnt);
	nothing_was_refused(sys);
}

static void others_are_kept_out(void **state)
{
	struct sys *sys = *state;
	struct stat st;

	user_mounts(sys, "size=32m");
	assert_int_equal(stat(sys->mnt, &st), -1);
	assert_int_equal(errno, EACCES);
	USER_DOES(sys, "fusermount3 -u %s", sys->mnt);
	WAIT_UNTIL(10, kill(sys->supervisor, 0) < 0 && errno == ESRCH);
	assert_int_equal(stat(sys->mnt, &st), 0);
	close(sys->supervisor_pidfd);
	sys->supervisor_pidfd = -1;
	sys->mounted = false;
}

static void passthrough_is_refused(void **state)
{
	struct sys *sys = *state;

	become_able(sys);
	assert_int_not_equal(
	    sys_shell(sys, "%s mappingfs -o mode=passthrough %s", as_user, sys->mnt), 0);
	assert_non_null(strstr(sys->output, "passthrough"));
}

/* What takes rights cannot be had; the rest is. */
static void user_is_confined(void **state)
{
	struct sys *sys = *state;
	json_t *status, *c;

	user_mounts(sys, "size=32m");
	status = user_status(sys);
	c = json_object_get(status, "confinement");
	assert_string_equal(json_string_value(json_object_get(c, "root")), "the machine's");
	assert_true(strlen(json_string_value(json_object_get(c, "root_reason"))) > 0);
	assert_int_equal(json_array_size(json_object_get(c, "capabilities")), 0);
	assert_true(json_is_true(json_object_get(c, "no_new_privs")));
	json_decref(status);
	assert_int_equal(sys_shell(sys, "grep -q '^Seccomp:.2' /proc/%d/status", sys_worker(sys)),
			 0);
	nothing_was_refused(sys);
	USER_DOES(sys, "mapctl --mount %s status", sys->mnt);
	assert_non_null(strstr(sys->output, "files the machine's (Operation not permitted)"));
	assert_non_null(strstr(sys->output, " capabilities: none\n"));
}

static void strict_is_refused(void **state)
{
	struct sys *sys = *state;

	become_able(sys);
	assert_int_equal(sys_shell(sys, "%s mappingfs -o confine=strict %s", as_user, sys->mnt), 4);
	assert_non_null(strstr(sys->output, "confine=strict cannot be had: the machine's files "
					    "stay in reach ("));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_CACHED(user_shares_pages),      SYS_TEST_CACHED(user_uses_files),
	    SYS_TEST_CACHED(user_binds_a_file),      SYS_TEST_CACHED(others_are_kept_out),
	    SYS_TEST_CACHED(passthrough_is_refused), SYS_TEST_CACHED(user_waits),
	    SYS_TEST_CACHED(user_is_confined),       SYS_TEST_CACHED(strict_is_refused),
	};

	return sys_run_tests("rootless", tests);
}
