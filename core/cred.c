#include "core/internal.h"
#include "core/util.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>

/* Only the main thread creates inodes, and its capabilities stay whole (SECBIT_NO_SETUID_FIXUP, set
 * by whoever starts us), so the ids may stay as the last caller's: they decide ownership, not
 * access. */
void cred_assume(const struct core *core, const struct core_caller *caller)
{
	static struct core_caller now = {.uid = (uid_t)-1, .gid = (gid_t)-1, .umask = (mode_t)-1};

	if (!core->config.rootless && now.uid != caller->uid)
		setfsuid(caller->uid);
	if (!core->config.rootless && now.gid != caller->gid)
		setfsgid(caller->gid);
	if (now.umask != caller->umask)
		umask(caller->umask);
	now = *caller;
}

/* The kernel names the thread. A leader's number is its process's; pidfd_open(2) tells them apart
 * for less than /proc. */
pid_t cred_process(pid_t thread)
{
	char path[40], line[128];
	int fd = thread > 0 ? (int)syscall(SYS_pidfd_open, thread, 0) : -1;
	pid_t process = thread;
	FILE *status;

	if (fd >= 0) {
		close(fd);
		return thread;
	}
	snprintf(path, sizeof path, "/proc/%d/status", thread);
	status = thread > 0 ? fopen(path, "re") : NULL;
	if (!status)
		return thread;
	while (fgets(line, sizeof line, status))
		if (sscanf(line, "Tgid: %d", &process) == 1)
			break;
	fclose(status);
	return process;
}

static bool in_our_user_namespace(pid_t pid)
{
	struct stat ours, theirs;
	char path[40];

	snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
	return stat("/proc/self/ns/user", &ours) == 0 && stat(path, &theirs) == 0 &&
	       ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

static bool is_administrator(pid_t pid)
{
	unsigned long long effective = 0;
	char path[40], line[128];
	FILE *status;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	status = fopen(path, "re");
	if (!status)
		return false;
	while (fgets(line, sizeof line, status))
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			break;
	fclose(status);
	return effective >> CAP_SYS_ADMIN & 1;
}

bool cred_is_root(uid_t uid, pid_t pid)
{
	return uid == 0 && (pid == 0 || (in_our_user_namespace(pid) && is_administrator(pid)));
}
