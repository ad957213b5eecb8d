/* Blocked waits: with several clients waiting for one object, the worker dies at each step of the
 * change that lets some of them go, and again while the next one takes over. Who goes and in which
 * order, and what is left of the object, must be as if nothing had happened. */
#include "tests/points/crash_plan.h"
#include "tests/sys/waitables.h"

#include <stdio.h>
#include <stdlib.h>

enum { WAITERS = 4, PAIRS = 8, FARTHEST_SECOND = 24, TIME_LIMIT = 200, LONGEST = 30 };

struct blocked {
	const char *name;
	struct typed typed;
	const char *before; /* words that make it so that everybody waits; NULL: it is so */
	const char *change;
	const char *state;  /* afterwards */
	const char *others; /* words that let one more go, or all */
	unsigned first;     /* so many go by the change: the first that came */
	bool owned;         /* who changes has taken it; who goes has to let the next one go */
	bool both;          /* they wait for two such objects together; the other one is ready */
};

static const struct blocked rows[] = {
    {.name = "semaphore, one",
     .typed = {.type = OBJECT_SEMAPHORE, .maximum = 9},
     .change = "release\n",
     .first = 1,
     .state = "0 of 9",
     .others = "release\n"},
    {.name = "semaphore, three",
     .typed = {.type = OBJECT_SEMAPHORE, .maximum = 9},
     .change = "release 3\n",
     .first = 3,
     .state = "0 of 9",
     .others = "release\n"},
    {.name = "semaphore, line by line",
     .typed = {.type = OBJECT_SEMAPHORE, .maximum = 9},
     .change = "release\nrelease\n",
     .first = 2,
     .state = "0 of 9",
     .others = "release\n"},
    {.name = "semaphore, more than wait",
     .typed = {.type = OBJECT_SEMAPHORE, .maximum = 9},
     .change = "release 7\n",
     .first = WAITERS,
     .state = "3 of 9"},
    {.name = "event, set",
     .typed = {.type = OBJECT_EVENT},
     .change = "set\n",
     .first = 1,
     .state = "unsignaled auto",
     .others = "set\n"},
    {.name = "event, pulse",
     .typed = {.type = OBJECT_EVENT},
     .change = "pulse\n",
     .first = 1,
     .state = "unsignaled auto",
     .others = "set\n"},
    {.name = "manual event, set",
     .typed = {.type = OBJECT_EVENT, .flags = WIRE_MANUAL},
     .change = "set\n",
     .first = WAITERS,
     .state = "signaled manual"},
    {.name = "manual event, pulse",
     .typed = {.type = OBJECT_EVENT, .flags = WIRE_MANUAL},
     .change = "pulse\n",
     .first = WAITERS,
     .state = "unsignaled manual"},
    {.name = "timer",
     .typed = {.type = OBJECT_TIMER},
     .change = "set 0s\n",
     .first = 1,
     .state = "unsignaled auto",
     .others = "set 0s\n"},
    {.name = "mutex",
     .typed = {.type = OBJECT_MUTEX},
     .change = "release\n",
     .first = 1,
     .state = "owned",
     .others = "release\n",
     .owned = true},
    {.name = "two semaphores together",
     .typed = {.type = OBJECT_SEMAPHORE, .maximum = 9},
     .change = "release 2\n",
     .first = 2,
     .state = "0 of 9",
     .others = "release\n",
     .both = true},
};

struct figures {
	unsigned runs, kills, doubled;
};

/* One object, and who waits for it. */
struct scene {
	struct sys *sys;
	const struct blocked *row;
	char path[256], other[256];
	int change_fd, other_fd;
	int fds[WAITERS];
	struct waiter *waiters[WAITERS];
};

static void begin_wait(struct scene *s, unsigned i)
{
	int both[2];

	s->fds[i] = both[0] = open_object(s->path, O_RDWR);
	both[1] = s->other_fd;
	s->waiters[i] = s->row->both ? waiter_start_many(both, 2, WIRE_WAIT_ALL, NO_DEADLINE)
				     : waiter_start(s->fds[i]);
}

static void set_scene(struct scene *s, struct sys *sys, const struct blocked *row)
{
	static unsigned number;
	struct typed ready = {.type = OBJECT_SEMAPHORE, .initial = WAITERS, .maximum = WAITERS};
	char name[32];

	*s = (struct scene){.sys = sys, .row = row, .other_fd = -1};
	snprintf(name, sizeof name, "o%u", number++);
	snprintf(s->path, sizeof s->path, "%s", typed_make(sys, name, row->typed));
	s->change_fd = open_object(s->path, O_RDWR);
	if (row->both) {
		strcat(name, "b");
		snprintf(s->other, sizeof s->other, "%s", typed_make(sys, name, ready));
		s->other_fd = open_object(s->other, O_RDWR);
	}
	if (row->owned)
		assert_int_equal(wait_here(s->change_fd), WAIT_ACQUIRED);
	for (unsigned i = 0; i < WAITERS; i++)
		begin_wait(s, i);
}

static unsigned gone(const struct scene *s)
{
	unsigned count = 0;

	for (unsigned i = 0; i < WAITERS; i++)
		count += atomic_load(&s->waiters[i]->ended);
	return count;
}

/* The first so many have gone, and nobody else. */
static bool first_have_gone(const struct scene *s, unsigned count)
{
	for (unsigned i = 0; i < WAITERS; i++)
		if (atomic_load(&s->waiters[i]->ended) != (i < count))
			return false;
	return true;
}

static bool state_begins(const struct scene *s, const char *expected)
{
	AUTO_FREE char *state = sys_xattr(s->path, "user.mapping.state");

	return state && strncmp(state, expected, strlen(expected)) == 0;
}

static void say_who_has_gone(const struct scene *s, unsigned nth, unsigned then)
{
	AUTO_FREE char *state = sys_xattr(s->path, "user.mapping.state");

	sys_say("%s, point %u, then %u (\"%s\"): gone: %d %d %d %d, state %s", s->row->name, nth,
		then, crash_died_at(), s->waiters[0]->ended, s->waiters[1]->ended,
		s->waiters[2]->ended, s->waiters[3]->ended, state);
}

/* The others go one by one, in their order. */
static void let_others_go(struct scene *s)
{
	for (unsigned i = s->row->first; i < WAITERS; i++) {
		int fd = s->row->owned ? s->fds[i - 1] : s->change_fd;

		assert_int_equal(words(fd, s->row->others), strlen(s->row->others));
		WAIT_UNTIL(LONGEST, first_have_gone(s, i + 1));
	}
}

static void end_scene(struct scene *s)
{
	for (unsigned i = 0; i < WAITERS; i++) {
		int result =
		    s->row->both ? waiter_end_many(s->waiters[i], NULL) : waiter_end(s->waiters[i]);

		assert_true(result >= 0);
		close(s->fds[i]);
	}
	close(s->change_fd);
	cleanup_close(&s->other_fd);
	assert_int_equal(unlink(s->path), 0);
	if (s->row->both)
		assert_int_equal(unlink(s->other), 0);
}

/* The deaths there were. */
static unsigned try(struct sys *sys, const struct blocked *row, unsigned nth, unsigned then,
		    struct figures *f)
{
	uint32_t before = crash_deaths();
	struct scene s;
	bool right;

	set_scene(&s, sys, row);
	crash_arm(nth, then);
	assert_int_equal(words(s.change_fd, row->change), strlen(row->change));
	right = BECOMES_TRUE(LONGEST, gone(&s) >= row->first);
	crash_disarm();
	right = right && BECOMES_TRUE(5, state_begins(&s, row->state));
	if (!right || !first_have_gone(&s, row->first)) {
		say_who_has_gone(&s, nth, then);
		fail_msg("who waits was not let go as if nothing had happened");
	}
	let_others_go(&s);
	end_scene(&s);
	f->runs++;
	f->kills += crash_deaths() - before;
	return crash_deaths() - before;
}

static void waits_go_once_and_in_order(void **state)
{
	struct sys *sys = *state;
	struct figures f = {0};
	unsigned seed = 20261;

	sys_time_limit(sys, TIME_LIMIT);
	crash_plan_create(sys);
	sys_mount(sys, "size=16m");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned points = 0;

		while (try(sys, &rows[i], points + 1, 0, &f))
			points++;
		assert_true(points > 0);
		for (int pair = 0; pair < PAIRS; pair++)
			f.doubled += try(sys, &rows[i], 1 + (unsigned)rand_r(&seed) % points,
					 1 + (unsigned)rand_r(&seed) % FARTHEST_SECOND, &f) == 2;
	}
	sys_unmount(sys);
	crash_plan_destroy();
	sys_say("%zu changes, %d waiters each, %u runs, %u kills (%u runs with two)",
		ARRAY_SIZE(rows), WAITERS, f.runs, f.kills, f.doubled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {SYS_TEST_BOTH_MODES(waits_go_once_and_in_order)};

	return sys_run_tests("crash points: blocked waits", tests);
}
