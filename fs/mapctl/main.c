#include "fs/mapctl/mapctl.h"

#include "core/util.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#ifndef MAPPINGFS_VERSION
#define MAPPINGFS_VERSION "unknown"
#endif

const struct verb *const mapctl_verbs[] = {
    &verb_create, &verb_ls,     &verb_stat, &verb_who,   &verb_wait,    &verb_signal, &verb_flush,
    &verb_rm,     &verb_status, &verb_top,  &verb_watch, &verb_upgrade, NULL,
};

static void print_options(const struct mapctl_option *options)
{
	for (; options->name; options++) {
		char left[64];

		snprintf(left, sizeof left, "%c%c%s--%s%s%s", options->letter ? '-' : ' ',
			 options->letter ? options->letter : ' ', options->letter ? ", " : "  ",
			 options->name, options->argument ? " " : "",
			 options->argument ? options->argument : "");
		printf("  %-24s %s\n", left, options->help);
	}
}

static int print_help(void)
{
	printf("usage: mapctl [--mount DIR] [--json] VERB ...\n"
	       "Named objects of a mappingfs mount: mappings, and objects to wait on.\n\n");
	for (const struct verb *const *verb = mapctl_verbs; *verb; verb++)
		printf("  %-8s %s\n", (*verb)->name, (*verb)->summary);
	printf("\n");
	print_options(mapctl_global_options);
	printf("\nNAME is relative to the root of the mount. A NAME that is absolute or begins "
	       "with ./ "
	       "or ../\nis a path, and must lead into the mount.\n"
	       "`mapctl VERB --help` tells more.\n\n"
	       "Exit codes: 0 done, 1 it failed, 2 wrong usage, 3 timed out, 4 the mutex was "
	       "abandoned.\n");
	return EXIT_OK;
}

/* Paragraphs, each a line of any length, wrapped. */
static void print_text(const char *text)
{
	enum { WIDTH = 100 };

	while (*text) {
		size_t rest = strcspn(text, "\n"), length = rest;

		if (rest > WIDTH)
			for (length = WIDTH; length > 1 && text[length] != ' ';)
				length--;
		printf("%.*s\n", (int)length, text);
		text += length;
		text += *text == '\n' || *text == ' ';
	}
}

static int print_verb_help(const struct verb *verb)
{
	printf("usage: mapctl [--mount DIR] [--json] %s %s\n%s\n", verb->name, verb->usage,
	       verb->summary);
	if (verb->options) {
		printf("\n");
		print_options(verb->options);
	}
	if (verb->text) {
		printf("\n");
		print_text(verb->text);
	}
	return EXIT_OK;
}

static const struct verb *find_verb(const char *name)
{
	for (const struct verb *const *verb = mapctl_verbs; *verb; verb++)
		if (!strcmp((*verb)->name, name))
			return *verb;
	return NULL;
}

static int run_verb(struct mapctl *mapctl, int count, char **arguments)
{
	bool wants_help = false;
	int rc = mapctl_parse(mapctl, count, arguments, &wants_help);

	if (wants_help)
		return print_verb_help(mapctl->verb);
	if (rc)
		return rc;
	if (mapctl->count < mapctl->verb->min_names)
		return mapctl_usage(mapctl, "a name is missing");
	if (mapctl->verb->max_names >= 0 && mapctl->count > mapctl->verb->max_names)
		return mapctl_usage(mapctl, "too many names: %s",
				    mapctl->names[mapctl->verb->max_names]);
	return mapctl->verb->run(mapctl);
}

static int finish_output(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "mapctl: cannot write the output: %s\n", strerror(errno));
	return code ? code : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	bool wants_help = false, wants_version = false;
	struct mapctl mapctl = {0};
	int used, rc;

	setlocale(LC_TIME, "");
	/* For the build, which makes the manual page with it. */
	if (argc == 2 && !strcmp(argv[1], "--manual")) {
		mapctl_print_manual();
		return finish_output(EXIT_OK);
	}
	rc = mapctl_parse_global(&mapctl, argc - 1, argv + 1, &used, &wants_help, &wants_version);
	if (rc)
		return rc;
	if (wants_version)
		printf("mapctl " MAPPINGFS_VERSION "\n");
	else if (wants_help)
		print_help();
	if (wants_help || wants_version)
		return finish_output(EXIT_OK);
	if (used == argc - 1)
		return mapctl_usage(&mapctl, "a verb is missing");
	mapctl.verb = find_verb(argv[1 + used]);
	if (!mapctl.verb)
		return mapctl_usage(&mapctl, "unknown verb: %s", argv[1 + used]);
	return finish_output(run_verb(&mapctl, argc - 2 - used, argv + 2 + used));
}
