#include "tests/soak/chaos.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "core/util.h"
#include "tests/soak/loads.h"

static bool can_upgrade;

/* --- clients --- */

enum { FROZEN = 8 };

static struct {
	struct load *load;
	pid_t pid;
	uint64_t until;
} frozen[FROZEN];

static struct load *any_load(void)
{
	struct load *load = &soak->load[pick(soak->mounts)][pick(soak->loads)];

	loads_reap();
	return load->pid && !load->killed ? load : NULL;
}

static bool kill_client(struct chaos *chaos)
{
	struct load *load = any_load();

	(void)chaos;
	if (!load)
		return false;
	load->killed = true;
	return kill(load->pid, SIGKILL) == 0;
}

static bool freeze_client(struct chaos *chaos)
{
	struct load *load = any_load();

	(void)chaos;
	for (unsigned i = 0; load && i < FROZEN; i++) {
		if (frozen[i].load)
			continue;
		frozen[i].load = load;
		frozen[i].pid = load->pid;
		frozen[i].until = clock_ns(CLOCK_MONOTONIC) + (20 + pick(300)) * 1000000ULL;
		load->freezes++;
		return kill(load->pid, SIGSTOP) == 0;
	}
	return false;
}

void chaos_thaw(bool all)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	loads_reap();
	for (unsigned i = 0; i < FROZEN; i++) {
		struct load *load = frozen[i].load;

		if (!load || (!all && now < frozen[i].until))
			continue;
		load->freezes++;
		if (load->pid == frozen[i].pid)
			kill(load->pid, SIGCONT);
		frozen[i].load = NULL;
	}
}

/* --- the daemon --- */

static struct mounted *any_mount(struct chaos *chaos)
{
	return &chaos->mounts[pick(soak->mounts)];
}

/* pid by the mount's own word; a pidfd, so that what is looked at is what is killed. */
static bool kill_process(struct mounted *mounted, const char *key, const char *program)
{
	pid_t pid = (pid_t)mount_number(mounted, key);
	AUTO_CLOSE int fd = pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	if (fd < 0 || !process_is(pid, program))
		return false;
	return syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;
}

static bool kill_worker(struct chaos *chaos)
{
	return !chaos->calm && kill_process(any_mount(chaos), "worker_pid", "mappingfs-worker");
}

/* Both at once is more than is promised: neither is killed while the other is not there. */
static bool kill_one_of_two(struct chaos *chaos, const char *victim, const char *other)
{
	struct mounted *mounted = any_mount(chaos);
	pid_t others = (pid_t)mount_number(mounted, other);

	return !chaos->calm && chaos->kill_supervisor && others > 1 &&
	       process_is(others, "mappingfs") && kill_process(mounted, victim, "mappingfs");
}

static bool kill_supervisor(struct chaos *chaos)
{
	return kill_one_of_two(chaos, "supervisor_pid", "standby_pid");
}

static bool kill_standby(struct chaos *chaos)
{
	return kill_one_of_two(chaos, "standby_pid", "supervisor_pid");
}

/* --- room --- */

static bool fill(struct chaos *chaos)
{
	unsigned m = pick(soak->mounts);

	(void)chaos;
	return !soak->common[m].store && soak->common[m].filling % 2 == 0 &&
	       filler_start(&soak->common[m]);
}

/* --- programs --- */

static int run(const char *program, char *const *arguments)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDOUT_FILENO);
		execv(program, arguments);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool upgrade(struct chaos *chaos)
{
	struct mounted *mounted = any_mount(chaos);
	char program[SOAK_PATH + 16];
	char *arguments[] = {"mapctl", "--mount", mounted->common->path, "upgrade", NULL};
	int rc;

	if (!can_upgrade || chaos->calm)
		return false;
	snprintf(program, sizeof program, "%s/mapctl", soak_programs);
	rc = run(program, arguments);
	if (rc)
		soak_violation("mount %u: mapctl upgrade ended with %d", mounted->number, rc);
	return rc == 0;
}

static bool forget(struct chaos *chaos)
{
	return mount_forget(any_mount(chaos));
}

static bool fault(struct chaos *chaos)
{
	(void)chaos;
	return faults_inject();
}

void chaos_prepare(struct chaos *chaos)
{
	char command[SOAK_PATH + 64], line[512];
	FILE *help;

	(void)chaos;
	snprintf(command, sizeof command, "%s/mapctl --help 2>&1", soak_programs);
	help = popen(command, "re");
	while (help && fgets(line, sizeof line, help))
		can_upgrade |= strstr(line, "upgrade") != NULL;
	if (help)
		pclose(help);
}

/* --- all of it --- */

static struct {
	const char *name;
	bool (*run)(struct chaos *chaos);
	unsigned weight;
	unsigned long long times;
} deeds[] = {
    {"clients killed", kill_client, 10, 0},
    {"clients frozen", freeze_client, 5, 0},
    {"workers killed", kill_worker, 8, 0},
    {"supervisors killed", kill_supervisor, 3, 0},
    {"standbys killed", kill_standby, 1, 0},
    {"upgrades", upgrade, 2, 0},
    {"times filled", fill, 2, 0},
    {"names forgotten", forget, 8, 0},
    {"faults injected", fault, 3, 0},
};

void chaos_once(struct chaos *chaos)
{
	unsigned all = 0, at, i = 0;

	for (size_t d = 0; d < ARRAY_SIZE(deeds); d++)
		all += deeds[d].weight;
	for (at = pick(all); at >= deeds[i].weight; i++)
		at -= deeds[i].weight;
	deeds[i].times += deeds[i].run(chaos);
}

void chaos_settle(void)
{
	chaos_thaw(true);
	faults_end();
	for (unsigned m = 0; m < soak->mounts; m++) {
		while (soak->common[m].filling % 2)
			usleep(5000);
	}
}

void chaos_report(void (*each)(const char *name, unsigned long long times))
{
	for (size_t d = 0; d < ARRAY_SIZE(deeds); d++)
		each(deeds[d].name, deeds[d].times);
}
