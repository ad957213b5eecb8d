/* mapctl upgrade: the program on disk takes over from the running one. */
#include "fs/mapctl/mapctl.h"

#include "core/util.h"

#include <stdio.h>
#include <string.h>

enum { PATIENCE_SECONDS = 60, FIRST_PAUSE_US = 2000, LONGEST_PAUSE_US = 50000 };

static json_int_t number_of(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);
	json_int_t number = json_integer_value(json_object_get(json, "number"));

	json_decref(json);
	return number;
}

/* What the status says of it, once it is over; NULL: not yet. */
static json_t *result_in(const char *status, json_int_t number)
{
	json_t *json = json_loads(status, 0, NULL);
	json_t *upgrade = json_object_get(json, "upgrade");
	const char *state = json_string_value(json_object_get(upgrade, "state"));

	if (json_integer_value(json_object_get(upgrade, "number")) < number || !state ||
	    !strcmp(state, "running"))
		upgrade = NULL;
	json_incref(upgrade);
	json_decref(json);
	return upgrade;
}

static json_t *await_result(struct mapping_mount *mount, json_int_t number)
{
	const uint64_t end = clock_ns(CLOCK_MONOTONIC) + PATIENCE_SECONDS * 1000000000ULL;
	useconds_t pause = FIRST_PAUSE_US;

	while (clock_ns(CLOCK_MONOTONIC) < end) {
		AUTO_FREE char *status = NULL;
		json_t *result = NULL;

		if (!mapping_status(mount, &status, NULL))
			result = result_in(status, number);
		if (result)
			return result;
		usleep(pause);
		pause = pause * 2 < LONGEST_PAUSE_US ? pause * 2 : LONGEST_PAUSE_US;
	}
	return NULL;
}

/* Steals result. */
static int show(const struct mapctl *mapctl, json_t *result)
{
	const char *state = json_string_value(json_object_get(result, "state"));
	const char *text = json_string_value(json_object_get(result, "text"));
	int code = EXIT_OK;

	if (strcmp(state, "done") != 0)
		code = mapctl_fail(mapctl, NULL, "%s: %s", state, text ? text : "-");
	else if (!mapctl->json)
		printf("%s\n", text ? text : "done");
	if (mapctl->json)
		return code | print_json(result);
	json_decref(result);
	return code;
}

static int upgrade(const struct mapctl *mapctl, struct mapping_mount *mount)
{
	struct mapping_error error = {0};
	AUTO_FREE char *answer = NULL;
	json_t *result;

	if (mapping_upgrade(mount, &answer, &error))
		return mapctl_fail(mapctl, NULL, "%s", error.text);
	result = await_result(mount, number_of(answer));
	if (!result)
		return mapctl_fail(mapctl, NULL,
				   "the mount does not tell how it went; see its log");
	return show(mapctl, result);
}

/* The mount that DIR is in, not the one that its name is in. */
static struct mapping_mount *find(struct mapctl *mapctl)
{
	if (mapctl->count)
		mapctl->mount_dir = mapctl->names[0];
	return mapctl_find(mapctl, NULL);
}

static int run(struct mapctl *mapctl)
{
	struct mapping_mount *mount = find(mapctl);
	int code;

	if (!mount)
		return EXIT_FAILED;
	code = upgrade(mapctl, mount);
	mapping_mount_close(mount);
	return code;
}

const struct verb verb_upgrade = {
    .name = "upgrade",
    .usage = "[DIR]",
    .summary = "have the program on disk take over from the running one",
    .text = "Nobody notices but as after a worker's death. A program that cannot use what is in "
	    "memory, or does not run, is refused, and the running one goes on. For root and who "
	    "mounted it.\nDIR is the mount, or a directory in it.\n",
    .max_names = 1,
    .run = run,
};
