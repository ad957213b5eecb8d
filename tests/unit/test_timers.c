/* Deadlines: in order, re-armed, cancelled, from within one another, and not when nothing is armed.
 */
#include "core/timers.h"
#include "tests/unit/core_fixture.h"

#define MS 1000000ULL

static struct timers timers;
static size_t fds_before;

static struct probe {
	struct timer timer;
	uint64_t wanted, fired_at;
	unsigned fired;
	struct probe *arms, *cancels;
} probes[1000];

static unsigned order;

static void fire(struct timer *timer)
{
	struct probe *p = CONTAINER_OF(timer, struct probe, timer);

	assert_int_equal(timer->position, 0);
	p->fired++;
	p->fired_at = ++order;
	assert_true(clock_ns(CLOCK_MONOTONIC) >= p->wanted);
	if (p->arms)
		timers_arm(&timers, &p->arms->timer, 0);
	if (p->cancels)
		timers_cancel(&timers, &p->cancels->timer);
}

static int setup(void **state)
{
	(void)state;
	alarm(30);
	fds_before = open_fds();
	memset(probes, 0, sizeof probes);
	order = 0;
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		probes[i].timer.fire = fire;
	return timers_init(&timers);
}

static int teardown(void **state)
{
	(void)state;
	timers_finish(&timers);
	return open_fds() == fds_before ? 0 : -1;
}

static void arm(struct probe *p, uint64_t delay)
{
	p->wanted = clock_ns(CLOCK_MONOTONIC) + delay;
	assert_int_equal(timers_arm(&timers, &p->timer, delay), 0);
}

static bool wakes_within(int ms)
{
	struct pollfd pfd = {.fd = timers.fd, .events = POLLIN};

	return poll(&pfd, 1, ms) == 1;
}

static void dispatch_until(size_t fired)
{
	while (order < fired) {
		assert_true(wakes_within(5000));
		timers_dispatch(&timers);
	}
}

static void fire_in_order(void **state)
{
	unsigned random = 1;
	size_t count = ARRAY_SIZE(probes);

	(void)state;
	for (size_t i = 0; i < count; i++)
		arm(&probes[i], (uint64_t)(rand_r(&random) % 50) * MS);
	for (size_t i = 0; i < count; i += 3) /* re-armed: fires once, at the new time */
		arm(&probes[i], (uint64_t)(rand_r(&random) % 50) * MS);
	dispatch_until(count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(probes[i].fired, 1);
		for (size_t j = 0; j < count; j += 17)
			if (probes[i].timer.deadline < probes[j].timer.deadline)
				assert_true(probes[i].fired_at < probes[j].fired_at);
	}
	assert_false(wakes_within(20));
}

static void cancelled_does_not_fire(void **state)
{
	unsigned random = 1;

	(void)state;
	for (size_t i = 0; i < 300; i++)
		arm(&probes[i], (uint64_t)(rand_r(&random) % 20) * MS);
	for (size_t i = 0; i < 300; i++)
		if (i % 3)
			timers_cancel(&timers, &probes[i].timer);
	timers_cancel(&timers, &probes[1].timer); /* twice is harmless */
	dispatch_until(100);
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(probes[i].fired, i % 3 == 0);
	timers_dispatch(&timers);
	assert_false(wakes_within(30));
}

static void one_arms_another(void **state)
{
	(void)state;
	probes[0].arms = &probes[1];
	probes[1].arms = &probes[2];
	arm(&probes[0], 0);
	dispatch_until(3);
	assert_int_equal(probes[2].fired, 1);
}

static void one_cancels_another_of_the_same_moment(void **state)
{
	(void)state;
	probes[0].cancels = &probes[1];
	probes[1].cancels = &probes[0];
	arm(&probes[0], MS);
	arm(&probes[1], MS);
	usleep(5000);
	timers_dispatch(&timers);
	assert_int_equal(probes[0].fired + probes[1].fired, 1);
}

static void earlier_one_wakes_earlier(void **state)
{
	(void)state;
	arm(&probes[0], 60000 * MS);
	assert_false(wakes_within(0));
	arm(&probes[1], 5 * MS);
	dispatch_until(1);
	assert_int_equal(probes[1].fired, 1);
	assert_int_equal(probes[0].fired, 0);
}

static void finish_fires_nothing(void **state)
{
	(void)state;
	arm(&probes[0], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(fire_in_order),
	    TEST(cancelled_does_not_fire),
	    TEST(one_arms_another),
	    TEST(one_cancels_another_of_the_same_moment),
	    TEST(earlier_one_wakes_earlier),
	    TEST(finish_fires_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
