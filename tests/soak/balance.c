/* The balance: every number that must come back to what it was, once nothing is in use. */
#include "tests/soak/mounts.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "core/util.h"

enum rule { EXACT, NOT_MORE };
enum source { STATUS, COUNTERS, PROC };

static int64_t worker_fds(const struct mounted *m)
{
	return count_fds(m->worker);
}

static int64_t supervisor_fds(const struct mounted *m)
{
	return count_fds(m->supervisor);
}

static int64_t standby_fds(const struct mounted *m)
{
	return m->standby > 0 ? count_fds(m->standby) : -1;
}

static int64_t inotify_watches(const struct mounted *m)
{
	return count_watches(m->supervisor);
}

static const struct {
	const char *name;
	enum rule rule;
	enum source source;
	int64_t (*look)(const struct mounted *mounted);
} numbers[] = {
    {"objects_known", EXACT, STATUS, NULL},
    {"handles", EXACT, STATUS, NULL},
    {"bound_files", EXACT, STATUS, NULL},
    {"flushes_failing", EXACT, STATUS, NULL},
    {"slots", EXACT, COUNTERS, NULL},
    {"backing_ids", EXACT, COUNTERS, NULL},
    {"watches", EXACT, COUNTERS, NULL},
    {"bindings", EXACT, COUNTERS, NULL},
    {"descriptors_bound", EXACT, COUNTERS, NULL},
    {"flushes_due", EXACT, COUNTERS, NULL},
    {"orphans", EXACT, COUNTERS, NULL},
    {"probes", EXACT, COUNTERS, NULL},
    {"alarms", EXACT, COUNTERS, NULL},
    {"timers", NOT_MORE, COUNTERS, NULL},
    {"waits", EXACT, COUNTERS, NULL},
    {"wait_queues", EXACT, COUNTERS, NULL},
    {"wait_handles", EXACT, COUNTERS, NULL},
    {"members", EXACT, COUNTERS, NULL},
    {"accounts", EXACT, COUNTERS, NULL},
    {"worker_descriptors", NOT_MORE, PROC, worker_fds},
    {"supervisor_descriptors", NOT_MORE, PROC, supervisor_fds},
    {"standby_descriptors", NOT_MORE, PROC, standby_fds},
    {"inotify_watches", EXACT, PROC, inotify_watches},
};
_Static_assert(ARRAY_SIZE(numbers) < BALANCE_MAX, "and the committed bytes");

enum { COMMITTED = ARRAY_SIZE(numbers) };

/* A remount drops the names the kernel remembers of this file system, and of no other. */
bool mount_forget(const struct mounted *mounted)
{
	static const unsigned long pairs[][2] = {
	    {ST_RDONLY, MS_RDONLY}, {ST_NOSUID, MS_NOSUID},   {ST_NODEV, MS_NODEV},
	    {ST_NOEXEC, MS_NOEXEC}, {ST_NOATIME, MS_NOATIME}, {ST_RELATIME, MS_RELATIME},
	};
	unsigned long flags = MS_REMOUNT;
	struct statvfs st;

	if (statvfs(mounted->common->path, &st) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (st.f_flag & pairs[i][0])
			flags |= pairs[i][1];
	return mount(NULL, mounted->common->path, NULL, flags, NULL) == 0;
}

static bool look(struct mounted *mounted, struct balance *out)
{
	AUTO_FREE char *status = malloc(STATUS_BYTES);
	AUTO_FREE char *counters = malloc(STATUS_BYTES);

	mount_forget(mounted);
	if (!status || !counters || !mount_text(mounted, "user.mapping.status", status) ||
	    !mount_text(mounted, "user.mapping.counters", counters))
		return false;
	mounted->worker = (pid_t)number_in(status, "worker_pid");
	mounted->supervisor = (pid_t)number_in(status, "supervisor_pid");
	mounted->standby = (pid_t)number_in(status, "standby_pid");
	*out = (struct balance){0};
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		out->numbers[i] = numbers[i].look
				      ? numbers[i].look(mounted)
				      : number_in(numbers[i].source == STATUS ? status : counters,
						  numbers[i].name);
	if (!mounted->common->store)
		out->numbers[COMMITTED] = number_in(status, "committed_bytes");
	return true;
}

uint64_t model_bytes(const struct mounted *mounted)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < soak->loads; i++)
		for (unsigned k = 0; k < SOAK_NAMES; k++)
			pages += soak->load[mounted->number][i].names[k].pages;
	return pages * PAGE_BYTES;
}

/* Until nothing changes for a second. */
void balance_take(struct mounted *mounted)
{
	struct balance now;

	if (!look(mounted, &mounted->baseline)) {
		soak_violation("mount %u: no status", mounted->number);
		return;
	}
	for (int same = 0; same < 20; same++) {
		usleep(50000);
		if (!look(mounted, &now))
			continue;
		if (memcmp(&now, &mounted->baseline, sizeof now) != 0)
			same = 0;
		mounted->baseline = now;
	}
	mounted->model_bytes = model_bytes(mounted);
}

static bool is_fine(const struct mounted *mounted, const struct balance *now, size_t i,
		    int64_t *wanted)
{
	*wanted = mounted->baseline.numbers[i];
	if (i == COMMITTED)
		*wanted += mounted->common->store
			       ? 0
			       : (int64_t)model_bytes(mounted) - (int64_t)mounted->model_bytes;
	if (i < COMMITTED && numbers[i].rule == NOT_MORE)
		return now->numbers[i] <= *wanted;
	return now->numbers[i] == *wanted;
}

static bool all_fine(const struct mounted *mounted, const struct balance *now)
{
	int64_t wanted;

	for (size_t i = 0; i <= COMMITTED; i++)
		if (!is_fine(mounted, now, i, &wanted))
			return false;
	return true;
}

static void tell(const struct mounted *mounted, const struct balance *now)
{
	int64_t wanted;

	for (size_t i = 0; i <= COMMITTED; i++)
		if (!is_fine(mounted, now, i, &wanted))
			soak_violation("mount %u: %s: %lld, should be %lld", mounted->number,
				       i == COMMITTED ? "committed_bytes" : numbers[i].name,
				       (long long)now->numbers[i], (long long)wanted);
}

void balance_check(struct mounted *mounted)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + SOAK_PATIENCE * 1000000000ULL / 2;
	struct balance now = {0};

	while (!look(mounted, &now) || !all_fine(mounted, &now)) {
		if (clock_ns(CLOCK_MONOTONIC) > until)
			break;
		usleep(20000);
	}
	tell(mounted, &now);
}
