#include "fs/options.h"

#include "core/util.h"
#include "fs/handover.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

/* --- values: each setter returns 0 or -EINVAL ("not a value of this option") --- */

static int parse_unsigned(const char *text, int base, uint64_t max, uint64_t *out, char **end)
{
	if (!isxdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, end, base);
	return errno || *end == text || *out > max ? -EINVAL : 0;
}

/* Either *bytes or *percent is set, the other is 0. */
static int parse_size(const char *value, unsigned max_percent, uint64_t *bytes, unsigned *percent)
{
	uint64_t number;
	char *end;
	int shift = 0;

	if (parse_unsigned(value, 10, INT64_MAX, &number, &end))
		return -EINVAL;
	if (!strcmp(end, "%")) {
		if (number > max_percent)
			return -EINVAL;
		*percent = (unsigned)number;
		*bytes = 0;
		return 0;
	}
	if (*end) {
		shift = size_shift(*end);
		if (shift < 0 || end[1])
			return -EINVAL;
	}
	if (number > (uint64_t)INT64_MAX >> shift)
		return -EINVAL;
	*bytes = number << shift;
	*percent = 0;
	return 0;
}

static int set_size(struct options *o, const char *value)
{
	uint64_t bytes;
	unsigned percent;

	if (parse_size(value, 1000, &bytes, &percent) || !(bytes || percent))
		return -EINVAL;
	if (bytes)
		o->size = bytes;
	o->size_percent = percent;
	return 0;
}

static int set_user_size(struct options *o, const char *value)
{
	uint64_t bytes;

	if (parse_size(value, 100, &bytes, &o->user_size_percent))
		return -EINVAL;
	o->user_size = (int64_t)bytes;
	return 0;
}

static int set_count(const char *value, uint64_t max, int64_t *out)
{
	uint64_t number;
	char *end;

	if (parse_unsigned(value, 10, max, &number, &end) || *end)
		return -EINVAL;
	*out = (int64_t)number;
	return 0;
}

static int set_user_objects(struct options *o, const char *value)
{
	return set_count(value, INT64_MAX, &o->user_objects);
}

static int set_user_waits(struct options *o, const char *value)
{
	return set_count(value, INT32_MAX, &o->user_waits);
}

static int set_user_connections(struct options *o, const char *value)
{
	return set_count(value, INT32_MAX, &o->user_connections);
}

static int set_store(struct options *o, const char *value)
{
	if (!*value)
		return -EINVAL;
	free(o->store);
	o->store = strdup(value);
	return o->store ? 0 : -ENOMEM;
}

static int set_root_mode(struct options *o, const char *value)
{
	uint64_t mode;
	char *end;

	if (parse_unsigned(value, 8, 07777, &mode, &end) || *end)
		return -EINVAL;
	o->root_mode = (int64_t)mode;
	return 0;
}

static int set_mode(struct options *o, const char *value)
{
	static const char *const names[] = {
	    [DATA_MODE_AUTO] = "auto",
	    [DATA_MODE_PASSTHROUGH] = "passthrough",
	    [DATA_MODE_CACHED] = "cached",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			o->data_mode = (int)i;
			return 0;
		}
	}
	return set_root_mode(o, value);
}

static int set_lifetime(struct options *o, const char *value)
{
	static const char *const names[] = {
	    [DEFAULT_LIFETIME_PERMANENT] = "permanent",
	    [DEFAULT_LIFETIME_TEMPORARY] = "temporary",
	    [DEFAULT_LIFETIME_HANDLE] = "handle",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			o->lifetime = (int)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_jobs(struct options *o, const char *value)
{
	static const char *const names[] = {
	    [JOBS_MODE_AUTO] = "auto",
	    [JOBS_MODE_CGROUP] = "cgroup",
	    [JOBS_MODE_PIDFD] = "pidfd",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			o->jobs = (int)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_confine(struct options *o, const char *value)
{
	static const char *const names[] = {
	    [CONFINE_AUTO] = "auto",
	    [CONFINE_OFF] = "off",
	    [CONFINE_STRICT] = "strict",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			o->confine = (int)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_uid(struct options *o, const char *value)
{
	const struct passwd *entry;
	uint64_t number;
	char *end;

	if (!parse_unsigned(value, 10, UINT32_MAX - 1, &number, &end) && !*end)
		o->uid = (int64_t)number;
	else if ((entry = getpwnam(value)))
		o->uid = entry->pw_uid;
	else
		return -EINVAL;
	return 0;
}

static int set_gid(struct options *o, const char *value)
{
	const struct group *entry;
	uint64_t number;
	char *end;

	if (!parse_unsigned(value, 10, UINT32_MAX - 1, &number, &end) && !*end)
		o->gid = (int64_t)number;
	else if ((entry = getgrnam(value)))
		o->gid = entry->gr_gid;
	else
		return -EINVAL;
	return 0;
}

static int set_allow_other(struct options *o, const char *value)
{
	(void)value;
	o->allow_other = 1;
	return 0;
}

static int set_noallow_other(struct options *o, const char *value)
{
	(void)value;
	o->allow_other = 0;
	return 0;
}

static int set_poll(struct options *o, const char *value)
{
	uint64_t number;
	char *end;

	if (parse_unsigned(value, 10, 1000000, &number, &end) || *end)
		return -EINVAL;
	o->poll_usec = (uint32_t)number;
	return 0;
}

/* --- tables --- */

static const struct {
	const char *name;
	const char *value; /* NULL: takes none */
	int (*set)(struct options *options, const char *value);
	const char *help;
} settings[] = {
    {"size", "BYTES[k|m|g|t|%]", set_size, "memory that may be committed (default: 50%)"},
    {"user_objects", "N", set_user_objects, "that one user can have, root apart (default: 65536)"},
    {"user_size", "BYTES[k|m|g|t|%]", set_user_size, "... and commit (default: 50% of size)"},
    {"user_waits", "N", set_user_waits, "... and wait for at a time (default: 16384)"},
    {"user_connections", "N", set_user_connections, "... and open to .control (default: 64)"},
    {"store", "DIR", set_store, "keep the objects in DIR instead of memory"},
    {"mode", "auto|passthrough|cached", set_mode, "how data reaches the programs (default: auto)"},
    {"mode", "OCTAL", set_mode, "permission bits of the root directory, as root_mode="},
    {"root_mode", "OCTAL", set_root_mode, "... (default: 1777 as root, 0700 as a user)"},
    {"uid", "USER", set_uid, "owner of the root directory"},
    {"gid", "GROUP", set_gid, "group of the root directory"},
    {"lifetime", "permanent|temporary|handle", set_lifetime, "of new objects (default: permanent)"},
    {"jobs", "auto|cgroup|pidfd", set_jobs, "what holds the members of jobs (default: auto)"},
    {"confine", "auto|off|strict", set_confine, "the worker gives up all it can (default: auto)"},
    {"allow_other", NULL, set_allow_other, "everybody may use the mount (default as root)"},
    {"noallow_other", NULL, set_noallow_other, "only who mounts may use it"},
    {"poll", "USEC", set_poll, "longest wait for the next request before sleep (default: 50)"},
};

/* Generic options that are flags of mount(2): what each sets and what it clears. */
static const struct {
	const char *name;
	unsigned long set, clear;
	bool user; /* fusermount3 takes it from an ordinary user */
} flags[] = {
    {"ro", MS_RDONLY, 0, true},
    {"rw", 0, MS_RDONLY, true},
    {"nosuid", MS_NOSUID, 0, true},
    {"suid", 0, MS_NOSUID, false},
    {"nodev", MS_NODEV, 0, true},
    {"dev", 0, MS_NODEV, false},
    {"noexec", MS_NOEXEC, 0, true},
    {"exec", 0, MS_NOEXEC, true},
    {"noatime", MS_NOATIME, MS_RELATIME | MS_STRICTATIME, true},
    {"atime", 0, MS_NOATIME, true},
    {"nodiratime", MS_NODIRATIME, 0, true},
    {"diratime", 0, MS_NODIRATIME, true},
    {"relatime", MS_RELATIME, MS_NOATIME | MS_STRICTATIME, false},
    {"norelatime", 0, MS_RELATIME, false},
    {"strictatime", MS_STRICTATIME, MS_NOATIME | MS_RELATIME, false},
    {"nostrictatime", 0, MS_STRICTATIME, false},
    {"lazytime", MS_LAZYTIME, 0, false},
    {"nolazytime", 0, MS_LAZYTIME, false},
    {"sync", MS_SYNCHRONOUS, 0, true},
    {"async", 0, MS_SYNCHRONOUS, true},
    {"dirsync", MS_DIRSYNC, 0, false},
};

/* Words that mean something to mount(8), systemd or fstab, and nothing to a file system. A trailing
 * '*' stands for anything. */
static const char *const ignored[] = {
    "defaults",
    "auto",
    "noauto",
    "user",
    "user=*",
    "nouser",
    "users",
    "owner",
    "group",
    "nofail",
    "_netdev",
    "x-*",
    "X-*",
    "comment=*",
    "loud",
    "silent",
    "default_permissions",
    "subtype=mappingfs",
};

static const struct {
	struct option option;
	const char *help;
} switches[] = {
    {{"options", required_argument, NULL, 'o'}, "OPTION[,OPTION...]  see below"},
    {{"foreground", no_argument, NULL, 'f'}, "stay in the foreground, log to standard error"},
    {{"debug", no_argument, NULL, 'd'}, "log more"},
    {{"help", no_argument, NULL, 'h'}, "show this"},
    {{"version", no_argument, NULL, 'V'}, "show versions, and whether passthrough can be had"},
};

/* --- parsing --- */

static int complain(char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return -EINVAL;
}

static bool is_ignored(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++) {
		size_t length = strlen(ignored[i]);

		if (ignored[i][length - 1] == '*' ? !strncmp(word, ignored[i], length - 1)
						  : !strcmp(word, ignored[i]))
			return true;
	}
	return false;
}

static bool apply_flag(struct options *o, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (strcmp(word, flags[i].name))
			continue;
		o->mount_flags = (o->mount_flags | flags[i].set) & ~flags[i].clear;
		return true;
	}
	return false;
}

/* One word of -o, without its comma. The word is cut at its '='. */
static int apply_word(struct options *o, char *word, char *why, size_t size)
{
	char *value;

	if (!*word || is_ignored(word) || apply_flag(o, word))
		return 0;
	value = strchr(word, '=');
	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if (strcmp(word, settings[i].name))
			continue;
		if (!settings[i].value && value)
			return complain(why, size, "option '%s' takes no value", word);
		if (settings[i].value && !value)
			return complain(why, size, "option '%s' needs a value: %s=%s", word, word,
					settings[i].value);
		if (settings[i].set(o, value))
			return complain(why, size, "'%s' is not a value for option '%s'", value,
					word);
		return 0;
	}
	if (!strcmp(word, "remount"))
		return complain(why, size, "a mounted mappingfs cannot be remounted");
	return complain(why, size, "unknown option '%s'", word);
}

/* Splits at commas; "\," is a comma inside a value, "\\" a backslash. */
static int apply_words(struct options *o, const char *text, char *why, size_t size)
{
	AUTO_FREE char *word = malloc(strlen(text) + 1);

	if (!word)
		return complain(why, size, "no memory");
	for (;;) {
		size_t length = 0;

		for (; *text && *text != ','; text++) {
			if (*text == '\\' && (text[1] == ',' || text[1] == '\\'))
				text++;
			word[length++] = *text;
		}
		word[length] = '\0';
		if (apply_word(o, word, why, size))
			return -EINVAL;
		if (!*text++)
			return 0;
	}
}

static int take_positional(struct options *o, const char *word, char *why, size_t size)
{
	char **to = !o->mountpoint ? &o->mountpoint : !o->source ? &o->source : NULL;

	if (!to)
		return complain(why, size, "too many arguments: '%s'", word);
	/* With two, the first is the source: mount(8) calls us SOURCE MOUNTPOINT. */
	if (to == &o->source)
		o->source = o->mountpoint;
	o->mountpoint = strdup(word);
	return o->mountpoint ? 0 : complain(why, size, "no memory");
}

static int apply_switch(struct options *o, int letter, char **argv, char *why, size_t size)
{
	switch (letter) {
	case 1: /* not an option; the leading '-' of the short options asks for these in order */
		return take_positional(o, optarg, why, size);
	case 'o':
		return apply_words(o, optarg, why, size);
	case 'f':
		o->foreground = true;
		return 0;
	case 'd':
		o->debug = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	case 'V':
		o->version = true;
		return 0;
	case ':':
		return complain(why, size, "'%s' needs an argument", argv[optind - 1]);
	default:
		return complain(why, size, "unknown option '%s'", argv[optind - 1]);
	}
}

static int parse_switches(struct options *o, int argc, char **argv, char *why, size_t size)
{
	struct option longs[ARRAY_SIZE(switches) + 1] = {{0}};
	int letter;

	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		longs[i] = switches[i].option;
	optind = 0; /* glibc: begin anew, also after an earlier parse */
	opterr = 0;
	while ((letter = getopt_long(argc, argv, "-:o:fdhV", longs, NULL)) != -1) {
		if (apply_switch(o, letter, argv, why, size))
			return -EINVAL;
	}
	for (; optind < argc; optind++) { /* after "--" */
		if (take_positional(o, argv[optind], why, size))
			return -EINVAL;
	}
	return 0;
}

int options_parse(struct options *options, int argc, char **argv, char *why, size_t why_size)
{
	*options = (struct options){
	    .allow_other = -1,
	    .root_mode = OPTION_UNSET,
	    .uid = OPTION_UNSET,
	    .gid = OPTION_UNSET,
	    .poll_usec = 50,
	    .user_objects = OPTION_UNSET,
	    .user_size = OPTION_UNSET,
	    .user_waits = OPTION_UNSET,
	    .user_connections = OPTION_UNSET,
	    .mount_flags = MS_NOSUID | MS_NODEV,
	};
	if (parse_switches(options, argc, argv, why, why_size))
		return -EINVAL;
	if (!options->source)
		options->source = strdup("mappingfs");
	if (!options->source)
		return complain(why, why_size, "no memory");
	if (options->help || options->version)
		return 0;
	if (!options->mountpoint || !*options->mountpoint)
		return complain(why, why_size, "no mount point given");
	return 0;
}

static int64_t given_or(int64_t value, int64_t otherwise)
{
	return value == OPTION_UNSET ? otherwise : value;
}

/* Who mounts for himself may do as he likes. */
static void complete_user_limits(struct options *o, bool root)
{
	o->user_objects = given_or(o->user_objects, root ? 65536 : 0);
	o->user_waits = given_or(o->user_waits, root ? 16384 : 0);
	o->user_connections = given_or(o->user_connections, root ? 64 : 0);
	if (o->user_size == OPTION_UNSET)
		o->user_size_percent = root ? 50 : 0;
	if (o->user_size == OPTION_UNSET || o->user_size_percent)
		o->user_size = (int64_t)(o->size / 100 * o->user_size_percent);
	o->user_size_percent = 0;
}

int options_complete(struct options *options, uid_t uid, gid_t gid, uint64_t memory, char *why,
		     size_t why_size)
{
	bool root = uid == 0;

	if (!root && options->uid != OPTION_UNSET && options->uid != uid)
		return complain(why, why_size, "only root can give the mount to another uid");
	if (!root && options->gid != OPTION_UNSET && options->gid != gid)
		return complain(why, why_size, "only root can give the mount to another gid");
	if (options->uid == OPTION_UNSET)
		options->uid = uid;
	if (options->gid == OPTION_UNSET)
		options->gid = gid;
	if (options->root_mode == OPTION_UNSET)
		options->root_mode = root ? 01777 : 0700;
	if (options->allow_other < 0)
		options->allow_other = root;
	if (!options->size && !options->size_percent && !options->store)
		options->size_percent = 50;
	if (options->size_percent)
		options->size = memory / 100 * options->size_percent;
	options->size_percent = 0;
	complete_user_limits(options, root);
	if (!options->size && !options->store)
		return complain(why, why_size, "the size comes to nothing");
	return 0;
}

void options_finish(struct options *options)
{
	free(options->source);
	free(options->mountpoint);
	free(options->store);
	*options = (struct options){0};
}

void options_user_flags(const struct options *options, char *out, size_t size)
{
	size_t length = 0;

	out[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(flags) && length < size; i++) {
		if (flags[i].user && options->mount_flags & flags[i].set)
			length +=
			    (size_t)snprintf(out + length, size - length, "%s,", flags[i].name);
	}
}

void options_help(FILE *out)
{
	fputs("usage: mappingfs [-f] [-d] [-o OPTION[,OPTION...]] [SOURCE] MOUNTPOINT\n"
	      "Mounts a file system whose files are named memory mappings.\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		fprintf(out, "  -%c, --%-24s %s\n", switches[i].option.val, switches[i].option.name,
			switches[i].help);
	fputs("\nOptions of -o:\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		char name[64];

		snprintf(name, sizeof name, "%s%s%s", settings[i].name,
			 settings[i].value ? "=" : "", settings[i].value ? settings[i].value : "");
		fprintf(out, "  %-30s %s\n", name, settings[i].help);
	}
	fputs(" ", out);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		fprintf(out, " %s%s", flags[i].name, i % 10 == 9 ? "\n " : "");
	fputs(
	    "\n                                 as in mount(8); nosuid and nodev are the default\n",
	    out);
}
