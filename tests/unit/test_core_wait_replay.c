/* kill -9 of the worker at every point of a change, a wait, the end of an owner or of a timer: the
 * requests that wait, and the one in hand, are sent again, and each is answered once. */
#include "core/wait_internal.h"
#include "tests/unit/core_crash_steps.h"
#include "tests/unit/core_waits.h"

#define HANDLE  f->world->nodes[4]
#define HANDLE2 f->world->nodes[5]
#define OTHER   f->world->nodes[6] /* TARGET's handle */
#define WAITING f->world->nodes[7] /* how many stand since prepare(), or BOTH */

#define SIGNALED  GIVEN(WAIT_SIGNALED)
#define ACQUIRED  GIVEN(WAIT_ACQUIRED)
#define ABANDONED GIVEN(WAIT_WAS_ABANDONED)

enum { BOTH = 9 };
enum { FIRST = 100, SECOND = 102, THIRD = 104 }; /* waits that stand since prepare() */

static void opened(struct fixture *f, uint64_t node)
{
	CHECK(node != 0);
	NODE = node;
	HANDLE = waits_open(f, node, O_RDWR);
	HANDLE2 = waits_open(f, node, O_RDWR);
	CHECK(HANDLE != 0 && HANDLE2 != 0);
}

static void three_wait(struct fixture *f)
{
	for (uint64_t unique = FIRST; unique <= THIRD; unique += 2)
		CHECK(waits_wait(f, NODE, HANDLE2, unique, false) == BLOCKED);
	WAITING = 3;
}

/* NODE and TARGET. */
static int wait_for_both(struct fixture *f, bool all, struct core_waited *waited)
{
	struct core_handle_proof proofs[2];
	const struct core_wait_many many = {
	    .handles = proofs, .count = 2, .all = all, .deadline = UINT64_MAX};

	CHECK(core_handle_proof(f->core, HANDLE2, &proofs[0]) == 0);
	CHECK(core_handle_proof(f->core, OTHER, &proofs[1]) == 0);
	return core_wait_many(f->core, &many, waited);
}

static int send_again(struct fixture *f, uint64_t unique, struct core_waited *waited)
{
	*waited = (struct core_waited){.unique = unique | 1ULL << 63};
	core_request(f->core, unique, true);
	return WAITING == BOTH ? wait_for_both(f, true, waited)
			       : core_wait(f->core, NODE, HANDLE2, true, waited);
}

/* The kernel sends those again that have no answer, here the last one first; what a former worker
 * granted is answered at once. Answers go to the world as if they had been deferred. */
static void resend(struct fixture *f)
{
	uint64_t count = WAITING == BOTH ? 1 : WAITING;

	if (!f->core->waits->gathering)
		return;
	for (uint64_t unique = FIRST + 2 * count; unique > FIRST;) {
		struct core_waited waited;

		unique -= 2;
		if (waits_ended(f, unique, NULL))
			continue;
		int rc = send_again(f, unique, &waited);
		CHECK(rc == CORE_DEFERRED || rc == 0);
		if (rc == 0)
			f->world->waited[f->world->waited_count++] = waited;
	}
	core_resumed(f->core);
}

/* GIVEN(), -errno, or BLOCKED: it still waits. */
static int end_of(struct fixture *f, uint64_t unique)
{
	struct core_waited last;
	unsigned count = waits_ended(f, unique, &last);

	CHECK(count <= 1);
	return count == 0 ? BLOCKED : last.error ? last.error : GIVEN(last.result);
}

static void ended(struct fixture *f, int first, int second, int third)
{
	CHECK(end_of(f, FIRST) == first);
	CHECK(end_of(f, SECOND) == second);
	CHECK(end_of(f, THIRD) == third);
	for (uint64_t unique = FIRST; unique <= THIRD; unique += 2) {
		bool waits = end_of(f, unique) == BLOCKED;

		CHECK(core_interrupt(f->core, unique) == waits);
	}
}

static void given_back(struct fixture *f)
{
	if (HANDLE)
		waits_close(f, NODE, HANDLE);
	if (HANDLE2)
		waits_close(f, NODE, HANDLE2);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
}

/* A write that is sent again is carried out when all that waits has been taken again. */
static int say(struct fixture *f, const char *text)
{
	if (f->core->waits->gathering) {
		resend(f);
		core_request(f->core, CRASH_UNIQUE, true);
	}
	return core_signal(f->core, NODE, HANDLE, text, strlen(text), &root_caller);
}

/* --- events --- */

static void prepare_auto(struct fixture *f)
{
	opened(f, waits_make_event(f, "file", false, false));
	three_wait(f);
}

static void prepare_manual(struct fixture *f)
{
	opened(f, waits_make_event(f, "file", true, false));
	three_wait(f);
}

static void act_set(struct fixture *f)
{
	CHECK(say(f, "set\n") == 4);
}

static void check_one_let_go(struct fixture *f)
{
	resend(f);
	CHECK(waits_try(f, NODE, HANDLE) == -EAGAIN);
	ended(f, SIGNALED, BLOCKED, BLOCKED);
	given_back(f);
}

static void check_all_let_go(struct fixture *f)
{
	resend(f);
	CHECK(waits_try(f, NODE, HANDLE) == SIGNALED);
	ended(f, SIGNALED, SIGNALED, SIGNALED);
	given_back(f);
}

static void act_pulse(struct fixture *f)
{
	CHECK(say(f, "pulse\n") == 6);
}

static void check_pulsed(struct fixture *f)
{
	resend(f);
	CHECK(waits_try(f, NODE, HANDLE) == -EAGAIN); /* nothing stays */
	ended(f, SIGNALED, SIGNALED, SIGNALED);
	given_back(f);
}

static void prepare_lonely(struct fixture *f)
{
	opened(f, waits_make_event(f, "file", true, true));
}

static void check_lonely_pulse(struct fixture *f)
{
	resend(f);
	CHECK(waits_try(f, NODE, HANDLE) == -EAGAIN);
	CHECK(waits_wait(f, NODE, HANDLE2, FIRST, false) == BLOCKED);
	CHECK(core_interrupt(f->core, FIRST));
	given_back(f);
}

static void act_lines(struct fixture *f)
{
	CHECK(say(f, "set\nset\nreset\nset\n") == 18);
}

/* Each line is carried out once: three times one is let go. */
static void check_lines(struct fixture *f)
{
	resend(f);
	CHECK(waits_try(f, NODE, HANDLE) == -EAGAIN);
	ended(f, SIGNALED, SIGNALED, SIGNALED);
	given_back(f);
}

/* --- semaphores --- */

static void prepare_semaphore(struct fixture *f)
{
	opened(f, waits_make_semaphore(f, "file", 0, 10));
	three_wait(f);
}

static void act_release(struct fixture *f)
{
	CHECK(say(f, "release 2\n") == 10);
}

static void check_two_let_go(struct fixture *f)
{
	resend(f);
	CHECK(waits_state_is(f, NODE, "0 of 10"));
	ended(f, ACQUIRED, ACQUIRED, BLOCKED);
	given_back(f);
}

static void prepare_tokens(struct fixture *f)
{
	opened(f, waits_make_semaphore(f, "file", 1, 10));
}

static void act_release_lines(struct fixture *f)
{
	CHECK(say(f, "release\n\nrelease 2\nrelease 4") == 28);
}

static void check_count(struct fixture *f, const char *expected)
{
	resend(f);
	CHECK(waits_state_is(f, NODE, expected));
	given_back(f);
}

static void check_release_lines(struct fixture *f)
{
	check_count(f, "8 of 10");
}

static void act_release_too_much(struct fixture *f)
{
	CHECK(say(f, "release 2\nrelease 9\nrelease\n") == 10);
}

static void check_release_too_much(struct fixture *f)
{
	check_count(f, "3 of 10");
}

static void act_try(struct fixture *f)
{
	struct core_waited waited = {.unique = CRASH_UNIQUE};
	int rc = core_wait(f->core, NODE, HANDLE2, false, &waited);

	/* A new worker that does not have all waits yet answers later. */
	if (rc == CORE_DEFERRED) {
		core_resumed(f->core);
		CHECK(waits_ended(f, CRASH_UNIQUE, &waited) == 1 && waited.error == 0);
	} else {
		CHECK(rc == 0);
	}
	CHECK(waited.result == WAIT_ACQUIRED);
}

static void check_taken(struct fixture *f)
{
	check_count(f, "0 of 10");
}

static void act_wait(struct fixture *f)
{
	struct core_waited waited = {.unique = CRASH_UNIQUE};

	CHECK(core_wait(f->core, NODE, HANDLE2, true, &waited) == CORE_DEFERRED);
}

static void prepare_empty(struct fixture *f)
{
	opened(f, waits_make_semaphore(f, "file", 0, 10));
}

static void check_waits(struct fixture *f)
{
	resend(f);
	CHECK(waits_ended(f, CRASH_UNIQUE, NULL) == 0);
	CHECK(waits_say(f, NODE, HANDLE, "release 3\n") == 10);
	CHECK(end_of(f, CRASH_UNIQUE) == ACQUIRED);
	CHECK(waits_state_is(f, NODE, "2 of 10"));
	given_back(f);
}

/* --- mutexes --- */

static void prepare_owned(struct fixture *f)
{
	opened(f, waits_make_type(f, "file", OBJECT_MUTEX));
	CHECK(waits_try(f, NODE, HANDLE) == ACQUIRED);
	CHECK(waits_try(f, NODE, HANDLE) == ACQUIRED);
	three_wait(f);
}

static void act_mutex_release(struct fixture *f)
{
	CHECK(say(f, "release\nrelease\n") == 16);
}

static void check_mutex_passed_on(struct fixture *f)
{
	resend(f);
	CHECK(end_of(f, FIRST) == ACQUIRED);
	CHECK(waits_say(f, NODE, HANDLE, "release\n") == -EPERM);
	/* All three are the same handle's: what the first took, the others take again. */
	ended(f, ACQUIRED, ACQUIRED, ACQUIRED);
	CHECK(waits_state_is(f, NODE, "owned 3"));
	given_back(f);
}

static void act_close(struct fixture *f)
{
	core_release(f->core, NODE, HANDLE);
}

static void check_abandoned_once(struct fixture *f)
{
	HANDLE = 0;
	resend(f);
	ended(f, ABANDONED, ACQUIRED, ACQUIRED);
	CHECK(usage_of(f).handles == 1);
	given_back(f);
}

static void prepare_owned_alone(struct fixture *f)
{
	opened(f, waits_make_type(f, "file", OBJECT_MUTEX));
	CHECK(waits_try(f, NODE, HANDLE) == ACQUIRED);
}

static void check_abandoned_later(struct fixture *f)
{
	HANDLE = 0;
	resend(f);
	CHECK(waits_state_is(f, NODE, "abandoned"));
	CHECK(waits_try(f, NODE, HANDLE2) == ABANDONED);
	CHECK(waits_try(f, NODE, HANDLE2) == ACQUIRED);
	given_back(f);
}

/* --- timers --- */

static void prepare_timer(struct fixture *f)
{
	opened(f, waits_make_type(f, "file", OBJECT_TIMER));
	three_wait(f);
}

static void act_timer(struct fixture *f)
{
	CHECK(say(f, "set @1\n") == 7); /* past: it fires at once */
}

static void check_fired(struct fixture *f)
{
	resend(f);
	for (int i = 0; i < 1000 && end_of(f, FIRST) == BLOCKED; i++)
		serve(f, 2);
	CHECK(waits_try(f, NODE, HANDLE) == -EAGAIN);
	ended(f, SIGNALED, BLOCKED, BLOCKED);
	given_back(f);
}

static void prepare_set_timer(struct fixture *f)
{
	opened(f, waits_make_type(f, "file", OBJECT_TIMER));
	CHECK(waits_say(f, NODE, HANDLE, "set 1ms\n") == 8);
	three_wait(f);
	usleep(2000);
}

/* It fires from the worker's loop: no request of anybody's. */
static void act_dispatch(struct fixture *f)
{
	core_dispatch(f->core);
}

static void prepare_timer_tries(struct fixture *f)
{
	opened(f, waits_make_type(f, "file", OBJECT_TIMER));
	CHECK(waits_say(f, NODE, HANDLE, "set 100s\n") == 9);
}

static void act_cancel(struct fixture *f)
{
	CHECK(say(f, "cancel\n") == 7);
}

static void check_cancelled(struct fixture *f)
{
	resend(f);
	CHECK(waits_state_is(f, NODE, "unsignaled auto"));
	given_back(f);
}

/* --- several --- */

static void prepare_both(struct fixture *f)
{
	opened(f, waits_make_semaphore(f, "file", 1, 10));
	TARGET = waits_make_semaphore(f, "target", 1, 10);
	OTHER = waits_open(f, TARGET, O_RDWR);
	CHECK(TARGET && OTHER);
}

static void act_take_both(struct fixture *f)
{
	struct core_waited waited = {.unique = CRASH_UNIQUE};
	int rc = wait_for_both(f, true, &waited);

	if (rc == CORE_DEFERRED) {
		core_resumed(f->core);
		CHECK(waits_ended(f, CRASH_UNIQUE, &waited) == 1 && waited.error == 0);
	} else {
		CHECK(rc == 0);
	}
	CHECK(waited.result == WAIT_ACQUIRED && waited.index == 1);
}

static void both_given_back(struct fixture *f)
{
	waits_close(f, TARGET, OTHER);
	unlinked(f, "target");
	forgotten(f, TARGET, 1);
	given_back(f);
}

static void check_both_taken(struct fixture *f)
{
	resend(f);
	CHECK(waits_state_is(f, NODE, "0 of 10"));
	CHECK(waits_state_is(f, TARGET, "0 of 10"));
	both_given_back(f);
}

static void prepare_both_wait(struct fixture *f)
{
	struct core_waited waited = {.unique = FIRST};

	prepare_both(f);
	CHECK(waits_try(f, NODE, HANDLE) == ACQUIRED);
	core_request(f->core, FIRST, false);
	CHECK(wait_for_both(f, true, &waited) == CORE_DEFERRED);
	WAITING = BOTH;
}

static void check_both_let_go(struct fixture *f)
{
	resend(f);
	CHECK(end_of(f, FIRST) == ACQUIRED);
	CHECK(!core_interrupt(f->core, FIRST));
	CHECK(waits_state_is(f, NODE, "1 of 10"));
	CHECK(waits_state_is(f, TARGET, "0 of 10"));
	both_given_back(f);
}

/* --- handles, interrupts --- */

static void act_open(struct fixture *f)
{
	struct core_opened opened = {0};

	CHECK(core_open(f->core, NODE, O_RDWR, &opened) == 0 && opened.handle);
	RESULT = opened.handle;
}

static void prepare_one_handle(struct fixture *f)
{
	opened(f, waits_make_semaphore(f, "file", 1, 10));
	waits_close(f, NODE, HANDLE2);
	HANDLE2 = 0;
}

static void check_opened(struct fixture *f)
{
	resend(f);
	CHECK(usage_of(f).handles == 2);
	CHECK(RESULT != HANDLE);
	CHECK(waits_try(f, NODE, RESULT) == ACQUIRED);
	HANDLE2 = RESULT;
	given_back(f);
}

static void act_interrupt(struct fixture *f)
{
	core_interrupt(f->core, SECOND);
}

/* The kernel tells of it again with the request; both are here one and the same kill. */
static void check_interrupted(struct fixture *f)
{
	resend(f);
	if (end_of(f, SECOND) == BLOCKED)
		CHECK(core_interrupt(f->core, SECOND));
	CHECK(waits_say(f, NODE, HANDLE, "set\nset\n") == 8);
	ended(f, SIGNALED, -EINTR, SIGNALED);
	given_back(f);
}

/* --- creation --- */

static void prepare_plain(struct fixture *f)
{
	NODE = made(f, S_IFREG, "file");
}

static void act_configure(struct fixture *f)
{
	const struct core_setup setup = {
	    .type = OBJECT_SEMAPHORE, .lifetime = -1, .file_fd = -1, .initial = 3, .maximum = 7};
	const char *why;

	CHECK(core_configure(f->core, NODE, &setup, &root_caller, &why) == 0);
}

static void check_configured(struct fixture *f)
{
	char type[16] = "";

	resend(f);
	CHECK(waits_state_is(f, NODE, "3 of 7"));
	begin_request(f);
	CHECK(core_getxattr(f->core, NODE, "user.mapping.type", type, sizeof type) == 9);
	forgotten(f, NODE, 1); /* and it is written on the inode */
	NODE = look_up(f, CORE_ROOT_NODE, "file");
	CHECK(waits_state_is(f, NODE, "3 of 7"));
	given_back(f);
}

/* Forgotten by the kernel after a change: the record on the inode must be the newest. */
static void prepare_changed(struct fixture *f)
{
	uint64_t handle;

	NODE = waits_make_semaphore(f, "file", 1, 10);
	handle = waits_open(f, NODE, O_RDWR);
	CHECK(waits_say(f, NODE, handle, "release 4\n") == 10);
	waits_close(f, NODE, handle);
	begin_request(f);
}

static void act_forget(struct fixture *f)
{
	core_forget(f->core, NODE, 1);
}

static void check_record(struct fixture *f)
{
	resend(f);
	NODE = look_up(f, CORE_ROOT_NODE, "file");
	CHECK(waits_state_is(f, NODE, "5 of 10"));
	given_back(f);
}

#define UNSENT(what, p, a, c)                                                                      \
	{                                                                                          \
		.name = what, .passthrough = true, .unsent = true, CRASH_STEPS(p, a, c)            \
	}

static const struct crash_case cases[] = {
    BOTH_TREES("set, auto", prepare_auto, act_set, check_one_let_go),
    BY_HANDLE("set, manual", prepare_manual, act_set, check_all_let_go),
    BY_HANDLE("pulse", prepare_manual, act_pulse, check_pulsed),
    BY_HANDLE("pulse with no waiter", prepare_lonely, act_pulse, check_lonely_pulse),
    BY_HANDLE("several lines", prepare_auto, act_lines, check_lines),
    BOTH_TREES("release", prepare_semaphore, act_release, check_two_let_go),
    BY_HANDLE("release, several lines", prepare_tokens, act_release_lines, check_release_lines),
    BY_HANDLE("release, too much", prepare_tokens, act_release_too_much, check_release_too_much),
    BY_HANDLE("try", prepare_tokens, act_try, check_taken),
    BY_HANDLE("wait", prepare_empty, act_wait, check_waits),
    BY_HANDLE("mutex release", prepare_owned, act_mutex_release, check_mutex_passed_on),
    BOTH_TREES("owner closes", prepare_owned, act_close, check_abandoned_once),
    BY_HANDLE("owner closes alone", prepare_owned_alone, act_close, check_abandoned_later),
    BY_HANDLE("timer set", prepare_timer, act_timer, check_fired),
    UNSENT("timer fires", prepare_set_timer, act_dispatch, check_fired),
    BY_HANDLE("timer cancel", prepare_timer_tries, act_cancel, check_cancelled),
    BY_HANDLE("take both", prepare_both, act_take_both, check_both_taken),
    BY_HANDLE("let go with both", prepare_both_wait, act_release, check_both_let_go),
    BY_HANDLE("open", prepare_one_handle, act_open, check_opened),
    UNSENT("interrupt", prepare_auto, act_interrupt, check_interrupted),
    BOTH_TREES("configure", prepare_plain, act_configure, check_configured),
    BY_HANDLE("forget", prepare_changed, act_forget, check_record),
    TWICE("set again", AGAIN, prepare_auto, act_set, check_one_let_go),
    TWICE("start after release", IN_START, prepare_semaphore, act_release, check_two_let_go),
};

int main(int argc, char **argv)
{
	return crash_main("waits", cases, ARRAY_SIZE(cases), argc > 1 ? argv[1] : NULL);
}
