/* A system call that is not in the table: it fails with ENOSYS, as if the kernel had none, is
 * counted where it outlives us and said to the log; we go on. Runs as a signal handler in whatever
 * thread it was: nothing here may allocate or lock. */
#include "fs/confine.h"

#include "core/util.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* asm-generic/siginfo.h */
#endif
#define SAID_AT_MOST 32 /* by one worker: more of the same tells nobody anything */

static const char *const names[] = {
#define CALL(name, number) [number] = #name,
#include "confine_names.inc"
#undef CALL
};

static struct {
	struct handover *handover;
	int log_fd;
	unsigned said;
} sink = {.log_fd = -1};

const char *confine_call_name(long number)
{
	bool known = number >= 0 && number < (long)ARRAY_SIZE(names) && names[number];

	return known ? names[number] : "?";
}

/* --- a line without stdio --- */

struct line {
	char text[160];
	size_t length;
};

static void put(struct line *line, const char *text)
{
	while (*text && line->length < sizeof line->text)
		line->text[line->length++] = *text++;
}

static void put_number(struct line *line, uint64_t number, unsigned base)
{
	char digits[24];
	size_t at = sizeof digits;

	digits[--at] = '\0';
	do {
		digits[--at] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	put(line, digits + at);
}

static void say(const siginfo_t *info)
{
	struct line line = {.length = 0};

	put(&line, sink.log_fd == STDERR_FILENO ? "mappingfs: " : "<27>mappingfs[");
	if (sink.log_fd != STDERR_FILENO) {
		put_number(&line, (uint64_t)getpid(), 10);
		put(&line, "]: ");
	}
	put(&line, "system call ");
	put_number(&line, (uint64_t)(unsigned)info->si_syscall, 10);
	put(&line, " (");
	put(&line, confine_call_name(info->si_syscall));
	put(&line, ") at 0x");
	put_number(&line, (uint64_t)(uintptr_t)info->si_call_addr, 16);
	put(&line, " is not for a worker: it failed");
	if (sink.log_fd == STDERR_FILENO)
		put(&line, "\n");
	if (sink.log_fd >= 0 && write(sink.log_fd, line.text, line.length) < 0)
		return; /* counted it is */
}

/* --- the signal --- */

static void fail_call(ucontext_t *context)
{
#if defined(__x86_64__)
	context->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
#elif defined(__aarch64__)
	context->uc_mcontext.regs[0] = (unsigned long long)-ENOSYS;
#else
	(void)context;
#endif
}

static void violated(int signal_number, siginfo_t *info, void *context)
{
	int saved = errno;

	if (info->si_code != SYS_SECCOMP) /* kill(2) by somebody */
		return;
	(void)signal_number;
	sink.handover->live.violation_call = info->si_syscall;
	__atomic_fetch_add(&sink.handover->live.violations, 1, __ATOMIC_RELAXED);
	if (__atomic_fetch_add(&sink.said, 1, __ATOMIC_RELAXED) < SAID_AT_MOST)
		say(info);
	fail_call(context);
	errno = saved;
}

/* Of its own: libc's is behind a lock. */
static int connect_syslog(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -1;
	return steal_fd(&fd);
}

void confine_open_log(bool to_stderr)
{
	sink.log_fd = to_stderr ? STDERR_FILENO : connect_syslog();
}

int confine_violations(struct handover *handover)
{
	struct sigaction action = {.sa_sigaction = violated, .sa_flags = SA_SIGINFO | SA_NODEFER};

	sink.handover = handover;
	sigemptyset(&action.sa_mask);
	return neg_errno(sigaction(SIGSYS, &action, NULL));
}
