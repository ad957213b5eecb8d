#include "fs/mapctl/mapctl.h"

#include "core/util.h"

#include <stdarg.h>
#include <stdio.h>

int mapctl_fail(const struct mapctl *mapctl, const char *name, const char *format, ...)
{
	AUTO_FREE char *shown = name ? printable(name) : NULL;
	va_list args;

	fprintf(stderr, "mapctl: %s: %s%s", mapctl->verb->name, shown ? shown : "",
		shown ? ": " : "");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return EXIT_FAILED;
}

int mapctl_usage(const struct mapctl *mapctl, const char *format, ...)
{
	const char *verb = mapctl->verb ? mapctl->verb->name : NULL;
	va_list args;

	fprintf(stderr, "mapctl: %s%s", verb ? verb : "", verb ? ": " : "");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (verb)
		fprintf(stderr, "; usage: mapctl %s %s\n", verb, mapctl->verb->usage);
	else
		fprintf(stderr, "; see `mapctl --help`\n");
	return EXIT_USAGE;
}
