#include "tests/points/crash_plan.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static struct crash_plan *plan;

/* By name: the same call may be compiled in at several places. */
static struct known {
	char name[CRASH_NAME_MAX];
	uint32_t passed, deaths;
} known[CRASH_MAX_POINTS];
static size_t known_count;

void crash_plan_create(struct sys *sys)
{
	AUTO_CLOSE int fd = -1;
	char path[128];

	snprintf(path, sizeof path, "%s/crash-plan", sys->dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof *plan), 0);
	plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(plan != MAP_FAILED);
	setenv(CRASH_ENVIRONMENT, path, 1);
}

void crash_plan_destroy(void)
{
	munmap(plan, sizeof *plan);
	plan = NULL;
	unsetenv(CRASH_ENVIRONMENT);
}

static void set(uint32_t *field, uint32_t value)
{
	__atomic_store_n(field, value, __ATOMIC_SEQ_CST);
}

void crash_arm(uint32_t nth, uint32_t then)
{
	set(&plan->only, 0);
	set(&plan->then, then);
	set(&plan->armed, nth);
}

void crash_arm_at(const char *name, uint32_t nth)
{
	uint32_t number = 0;

	while (number < plan->points && strcmp(plan->each[number].name, name) != 0)
		number++;
	if (number == plan->points)
		fail_msg("no point is called %s", name);
	set(&plan->then, 0);
	set(&plan->only, number + 1);
	set(&plan->armed, nth);
}

uint32_t crash_next_missed(uint32_t last)
{
	for (uint32_t i = last; i < plan->points; i++)
		if (plan->each[i].passed && !plan->each[i].deaths)
			return i + 1;
	return 0;
}

void crash_arm_number(uint32_t number)
{
	set(&plan->then, 0);
	set(&plan->only, number);
	set(&plan->armed, 1);
}

void crash_disarm(void)
{
	set(&plan->armed, 0);
	set(&plan->then, 0);
}

uint32_t crash_deaths(void)
{
	return __atomic_load_n(&plan->deaths, __ATOMIC_SEQ_CST);
}

uint32_t crash_passed(void)
{
	return __atomic_load_n(&plan->passed, __ATOMIC_SEQ_CST);
}

const char *crash_died_at(void)
{
	return plan->each[plan->died_at].name;
}

/* --- all plans of the program --- */

static struct known *find(const char *name)
{
	size_t i = 0;

	while (i < known_count && strcmp(known[i].name, name) != 0)
		i++;
	if (i == known_count)
		snprintf(known[known_count++].name, CRASH_NAME_MAX, "%s", name);
	return &known[i];
}

void crash_remember(void)
{
	for (uint32_t i = 0; i < plan->points; i++) {
		struct known *one = find(plan->each[i].name);

		one->passed += plan->each[i].passed;
		one->deaths += plan->each[i].deaths;
	}
}

uint32_t crash_points(void)
{
	return (uint32_t)known_count;
}

static bool is_excused(const char *name, const char *const *excused)
{
	for (; *excused; excused++)
		if (fnmatch(*excused, name, 0) == 0)
			return true;
	return false;
}

unsigned crash_say_missed(const char *const *excused)
{
	unsigned missed = 0;

	for (size_t i = 0; i < known_count; i++) {
		if (known[i].deaths || is_excused(known[i].name, excused))
			continue;
		sys_say("no worker died at \"%s\" (passed %u times)", known[i].name,
			known[i].passed);
		missed++;
	}
	return missed;
}
