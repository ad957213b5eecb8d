/* An LMDB environment in the mount: its lock file with robust mutexes and its data are shared
 * views. Writers are killed in the middle, and the worker of the mount too; nothing committed may
 * be missing. */
#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/sys/writers.h"

/* Each writer keeps its last WINDOW records, so that pages are freed and used again. */
enum { MAP_BYTES = 192 << 20, RECORD = 2000, WINDOW = 3000 };

struct store {
	MDB_env *env;
	MDB_dbi dbi;
};

static int open_store(const char *path, unsigned flags, struct store *store)
{
	MDB_txn *txn;
	int dead;

	CHECK(mdb_env_create(&store->env) == 0);
	CHECK(mdb_env_set_mapsize(store->env, MAP_BYTES) == 0);
	CHECK((errno = mdb_env_open(store->env, path, flags, 0644)) == 0);
	CHECK(mdb_reader_check(store->env, &dead) == 0);
	CHECK((errno = mdb_txn_begin(store->env, NULL, 0, &txn)) == 0);
	CHECK((errno = mdb_dbi_open(txn, NULL, 0, &store->dbi)) == 0);
	CHECK((errno = mdb_txn_commit(txn)) == 0);
	return 0;
}

static void name_key(unsigned which, uint64_t step, char *name, MDB_val *key)
{
	key->mv_size = (size_t)sprintf(name, "%u-%010lu", which, step);
	key->mv_data = name;
}

/* 1: there with the right content, 0: not there, -1: wrong */
static int find(MDB_txn *txn, MDB_dbi dbi, unsigned which, uint64_t step)
{
	char name[32], expected[RECORD];
	MDB_val key, value;
	size_t length;
	int rc;

	name_key(which, step, name, &key);
	rc = mdb_get(txn, dbi, &key, &value);
	if (rc == MDB_NOTFOUND)
		return 0;
	length = writers_record(which, step, expected, sizeof expected);
	return rc == 0 && value.mv_size == length && !memcmp(value.mv_data, expected, length) ? 1
											      : -1;
}

static int put(struct store *store, unsigned which, uint64_t step)
{
	char name[32], content[RECORD];
	MDB_val key, value = {.mv_data = content};
	MDB_txn *txn;

	CHECK((errno = mdb_txn_begin(store->env, NULL, 0, &txn)) == 0);
	if (step > 1)
		CHECK(find(txn, store->dbi, which, step - 1) == 1);
	name_key(which, step, name, &key);
	value.mv_size = writers_record(which, step, content, sizeof content);
	CHECK((errno = mdb_put(txn, store->dbi, &key, &value, MDB_NOOVERWRITE)) == 0);
	if (step > WINDOW) {
		name_key(which, step - WINDOW, name, &key);
		CHECK((errno = mdb_del(txn, store->dbi, &key, NULL)) == 0);
	}
	CHECK((errno = mdb_txn_commit(txn)) == 0);
	return 0;
}

/* The one before us may have been killed between its commit and its note of it. */
static int catch_up(struct store *store, struct writers *writers, unsigned which)
{
	MDB_txn *txn;
	int next;

	CHECK((errno = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn)) == 0);
	next = find(txn, store->dbi, which, writers->shared->done[which] + 1);
	CHECK(next >= 0);
	writers->shared->done[which] += (uint64_t)next;
	CHECK(find(txn, store->dbi, which, writers->shared->done[which] + 1) == 0);
	mdb_txn_abort(txn);
	return 0;
}

static int write_records(struct writers *writers, unsigned which)
{
	struct store store;

	CHECK(open_store(writers->path, writers->flags, &store) == 0);
	CHECK(catch_up(&store, writers, which) == 0);
	while (!writers->shared->stop) {
		CHECK(put(&store, which, writers->shared->done[which] + 1) == 0);
		writers->shared->done[which]++;
	}
	mdb_env_close(store.env);
	return 0;
}

/* How many records of one writer there are; all that must be, and no other. */
static uint64_t check_writer(MDB_txn *txn, MDB_dbi dbi, unsigned which, uint64_t done)
{
	uint64_t first = done > WINDOW ? done - WINDOW + 1 : 1;

	assert_true(done >= 20);
	for (uint64_t step = first; step <= done; step++)
		if (find(txn, dbi, which, step) != 1)
			fail_msg("writer %u: record %lu of %lu is lost", which, step, done);
	assert_int_equal(find(txn, dbi, which, first - 1), 0);
	assert_int_equal(find(txn, dbi, which, done + 1), 0);
	return done - first + 1;
}

static uint64_t check_records(struct writers *writers)
{
	struct store store;
	uint64_t total = 0;
	MDB_stat stat;
	MDB_txn *txn;

	assert_int_equal(open_store(writers->path, writers->flags, &store), 0);
	assert_int_equal(mdb_txn_begin(store.env, NULL, MDB_RDONLY, &txn), 0);
	for (unsigned i = 0; i < WRITERS; i++)
		total += check_writer(txn, store.dbi, i, writers->shared->done[i]);
	assert_int_equal(mdb_stat(txn, store.dbi, &stat), 0);
	assert_int_equal(stat.ms_entries, total);
	mdb_txn_abort(txn);
	mdb_env_close(store.env);
	return total;
}

static uint64_t steps_done(struct writers *writers)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < WRITERS; i++)
		sum += writers->shared->done[i];
	return sum;
}

static void run_environment(struct sys *sys, unsigned flags, bool kill_worker)
{
	struct writers writers = {.sys = sys, .flags = flags, .write = write_records};
	char entries[64], path[300], lock_file[320];
	unsigned restarts;

	sys_time_limit(sys, 120);
	sys_mount(sys, "size=1g");
	snprintf(path, sizeof path, "%s", sys_path(sys, "lmdb"));
	writers.path = path;
	snprintf(lock_file, sizeof lock_file, "%s/lock.mdb", path);
	writers.lock_file = lock_file;
	assert_int_equal(mkdir(path, 0755), 0);
	if (kill_worker)
		sys_start_killer(sys, 20, 200);
	writers_run(&writers, 5);
	restarts = kill_worker ? sys_stop_killer(sys) : 0;
	snprintf(entries, sizeof entries, "Entries: %lu", check_records(&writers));
	sys_say("%lu steps, %u writers and %u workers killed", steps_done(&writers), writers.kills,
		restarts);
	if (writers.wakes)
		sys_say("%u times the kernel had left a waiter of a dead owner asleep",
			writers.wakes);
	if (kill_worker && !sys->reference)
		assert_true(restarts > 5);
	assert_int_equal(sys_shell(sys, "mdb_stat -ef %s", path), 0);
	assert_non_null(strstr(sys->output, entries));
	assert_int_equal(
	    sys_shell(sys, "mkdir %s/copy && mdb_copy -c %s %s/copy", sys->dir, path, sys->dir), 0);
	assert_int_equal(sys_shell(sys, "mdb_stat %s/copy", sys->dir), 0);
	assert_non_null(strstr(sys->output, entries));
	writers_finish(&writers);
}

static void writers_are_killed(void **state)
{
	run_environment(*state, 0, false);
}

static void workers_are_killed_too(void **state)
{
	run_environment(*state, 0, true);
}

/* Here the stores into the database themselves go through the view. */
static void writable_map_workers_killed(void **state)
{
	run_environment(*state, MDB_WRITEMAP, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_BOTH_MODES(writers_are_killed),
	    SYS_TEST_BOTH_MODES(workers_are_killed_too),
	    SYS_TEST_BOTH_MODES(writable_map_workers_killed),
	};

	return sys_run_tests("lmdb", tests);
}
