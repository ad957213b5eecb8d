/* The handover as a former worker may have left it. */
#include "core/util.h"
#include "fs/worker_handover.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct handover handover;
static struct core_bound_fd bound[HANDOVER_MAX_BOUND];

static int setup(void **state)
{
	(void)state;
	alarm(10);
	handover = (struct handover){0};
	return 0;
}

/* A descriptor as exec(2) leaves it, among the numbers of bound files. */
static int inherited(void)
{
	AUTO_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return fcntl(fd, F_DUPFD, HANDOVER_FD_FIRST_BOUND);
}

static void strings_end(void **state)
{
	(void)state;
	memset(handover.live.mode_reason, 'x', sizeof handover.live.mode_reason);
	memset(handover.config.mountpoint, 'x', sizeof handover.config.mountpoint);
	strcpy(handover.config.source, "as it was");
	handover.config.lifetime = 77;
	handover.config.data_mode = DATA_MODE_CACHED;
	handover_mend(&handover);
	assert_int_equal(strlen(handover.live.mode_reason), sizeof handover.live.mode_reason - 1);
	assert_int_equal(strlen(handover.config.mountpoint), sizeof handover.config.mountpoint - 1);
	assert_string_equal(handover.config.source, "as it was");
	assert_int_equal(handover.config.lifetime, DEFAULT_LIFETIME_PERMANENT);
	assert_int_equal(handover.config.data_mode, DATA_MODE_CACHED);
}

static void only_what_was_inherited(void **state)
{
	const int good = inherited(), ours = inherited(), last = inherited();
	const int fds[] = {good, -1, 3, good, ours, 1 << 30, last};

	(void)state;
	fcntl(ours, F_SETFD, FD_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		handover.bound[i * 3].id = i + 1;
		handover.bound[i * 3].fd = fds[i];
	}
	assert_int_equal(handover_bound(&handover, bound), 2);
	assert_int_equal(bound[0].id, 1);
	assert_int_equal(bound[0].fd, good);
	assert_int_equal(bound[1].id, ARRAY_SIZE(fds));
	assert_int_equal(bound[1].fd, last);
	assert_int_equal(fcntl(good, F_GETFD), FD_CLOEXEC);
	close(good);
	close(ours);
	close(last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(strings_end, setup),
	    cmocka_unit_test_setup(only_what_was_inherited, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
