/* mapctl signal: changes an object to wait on. */
#include "fs/mapctl/mapctl.h"

#include "core/util.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* The arguments after the name as one line; for free(). */
static char *join(const struct mapctl *mapctl)
{
	size_t size = 1;
	char *line;

	for (int i = 1; i < mapctl->count; i++)
		size += strlen(mapctl->names[i]) + 1;
	line = calloc(1, size);
	for (int i = 1; line && i < mapctl->count; i++) {
		if (i > 1)
			strcat(line, " ");
		strcat(line, mapctl->names[i]);
	}
	return line;
}

static int change(const struct mapctl *mapctl, const struct mapping_mount *mount, const char *line)
{
	const char *name = mapctl->names[0];
	struct mapping_error error = {0};
	struct mapping_info info;
	AUTO_CLOSE int fd = mapping_open(mount, name, MAPPING_ANY, O_WRONLY, &error);

	if (fd < 0 || mapping_signal(fd, line, &error))
		return mapctl_fail(mapctl, name, "%s", error.text);
	if (!mapctl->json)
		return EXIT_OK;
	if (mapping_get_fd(fd, &info, &error))
		return mapctl_fail(mapctl, name, "%s", error.text);
	return print_json(entry_json(name, &info));
}

static int run(struct mapctl *mapctl)
{
	struct mapping_mount *mount = mapctl_find(mapctl, mapctl->names[0]);
	AUTO_FREE char *line = join(mapctl);
	int code;

	if (!mount)
		return EXIT_FAILED;
	if (line)
		code = change(mapctl, mount, line);
	else
		code = mapctl_fail(mapctl, mapctl->names[0], "%s", strerror(ENOMEM));
	mapping_mount_close(mount);
	return code;
}

const struct verb verb_signal = {
    .name = "signal",
    .usage = "NAME WORD [ARG...]",
    .summary = "change an object to wait on",
    .text = "event: set, reset, pulse (lets go who waits now)\n"
	    "semaphore: release [K]\n"
	    "mutex: release (only by the handle that owns it, so not from here)\n"
	    "timer: set DUE [PERIOD], cancel; times in s, ms or us, as 1.5, 250ms; or DUE as "
	    "@UNIXTIME\n"
	    "job: add PID, kill [SIG]\n",
    .min_names = 2,
    .max_names = -1,
    .plain_from = 1,
    .run = run,
};
