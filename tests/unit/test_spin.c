/* Busy waiting: bounded in each wait, given up while it does not pay, tried again now and then. */
#include "fs/spin.h"

#include "core/util.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT_USEC 300

static int setup(void **state)
{
	(void)state;
	alarm(30);
	return 0;
}

static bool several_cpus(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) > 1;
}

/* One wait in which nothing comes: how long it lasted, ns. */
static uint64_t wait_in_vain(struct spin *spin)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);

	while (spin_again(spin))
		;
	return clock_ns(CLOCK_MONOTONIC) - begin;
}

static void never_without_a_limit(void **state)
{
	struct spin spin;

	(void)state;
	spin_init(&spin, 0);
	for (int i = 0; i < 100; i++)
		assert_false(spin_again(&spin));
}

static void never_on_one_cpu(void **state)
{
	cpu_set_t before, one;
	struct spin spin;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	spin_init(&spin, LIMIT_USEC);
	assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
	assert_false(spin_again(&spin));
}

static void a_wait_is_bounded(void **state)
{
	struct spin spin;
	uint64_t shortest = UINT64_MAX;

	(void)state;
	if (!several_cpus())
		skip();
	for (int i = 0; i < 10; i++) {
		spin_init(&spin, LIMIT_USEC);
		uint64_t took = wait_in_vain(&spin);
		assert_true(took >= LIMIT_USEC * 1000);
		shortest = took < shortest ? took : shortest;
	}
	assert_true(shortest < 20 * LIMIT_USEC * 1000ULL);
}

/* An idle worker: the waits stop altogether but for a rare one. */
static void given_up_when_it_does_not_pay(void **state)
{
	struct spin spin;
	int spun = 0;

	(void)state;
	if (!several_cpus())
		skip();
	spin_init(&spin, 1);
	for (int i = 0; i < 100; i++)
		wait_in_vain(&spin);
	for (int i = 0; i < 320; i++) {
		bool began = spin_again(&spin);
		spun += began;
		if (began)
			wait_in_vain(&spin);
	}
	assert_in_range(spun, 1, 32);
}

static void taken_up_again_when_it_pays(void **state)
{
	struct spin spin;
	int spun = 0;

	(void)state;
	if (!several_cpus())
		skip();
	spin_init(&spin, 1000);
	spin.credit = 0;
	for (int i = 0; i < 200; i++) { /* each request comes soon after we begin to look */
		spun += spin_again(&spin);
		spin_hit(&spin);
	}
	assert_true(spun > 100);
	spun = 0;
	for (int i = 0; i < 10; i++) {
		spun += spin_again(&spin);
		spin_hit(&spin);
	}
	assert_int_equal(spun, 10);
}

/* Requests that were there at once say nothing about waiting. */
static void hits_without_waiting_earn_nothing(void **state)
{
	struct spin spin;

	(void)state;
	spin_init(&spin, 1);
	spin.credit = 0;
	for (int i = 0; i < 100; i++)
		spin_hit(&spin);
	assert_int_equal(spin.credit, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(never_without_a_limit, setup),
	    cmocka_unit_test_setup(never_on_one_cpu, setup),
	    cmocka_unit_test_setup(a_wait_is_bounded, setup),
	    cmocka_unit_test_setup(given_up_when_it_does_not_pay, setup),
	    cmocka_unit_test_setup(taken_up_again_when_it_pays, setup),
	    cmocka_unit_test_setup(hits_without_waiting_earn_nothing, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
