/* Options by table. The global ones are understood after the verb too. Options and names may be
 * mixed;
 * "--" ends the options. */
#include "fs/mapctl/mapctl.h"

#include <string.h>

enum { GLOBAL_MOUNT, GLOBAL_JSON, GLOBAL_HELP, GLOBAL_VERSION, GLOBAL_COUNT };

const struct mapctl_option mapctl_global_options[] = {
    [GLOBAL_MOUNT] = {"mount", 'm', "DIR", "use the mount that DIR is in"},
    [GLOBAL_JSON] = {"json", 'j', NULL, "answer in JSON, for programs"},
    [GLOBAL_HELP] = {"help", 'h', NULL, "show this help"},
    [GLOBAL_VERSION] = {"version", 'V', NULL, "show the version"},
    [GLOBAL_COUNT] = {0},
};

struct parser {
	struct mapctl *mapctl;
	char **arguments;
	int count, at;
	const char *global[GLOBAL_COUNT];
};

static const char *after_name(const char *text, const char *name)
{
	size_t length = strlen(name);

	if (strncmp(text, name, length) != 0 || (text[length] && text[length] != '='))
		return NULL;
	return text + length;
}

static int take_value(struct parser *p, const struct mapctl_option *option, const char *attached,
		      const char **value)
{
	if (!option->argument) {
		*value = "";
		return attached ? mapctl_usage(p->mapctl, "--%s takes no argument", option->name)
				: EXIT_OK;
	}
	if (!attached && p->at < p->count)
		attached = p->arguments[p->at++];
	if (!attached)
		return mapctl_usage(p->mapctl, "--%s needs an argument: %s", option->name,
				    option->argument);
	*value = attached;
	return EXIT_OK;
}

/* -1: not in this table. */
static int try_long(struct parser *p, const char *text, const struct mapctl_option *options,
		    const char **values)
{
	for (int i = 0; options && options[i].name; i++) {
		const char *rest = after_name(text, options[i].name);

		if (rest)
			return take_value(p, &options[i], *rest ? rest + 1 : NULL, &values[i]);
	}
	return -1;
}

static int try_letter(struct parser *p, char letter, const char *rest,
		      const struct mapctl_option *options, const char **values, bool *took_rest)
{
	for (int i = 0; options && options[i].name; i++) {
		if (options[i].letter != letter)
			continue;
		*took_rest = options[i].argument && *rest;
		return take_value(p, &options[i], *took_rest ? rest : NULL, &values[i]);
	}
	return -1;
}

static int parse_letters(struct parser *p, const char *letters, const struct mapctl_option *options)
{
	bool took_rest = false;

	for (; *letters && !took_rest; letters++) {
		int rc =
		    try_letter(p, *letters, letters + 1, options, p->mapctl->values, &took_rest);

		if (rc < 0)
			rc = try_letter(p, *letters, letters + 1, mapctl_global_options, p->global,
					&took_rest);
		if (rc < 0)
			return mapctl_usage(p->mapctl, "unknown option: -%c", *letters);
		if (rc)
			return rc;
	}
	return EXIT_OK;
}

static int parse_option(struct parser *p, const char *text, const struct mapctl_option *options)
{
	int rc;

	if (text[1] != '-')
		return parse_letters(p, text + 1, options);
	rc = try_long(p, text + 2, options, p->mapctl->values);
	if (rc < 0)
		rc = try_long(p, text + 2, mapctl_global_options, p->global);
	return rc < 0 ? mapctl_usage(p->mapctl, "unknown option: %s", text) : rc;
}

static void apply_globals(struct parser *p)
{
	if (p->global[GLOBAL_MOUNT])
		p->mapctl->mount_dir = p->global[GLOBAL_MOUNT];
	if (p->global[GLOBAL_JSON])
		p->mapctl->json = true;
}

int mapctl_parse_global(struct mapctl *mapctl, int count, char **arguments, int *used,
			bool *wants_help, bool *wants_version)
{
	struct parser p = {.mapctl = mapctl, .arguments = arguments, .count = count};
	int rc = EXIT_OK;

	while (!rc && p.at < count && arguments[p.at][0] == '-' && arguments[p.at][1]) {
		const char *text = arguments[p.at++];

		rc = parse_option(&p, text, NULL);
	}
	apply_globals(&p);
	*used = p.at;
	*wants_help = p.global[GLOBAL_HELP];
	*wants_version = p.global[GLOBAL_VERSION];
	return rc;
}

int mapctl_parse(struct mapctl *mapctl, int count, char **arguments, bool *wants_help)
{
	struct parser p = {.mapctl = mapctl, .arguments = arguments, .count = count};
	bool options_ended = false;
	int rc = EXIT_OK;

	mapctl->names = arguments; /* names move to the front, over options already read */
	while (!rc && p.at < count) {
		char *text = arguments[p.at++];

		if (!options_ended && !strcmp(text, "--"))
			options_ended = true;
		else if (!options_ended && text[0] == '-' && text[1])
			rc = parse_option(&p, text, mapctl->verb->options);
		else
			mapctl->names[mapctl->count++] = text;
		if (mapctl->verb->plain_from && mapctl->count >= mapctl->verb->plain_from)
			options_ended = true;
	}
	apply_globals(&p);
	*wants_help = p.global[GLOBAL_HELP];
	return rc;
}
