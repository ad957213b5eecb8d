/* What `mapctl top` shows: one row an object, with what happened since the look before. */
#ifndef MAPPINGFS_MAPCTL_TOP_ROWS_H
#define MAPPINGFS_MAPCTL_TOP_ROWS_H

#include "fs/mapctl/mapctl.h"

#include <stdio.h>

#define TOP_NO_RATE (-1.0) /* there was no look before */

struct top_row {
	json_t *json; /* as the file system told it */
	char *name;   /* for people */
	int64_t inode, size, resident, dirty, views, handles, flushes, failures;
	double faults, flush_rate; /* pages that came, and flushes: a second */
};

struct top_rows {
	json_t *answer; /* owned: what the rows point to */
	struct top_row *rows;
	size_t count;
	double time;
};

enum top_order { TOP_BY_RESIDENT, TOP_BY_SIZE, TOP_BY_VIEWS, TOP_BY_NAME, TOP_ORDERS };
extern const char *const top_order_names[TOP_ORDERS];

/* before: the last look, sorted or not; NULL: none. 0, or -errno (-EPROTO: not what was expected).
 */
int top_rows_read(const char *answer, const struct top_rows *before, struct top_rows *out);
void top_rows_finish(struct top_rows *rows);
void top_rows_sort(struct top_rows *rows, enum top_order order);

/* A heading, titles and a line each; at most `height` lines of `width` characters, 0: any. */
void top_rows_print(const struct top_rows *rows, const char *mount, unsigned width, unsigned height,
		    FILE *out);
/* A line of JSON each. */
void top_rows_print_json(const struct top_rows *rows, unsigned refresh, FILE *out);

#endif
