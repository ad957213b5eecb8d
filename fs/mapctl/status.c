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

static void print_confinement(const json_t *json)
{
	const json_t *confinement = json_object_get(json, "confinement");
	const json_t *capabilities = json_object_get(confinement, "capabilities"), *value;
	char one[FORMAT_ROOM], two[FORMAT_ROOM];
	size_t i;

	if (!confinement)
		return;
	printf("%-10s %s: files %s; %sno new privileges; %s system calls", "confined",
	       text(confinement, "mode"), text(confinement, "root"),
	       json_is_true(json_object_get(confinement, "no_new_privs")) ? "" : "not ",
	       number(confinement, "calls_allowed")
		   ? format_number(number(confinement, "calls_allowed"), one)
		   : "all");
	if (number(confinement, "calls_refused"))
		printf(", %s refused (last: %s)",
		       format_number(number(confinement, "calls_refused"), two),
		       text(confinement, "last_refused"));
	printf("\n%-10s", "");
	json_array_foreach(capabilities, i, value)
	    printf("%s%s", i ? " " : " capabilities: ", json_string_value(value));
	printf("%s\n", json_array_size(capabilities) ? "" : " no capabilities");
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

static int show(const struct mapctl *mapctl, const char *answer)
{
	json_t *json = json_loads(answer, 0, NULL);

	if (!json)
		return mapctl_fail(mapctl, NULL, "the answer is not JSON");
	if (mapctl->json)
		return print_json(json);
	print_status(json);
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
