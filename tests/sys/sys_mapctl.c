/* mapctl: every verb and option, what it says in words and in JSON, and its exit codes. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/client/mapping.h"
#include "tests/sys/harness.h"

/* mapctl with arguments: exit status and a part of what it said are as wanted. */
#define SAYS(status, words, ...)                                                                   \
	do {                                                                                       \
		int got_ = run(sys, __VA_ARGS__);                                                  \
		if (got_ != (status) || !strstr(sys->output, words))                               \
			fail_msg("%s:%d: exit %d, wanted %d and \"%s\"; said: %s", __FILE__,       \
				 __LINE__, got_, status, words, sys->output);                      \
	} while (0)

static int run(struct sys *sys, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int run(struct sys *sys, const char *format, ...)
{
	char arguments[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(arguments, sizeof arguments, format, args);
	va_end(args);
	return sys_shell(sys, "mapctl --mount %s %s", sys->mnt, arguments);
}

static json_t *run_json(struct sys *sys, const char *arguments)
{
	json_t *json;

	if (run(sys, "--json %s", arguments))
		fail_msg("mapctl --json %s: %s", arguments, sys->output);
	json = json_loads(sys->output, 0, NULL);
	if (!json)
		fail_msg("mapctl --json %s: no JSON: %s", arguments, sys->output);
	return json;
}

static bool attribute_is(struct sys *sys, const char *name, const char *key, const char *wanted)
{
	char full[64];
	AUTO_FREE char *text = NULL;

	snprintf(full, sizeof full, "user.mapping.%s", key);
	text = sys_xattr(sys_path(sys, "%s", name), full);
	if (text && !strcmp(text, wanted))
		return true;
	sys_say("%s of %s is %s, not %s", key, name, text ? text : "unknown", wanted);
	return false;
}

/* --- create --- */

static void create_makes_every_type(void **state)
{
	static const struct {
		const char *arguments, *type, *state, *lifetime;
	} rows[] = {
	    {"a1", "mapping", NULL, "permanent"},
	    {"a2 --size 1m --lifetime permanent", "mapping", NULL, "permanent"},
	    {"a3 --type mapping --size 4k --sparse -t", "mapping", NULL, "temporary"},
	    {"a4 --type event", "event", "unsignaled auto", "permanent"},
	    {"a5 --type event --auto --set", "event", "signaled auto", "permanent"},
	    {"a6 -T event --manual --set --temporary", "event", "signaled manual", "temporary"},
	    {"a7 --type=semaphore --max 7", "semaphore", "0 of 7", "permanent"},
	    {"a8 --type semaphore --initial 3 --max 3", "semaphore", "3 of 3", "permanent"},
	    {"a9 --type mutex --permanent", "mutex", "free", "permanent"},
	    {"b1 --type timer --manual", "timer", "unsignaled manual", "permanent"},
	    {"b2 --type timer --lifetime handle", "timer", "unsignaled auto", "handle"},
	    {"b3 --type job --kill-on-close", "job", NULL, "permanent"},
	};
	struct sys *sys = *state;

	sys_mount(sys, "size=64m");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char name[3] = {rows[i].arguments[0], rows[i].arguments[1], '\0'};

		SAYS(0, "", "create %s", rows[i].arguments);
		assert_string_equal(sys->output, "");
		assert_true(attribute_is(sys, name, "type", rows[i].type));
		assert_true(attribute_is(sys, name, "lifetime", rows[i].lifetime));
		if (rows[i].state)
			assert_true(attribute_is(sys, name, "state", rows[i].state));
	}
}

static void create_says_what_is_wrong(void **state)
{
	static const struct {
		const char *arguments;
		int status;
		const char *words;
	} rows[] = {
	    {"e --type event", 1, "e: the name is in use: it is an event; choose another"},
	    {"e --size 1m", 1, "it is an event"},
	    {"x --type window", 2, "--type window: there is no such type"},
	    {"x --lifetime eternal", 2, "--lifetime eternal"},
	    {"x --temporary --permanent", 2, "exclude each other"},
	    {"x --lifetime handle --temporary", 2, "exclude each other"},
	    {"x --manual --auto --type event", 2, "exclude each other"},
	    {"x --type semaphore", 2, "needs a --max"},
	    {"x --type semaphore --max 0", 2, "--max 0: not a number of 1"},
	    {"x --type semaphore --max 2147483648", 2, "not a number"},
	    {"x --type semaphore --max 1 --initial 2", 2, "larger than --max"},
	    {"x --type semaphore --max 1 --initial -1", 2, "--initial -1: not a number of 0"},
	    {"x --max 3", 2, "--max is for semaphores, not for type mapping"},
	    {"x --set", 2, "--set is for events"},
	    {"x --type mutex --manual", 2, "--manual is for events and timers, not for type mutex"},
	    {"x --type timer --kill-on-close", 2, "is for jobs"},
	    {"x --type event --size 4k", 2, "--size is for mappings, not for type event"},
	    {"x --type job --file /etc/passwd", 2, "--file is for mappings"},
	    {"x --size 0", 1, "size 0"},
	    {"x --size 12x", 2, "not a size"},
	    {"x --size 100g", 1, "mapctl status"},
	    {"x --mode 9", 2, "octal"},
	    {"x --group nosuchgroup", 1, "no such group"},
	    {"x --file /nowhere", 1, "/nowhere"},
	    {"x --file /dev/null", 1, "not a regular file"},
	    {"x --read-only", 2, "needs --file"},
	    {"x y", 2, "too many names: y"},
	    {"", 2, "a name is missing"},
	    {"x --nonsense", 2, "unknown option: --nonsense"},
	    {"x --type", 2, "--type needs an argument: TYPE"},
	    {"x --set=yes", 2, "--set takes no argument"},
	};
	struct sys *sys = *state;

	sys_mount(sys, "size=64m");
	SAYS(0, "", "create e --type event");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		SAYS(rows[i].status, rows[i].words, "create %s", rows[i].arguments);
	SAYS(0, "", "ls");
	assert_null(strstr(sys->output, " x\n"));
}

/* --- looking --- */

static void ls_and_stat_show_objects(void **state)
{
	struct sys *sys = *state;
	json_t *json, *entry;
	size_t i;

	sys_mount(sys, "size=64m");
	SAYS(0, "", "create m --size 1m");
	SAYS(0, "", "create s --type semaphore --initial 2 --max 5");
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	SAYS(0, "", "create d/t --type timer --manual");
	SAYS(0, "STATE", "ls");
	SAYS(0, "2 of 5", "ls");
	SAYS(0, "unsignaled manual", "ls -R");
	SAYS(0, "d/t", "ls -R");
	SAYS(0, "semaphore", "stat s");
	SAYS(0, "2 of 5", "stat s");
	SAYS(0, "creator", "stat s");
	json = run_json(sys, "ls -R");
	assert_int_equal(json_array_size(json), 4);
	json_array_foreach(json, i, entry)
	{
		const char *name = json_string_value(json_object_get(entry, "name"));
		const char *text = json_string_value(json_object_get(entry, "state"));

		assert_string_equal(text ? text : "", !strcmp(name, "s")     ? "2 of 5"
						      : !strcmp(name, "d/t") ? "unsignaled manual"
									     : "");
	}
	json_decref(json);
	json = run_json(sys, "stat m");
	assert_string_equal(json_string_value(json_object_get(json, "type")), "mapping");
	assert_true(json_is_null(json_object_get(json, "state")));
	assert_int_equal(
	    json_integer_value(json_object_get(json_object_get(json, "creator"), "uid")), getuid());
	assert_true(json_real_value(json_object_get(json_object_get(json, "creator"), "time")) >
		    1.6e9);
	json_decref(json);
	SAYS(1, "none", "stat none");
	SAYS(2, "a name is missing", "stat");
}

static void status_and_who(void **state)
{
	struct sys *sys = *state;
	json_t *json;
	int fd;

	sys_mount(sys, "size=64m");
	SAYS(0, "", "create e --type event");
	SAYS(0, sys->mode == SYS_PASSTHROUGH ? "passthrough" : "cached", "status");
	SAYS(0, sys->mode == SYS_PASSTHROUGH ? "temporary, handle\n" : "handle as temporary",
	     "status");
	json = run_json(sys, "status");
	assert_true(json_is_number(json_object_get(json, "limit_bytes")));
	json_decref(json);
	fd = open(sys_path(sys, "e"), O_RDONLY | O_CLOEXEC);
	SAYS(0, "1 handle, 0 views", "who e");
	close(fd);
	SAYS(0, "0 handles", "who e");
}

static void flush_and_rm(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=64m");
	SAYS(0, "", "create m --size 1m");
	SAYS(0, "", "create e --type event");
	SAYS(0, "", "flush m");
	SAYS(1, "e: this is an event, not a mapping", "flush m e");
	SAYS(1, "none", "rm none e");
	SAYS(0, "", "rm m");
	SAYS(0, "", "ls --json");
	assert_string_equal(sys->output, "[]\n");
}

/* --- help --- */

static void help_comes_from_the_tables(void **state)
{
	static const char *const verbs[] = {"create", "ls",    "stat", "who",   "wait",
					    "signal", "flush", "rm",   "status"};
	struct sys *sys = *state;

	assert_int_equal(sys_shell(sys, "mapctl --help"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		char row[32];

		snprintf(row, sizeof row, "\n  %-8s ", verbs[i]);
		assert_non_null(strstr(sys->output, row));
	}
	assert_non_null(strstr(sys->output, "3 timed out"));
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		assert_int_equal(sys_shell(sys, "mapctl %s --help", verbs[i]), 0);
		assert_non_null(strstr(sys->output, "usage: mapctl [--mount DIR] [--json]"));
	}
	assert_int_equal(sys_shell(sys, "mapctl nonsense"), 2);
	assert_non_null(strstr(sys->output, "unknown verb: nonsense"));
	assert_int_equal(sys_shell(sys, "mapctl"), 2);
	assert_int_equal(sys_shell(sys, "mapctl --version"), 0);
}

/* The manual page has every verb and every option that the help has. */
static void the_manual_is_complete(void **state)
{
	struct sys *sys = *state;

	assert_int_equal(
	    sys_shell(sys,
		      "set -e; mapctl --manual | sed 's/\\\\-/-/g; s/\\\\f[BIR]//g' >%s/page; "
		      "for verb in $(mapctl --help | sed -n 's/^  \\([a-z]*\\)  .*/\\1/p'); do "
		      "grep -q \"^$verb \" %s/page || { echo no verb $verb; exit 1; }; "
		      "for option in $(mapctl $verb --help | "
		      "sed -n 's/^  .*\\(--[a-z-]*\\) .*/\\1/p'); do "
		      "grep -q -e \"$option\" %s/page || { echo no $option; exit 1; }; done; "
		      "done; grep -c . %s/page",
		      sys->dir, sys->dir, sys->dir, sys->dir),
	    0);
	assert_true(atoi(sys->output) > 100);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(create_makes_every_type),
    SYS_TEST_BOTH_MODES(create_says_what_is_wrong),
    SYS_TEST_BOTH_MODES(ls_and_stat_show_objects),
    SYS_TEST_BOTH_MODES(status_and_who),
    SYS_TEST_BOTH_MODES(flush_and_rm),
    SYS_TEST_CACHED(help_comes_from_the_tables),
    SYS_TEST_CACHED(the_manual_is_complete),
};

int main(void)
{
	return sys_run_tests("mapctl", tests);
}
