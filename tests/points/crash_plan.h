/* The test's side of the crash points: when the worker is to die. See core/crash.h. */
#ifndef MAPPINGFS_TESTS_POINTS_CRASH_PLAN_H
#define MAPPINGFS_TESTS_POINTS_CRASH_PLAN_H

#include "core/crash.h"
#include "tests/sys/harness.h"

/* Before sys_mount(): workers inherit it. It lies in sys->dir. */
void crash_plan_create(struct sys *sys);
void crash_plan_destroy(void); /* at the end of each test that created one */

/* Dies at the n-th point from now on (1: the next), and who comes after it at its m-th (0: not). */
void crash_arm(uint32_t nth, uint32_t then);
/* Only points of this name count. */
void crash_arm_at(const char *name, uint32_t nth);
/* The next point, counted from 1 and above `last`, that was passed and where nobody died; 0: none.
 */
uint32_t crash_next_missed(uint32_t last);
/* Only this one counts. */
void crash_arm_number(uint32_t number);
void crash_disarm(void);
uint32_t crash_deaths(void); /* so far */
const char *crash_died_at(void);
uint32_t crash_passed(void); /* points passed so far */
uint32_t crash_points(void); /* different names */

/* Adds what this plan's workers passed and died at to what the program knows of all its plans. */
void crash_remember(void);
/* Says which points no worker of this program has died at, but for those that match one of these
 * patterns (fnmatch; the list ends with NULL). How many. */
unsigned crash_say_missed(const char *const *excused);

#endif
