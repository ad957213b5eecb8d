/* mapctl status: the mount as a whole. */
#include "fs/mapctl/mapctl.h"

#include "core/util.h"

#include <stdio.h>
#include <string.h>

static const char *text(const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value && *value ? value : "-";
}

static int64_t number(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);

	return json_is_number(value) ? (int64_t)json_number_value(value) : MAPPING_UNKNOWN;
}

static const char *format_limit(const json_t *json, char *out)
{
	return number(json, "limit_bytes") ? format_size(number(json, "limit_bytes"), out) : "none";
}

static const char *format_uptime(int64_t seconds, char *out)
{
	if (seconds < 0)
		return "-";
	snprintf(out, FORMAT_ROOM, "%lldd %02d:%02d:%02d", (long long)(seconds / 86400),
		 (int)(seconds / 3600 % 24), (int)(seconds / 60 % 60), (int)(seconds % 60));
	return out;
}

static void print_counts(const json_t *json)
{
	char one[FORMAT_ROOM], two[FORMAT_ROOM], three[FORMAT_ROOM];

	printf("%-10s %s known to the kernel, %s handles, %s bound to files\n", "objects",
	       format_number(number(json, "objects_known"), one),
	       format_number(number(json, "handles"), two),
	       format_number(number(json, "bound_files"), three));
	printf("%-10s %s done, %s failed; %s objects wait for one that succeeds\n", "flushes",
	       format_number(number(json, "flushes"), one),
	       format_number(number(json, "flush_failures"), two),
	       format_number(number(json, "flushes_failing"), three));
}

static void print_failing(const json_t *json)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(json, "failing"), i, one)
	{
		char since[FORMAT_ROOM], next[FORMAT_ROOM], tries[FORMAT_ROOM];
		char *file = printable(text(one, "file"));

		printf("%-10s %s (inode %lld): %s since %s, %s tries, next %s\n", "FAILING",
		       file ? file : "-", (long long)number(one, "inode"), text(one, "error"),
		       format_time(number(one, "since"), since),
		       format_number(number(one, "tries"), tries),
		       format_time(number(one, "next_try"), next));
		free(file);
	}
}

static void print_troubles(const json_t *json)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(json, "troubles"), i, one)
	{
		printf("%-10s %s\n", "TROUBLE", json_string_value(one));
	}
}

/* "handle", or "temporary: why": what a handle-bound object is here. */
static void print_lifetimes(const json_t *json)
{
	const char *handle = text(json, "handle_lifetime");

	if (!strcmp(handle, "-"))
		return;
	printf("%-10s permanent, temporary, handle%s%s\n", "lifetimes",
	       strcmp(handle, "handle") ? "; handle as " : "",
	       strcmp(handle, "handle") ? handle : "");
}

/* " (why it is not less)", if it has been said. */
static void print_reason(const json_t *confinement, const char *key)
{
	const char *reason = text(confinement, key);

	if (strcmp(reason, "-") != 0)
		printf(" (%s)", reason);
}

static void print_calls(const json_t *confinement)
{
	char room[FORMAT_ROOM];

	if (number(confinement, "calls_allowed") > 0)
		printf("%s system calls",
		       format_number(number(confinement, "calls_allowed"), room));
	else
		printf("all system calls");
	print_reason(confinement, "calls_reason");
	if (number(confinement, "calls_refused") > 0)
		printf(", %s refused (last: %s)",
		       format_number(number(confinement, "calls_refused"), room),
		       text(confinement, "last_refused"));
}

static void print_confinement(const json_t *json)
{
	const json_t *confinement = json_object_get(json, "confinement");
	const json_t *capabilities = json_object_get(confinement, "capabilities"), *value;
	size_t i;

	if (!confinement)
		return;
	printf("%-10s %s: files %s", "confined", text(confinement, "mode"),
	       text(confinement, "root"));
	print_reason(confinement, "root_reason");
	printf("; %s; ", json_is_true(json_object_get(confinement, "no_new_privs"))
			     ? "no new privileges"
			     : "new privileges");
	print_calls(confinement);
	printf("\n%-10s capabilities:", "");
	json_array_foreach(capabilities, i, value) printf(" %s", json_string_value(value));
	printf("%s", json_array_size(capabilities) ? "" : " none");
	print_reason(confinement, "capabilities_reason");
	printf("\n");
}

/* The newest, if there was one. */
static void print_upgrade(const json_t *upgrade)
{
	if (number(upgrade, "number") > 0)
		printf("%-10s %s: %s\n", "upgrade", text(upgrade, "state"), text(upgrade, "text"));
}

static void print_status(const json_t *json)
{
	char one[FORMAT_ROOM], two[FORMAT_ROOM], three[FORMAT_ROOM];

	printf("%-10s %s (%s)\n", "mount", text(json, "mountpoint"), text(json, "source"));
	printf("%-10s %s\n", "version", text(json, "version"));
	printf("%-10s %s: %s\n", "mode", text(json, "mode"), text(json, "mode_reason"));
	print_lifetimes(json);
	printf("%-10s %s\n", "store", text(json, "store"));
	printf("%-10s %s of %s committed, %s resident\n", "memory",
	       format_size(number(json, "committed_bytes"), one), format_limit(json, two),
	       format_size(number(json, "resident_bytes"), three));
	print_counts(json);
	print_failing(json);
	print_troubles(json);
	printf("%-10s %s\n", "uptime", format_uptime(number(json, "uptime_seconds"), one));
	printf("%-10s supervisor %s, worker %s, restarted %s times\n", "processes",
	       format_number(number(json, "supervisor_pid"), one),
	       format_number(number(json, "worker_pid"), two),
	       format_number(number(json, "restarts"), three));
	printf("%-10s process %s takes over from the supervisor; happened %s times\n", "standby",
	       number(json, "standby_pid") ? format_number(number(json, "standby_pid"), one) : "-",
	       format_number(number(json, "takeovers"), two));
	print_upgrade(json_object_get(json, "upgrade"));
	print_confinement(json);
}

static const char *count_or(int64_t value, const char *none, char *out)
{
	return value ? format_number(value, out) : none;
}

static void print_limits(const json_t *limits)
{
	char one[FORMAT_ROOM], two[FORMAT_ROOM], three[FORMAT_ROOM], four[FORMAT_ROOM];
	int64_t bytes = number(limits, "bytes");

	printf("%-10s objects %s, memory %s, waits %s, connections %s\n", "each user",
	       count_or(number(limits, "objects"), "unlimited", one),
	       bytes ? format_size(bytes, two) : "unlimited",
	       count_or(number(limits, "waits"), "unlimited", three),
	       count_or(number(limits, "connections"), "unlimited", four));
}

static void print_users(const json_t *json)
{
	static const char *const titles[] = {"USER", "OBJECTS", "MEMORY", "WAITS", "CONNECTIONS"};
	const json_t *users = json_object_get(json, "users"), *user;
	struct table *table;
	size_t i;

	if (json_is_object(json_object_get(json, "user_limits")))
		print_limits(json_object_get(json, "user_limits"));
	if (!json_array_size(users))
		return;
	table = table_create(titles, "lrrrr");
	json_array_foreach(users, i, user)
	{
		char cells[5][FORMAT_ROOM];

		table_add(table, (const char *const[]){
				     format_number(number(user, "uid"), cells[0]),
				     format_number(number(user, "objects"), cells[1]),
				     format_size(number(user, "bytes"), cells[2]),
				     format_number(number(user, "waits"), cells[3]),
				     format_number(number(user, "connections"), cells[4])});
	}
	table_print(table);
	table_destroy(table);
}

static int show(const struct mapctl *mapctl, const char *answer)
{
	json_t *json = json_loads(answer, 0, NULL);

	if (!json)
		return mapctl_fail(mapctl, NULL, "the answer is not JSON");
	if (mapctl->json)
		return print_json(json);
	print_status(json);
	print_users(json);
	json_decref(json);
	return EXIT_OK;
}

static int run(struct mapctl *mapctl)
{
	struct mapping_mount *mount = mapctl_find(mapctl, NULL);
	struct mapping_error error = {0};
	AUTO_FREE char *answer = NULL;
	int code;

	if (!mount)
		return EXIT_FAILED;
	if (mapping_status(mount, &answer, &error))
		code = mapctl_fail(mapctl, NULL, "%s", error.text);
	else
		code = show(mapctl, answer);
	mapping_mount_close(mount);
	return code;
}

const struct verb verb_status = {
    .name = "status",
    .usage = "",
    .summary = "show the mount: mode and why, limits, use, uptime, restarts",
    .text = "Works without the control socket as well.\n",
    .run = run,
};
