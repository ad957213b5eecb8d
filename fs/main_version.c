#include "core/log.h"
#include "core/util.h"
#include "fs/main.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* Only the worker links libfuse. */
static void show_worker(void)
{
	const char *argv[] = {"mappingfs-worker", "--version", NULL};
	AUTO_CLOSE int program = supervisor_find_worker();
	pid_t pid;

	if (program < 0)
		return;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execveat(program, "", (char *const *)argv, environ, AT_EMPTY_PATH);
		log_error("cannot execute mappingfs-worker: %m");
		_exit(EXIT_CODE_WORKER);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static bool may_administer(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	return !syscall(SYS_capget, &header, data) &&
	       data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
}

/* NULL: it can be had. */
static const char *why_no_passthrough(const struct mount_probe *probe)
{
	if (probe->fuse_error)
		return strerror(probe->fuse_error);
	if (probe->backing_error == ENOTTY)
		return "the kernel has none (Linux 6.9 or later is needed)";
	if (!mount_initial_userns())
		return "it takes the root of the machine, and this is a user namespace";
	if (!may_administer())
		return "it takes CAP_SYS_ADMIN";
	if (probe->fuse_major && !probe->passthrough)
		return "the kernel was built without CONFIG_FUSE_PASSTHROUGH";
	return NULL;
}

int main_version(void)
{
	struct mount_probe probe;
	struct utsname system;
	const char *why;

	printf("mappingfs %s\n", MAPPINGFS_VERSION);
	show_worker();
	mount_probe(&probe);
	uname(&system);
	printf("kernel %s, FUSE interface ", system.release);
	if (probe.fuse_major)
		printf("%u.%u\n", probe.fuse_major, probe.fuse_minor);
	else
		printf("unknown (%s)\n", probe.fuse_error ? "/dev/fuse cannot be opened"
							  : "asking takes CAP_SYS_ADMIN");
	why = why_no_passthrough(&probe);
	if (probe.fuse_error)
		printf("passthrough: no: /dev/fuse: %s\n", why);
	else
		printf("passthrough: %s%s\n", why ? "no: " : "yes", why ? why : "");
	return EXIT_CODE_OK;
}
