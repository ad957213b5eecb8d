#include "fs/options.h"

#include "core/util.h"
#include "fs/options_internal.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

/* --- tables --- */

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

/* One word of -o, without its comma. The word is cut at its '='. */
static int apply_word(struct options *o, char *word, char *why, size_t size)
{
	char *value;

	if (!*word || is_ignored(word) || option_flag_apply(o, word))
		return 0;
	value = strchr(word, '=');
	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < option_setting_count; i++) {
		const struct option_setting *setting = &option_settings[i];

		if (strcmp(word, setting->name))
			continue;
		if (!setting->value && value)
			return complain(why, size, "option '%s' takes no value", word);
		if (setting->value && !value)
			return complain(why, size, "option '%s' needs a value: %s=%s", word, word,
					setting->value);
		if (setting->set(o, value))
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

void options_help(FILE *out)
{
	fputs("usage: mappingfs [-f] [-d] [-o OPTION[,OPTION...]] [SOURCE] MOUNTPOINT\n"
	      "Mounts a file system whose files are named memory mappings.\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		fprintf(out, "  -%c, --%-24s %s\n", switches[i].option.val, switches[i].option.name,
			switches[i].help);
	fputs("\nOptions of -o:\n", out);
	for (size_t i = 0; i < option_setting_count; i++) {
		const struct option_setting *setting = &option_settings[i];
		char name[64];

		snprintf(name, sizeof name, "%s%s%s", setting->name, setting->value ? "=" : "",
			 setting->value ? setting->value : "");
		fprintf(out, "  %-30s %s\n", name, setting->help);
	}
	fputs(" ", out);
	option_flags_help(out);
	fputs(
	    "\n                                 as in mount(8); nosuid and nodev are the default\n",
	    out);
}
