#include "tests/points/crash_table.h"

#include <fnmatch.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
	LONGEST_MS = 30000, /* an operation, with two deaths, on a busy machine */
	SETTLED = 8,        /* descriptions that say the same */
	MOST_POINTS = 600,  /* of an operation; more is a mistake */
	POINTS_WHEN_IT_GOES_ON = 60,
	POINTS_BEHIND = 8,    /* after the answer, what ends by itself */
	PAIRS = 6,            /* of deaths, for each operation */
	FARTHEST_SECOND = 24, /* the second death, in points of the new worker */
	MOST_FAILURES = 40,
	TIME_LIMIT = 280, /* seconds, for a table */
};

#define LONG_STALL 1.0 /* seconds: worth a line */

struct outcome {
	long result;
	char text[CRASH_TEXT_MAX];
	bool ended;
};

struct figures {
	unsigned operations, trials, kills, doubled, failures;
	double worst_stall; /* seconds an operation took with a death in it */
};

struct table {
	struct sys *sys;
	struct mapping_mount *mount;
	struct figures *figures;
	const struct crash_operation *operation;
	struct outcome *outcome; /* shared with the child */
	char *model;             /* description after an undisturbed run */
	unsigned seed;
	uint32_t only; /* point; 0: all count */
};

static void fail_here(struct table *t, const char *what)
{
	sys_say("%s: %s (last death at \"%s\")", t->operation->name, what, crash_died_at());
	t->figures->failures++;
}

/* --- one time --- */

static pid_t start(struct table *t, struct world *world)
{
	pid_t pid;

	*t->outcome = (struct outcome){0};
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		long result = t->operation->operate(world, t->outcome->text);

		t->outcome->result = result;
		__atomic_store_n(&t->outcome->ended, true, __ATOMIC_SEQ_CST);
		_exit(0);
	}
	return pid;
}

/* False: it hangs, and was killed. */
static bool operate(struct table *t, struct world *world)
{
	pid_t pid = start(t, world);
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	uint64_t began = clock_ns(CLOCK_MONOTONIC);
	double took;
	bool fine = poll(&ended, 1, LONGEST_MS) == 1;

	if (!fine)
		kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	took = (double)(clock_ns(CLOCK_MONOTONIC) - began) / 1e9;
	if (took > LONG_STALL)
		sys_say("%s: took %.0f ms (last death at \"%s\")", t->operation->name, took * 1e3,
			crash_died_at());
	if (took > t->figures->worst_stall)
		t->figures->worst_stall = took;
	return fine && t->outcome->ended;
}

static bool result_is_right(const struct table *t)
{
	const char *text = t->operation->expected_text ? t->operation->expected_text : "";

	return t->outcome->result == t->operation->expected && strcmp(t->outcome->text, text) == 0;
}

static bool is_as_in_the_model(const struct table *t, const struct world *world)
{
	AUTO_FREE char *now = world_describe(world);

	return strcmp(now, t->model) == 0;
}

/* Lines that only one of them has. */
static void say_lines(const char *what, const char *text, const char *other)
{
	while (*text) {
		int length = (int)strcspn(text, "\n");
		AUTO_FREE char *line = strndup(text, (size_t)length);

		if (!strstr(other, line))
			sys_say("%s %s", what, line);
		text += length + (text[length] == '\n');
	}
}

static void say_difference(const struct table *t, const struct world *world)
{
	AUTO_FREE char *now = world_describe(world);

	say_lines("  it should be", t->model, now);
	say_lines("  but it is", now, t->model);
}

static void check(struct table *t, struct world *world, bool ended, unsigned nth, unsigned then)
{
	char what[256];

	if (!ended || !result_is_right(t)) {
		snprintf(what, sizeof what, "point %u, then %u: %s %ld '%s' instead of %ld '%s'",
			 nth, then, ended ? "result" : "no end", t->outcome->result,
			 t->outcome->text, t->operation->expected,
			 t->operation->expected_text ? t->operation->expected_text : "");
		fail_here(t, what);
	} else if (!BECOMES_TRUE(5, is_as_in_the_model(t, world))) {
		snprintf(what, sizeof what, "point %u, then %u: not the same afterwards", nth,
			 then);
		fail_here(t, what);
		say_difference(t, world);
	}
}

/* The deaths there were: fewer than asked for where the points ran out. */
static unsigned try(struct table *t, unsigned nth, unsigned then, bool *during)
{
	uint32_t before = crash_deaths();
	struct world world;
	bool ended;

	world_make(&world, t->sys, t->mount, t->operation->before ? t->operation->before : "");
	if (t->only)
		crash_arm_number(t->only);
	else
		crash_arm(nth, then);
	ended = operate(t, &world);
	*during = crash_deaths() > before;
	if (!*during)
		json_decref(sys_status(t->sys)); /* what still goes on */
	crash_disarm();
	check(t, &world, ended, nth, then);
	if (!world_remove(&world))
		fail_here(t, "what it left cannot be removed");
	t->figures->trials++;
	t->figures->kills += crash_deaths() - before;
	return crash_deaths() - before;
}

/* --- one operation --- */

static char *settled(const struct world *world)
{
	char *last = world_describe(world);
	int same = 0;

	while (same < SETTLED) {
		char *now = world_describe(world);

		same = strcmp(now, last) == 0 ? same + 1 : 0;
		free(last);
		last = now;
		sys_past(0);
	}
	return last;
}

/* As it is without deaths. False: nothing to compare with. */
static bool make_model(struct table *t)
{
	AUTO_FREE char *before = NULL;
	unsigned failures = t->figures->failures;
	struct world world;

	crash_disarm();
	world_make(&world, t->sys, t->mount, t->operation->before ? t->operation->before : "");
	before = settled(&world);
	if (!operate(t, &world) || !result_is_right(t)) {
		char what[256];

		snprintf(what, sizeof what, "undisturbed: result %ld '%s' instead of %ld",
			 t->outcome->result, t->outcome->text, t->operation->expected);
		fail_here(t, what);
	}
	t->model = settled(&world);
	if (!t->operation->unseen && t->operation->expected >= 0 && strcmp(before, t->model) == 0)
		fail_here(t, "undisturbed: nothing has changed");
	world_remove(&world);
	return failures == t->figures->failures;
}

/* Until the points run out; their number. */
static unsigned try_each_point(struct table *t)
{
	const unsigned most = t->operation->goes_on ? POINTS_WHEN_IT_GOES_ON : MOST_POINTS;
	unsigned nth = 1, behind = 0;
	bool during;

	while (nth <= most && behind < POINTS_BEHIND && try(t, nth, 0, &during) > 0 &&
	       t->figures->failures < MOST_FAILURES) {
		behind += !during;
		nth++;
	}
	if (nth > MOST_POINTS)
		fail_here(t, "its points do not end");
	return nth - 1;
}

static void try_pairs(struct table *t, unsigned points)
{
	bool during;

	for (int i = 0; i < PAIRS && points && t->figures->failures < MOST_FAILURES; i++) {
		unsigned nth = 1 + (unsigned)rand_r(&t->seed) % points;
		unsigned then = 1 + (unsigned)rand_r(&t->seed) % FARTHEST_SECOND;

		t->figures->doubled += try(t, nth, then, &during) == 2;
	}
}

/* What comes by itself meanwhile can shift the numbers, and a point be skipped. */
static void try_missed(struct table *t)
{
	bool during;

	while ((t->only = crash_next_missed(t->only)) && t->figures->failures < MOST_FAILURES)
		try(t, 1, 0, &during);
}

static void try_operation(struct table *t)
{
	const char *pattern = getenv("MAPPINGFS_CRASH_FILTER");
	unsigned points;

	if (pattern && fnmatch(pattern, t->operation->name, 0) != 0)
		return;
	if (t->operation->passthrough_only && t->sys->mode != SYS_PASSTHROUGH)
		return;
	t->figures->operations++;
	if (make_model(t)) {
		points = try_each_point(t);
		try_pairs(t, points);
		try_missed(t);
		if (getenv("MAPPINGFS_CRASH_VERBOSE"))
			sys_say("%s: %u points", t->operation->name, points);
	}
	free(t->model);
	t->model = NULL;
}

static void try_table(struct sys *sys, const struct crash_operation *operations, size_t count,
		      struct figures *figures)
{
	struct table t = {.sys = sys, .figures = figures, .seed = 20260};
	struct mapping_error error;

	if (mapping_mount_find(sys->mnt, &t.mount, &error) < 0)
		fail_msg("%s", error.text);
	t.outcome = mmap(NULL, sizeof *t.outcome, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(t.outcome != MAP_FAILED);
	for (size_t i = 0; i < count && figures->failures < MOST_FAILURES; i++) {
		t.operation = &operations[i];
		try_operation(&t);
	}
	munmap(t.outcome, sizeof *t.outcome);
	mapping_mount_close(t.mount);
}

void crash_run_table(struct sys *sys, const char *options, const char *what,
		     const struct crash_operation *operations, size_t count)
{
	struct figures f = {0};

	sys_time_limit(sys, TIME_LIMIT);
	crash_plan_create(sys);
	sys_mount(sys, options);
	try_table(sys, operations, count, &f);
	sys_unmount(sys);
	crash_remember();
	crash_plan_destroy();
	sys_say("%s: %u operations, %u runs, %u kills (%u runs with two), %u failures; longest "
		"stall %.0f ms",
		what, f.operations, f.trials, f.kills, f.doubled, f.failures, f.worst_stall * 1e3);
	assert_int_equal(f.failures, 0);
}
