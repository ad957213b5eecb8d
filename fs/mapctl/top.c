/* mapctl top: the objects in use, again and again. */
#include "core/util.h"
#include "fs/mapctl/output.h"
#include "fs/mapctl/top_rows.h"
#include "fs/mapctl/top_screen.h"

#include <stdio.h>
#include <string.h>

enum { INTERVAL, REFRESHES, SORT, COUNT };

static const struct mapctl_option options[] = {
    [INTERVAL] = {"interval", 'i', "TIME", "between two looks: seconds, or 500ms (default: 2)"},
    [REFRESHES] = {"count", 'n', "N", "end after so many looks"},
    [SORT] = {"sort", 's', "KEY", "resident (default), size, views or name"},
    [COUNT] = {0},
};

#define SHORTEST_NS 100000000LL

struct top {
	struct mapctl *mapctl;
	int64_t interval_ns;
	unsigned long refreshes; /* 0: no end */
	enum top_order order;
	bool on_screen;
	unsigned refresh;
	struct top_rows rows;
	char *mount; /* where it is; NULL: not found yet */
};

static int parse(struct top *top)
{
	const struct mapctl *mapctl = top->mapctl;
	const char *const *values = mapctl->values;
	char *end = NULL;

	top->interval_ns = 2000000000;
	if (values[INTERVAL] && (parse_duration(values[INTERVAL], &top->interval_ns) < 0 ||
				 top->interval_ns < SHORTEST_NS))
		return mapctl_usage(mapctl, "--interval: a time of 100ms or more, not \"%s\"",
				    values[INTERVAL]);
	if (values[REFRESHES]) {
		top->refreshes = strtoul(values[REFRESHES], &end, 10);
		if (!top->refreshes || *end || *values[REFRESHES] == '-')
			return mapctl_usage(mapctl, "--count: a number of 1 or more, not \"%s\"",
					    values[REFRESHES]);
	}
	while (values[SORT] && top->order < TOP_ORDERS &&
	       strcmp(values[SORT], top_order_names[top->order]) != 0)
		top->order++;
	if (top->order == TOP_ORDERS)
		return mapctl_usage(mapctl, "--sort: resident, size, views or name, not \"%s\"",
				    values[SORT]);
	return EXIT_OK;
}

/* Says it where it can be read. */
static int fail(const struct top *top, const char *why)
{
	screen_end();
	return mapctl_fail(top->mapctl, NULL, "%s", why);
}

/* The mount is not kept open from one look to the next: it can be unmounted. */
static int ask(struct top *top, char **answer)
{
	struct mapping_mount *mount = NULL;
	struct mapping_error error = {0};
	int rc = 0;

	if (!top->mount)
		mount = mapctl_find(top->mapctl, NULL);
	else
		rc = mapping_mount_find(top->mount, &mount, &error);
	if (rc)
		return fail(top, error.text);
	if (!mount)
		return EXIT_FAILED;
	if (!top->mount)
		top->mount = strdup(mapping_mount_path(mount));
	rc = mapping_top(mount, answer, &error);
	mapping_mount_close(mount);
	return rc ? fail(top, error.text) : EXIT_OK;
}

static int look(struct top *top)
{
	AUTO_FREE char *answer = NULL;
	struct top_rows rows;
	int rc = ask(top, &answer);

	if (rc)
		return rc;
	if (!top->mount || top_rows_read(answer, top->refresh ? &top->rows : NULL, &rows))
		return fail(top, "the answer cannot be read");
	top_rows_finish(&top->rows);
	top->rows = rows;
	top_rows_sort(&top->rows, top->order);
	if (top->refresh++ == 0)
		top->on_screen = !top->mapctl->json && screen_begin();
	return EXIT_OK;
}

/* Each line in its place, what is left of the old one wiped out. */
static void print_screen(const struct top *top, FILE *out)
{
	AUTO_FREE char *text = NULL;
	unsigned width, height;
	const char *separator = "";
	size_t size;
	FILE *lines = open_memstream(&text, &size);

	if (!lines)
		return;
	screen_size(&width, &height);
	top_rows_print(&top->rows, top->mount, width, height, lines);
	fclose(lines);
	fputs("\033[H", out);
	for (char *rest = text, *line; (line = strsep(&rest, "\n")) && rest; separator = "\n")
		fprintf(out, "%s%s\033[K", separator, line);
	fputs("\033[J", out);
}

static enum output show(const struct top *top)
{
	AUTO_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return OUTPUT_FAILED;
	if (top->mapctl->json)
		top_rows_print_json(&top->rows, top->refresh, out);
	else if (top->on_screen)
		print_screen(top, out);
	else
		top_rows_print(&top->rows, top->mount, 0, 0, out);
	if (!top->on_screen && !top->mapctl->json)
		fputc('\n', out);
	fclose(out);
	return output_put(top->mapctl, text, size);
}

static enum screen_event wait_and_redraw(const struct top *top, uint64_t deadline)
{
	enum screen_event event;

	while ((event = screen_wait(deadline)) == SCREEN_RESIZED)
		show(top);
	return event;
}

static int run_loop(struct top *top)
{
	uint64_t next = clock_ns(CLOCK_MONOTONIC);
	int code;

	while ((code = look(top)) == EXIT_OK) {
		enum output output = show(top);

		if (output != OUTPUT_DONE)
			return output == OUTPUT_FAILED ? EXIT_FAILED : EXIT_OK;
		if (top->refreshes && top->refresh == top->refreshes)
			return EXIT_OK;
		next += (uint64_t)top->interval_ns;
		if (next < clock_ns(CLOCK_MONOTONIC)) /* the look took longer */
			next = clock_ns(CLOCK_MONOTONIC) + (uint64_t)top->interval_ns;
		if (wait_and_redraw(top, next) == SCREEN_END)
			return EXIT_OK;
	}
	return code;
}

static int run(struct mapctl *mapctl)
{
	struct top top = {.mapctl = mapctl};
	int code = parse(&top);

	if (code)
		return code;
	output_begin();
	code = run_loop(&top);
	screen_end();
	top_rows_finish(&top.rows);
	free(top.mount);
	return code;
}

const struct verb verb_top = {
    .name = "top",
    .usage = "[--interval TIME] [--count N] [--sort KEY]",
    .summary = "show the objects in use, again and again",
    .text =
	"On a terminal a table that is drawn anew; q or Ctrl-C ends it. Elsewhere one table after "
	"the other; with --json one line for each object and look.\n"
	"RESIDENT is what is in memory; FAULTS/S by how many pages that grew in a second; FLUSH/S "
	"flushes in a second; FAILED flushes that failed. \"-\": not known.\n"
	"root sees all objects that are known to the kernel, others their own.\n"
	"Needs the control socket: .control in the root of the mount.\n",
    .options = options,
    .run = run,
};
