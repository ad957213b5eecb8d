/* Crash points: where a test build can be made to die.
 *
 * A point is a place between two steps of which a killed worker may have made the first and not the
 * second: a request was read, a change is staged, a system call that changes something is about to
 * be made or has been made, an answer is out. Built with MAPPINGFS_TEST_POINTS the worker counts
 * each point it passes in a plan that it shares with the test and with the workers after it, and
 * kills itself with SIGKILL at the one the test asked for. An ordinary build holds nothing of this.
 *
 * To add a point, write CRASH_POINT("room: what has just been done") there; it is known to the
 * tests by being compiled, and they fail if none of their operations passes it. System calls need
 * none: fs/crash_calls.c wraps those that change something, wherever they are made. */
#ifndef MAPPINGFS_CORE_CRASH_H
#define MAPPINGFS_CORE_CRASH_H

#ifndef MAPPINGFS_TEST_POINTS

#define CRASH_POINT(text)                                                                          \
	do {                                                                                       \
	} while (0)

static inline void crash_open(void)
{
}

#else

#include <stdint.h>

#define CRASH_ENVIRONMENT "MAPPINGFS_CRASH_PLAN" /* the plan's path */
#define CRASH_MAX_POINTS  256U
#define CRASH_MAX_TRACE   4096U
#define CRASH_NAME_MAX    40U

/* No larger than a pointer, so that the linker puts them beside each other. */
struct crash_point {
	const char *name;
};

/* All zero nothing happens. Points are numbered as they were linked; several may have one name. */
struct crash_plan {
	uint32_t armed;   /* die at the n-th point from now on; 0: never */
	uint32_t then;    /* `armed` for who comes after the one that died */
	uint32_t only;    /* 1 + a point's number: no other counts; 0: all do */
	uint32_t deaths;  /* so far */
	uint32_t died_at; /* the newest: number of its point */
	uint32_t points;  /* how many there are; 0: no worker has come up yet */
	uint32_t passed;  /* so far; the newest of them in trace[(passed - 1) % CRASH_MAX_TRACE] */
	uint16_t trace[CRASH_MAX_TRACE];
	struct {
		char name[CRASH_NAME_MAX];
		uint32_t passed, deaths;
	} each[CRASH_MAX_POINTS];
};

void crash_open(void); /* before the process confines itself, and before the first point */
void crash_reached(const struct crash_point *point);

#define CRASH_POINT(text)                                                                          \
	do {                                                                                       \
		static struct crash_point crash_point_                                             \
		    __attribute__((section("crash_points"), used)) = {text};                       \
		crash_reached(&crash_point_);                                                      \
	} while (0)

#endif
#endif
