/* Many names: making and removing them, and finding one that the kernel does not know. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/util.h"
#include "tests/bench/bench.h"
#include "tests/bench/mount.h"

#define MANY          100000
#define NAME_BYTES    48
#define BATCH         1000
#define BATCHES       10
#define STRIDE        2654435761ULL /* a prime that divides no count used here */
#define NAMES_IN_ROOT "names"

/* --- created and removed --- */

static int create_many(int dir_fd, uint64_t count)
{
	char name[NAME_BYTES];

	for (uint64_t i = 0; i < count; i++) {
		snprintf(name, sizeof name, "n%07llu", (unsigned long long)i);
		int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
		close(fd);
	}
	return 0;
}

static int remove_many(int dir_fd, uint64_t count)
{
	char name[NAME_BYTES];

	for (uint64_t i = 0; i < count; i++) {
		snprintf(name, sizeof name, "n%07llu", (unsigned long long)i);
		if (unlinkat(dir_fd, name, 0) < 0)
			return -errno;
	}
	return 0;
}

int bench_many(const struct bench_options *options, struct bench_result *result)
{
	uint64_t count = options->count ? options->count : MANY, start, created, removed;
	char path[BENCH_PATH_MAX];
	int rc = bench_path(path, options->dir, "many");

	if (rc < 0)
		return rc;
	if (mkdir(path, 0700) < 0)
		return -errno;
	AUTO_CLOSE int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	start = clock_ns(CLOCK_MONOTONIC);
	rc = create_many(dir_fd, count);
	created = clock_ns(CLOCK_MONOTONIC);
	if (rc == 0)
		rc = remove_many(dir_fd, count);
	removed = clock_ns(CLOCK_MONOTONIC);
	if (rc < 0)
		return rc;
	if (rmdir(path) < 0)
		return -errno;
	bench_add(result, "create_many", (double)(created - start) / (double)count);
	bench_add(result, "remove_many", (double)(removed - created) / (double)count);
	return 0;
}

/* --- one mount with very many --- */

static void directory_of(char name[NAME_BYTES], const struct bench_options *options, uint64_t i)
{
	snprintf(name, NAME_BYTES, "d%05llu", (unsigned long long)(i % options->directories));
}

static void name_of(char name[NAME_BYTES], const struct bench_options *options, uint64_t i)
{
	snprintf(name, NAME_BYTES, "d%05llu/n%07llu",
		 (unsigned long long)(i % options->directories), (unsigned long long)i);
}

static int open_names(const char *dir)
{
	char path[BENCH_PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/" NAMES_IN_ROOT, dir);

	if (n < 0 || (size_t)n >= sizeof path)
		return -ENAMETOOLONG;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return neg_errno(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int make_directories(int names_fd, const struct bench_options *options)
{
	char name[NAME_BYTES];

	for (uint64_t i = 0; i < options->directories; i++) {
		directory_of(name, options, i);
		if (mkdirat(names_fd, name, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int bench_populate(const struct bench_options *options, struct bench_result *result)
{
	AUTO_CLOSE int names_fd = open_names(options->dir);
	char name[NAME_BYTES];
	uint64_t start;
	int rc = names_fd < 0 ? names_fd : make_directories(names_fd, options);

	if (rc < 0)
		return rc;
	start = clock_ns(CLOCK_MONOTONIC);
	for (uint64_t i = 0; i < options->count; i++) {
		name_of(name, options, i);
		if (mknodat(names_fd, name, S_IFREG | 0600, 0) < 0 && errno != EEXIST)
			return -errno;
	}
	bench_add(result, "populate",
		  (double)(clock_ns(CLOCK_MONOTONIC) - start) / (double)options->count);
	return 0;
}

int bench_evict(const struct bench_options *options, struct bench_result *result)
{
	uint64_t start = clock_ns(CLOCK_MONOTONIC);
	int rc = mount_evict(options->dir);

	if (rc == 0)
		bench_add(result, "evict", (double)(clock_ns(CLOCK_MONOTONIC) - start));
	return rc;
}

/* The names alone are to be cold, not the directories they are in. */
static int know_directories(int names_fd, const struct bench_options *options)
{
	char name[NAME_BYTES];
	struct stat st;

	for (uint64_t i = 0; i < options->directories; i++) {
		directory_of(name, options, i);
		if (fstatat(names_fd, name, &st, 0) < 0)
			return -errno;
	}
	return 0;
}

static int look_up(int names_fd, const struct bench_options *options, uint64_t seed, uint64_t turns)
{
	char name[NAME_BYTES];
	struct stat st;

	for (uint64_t i = 0; i < turns; i++) {
		name_of(name, options, (seed + i * STRIDE) % options->count);
		if (fstatat(names_fd, name, &st, 0) < 0)
			return -errno;
	}
	return 0;
}

/* One batch of names that the kernel does not know; that each of them did go to the worker is
 * checked. */
static int time_batch(int names_fd, const struct bench_options *options, uint64_t seed, double *ns)
{
	uint64_t turns = options->count < BATCH ? options->count : BATCH, start;
	int64_t before, after;
	int rc = mount_evict(options->dir);

	if (rc == 0)
		rc = know_directories(names_fd, options);
	before = mount_answers(options->dir);
	if (rc < 0 || before < 0)
		return rc < 0 ? rc : (int)before;
	start = clock_ns(CLOCK_MONOTONIC);
	rc = look_up(names_fd, options, seed, turns);
	*ns = (double)(clock_ns(CLOCK_MONOTONIC) - start) / (double)turns;
	after = mount_answers(options->dir);
	if (rc < 0 || after < 0)
		return rc < 0 ? rc : (int)after;
	return (uint64_t)(after - before) < turns ? -EALREADY : 0;
}

int bench_lookup(const struct bench_options *options, struct bench_result *result)
{
	AUTO_CLOSE int names_fd = open_names(options->dir);
	double times[BATCHES];

	if (names_fd < 0)
		return names_fd;
	for (size_t i = 0; i < BATCHES; i++) {
		uint64_t seed = clock_ns(CLOCK_MONOTONIC) % options->count;
		int rc = time_batch(names_fd, options, seed, &times[i]);
		if (rc < 0)
			return rc;
	}
	bench_add(result, "lookup", bench_median(times, BATCHES));
	return 0;
}
