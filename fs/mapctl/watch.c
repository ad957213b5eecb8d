/* mapctl watch: what happens to objects, as it happens. */
#include "fs/mapctl/output.h"

#include "core/util.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { PLAIN, COUNT };

static const struct mapctl_option options[] = {
    [PLAIN] = {"plain", 'p', NULL, "for people, not JSON"},
    [COUNT] = {0},
};

/* The mount is not kept open: it can be unmounted while it is watched. */
struct watch {
	const struct mapctl *mapctl;
	const char *name; /* of the directory; NULL: all */
	char *mount_path;
	int fd; /* owned */
	char line[MAPPING_WATCH_MAX + 1];
};

static enum output put(const struct watch *watch, const char *text)
{
	AUTO_FREE char *line = NULL;
	int length = asprintf(&line, "%s\n", text);

	return length < 0 ? OUTPUT_FAILED : output_put(watch->mapctl, line, (size_t)length);
}

/* --- for people --- */

static const char *text(const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value ? value : "";
}

static json_int_t number(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static void format_details(const json_t *json, const char *event, char *out, size_t size)
{
	*out = '\0';
	if (!strcmp(event, "opened"))
		snprintf(out, size, "  %s", text(json, "access"));
	else if (!strcmp(event, "failed"))
		snprintf(out, size, "  %s, %lld so far, by %s", text(json, "error"),
			 (long long)number(json, "failures"), text(json, "by"));
	else if (!strcmp(event, "flushed"))
		snprintf(out, size, "  by %s", text(json, "by"));
	else if (!strcmp(event, "removed"))
		snprintf(out, size, "  %s%s", text(json, "reason"),
			 number(json, "links") ? ", other names are left" : "");
	else if (!strcmp(event, "renamed"))
		snprintf(out, size, "  from %s",
			 *text(json, "from") ? text(json, "from") : "outside");
	else if (!strcmp(event, "lost"))
		snprintf(out, size, "  %lld events", (long long)number(json, "count"));
}

static void format_name(const json_t *json, char *out, size_t size)
{
	const char *type = text(json, "type");

	*out = '\0';
	if (!json_object_get(json, "inode"))
		return;
	if (*text(json, "name"))
		snprintf(out, size, "  %s", text(json, "name"));
	else
		snprintf(out, size, "  (inode %lld)", (long long)number(json, "inode"));
	if (strcmp(type, "mapping") != 0)
		snprintf(out + strlen(out), size - strlen(out), "  [%s]", type);
}

static enum output put_plain(const struct watch *watch, const char *line)
{
	json_t *json = json_loads(line, 0, NULL);
	const double time = json_number_value(json_object_get(json, "time"));
	char name[4200], details[4200], when[FORMAT_ROOM];
	AUTO_FREE char *all = NULL;
	AUTO_FREE char *shown = NULL;
	const char *event = text(json, "event");

	format_name(json, name, sizeof name);
	format_details(json, event, details, sizeof details);
	if (asprintf(&all, "%s.%03d  %-9s%s%s", format_time((int64_t)time, when),
		     (int)((time - (double)(int64_t)time) * 1000), event, name, details) < 0)
		all = NULL;
	json_decref(json);
	shown = all ? printable(all) : NULL;
	return put(watch, shown ? shown : line);
}

static enum output show(const struct watch *watch, const char *line)
{
	return watch->mapctl->values[PLAIN] ? put_plain(watch, line) : put(watch, line);
}

/* What the file system cannot say itself. */
static enum output show_own(const struct watch *watch, const char *event)
{
	const uint64_t now = clock_ns(CLOCK_REALTIME);
	char line[96];

	snprintf(line, sizeof line, "{\"event\":\"%s\",\"time\":%llu.%09llu}", event,
		 (unsigned long long)(now / 1000000000), (unsigned long long)(now % 1000000000));
	return show(watch, line);
}

/* --- connection --- */

static enum output begin(struct watch *watch, struct mapping_mount *mount)
{
	struct mapping_error error = {0};

	watch->fd = mapping_watch(mount, watch->name, &error);
	mapping_mount_close(mount);
	if (watch->fd >= 0)
		return OUTPUT_DONE;
	mapctl_fail(watch->mapctl, watch->name, "%s", error.text);
	return OUTPUT_FAILED;
}

/* The worker died and another one serves, or the file system is gone. */
static enum output begin_again(struct watch *watch, bool *unmounted)
{
	struct mapping_mount *mount;
	enum output rc;

	close(watch->fd);
	watch->fd = -1;
	*unmounted = mapping_mount_find(watch->mount_path, &mount, NULL) < 0;
	if (*unmounted)
		return show_own(watch, "unmounted");
	rc = begin(watch, mount);
	return rc == OUTPUT_DONE ? show_own(watch, "restarted") : rc;
}

static int run_loop(struct watch *watch)
{
	struct pollfd fds[] = {{.events = POLLIN}, {.fd = STDOUT_FILENO}};
	bool unmounted = false;
	enum output rc = OUTPUT_DONE;

	while (rc == OUTPUT_DONE && !unmounted) {
		ssize_t got;

		fds[0].fd = watch->fd;
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return mapctl_fail(watch->mapctl, NULL, "poll: %s", strerror(errno));
		if (output_is_over(fds[1].revents))
			return EXIT_OK; /* nobody reads any more */
		got = recv(watch->fd, watch->line, MAPPING_WATCH_MAX, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		watch->line[got > 0 ? got : 0] = '\0';
		rc = got > 0 ? show(watch, watch->line) : begin_again(watch, &unmounted);
	}
	return rc == OUTPUT_FAILED ? EXIT_FAILED : EXIT_OK;
}

static int run(struct mapctl *mapctl)
{
	struct watch *watch = calloc(1, sizeof *watch);
	struct mapping_mount *mount;
	int code = EXIT_FAILED;

	if (!watch)
		return mapctl_fail(mapctl, NULL, "no memory left");
	output_begin();
	watch->mapctl = mapctl;
	watch->name = mapctl->count ? mapctl->names[0] : NULL;
	watch->fd = -1;
	mount = mapctl_find(mapctl, watch->name);
	if (mount) {
		watch->mount_path = strdup(mapping_mount_path(mount));
		if (begin(watch, mount) == OUTPUT_DONE)
			code = run_loop(watch);
	}
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch->mount_path);
	free(watch);
	return code;
}

const struct verb verb_watch = {
    .name = "watch",
    .usage = "[DIR] [--plain]",
    .summary = "tell what happens to objects, as it happens",
    .text =
	"One line of JSON for each event: created, linked (one more name), renamed, opened, "
	"last-view (nothing holds the object any more, neither handle nor view), flushed, failed "
	"(a flush did), removed. With event, name (relative to DIR, or to what is visible of the "
	"mount; null if it has none), inode, type, uid and time; renamed with from, opened with "
	"access, flushed and failed with by (fsync or last-view), failed with error and failures, "
	"removed with reason (unlink, replaced, temporary, handle) and links (names left).\n"
	"lost with count: the reader was too slow, and so many events are missing here. restarted: "
	"the worker of the file system died and another one serves; what happened meanwhile is "
	"not told. unmounted: the last one.\n"
	"root is told of all objects, others of their own; of DIR, only of the objects below it. "
	"It ends when nobody reads its output any more.\n"
	"Needs the control socket: .control in the root of the mount.\n",
    .options = options,
    .max_names = 1,
    .run = run,
};
