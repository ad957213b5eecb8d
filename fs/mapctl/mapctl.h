/* mapctl: one verb a file. A verb is one constant: dispatch, option parsing and help come from it.
 */
#ifndef MAPPINGFS_MAPCTL_H
#define MAPPINGFS_MAPCTL_H

#include "fs/client/mapping.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_TIMED_OUT = 3, EXIT_ABANDONED = 4 };

#define MAPCTL_MAX_OPTIONS 20

struct mapctl_option {
	const char *name;     /* without "--"; NULL ends the table */
	char letter;          /* or 0 */
	const char *argument; /* as shown in help; NULL: takes none */
	const char *help;
};

struct mapctl {
	const struct verb *verb;
	const char *mount_dir;                  /* --mount */
	bool json;                              /* --json */
	const char *values[MAPCTL_MAX_OPTIONS]; /* as the verb's options; NULL: not given */
	char **names;
	int count;
};

struct verb {
	const char *name;
	const char *usage;   /* what follows the name */
	const char *summary; /* one line */
	const char *text;    /* more, for the verb's own help */
	const struct mapctl_option *options;
	int min_names, max_names; /* max -1: any number */
	int plain_from; /* after so many names the rest is no options; 0: options anywhere */
	int (*run)(struct mapctl *mapctl); /* returns an exit code */
};

extern const struct verb verb_create, verb_ls, verb_stat, verb_who, verb_flush, verb_rm,
    verb_status, verb_wait, verb_signal, verb_top, verb_watch, verb_upgrade;
extern const struct verb *const mapctl_verbs[]; /* NULL-terminated */

/* --- arguments.c --- */
/* EXIT_OK, or EXIT_USAGE after saying why. *wants_help: --help was among them. */
int mapctl_parse(struct mapctl *mapctl, int count, char **arguments, bool *wants_help);
/* The options before the verb; *used is how many arguments they took. */
int mapctl_parse_global(struct mapctl *mapctl, int count, char **arguments, int *used,
			bool *wants_help, bool *wants_version);
extern const struct mapctl_option mapctl_global_options[];

/* --- manual.c --- */
void mapctl_print_manual(void); /* options and verbs as parts of mapctl.1 */

/* --- report.c: "mapctl: verb: name: what: why; what to do" on standard error --- */
int mapctl_fail(const struct mapctl *mapctl, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4))); /* EXIT_FAILED */
int mapctl_usage(const struct mapctl *mapctl, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* EXIT_USAGE */

/* --- find.c --- */
/* The mount that name is in: --mount, else a path's own, else the working directory's, else the
 * only one. Says why not and returns NULL. The caller closes it. */
struct mapping_mount *mapctl_find(const struct mapctl *mapctl, const char *name);

/* --- format.c --- */
#define FORMAT_ROOM 32
/* N[k|m|g|t]: 0, or -EINVAL, -ERANGE (negative or above INT64_MAX). */
int parse_size(const char *text, uint64_t *out);
/* N[us|ms|s|m|h], N with a decimal point if need be; seconds without a unit. 0, or -EINVAL. */
int parse_duration(const char *text, int64_t *ns);
const char *format_size(int64_t bytes, char *out);    /* "-" if unknown */
const char *format_number(int64_t number, char *out); /* "-" if unknown */
const char *format_time(int64_t seconds, char *out);  /* local time */
/* Control characters as \ooo; the result is for free(). */
char *printable(const char *text);
json_t *text_json(const char *text); /* bytes that are not UTF-8 become U+FFFD */
int print_json(json_t *json);        /* steals it; an exit code */

/* --- table.c: columns for people --- */
struct table;
struct table *table_create(const char *const *titles, const char *alignment); /* "l" and "r" each */
void table_add(struct table *table, const char *const *cells); /* copies; as many as titles */
void table_print(const struct table *table);
void table_destroy(struct table *table);

/* --- entry.c: what is known of one object --- */
#define FLUSH_ROOM 160

struct flush_result {
	char result[32]; /* "never", "ok", errno name; empty: unknown */
	int64_t seconds;
	double time;
	int64_t errors;
	int64_t since, next; /* it fails and is tried again; else 0 */
};

struct flush_result parse_flush(const char *text);
const char *format_flush(const struct mapping_info *info, char out[FLUSH_ROOM]);
json_t *entry_json(const char *name, const struct mapping_info *info);

#endif
