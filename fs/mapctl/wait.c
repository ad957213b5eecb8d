/* mapctl wait: for one object or several. */
#include "fs/mapctl/mapctl.h"

#include "core/util.h"

#include <fcntl.h>
#include <stdio.h>

enum { ANY, ALL, TIMEOUT, COUNT };

static const struct mapctl_option options[] = {
    [ANY] = {"any", 0, NULL, "until one can be taken, the first in the order given (default)"},
    [ALL] = {"all", 'a', NULL, "until all can be taken, at one moment"},
    [TIMEOUT] = {"timeout", 't', "T", "as 500ms, 2s, 1.5 (seconds) or 1m; 0 tries once"},
    [COUNT] = {0},
};

struct waiting {
	const struct mapctl *mapctl;
	int64_t timeout_ns;
	int fds[MAPPING_WAIT_MAX];
	enum mapping_type types[MAPPING_WAIT_MAX];
	int count;
};

/* A mutex is given back at the end, which needs the right to write. */
static int open_object(struct waiting *w, const struct mapping_mount *mount, const char *name)
{
	struct mapping_error error = {0};
	struct mapping_info info;
	int fd = mapping_open(mount, name, MAPPING_MUTEX, O_RDWR, &error);

	w->types[w->count] = MAPPING_MUTEX;
	if (fd == -EINVAL) {
		fd = mapping_open(mount, name, MAPPING_ANY, O_RDONLY, &error);
		if (fd >= 0 && !mapping_get_fd(fd, &info, NULL))
			w->types[w->count] = info.type;
	}
	if (fd < 0)
		return mapctl_fail(w->mapctl, name, "%s", error.text);
	w->fds[w->count++] = fd;
	if (w->types[w->count - 1] == MAPPING_MAPPING)
		return mapctl_fail(w->mapctl, name,
				   "this is a mapping, not an object to wait on; give an event, "
				   "semaphore, mutex, timer or job");
	return EXIT_OK;
}

static int open_all(struct waiting *w)
{
	for (int i = 0; i < w->mapctl->count; i++) {
		struct mapping_mount *mount = mapctl_find(w->mapctl, w->mapctl->names[i]);
		int code = mount ? open_object(w, mount, w->mapctl->names[i]) : EXIT_FAILED;

		mapping_mount_close(mount);
		if (code)
			return code;
	}
	return EXIT_OK;
}

static const char *result_name(int rc, enum mapping_type type)
{
	if (rc == MAPPING_ABANDONED)
		return "abandoned";
	return type == MAPPING_SEMAPHORE || type == MAPPING_MUTEX ? "acquired" : "signaled";
}

/* index -1: all of them, or none. */
static int print_result(const struct waiting *w, const char *result, int index)
{
	const char *name = index < 0 ? NULL : w->mapctl->names[index];

	if (w->mapctl->json)
		return print_json(json_pack("{s:s, s:o, s:o}", "result", result, "name",
					    name ? text_json(name) : json_null(), "index",
					    name ? json_integer(index) : json_null()));
	for (int i = 0; i < w->count; i++) {
		AUTO_FREE char *shown = printable(w->mapctl->names[i]);

		if (index < 0 || i == index)
			printf("%s\n", shown ? shown : "");
	}
	return EXIT_OK;
}

/* What was taken is not kept beyond this process; an abandoned mutex would frighten the next. */
static void give_back(const struct waiting *w, bool all, size_t index)
{
	for (int i = 0; i < w->count; i++)
		if ((all || (size_t)i == index) && w->types[i] == MAPPING_MUTEX)
			mapping_mutex_release(w->fds[i], NULL);
}

static int wait_for(const struct waiting *w)
{
	const char *only = w->count == 1 ? w->mapctl->names[0] : NULL;
	const bool all = w->mapctl->values[ALL];
	struct mapping_error error = {0};
	size_t index = 0;
	int rc = mapping_wait_many(w->fds, (size_t)w->count, all, w->timeout_ns, &index, &error);
	int code;

	if (rc == -ETIMEDOUT && w->mapctl->json)
		code = print_result(w, "timed out", -1);
	else if (rc < 0)
		code = mapctl_fail(w->mapctl, only, "%s", error.text);
	if (rc < 0)
		return rc == -ETIMEDOUT ? EXIT_TIMED_OUT : code;
	give_back(w, all, index);
	code = print_result(w, result_name(rc, w->types[index]),
			    all && rc != MAPPING_ABANDONED ? -1 : (int)index);
	return code ? code : rc == MAPPING_ABANDONED ? EXIT_ABANDONED : EXIT_OK;
}

static int check_usage(const struct mapctl *mapctl, int64_t *timeout_ns)
{
	const char *text = mapctl->values[TIMEOUT];

	*timeout_ns = MAPPING_FOREVER;
	if (mapctl->values[ANY] && mapctl->values[ALL])
		return mapctl_usage(mapctl, "--any and --all exclude each other");
	if (text && parse_duration(text, timeout_ns))
		return mapctl_usage(mapctl,
				    "--timeout %s: not a time; give seconds, or a number with us, "
				    "ms, s, m or h",
				    text);
	if (mapctl->count > MAPPING_WAIT_MAX)
		return mapctl_usage(mapctl, "%d names; one can wait for at most %d", mapctl->count,
				    MAPPING_WAIT_MAX);
	return EXIT_OK;
}

static int run(struct mapctl *mapctl)
{
	struct waiting w = {.mapctl = mapctl};
	int code = check_usage(mapctl, &w.timeout_ns);

	if (!code)
		code = open_all(&w);
	if (!code)
		code = wait_for(&w);
	for (int i = 0; i < w.count; i++)
		close(w.fds[i]);
	return code;
}

const struct verb verb_wait = {
    .name = "wait",
    .usage = "[--any|--all] [--timeout T] NAME...",
    .summary = "wait until objects are signaled; prints which",
    .text =
	"Takes what the type takes: an automatic event or timer is reset, a semaphore counts one "
	"down. A mutex is given back at once, so this waits until it is free; if its owner died "
	"without a release, the exit code tells. At most 64 names, of one mount.\n"
	"Exit codes: 0 done, 1 it failed, 2 wrong usage, 3 timed out, 4 a mutex was abandoned.\n",
    .options = options,
    .min_names = 1,
    .max_names = -1,
    .run = run,
};
