/* The worker is killed hundreds of times under a mixed load of several processes: no caller sees an
 * error, nothing is lost, done twice or leaked. */
#include <unistd.h>

#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"
#include "tests/sys/storm_crowd.h"

enum { KILLS = TEST_SANITIZED ? 60 : 300 };

static void storm_of_kills(void **state)
{
	struct sys *sys = *state;
	struct storm_crowd crowd;

	sys_time_limit(sys, 240);
	sys_mount(sys, "size=256m");
	storm_prepare(&crowd, sys, STORM_LOADS);
	sys_kill_worker(sys); /* so that a worker of the same kind is counted before and after */
	struct leaks before = leaks_count(sys);

	storm_start(&crowd, sys);
	sys_start_killer(sys, 15, 30);
	while (storm_goes_on(&crowd) &&
	       (sys->reference ? crowd.storm->rounds[0] < 2000
			       : sys_status_number(sys, "restarts") < KILLS))
		usleep(20000);
	unsigned kills = sys_stop_killer(sys);
	struct storm_total total = storm_stop(&crowd, sys);
	sys_say("%u kills, %llu operations, the longest (%s) took %llu ms", kills,
		(unsigned long long)total.rounds, total.longest,
		(unsigned long long)total.longest_ns / 1000000);
	assert_int_equal(total.failed, 0);
	assert_true(sys->reference || kills >= KILLS - 1);
	assert_true(total.rounds > kills);
	assert_true(total.locked > 0);
	leaks_check(sys, &before);
}

/* Without kills: what leaks then has nothing to do with restarts. */
static void load_without_kills(void **state)
{
	struct sys *sys = *state;
	struct storm_crowd crowd;

	sys_mount(sys, "size=256m");
	storm_prepare(&crowd, sys, STORM_LOADS);
	struct leaks before = leaks_count(sys);
	storm_start(&crowd, sys);
	WAIT_UNTIL(40, !storm_goes_on(&crowd) || crowd.storm->rounds[0] > 2000);
	struct storm_total total = storm_stop(&crowd, sys);
	sys_say("%llu operations", (unsigned long long)total.rounds);
	assert_int_equal(total.failed, 0);
	assert_true(sys->reference || sys_status_number(sys, "restarts") == 0);
	leaks_check(sys, &before);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(load_without_kills),
    SYS_TEST_BOTH_MODES(storm_of_kills),
};

int main(void)
{
	return sys_run_tests("killstorm", tests);
}
