/* kill -9 of the worker at every point of what is done with handles and objects: opened and
 * released, forgotten, sized, configured, ended. Sent again, it is done exactly once. */
#include "tests/unit/core_crash_steps.h"

/* --- handles --- */

static void act_open(struct fixture *f)
{
	struct core_opened opened;

	CHECK(core_open(f->core, NODE, O_RDWR, &opened) == 0);
	CHECK(!f->config.data.attach || f->world->attached[opened.backing_id]);
}

static void check_open(struct fixture *f)
{
	CHECK(usage_of(f).handles == 1);
	CHECK(count_attached(f->world) == (f->config.data.attach != NULL));
	CHECK(usage_of(f).committed == PAGE);
	begin_request(f);
	core_release(f->core, NODE, 0);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
}

static void prepare_open(struct fixture *f)
{
	struct core_opened opened;

	prepare_file(f);
	begin_request(f);
	CHECK(core_open(f->core, NODE, O_RDWR, &opened) == 0);
}

static void act_release(struct fixture *f)
{
	core_release(f->core, NODE, 0);
}

static void check_release(struct fixture *f)
{
	CHECK(usage_of(f).handles == 0);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
}

static void prepare_open_unlinked(struct fixture *f)
{
	prepare_open(f);
	unlinked(f, "file");
	begin_request(f);
	core_forget(f->core, NODE, 1);
	CHECK(usage_of(f).objects_known == 1);
}

static void check_nothing(struct fixture *f)
{
	gone(f, "file");
}

static void prepare_open_temporary(struct fixture *f)
{
	prepare_open(f);
	begin_request(f);
	CHECK(core_setxattr(f->core, NODE, "user.mapping.lifetime", "temporary", 9, 0,
			    &root_caller) == 0);
}

static void check_temporary_ended(struct fixture *f)
{
	for (int i = 0; i < 1000 && faccessat(f->tree_fd, "tree/file", F_OK, 0) == 0; i++)
		serve(f, 2);
	gone(f, "file");
	CHECK(usage_of(f).committed == 0);
	forgotten(f, NODE, 1);
}

static void act_lifetime(struct fixture *f)
{
	CHECK(core_setxattr(f->core, NODE, "user.mapping.lifetime", "temporary", 9, 0,
			    &root_caller) == 0);
}

static void check_lifetime(struct fixture *f)
{
	begin_request(f);
	core_release(f->core, NODE, 0);
	check_temporary_ended(f);
}

/* --- forget --- */

static void prepare_unlinked(struct fixture *f)
{
	prepare_file(f);
	unlinked(f, "file");
}

static void act_forget(struct fixture *f)
{
	core_forget(f->core, NODE, 1);
	core_forget(f->core, TARGET, 1); /* FORGET of several inodes is one request */
}

static void prepare_two_unlinked(struct fixture *f)
{
	prepare_two(f);
	unlinked(f, "file");
	unlinked(f, "target");
}

static void prepare_linked_and_unlinked(struct fixture *f)
{
	prepare_linked(f);
	unlinked(f, "file");
	TARGET = made(f, S_IFREG, "target");
	unlinked(f, "target");
	begin_request(f);
	core_forget(f->core, NODE, 1); /* link had counted one, too */
}

static void check_other_link(struct fixture *f)
{
	struct core_entry e;

	CHECK(usage_of(f).committed == PAGE);
	begin_request(f);
	CHECK(core_lookup(f->core, 1, "second", &e) == 0);
	CHECK(usage_of(f).committed == PAGE);
	unlinked(f, "second");
	forgotten(f, e.node, 1);
}

/* --- size and configuration --- */

static void act_grow(struct fixture *f)
{
	struct stat wanted = {.st_size = (off_t)(4 * PAGE)}, st;
	double timeout;

	CHECK(core_setattr(f->core, NODE, CORE_SET_SIZE, &wanted, &st, &timeout, NULL, NULL) == 0);
	CHECK(st.st_size == (off_t)(4 * PAGE));
}

static void check_grow(struct fixture *f)
{
	CHECK(usage_of(f).committed == 4 * PAGE);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
}

/* Nobody has it open, and its id is still there. */
static void prepare_used(struct fixture *f)
{
	struct core_opened opened;

	NODE = made(f, S_IFREG, "file");
	sized(f, NODE, 4 * PAGE);
	begin_request(f);
	CHECK(core_open(f->core, NODE, O_RDWR, &opened) == 0);
	begin_request(f);
	core_release(f->core, NODE, 0);
}

/* Looks for views, and lets go of the id for that. */
static void act_shrink(struct fixture *f)
{
	struct stat wanted = {.st_size = (off_t)PAGE}, st;
	double timeout;

	CHECK(core_setattr(f->core, NODE, CORE_SET_SIZE, &wanted, &st, &timeout, NULL, NULL) == 0);
}

/* Whatever became of that: it can be opened. */
static void check_opens(struct fixture *f)
{
	begin_request(f);
	act_open(f);
	CHECK(count_attached(f->world) == (f->config.data.attach != NULL));
	begin_request(f);
	core_release(f->core, NODE, 0);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
	CHECK(count_attached(f->world) == 0);
}

static void prepare_fresh(struct fixture *f)
{
	NODE = made(f, S_IFREG, "file");
}

static void configure(struct fixture *f, const struct core_setup *setup)
{
	const char *why = "";

	if (core_configure(f->core, NODE, setup, &root_caller, &why) != 0)
		crash_complain(f, "configure: %s", why);
}

static void act_configure_memory(struct fixture *f)
{
	const struct core_setup setup = {
	    .lifetime = 1, .file_fd = -1, .set_size = true, .size = 4 * PAGE};

	configure(f, &setup);
}

static void check_configured_memory(struct fixture *f)
{
	struct core_entry e;
	char value[16] = "";

	CHECK(usage_of(f).committed == 4 * PAGE);
	CHECK(core_getxattr(f->core, NODE, "user.mapping.lifetime", value, sizeof value) == 9);
	CHECK(memcmp(value, "temporary", 9) == 0);
	forgotten(f, NODE, 1); /* it is kept with the object */
	begin_request(f);
	CHECK(core_lookup(f->core, 1, "file", &e) == 0);
	RESULT = e.node;
	CHECK(usage_of(f).committed == 4 * PAGE);
	CHECK(core_getxattr(f->core, RESULT, "user.mapping.lifetime", value, sizeof value) == 9);
	CHECK(memcmp(value, "temporary", 9) == 0);
	unlinked(f, "file");
	forgotten(f, RESULT, 1);
}

static void act_configure_file(struct fixture *f)
{
	AUTO_CLOSE int fd = openat(f->outside_fd, "outside", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	const struct core_setup setup = {
	    .lifetime = 0, .file_fd = fd, .set_size = true, .size = 4 * PAGE};

	CHECK(fd >= 0);
	configure(f, &setup);
}

static void check_configured_file(struct fixture *f)
{
	char value[256] = "";
	struct stat st;

	CHECK(usage_of(f).bound == 1 && usage_of(f).committed == 0);
	CHECK(fstatat(f->outside_fd, "outside", &st, 0) == 0 && st.st_size == (off_t)(4 * PAGE));
	CHECK(core_getxattr(f->core, NODE, "user.mapping.backing", value, sizeof value) > 0);
	CHECK(strncmp(value, "file:", 5) == 0);
	CHECK(core_write(f->core, NODE, "x", 1, 0) == 1);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
}

/* --- the end of a bound object --- */

static void prepare_open_bound(struct fixture *f)
{
	struct core_opened opened;

	prepare_fresh(f);
	act_configure_file(f);
	begin_request(f);
	CHECK(core_open(f->core, NODE, O_RDWR, &opened) == 0);
	f->world->faults[FAULT_FDATASYNC].calls = 0;
}

/* However often we died meanwhile: the file was made durable. */
static void check_flushed(struct fixture *f)
{
	for (int i = 0; i < 1000 && (calls_of(f, FAULT_FDATASYNC) == 0 || usage_of(f).flushes == 0);
	     i++)
		serve(f, 2);
	CHECK(calls_of(f, FAULT_FDATASYNC) > 0);
	CHECK(usage_of(f).flushes_failing == 0);
	unlinked(f, "file");
	serve(f, 5);
	forgotten(f, NODE, 1);
	serve(f, 5);
}

static void act_release_bound_temporary(struct fixture *f)
{
	core_release(f->core, NODE, 0);
	serve(f, 3); /* the flush comes to its end */
}

static void prepare_open_bound_temporary(struct fixture *f)
{
	prepare_open_bound(f);
	begin_request(f);
	act_lifetime(f);
}

static void check_flushed_temporary(struct fixture *f)
{
	for (int i = 0; i < 1000 && (calls_of(f, FAULT_FDATASYNC) == 0 || usage_of(f).flushes == 0);
	     i++)
		serve(f, 2);
	CHECK(calls_of(f, FAULT_FDATASYNC) > 0);
	CHECK(usage_of(f).flushes_failing == 0);
	gone(f, "file");
	forgotten(f, NODE, 1);
	serve(f, 5);
}

static const struct crash_case cases[] = {
    BOTH_TREES("open", prepare_file, act_open, check_open),
    BOTH_TREES("release", prepare_open, act_release, check_release),
    BOTH_TREES("release of the forgotten", prepare_open_unlinked, act_release, check_nothing),
    BOTH_TREES("release of a temporary", prepare_open_temporary, act_release,
	       check_temporary_ended),
    BY_HANDLE("forget", prepare_unlinked, act_forget, check_nothing),
    BOTH_TREES("forget of two", prepare_two_unlinked, act_forget, check_nothing),
    BOTH_TREES("forget of one link", prepare_linked_and_unlinked, act_forget, check_other_link),
    BOTH_TREES("set temporary", prepare_open, act_lifetime, check_lifetime),
    BY_HANDLE("grow", prepare_file, act_grow, check_grow),
    BOTH_TREES("shrink", prepare_used, act_shrink, check_opens),
    {.name = "shrink, not sent again",
     .passthrough = true,
     .unsent = true,
     .prepare = prepare_used,
     .act = act_shrink,
     .check = check_opens},
    BOTH_TREES("configure memory", prepare_fresh, act_configure_memory, check_configured_memory),
    BOTH_TREES("configure file", prepare_fresh, act_configure_file, check_configured_file),
    BOTH_TREES("release of a bound object", prepare_open_bound, act_release, check_flushed),
    BOTH_TREES("release of a bound temporary", prepare_open_bound_temporary,
	       act_release_bound_temporary, check_flushed_temporary),
    TWICE("start after open", IN_START, prepare_file, act_open, check_open),
    TWICE("start after configure", IN_START, prepare_fresh, act_configure_file,
	  check_configured_file),
    TWICE("start after release of a bound object", IN_START, prepare_open_bound, act_release,
	  check_flushed),
    TWICE("open again", AGAIN, prepare_file, act_open, check_open),
    TWICE("configure file again", AGAIN, prepare_fresh, act_configure_file, check_configured_file),
};

int main(int argc, char **argv)
{
	return crash_main("objects", cases, ARRAY_SIZE(cases), argc > 1 ? argv[1] : NULL);
}
