/* What is told of objects to who watches: each as one word line, in the order it was told. */
#include "core/internal.h"
#include "tests/unit/core_fixture.h"

#include <sys/resource.h>

#define ROOT CORE_ROOT_NODE
#define SIZE (4 * PAGE_BYTES)

static char told[8192];
static bool nobody_cares; /* of what is told */
static int directory;     /* what paths are relative to; -1: the root */

static const char *path_of(struct core *core, const struct core_event *event,
			   const struct core_event_name *name, char *room)
{
	return core_event_path(core, event, name, directory, room, PATH_MAX) < 0 ? "-" : room;
}

static bool tell(void *context, const struct core_event *event)
{
	static const char *const kinds[] = {"created", "linked",  "renamed", "opened",
					    "last",    "flushed", "failed",  "removed"};
	static const char *const reasons[] = {"unlink", "replaced", "temporary", "handle"};
	struct fixture *f = context;
	char name[PATH_MAX], from[PATH_MAX];
	size_t used = strlen(told);

	used += (size_t)snprintf(told + used, sizeof told - used, "%s %s", kinds[event->kind],
				 path_of(f->core, event, &event->at, name));
	if (event->kind == CORE_EVENT_RENAMED)
		used += (size_t)snprintf(told + used, sizeof told - used, "<%s",
					 path_of(f->core, event, &event->from, from));
	if (event->kind == CORE_EVENT_REMOVED)
		used += (size_t)snprintf(told + used, sizeof told - used, " %s %lu",
					 reasons[event->removal], (unsigned long)event->links);
	if (event->kind == CORE_EVENT_FAILED)
		used += (size_t)snprintf(told + used, sizeof told - used, " %d %u", -event->error,
					 event->failures);
	if (event->type != OBJECT_MAPPING || event->directory)
		used += (size_t)snprintf(told + used, sizeof told - used, " (%s)",
					 event->directory ? "directory"
							  : object_type_name(event->type));
	snprintf(told + used, sizeof told - used, "\n");
	if (event->time + 60000000000ULL < clock_ns(CLOCK_REALTIME))
		fail_msg("an old event");
	return !nobody_cares;
}

static void begin(struct fixture *f)
{
	told[0] = '\0';
	directory = -1;
	nobody_cares = false;
	f->config.listener.event = tell;
	fixture_restart(f);
	core_observe(f->core, true);
}

static void assert_told(const char *expected)
{
	assert_string_equal(told, expected);
	told[0] = '\0';
}

#define WAIT_TOLD(f, expected)                                                                     \
	do {                                                                                       \
		WAIT_FOR(f, strlen(told) >= strlen(expected), 3000);                               \
		assert_told(expected);                                                             \
	} while (0)

static void names_come_and_go(void **state)
{
	struct fixture *f = *state;
	uint64_t dir, node;
	struct core_entry entry;

	begin(f);
	dir = make_dir(f, ROOT, "d");
	node = make_file(f, dir, "a");
	assert_told("created d/a\n"); /* directories are no objects */
	begin_request(f);
	assert_int_equal(core_link(f->core, node, ROOT, "b", &entry), 0);
	assert_told("linked b\n");
	unlink_name(f, dir, "a");
	assert_told(f->config.rootless ? "removed d/a unlink 1\n" : "removed d/a unlink 1\n");
	if (f->config.rootless)
		return; /* by place an inode has one name that counts */
	unlink_name(f, ROOT, "b");
	assert_told("removed b unlink 0\n");
	forget_node(f, node, 2);
	assert_told("");
}

static void renames(void **state)
{
	struct fixture *f = *state;
	uint64_t dir, one;

	begin(f);
	dir = make_dir(f, ROOT, "d");
	one = make_file(f, ROOT, "a");
	make_file(f, dir, "b");
	assert_told("created a\ncreated d/b\n");
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "a", dir, "b", 0), 0);
	assert_told("removed d/b replaced 0\nrenamed d/b<a\n");
	make_file(f, ROOT, "a");
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "a", dir, "b", RENAME_EXCHANGE), 0);
	assert_told("created a\nrenamed d/b<a\nrenamed a<d/b\n");
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "d", ROOT, "e", 0), 0);
	assert_told("renamed e<d (directory)\n");
	open_node(f, one, O_RDONLY); /* it stands as "a" now */
	assert_told("opened a\n");
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "no", ROOT, "a", 0), -ENOENT);
	assert_told("");
}

static void a_tree_of_its_own(void **state)
{
	struct fixture *f = *state;
	uint64_t dir, node;

	begin(f);
	dir = make_dir(f, ROOT, "d");
	make_dir(f, ROOT, "dd");
	directory = core_watch_directory(f->core, dir);
	assert_true(directory >= 0);
	node = make_file(f, dir, "a");
	make_file(f, ROOT, "b");
	assert_told("created a\ncreated -\n");
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "d", ROOT, "moved", 0), 0);
	told[0] = '\0';
	open_node(f, node, O_RDONLY);
	assert_told("opened a\n");
	begin_request(f);
	assert_int_equal(core_rename(f->core, dir, "a", look_up(f, ROOT, "dd"), "a", 0), 0);
	assert_told("renamed -<a\n");
	close(directory);
	assert_int_equal(core_watch_directory(f->core, node), -ENOTDIR);
}

static void unborn_objects_are_told_when_named(void **state)
{
	struct fixture *f = *state;
	struct core_opened opened;
	struct core_entry entry;

	begin(f);
	begin_request(f);
	assert_int_equal(
	    core_tmpfile(f->core, ROOT, 0600, O_WRONLY | O_TMPFILE, &root_caller, &entry, &opened),
	    0);
	assert_told("");
	begin_request(f);
	assert_int_equal(core_link(f->core, entry.node, ROOT, "n", &entry), 0);
	release_node(f, entry.node);
	serve(f, 30);
	assert_told("created n\n"); /* the creator's descriptor was no use of it */
	begin_request(f);
	assert_int_equal(
	    core_tmpfile(f->core, ROOT, 0600, O_RDWR | O_TMPFILE, &root_caller, &entry, &opened),
	    0);
	assert_told("opened -\n");
	release_node(f, entry.node);
	WAIT_TOLD(f, "last -\n");
}

static void last_views(void **state)
{
	struct fixture *f = *state;
	uint64_t node;

	begin(f);
	node = create_open(f, ROOT, "a");
	assert_told("created a\nopened a\n");
	open_node(f, node, O_RDWR);
	release_node(f, node);
	serve(f, 30);
	assert_told("opened a\n");
	release_node(f, node);
	WAIT_TOLD(f, "last a\n");
	open_node(f, node, O_RDWR); /* again and again */
	unlink_name(f, ROOT, "a");
	release_node(f, node);
	WAIT_TOLD(f, "opened a\nremoved a unlink 0\nlast -\n");
	forget_node(f, node, 1);
	serve(f, 30);
	assert_told("");
	assert_nothing_left(f);
}

static void a_view_is_waited_for(void **state)
{
	struct fixture *f = *state;
	uint64_t node;
	pid_t viewer;

	begin(f);
	node = create_open(f, ROOT, "a");
	assert_int_equal(set_size(f, node, SIZE), 0);
	viewer = start_viewer(core_data_fd(f->core, node), SIZE);
	release_node(f, node);
	serve(f, 100);
	assert_told("created a\nopened a\n");
	end_process(viewer);
	WAIT_TOLD(f, "last a\n");
	assert_int_equal(usage_of(f).committed, SIZE); /* it stays: told, nothing done */
	assert_attribute(f, node, "user.mapping.lifetime", "permanent");
}

/* The watcher came late. */
static void what_was_there_before(void **state)
{
	struct fixture *f = *state;
	uint64_t held, viewed, idle;
	pid_t viewer;

	f->config.listener.event = tell;
	fixture_restart(f);
	directory = -1;
	told[0] = '\0';
	held = create_open(f, ROOT, "held");
	viewed = create_open(f, ROOT, "viewed");
	idle = create_open(f, ROOT, "idle");
	assert_int_equal(set_size(f, viewed, SIZE), 0);
	viewer = start_viewer(core_data_fd(f->core, viewed), SIZE);
	release_node(f, viewed);
	release_node(f, idle);
	for (int i = 0; i < 200; i++) /* more than is looked at in one go */
		release_node(
		    f, create_open(f, ROOT,
				   (char[]){'f', (char)(i / 64 + 48), (char)(i % 64 + 48), '\0'}));
	core_observe(f->core, true);
	WAIT_FOR(f, !f->core->observing.timer.position, 3000);
	serve(f, 50);
	assert_told("");
	release_node(f, held);
	WAIT_TOLD(f, "last held\n");
	end_process(viewer);
	WAIT_TOLD(f, "last viewed\n");
	forget_node(f, idle, 1);
	assert_told("");
}

static void nobody_watches(void **state)
{
	struct fixture *f = *state;
	uint64_t node;

	begin(f);
	node = create_open(f, ROOT, "a");
	assert_int_equal(count_watches(f), 1);
	core_observe(f->core, false);
	assert_int_equal(count_watches(f), 0);
	told[0] = '\0';
	release_node(f, node);
	release_node(f, create_open(f, ROOT, "b"));
	unlink_name(f, ROOT, "b");
	serve(f, 30);
	assert_int_equal(count_watches(f), 0);
	WAIT_FOR(f, f->core->timers.count == 0, 2000); /* but for one look at its size */
	assert_told("");
	core_observe(f->core, true);
	core_observe(f->core, true);
	open_node(f, node, O_RDONLY);
	assert_told("opened a\n");
	/* The next worker is not watched until somebody says so. */
	fixture_restart(f);
	assert_int_equal(count_watches(f), 0);
	release_node(f, node);
	serve(f, 30);
	assert_told("");
}

static void temporary_objects(void **state)
{
	struct fixture *f = *state;
	uint64_t node;
	pid_t viewer;

	begin(f);
	node = create_open(f, ROOT, "t");
	assert_int_equal(set_lifetime(f, node, "temporary"), 0);
	release_node(f, node);
	WAIT_TOLD(f, "created t\nopened t\nlast t\nremoved t temporary 0\n");
	node = create_open(f, ROOT, "h");
	assert_int_equal(set_size(f, node, SIZE), 0);
	assert_int_equal(set_lifetime(f, node, "handle"), 0);
	viewer = start_viewer(core_data_fd(f->core, node), SIZE);
	release_node(f, node);
	WAIT_TOLD(f, "created h\nopened h\nremoved h handle 0\n");
	end_process(viewer);
	WAIT_TOLD(f, "last -\n");
}

static void flushes(void **state)
{
	struct fixture *f = *state;
	AUTO_CLOSE int fd = outside_file(f, "file", SIZE);
	uint64_t node;

	begin(f);
	node = make_bound(f, "b", fd);
	open_node(f, node, O_RDWR);
	assert_int_equal(flush_node(f, node), 0);
	assert_told("created b\nopened b\nflushed b\n");
	fail_call(f, FAULT_FDATASYNC, -EIO, 2);
	release_node(f, node);
	WAIT_TOLD(f, "last b\nfailed b 5 1\n");
	assert_int_equal(flush_node(f, node), -EIO);
	assert_told("failed b 5 2\n");
	WAIT_TOLD(f, "flushed b\n"); /* tried again */
}

static void waitables_have_types(void **state)
{
	const struct core_setup setup = {.type = OBJECT_EVENT, .lifetime = -1, .file_fd = -1};
	struct fixture *f = *state;
	struct core_opened opened;
	const char *why = "";
	uint64_t node;

	begin(f);
	node = make_file(f, ROOT, "e");
	begin_request(f);
	assert_int_equal(core_configure(f->core, node, &setup, &root_caller, &why), 0);
	begin_request(f);
	assert_int_equal(core_open(f->core, node, O_RDWR, &opened), 0);
	begin_request(f);
	core_release(f->core, node, opened.handle);
	unlink_name(f, ROOT, "e");
	assert_told("created e\nopened e (event)\nremoved e unlink 0 (event)\n");
}

static void without_watches(void **state)
{
	struct fixture *f = *state;
	uint64_t node;

	begin(f);
	fail_call(f, FAULT_WATCH_ADD, -ENOSPC, -1);
	node = create_open(f, ROOT, "a");
	release_node(f, node);
	serve(f, 30);
	assert_told("created a\nopened a\n"); /* not seen, and not looked for all the time either */
	WAIT_FOR(f, f->core->timers.count == 0, 2000); /* but for one look at its size */
	forget_node(f, node, 1);
	assert_told("last a\n"); /* what the kernel forgets has no view */
}

/* A user's watcher costs the others' objects nothing but the question. */
static void what_nobody_cares_for(void **state)
{
	struct fixture *f = *state;
	uint64_t node;

	begin(f);
	nobody_cares = true;
	node = create_open(f, ROOT, "a");
	assert_int_equal(count_watches(f), 0);
	release_node(f, node);
	serve(f, 20);
	assert_told("created a\nopened a\n");
	/* Somebody else watches who does: what is held is looked at again. */
	open_node(f, node, O_RDONLY);
	nobody_cares = false;
	core_observe(f->core, true);
	WAIT_FOR(f, !f->core->observing.timer.position, 3000);
	release_node(f, node);
	WAIT_TOLD(f, "opened a\nlast a\n");
	assert_int_equal(count_watches(f), 0);
}

#define BOTH(test)                                                                                 \
	{#test, test, fixture_setup, fixture_teardown, NULL},                                      \
	    {#test " [cached]", test, fixture_setup_cached, fixture_teardown, NULL},               \
	{                                                                                          \
#test " [rootless]", test, fixture_setup_rootless, fixture_teardown, NULL          \
	}
#define PASSTHROUGH(test)                                                                          \
	{                                                                                          \
#test, test, fixture_setup, fixture_teardown, NULL                                 \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOTH(names_come_and_go),
	    BOTH(renames),
	    BOTH(a_tree_of_its_own),
	    BOTH(unborn_objects_are_told_when_named),
	    BOTH(last_views),
	    PASSTHROUGH(a_view_is_waited_for),
	    PASSTHROUGH(what_was_there_before),
	    PASSTHROUGH(nobody_watches),
	    PASSTHROUGH(what_nobody_cares_for),
	    PASSTHROUGH(temporary_objects),
	    BOTH(flushes),
	    BOTH(waitables_have_types),
	    PASSTHROUGH(without_watches),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
