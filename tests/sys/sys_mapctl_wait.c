/* mapctl wait and mapctl signal: what is taken, what is printed, and the exit codes. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sys/harness.h"

/* mapctl with arguments: exit status as wanted, and all that it said on standard output. */
#define PRINTS(status, text, ...)                                                                  \
	do {                                                                                       \
		int got_ = run(sys, "2>/dev/null", __VA_ARGS__);                                   \
		if (got_ != (status) || strcmp(sys->output, text) != 0)                            \
			fail_msg("%s:%d: exit %d, wanted %d and \"%s\"; said: %s", __FILE__,       \
				 __LINE__, got_, status, text, sys->output);                       \
	} while (0)
#define COMPLAINS(status, words, ...)                                                              \
	do {                                                                                       \
		int got_ = run(sys, "2>&1 >/dev/null", __VA_ARGS__);                               \
		if (got_ != (status) || !strstr(sys->output, words))                               \
			fail_msg("%s:%d: exit %d, wanted %d and \"%s\"; said: %s", __FILE__,       \
				 __LINE__, got_, status, words, sys->output);                      \
	} while (0)

static int run(struct sys *sys, const char *redirection, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int run(struct sys *sys, const char *redirection, const char *format, ...)
{
	char arguments[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(arguments, sizeof arguments, format, args);
	va_end(args);
	return sys_shell(sys, "mapctl --mount %s %s %s", sys->mnt, arguments, redirection);
}

static bool state_is(struct sys *sys, const char *name, const char *wanted)
{
	AUTO_FREE char *text = sys_xattr(sys_path(sys, "%s", name), "user.mapping.state");

	return text && !strcmp(text, wanted);
}

static void mount_with_objects(struct sys *sys)
{
	sys_mount(sys, NULL);
	PRINTS(0, "", "create auto --type event");
	PRINTS(0, "", "create manual --type event --manual");
	PRINTS(0, "", "create sem --type semaphore --max 3 --initial 1");
	PRINTS(0, "", "create mutex --type mutex");
	PRINTS(0, "", "create timer --type timer");
	PRINTS(0, "", "create map --size 4k");
}

static void one_is_waited_for(void **state)
{
	struct sys *sys = *state;

	mount_with_objects(sys);
	PRINTS(3, "", "wait auto --timeout 0");
	PRINTS(0, "", "signal auto set");
	PRINTS(0, "auto\n", "wait auto");
	PRINTS(3, "", "wait auto --timeout 20ms");
	PRINTS(0, "", "signal manual set");
	PRINTS(0, "manual\n", "wait manual");
	PRINTS(0, "manual\n", "wait manual --timeout 0");
	PRINTS(0, "", "signal manual reset");
	PRINTS(3, "", "wait manual --timeout .01");
	PRINTS(0, "sem\n", "wait sem");
	assert_true(state_is(sys, "sem", "0 of 3"));
	PRINTS(0, "", "signal sem release 2");
	PRINTS(0, "", "signal sem release");
	assert_true(state_is(sys, "sem", "3 of 3"));
	PRINTS(0, "mutex\n", "wait mutex");
	assert_true(state_is(sys, "mutex", "free")); /* given back, not abandoned */
	PRINTS(0, "", "signal timer set 20ms 3600s");
	PRINTS(0, "timer\n", "wait timer");
	PRINTS(0, "", "signal timer cancel");
	PRINTS(0, "", "signal timer set @1.5");
	PRINTS(0, "timer\n", "wait timer");
}

static void several_are_waited_for(void **state)
{
	struct sys *sys = *state;

	mount_with_objects(sys);
	PRINTS(0, "sem\n", "wait auto sem mutex");
	PRINTS(0, "", "signal sem release");
	PRINTS(0, "mutex\n", "wait --any mutex sem");
	assert_true(state_is(sys, "sem", "1 of 3"));
	PRINTS(3, "", "wait --all sem auto --timeout 30ms");
	assert_true(state_is(sys, "sem", "1 of 3"));
	PRINTS(0, "", "signal auto set");
	PRINTS(0, "sem\nauto\nmutex\n", "wait --all sem auto mutex");
	assert_true(state_is(sys, "sem", "0 of 3"));
	assert_true(state_is(sys, "auto", "unsignaled auto"));
	assert_true(state_is(sys, "mutex", "free"));
}

static void abandonment_is_told(void **state)
{
	struct sys *sys = *state;
	char line[32] = "";
	int fd;

	mount_with_objects(sys);
	for (int i = 0; i < 3; i++) {
		fd = open(sys_path(sys, "mutex"), O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0 && read(fd, line, sizeof line) > 0);
		close(fd);
		if (i == 0)
			PRINTS(4, "mutex\n", "wait mutex");
		else if (i == 1)
			PRINTS(4, "mutex\n", "wait --any auto mutex");
		else
			PRINTS(4, "mutex\n", "wait --all sem mutex");
		PRINTS(0, "mutex\n", "wait mutex"); /* once */
	}
}

static void blocked_until_it_is_set(void **state)
{
	struct sys *sys = *state;
	pid_t pid;

	mount_with_objects(sys);
	pid = sys_start(sys, NULL, NULL, "exec mapctl --mount %s wait auto manual >%s/out",
			sys->mnt, sys->dir);
	WAIT_UNTIL(20, sys_status_number(sys, "handles") >= 2);
	PRINTS(0, "", "signal manual pulse");
	/* It may have come before the wait stood. */
	while (sys_shell(sys, "test -s %s/out", sys->dir) != 0)
		PRINTS(0, "", "signal manual pulse");
	assert_int_equal(sys_wait(sys, pid), 0);
	assert_int_equal(sys_shell(sys, "cat %s/out", sys->dir), 0);
	assert_string_equal(sys->output, "manual\n");
	/* A waiter that is killed takes nothing. */
	pid = sys_start(sys, NULL, NULL, "exec mapctl --mount %s wait auto", sys->mnt);
	WAIT_UNTIL(20, sys_status_number(sys, "handles") >= 1);
	sys_kill(sys, pid);
	PRINTS(0, "", "signal auto set");
	PRINTS(0, "auto\n", "wait auto --timeout 5s");
}

static void answers_in_json(void **state)
{
	struct sys *sys = *state;
	json_t *json;

	mount_with_objects(sys);
	assert_int_equal(run(sys, "", "wait --json auto sem"), 0);
	json = json_loads(sys->output, 0, NULL);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "result")), "acquired");
	assert_string_equal(json_string_value(json_object_get(json, "name")), "sem");
	assert_int_equal(json_integer_value(json_object_get(json, "index")), 1);
	json_decref(json);
	assert_int_equal(run(sys, "", "wait --json --timeout 1ms auto sem"), 3);
	json = json_loads(sys->output, 0, NULL);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "result")), "timed out");
	json_decref(json);
	assert_int_equal(run(sys, "", "--json signal sem release 2"), 0);
	json = json_loads(sys->output, 0, NULL);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "state")), "2 of 3");
	json_decref(json);
}

static void complaints(void **state)
{
	struct sys *sys = *state;
	char many[1024] = "";

	mount_with_objects(sys);
	for (int i = 0; i < 65; i++)
		strcat(many, " auto");
	COMPLAINS(3, "wait: auto: not signaled in the time given", "wait auto --timeout 1us");
	COMPLAINS(1, "map: this is a mapping, not an object to wait on", "wait auto map");
	COMPLAINS(1, "none: ", "wait auto none");
	COMPLAINS(1, "not in", "wait /etc/passwd");
	COMPLAINS(2, "not a time", "wait auto --timeout 5x");
	COMPLAINS(2, "not a time", "wait auto --timeout -1");
	COMPLAINS(2, "not a time", "wait auto --timeout 1.2.3");
	COMPLAINS(2, "not a time", "wait auto --timeout ''");
	COMPLAINS(2, "exclude each other", "wait auto --any --all");
	COMPLAINS(2, "at most 64", "wait%s", many);
	COMPLAINS(2, "a name is missing", "wait");
	COMPLAINS(1, "auto: an event does not understand \"jump\"; its words: set, reset, pulse",
		  "signal auto jump");
	COMPLAINS(1, "understand \"set -5\"", "signal timer set -5");
	COMPLAINS(1, "maximum", "signal sem release 3");
	COMPLAINS(1, "does not own", "signal mutex release");
	COMPLAINS(1, "map: this is a mapping", "signal map set");
	COMPLAINS(2, "a name is missing", "signal auto");
	COMPLAINS(1, "no such process", "create job --type job && mapctl signal %s/job add 4194303",
		  sys->mnt);
	assert_true(state_is(sys, "auto", "unsignaled auto"));
	assert_true(state_is(sys, "sem", "1 of 3"));
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(one_is_waited_for),   SYS_TEST_BOTH_MODES(several_are_waited_for),
    SYS_TEST_BOTH_MODES(abandonment_is_told), SYS_TEST_BOTH_MODES(blocked_until_it_is_set),
    SYS_TEST_BOTH_MODES(answers_in_json),     SYS_TEST_BOTH_MODES(complaints),
};

int main(void)
{
	return sys_run_tests("mapctl: waiting", tests);
}
