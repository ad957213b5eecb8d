#include "tests/fuzz/calls.h"

#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>

static struct sys_calls calls;

/* Can be watched, cannot be signaled. */
static int no_process(pid_t pid, unsigned flags)
{
	(void)flags;
	return pid > 0 ? neg_errno(eventfd(0, EFD_CLOEXEC)) : -EINVAL;
}

/* Nothing here waits for a disk. */
static int no_sync(int fd)
{
	(void)fd;
	return 0;
}

static int no_notification(int fd, const void *bytes, size_t size)
{
	(void)fd;
	(void)bytes;
	return (int)size;
}

void calls_install(void)
{
	calls = sys_real;
	calls.pidfd_open = no_process;
	calls.fsync = calls.fdatasync = calls.syncfs = no_sync;
	calls.resend = calls.prune = no_notification;
	sys = &calls;
}

void __wrap_log_line(enum log_level level, const char *format, ...);

/* What is logged is formatted all the same: its strings are looked at. FUZZ_LOG=1 shows it. */
void __wrap_log_line(enum log_level level, const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (getenv("FUZZ_LOG"))
		fprintf(stderr, "%d: %s\n", (int)level, line);
}
