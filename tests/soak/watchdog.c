/* It asks no mount anything, so it cannot hang with the others. */
#include "tests/soak/loads.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/util.h"
#include "tests/soak/load.h"

static void tell_file(pid_t pid, const char *name)
{
	char path[64], text[2048];
	size_t length;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	file = fopen(path, "re");
	length = file ? fread(text, 1, sizeof text - 1, file) : 0;
	text[length] = '\0';
	if (file)
		fclose(file);
	soak_say("%s: %s", path, text);
}

static const struct load *hanging(void)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	for (unsigned m = 0; m < soak->mounts; m++)
		for (unsigned i = 0; i < soak->loads; i++) {
			const struct load *load = &soak->load[m][i];
			uint64_t since = load->since;

			if (load->pid && since && now > since + SOAK_HANG * 1000000000ULL)
				return load;
		}
	return NULL;
}

/* The loads are our siblings and hang, so main has not reaped them: their pids are theirs. */
static _Noreturn void end_everything(const struct load *load, pid_t parent)
{
	soak_violation("mount %u load %u hangs in \"%s\"", load->mount, load->number,
		       operations[load->op].name);
	tell_file(load->pid, "stack");
	tell_file(load->pid, "syscall");
	tell_file(load->pid, "task/1/children");
	tell_file(parent, "stack");
	if (getppid() == parent)
		kill(parent, SIGKILL); /* the loads die with it */
	for (unsigned m = 0; m < soak->mounts; m++)
		umount2(soak->common[m].path, MNT_FORCE | MNT_DETACH);
	_exit(1);
}

pid_t watchdog_start(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	while (getppid() == parent) {
		const struct load *load = hanging();

		if (load)
			end_everything(load, parent);
		sleep(1);
	}
	_exit(0);
}

void watchdog_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
