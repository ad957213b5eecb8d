/* kill -9 of the worker at every point of what concerns several objects, of opening, interrupting,
 * configuring and forgetting an object to wait on. */
#include "tests/unit/core_wait_steps.h"

static void prepare_auto(struct fixture *f)
{
	waits_opened(f, waits_make_event(f, "file", false, false));
	waits_three(f);
}

static void act_release(struct fixture *f)
{
	CHECK(waits_said(f, "release 2\n") == 10);
}

/* --- several --- */

static void prepare_both(struct fixture *f)
{
	waits_opened(f, waits_make_semaphore(f, "file", 1, 10));
	TARGET = waits_make_semaphore(f, "target", 1, 10);
	OTHER = waits_open(f, TARGET, O_RDWR);
	CHECK(TARGET && OTHER);
}

static void act_take_both(struct fixture *f)
{
	struct core_waited waited = {.unique = CRASH_UNIQUE};
	int rc = waits_for_both(f, true, &waited);

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
	waits_given_back(f);
}

static void check_both_taken(struct fixture *f)
{
	waits_resend(f);
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
	CHECK(waits_for_both(f, true, &waited) == CORE_DEFERRED);
	WAITING = BOTH;
}

static void check_both_let_go(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_end_of(f, FIRST) == ACQUIRED);
	CHECK(!core_interrupt(f->core, FIRST));
	CHECK(waits_state_is(f, NODE, "1 of 10"));
	CHECK(waits_state_is(f, TARGET, "0 of 10"));
	both_given_back(f);
}

/* --- a change and a wait in one --- */

/* Releases NODE and waits for TARGET, as the request in hand. */
static int release_and_wait(struct fixture *f, uint64_t deadline, struct core_waited *waited)
{
	struct core_signal_wait both = {.words = "release 2",
					.length = 9,
					.node = TARGET,
					.handle = OTHER,
					.deadline = deadline};

	*waited = (struct core_waited){.unique = CRASH_UNIQUE};
	CHECK(core_handle_proof(f->core, HANDLE, &both.signal) == 0);
	if (core_signal_wait_is_due(f->core, &both.signal, CRASH_UNIQUE))
		waits_resend_first(f);
	return core_signal_wait(f->core, &both, &root_caller, waited);
}

/* The token of TARGET is there: it does not wait. */
static void act_release_and_take(struct fixture *f)
{
	struct core_waited waited;
	int rc = release_and_wait(f, UINT64_MAX, &waited);

	if (rc == CORE_DEFERRED) {
		waits_resend(f);
		CHECK(waits_ended(f, CRASH_UNIQUE, &waited) == 1 && waited.error == 0);
	} else {
		CHECK(rc == 0);
	}
	CHECK(waited.result == WAIT_ACQUIRED);
}

static void check_released_and_taken(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_state_is(f, NODE, "3 of 10"));
	CHECK(waits_state_is(f, TARGET, "0 of 10"));
	both_given_back(f);
}

static void prepare_none_there(struct fixture *f)
{
	prepare_both(f);
	CHECK(waits_try(f, TARGET, OTHER) == ACQUIRED);
}

static void act_release_and_wait(struct fixture *f)
{
	struct core_waited waited;

	CHECK(release_and_wait(f, UINT64_MAX, &waited) == CORE_DEFERRED);
}

static void check_released_and_waits(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_state_is(f, NODE, "3 of 10"));
	CHECK(waits_end_of(f, CRASH_UNIQUE) == BLOCKED);
	CHECK(waits_say(f, TARGET, OTHER, "release\n") == 8);
	CHECK(waits_end_of(f, CRASH_UNIQUE) == ACQUIRED);
	CHECK(waits_state_is(f, TARGET, "0 of 10"));
	both_given_back(f);
}

static void act_release_and_try(struct fixture *f)
{
	struct core_waited waited;
	int rc = release_and_wait(f, 0, &waited);

	if (rc == CORE_DEFERRED) {
		waits_resend(f);
		CHECK(waits_ended(f, CRASH_UNIQUE, &waited) == 1);
		rc = waited.error;
	}
	CHECK(rc == -ETIMEDOUT);
}

static void check_released_in_vain(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_state_is(f, NODE, "3 of 10")); /* the change stays */
	both_given_back(f);
}

/* What it releases is what others wait for. */
static void prepare_three_and_target(struct fixture *f)
{
	waits_opened(f, waits_make_semaphore(f, "file", 0, 10));
	TARGET = waits_make_semaphore(f, "target", 1, 10);
	OTHER = waits_open(f, TARGET, O_RDWR);
	CHECK(TARGET && OTHER);
	waits_three(f);
}

static void check_two_let_go_and_taken(struct fixture *f)
{
	waits_resend(f);
	CHECK(waits_state_is(f, NODE, "0 of 10"));
	CHECK(waits_state_is(f, TARGET, "0 of 10"));
	waits_all_ended(f, ACQUIRED, ACQUIRED, BLOCKED);
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
	waits_opened(f, waits_make_semaphore(f, "file", 1, 10));
	waits_close(f, NODE, HANDLE2);
	HANDLE2 = 0;
}

static void check_opened(struct fixture *f)
{
	waits_resend(f);
	CHECK(usage_of(f).handles == 2);
	CHECK(RESULT != HANDLE);
	CHECK(waits_try(f, NODE, RESULT) == ACQUIRED);
	HANDLE2 = RESULT;
	waits_given_back(f);
}

static void act_interrupt(struct fixture *f)
{
	core_interrupt(f->core, SECOND);
}

/* The kernel tells of it again with the request; both are here one and the same kill. */
static void check_interrupted(struct fixture *f)
{
	waits_resend(f);
	if (waits_end_of(f, SECOND) == BLOCKED)
		CHECK(core_interrupt(f->core, SECOND));
	CHECK(waits_say(f, NODE, HANDLE, "set\nset\n") == 8);
	waits_all_ended(f, SIGNALED, -EINTR, SIGNALED);
	waits_given_back(f);
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

	waits_resend(f);
	CHECK(waits_state_is(f, NODE, "3 of 7"));
	begin_request(f);
	CHECK(core_getxattr(f->core, NODE, "user.mapping.type", type, sizeof type) == 9);
	forgotten(f, NODE, 1); /* and it is written on the inode */
	NODE = look_up(f, CORE_ROOT_NODE, "file");
	CHECK(waits_state_is(f, NODE, "3 of 7"));
	waits_given_back(f);
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
	waits_resend(f);
	NODE = look_up(f, CORE_ROOT_NODE, "file");
	CHECK(waits_state_is(f, NODE, "5 of 10"));
	waits_given_back(f);
}

#define UNSENT(what, p, a, c)                                                                      \
	{                                                                                          \
		.name = what, .passthrough = true, .unsent = true, CRASH_STEPS(p, a, c)            \
	}

static const struct crash_case cases[] = {
    BY_HANDLE("take both", prepare_both, act_take_both, check_both_taken),
    BY_HANDLE("let go with both", prepare_both_wait, act_release, check_both_let_go),
    BY_HANDLE("open", prepare_one_handle, act_open, check_opened),
    UNSENT("interrupt", prepare_auto, act_interrupt, check_interrupted),
    BOTH_TREES("configure", prepare_plain, act_configure, check_configured),
    BY_HANDLE("forget", prepare_changed, act_forget, check_record),
    BY_HANDLE("release and take", prepare_both, act_release_and_take, check_released_and_taken),
    BY_HANDLE("release and wait", prepare_none_there, act_release_and_wait,
	      check_released_and_waits),
    BY_HANDLE("release and try", prepare_none_there, act_release_and_try, check_released_in_vain),
    BY_HANDLE("release to others and take", prepare_three_and_target, act_release_and_take,
	      check_two_let_go_and_taken),
    TWICE("release and take again", AGAIN, prepare_both, act_release_and_take,
	  check_released_and_taken),
};

int main(int argc, char **argv)
{
	return crash_main("waits for several", cases, ARRAY_SIZE(cases), argc > 1 ? argv[1] : NULL);
}
