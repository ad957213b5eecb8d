#include "fs/spin.h"

#include "core/util.h"

#include <sched.h>

#define CREDIT_MAX  16
#define PROBE_EVERY 32 /* waits without credit before one is tried again */

void spin_init(struct spin *spin, uint32_t limit_usec)
{
	cpu_set_t cpus;

	*spin = (struct spin){.limit_ns = limit_usec * 1000ULL, .credit = CREDIT_MAX};
	/* With one CPU the client cannot run while we look. */
	if (sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1)
		spin->limit_ns = 0;
}

void spin_hit(struct spin *spin)
{
	if (spin->since && spin->credit < CREDIT_MAX)
		spin->credit += 2;
	spin->since = 0;
}

static bool worth_it(struct spin *spin)
{
	if (spin->credit > 0)
		return true;
	return ++spin->skipped % PROBE_EVERY == 0;
}

bool spin_again(struct spin *spin)
{
	uint64_t now;

	if (!spin->limit_ns)
		return false;
	now = clock_ns(CLOCK_MONOTONIC);
	if (!spin->since) {
		if (!worth_it(spin))
			return false;
		spin->since = now;
		return true;
	}
	if (now - spin->since < spin->limit_ns)
		return true;
	spin->since = 0;
	if (spin->credit > 0)
		spin->credit--;
	return false;
}
