/* Between the files of the option parser: what a word of -o can be. */
#ifndef MAPPINGFS_FS_OPTIONS_INTERNAL_H
#define MAPPINGFS_FS_OPTIONS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct options;

/* NAME or NAME=VALUE. Two rows may share a name, if the first one's set() takes the values of both.
 */
struct option_setting {
	const char *name;
	const char *value; /* for --help; NULL: takes none */
	int (*set)(struct options *options,
		   const char *value); /* 0, -EINVAL: not a value of this option, or -ENOMEM */
	const char *help;
};

extern const struct option_setting option_settings[];
extern const size_t option_setting_count;

bool option_flag_apply(struct options *options,
		       const char *word); /* false: not a flag of mount(2) */
void option_flags_help(FILE *out);

#endif
