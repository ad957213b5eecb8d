#include "core/crash.h"

#ifdef MAPPINGFS_TEST_POINTS

#include "core/util.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

/* The linker's: all points of this program. */
extern struct crash_point __start_crash_points[], __stop_crash_points[];

static struct crash_plan *plan; /* NULL: nobody wants us dead */

void crash_open(void)
{
	const char *path = getenv(CRASH_ENVIRONMENT);
	AUTO_CLOSE int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	size_t count = (size_t)(__stop_crash_points - __start_crash_points);
	void *mapped;

	if (fd < 0)
		return;
	mapped = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED || count > CRASH_MAX_POINTS)
		abort();
	plan = mapped;
	for (size_t i = 0; i < count; i++)
		snprintf(plan->each[i].name, CRASH_NAME_MAX, "%s", __start_crash_points[i].name);
	plan->points = (uint32_t)count;
}

static _Noreturn void die(uint32_t number)
{
	__atomic_add_fetch(&plan->each[number].deaths, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&plan->died_at, number, __ATOMIC_SEQ_CST);
	__atomic_store_n(&plan->armed, plan->then, __ATOMIC_SEQ_CST);
	__atomic_store_n(&plan->then, 0, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&plan->deaths, 1, __ATOMIC_SEQ_CST);
	for (;;)
		kill(getpid(), SIGKILL);
}

static void note(uint32_t number)
{
	uint32_t at = __atomic_fetch_add(&plan->passed, 1, __ATOMIC_SEQ_CST);

	plan->trace[at % CRASH_MAX_TRACE] = (uint16_t)number;
	__atomic_add_fetch(&plan->each[number].passed, 1, __ATOMIC_SEQ_CST);
}

/* From any thread. */
void crash_reached(const struct crash_point *point)
{
	int saved = errno;
	uint32_t number, left;

	if (!plan)
		return;
	number = (uint32_t)(point - __start_crash_points);
	note(number);
	left = __atomic_load_n(&plan->armed, __ATOMIC_SEQ_CST);
	if (plan->only && plan->only != number + 1)
		return;
	do {
		if (!left)
			return;
	} while (!__atomic_compare_exchange_n(&plan->armed, &left, left - 1, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	if (left == 1)
		die(number);
	errno = saved;
}

#endif
