/* The C library's view of a mount as a whole: the stream of events, and what is in use. */
#include "tests/sys/library.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The next event; NULL at the end of the stream. Each read is one whole line. */
static json_t *next_event(int fd)
{
	static char line[MAPPING_WATCH_MAX + 1];
	struct pollfd one = {.fd = fd, .events = POLLIN};
	json_t *event;
	ssize_t got;

	assert_int_equal(poll(&one, 1, 20000), 1);
	got = read(fd, line, sizeof line - 1);
	assert_true(got >= 0);
	if (!got)
		return NULL;
	line[got] = '\0';
	event = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL);
	if (!event)
		fail_msg("no JSON: %s", line);
	return event;
}

/* Reads until this event of this name comes. */
static void expect(int fd, const char *kind, const char *name)
{
	for (int i = 0; i < 100; i++) {
		json_t *event = next_event(fd);
		const char *got_kind = json_string_value(json_object_get(event, "event"));
		const char *got_name = json_string_value(json_object_get(event, "name"));
		bool is_it = event && got_kind && got_name && !strcmp(got_kind, kind) &&
			     !strcmp(got_name, name);

		if (!event)
			fail_msg("the stream ended before \"%s\" of %s", kind, name);
		json_decref(event);
		if (is_it)
			return;
	}
	fail_msg("no event \"%s\" of %s", kind, name);
}

static void events_are_told(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);
	AUTO_CLOSE int all = DONE(mapping_watch(mount, NULL, e)), tree = -1;
	struct pollfd one = {.events = POLLIN};

	assert_true(fcntl(all, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	tree = DONE(mapping_watch(mount, "d", e));
	close(library_make(mount, "outside", (struct mapping_attributes){.type = MAPPING_EVENT}));
	expect(all, "created", "outside");
	close(library_make(mount, "d/inside", (struct mapping_attributes){0}));
	expect(all, "created", "d/inside");
	DONE(mapping_remove(mount, "d/inside", e));
	expect(all, "removed", "d/inside");
	expect(tree, "removed", "inside"); /* names are as seen from there */
	one.fd = tree;
	assert_int_equal(poll(&one, 1, 0), 0); /* nothing of the other */
	mapping_mount_close(mount);
}

static void a_restart_ends_the_stream(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);
	AUTO_CLOSE int fd = DONE(mapping_watch(mount, NULL, e));

	sys_kill_worker(sys);
	assert_null(next_event(fd));
	close(steal_fd(&fd));
	fd = DONE(mapping_watch(mount, NULL, e));
	close(library_make(mount, "again", (struct mapping_attributes){0}));
	expect(fd, "created", "again");
	mapping_mount_close(mount);
}

static void what_is_in_use_is_listed(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);
	AUTO_CLOSE int fd =
	    library_make(mount, "busy", (struct mapping_attributes){.set_size = true, .size = 5});
	char *json;
	json_t *parsed;
	void *view;

	DONE(mapping_map(fd, 0, 0, MAPPING_READ, NULL, &view, NULL, e));
	DONE(mapping_top(mount, &json, e));
	parsed = json_loads(json, 0, NULL);
	assert_non_null(parsed);
	assert_non_null(strstr(json, "busy"));
	json_decref(parsed);
	free(json);
	DONE(mapping_unmap(view, 5, e));
	mapping_mount_close(mount);
}

static void what_cannot_be_watched(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);
	char *json;

	close(library_make(mount, "file", (struct mapping_attributes){0}));
	REFUSED(ENOTDIR, "", mapping_watch(mount, "file", e));
	REFUSED(ENOENT, "mapctl ls", mapping_watch(mount, "none", e));
	REFUSED(EXDEV, "not in the mount", mapping_watch(mount, "/proc", e));
	REFUSED(ENOENT, "", mapping_who(mount, "none", &json, e));
	mapping_mount_close(mount);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(events_are_told),
    SYS_TEST_BOTH_MODES(a_restart_ends_the_stream),
    SYS_TEST_BOTH_MODES(what_is_in_use_is_listed),
    SYS_TEST_BOTH_MODES(what_cannot_be_watched),
};

int main(void)
{
	return sys_run_tests("library: streams", tests);
}
