/* Objects to wait on from Python, Perl and Java, by each way that their libraries have to read and
 * to poll a file. The helpers know nothing of mappingfs. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/wire.h"
#include "tests/sys/wait_client.h"

static const char *const waits[WAIT_LANGUAGES] = {
    [WAIT_PYTHON] = "read readline iterate binary read_text os_read os_pread readinto seek_back "
		    "nonblock select poll epoll epoll_edge asyncio thread",
    [WAIT_PERL] = "readline slurp lines getc sysread seek_back select io_select io_poll backticks",
    [WAIT_JAVA] = "stream bytes new_stream read_string read_all_lines lines reader scanner channel "
		  "channel_at random_access thread",
};

/* One that sets and one that waits by turns: who waits in vain does not end. */
static const char *const sets[WAIT_LANGUAGES] = {
    [WAIT_PYTHON] = "set_write read set_append read set_print read set_binary read set_write_text "
		    "read set_os_write read junk",
    [WAIT_PERL] = "set_print sysread set_append sysread set_both sysread set_syswrite sysread junk",
    [WAIT_JAVA] = "set_stream stream set_append stream set_channel stream set_random_access stream "
		  "set_write_string stream junk",
};

static bool waits_twice(const char *way)
{
	return !strcmp(way, "seek_back") || !strcmp(way, "random_access");
}

static void set_when_blocked(struct wait_client *client, const char *path)
{
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	wait_client_blocks(client);
	assert_false(wait_client_has_said(client));
	assert_int_equal(words(fd, "set\n"), 4);
	WAIT_UNTIL(60, !ready(fd)); /* taken */
}

static void every_way_waits(struct sys *sys, enum wait_language language)
{
	AUTO_FREE char *ways = strdup(waits[language]);
	struct wait_client client;
	const char *path;
	char *rest = NULL;

	sys_time_limit(sys, 200);
	sys_mount(sys, "size=16m");
	path = make_event(sys, "event", 0);
	wait_client_start(&client, sys, language, path, ways);
	for (char *way = strtok_r(ways, " ", &rest); way; way = strtok_r(NULL, " ", &rest)) {
		set_when_blocked(&client, path);
		if (waits_twice(way))
			set_when_blocked(&client, path);
		wait_client_says(&client, "%s: signaled", way);
	}
	assert_int_equal(wait_client_end(&client), 0);
	assert_int_equal(try_wait(path), -EAGAIN);
}

static void every_way_waits_python(void **state)
{
	every_way_waits(*state, WAIT_PYTHON);
}

static void every_way_waits_perl(void **state)
{
	every_way_waits(*state, WAIT_PERL);
}

static void every_way_waits_java(void **state)
{
	every_way_waits(*state, WAIT_JAVA);
}

static void every_way_sets(void **state)
{
	struct sys *sys = *state;

	sys_time_limit(sys, 200);
	sys_mount(sys, "size=16m");
	for (enum wait_language language = 0; language < WAIT_LANGUAGES; language++) {
		const char *path = make_event(sys, "event", 0);
		struct wait_client client;
		char line[128], last[128] = "";

		wait_client_start(&client, sys, language, path, sets[language]);
		while (fgets(line, sizeof line, client.from))
			snprintf(last, sizeof last, "%s", line);
		assert_int_equal(wait_client_end(&client), 0);
		assert_string_equal(last, "junk: Invalid argument\n");
		assert_int_equal(try_wait(path), -EAGAIN);
		assert_int_equal(unlink(path), 0);
	}
}

/* --- all at once --- */

static void start_all(struct wait_client *clients, struct sys *sys, const char *path,
		      const char *const *ways)
{
	sys_time_limit(sys, 200);
	for (enum wait_language language = 0; language < WAIT_LANGUAGES; language++)
		wait_client_start(&clients[language], sys, language, path, ways[language]);
}

static void all_block(struct wait_client *clients)
{
	for (size_t i = 0; i < WAIT_LANGUAGES; i++)
		wait_client_blocks(&clients[i]);
}

static unsigned count_said(struct wait_client *clients)
{
	unsigned count = 0;

	for (size_t i = 0; i < WAIT_LANGUAGES; i++)
		count += wait_client_has_said(&clients[i]);
	return count;
}

static const char *const reads[WAIT_LANGUAGES] = {"os_read", "sysread", "stream"};

static void all_said(struct wait_client *clients)
{
	for (size_t i = 0; i < WAIT_LANGUAGES; i++) {
		wait_client_says(&clients[i], "%s: signaled", reads[i]);
		assert_int_equal(wait_client_end(&clients[i]), 0);
	}
}

static void one_set_releases_one(void **state)
{
	struct sys *sys = *state;
	struct wait_client clients[WAIT_LANGUAGES];
	const char *path;

	sys_mount(sys, "size=16m");
	path = make_event(sys, "event", 0);
	start_all(clients, sys, path, reads);
	all_block(clients);
	for (unsigned released = 1; released <= WAIT_LANGUAGES; released++) {
		assert_int_equal(words_to(path, "set\n"), 4);
		WAIT_UNTIL(10, count_said(clients) >= released);
		assert_int_equal(count_said(clients), released);
		assert_int_equal(try_wait(path), -EAGAIN);
	}
	all_said(clients);
}

/* And the worker that they wait with dies twice in between. */
static void one_set_of_a_manual_event_releases_all(void **state)
{
	struct sys *sys = *state;
	struct wait_client clients[WAIT_LANGUAGES];
	const char *path;

	sys_mount(sys, "size=16m");
	path = make_event(sys, "event", WIRE_MANUAL);
	start_all(clients, sys, path, reads);
	all_block(clients);
	sys_kill_worker(sys);
	sys_kill_worker(sys);
	assert_int_equal(count_said(clients), 0);
	assert_int_equal(words_to(path, "set\n"), 4);
	all_said(clients);
}

static void a_semaphore_is_shared(void **state)
{
	enum { EACH = 6, TOTAL = EACH * WAIT_LANGUAGES };
	static const char *const ways[WAIT_LANGUAGES] = {
	    "os_read poll os_read os_read nonblock os_read",
	    "sysread io_poll sysread sysread io_select sysread",
	    "stream channel stream stream channel stream"};
	struct sys *sys = *state;
	struct wait_client clients[WAIT_LANGUAGES];
	const char *path;
	char line[128];

	sys_mount(sys, "size=16m");
	path = make_semaphore(sys, "tokens", 0, TOTAL);
	start_all(clients, sys, path, ways);
	all_block(clients);
	for (unsigned released = 0; released < TOTAL; released += 3)
		assert_int_equal(words_to(path, "release 3\n"), 10);
	for (size_t i = 0; i < WAIT_LANGUAGES; i++) {
		for (unsigned k = 0; k < EACH; k++) {
			assert_non_null(fgets(line, sizeof line, clients[i].from));
			assert_non_null(strstr(line, ": acquired\n"));
		}
		assert_int_equal(wait_client_end(&clients[i]), 0);
	}
	assert_int_equal(try_wait(path), -EAGAIN);
}

/* --- mutexes --- */

static void a_mutex_goes_from_hand_to_hand(void **state)
{
	struct sys *sys = *state;
	struct wait_client holder, next;
	const char *path;

	sys_time_limit(sys, 200);
	sys_mount(sys, "size=16m");
	path = make_mutex(sys, "mutex");
	for (enum wait_language language = 0; language < WAIT_LANGUAGES; language++) {
		wait_client_start(&holder, sys, language, path, "hold");
		wait_client_says(&holder, "hold: acquired");
		wait_client_start(&next, sys, (language + 1) % WAIT_LANGUAGES, path,
				  "locked locked");
		wait_client_blocks(&next);
		assert_false(wait_client_has_said(&next));
		wait_client_kill(&holder);
		wait_client_says(&next, "locked: abandoned");
		wait_client_says(&next, "locked: acquired"); /* once only */
		assert_int_equal(wait_client_end(&next), 0);
	}
}

/* Java closes a channel whose thread is interrupted, and the thread gets a signal. */
static void an_interrupted_thread_takes_nothing(void **state)
{
	struct sys *sys = *state;
	struct wait_client client;
	const char *path;

	sys_mount(sys, "size=16m");
	path = make_event(sys, "event", 0);
	wait_client_start(&client, sys, WAIT_JAVA, path, "interrupted");
	wait_client_blocks(&client);
	assert_int_equal(write(client.input, "\n", 1), 1);
	wait_client_says(&client, "interrupted: interrupted");
	assert_int_equal(wait_client_end(&client), 0);
	assert_int_equal(words_to(path, "set\n"), 4);
	assert_int_equal(try_wait(path), WAIT_SIGNALED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_BOTH_MODES(every_way_waits_python),
	    SYS_TEST_BOTH_MODES(every_way_waits_perl),
	    SYS_TEST_BOTH_MODES(every_way_waits_java),
	    SYS_TEST_BOTH_MODES(every_way_sets),
	    SYS_TEST_BOTH_MODES(one_set_releases_one),
	    SYS_TEST_BOTH_MODES(one_set_of_a_manual_event_releases_all),
	    SYS_TEST_BOTH_MODES(a_semaphore_is_shared),
	    SYS_TEST_BOTH_MODES(a_mutex_goes_from_hand_to_hand),
	    SYS_TEST_BOTH_MODES(an_interrupted_thread_takes_nothing),
	};

	return sys_run_tests("wait clients", tests);
}
