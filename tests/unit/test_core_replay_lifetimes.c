/* kill -9 of the worker at every point of the end of handle-bound objects, and of what gives new
 * objects their lifetimes. */
#include "tests/unit/core_crash_steps.h"

#include <sys/mman.h>

/* --- handle-bound --- */

static void set_lifetime_of(struct fixture *f, uint64_t node, const char *lifetime)
{
	CHECK(core_setxattr(f->core, node, "user.mapping.lifetime", lifetime, strlen(lifetime), 0,
			    &root_caller) == 0);
}

static bool has_lifetime(struct fixture *f, uint64_t node, const char *lifetime)
{
	char value[16] = "";
	int length;

	begin_request(f);
	length = core_getxattr(f->core, node, "user.mapping.lifetime", value, sizeof value - 1);
	return length == (int)strlen(lifetime) && strcmp(value, lifetime) == 0;
}

static void opened(struct fixture *f, uint64_t node)
{
	struct core_opened out;

	begin_request(f);
	CHECK(core_open(f->core, node, O_RDWR, &out) == 0);
}

static void prepare_handle_bound(struct fixture *f)
{
	prepare_file(f);
	opened(f, NODE);
	begin_request(f);
	set_lifetime_of(f, NODE, "handle");
}

static void act_release(struct fixture *f)
{
	core_release(f->core, NODE, 0);
}

static void wait_committed(struct fixture *f, uint64_t bytes)
{
	for (int i = 0; i < 2000 && usage_of(f).committed != bytes; i++)
		serve(f, 2);
	CHECK(usage_of(f).committed == bytes);
}

static void check_ended(struct fixture *f)
{
	gone(f, "file");
	wait_committed(f, 0);
	forgotten(f, NODE, 1);
}

/* --- ... with a view that outlives the workers --- */

#define VIEWER f->world->nodes[4]

static void view_for_long(struct fixture *f, int ready)
{
	int fd = openat(f->tree_fd, "tree/file", O_RDWR);
	char *view = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (view == MAP_FAILED)
		_exit(1);
	view[0] = 'v';
	dup2(ready, 3);
	close_range(4, ~0U, 0);
	alarm(30); /* should the test fail */
	if (write(3, "", 1) != 1)
		_exit(1);
	close(3);
	for (;;)
		pause();
}

static void prepare_viewed(struct fixture *f)
{
	int ready[2];
	char byte;
	pid_t pid;

	prepare_handle_bound(f);
	CHECK(pipe2(ready, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0)
		view_for_long(f, ready[1]);
	close(ready[1]);
	CHECK(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	VIEWER = (uint64_t)pid;
}

static void end_view(struct fixture *f)
{
	kill((pid_t)VIEWER, SIGKILL);
}

/* The name is free although the pages are there. */
static void check_viewed(struct fixture *f)
{
	struct stat st;

	gone(f, "file");
	CHECK(usage_of(f).committed == PAGE);
	CHECK(count_orphans(f) == 1);
	TARGET = made(f, S_IFREG, "file");
	CHECK(TARGET != NODE);
	end_view(f);
	wait_committed(f, 0);
	CHECK(stands(f, "file", &st));
	unlinked(f, "file");
	forgotten(f, TARGET, 1);
	forgotten(f, NODE, 1);
}

static void prepare_view_alone(struct fixture *f)
{
	prepare_viewed(f);
	begin_request(f);
	act_release(f);
	gone(f, "file");
}

static void act_view_ends(struct fixture *f)
{
	end_view(f);
	serve(f, 20);
}

static void check_view_ended(struct fixture *f)
{
	end_view(f); /* killed before that, too */
	check_ended(f);
}

/* --- lifetimes are set --- */

static void prepare_open(struct fixture *f)
{
	prepare_file(f);
	opened(f, NODE);
}

static void act_set_handle(struct fixture *f)
{
	set_lifetime_of(f, NODE, "handle");
}

static void check_set_handle(struct fixture *f)
{
	begin_request(f);
	act_release(f);
	check_ended(f);
}

static void prepare_closed(struct fixture *f)
{
	prepare_open(f);
	begin_request(f);
	core_release(f->core, NODE, 0);
}

/* Nobody holds it: it waits for its next user, whoever died meanwhile. */
static void check_set_unused(struct fixture *f)
{
	struct stat st;

	serve(f, 10);
	CHECK(stands(f, "file", &st));
	CHECK(has_lifetime(f, NODE, "handle"));
	opened(f, NODE);
	begin_request(f);
	act_release(f);
	check_ended(f);
}

/* --- directories --- */

static void prepare_directory(struct fixture *f)
{
	TARGET = made(f, S_IFDIR, "dir");
}

static void act_set_directory(struct fixture *f)
{
	set_lifetime_of(f, TARGET, "handle");
}

static void check_set_directory(struct fixture *f)
{
	struct core_entry e;

	CHECK(has_lifetime(f, TARGET, "handle"));
	forgotten(f, TARGET, 1); /* it is kept with the directory */
	begin_request(f);
	CHECK(core_lookup(f->core, 1, "dir", &e) == 0);
	CHECK(has_lifetime(f, e.node, "handle"));
	removed_directory(f, "dir");
	forgotten(f, e.node, 1);
}

static void prepare_set_directory(struct fixture *f)
{
	prepare_directory(f);
	begin_request(f);
	act_set_directory(f);
}

static void act_clear_directory(struct fixture *f)
{
	core_request_from(f->core, 0, 0);
	CHECK(core_removexattr(f->core, TARGET, "user.mapping.lifetime") == 0);
}

static void check_clear_directory(struct fixture *f)
{
	struct core_entry e;

	CHECK(!has_lifetime(f, TARGET, "handle"));
	forgotten(f, TARGET, 1);
	begin_request(f);
	CHECK(core_lookup(f->core, 1, "dir", &e) == 0);
	CHECK(!has_lifetime(f, e.node, "handle"));
	removed_directory(f, "dir");
	forgotten(f, e.node, 1);
}

static void act_mkdir(struct fixture *f)
{
	struct core_entry e;

	CHECK(core_mkdir(f->core, TARGET, "sub", S_IFDIR | 0755, &root_caller, &e) == 0);
	RESULT = e.node;
}

static void check_mkdir(struct fixture *f)
{
	struct core_entry e;

	CHECK(has_lifetime(f, RESULT, "handle"));
	forgotten(f, RESULT, 1);
	begin_request(f);
	CHECK(core_lookup(f->core, TARGET, "sub", &e) == 0);
	CHECK(has_lifetime(f, e.node, "handle"));
	begin_request(f);
	CHECK(core_rmdir(f->core, TARGET, "sub") == 0);
	forgotten(f, e.node, 1);
	removed_directory(f, "dir");
	forgotten(f, TARGET, 1);
}

static void act_create(struct fixture *f)
{
	struct core_opened out;
	struct core_entry e;

	CHECK(core_create_file(f->core, TARGET, "new", S_IFREG | 0644, O_RDWR | O_CREAT | O_EXCL,
			       &root_caller, &e, &out) == 0);
	RESULT = e.node;
}

static void check_create(struct fixture *f)
{
	char value[64] = "";

	CHECK(has_lifetime(f, RESULT, "handle"));
	begin_request(f);
	CHECK(core_getxattr(f->core, RESULT, "user.mapping.creator", value, sizeof value) > 0);
	CHECK(strncmp(value, "0 ", 2) == 0);
	begin_request(f);
	core_release(f->core, RESULT, 0);
	gone(f, "dir/new");
	serve(f, 10);
	forgotten(f, RESULT, 1);
	removed_directory(f, "dir");
	forgotten(f, TARGET, 1);
}

static const struct crash_case cases[] = {
    BOTH_TREES("release of the handle-bound", prepare_handle_bound, act_release, check_ended),
    BY_HANDLE("release of the viewed", prepare_viewed, act_release, check_viewed),
    {.name = "a view's end",
     .passthrough = true,
     .unsent = true,
     CRASH_STEPS(prepare_view_alone, act_view_ends, check_view_ended)},
    BOTH_TREES("set handle", prepare_open, act_set_handle, check_set_handle),
    BOTH_TREES("set handle, unused", prepare_closed, act_set_handle, check_set_unused),
    BOTH_TREES("set on a directory", prepare_directory, act_set_directory, check_set_directory),
    BOTH_TREES("cleared on a directory", prepare_set_directory, act_clear_directory,
	       check_clear_directory),
    BOTH_TREES("mkdir inherits", prepare_set_directory, act_mkdir, check_mkdir),
    BOTH_TREES("create inherits", prepare_set_directory, act_create, check_create),
    TWICE("start after release of the handle-bound", IN_START, prepare_handle_bound, act_release,
	  check_ended),
    TWICE("start after release of the viewed", IN_START, prepare_viewed, act_release, check_viewed),
    TWICE("release of the handle-bound again", AGAIN, prepare_handle_bound, act_release,
	  check_ended),
};

int main(int argc, char **argv)
{
	return crash_main("lifetimes", cases, ARRAY_SIZE(cases), argc > 1 ? argv[1] : NULL);
}
