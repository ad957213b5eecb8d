/* Signals to all members of a job. Who sends is checked by the kernel, for each process and at the
 * moment of sending; a signal may come twice if the worker dies in that very moment. */
#include "core/job.h"
#include "core/util.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

#define BATCH  256
#define PASSES 8 /* to catch what is forked meanwhile */

int signal_number(const char *word)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {
	    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"ILL", SIGILL},
	    {"TRAP", SIGTRAP},     {"ABRT", SIGABRT}, {"BUS", SIGBUS},     {"FPE", SIGFPE},
	    {"KILL", SIGKILL},     {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},   {"USR2", SIGUSR2},
	    {"PIPE", SIGPIPE},     {"ALRM", SIGALRM}, {"TERM", SIGTERM},   {"CHLD", SIGCHLD},
	    {"CONT", SIGCONT},     {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN},
	    {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ},
	    {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},
	    {"PWR", SIGPWR},       {"SYS", SIGSYS},
	};
	char *end;
	long number;

	if (word[0] >= '0' && word[0] <= '9') {
		number = strtol(word, &end, 10);
		return *end || number < 1 || number > SIGRTMAX ? -EINVAL : (int)number;
	}
	if (strncasecmp(word, "SIG", 3) == 0)
		word += 3;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcasecmp(word, names[i].name) == 0)
			return names[i].number;
	return -EINVAL;
}

struct killing {
	const struct actor *actor;
	int signal;
	size_t sent, refused;
	int pidfds[BATCH];
	size_t count;
};

static void flush(struct killing *k)
{
	int results[BATCH];

	if (!k->count)
		return;
	actor_signal(k->actor, k->pidfds, k->count, k->signal, results);
	for (size_t i = 0; i < k->count; i++) {
		k->sent += results[i] == 0;
		k->refused += results[i] == -EPERM;
	}
	k->count = 0;
}

/* --- cgroups --- */

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Processes by numbers read from a list can be others by now. Who is still in the list after it was
 * opened, and has not been reaped when it is signaled, is meant. */
static void signal_batch(struct killing *k, int cgroup, const pid_t *pids, size_t count)
{
	struct pid_list again;
	int opened[BATCH];

	for (size_t i = 0; i < count; i++)
		opened[i] = pidfd_of(pids[i]);
	cgroup_processes(cgroup, &again);
	for (size_t i = 0; i < count; i++)
		if (opened[i] >= 0 && pid_list_has(&again, pids[i]))
			k->pidfds[k->count++] = opened[i];
	flush(k);
	close_all(opened, count);
	pid_list_finish(&again);
}

/* All that were not there in an earlier pass. 0: there were none. */
static size_t signal_pass(struct killing *k, int cgroup, struct pid_list *seen)
{
	struct pid_list now, fresh = {0};
	size_t count;

	cgroup_processes(cgroup, &now);
	for (size_t i = 0; i < now.count; i++)
		if (!pid_list_has(seen, now.pids[i]))
			pid_list_add(&fresh, now.pids[i]);
	for (size_t i = 0; i < fresh.count; i += BATCH)
		signal_batch(k, cgroup, fresh.pids + i,
			     fresh.count - i < BATCH ? fresh.count - i : BATCH);
	for (size_t i = 0; i < fresh.count; i++)
		pid_list_add(seen, fresh.pids[i]);
	pid_list_sort(seen);
	count = fresh.count;
	pid_list_finish(&fresh);
	pid_list_finish(&now);
	return count;
}

/* Who forks faster than we read is caught by the kernel, if all that were met may be killed. */
static void signal_cgroup(struct killing *k, int cgroup)
{
	struct pid_list seen = {0};
	size_t refused = k->refused;
	int pass = 0;

	if (k->signal == SIGKILL && k->actor->any && cgroup_kill(cgroup) == 0) {
		k->sent++;
		return;
	}
	while (pass < PASSES && signal_pass(k, cgroup, &seen))
		pass++;
	if (pass == PASSES && k->signal == SIGKILL && k->refused == refused)
		cgroup_kill(cgroup);
	pid_list_finish(&seen);
}

/* --- members --- */

static void signal_one(struct core *core, uint32_t index, void *context)
{
	const struct job_member *member = &core->state.members[index];
	AUTO_CLOSE int cgroup = -1;
	struct killing *k = context;
	int fd;

	if (member->state & MEMBER_MAKING)
		return;
	if (!member->pid) {
		flush(k); /* a batch of its own */
		cgroup = cgroup_open(core->config.cgroup_fd, member->id);
		if (cgroup >= 0)
			signal_cgroup(k, cgroup);
		return;
	}
	fd = member_descriptor(core, index);
	if (fd < 0)
		return;
	k->pidfds[k->count++] = fd;
	if (k->count == BATCH)
		flush(k);
}

int job_kill(struct core *core, uint64_t node, const struct actor *actor, int signal)
{
	struct killing k = {.actor = actor, .signal = signal};

	members_each(core, node, signal_one, &k);
	flush(&k);
	return k.refused && !k.sent ? -EPERM : 0;
}

void job_kill_cgroup(int cgroup)
{
	const struct actor self = {.any = true};
	struct killing k = {.actor = &self, .signal = SIGKILL};

	signal_cgroup(&k, cgroup);
}

void job_kill_member(struct core *core, uint32_t index)
{
	const struct actor self = {.any = true};
	struct killing k = {.actor = &self, .signal = SIGKILL};

	signal_one(core, index, &k);
	flush(&k);
}
