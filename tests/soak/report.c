/* What a run did, as figures. */
#include "tests/soak/report.h"

#include <stdio.h>

#include "core/util.h"
#include "tests/soak/chaos.h"
#include "tests/soak/load.h"

static void print_deed(const char *name, unsigned long long times)
{
	printf("  %-22s %12llu\n", name, times);
}

static struct op_figures sum_of(unsigned op)
{
	struct op_figures sum = {0};

	for (unsigned m = 0; m < soak->mounts; m++)
		for (unsigned i = 0; i < soak->loads; i++) {
			const struct op_figures *f = &soak->load[m][i].figures[op];

			sum.done += f->done;
			sum.full += f->full;
			if (f->longest_ns > sum.longest_ns)
				sum.longest_ns = f->longest_ns;
		}
	return sum;
}

static void print_operations(void)
{
	struct op_figures all = {0};

	printf("operations                       done   no room    longest ms\n");
	for (unsigned op = 0; op < operations_count; op++) {
		struct op_figures sum = sum_of(op);

		printf("  %-22s %12llu %9llu %10.1f%s\n", operations[op].name,
		       (unsigned long long)sum.done, (unsigned long long)sum.full,
		       (double)sum.longest_ns / 1e6, operations[op].waits ? "  (waits)" : "");
		all.done += sum.done;
		all.full += sum.full;
		if (!operations[op].waits && sum.longest_ns > all.longest_ns)
			all.longest_ns = sum.longest_ns;
	}
	printf("  %-22s %12llu %9llu\n", "all", (unsigned long long)all.done,
	       (unsigned long long)all.full);
	printf("worst stall of an operation that waits for nobody: %.1f ms\n",
	       (double)all.longest_ns / 1e6);
}

static void print_mount(const struct mounted *mounted)
{
	const struct common *c = mounted->common;

	printf("mount %u (%s%s): %lld workers started anew; counted under the mutex %llu, "
	       "abandoned %u and %u unsure; memory KiB, first and second half: worker %lld %lld, "
	       "supervisor %lld %lld, state %lld %lld\n",
	       mounted->number, c->cached ? "cached" : "passthrough", c->store ? ", store" : "",
	       (long long)mounted->restarts, (unsigned long long)c->counter, c->abandoned,
	       c->abandoned_unsure, (long long)mounted->memory[MEMORY_WORKER][0],
	       (long long)mounted->memory[MEMORY_WORKER][1],
	       (long long)mounted->memory[MEMORY_SUPERVISOR][0],
	       (long long)mounted->memory[MEMORY_SUPERVISOR][1],
	       (long long)mounted->memory[MEMORY_STATE][0],
	       (long long)mounted->memory[MEMORY_STATE][1]);
}

void report(const struct mounted *mounts, unsigned rounds, double seconds)
{
	print_operations();
	printf("chaos in %u rounds, %.0f s\n", rounds, seconds);
	chaos_report(print_deed);
	for (unsigned m = 0; m < soak->mounts; m++)
		print_mount(&mounts[m]);
	if (soak->disk_faults)
		printf("flushes that failed as ordered, and were told to callers: %u\n",
		       soak->flushes_failed);
	printf(
	    "errors seen by callers other than these, and those for want of room: 0, or they are "
	    "violations\n");
	printf("seed %llu: %u violations\n", (unsigned long long)soak->seed, soak->violations);
	fflush(stdout);
}
