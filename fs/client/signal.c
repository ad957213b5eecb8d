/* Changing an object to wait on: one line of words, written to it. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST_WORDS = 256 };

static const char *words_of(enum mapping_type type)
{
	switch (type) {
	case MAPPING_EVENT:
		return "set, reset, pulse";
	case MAPPING_SEMAPHORE:
		return "release [K]";
	case MAPPING_MUTEX:
		return "release";
	case MAPPING_TIMER:
		return "set DUE [PERIOD], cancel";
	case MAPPING_JOB:
		return "add PID, kill [SIG]";
	default:
		return "none";
	}
}

static int fail_words(const char *words, const struct mapping_kind *kind,
		      struct mapping_error *error)
{
	return mapping_fail(error, EINVAL, "%s does not understand \"%s\"; its words: %s",
			    kind->text, words, words_of(kind->type));
}

int mapping_fail_to_signal(int fd, const char *words, int code, struct mapping_error *error)
{
	struct mapping_kind kind;

	if (mapping_kind(fd, &kind))
		kind = (struct mapping_kind){MAPPING_ANY, "an object"};
	switch (code) {
	case EINVAL:
		return fail_words(words, &kind, error);
	case EOVERFLOW:
		return mapping_fail(error, code,
				    "the count would go beyond the semaphore's maximum; it is as "
				    "it was");
	case EPERM:
		return mapping_fail(error, code,
				    kind.type == MAPPING_MUTEX
					? "this handle does not own the mutex; the one that took "
					  "it releases it"
					: "you have no right to signal that process");
	case ESRCH:
		return mapping_fail(error, code, "there is no such process");
	case EBADF:
		return mapping_fail(error, code,
				    "this descriptor is not open for writing, which a change "
				    "needs");
	default:
		return mapping_fail_errno(error, code, "cannot change it");
	}
}

int mapping_check_words(int fd, const char *words, struct mapping_error *error)
{
	struct mapping_kind kind;
	int rc;

	if (!*words || strchr(words, '\n') || strlen(words) >= LONGEST_WORDS)
		return mapping_fail(error, EINVAL,
				    "give one line of words, not empty and of at most %d bytes",
				    LONGEST_WORDS - 1);
	if (mapping_is_waitable(fd))
		return 0;
	rc = mapping_kind(fd, &kind);
	if (rc)
		return mapping_fail_errno(error, -rc, "cannot look at it");
	return mapping_fail(error, EINVAL,
			    "this is %s, not an object to wait on (event, semaphore, mutex, timer, "
			    "job)",
			    kind.text);
}

/* pwrite: write(2) would wait for every other read and write of this descriptor. */
int mapping_signal(int fd, const char *words, struct mapping_error *error)
{
	char line[LONGEST_WORDS + 1];
	int length, rc = mapping_check_words(fd, words, error);
	ssize_t done;

	if (rc)
		return rc;
	length = snprintf(line, sizeof line, "%s\n", words);
	do
		done = pwrite(fd, line, (size_t)length, 0);
	while (done < 0 && errno == EINTR);
	if (done == length)
		return 0;
	return mapping_fail_to_signal(fd, words, done < 0 ? errno : EIO, error);
}

int mapping_event_set(int fd, struct mapping_error *error)
{
	return mapping_signal(fd, "set", error);
}

int mapping_event_reset(int fd, struct mapping_error *error)
{
	return mapping_signal(fd, "reset", error);
}

int mapping_event_pulse(int fd, struct mapping_error *error)
{
	return mapping_signal(fd, "pulse", error);
}

int mapping_semaphore_release(int fd, uint32_t count, struct mapping_error *error)
{
	char words[32];

	snprintf(words, sizeof words, "release %u", count);
	return mapping_signal(fd, words, error);
}

int mapping_mutex_release(int fd, struct mapping_error *error)
{
	return mapping_signal(fd, "release", error);
}

/* Never earlier than asked. */
static long long round_to_us(int64_t ns)
{
	return ns / 1000 + (ns % 1000 > 0);
}

static int set_timer(int fd, const char *due, int64_t period_ns, struct mapping_error *error)
{
	char words[96];

	if (period_ns < 0)
		return mapping_fail(error, EINVAL,
				    "a negative period; give 0 for a timer that "
				    "fires once");
	if (period_ns)
		snprintf(words, sizeof words, "set %s %lldus", due, round_to_us(period_ns));
	else
		snprintf(words, sizeof words, "set %s", due);
	return mapping_signal(fd, words, error);
}

int mapping_timer_set(int fd, int64_t due_ns, int64_t period_ns, struct mapping_error *error)
{
	char due[32];

	if (due_ns < 0)
		return mapping_fail(error, EINVAL, "a negative time; give 0 for now");
	snprintf(due, sizeof due, "%lldus", round_to_us(due_ns));
	return set_timer(fd, due, period_ns, error);
}

int mapping_timer_set_at(int fd, const struct timespec *due, int64_t period_ns,
			 struct mapping_error *error)
{
	char text[48];

	if (due->tv_sec < 0 || due->tv_nsec < 0 || due->tv_nsec >= 1000000000L)
		return mapping_fail(error, EINVAL, "this is not a moment after 1970");
	snprintf(text, sizeof text, "@%lld.%09ld", (long long)due->tv_sec, due->tv_nsec);
	return set_timer(fd, text, period_ns, error);
}

int mapping_timer_cancel(int fd, struct mapping_error *error)
{
	return mapping_signal(fd, "cancel", error);
}

int mapping_job_add(int fd, pid_t pid, struct mapping_error *error)
{
	char words[32];

	if (pid < 0)
		return mapping_fail(error, EINVAL, "a negative process number");
	snprintf(words, sizeof words, "add %d", pid ? pid : getpid());
	return mapping_signal(fd, words, error);
}

int mapping_job_kill(int fd, int signal, struct mapping_error *error)
{
	char words[32];

	if (signal < 0 || signal > SIGRTMAX)
		return mapping_fail(error, EINVAL, "there is no such signal");
	snprintf(words, sizeof words, "kill %d", signal ? signal : SIGKILL);
	return mapping_signal(fd, words, error);
}
