/* One log hook for core and fs. Lines go to standard error (foreground) or syslog. Never logs from
 * a signal handler. Thread-safe. */
#ifndef MAPPINGFS_CORE_LOG_H
#define MAPPINGFS_CORE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* ident: program name before each line. to_stderr: else syslog(3), facility daemon. */
void log_init(const char *ident, bool to_stderr, bool debug);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
