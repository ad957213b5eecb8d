#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

static struct {
	const char *ident;
	bool to_stderr;
	bool debug;
} sink = {.ident = "mappingfs", .to_stderr = true};

void log_init(const char *ident, bool to_stderr, bool debug)
{
	sink.ident = ident;
	sink.to_stderr = to_stderr;
	sink.debug = debug;
	if (!to_stderr)
		openlog(ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

static int syslog_priority(enum log_level level)
{
	static const int priority[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
	return priority[level];
}

void log_line(enum log_level level, const char *format, ...)
{
	char line[1024];
	va_list args;

	if (level == LOG_LEVEL_DEBUG && !sink.debug)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (sink.to_stderr)
		fprintf(stderr, "%s: %s\n", sink.ident, line);
	else
		syslog(syslog_priority(level), "%s", line);
}
