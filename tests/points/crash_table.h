/* Operations, each done again and again with the worker killed at its first point, its second, and
 * so on: what the caller sees and what is there afterwards must be as if nothing had happened. */
#ifndef MAPPINGFS_TESTS_POINTS_CRASH_TABLE_H
#define MAPPINGFS_TESTS_POINTS_CRASH_TABLE_H

#include "tests/points/crash_plan.h"
#include "tests/points/crash_world.h"

struct crash_operation {
	const char *name;
	const char *before; /* world_make()'s words; NULL: an empty directory */
	/* In a child that inherits the world's descriptors: a number, or -errno. What it puts in
	 * `text` is part of the result. */
	long (*operate)(struct world *w, char *text);
	long expected;
	const char *expected_text; /* NULL: "" */
	bool goes_on; /* it waits for something in a loop, and never ends to pass points */
	bool unseen;  /* changes nothing that a description shows */
	bool passthrough_only;
};

/* A row of a table: name, before, operate, expected, and whatever else is to be said. */
#define CRASH_ROW(what, words, function, result, ...)                                              \
	{                                                                                          \
		.name = what, .before = words, .operate = function, .expected = result,            \
		__VA_ARGS__                                                                        \
	}

#define CRASH_TEXT_MAX 128

extern const struct crash_operation crash_files[], crash_objects[], crash_waits[];
extern const size_t crash_files_count, crash_objects_count, crash_waits_count;

/* On a mount of its own with these options; says what was done, as `what`. Fails the test if
 * anything went wrong. */
void crash_run_table(struct sys *sys, const char *options, const char *what,
		     const struct crash_operation *operations, size_t count);

#endif
