/* store=DIR when the machine loses power: under load from several clients, with workers killed, the
 * disk below is cut off at random moments (disk.h). Each time the store must mount, with all that
 * was reported flushed, and nothing that is half done.
 *
 *	MAPPINGFS_TEST_SEED=N	the random numbers; printed at the end
 *	MAPPINGFS_POWER_CUTS=N	so many cuts a test
 *	MAPPINGFS_POWER_SECONDS=N	so long a load */
#include "tests/sys/power_model.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void mount_store(struct sys *sys, const struct disk *disk)
{
	char options[200];

	snprintf(options, sizeof options, "store=%s/store", disk->fs);
	sys_mount(sys, options);
}

static unsigned load(struct sys *sys, struct power *power, unsigned seconds)
{
	struct power_run runs[POWER_CLIENTS];
	pid_t pids[POWER_CLIENTS];
	uint64_t until = sys_deadline(seconds);
	unsigned kills;

	for (unsigned i = 0; i < POWER_CLIENTS; i++) {
		runs[i] = (struct power_run){.power = power, .id = i};
		pids[i] = sys_fork(sys, power_client_run, &runs[i]);
	}
	sys_start_killer(sys, 100, 600);
	while (!sys_past(until))
		;
	power->stop = 1;
	for (unsigned i = 0; i < POWER_CLIENTS; i++)
		assert_int_equal(sys_wait(sys, pids[i]), 0);
	kills = sys_stop_killer(sys);
	return kills;
}

static int compare(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

	return (a > b) - (a < b);
}

/* The last one after everything: the cut of a machine that was idle. */
static void draw_cuts(uint64_t *cuts, size_t count, uint64_t end, uint64_t *state)
{
	for (size_t i = 0; i < count; i++)
		cuts[i] = disk_random(state) % (end + 1);
	cuts[count - 1] = end;
	qsort(cuts, count, sizeof *cuts, compare);
}

static void cut_and_look(struct sys *sys, struct power *power, struct disk *disk, size_t count)
{
	uint64_t *cuts = calloc(count, sizeof *cuts), end = disk_position(disk);
	struct power_seen seen = {0};

	draw_cuts(cuts, count, end, &disk->drawn);
	for (size_t i = 0; i < count; i++) {
		disk_cut(disk, cuts[i]);
		mount_store(sys, disk);
		power_check(power, cuts[i], &seen);
		sys_unmount(sys);
		disk_end_cut(disk);
	}
	sys_say("%zu cuts of %llu writes and flushes: %llu objects seen (%llu bound, %llu KiB), "
		"%llu of them had to be there, %llu had to be gone",
		count, (unsigned long long)end, (unsigned long long)seen.objects,
		(unsigned long long)seen.bound, (unsigned long long)seen.bytes >> 10,
		(unsigned long long)seen.flushed, (unsigned long long)seen.gone);
	assert_true(seen.flushed > count && seen.bound > 0 && seen.gone > 0);
	free(cuts);
}

static void run(struct sys *sys, size_t cuts, unsigned seconds)
{
	uint64_t seed = number_from("MAPPINGFS_TEST_SEED", clock_ns(CLOCK_REALTIME) >> 10);
	struct power *power;
	struct disk disk;
	char path[100];
	uint64_t operations = 0, flushes = 0, last_views = 0, objects = 0;
	unsigned kills;

	cuts = number_from("MAPPINGFS_POWER_CUTS", cuts);
	seconds = (unsigned)number_from("MAPPINGFS_POWER_SECONDS", seconds);
	sys_time_limit(sys, (unsigned)(120 + 3 * cuts + seconds));
	sys_say("seed %llu", (unsigned long long)seed);
	disk_start(sys, &disk);
	disk.drawn = seed;
	snprintf(path, sizeof path, "%s/ext", disk.fs);
	assert_int_equal(mkdir(path, 0700), 0);
	power =
	    mmap(NULL, sizeof *power, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(power != MAP_FAILED);
	power->mnt = sys->mnt;
	power->fs = disk.fs;
	power->disk = &disk;
	for (unsigned i = 0; i < POWER_CLIENTS; i++) {
		power->clients[i].id = i;
		power->clients[i].ready = POWER_NEVER;
		power->clients[i].drawn = seed + i + 1;
	}
	mount_store(sys, &disk);
	kills = load(sys, power, seconds);
	sys_unmount(sys);
	disk_stop(&disk);
	for (unsigned i = 0; i < POWER_CLIENTS; i++) {
		operations += power->clients[i].operations;
		flushes += power->clients[i].flushes;
		last_views += power->clients[i].last_view_flushes;
		objects += power->clients[i].count;
	}
	sys_say("%llu operations on %llu objects, %llu flushes (%llu with the last view), %llu "
		"of the disk, %u workers killed",
		(unsigned long long)operations, (unsigned long long)objects,
		(unsigned long long)flushes, (unsigned long long)last_views,
		(unsigned long long)disk_flushes(&disk), kills);
	cut_and_look(sys, power, &disk, cuts);
	disk_finish(&disk);
	munmap(power, sizeof *power);
}

/* The last thing before the power fails is a flush of an object that did not change: only a
 * directory above it did. */
static void a_flush_is_for_the_name(void **state)
{
	enum { ROUNDS = 6 };
	struct sys *sys = *state;
	uint64_t moments[ROUNDS];
	struct disk disk;

	sys_time_limit(sys, 180);
	disk_start(sys, &disk);
	mount_store(sys, &disk);
	assert_int_equal(sys_shell(sys, "mkdir %s/d0 && echo x >%s/d0/f && mapctl flush %s/d0/f",
				   sys->mnt, sys->mnt, sys->mnt),
			 0);
	for (int i = 0; i < ROUNDS; i++) {
		AUTO_CLOSE int fd = open(sys_path(sys, "d%d/f", i), O_RDONLY | O_CLOEXEC);

		assert_int_equal(rename(sys_path(sys, "d%d", i), sys_path(sys, "d%d", i + 1)), 0);
		assert_int_equal(fsync(fd), 0);
		moments[i] = disk_position(&disk);
	}
	sys_unmount(sys);
	disk_stop(&disk);
	for (int i = 0; i < ROUNDS; i++) {
		disk_cut(&disk, moments[i]);
		mount_store(sys, &disk);
		assert_int_equal(access(sys_path(sys, "d%d/f", i + 1), F_OK), 0);
		sys_unmount(sys);
		disk_end_cut(&disk);
	}
	disk_finish(&disk);
}

static void the_power_fails(void **state)
{
	run(*state, 40, 4);
}

static void the_power_fails_cached(void **state)
{
	run(*state, 20, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_BOTH_MODES(a_flush_is_for_the_name),
	    SYS_TEST_PASSTHROUGH(the_power_fails),
	    SYS_TEST_CACHED(the_power_fails_cached),
	};

	return sys_run_tests("store: power", tests);
}
