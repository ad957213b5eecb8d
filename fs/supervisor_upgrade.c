/* Another program in place of the running one, without a gap: the program on disk is asked whether
 * it can use what is in memory; then we become it by exec(2), with all descriptors and children,
 * and it adopts; then it has its own worker take over from ours, as after a worker's death.
 *
 * Until exec(2) nothing is touched. If that fails half-way, the standby of the former program takes
 * over, and if the new worker does not run, its former program does. */
#include "core/log.h"
#include "core/util.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_SECONDS 20
#define TRIES         3 /* of the new worker */
#define WORKER_LIMIT  2000000000ULL
#define LAYOUT_ROOM   256
#define WAS_TIMED_OUT "it does not say within 20 seconds whether it can"

static uint32_t entered_for; /* number of the upgrade that began this program */

__attribute__((format(printf, 3, 4))) static void
finish(struct supervisor *s, enum upgrade_state state, const char *format, ...)
{
	char *text = s->shared->live.upgrade_text;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof s->shared->live.upgrade_text, format, args);
	va_end(args);
	s->upgrade.phase = PHASE_NONE;
	supervisor_close(&s->upgrade.words_fd);
	supervisor_close(&s->upgrade.former_exec_fd);
	__atomic_store_n(&s->shared->live.upgrade_state, state, __ATOMIC_RELEASE);
	if (state == UPGRADE_DONE)
		log_info("upgrade: %s", text);
	else
		log_error("upgrade: %s", text);
}

void supervisor_upgrade_ask(struct supervisor *s)
{
	if (s->upgrade.phase != PHASE_NONE)
		return; /* that one is as good */
	s->shared->live.upgrade_state = UPGRADE_RUNNING;
	s->shared->live.upgrade_text[0] = '\0';
	s->shared->live.upgrade_usec = 0;
	s->shared->live.upgrade_number = ++s->upgrade.number;
	supervisor_dispatch(s, EVENT_UPGRADE);
	if (s->upgrade.phase == PHASE_NONE && s->shared->live.upgrade_state == UPGRADE_RUNNING)
		finish(s, UPGRADE_REFUSED, "the mount is just beginning or ending");
}

/* --- asking the program on disk --- */

/* In the errand. What it says, and what we have to say, goes to words_fd. */
static void become_check(const struct supervisor *s)
{
	char record[32], layout[LAYOUT_ROOM];
	const char *argv[] = {"mappingfs", "--can-adopt", record, layout, NULL};
	sigset_t none;
	int rc;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	alarm(CHECK_SECONDS);
	dup2(s->upgrade.words_fd, STDOUT_FILENO);
	dup2(s->upgrade.words_fd, STDERR_FILENO);
	snprintf(record, sizeof record, "%016llx", (unsigned long long)supervisor_record_layout());
	rc = supervisor_worker_layout(s->exec_fd, layout, sizeof layout);
	if (rc) {
		dprintf(STDOUT_FILENO, "the worker's running program does not say its version: %s",
			strerror(-rc));
		_exit(1);
	}
	execv(s->program, (char *const *)argv);
	dprintf(STDOUT_FILENO, "it cannot be executed: %s", strerror(errno));
	_exit(1);
}

enum supervisor_state supervisor_upgrade_check(struct supervisor *s)
{
	pid_t pid;

	s->upgrade.words_fd = memfd_create("mappingfs-check", MFD_CLOEXEC);
	if (s->upgrade.words_fd < 0) {
		finish(s, UPGRADE_REFUSED, "memfd_create: %s", strerror(errno));
		return s->state;
	}
	s->upgrade.phase = PHASE_CHECKING;
	pid = supervisor_fork(s, CHILD_CHECKER);
	if (!pid) {
		setpgid(0, 0);
		become_check(s);
	}
	if (pid < 0)
		finish(s, UPGRADE_REFUSED, "fork: %s", strerror(-pid));
	return s->state;
}

static void read_words(const struct supervisor *s, char *out, size_t size)
{
	ssize_t got = pread(s->upgrade.words_fd, out, size - 1, 0);

	out[got > 0 ? got : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

void supervisor_upgrade_checked(struct supervisor *s, int status)
{
	char words[200];

	if (s->upgrade.phase != PHASE_CHECKING)
		return;
	read_words(s, words, sizeof words);
	if (status == 0 && !strcmp(words, WORDS_OF_CONSENT)) {
		supervisor_dispatch(s, EVENT_CHECKED);
		if (s->upgrade.phase == PHASE_CHECKING)
			finish(s, UPGRADE_REFUSED, "the mount is ending");
		return;
	}
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(words, sizeof words, WAS_TIMED_OUT);
	else if (WIFSIGNALED(status))
		snprintf(words, sizeof words, "it dies of signal %d", WTERMSIG(status));
	finish(s, UPGRADE_REFUSED, "%.60s cannot take over: %s", s->program,
	       words[0] ? words : "it does not know how");
}

/* --- becoming it --- */

enum supervisor_state supervisor_upgrade_enter(struct supervisor *s)
{
	char number[16];
	const char *argv[] = {"mappingfs", "--adopt", number, s->mount.point, NULL};

	snprintf(number, sizeof number, "%d", s->record_fd);
	s->upgrade.phase = PHASE_ENTERING;
	supervisor_keep_fds(s, true);
	execv(s->program, (char *const *)argv);
	finish(s, UPGRADE_REFUSED, "%s cannot be executed: %s", s->program, strerror(errno));
	supervisor_keep_fds(s, false);
	return s->state;
}

enum exit_code supervisor_reenter(int record_fd)
{
	struct supervisor *s = supervisor_record_map(record_fd);

	if (!s) {
		log_error("--adopt is for the program itself");
		return EXIT_CODE_USAGE;
	}
	entered_for = s->upgrade.number;
	log_init("mappingfs", s->foreground, s->debug);
	s->code = supervisor_map_shared(s) ? EXIT_CODE_WORKER : EXIT_CODE_OK;
	if (s->code)
		return s->code; /* the former program's standby can do better */
	s->code = supervisor_adopt(s, supervisor_stand_by(s));
	if (!s->code)
		supervisor_loop(s);
	return supervisor_end(s);
}

/* --- its worker --- */

static void replace_worker(struct supervisor *s)
{
	int program = supervisor_find_worker();

	supervisor_keep_fds(s, false);
	if (program < 0) {
		finish(s, UPGRADE_FAILED,
		       "the worker's new program is missing; the former goes on");
		return;
	}
	s->upgrade.former_exec_fd = s->exec_fd;
	s->exec_fd = program;
	s->upgrade.begun_at = clock_ns(CLOCK_MONOTONIC);
	s->upgrade.phase = PHASE_REPLACING;
	s->limit_at = s->upgrade.begun_at + WORKER_LIMIT;
	supervisor_signal(s, CHILD_WORKER, SIGTERM);
}

void supervisor_upgrade_resume(struct supervisor *s)
{
	if (s->upgrade.phase != PHASE_ENTERING)
		return;
	if (entered_for == s->upgrade.number)
		replace_worker(s);
	else
		finish(s, UPGRADE_FAILED, "%s ended before it took over; the former goes on",
		       s->program);
}

void supervisor_upgrade_ready(struct supervisor *s)
{
	uint64_t took = clock_ns(CLOCK_MONOTONIC) - s->upgrade.begun_at;

	if (s->upgrade.phase != PHASE_REPLACING)
		return;
	s->limit_at = 0;
	s->shared->live.upgrade_usec = (uint32_t)(took / 1000);
	finish(s, UPGRADE_DONE, "%s is running now; it took over in %.1f ms", s->program,
	       (double)took / 1e6);
}

bool supervisor_upgrade_reverts(struct supervisor *s, bool fatal)
{
	if (s->upgrade.phase != PHASE_REPLACING || (s->failures < TRIES && !fatal))
		return false;
	supervisor_close(&s->exec_fd);
	s->exec_fd = steal_fd(&s->upgrade.former_exec_fd);
	s->failures = 0;
	finish(s, UPGRADE_FAILED, "the new worker does not run (%.150s); the former goes on",
	       s->last_end);
	return true;
}
