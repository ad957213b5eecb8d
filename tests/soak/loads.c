#include "tests/soak/loads.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/util.h"
#include "tests/soak/load.h"
#include "tests/soak/mounts.h"

int load_start(struct load *load)
{
	pid_t parent = getpid(), pid;

	load->killed = false;
	load->freezes += load->freezes % 2;
	load->since = 0;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		load_run(load->mount, load->number);
	}
	if (pid < 0)
		soak_violation("no process: %s", strerror(errno));
	else
		load->pid = pid;
	return pid < 0 ? -1 : 0;
}

void loads_start(void)
{
	soak->stop = false;
	for (unsigned m = 0; m < soak->mounts; m++)
		for (unsigned i = 0; i < soak->loads; i++)
			load_start(&soak->load[m][i]);
}

static struct load *load_of(pid_t pid)
{
	for (unsigned m = 0; m < soak->mounts; m++)
		for (unsigned i = 0; i < soak->loads; i++)
			if (soak->load[m][i].pid == pid)
				return &soak->load[m][i];
	return NULL;
}

static void load_ended(struct load *load, int status)
{
	bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	load->pid = 0;
	load->since = 0;
	if (load->killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		load_start(load);
		return;
	}
	if (fine && (soak->stop || soak->every))
		return;
	soak_violation("mount %u load %u ended at \"%s\" with %s %d", load->mount, load->number,
		       operations[load->op].name, WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void loads_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct load *load = load_of(pid);

		if (load)
			load_ended(load, status);
	}
}

unsigned loads_running(void)
{
	unsigned count = 0;

	for (unsigned m = 0; m < soak->mounts; m++)
		for (unsigned i = 0; i < soak->loads; i++)
			count += soak->load[m][i].pid != 0;
	return count;
}

void loads_stop(void)
{
	soak->stop = true;
	while (loads_reap(), loads_running())
		usleep(2000);
}

/* The kernel's own list of our children. Daemons become ours, too. */
static bool has_children(pid_t but, char *list, size_t size)
{
	FILE *file;
	char *word, *rest = NULL, copy[4096];
	size_t length;

	snprintf(list, size, "/proc/self/task/%d/children", (int)getpid());
	file = fopen(list, "re");
	length = file ? fread(list, 1, size - 1, file) : 0;
	list[length] = '\0';
	if (file)
		fclose(file);
	snprintf(copy, sizeof copy, "%s", list);
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		if (atoi(word) != but && !process_is(atoi(word), "mappingfs"))
			return true;
	return false;
}

void loads_orphans_gone(pid_t but)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + SOAK_PATIENCE * 1000000000ULL;
	char list[4096];

	while (loads_reap(), has_children(but, list, sizeof list)) {
		if (clock_ns(CLOCK_MONOTONIC) > until) {
			soak_violation("processes are left: %s", list);
			return;
		}
		usleep(5000);
	}
}
