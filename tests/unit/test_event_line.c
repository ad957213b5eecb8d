/* Events as lines of JSON: whole and true, whatever the names. */
#include "core/util.h"
#include "fs/event_line.h"
#include "fs/wire.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char line[WIRE_EVENT_MAX];
static const struct stat file = {.st_ino = 18446744073709551557ULL, .st_uid = 4294967294U};

static void assert_line(const struct core_event *event, const char *name, const char *from,
			const char *expected)
{
	size_t length = event_line(line, sizeof line, event, name, from);

	assert_int_equal(length, strlen(line));
	assert_string_equal(line, expected);
}

static void tells_each_kind(void **state)
{
	struct core_event event = {.st = &file, .time = 1700000000000000042ULL};

	(void)state;
#define HEAD(kind, name)                                                                           \
	"{\"event\":\"" kind "\",\"name\":" name                                                   \
	",\"inode\":18446744073709551557,\"type\":\"mapping\",\"uid\":4294967294,"                 \
	"\"time\":1700000000.000000042"
	event.kind = CORE_EVENT_CREATED;
	assert_line(&event, "a/b", NULL, HEAD("created", "\"a/b\"") "}");
	event.kind = CORE_EVENT_LINKED;
	assert_line(&event, "a", NULL, HEAD("linked", "\"a\"") "}");
	event.kind = CORE_EVENT_RENAMED;
	assert_line(&event, "a", "b", HEAD("renamed", "\"a\"") ",\"from\":\"b\"}");
	assert_line(&event, NULL, "b", HEAD("renamed", "null") ",\"from\":\"b\"}");
	event.kind = CORE_EVENT_LAST_VIEW;
	assert_line(&event, NULL, NULL, HEAD("last-view", "null") "}");
	event.kind = CORE_EVENT_OPENED;
	event.flags = O_RDWR | O_CREAT;
	assert_line(&event, "a", NULL, HEAD("opened", "\"a\"") ",\"access\":\"rw\"}");
	event.flags = O_WRONLY;
	assert_line(&event, "a", NULL, HEAD("opened", "\"a\"") ",\"access\":\"w\"}");
	event.kind = CORE_EVENT_FLUSHED;
	event.by_us = true;
	assert_line(&event, "a", NULL, HEAD("flushed", "\"a\"") ",\"by\":\"last-view\"}");
	event.kind = CORE_EVENT_FAILED;
	event.by_us = false;
	event.error = -EIO;
	event.failures = 4000000000U;
	assert_line(
	    &event, "a", NULL,
	    HEAD("failed", "\"a\"") ",\"error\":\"EIO\",\"failures\":4000000000,\"by\":\"fsync\"}");
	event.kind = CORE_EVENT_REMOVED;
	event.removal = CORE_REMOVED_HANDLE;
	event.links = 2;
	assert_line(&event, "a", NULL,
		    HEAD("removed", "\"a\"") ",\"reason\":\"handle\",\"links\":2}");
}

static void tells_types(void **state)
{
	struct core_event event = {.st = &file, .type = OBJECT_SEMAPHORE};

	(void)state;
	event_line(line, sizeof line, &event, "a", NULL);
	assert_non_null(strstr(line, "\"type\":\"semaphore\""));
	event.directory = true;
	event_line(line, sizeof line, &event, "a", NULL);
	assert_non_null(strstr(line, "\"type\":\"directory\""));
	event_line_lost(line, sizeof line, UINT64_MAX, 1000000001ULL);
	assert_string_equal(
	    line, "{\"event\":\"lost\",\"count\":18446744073709551615,\"time\":1.000000001}");
}

/* What a reader gets of a name: the text, and the bytes if the text is not all. */
static void assert_name(const char *name, const char *text, const char *hex)
{
	const struct stat plain = {.st_ino = 5};
	const struct core_event event = {.st = &plain};
	json_error_t error;
	json_t *json;

	event_line(line, sizeof line, &event, name, NULL);
	json = json_loads(line, 0, &error);
	if (!json)
		fail_msg("%s: %s", error.text, line);
	assert_string_equal(json_string_value(json_object_get(json, "name")), text);
	if (hex)
		assert_string_equal(json_string_value(json_object_get(json, "name_hex")), hex);
	else
		assert_null(json_object_get(json, "name_hex"));
	json_decref(json);
}

static void names_are_bytes(void **state)
{
	(void)state;
	assert_name("a \"b\" \\c\\ \n\t\x01\x7f", "a \"b\" \\c\\ \n\t\x01\x7f", NULL);
	assert_name("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
		    NULL);
	assert_name("x\xffy", "x\xef\xbf\xbdy", "78ff79");
	assert_name("\xc3", "\xef\xbf\xbd", "c3");                   /* cut short */
	assert_name("\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd", "c080"); /* longer than need be */
	assert_name("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "eda080"); /* half */
	assert_name("\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
		    "f4908080"); /* beyond */
}

/* Any bytes make a line that is JSON; what is UTF-8 comes back as it was. */
static void survives_random_names(void **state)
{
	(void)state;
	srandom(2);
	for (int round = 0; round < 50000; round++) {
		const struct stat plain = {.st_ino = 5};
		const struct core_event event = {.st = &plain, .kind = CORE_EVENT_RENAMED};
		char name[64];
		size_t length = (size_t)random() % (sizeof name - 1);
		json_t *json, *is;

		for (size_t i = 0; i < length; i++) {
			static const unsigned char odd[] = {0xc3, 0xe2, 0xf0, 0x80, 0xbf, 0xed};

			name[i] = random() % 2 ? (char)odd[(size_t)random() % sizeof odd]
					       : (char)(1 + random() % 255);
		}
		name[length] = '\0';
		event_line(line, sizeof line, &event, name, name);
		json = json_loads(line, 0, NULL);
		if (!json)
			fail_msg("no JSON: %s", line);
		is = json_string(name); /* NULL: no UTF-8, says somebody else */
		assert_int_equal(is == NULL, json_object_get(json, "name_hex") != NULL);
		if (is)
			assert_string_equal(json_string_value(json_object_get(json, "from")), name);
		json_decref(is);
		json_decref(json);
	}
}

static void the_longest_are_whole(void **state)
{
	static const char worst[] = {'\x01', '\xff', '"'};
	char name[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof worst; i++) {
		const struct core_event event = {.st = &file, .kind = CORE_EVENT_RENAMED};
		json_t *json;

		memset(name, worst[i], sizeof name - 1);
		name[sizeof name - 1] = '\0';
		assert_true(event_line(line, sizeof line, &event, name, name) < sizeof line - 1);
		json = json_loads(line, JSON_DECODE_INT_AS_REAL, NULL);
		assert_non_null(json);
		json_decref(json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tells_each_kind),       cmocka_unit_test(tells_types),
	    cmocka_unit_test(names_are_bytes),       cmocka_unit_test(survives_random_names),
	    cmocka_unit_test(the_longest_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
