#include "tests/sys/watcher.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *text(const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value ? value : "-";
}

static void add_details(const json_t *json, const char *event, char *out, size_t size)
{
	const long long links = json_integer_value(json_object_get(json, "links"));

	*out = '\0';
	if (!strcmp(event, "renamed"))
		snprintf(out, size, "<%s", text(json, "from"));
	else if (!strcmp(event, "opened"))
		snprintf(out, size, " %s", text(json, "access"));
	else if (!strcmp(event, "flushed"))
		snprintf(out, size, " %s", text(json, "by"));
	else if (!strcmp(event, "failed"))
		snprintf(out, size, " %s %s", text(json, "error"), text(json, "by"));
	else if (!strcmp(event, "removed"))
		snprintf(out, size, " %s %lld", text(json, "reason"), links);
}

static void check_shape(const json_t *json, const char *line)
{
	const double time = json_number_value(json_object_get(json, "time"));

	if (!json || time < 1.5e9 || time > (double)clock_ns(CLOCK_REALTIME) / 1e9 + 1)
		fail_msg("an odd line: %s", line);
	if (json_object_get(json, "inode") &&
	    (json_integer_value(json_object_get(json, "inode")) <= 0 ||
	     !json_is_integer(json_object_get(json, "uid"))))
		fail_msg("an odd line: %s", line);
}

const char *event_words(const char *line)
{
	static char words[16384];
	json_t *json = json_loads(line, 0, NULL);
	const char *event = text(json, "event"), *type = text(json, "type");
	char details[4200];

	check_shape(json, line);
	add_details(json, event, details, sizeof details);
	if (!strcmp(event, "lost"))
		snprintf(words, sizeof words, "lost %lld",
			 (long long)json_integer_value(json_object_get(json, "count")));
	else if (!json_object_get(json, "inode"))
		snprintf(words, sizeof words, "%s", event);
	else
		snprintf(words, sizeof words, "%s %s%s%s%s%s", event, text(json, "name"), details,
			 strcmp(type, "mapping") ? " [" : "", strcmp(type, "mapping") ? type : "",
			 strcmp(type, "mapping") ? "]" : "");
	json_decref(json);
	return words;
}

/* Takes a line out of what was read; NULL: there is none. */
static const char *take_line(struct watcher *watcher)
{
	static char line[1 << 17];
	char *end = memchr(watcher->bytes, '\n', watcher->used);
	size_t length;

	if (!end)
		return NULL;
	length = (size_t)(end - watcher->bytes);
	memcpy(line, watcher->bytes, length);
	line[length] = '\0';
	watcher->used -= length + 1;
	memmove(watcher->bytes, end + 1, watcher->used);
	return line;
}

const char *watcher_next(struct watcher *watcher, double seconds)
{
	const uint64_t until = sys_deadline(seconds);
	struct pollfd fds = {.fd = watcher->output, .events = POLLIN};
	const char *line;
	ssize_t got;

	while (!(line = take_line(watcher))) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		if (now >= until || poll(&fds, 1, (int)((until - now) / 1000000) + 1) == 0)
			return NULL;
		got = read(watcher->output, watcher->bytes + watcher->used,
			   sizeof watcher->bytes - watcher->used);
		if (got <= 0)
			return NULL;
		watcher->used += (size_t)got;
	}
	return watcher->last = event_words(line);
}

/* Whatever was told before is before this. */
static void expect_nothing_more(struct watcher *watcher)
{
	char name[32], created[64], removed[64];
	const char *words;

	snprintf(name, sizeof name, "mark-%u", watcher->marks++);
	snprintf(created, sizeof created, "created %s", name);
	snprintf(removed, sizeof removed, "removed %s unlink 0", name);
	if (mknodat(watcher->where, name, S_IFREG | 0600, 0) < 0 ||
	    fchownat(watcher->where, name, watcher->uid, (gid_t)-1, 0) < 0 ||
	    unlinkat(watcher->where, name, 0) < 0)
		fail_msg("%s: %s", name, strerror(errno));
	words = watcher_next(watcher, 10);
	if (words && watcher->uid == 0) {
		assert_string_equal(words, created);
		words = watcher_next(watcher, 10);
	}
	assert_non_null(words);
	assert_string_equal(words, removed);
}

void watcher_expect(struct watcher *watcher, const char *expected)
{
	static char got[1 << 16];
	size_t lines = 0, used = 0;

	for (const char *at = expected; (at = strchr(at, '\n')); at++)
		lines++;
	got[0] = '\0';
	for (size_t i = 0; i < lines; i++) {
		const char *words = watcher_next(watcher, 10);

		if (!words)
			fail_msg("not told: got\n%sinstead of\n%s", got, expected);
		used += (size_t)snprintf(got + used, sizeof got - used, "%s\n", words);
	}
	if (strcmp(got, expected) != 0)
		fail_msg("got\n%sinstead of\n%s", got, expected);
	expect_nothing_more(watcher);
}

/* It says nothing of itself when it begins to watch: what is made is seen at some time. */
static bool is_watching(struct watcher *watcher, int tries)
{
	char name[32];

	snprintf(name, sizeof name, "begin-%d", tries);
	if (mknodat(watcher->where, name, S_IFREG | 0600, 0) < 0 ||
	    fchownat(watcher->where, name, watcher->uid, (gid_t)-1, 0) < 0 ||
	    unlinkat(watcher->where, name, 0) < 0)
		fail_msg("%s: %s", name, strerror(errno));
	while (watcher_next(watcher, 0.05)) {
		if (!strncmp(watcher->last, "removed begin-", 14))
			return true;
	}
	return false;
}

void watcher_start(struct watcher *watcher, struct sys *sys, uid_t uid, const char *directory)
{
	char before[64] = "";
	int tries = 0;

	*watcher = (struct watcher){.sys = sys, .uid = uid};
	if (uid)
		snprintf(before, sizeof before, "setpriv --reuid %u --clear-groups ", uid);
	watcher->where = open(sys_path(sys, "%s", directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(watcher->where >= 0);
	watcher->pid = sys_start(sys, NULL, &watcher->output, "exec %smapctl --mount %s watch %s",
				 before, sys->mnt, directory);
	while (!is_watching(watcher, tries))
		if (++tries == 200)
			fail_msg("mapctl watch tells nothing");
}

void watcher_end(struct watcher *watcher)
{
	close(watcher->where);
	close(watcher->output);
	assert_int_equal(sys_wait(watcher->sys, watcher->pid), 0);
}
