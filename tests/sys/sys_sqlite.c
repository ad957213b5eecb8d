/* An SQLite database in WAL mode in the mount: its index of the log is a view shared by all
 * processes. Writers are killed in the middle, and the worker of the mount too; nothing committed
 * may be missing. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/sys/writers.h"

enum { RECORD = 2000 };

static int done_in(sqlite3 *db, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
		return 1;
	sys_say("sqlite: %s (%d)", sqlite3_errmsg(db), sqlite3_extended_errcode(db));
	return 0;
}

static int open_database(const char *path, sqlite3 **db)
{
	CHECK(sqlite3_open(path, db) == SQLITE_OK);
	CHECK(done_in(*db, sqlite3_busy_timeout(*db, 60000)));
	CHECK(done_in(*db, sqlite3_exec(*db,
					"PRAGMA synchronous = FULL;"
					"PRAGMA wal_autocheckpoint = 100",
					NULL, NULL, NULL)));
	return 0;
}

static int create_database(const char *path)
{
	sqlite3_stmt *pragma;
	sqlite3 *db;

	CHECK(open_database(path, &db) == 0);
	CHECK(done_in(db, sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &pragma, NULL)));
	CHECK(done_in(db, sqlite3_step(pragma)));
	CHECK(strcmp((const char *)sqlite3_column_text(pragma, 0), "wal") == 0);
	sqlite3_finalize(pragma);
	CHECK(done_in(db, sqlite3_exec(db,
				       "CREATE TABLE record(writer INT, step INT, content BLOB,"
				       " PRIMARY KEY(writer, step));"
				       "CREATE TABLE done(writer INT PRIMARY KEY, steps INT)",
				       NULL, NULL, NULL)));
	CHECK(sqlite3_close(db) == SQLITE_OK);
	return 0;
}

/* One number, -1 on an error */
static int64_t number(sqlite3 *db, const char *sql, unsigned which, uint64_t step)
{
	sqlite3_stmt *query;
	int64_t value = -1;

	if (!done_in(db, sqlite3_prepare_v2(db, sql, -1, &query, NULL)))
		return -1;
	sqlite3_bind_int(query, 1, (int)which);
	sqlite3_bind_int64(query, 2, (int64_t)step);
	if (done_in(db, sqlite3_step(query)))
		value = sqlite3_column_int64(query, 0);
	sqlite3_finalize(query);
	return value;
}

static int put(sqlite3 *db, unsigned which, uint64_t step)
{
	char content[RECORD], both[160];
	sqlite3_stmt *insert;
	size_t length = writers_record(which, step, content, sizeof content);

	CHECK(done_in(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL)));
	CHECK(done_in(
	    db, sqlite3_prepare_v2(db, "INSERT INTO record VALUES(?, ?, ?)", -1, &insert, NULL)));
	sqlite3_bind_int(insert, 1, (int)which);
	sqlite3_bind_int64(insert, 2, (int64_t)step);
	sqlite3_bind_blob(insert, 3, content, (int)length, SQLITE_STATIC);
	CHECK(done_in(db, sqlite3_step(insert)));
	sqlite3_finalize(insert);
	snprintf(both, sizeof both, "INSERT OR REPLACE INTO done VALUES(%u, %lu); COMMIT", which,
		 step);
	CHECK(done_in(db, sqlite3_exec(db, both, NULL, NULL, NULL)));
	return 0;
}

/* The one before us may have been killed between its commit and its note of it. */
static int catch_up(sqlite3 *db, struct writers *writers, unsigned which)
{
	int64_t steps =
	    number(db, "SELECT coalesce(max(step), 0) FROM record WHERE writer = ?", which, 0);

	CHECK(steps == (int64_t)writers->shared->done[which] ||
	      steps == (int64_t)writers->shared->done[which] + 1);
	writers->shared->done[which] = (uint64_t)steps;
	return 0;
}

static int write_records(struct writers *writers, unsigned which)
{
	sqlite3 *db;

	CHECK(open_database(writers->path, &db) == 0);
	CHECK(catch_up(db, writers, which) == 0);
	while (!writers->shared->stop) {
		CHECK(put(db, which, writers->shared->done[which] + 1) == 0);
		writers->shared->done[which]++;
	}
	CHECK(sqlite3_close(db) == SQLITE_OK);
	return 0;
}

static void check_content(sqlite3 *db, unsigned which, uint64_t step)
{
	char expected[RECORD];
	size_t length = writers_record(which, step, expected, sizeof expected);
	sqlite3_stmt *query;

	sqlite3_prepare_v2(db, "SELECT content FROM record WHERE writer = ? AND step = ?", -1,
			   &query, NULL);
	sqlite3_bind_int(query, 1, (int)which);
	sqlite3_bind_int64(query, 2, (int64_t)step);
	if (sqlite3_step(query) != SQLITE_ROW)
		fail_msg("writer %u: record %lu is lost", which, step);
	assert_int_equal(sqlite3_column_bytes(query, 0), length);
	assert_memory_equal(sqlite3_column_blob(query, 0), expected, length);
	sqlite3_finalize(query);
}

static uint64_t check_records(struct writers *writers)
{
	uint64_t total = 0;
	sqlite3 *db;

	assert_int_equal(open_database(writers->path, &db), 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		uint64_t done = writers->shared->done[i];

		assert_true(done >= 20);
		for (uint64_t step = 1; step <= done; step++)
			check_content(db, i, step);
		assert_int_equal(number(db, "SELECT steps FROM done WHERE writer = ?", i, 0), done);
		total += done;
	}
	assert_int_equal(number(db, "SELECT count(*) FROM record", 0, 0), total);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return total;
}

static void run_database(struct sys *sys, bool kill_worker)
{
	struct writers writers = {.sys = sys, .write = write_records};
	unsigned restarts;
	uint64_t total;
	char path[300];

	sys_time_limit(sys, 120);
	sys_mount(sys, "size=1g");
	snprintf(path, sizeof path, "%s", sys_path(sys, "base.db"));
	writers.path = path;
	assert_int_equal(create_database(path), 0);
	if (kill_worker)
		sys_start_killer(sys, 20, 200);
	writers_run(&writers, 5);
	restarts = kill_worker ? sys_stop_killer(sys) : 0;
	total = check_records(&writers);
	sys_say("%lu records, %u writers and %u workers killed", total, writers.kills, restarts);
	if (kill_worker && !sys->reference)
		assert_true(restarts > 5);
	assert_int_equal(sys_shell(sys, "sqlite3 %s 'PRAGMA integrity_check'", path), 0);
	assert_string_equal(sys->output, "ok\n");
	writers_finish(&writers);
}

static void writers_are_killed(void **state)
{
	run_database(*state, false);
}

static void workers_are_killed_too(void **state)
{
	run_database(*state, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_BOTH_MODES(writers_are_killed),
	    SYS_TEST_BOTH_MODES(workers_are_killed_too),
	};

	return sys_run_tests("sqlite", tests);
}
