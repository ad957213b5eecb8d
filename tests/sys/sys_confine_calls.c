/* System calls that are not for a worker, made by one that somebody has taken over: each fails, is
 * counted, shown and logged, and the daemon goes on. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/sys/inject.h"

#define TEXT (-77L) /* stands for the address of a path */

static const struct {
	const char *name;
	long number, arguments[6];
} forbidden[] = {
    {"execve", SYS_execve, {TEXT}},
    {"execveat", SYS_execveat, {AT_FDCWD, TEXT}},
    {"mount", SYS_mount, {TEXT, TEXT, TEXT}},
    {"umount2", SYS_umount2, {TEXT}},
    {"unshare", SYS_unshare, {CLONE_NEWUSER}},
    {"setns", SYS_setns, {3}},
    {"chroot", SYS_chroot, {TEXT}},
    {"pivot_root", SYS_pivot_root, {TEXT, TEXT}},
    {"ptrace", SYS_ptrace, {16, 1}},
    {"process_vm_readv", SYS_process_vm_readv, {1}},
    {"process_vm_writev", SYS_process_vm_writev, {1}},
    {"kcmp", SYS_kcmp, {1, 1}},
    {"pidfd_getfd", 438, {3, 3}},
    {"bpf", SYS_bpf, {0}},
    {"perf_event_open", SYS_perf_event_open, {0}},
    {"keyctl", SYS_keyctl, {0}},
    {"init_module", SYS_init_module, {0}},
    {"reboot", SYS_reboot, {0}},
    {"swapon", SYS_swapon, {TEXT}},
    {"sethostname", SYS_sethostname, {TEXT, 1}},
    {"clock_settime", SYS_clock_settime, {0}},
    {"setuid", SYS_setuid, {0}},
    {"io_uring_setup", 425, {1}},
    {"userfaultfd", SYS_userfaultfd, {0}},
    {"fork", SYS_fork, {0}},
    {"clone", SYS_clone, {SIGCHLD}},
    {"clone", SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}},
    {"connect", SYS_connect, {0, TEXT, 16}},
    {"bind", SYS_bind, {0, TEXT, 16}},
    {"mmap", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1}},
    {"mprotect", SYS_mprotect, {4096, 4096, PROT_WRITE | PROT_EXEC}},
    {"ioctl", SYS_ioctl, {0, TIOCSTI}},
    {"fcntl", SYS_fcntl, {0, F_SETOWN, 1}},
    {"prctl", SYS_prctl, {PR_SET_MM}},
    {"dup2", SYS_dup2, {0, 5}},
    {"dup3", SYS_dup3, {0, 5}},
    {"close", SYS_close, {5}},
    {"close_range", SYS_close_range, {5, 5}},
    {"open_by_handle_at", SYS_open_by_handle_at, {0, TEXT}},
    {"open_by_handle_at", SYS_open_by_handle_at, {AT_FDCWD, TEXT}},
    {"mknod", SYS_mknod, {TEXT, S_IFBLK}},
    {"open_tree", 428, {AT_FDCWD, TEXT}},
    {"fsopen", 430, {TEXT}},
};

/* These fail as well, but a worker may try. */
static const struct {
	const char *name;
	long number, arguments[6], result;
} denied[] = {
    {"socket", SYS_socket, {1, 2}, -EACCES},
    {"clone3", SYS_clone3, {TEXT, 64}, -ENOSYS},
    {"openat of /etc", SYS_openat, {AT_FDCWD, TEXT, O_RDONLY}, -ENOENT},
};

static void with_text(struct inject *inject, const long arguments[6], const char *text, long out[6])
{
	for (int i = 0; i < 6; i++)
		out[i] = arguments[i] == TEXT ? inject_text(inject, text) : arguments[i];
}

static long long refused(struct sys *sys, char *last, size_t size)
{
	json_t *status = sys_status(sys), *c = json_object_get(status, "confinement");
	long long count = json_integer_value(json_object_get(c, "calls_refused"));

	snprintf(last, size, "%s", json_string_value(json_object_get(c, "last_refused")));
	json_decref(status);
	return count;
}

static void call_all(pid_t worker)
{
	struct inject inject;
	long arguments[6];

	if (!inject_begin(&inject, worker))
		fail_msg("the worker cannot be traced");
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
		long rc;

		with_text(&inject, forbidden[i].arguments, "/proc", arguments);
		rc = inject_call(&inject, forbidden[i].number, arguments);
		if (rc != -ENOSYS)
			fail_msg("row %zu, %s: %ld, not -ENOSYS", i, forbidden[i].name, rc);
	}
	for (size_t i = 0; i < ARRAY_SIZE(denied); i++) {
		long rc;

		with_text(&inject, denied[i].arguments, "/etc", arguments);
		rc = inject_call(&inject, denied[i].number, arguments);
		if (rc != denied[i].result)
			fail_msg("%s: %ld, not %ld", denied[i].name, rc, denied[i].result);
	}
	inject_end(&inject);
}

/* One of the other threads; 0: there is none. */
static pid_t other_thread(pid_t worker)
{
	char path[64];
	struct dirent *entry;
	pid_t found = 0;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/task", worker);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir)))
		if (atoi(entry->d_name) != worker)
			found = (pid_t)atoi(entry->d_name);
	if (dir)
		closedir(dir);
	return found;
}

static void call_in_thread(struct sys *sys)
{
	struct inject inject;
	long arguments[6];
	pid_t thread;

	assert_int_equal(sys_shell(sys, "echo a >%s/a && mapctl who %s/a", sys->mnt, sys->mnt), 0);
	thread = other_thread(sys_worker(sys));
	assert_true(thread > 0);
	if (!inject_begin(&inject, thread))
		fail_msg("a thread of the worker cannot be traced");
	with_text(&inject, forbidden[0].arguments, "/proc", arguments);
	assert_int_equal(inject_call(&inject, forbidden[0].number, arguments), -ENOSYS);
	inject_end(&inject);
}

static void count_lines(struct sys *sys)
{
	int lines;

	assert_int_equal(
	    sys_shell(sys, "grep -c ' is not for a worker: it failed' %s/log", sys->dir), 0);
	lines = atoi(sys->output);
	/* The same worker says no more than so many. */
	assert_int_equal(lines, ARRAY_SIZE(forbidden) < 32 ? ARRAY_SIZE(forbidden) : 32);
	assert_int_equal(
	    sys_shell(sys, "grep -q 'system call %d (execve) at 0x' %s/log", SYS_execve, sys->dir),
	    0);
}

static void calls_fail_and_are_told(void **state)
{
	struct sys *sys = *state;
	char last[64];
	pid_t worker;

	if (sys->reference || geteuid() != 0 || !inject_possible())
		sys_skip("this needs root, and x86-64");
	sys->refusals_expected = true;
	sys_start(sys, NULL, NULL, "exec mappingfs -f -o mode=%s,confine=strict %s 2>%s/log",
		  sys->mode == SYS_CACHED ? "cached" : "auto", sys->mnt, sys->dir);
	WAIT_UNTIL(10, sys_shell(sys, "grep -q ': mounted' %s/log", sys->dir) == 0);
	sys->mounted = true;
	sys_learn_supervisor(sys, (pid_t)sys_status_number(sys, "supervisor_pid"));
	assert_int_equal(refused(sys, last, sizeof last), 0);
	assert_string_equal(last, "");
	worker = sys_worker(sys);
	call_all(worker);

	assert_int_equal(refused(sys, last, sizeof last), ARRAY_SIZE(forbidden));
	assert_string_equal(last, forbidden[ARRAY_SIZE(forbidden) - 1].name);
	assert_int_equal(sys_shell(sys, "mapctl --mount %s status", sys->mnt), 0);
	assert_non_null(strstr(sys->output, "refused (last: fsopen)"));
	count_lines(sys);
	call_in_thread(sys);
	/* It goes on, and the next one knows of it. */
	assert_int_equal(sys_shell(sys, "echo a >%s/a && mapctl who %s/a && cat %s/a", sys->mnt,
				   sys->mnt, sys->mnt),
			 0);
	assert_int_equal(sys_worker(sys), worker);
	sys_kill_worker(sys);
	assert_int_equal(refused(sys, last, sizeof last), ARRAY_SIZE(forbidden) + 1);
	sys_unmount(sys);
	sys_say("%zu system calls refused", ARRAY_SIZE(forbidden) + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {SYS_TEST_BOTH_MODES(calls_fail_and_are_told)};

	return sys_run_tests("confine_calls", tests);
}
