#include "fs/mapctl/top_rows.h"

#include "core/util.h"

#include <stdarg.h>
#include <string.h>

const char *const top_order_names[TOP_ORDERS] = {[TOP_BY_RESIDENT] = "resident",
						 [TOP_BY_SIZE] = "size",
						 [TOP_BY_VIEWS] = "views",
						 [TOP_BY_NAME] = "name"};

/* --- reading --- */

static int64_t number(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);

	return json_is_integer(value) ? json_integer_value(value) : MAPPING_UNKNOWN;
}

static const char *text(const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value ? value : "";
}

static char *name_of(const json_t *json)
{
	char *name;

	if (*text(json, "name"))
		return printable(text(json, "name"));
	if (asprintf(&name, "(no name, inode %lld)", (long long)number(json, "inode")) < 0)
		return NULL;
	return name;
}

static int by_inode(const void *a, const void *b)
{
	const struct top_row *one = a, *two = b;

	return (one->inode > two->inode) - (one->inode < two->inode);
}

static double rate(int64_t before, int64_t now, double seconds)
{
	return now > before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

/* Counts begin anew with a worker: what seems to go back is no rate. */
static void add_rates(struct top_row *row, const struct top_rows *before, double time)
{
	const struct top_row *old =
	    before ? bsearch(row, before->rows, before->count, sizeof *row, by_inode) : NULL;
	const double seconds = before ? time - before->time : 0;

	row->faults = row->flush_rate = TOP_NO_RATE;
	if (!before)
		return;
	row->faults = rate(old ? old->resident : 0, row->resident, seconds) / PAGE_BYTES;
	row->flush_rate = rate(old ? old->flushes : 0, row->flushes, seconds);
}

static int read_rows(struct top_rows *out, const struct top_rows *before)
{
	const json_t *objects = json_object_get(out->answer, "objects");
	json_t *json;
	size_t i;

	if (!json_is_array(objects))
		return -EPROTO;
	out->rows = calloc(json_array_size(objects) + 1, sizeof *out->rows);
	if (!out->rows)
		return -ENOMEM;
	json_array_foreach(objects, i, json)
	{
		struct top_row *row = &out->rows[out->count++];

		*row = (struct top_row){.json = json,
					.name = name_of(json),
					.inode = number(json, "inode"),
					.size = number(json, "size"),
					.resident = number(json, "resident"),
					.dirty = number(json, "dirty"),
					.views = number(json, "views"),
					.handles = number(json, "handles"),
					.flushes = number(json, "flushes"),
					.failures = number(json, "failures")};
		if (!row->name)
			return -ENOMEM;
		add_rates(row, before, out->time);
	}
	return 0;
}

int top_rows_read(const char *answer, const struct top_rows *before, struct top_rows *out)
{
	int rc;

	*out = (struct top_rows){.answer = json_loads(answer, 0, NULL)};
	if (!out->answer)
		return -EPROTO;
	out->time = json_number_value(json_object_get(out->answer, "time"));
	if (before)
		qsort(before->rows, before->count, sizeof *before->rows, by_inode);
	rc = read_rows(out, before);
	if (rc)
		top_rows_finish(out);
	return rc;
}

void top_rows_finish(struct top_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->rows[i].name);
	free(rows->rows);
	json_decref(rows->answer);
	*rows = (struct top_rows){0};
}

/* --- order: the largest first, equal ones by name --- */

static int by_name(const void *a, const void *b)
{
	const struct top_row *one = a, *two = b;
	int order = strcmp(one->name, two->name);

	return order ? order : by_inode(a, b);
}

static int by_number(int64_t one, int64_t two, const void *a, const void *b)
{
	return one == two ? by_name(a, b) : (one < two) - (one > two);
}

static int by_resident(const void *a, const void *b)
{
	const struct top_row *one = a, *two = b;

	return by_number(one->resident, two->resident, a, b);
}

static int by_size(const void *a, const void *b)
{
	const struct top_row *one = a, *two = b;

	return by_number(one->size, two->size, a, b);
}

static int by_views(const void *a, const void *b)
{
	const struct top_row *one = a, *two = b;

	return by_number(one->views, two->views, a, b);
}

void top_rows_sort(struct top_rows *rows, enum top_order order)
{
	static int (*const compare[])(const void *,
				      const void *) = {[TOP_BY_RESIDENT] = by_resident,
						       [TOP_BY_SIZE] = by_size,
						       [TOP_BY_VIEWS] = by_views,
						       [TOP_BY_NAME] = by_name};

	qsort(rows->rows, rows->count, sizeof *rows->rows, compare[order]);
}

/* --- printing --- */

/* One line, cut after `width` characters. */
static __attribute__((format(printf, 3, 4))) void put_line(FILE *out, unsigned width,
							   const char *format, ...)
{
	AUTO_FREE char *line = NULL;
	unsigned shown = 0;
	va_list args;
	size_t end = 0;
	int rc;

	va_start(args, format);
	rc = vasprintf(&line, format, args);
	va_end(args);
	if (rc < 0) {
		line = NULL;
		return;
	}
	for (; line[end]; end++) {
		shown += ((unsigned char)line[end] & 0xc0) != 0x80;
		if (width && shown > width)
			break;
	}
	fprintf(out, "%.*s\n", (int)end, line);
}

static const char *format_rate(double rate, char *out)
{
	if (rate == TOP_NO_RATE)
		return "-";
	snprintf(out, FORMAT_ROOM, rate > 0 && rate < 10 ? "%.1f" : "%.0f", rate);
	return out;
}

static void print_row(const struct top_row *row, unsigned width, FILE *out)
{
	char n[8][FORMAT_ROOM];

	put_line(out, width, "%-9s %7s %8s %7s %5s %7s %8s %7s %6s  %s", text(row->json, "type"),
		 format_size(row->size, n[0]), format_size(row->resident, n[1]),
		 format_size(row->dirty, n[2]), format_number(row->views, n[3]),
		 format_number(row->handles, n[4]), format_rate(row->faults, n[5]),
		 format_rate(row->flush_rate, n[6]), format_number(row->failures, n[7]), row->name);
}

static void print_heading(const struct top_rows *rows, const char *mount, unsigned width, FILE *out)
{
	const json_t *totals = json_object_get(rows->answer, "totals");
	char n[7][FORMAT_ROOM], more[96] = "", when[FORMAT_ROOM];

	if (number(rows->answer, "omitted") > 0)
		snprintf(more, sizeof more, ", %lld objects not shown",
			 (long long)number(rows->answer, "omitted"));
	if (number(rows->answer, "unreadable") > 0)
		snprintf(more + strlen(more), sizeof more - strlen(more),
			 ", processes not looked at: %lld",
			 (long long)number(rows->answer, "unreadable"));
	put_line(out, width, "%s  %s", mount, format_time((int64_t)rows->time, when));
	put_line(out, width,
		 "%s objects, %s, %s resident, %s dirty, %s views, %s handles, %s flushes (%s "
		 "failed)%s",
		 format_number(number(totals, "objects"), n[0]),
		 format_size(number(totals, "size"), n[1]),
		 format_size(number(totals, "resident"), n[2]),
		 format_size(number(totals, "dirty"), n[3]),
		 format_number(number(totals, "views"), n[4]),
		 format_number(number(totals, "handles"), n[5]),
		 format_number(number(totals, "flushes"), n[6]),
		 format_number(number(totals, "failures"), when), more);
}

enum { HEADING_LINES = 3 };

void top_rows_print(const struct top_rows *rows, const char *mount, unsigned width, unsigned height,
		    FILE *out)
{
	size_t count = rows->count;

	if (height)
		count = height <= HEADING_LINES ? 0 : height - HEADING_LINES;
	if (count > rows->count)
		count = rows->count;
	print_heading(rows, mount, width, out);
	put_line(out, width, "%-9s %7s %8s %7s %5s %7s %8s %7s %6s  %s", "TYPE", "SIZE", "RESIDENT",
		 "DIRTY", "VIEWS", "HANDLES", "FAULTS/S", "FLUSH/S", "FAILED", "NAME");
	for (size_t i = 0; i < count; i++)
		print_row(&rows->rows[i], width, out);
}

static json_t *rate_json(double value)
{
	return value == TOP_NO_RATE ? json_null() : json_real(value);
}

void top_rows_print_json(const struct top_rows *rows, unsigned refresh, FILE *out)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct top_row *row = &rows->rows[i];

		json_object_set_new(row->json, "refresh", json_integer(refresh));
		json_object_set_new(row->json, "time", json_real(rows->time));
		json_object_set_new(row->json, "faults_per_second", rate_json(row->faults));
		json_object_set_new(row->json, "flushes_per_second", rate_json(row->flush_rate));
		json_dumpf(row->json, out, JSON_COMPACT);
		fputc('\n', out);
	}
}
