/* The C library's creation of an object, stopped or failing at each of its system calls: nobody
 * ever sees a name of something half-done, nothing is left, no descriptor either. */
#include "tests/sys/library.h"
#include "tests/sys/steps.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"

#define NAME "wanted"

enum { FAILED = 10, BROKEN = 11 }; /* how a child ends that was not killed, but for 0 */

struct creation {
	const char *label;
	struct mapping_attributes attributes;
	bool unnamed, unopened;
	/* how it is when it is there */
	const char *state;
	int64_t size;
	mode_t mode;
};

struct attempt {
	const struct mapping_mount *mount;
	const struct creation *creation;
};

static int create(void *context)
{
	const struct attempt *attempt = context;
	const struct creation *c = attempt->creation;
	struct mapping_error error = {0};
	int fd = -1, rc;

	rc = mapping_create(attempt->mount, c->unnamed ? NULL : NAME, &c->attributes, O_RDWR,
			    c->unopened ? NULL : &fd, &error);
	if (rc) {
		CHECK(rc < 0 && error.code == -rc && error.text[0]);
		return fd == -1 ? FAILED : BROKEN;
	}
	CHECK(c->unopened || fd >= 0);
	if (fd >= 0)
		close(fd);
	return 0;
}

static bool is_complete(struct sys *sys, const struct creation *c)
{
	const char *path = sys_path(sys, NAME);
	AUTO_FREE char *type = sys_xattr(path, "user.mapping.type");
	AUTO_FREE char *state = sys_xattr(path, "user.mapping.state");
	struct stat st;

	return lstat(path, &st) == 0 && (st.st_mode & 07777) == c->mode && st.st_size == c->size &&
	       st.st_gid == (c->attributes.set_gid ? c->attributes.gid : getgid()) && type &&
	       !strcmp(type, mapping_type_name(c->attributes.type)) &&
	       !strcmp(state ? state : "", c->state);
}

/* After a creation that was cut short, or not: nothing, or all of it. */
static void check_all_or_nothing(struct sys *sys, const struct creation *c,
				 const struct steps *steps)
{
	const char *names = library_names(sys);
	const bool is_there = !access(sys_path(sys, NAME), F_OK);
	const bool may_be_hidden = steps->no_tmpfile && !steps->error;

	if (strcmp(names, is_there ? NAME " " : "") != 0 && !may_be_hidden)
		fail_msg("%s, call %d: left: %s", c->label, steps->number, names);
	if (is_there && !is_complete(sys, c))
		fail_msg("%s, call %d: the name is there, and it is not complete", c->label,
			 steps->number);
	if (is_there && steps->status == FAILED)
		fail_msg("%s, call %d: failed, and the name is there", c->label, steps->number);
	if (!is_there && steps->status == 0 && !c->unnamed)
		fail_msg("%s, call %d: done, and no name is there", c->label, steps->number);
	if (is_there)
		assert_int_equal(unlink(sys_path(sys, NAME)), 0);
}

static void check_descriptors(const struct creation *c, const struct steps *steps)
{
	if (steps->status != 0 && steps->status != FAILED)
		fail_msg("%s, call %d: status %d", c->label, steps->number, steps->status);
	if (steps->left != 0)
		fail_msg("%s, call %d: %d descriptors left", c->label, steps->number, steps->left);
}

static int step_through(struct sys *sys, struct attempt *attempt, int error, bool no_tmpfile)
{
	struct steps steps = {.function = create,
			      .context = attempt,
			      .number = -1,
			      .error = error,
			      .no_tmpfile = no_tmpfile};
	int failures = 0, calls;

	steps_run(sys, &steps);
	assert_int_equal(steps.status, 0);
	check_descriptors(attempt->creation, &steps);
	check_all_or_nothing(sys, attempt->creation, &steps);
	calls = steps.calls;
	assert_true(calls > 8);
	for (steps.number = 0; steps.number < calls; steps.number++) {
		steps_run(sys, &steps);
		if (error)
			check_descriptors(attempt->creation, &steps);
		else
			assert_int_equal(steps.status, 128 + SIGKILL);
		check_all_or_nothing(sys, attempt->creation, &steps);
		failures += steps.status != 0;
	}
	return failures;
}

/* Hidden names of killed creators go by themselves, after a while. */
static void check_leaks(struct sys *sys, const struct leaks *before)
{
	WAIT_UNTIL(60, !library_names(sys)[0]);
	leaks_check(sys, before);
}

static void with_each_creation(struct sys *sys, int error, bool no_tmpfile)
{
	struct mapping_mount *mount = library_mount(sys, "size=64m");
	AUTO_CLOSE int file = make_plain_file(sys, "data", 5000, NULL);
	const struct creation creations[] = {
	    {"memory",
	     {.set_size = true,
	      .size = 8 << 20,
	      .set_mode = true,
	      .mode = 0640,
	      .set_gid = true,
	      .gid = 12},
	     .state = "",
	     .size = 8 << 20,
	     .mode = 0640},
	    {"bound",
	     {.bind = true, .file_fd = file, .set_mode = true, .mode = 0600},
	     .unopened = true,
	     .state = "",
	     .size = 5000,
	     .mode = 0600},
	    {"existing event",
	     {.type = MAPPING_EVENT, .signaled = true, .manual = true, .existing = true},
	     .state = "signaled manual",
	     .mode = 0644},
	    {"owned mutex",
	     {.type = MAPPING_MUTEX, .owned = true},
	     .state = "abandoned",
	     .mode = 0644},
	    {"unnamed", {.set_size = true, .size = 1 << 20}, .unnamed = true, .state = ""},
	};
	struct attempt attempt = {.mount = mount};
	mode_t mask = umask(022);
	struct leaks before;

	sys_time_limit(sys, 200);
	before = leaks_count(sys);
	for (size_t i = 0; i < ARRAY_SIZE(creations); i++) {
		attempt.creation = &creations[i];
		assert_true(step_through(sys, &attempt, error, no_tmpfile) > 5);
	}
	check_leaks(sys, &before);
	umask(mask);
	mapping_mount_close(mount);
}

static void killed_at_each_call(void **state)
{
	with_each_creation(*state, 0, false);
}

static void failing_at_each_call(void **state)
{
	with_each_creation(*state, EIO, false);
}

static void out_of_descriptors_at_each_call(void **state)
{
	with_each_creation(*state, EMFILE, false);
}

/* These by a hidden name, as before Linux 6.2. */
static void failing_at_each_call_without_tmpfile(void **state)
{
	with_each_creation(*state, EIO, true);
}

static void killed_at_each_call_without_tmpfile(void **state)
{
	with_each_creation(*state, 0, true);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(killed_at_each_call),
    SYS_TEST_BOTH_MODES(failing_at_each_call),
    SYS_TEST_BOTH_MODES(out_of_descriptors_at_each_call),
    SYS_TEST_BOTH_MODES(failing_at_each_call_without_tmpfile),
    SYS_TEST_BOTH_MODES(killed_at_each_call_without_tmpfile),
};

int main(void)
{
	return sys_run_tests("library: step by step", tests);
}
