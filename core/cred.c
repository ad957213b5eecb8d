#include "core/internal.h"
#include "core/proc.h"
#include "core/sys.h"
#include "core/util.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>

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

static int count_words(const char *text)
{
	int count = 0;

	for (text += strspn(text, " \t\n"); *text; text += strspn(text, " \t\n")) {
		count++;
		text += strcspn(text, " \t\n");
	}
	return count;
}

int cred_status(pid_t pid, struct cred_status *out)
{
	char line[1024];
	FILE *file;

	*out = (struct cred_status){.fsuid = (uid_t)-1};
	file = pid > 0 ? fopen(proc_of(pid, "status").text, "re") : NULL;
	if (!file)
		return -ESRCH;
	while (fgets(line, sizeof line, file)) {
		if (strncmp(line, "Tgid:", 5) == 0)
			sscanf(line + 5, "%d", &out->process);
		else if (strncmp(line, "Uid:", 4) == 0)
			sscanf(line + 4, "%*u %*u %*u %u", &out->fsuid);
		else if (strncmp(line, "CapEff:", 7) == 0)
			out->capabilities = strtoull(line + 7, NULL, 16);
		else if (strncmp(line, "NSpid:", 6) == 0)
			out->levels = count_words(line + 6);
	}
	fclose(file);
	return 0;
}

/* The kernel names the thread. A leader's number is its process's; pidfd_open(2) tells them apart
 * for less than /proc. */
pid_t cred_process(pid_t thread)
{
	int fd = thread > 0 ? sys->pidfd_open(thread, 0) : -1;
	struct cred_status status;

	if (fd >= 0) {
		close(fd);
		return thread;
	}
	return cred_status(thread, &status) == 0 && status.process ? status.process : thread;
}

/* "user:[NUMBER]" */
static bool user_namespace(pid_t pid, char out[64])
{
	ssize_t length = readlink(proc_of(pid, "ns/user").text, out, 63);

	out[length < 0 ? 0 : length] = '\0';
	return length > 0;
}

static bool in_our_user_namespace(pid_t pid)
{
	char ours[64], theirs[64];

	return user_namespace(getpid(), ours) && user_namespace(pid, theirs) &&
	       strcmp(ours, theirs) == 0;
}

bool cred_is_capable(pid_t pid, const struct cred_status *status, int capability)
{
	return (status->capabilities >> capability & 1) && in_our_user_namespace(pid);
}

bool cred_is_root(uid_t uid, pid_t pid)
{
	struct cred_status status;

	if (uid != 0 || pid == 0)
		return uid == 0;
	return cred_status(pid, &status) == 0 && cred_is_capable(pid, &status, CAP_SYS_ADMIN);
}
