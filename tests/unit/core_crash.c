#include "tests/unit/core_crash.h"
#include "tests/unit/core_users.h"

#include "core/internal.h"
#include "tests/unit/core_faults.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#ifndef __FILE_NAME__
#define __FILE_NAME__ __FILE__
#endif

#define WATCHED_SLOTS    24
#define WATCHED_ACCOUNTS 8
#define WATCHED_HANDLES  8
#define MAX_POINTS       4000
#define STEP_LIMIT       400000 /* instructions between two system calls */

/* The change-th change of the state area after the call-th system call. 0, 0: before anything. */
struct point {
	int call, change;
};

struct tracee {
	pid_t pid;
	const char *area; /* the state area */
	bool ended;
	bool in_call; /* stopped at the entry of a system call */
};

void crash_complain(struct fixture *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->world->complaint, sizeof f->world->complaint, format, args);
	va_end(args);
	_exit(1);
}

uint64_t crash_lookups(struct fixture *f, uint64_t node)
{
	struct slot *slot = state_slot(&f->core->state, node);

	return slot ? slot->lookups : UINT64_MAX;
}

/* --- what of the state area is looked at --- */

struct look {
	char header[offsetof(struct state_header, records)];
	struct request_record record;
	char slots[WATCHED_SLOTS * sizeof(struct slot)];
	char places[WATCHED_SLOTS * sizeof(struct slot_place)];
	uint32_t accounts_high;
	char accounts[WATCHED_ACCOUNTS * sizeof(struct account)];
	uint32_t handles_high;
	char handles[WATCHED_HANDLES * sizeof(struct wait_handle)];
};

static size_t slots_at(void)
{
	return (size_t)page_round_up(sizeof(struct state_header));
}

static size_t places_at(void)
{
	return slots_at() + STATE_MAX_SLOTS * sizeof(struct slot);
}

static size_t handles_at(void)
{
	return places_at() + 2 * STATE_MAX_SLOTS * sizeof(struct slot_place);
}

static size_t accounts_at(void)
{
	return handles_at() + STATE_HANDLES * sizeof(struct wait_handle);
}

static size_t area_size(void)
{
	return accounts_at() + STATE_ACCOUNTS * sizeof(struct account);
}

static void take_look(const struct tracee *t, struct look *look)
{
	const struct state_header *h = (const void *)t->area;

	memcpy(look->header, h, sizeof look->header);
	look->record = h->records[(CRASH_UNIQUE >> 1) % STATE_RECORDS];
	memcpy(look->slots, t->area + slots_at(), sizeof look->slots);
	memcpy(look->places, t->area + places_at(), sizeof look->places);
	look->accounts_high = h->accounts_high;
	memcpy(look->accounts, t->area + accounts_at(), sizeof look->accounts);
	look->handles_high = h->handles_high;
	memcpy(look->handles, t->area + handles_at(), sizeof look->handles);
}

static bool changed(const struct tracee *t, struct look *look)
{
	struct look now;

	take_look(t, &now);
	if (memcmp(&now, look, sizeof now) == 0)
		return false;
	*look = now;
	return true;
}

/* --- the tracee --- */

static void go_on(struct tracee *t, enum __ptrace_request how)
{
	int status;

	if (ptrace(how, t->pid, NULL, NULL) < 0)
		abort();
	while (waitpid(t->pid, &status, __WALL) < 0 && errno == EINTR)
		;
	t->ended = WIFEXITED(status) || WIFSIGNALED(status);
	if (WIFEXITED(status) && WEXITSTATUS(status))
		abort(); /* prepare or act went wrong by itself */
}

static bool at_system_call(const struct tracee *t)
{
	struct user_regs_struct regs;
	long word;

	ptrace(PTRACE_GETREGS, t->pid, NULL, &regs);
	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, t->pid, (void *)regs.rip, NULL);
	return errno == 0 && (word & 0xffff) == 0x050f;
}

static void end_tracee(struct tracee *t)
{
	if (!t->ended) {
		kill(t->pid, SIGKILL);
		waitpid(t->pid, NULL, __WALL);
	}
	munmap((void *)t->area, area_size());
}

/* Steps through the whole call and notes the points. */
static int find_points(struct tracee *t, struct point *points)
{
	struct look look;
	int count = 0, call = 0, change = 0;

	take_look(t, &look);
	points[count++] = (struct point){0, 0};
	while (!t->ended) {
		bool system_call = at_system_call(t);

		go_on(t, PTRACE_SINGLESTEP);
		if (t->ended)
			break;
		if (system_call) {
			call++;
			change = 0;
			changed(t, &look);
			points[count++] = (struct point){call, 0};
		} else if (changed(t, &look)) {
			points[count++] = (struct point){call, ++change};
		}
		if (count >= MAX_POINTS - 1)
			abort();
	}
	return count;
}

static void run_to(struct tracee *t, struct point point)
{
	struct look look;
	int change = 0;

	for (int i = 0; i < 2 * point.call && !t->ended; i++)
		go_on(t, PTRACE_SYSCALL);
	take_look(t, &look);
	for (int i = 0; i < STEP_LIMIT && change < point.change && !t->ended; i++) {
		go_on(t, PTRACE_SINGLESTEP);
		if (!t->ended)
			change += changed(t, &look);
	}
}

/* --- workers --- */

static void new_worker(struct fixture *f)
{
	alarm(20);
	if (fixture_start(f) < 0)
		crash_complain(f, "core_create failed");
}

/* Stopped where the tracing is to begin. */
static struct tracee first_worker(const struct crash_case *c, struct fixture *f)
{
	struct tracee t = {.pid = fork()};

	if (t.pid < 0)
		abort(); /* -1 is everybody to kill(2) */
	if (t.pid == 0) {
		f->core = NULL;
		new_worker(f);
		c->prepare(f);
		core_request(f->core, CRASH_UNIQUE, false);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		c->act(f);
		_exit(0);
	}
	waitpid(t.pid, NULL, 0);
	return t;
}

/* Goes on after one that died, and is to die as well. */
static struct tracee second_worker(const struct crash_case *c, struct fixture *f)
{
	struct tracee t = {.pid = fork()};

	if (t.pid < 0)
		abort(); /* -1 is everybody to kill(2) */
	if (t.pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		if (c->second == IN_START)
			raise(SIGSTOP);
		new_worker(f);
		if (c->second == IN_START)
			_exit(0);
		core_request(f->core, CRASH_UNIQUE, true);
		raise(SIGSTOP);
		c->act(f);
		_exit(0);
	}
	waitpid(t.pid, NULL, 0);
	return t;
}

static void map_area(struct tracee *t, struct fixture *f)
{
	int status = 0;

	if (waitpid(t->pid, &status, WNOHANG) == t->pid)
		abort();
	t->area = mmap(NULL, area_size(), PROT_READ, MAP_SHARED, f->config.state_fd, 0);
	if (t->area == MAP_FAILED)
		abort();
}

static void check_counts(struct fixture *f)
{
	const char *wrong = users_miscounted(f);

	if (wrong)
		crash_complain(f, "%s", wrong);
}

static const char *last_worker(const struct crash_case *c, struct fixture *f)
{
	static char text[600];
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		new_worker(f);
		if (f->core->state.damaged)
			crash_complain(f, "what a kill leaves is taken for damage");
		if (!c->unsent) {
			core_request(f->core, CRASH_UNIQUE, true);
			c->act(f);
		}
		f->unique = CRASH_UNIQUE;
		check_counts(f);
		c->check(f);
		check_counts(f);
		if (fixture_leftovers(f))
			crash_complain(f, "%s", fixture_leftovers(f));
		_exit(0);
	}
	waitpid(pid, &status, 0);
	fixture_drain(f);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !f->held_count)
		return NULL;
	if (WIFSIGNALED(status))
		snprintf(text, sizeof text, "ended by signal %d", WTERMSIG(status));
	else
		snprintf(text, sizeof text, "%s",
			 WEXITSTATUS(status) ? f->world->complaint : "a file stays bound");
	return text;
}

/* --- the experiment --- */

static struct fixture *fresh(const struct crash_case *c)
{
	struct fixture *f = fixture_new(c->passthrough, c->rootless);

	f->config.lifetime = c->temporary;
	return f;
}

static struct tracee begin(const struct crash_case *c, struct fixture *f, struct point before)
{
	struct tracee t = first_worker(c, f);

	map_area(&t, f);
	if (c->second == ONCE)
		return t;
	run_to(&t, before);
	end_tracee(&t);
	fixture_drain(f);
	t = second_worker(c, f);
	map_area(&t, f);
	return t;
}

static int all_points(const struct crash_case *c, struct point before, struct point *points)
{
	struct fixture *f = fresh(c);
	struct tracee t = begin(c, f, before);
	int count = find_points(&t, points);

	end_tracee(&t);
	fixture_free(f);
	return count;
}

/* 1 if it came out wrong. */
static int try_point(const struct crash_case *c, struct point before, struct point point)
{
	struct fixture *f = fresh(c);
	struct tracee t = begin(c, f, before);
	const char *wrong;

	run_to(&t, point);
	end_tracee(&t);
	fixture_drain(f);
	wrong = last_worker(c, f);
	if (wrong)
		print_error("%s: killed at system call %d, change %d: %s\n", c->name, point.call,
			    point.change, wrong);
	fixture_free(f);
	return wrong != NULL;
}

/* Every how many points one is tried; CRASH_STRIDE=1 for all. Under AddressSanitizer a step takes
 * many times as long. */
#ifdef __SANITIZE_ADDRESS__
static const int default_stride = 12;
#else
static const int default_stride = 1;
#endif

static int stride(void)
{
	const char *wanted = getenv("CRASH_STRIDE");

	return wanted && atoi(wanted) > 0 ? atoi(wanted) : default_stride;
}

static int try_all(const struct crash_case *c, struct point before, int *tried)
{
	static struct point points[MAX_POINTS];
	int wrong = 0, count = all_points(c, before, points);

	for (int i = (int)strlen(c->name) % MIN(stride(), count); i < count; i += stride()) {
		wrong += try_point(c, before, points[i]);
		++*tried;
	}
	return wrong;
}

static int try_twice(const struct crash_case *c, int *tried)
{
	static struct point firsts[MAX_POINTS];
	struct crash_case first = *c;
	int wrong = 0, count;

	first.second = ONCE;
	count = all_points(&first, (struct point){0, 0}, firsts);
	for (int i = count / 4; i < count; i += count / 4 + stride() - 1)
		wrong += try_all(c, firsts[i], tried);
	return wrong;
}

/* On one CPU a step costs no wake-up of another. */
static void pin(cpu_set_t *before)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	sched_getaffinity(0, sizeof *before, before);
	sched_setaffinity(0, sizeof one, &one);
}

static bool can_trace(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0);
	waitpid(pid, &status, 0);
	return status == 0;
}

void crash_run(const struct crash_case *c)
{
	size_t before = open_fds();
	int wrong, tried = 0;
	cpu_set_t cpus;

	alarm(100);
	/* Stepping through a whole start takes minutes with AddressSanitizer's checks in it. */
	if (!can_trace() || (c->second != ONCE && default_stride > 1 && !getenv("CRASH_STRIDE")))
		skip();
	pin(&cpus);
	wrong = c->second != ONCE ? try_twice(c, &tried) : try_all(c, (struct point){0, 0}, &tried);
	alarm(0);
	sched_setaffinity(0, sizeof cpus, &cpus);
	print_message("%s: %d kills\n", c->name, tried);
	assert_true(tried > 0);
	assert_int_equal(wrong, 0);
	assert_int_equal(open_fds(), before);
}
