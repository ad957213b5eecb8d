/* Connections that watch: when core is asked to tell, what they are sent, what a slow one misses.
 *
 * wrap: core_configure core_inode_number core_owner core_jobs name_to_handle_at core_observe
 * wrap: core_event_path core_watch_directory core_top_begin core_top_look core_top_end
 */
#include "core/core.h"
#include "core/util.h"
#include "fs/control.h"
#include "tests/unit/control_fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

static struct {
	bool observed;
	unsigned switches;
	uint64_t watched_node;
	int watched_error;
	const char *path; /* NULL: none */
	unsigned lookups;
	int top_error;
	bool all;
	uid_t uid;
	unsigned tops;
} core;

void __wrap_core_observe(struct core *c, bool on);
int __wrap_core_event_path(struct core *c, const struct core_event *event,
			   const struct core_event_name *name, int directory, char *buffer,
			   size_t size);
int __wrap_core_watch_directory(struct core *c, uint64_t node);
int __wrap_core_top_begin(struct core *c, bool all, uid_t owner, struct core_top **out);
int __wrap_core_top_look(struct core_top *top, bool all, uid_t owner, struct core_top_result *out);
void __wrap_core_top_end(struct core_top *top);

void __wrap_core_observe(struct core *c, bool on)
{
	(void)c;
	core.observed = on;
	core.switches++;
}

int __wrap_core_event_path(struct core *c, const struct core_event *event,
			   const struct core_event_name *name, int directory, char *buffer,
			   size_t size)
{
	(void)c;
	(void)event;
	(void)name;
	(void)directory;
	core.lookups++;
	return core.path ? snprintf(buffer, size, "%s", core.path) : -ENOENT;
}

int __wrap_core_watch_directory(struct core *c, uint64_t node)
{
	(void)c;
	core.watched_node = node;
	return core.watched_error ? core.watched_error
				  : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int __wrap_core_top_begin(struct core *c, bool all, uid_t owner, struct core_top **out)
{
	(void)c;
	(void)all;
	(void)owner;
	*out = (void *)&core;
	core.tops++;
	return 0;
}

int __wrap_core_top_look(struct core_top *top, bool all, uid_t owner, struct core_top_result *out)
{
	static const struct core_top_object objects[] = {
	    {.name = (char *)"a/b", .inode = 4, .size = 5000, .resident = 8192, .dirty = -1},
	    {.inode = 5,
	     .type = OBJECT_TIMER,
	     .handles = 3,
	     .views = 2,
	     .flushes = 7,
	     .failures = 1,
	     .error = EIO},
	    {.name = (char *)"\xff", .inode = 6},
	};

	assert_ptr_equal(top, &core);
	core.all = all;
	core.uid = owner;
	*out = (struct core_top_result){
	    .objects = objects, .count = ARRAY_SIZE(objects), .omitted = 9, .unreadable = 1};
	return core.top_error;
}

void __wrap_core_top_end(struct core_top *top)
{
	if (top)
		core.tops--;
}

static int setup(void **state)
{
	memset(&core, 0, sizeof core);
	core.path = "a";
	return control_setup(state);
}

static int teardown(void **state)
{
	int rc = control_teardown(state);

	return rc || core.tops ? -1 : 0;
}

static const struct stat file = {.st_ino = 5};
static const struct core_event event = {.kind = CORE_EVENT_CREATED, .st = &file};

/* The next line that has been sent; "" if there is none. */
static const char *next_line(int client)
{
	static char line[WIRE_EVENT_MAX + 1];
	ssize_t got = recv(client, line, WIRE_EVENT_MAX, MSG_DONTWAIT);

	line[got > 0 ? got : 0] = '\0';
	return line;
}

static void is_observed_while_watched(void **state)
{
	int one = connect_client(), two = connect_client();

	(void)state;
	assert_int_equal(ask(one, WIRE_WATCH, 0, 0, NULL, 0), 0);
	assert_true(core.observed);
	assert_int_equal(ask(two, WIRE_WATCH, 0, 0, NULL, 0), 0);
	assert_int_equal(core.switches, 2); /* each one makes core look */
	close(one);
	run_a_while(5);
	assert_true(core.observed);
	close(two);
	run_a_while(5);
	assert_false(core.observed);
	assert_int_equal(core.switches, 3);
}

static void is_sent_events(void **state)
{
	int one = connect_client(), two = connect_client(), other = connect_client();

	(void)state;
	assert_int_equal(ask(one, WIRE_WATCH, 0, 0, NULL, 0), 0);
	assert_int_equal(ask(two, WIRE_WATCH, 0, 0, NULL, 0), 0);
	control_event(control_under_test(), &event);
	assert_int_equal(core.lookups, 1); /* the name is made once for all */
	assert_memory_equal(next_line(one), "{\"event\":\"created\",\"name\":\"a\"", 28);
	assert_memory_equal(next_line(two), "{\"event\":\"created\",\"name\":\"a\"", 28);
	assert_string_equal(next_line(two), "");
	assert_string_equal(next_line(other), "");
	core.path = NULL;
	control_event(control_under_test(), &event);
	assert_memory_equal(next_line(one), "{\"event\":\"created\",\"name\":null", 29);
	close(one);
	close(two);
	close(other);
}

static void a_directory_only(void **state)
{
	int client = connect_client(), object = open_object(O_PATH), plain = open_object(O_RDONLY);

	(void)state;
	core.watched_error = -ENOTDIR;
	assert_int_equal(ask(client, WIRE_WATCH, 0, 0, &object, 1), ENOTDIR);
	assert_false(core.observed);
	core.watched_error = 0;
	assert_int_equal(ask(client, WIRE_WATCH, 0, 0, &plain, 1), EBADF);
	assert_int_equal(ask(client, WIRE_WATCH, 0, 0, &object, 1), 0);
	assert_int_equal(core.watched_node, NODE_GENERATION << 32 | box.st.st_ino);
	core.path = NULL;
	assert_false(control_event(control_under_test(), &event));
	assert_string_equal(next_line(client), "");
	core.path = "in";
	assert_true(control_event(control_under_test(), &event));
	assert_memory_equal(next_line(client), "{\"event\":\"created\",\"name\":\"in\"", 29);
	close(object);
	close(plain);
	close(client);
}

static void counts_what_is_lost(void **state)
{
	int client = connect_client();
	long kept = 0, lost = 0;
	const char *line;

	(void)state;
	assert_int_equal(ask(client, WIRE_WATCH, 0, 0, NULL, 0), 0);
	for (int i = 0; i < 5000; i++)
		control_event(control_under_test(), &event);
	run_a_while(5); /* it does not spin: nothing can be sent */
	while (!lost) {
		line = next_line(client);
		if (!*line)
			run_until_readable(client);
		else if (sscanf(line, "{\"event\":\"lost\",\"count\":%ld,", &lost) != 1)
			kept++;
	}
	assert_true(kept >= 200);
	assert_int_equal(kept + lost, 5000);
	control_event(control_under_test(), &event);
	assert_memory_equal(next_line(client), "{\"event\":\"created\"", 18);
	close(client);
}

static void a_long_name(void **state)
{
	static char name[4090];
	int client = connect_client();
	json_t *json;

	(void)state;
	memset(name, '\x01', sizeof name - 1);
	core.path = name;
	assert_int_equal(ask(client, WIRE_WATCH, 0, 0, NULL, 0), 0);
	control_event(control_under_test(), &event);
	json = json_loads(next_line(client), 0, NULL);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "name")), name);
	json_decref(json);
	close(client);
}

static void ends_who_speaks(void **state)
{
	int client = connect_client(), gone = connect_client();

	(void)state;
	assert_int_equal(ask(client, WIRE_WATCH, 0, 0, NULL, 0), 0);
	assert_int_equal(ask(gone, WIRE_WATCH, 0, 0, NULL, 0), 0);
	close(gone);
	control_event(control_under_test(), &event); /* not noticed yet */
	next_line(client);
	post(client, WIRE_STATUS, 0, 0, NULL, 0);
	run_a_while(5);
	assert_int_equal(recv(client, (char[1]){0}, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_false(core.observed);
	close(client);
}

/* Left to the teardown: destroyed with watchers. */
static void is_destroyed(void **state)
{
	int client = connect_client(), object = open_object(O_PATH);

	(void)state;
	assert_int_equal(ask(client, WIRE_WATCH, 0, 0, &object, 1), 0);
	close(object);
	close(client);
}

static void tells_top(void **state)
{
	int client = connect_client();
	struct wire_reply reply;
	json_t *json, *objects, *one;

	(void)state;
	post(client, WIRE_TOP, 0, 0, NULL, 0);
	json = read_json(await(client, &reply));
	assert_int_equal(reply.type, WIRE_TOP);
	assert_int_equal(core.all, getuid() == 0);
	assert_int_equal(core.uid, getuid());
	objects = json_object_get(json, "objects");
	assert_int_equal(json_array_size(objects), 3);
	one = json_array_get(objects, 0);
	assert_string_equal(json_string_value(json_object_get(one, "name")), "a/b");
	assert_true(json_is_null(json_object_get(one, "dirty")));
	one = json_array_get(objects, 1);
	assert_true(json_is_null(json_object_get(one, "name")));
	assert_string_equal(json_string_value(json_object_get(one, "type")), "timer");
	assert_string_equal(json_string_value(json_object_get(one, "error")), "EIO");
	one = json_array_get(objects, 2);
	assert_string_equal(json_string_value(json_object_get(one, "name")), "?");
	assert_string_equal(json_string_value(json_object_get(one, "name_hex")), "ff");
	one = json_object_get(json, "totals");
	assert_int_equal(json_integer_value(json_object_get(one, "objects")), 3);
	assert_int_equal(json_integer_value(json_object_get(one, "resident")), 8192);
	assert_int_equal(json_integer_value(json_object_get(one, "dirty")), 0);
	assert_int_equal(json_integer_value(json_object_get(one, "views")), 2);
	assert_int_equal(json_integer_value(json_object_get(json, "omitted")), 9);
	assert_int_equal(json_integer_value(json_object_get(json, "unreadable")), 1);
	json_decref(json);
	core.top_error = -ENOMEM;
	assert_int_equal(ask(client, WIRE_TOP, 0, 0, NULL, 0), ENOMEM);
	/* Who leaves before the answer takes nothing along. */
	post(client, WIRE_TOP, 0, 0, NULL, 0);
	close(client);
	run_a_while(50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(is_observed_while_watched),
	    TEST(is_sent_events),
	    TEST(a_directory_only),
	    TEST(counts_what_is_lost),
	    TEST(a_long_name),
	    TEST(ends_who_speaks),
	    TEST(is_destroyed),
	    TEST(tells_top),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
