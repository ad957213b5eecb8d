/* Ten thousand waits, of one object and of 64 at a time, and pollers: others are served, a change
 * for others is told at once, and when they have gone nothing of them is left. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sys/hostile.h"
#include "tests/sys/waitables.h"

enum { OBJECTS = 64, WAITERS = 157, POLLERS = 3000, MEMORY = 64 << 20 };

static int wait_for_all(void *context)
{
	struct sys *sys = context;
	static struct pollfd polls[POLLERS];
	struct rlimit limit;
	int fds[OBJECTS];

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	CHECK(become(HOSTILE_UID) == 0);
	catch_interrupts();
	for (int i = 0; i < OBJECTS; i++)
		CHECK((fds[i] = open(sys_path(sys, "e%d", i), O_RDWR | O_CLOEXEC)) >= 0);
	for (int i = 0; i < WAITERS; i++)
		waiter_start_many(fds, OBJECTS, WIRE_WAIT_ALL, NO_DEADLINE);
	for (int i = 0; i < POLLERS; i++) {
		polls[i].fd = open(sys_path(sys, "e0"), O_RDWR | O_CLOEXEC);
		polls[i].events = POLLIN;
		CHECK(polls[i].fd >= 0);
	}
	CHECK(poll(polls, POLLERS, 10) == 0);
	CHECK(mknod(sys_path(sys, "ready"), S_IFREG | 0644, 0) == 0);
	pause();
	return 0;
}

static void many_waits(void **state)
{
	struct sys *sys = *state;
	struct honest *honest;
	uint64_t before, after = 0;
	pid_t pid;

	sys_time_limit(sys, 120);
	sys_mount(sys, "size=64m");
	for (int i = 0; i < OBJECTS; i++) {
		char name[16];

		snprintf(name, sizeof name, "e%d", i);
		make_event(sys, name, 0);
		assert_int_equal(chmod(sys_path(sys, "%s", name), 0666), 0);
	}
	make_event(sys, "mine", 0);
	AUTO_CLOSE int mine = open_object(sys_path(sys, "mine"), O_RDWR);
	honest = honest_start(sys);
	before = honest_median(honest, 300);
	pid = sys_fork(sys, wait_for_all, sys);
	WAIT_UNTIL(60, access(sys_path(sys, "ready"), F_OK) == 0);
	for (int try = 0; try < 20; try++) { /* the machine has other things to do, too */
		after = honest_median(honest, 300);
		if (after <= 2 * before)
			break;
	}
	sys_say("%lld waits and polls, %lld handles: another's median open+close %.0f us, quiet "
		"%.0f us: %.2f times; the worker has %lld KiB",
		user_has(sys, HOSTILE_UID, "waits"), user_has(sys, HOSTILE_UID, "wait_handles"),
		(double)after / 1e3, (double)before / 1e3, (double)after / (double)before,
		sys_worker_memory(sys) >> 10);
	assert_true(user_has(sys, HOSTILE_UID, "waits") >= WAITERS * OBJECTS);
	assert_true(after <= 2 * before);
	worker_memory_below(sys, MEMORY);
	for (int i = 0; i < 20; i++) {
		struct waiter *waiter = waiter_start(mine);

		assert_int_equal(words_to(sys_path(sys, "e0"), "set"), 3);
		assert_int_equal(words(mine, "set"), 3);
		assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
	}
	sys_kill_worker(sys);
	WAIT_UNTIL(20, user_has(sys, HOSTILE_UID, "waits") >= WAITERS * OBJECTS);
	sys_kill(sys, pid);
	WAIT_UNTIL(20, !user_has(sys, HOSTILE_UID, "waits"));
	WAIT_UNTIL(20, !user_has(sys, HOSTILE_UID, "wait_handles"));
	honest_end(honest);
	assert_int_equal(sys_status_number(sys, "handles"), 1);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_PASSTHROUGH(many_waits),
};

int main(void)
{
	return sys_run_tests("hostile_waits", tests);
}
