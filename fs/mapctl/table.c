#include "fs/mapctl/mapctl.h"

#include "core/util.h"

#include <stdio.h>
#include <string.h>

struct table {
	size_t columns, count; /* count: cells, the titles included */
	const char *alignment;
	char **cells;
};

struct table *table_create(const char *const *titles, const char *alignment)
{
	struct table *table = calloc(1, sizeof *table);

	if (!table)
		return NULL;
	table->columns = strlen(alignment);
	table->alignment = alignment;
	table_add(table, titles);
	return table;
}

void table_add(struct table *table, const char *const *cells)
{
	char **grown = reallocarray(table->cells, table->count + table->columns, sizeof *grown);

	if (!grown)
		abort();
	table->cells = grown;
	for (size_t i = 0; i < table->columns; i++) {
		grown[table->count] = printable(cells[i]);
		if (!grown[table->count++])
			abort();
	}
}

/* Characters, not bytes. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static size_t column_width(const struct table *table, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < table->count; i += table->columns)
		if (width_of(table->cells[i]) > width)
			width = width_of(table->cells[i]);
	return width;
}

static void print_cell(const char *text, size_t width, bool right, bool last)
{
	int padding = (int)(width - width_of(text));

	if (right)
		printf("%*s", padding, "");
	fputs(text, stdout);
	if (!right && !last)
		printf("%*s", padding, "");
	fputs(last ? "\n" : "  ", stdout);
}

void table_print(const struct table *table)
{
	AUTO_FREE size_t *widths = calloc(table->columns, sizeof *widths);

	if (!widths)
		abort();
	for (size_t i = 0; i < table->columns; i++)
		widths[i] = column_width(table, i);
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;

		print_cell(table->cells[i], widths[column], table->alignment[column] == 'r',
			   column + 1 == table->columns);
	}
}

void table_destroy(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}
