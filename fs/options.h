/* The command line of mappingfs. Everything that can be asked for is a row of a table (options*.c),
 * and --help comes from the same tables. Parsing looks at nothing but its arguments;
 * options_complete() then fills in what depends on the machine and on who is asking. */
#ifndef MAPPINGFS_FS_OPTIONS_H
#define MAPPINGFS_FS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Exit codes of mappingfs; documented in mappingfs(8). */
enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_USAGE = 1,  /* wrong options */
	EXIT_CODE_MOUNT = 2,  /* the mount failed: the system said no */
	EXIT_CODE_BUSY = 3,   /* mount point already mounted by us, or not a directory */
	EXIT_CODE_WORKER = 4, /* the worker could not start, or could not go on */
};

#define OPTION_UNSET (-1LL)

struct options {
	bool help, version, foreground, debug;
	char *source;     /* never NULL after parsing; "mappingfs" by default */
	char *mountpoint; /* as given; NULL only with help or version */
	char *store;      /* as given, or NULL */
	int data_mode;    /* enum data_mode */
	int lifetime;     /* enum default_lifetime */
	int jobs;         /* enum jobs_mode */
	int confine;      /* enum confine_mode */
	int allow_other;  /* 0, 1, or -1 until completed */
	uint64_t size;    /* bytes, 0 until completed (and after, for "no limit" with store=) */
	unsigned size_percent; /* of the memory; 0: size is in bytes */
	/* What one user can have; 0: no limit, OPTION_UNSET until completed. */
	int64_t user_objects, user_size, user_waits, user_connections;
	unsigned user_size_percent; /* of `size`; 0: user_size is in bytes */
	int64_t root_mode;          /* OPTION_UNSET until completed; so are uid and gid */
	int64_t uid, gid;
	uint32_t poll_usec;
	unsigned long mount_flags; /* MS_* for mount(2) */
};

/* 0, or -EINVAL with the reason in `why`. Free with options_finish() in both cases. */
int options_parse(struct options *options, int argc, char **argv, char *why, size_t why_size);

/* Defaults that depend on the machine: memory in bytes, who mounts. As options_parse(). */
int options_complete(struct options *options, uid_t uid, gid_t gid, uint64_t memory, char *why,
		     size_t why_size);
void options_finish(struct options *options);
void options_help(FILE *out);

/* Writes the names of those of the mount's generic flags an ordinary user may ask fusermount3 for,
 * each followed by a comma. */
void options_user_flags(const struct options *options, char *out, size_t size);

#endif
