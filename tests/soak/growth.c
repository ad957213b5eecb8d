#include "tests/soak/mounts.h"

#include "core/util.h"

/* What allocators and the order of things make of it. */
enum { SLACK_KIB = 1024, SLACK_PER_CENT = 25 };

static const char *const names[MEMORY_KINDS] = {
    [MEMORY_WORKER] = "the worker's memory",
    [MEMORY_SUPERVISOR] = "the supervisor's memory",
    [MEMORY_STATE] = "the state area",
};

static void note(int64_t *most, int64_t now)
{
	if (now > *most)
		*most = now;
}

void growth_note(struct mounted *mounted, bool second_half, bool calm)
{
	if (calm)
		note(&mounted->memory[MEMORY_WORKER][second_half], private_memory(mounted->worker));
	note(&mounted->memory[MEMORY_SUPERVISOR][second_half], private_memory(mounted->supervisor));
	note(&mounted->memory[MEMORY_STATE][second_half], state_memory(mounted->supervisor));
}

void growth_check(const struct mounted *mounted)
{
	for (unsigned kind = 0; kind < MEMORY_KINDS; kind++) {
		const int64_t first = mounted->memory[kind][0], second = mounted->memory[kind][1];

		if (first && second > first + first * SLACK_PER_CENT / 100 + SLACK_KIB)
			soak_violation("mount %u: %s grew from %lld to %lld KiB", mounted->number,
				       names[kind], (long long)first, (long long)second);
	}
}
