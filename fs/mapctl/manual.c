/* The parts of mapctl.1 that the tables know: global options and verbs, in the man macros. */
#include "fs/mapctl/mapctl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Plain text; what roff would take for its own is hidden from it. One line of output. */
static void print_plain(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\\')
			fputs("\\e", stdout);
		else if (text[i] == '-')
			fputs("\\-", stdout);
		else if (!i && (text[i] == '.' || text[i] == '\''))
			printf("\\&%c", text[i]);
		else
			putchar(text[i]);
	}
}

static bool is_placeholder(char c)
{
	return isupper((unsigned char)c);
}

/* As print_plain(), placeholders (in capitals) in italics. */
static void print_usage(const char *text)
{
	while (*text) {
		size_t length = 0;

		while (is_placeholder(text[length]))
			length++;
		if (length) {
			printf("\\fI%.*s\\fR", (int)length, text);
		} else {
			while (text[length] && !is_placeholder(text[length]))
				length++;
			print_plain(text, length);
		}
		text += length;
	}
}

static void print_paragraphs(const char *text)
{
	while (text && *text) {
		const size_t length = strcspn(text, "\n");

		printf(".IP\n");
		print_plain(text, length);
		putchar('\n');
		text += length + (text[length] == '\n');
	}
}

static void print_option(const struct mapctl_option *option)
{
	printf(".TP\n");
	if (option->letter)
		printf("\\fB\\-%c\\fR, ", option->letter);
	printf("\\fB\\-\\-");
	print_plain(option->name, strlen(option->name));
	printf("\\fR");
	if (option->argument) {
		putchar(' ');
		print_usage(option->argument);
	}
	putchar('\n');
	print_plain(option->help, strlen(option->help));
	putchar('\n');
}

static void print_sentence(const char *text)
{
	putchar(toupper((unsigned char)*text));
	print_plain(text + 1, strlen(text + 1));
	printf(".\n");
}

static void print_verb(const struct verb *verb)
{
	printf(".TP\n\\fB%s\\fR ", verb->name);
	print_usage(verb->usage);
	putchar('\n');
	print_sentence(verb->summary);
	print_paragraphs(verb->text);
	if (!verb->options)
		return;
	printf(".RS\n");
	for (const struct mapctl_option *option = verb->options; option->name; option++)
		print_option(option);
	printf(".RE\n");
}

void mapctl_print_manual(void)
{
	printf(".SH GLOBAL OPTIONS\n");
	for (const struct mapctl_option *option = mapctl_global_options; option->name; option++)
		print_option(option);
	printf(".SH VERBS\n");
	for (const struct verb *const *verb = mapctl_verbs; *verb; verb++)
		print_verb(*verb);
}
