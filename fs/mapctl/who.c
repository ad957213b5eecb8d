/* mapctl who: processes that hold or map an object. */
#include "fs/mapctl/mapctl.h"

#include "core/util.h"

#include <pwd.h>
#include <stdio.h>

static const char *const titles[] = {"PID",  "INSIDE", "USER",  "COMMAND",
				     "WHAT", "ACCESS", "WHERE", "OFFSET"};

static json_int_t number(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static const char *text(const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value ? value : "-";
}

static const char *user_name(uid_t uid, char *out)
{
	const struct passwd *user = getpwuid(uid);

	snprintf(out, FORMAT_ROOM, user ? "%s" : "%.0s%u", user ? user->pw_name : "", uid);
	return out;
}

static void add_row(struct table *table, const json_t *holder, const char *what, const char *access,
		    const char *where, const char *offset)
{
	char pid[FORMAT_ROOM], inside[FORMAT_ROOM], user[FORMAT_ROOM];
	const char *const cells[] = {
	    format_number(number(holder, "pid"), pid),
	    format_number(number(holder, "ns_pid"), inside),
	    user_name((uid_t)number(holder, "uid"), user),
	    text(holder, "command"),
	    what,
	    access,
	    where,
	    offset,
	};

	table_add(table, cells);
}

static void add_holder(struct table *table, const json_t *holder)
{
	char where[64], offset[FORMAT_ROOM];
	const json_t *use;
	size_t i;

	json_array_foreach(json_object_get(holder, "handles"), i, use)
	{
		snprintf(where, sizeof where, "fd %lld", (long long)number(use, "fd"));
		add_row(table, holder, "handle", text(use, "access"), where, "-");
	}
	json_array_foreach(json_object_get(holder, "views"), i, use)
	{
		snprintf(where, sizeof where, "%llx-%llx", (unsigned long long)number(use, "start"),
			 (unsigned long long)number(use, "end"));
		add_row(table, holder, "view", text(use, "access"), where,
			format_number(number(use, "offset"), offset));
	}
}

static void print_count(const json_t *json, const char *key, const char *noun, const char *rest)
{
	const json_int_t count = number(json, key);
	const char *plural = noun[0] == 'p' ? "es" : "s";

	printf("%lld %s%s%s", (long long)count, noun, count == 1 ? "" : plural, rest);
}

static void print_table(const json_t *json)
{
	struct table *table = table_create(titles, "rrllllrr");
	const json_t *holder;
	size_t i;

	json_array_foreach(json_object_get(json, "holders"), i, holder) add_holder(table, holder);
	table_print(table);
	table_destroy(table);
	print_count(json, "handles", "handle", ", ");
	print_count(json, "views", "view", "\n");
	if (number(json, "hidden"))
		print_count(json, "hidden", "process", " of other users not shown\n");
	if (number(json, "unreadable"))
		print_count(json, "unreadable", "process", " could not be looked at\n");
}

static int show(const struct mapctl *mapctl, const char *answer)
{
	json_t *json = json_loads(answer, 0, NULL);

	if (!json)
		return mapctl_fail(mapctl, mapctl->names[0], "the answer is not JSON");
	if (mapctl->json)
		return print_json(json);
	print_table(json);
	json_decref(json);
	return EXIT_OK;
}

static int run(struct mapctl *mapctl)
{
	struct mapping_mount *mount = mapctl_find(mapctl, mapctl->names[0]);
	struct mapping_error error = {0};
	AUTO_FREE char *answer = NULL;
	int code;

	if (!mount)
		return EXIT_FAILED;
	if (mapping_who(mount, mapctl->names[0], &answer, &error))
		code = mapctl_fail(mapctl, mapctl->names[0], "%s", error.text);
	else
		code = show(mapctl, answer);
	mapping_mount_close(mount);
	return code;
}

const struct verb verb_who = {
    .name = "who",
    .usage = "NAME",
    .summary = "show which processes hold and map an object",
    .text = "INSIDE is the pid as the process itself sees it, in its container. root and the "
	    "object's owner see all processes, others their own.\n"
	    "Needs the control socket: .control in the root of the mount.\n",
    .min_names = 1,
    .max_names = 1,
    .run = run,
};
