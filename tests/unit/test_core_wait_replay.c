/* kill -9 of the worker at every point of a change, a wait, the end of an owner or of a timer: the
 * requests that wait, and the one in hand, are sent again, and each is answered once. */
#include "tests/unit/core_wait_steps.h"

/* --- events --- */

static void prepare_auto(struct fixture *f)
{
	waits_opened(f, waits_make_event(f, "file", false, false));
	waits_three(f);
}

static void prepare_manual(struct fixture *f)
{
	waits_opened(f, waits_make_event(f, "file", true, false));
	waits_three(f);
}

static void act_set(struct fixture *f)
{
	CHECK(waits_said(f, "set\n") == 4);
}

static void check_one_let_go(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_try(f, NODE, HANDLE) == -EAGAIN);
	waits_all_ended(f, SIGNALED, BLOCKED, BLOCKED);
	waits_given_back(f);
}

static void check_all_let_go(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_try(f, NODE, HANDLE) == SIGNALED);
	waits_all_ended(f, SIGNALED, SIGNALED, SIGNALED);
	waits_given_back(f);
}

static void act_pulse(struct fixture *f)
{
	CHECK(waits_said(f, "pulse\n") == 6);
}

static void check_pulsed(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_try(f, NODE, HANDLE) == -EAGAIN); /* nothing stays */
	waits_all_ended(f, SIGNALED, SIGNALED, SIGNALED);
	waits_given_back(f);
}

static void prepare_lonely(struct fixture *f)
{
	waits_opened(f, waits_make_event(f, "file", true, true));
}

static void check_lonely_pulse(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_try(f, NODE, HANDLE) == -EAGAIN);
	CHECK(waits_wait(f, NODE, HANDLE2, FIRST, false) == BLOCKED);
	CHECK(core_interrupt(f->core, FIRST));
	waits_given_back(f);
}

static void act_lines(struct fixture *f)
{
	CHECK(waits_said(f, "set\nset\nreset\nset\n") == 18);
}

/* Each line is carried out once: three times one is let go. */
static void check_lines(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_try(f, NODE, HANDLE) == -EAGAIN);
	waits_all_ended(f, SIGNALED, SIGNALED, SIGNALED);
	waits_given_back(f);
}

/* --- semaphores --- */

static void prepare_semaphore(struct fixture *f)
{
	waits_opened(f, waits_make_semaphore(f, "file", 0, 10));
	waits_three(f);
}

static void act_release(struct fixture *f)
{
	CHECK(waits_said(f, "release 2\n") == 10);
}

static void check_two_let_go(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_state_is(f, NODE, "0 of 10"));
	waits_all_ended(f, ACQUIRED, ACQUIRED, BLOCKED);
	waits_given_back(f);
}

static void prepare_tokens(struct fixture *f)
{
	waits_opened(f, waits_make_semaphore(f, "file", 1, 10));
}

static void act_release_lines(struct fixture *f)
{
	CHECK(waits_said(f, "release\n\nrelease 2\nrelease 4") == 28);
}

static void check_count(struct fixture *f, const char *expected)
{
	waits_resend(f);
	CHECK(waits_state_is(f, NODE, expected));
	waits_given_back(f);
}

static void check_release_lines(struct fixture *f)
{
	check_count(f, "8 of 10");
}

static void act_release_too_much(struct fixture *f)
{
	CHECK(waits_said(f, "release 2\nrelease 9\nrelease\n") == 10);
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
	waits_opened(f, waits_make_semaphore(f, "file", 0, 10));
}

static void check_waits(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_ended(f, CRASH_UNIQUE, NULL) == 0);
	CHECK(waits_say(f, NODE, HANDLE, "release 3\n") == 10);
	CHECK(waits_end_of(f, CRASH_UNIQUE) == ACQUIRED);
	CHECK(waits_state_is(f, NODE, "2 of 10"));
	waits_given_back(f);
}

/* --- mutexes --- */

static void prepare_owned(struct fixture *f)
{
	waits_opened(f, waits_make_type(f, "file", OBJECT_MUTEX));
	CHECK(waits_try(f, NODE, HANDLE) == ACQUIRED);
	CHECK(waits_try(f, NODE, HANDLE) == ACQUIRED);
	waits_three(f);
}

static void act_mutex_release(struct fixture *f)
{
	CHECK(waits_said(f, "release\nrelease\n") == 16);
}

static void check_mutex_passed_on(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_end_of(f, FIRST) == ACQUIRED);
	CHECK(waits_say(f, NODE, HANDLE, "release\n") == -EPERM);
	/* All three are the same handle's: what the first took, the others take again. */
	waits_all_ended(f, ACQUIRED, ACQUIRED, ACQUIRED);
	CHECK(waits_state_is(f, NODE, "owned 3"));
	waits_given_back(f);
}

static void act_close(struct fixture *f)
{
	core_release(f->core, NODE, HANDLE);
}

static void check_abandoned_once(struct fixture *f)
{
	HANDLE = 0;
	waits_resend(f);
	waits_all_ended(f, ABANDONED, ACQUIRED, ACQUIRED);
	CHECK(usage_of(f).handles == 1);
	waits_given_back(f);
}

static void prepare_owned_alone(struct fixture *f)
{
	waits_opened(f, waits_make_type(f, "file", OBJECT_MUTEX));
	CHECK(waits_try(f, NODE, HANDLE) == ACQUIRED);
}

static void check_abandoned_later(struct fixture *f)
{
	HANDLE = 0;
	waits_resend(f);
	CHECK(waits_state_is(f, NODE, "abandoned"));
	CHECK(waits_try(f, NODE, HANDLE2) == ABANDONED);
	CHECK(waits_try(f, NODE, HANDLE2) == ACQUIRED);
	waits_given_back(f);
}

/* --- timers --- */

static void prepare_timer(struct fixture *f)
{
	waits_opened(f, waits_make_type(f, "file", OBJECT_TIMER));
	waits_three(f);
}

static void act_timer(struct fixture *f)
{
	CHECK(waits_said(f, "set @1\n") == 7); /* past: it fires at once */
}

static void check_fired(struct fixture *f)
{
	waits_resend(f);
	for (int i = 0; i < 1000 && waits_end_of(f, FIRST) == BLOCKED; i++)
		serve(f, 2);
	CHECK(waits_try(f, NODE, HANDLE) == -EAGAIN);
	waits_all_ended(f, SIGNALED, BLOCKED, BLOCKED);
	waits_given_back(f);
}

static void prepare_set_timer(struct fixture *f)
{
	waits_opened(f, waits_make_type(f, "file", OBJECT_TIMER));
	CHECK(waits_say(f, NODE, HANDLE, "set 1ms\n") == 8);
	waits_three(f);
	usleep(2000);
}

/* It fires from the worker's loop: no request of anybody's. */
static void act_dispatch(struct fixture *f)
{
	core_dispatch(f->core);
}

static void prepare_timer_tries(struct fixture *f)
{
	waits_opened(f, waits_make_type(f, "file", OBJECT_TIMER));
	CHECK(waits_say(f, NODE, HANDLE, "set 100s\n") == 9);
}

static void act_cancel(struct fixture *f)
{
	CHECK(waits_said(f, "cancel\n") == 7);
}

static void check_cancelled(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_state_is(f, NODE, "unsignaled auto"));
	waits_given_back(f);
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
    TWICE("set again", AGAIN, prepare_auto, act_set, check_one_let_go),
    TWICE("start after release", IN_START, prepare_semaphore, act_release, check_two_let_go),
};

int main(int argc, char **argv)
{
	return crash_main("waits", cases, ARRAY_SIZE(cases), argc > 1 ? argv[1] : NULL);
}
