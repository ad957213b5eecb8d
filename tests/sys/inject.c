#include "tests/sys/inject.h"

#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define TRIES      2000
#define BELOW      4096 /* bytes below the stack pointer, beyond what a leaf function uses */
#define TEXT_BELOW 8192

#if defined(__x86_64__)

bool inject_possible(void)
{
	return true;
}

static bool stopped(pid_t pid)
{
	int status;

	return waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status);
}

/* Just behind a syscall instruction: it waits in the kernel. */
static bool is_in_call(struct inject *inject)
{
	long word;

	if (ptrace(PTRACE_GETREGS, inject->pid, 0, &inject->before) < 0)
		return false;
	inject->at = inject->before.rip - 2;
	word = ptrace(PTRACE_PEEKTEXT, inject->pid, inject->at, 0);
	return (word & 0xffff) == 0x050f && inject->before.orig_rax != (unsigned long)-1;
}

bool inject_begin(struct inject *inject, pid_t pid)
{
	*inject = (struct inject){.pid = pid};
	if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) < 0)
		return false;
	for (int i = 0; i < TRIES; i++) {
		if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0 || !stopped(pid))
			return false;
		if (is_in_call(inject))
			return true;
		ptrace(PTRACE_CONT, pid, 0, 0);
		sys_past(0);
	}
	return false;
}

/* On to the next stop that is none for a signal; signals are passed on. */
static bool next_call_stop(struct inject *inject, struct __ptrace_syscall_info *info)
{
	long deliver = 0;

	for (;;) {
		siginfo_t signal_info;
		int status;

		if (ptrace(PTRACE_SYSCALL, inject->pid, 0, deliver) < 0 ||
		    waitpid(inject->pid, &status, __WALL) != inject->pid || !WIFSTOPPED(status))
			return false;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			break;
		deliver = ptrace(PTRACE_GETSIGINFO, inject->pid, 0, &signal_info) < 0
			      ? 0
			      : WSTOPSIG(status);
	}
	return ptrace(PTRACE_GET_SYSCALL_INFO, inject->pid, sizeof *info, info) > 0;
}

/* With a handler in between the call has ended when that has returned. */
static bool run_to_end(struct inject *inject)
{
	struct __ptrace_syscall_info info;
	struct user_regs_struct now;
	bool returning = false;

	while (next_call_stop(inject, &info)) {
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
			returning = info.entry.nr == SYS_rt_sigreturn;
			continue;
		}
		if (ptrace(PTRACE_GETREGS, inject->pid, 0, &now) < 0)
			return false;
		/* A refused call leaves its own number there, and its signal is still to come. */
		if (returning || (now.rip == inject->at + 2 && now.rax != now.orig_rax))
			return true;
	}
	return false;
}

long inject_call(struct inject *inject, long number, const long arguments[6])
{
	struct user_regs_struct regs = inject->before;

	regs.rax = (unsigned long)number;
	regs.orig_rax = (unsigned long)-1;
	regs.rip = inject->at;
	regs.rsp -= BELOW;
	regs.rdi = (unsigned long)arguments[0];
	regs.rsi = (unsigned long)arguments[1];
	regs.rdx = (unsigned long)arguments[2];
	regs.r10 = (unsigned long)arguments[3];
	regs.r8 = (unsigned long)arguments[4];
	regs.r9 = (unsigned long)arguments[5];
	if (ptrace(PTRACE_SETREGS, inject->pid, 0, &regs) < 0 || !run_to_end(inject) ||
	    ptrace(PTRACE_GETREGS, inject->pid, 0, &regs) < 0)
		return -ESRCH;
	return (long)regs.rax;
}

long inject_text(struct inject *inject, const char *text)
{
	unsigned long to = (inject->before.rsp - TEXT_BELOW) & ~7UL;
	size_t length = strlen(text) + 1;

	for (size_t i = 0; i < length; i += sizeof(long)) {
		long word = 0;

		memcpy(&word, text + i, length - i < sizeof word ? length - i : sizeof word);
		ptrace(PTRACE_POKEDATA, inject->pid, to + i, word);
	}
	return (long)to;
}

void inject_end(struct inject *inject)
{
	inject->before.rax = (unsigned long)-EINTR; /* its own call was interrupted */
	inject->before.orig_rax = (unsigned long)-1;
	ptrace(PTRACE_SETREGS, inject->pid, 0, &inject->before);
	ptrace(PTRACE_DETACH, inject->pid, 0, 0);
}

#else

bool inject_possible(void)
{
	return false;
}

bool inject_begin(struct inject *inject, pid_t pid)
{
	(void)inject;
	(void)pid;
	return false;
}

long inject_call(struct inject *inject, long number, const long arguments[6])
{
	(void)inject;
	(void)number;
	(void)arguments;
	return -ENOSYS;
}

long inject_text(struct inject *inject, const char *text)
{
	(void)inject;
	(void)text;
	return 0;
}

void inject_end(struct inject *inject)
{
	(void)inject;
}

#endif
