/* A semaphore nobody else wants: take and release, in time and in requests to the worker. A pipe
 * with one byte in it and sem_t are the same thing without a file system. */
#include <fcntl.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>

#include "core/types.h"
#include "core/util.h"
#include "tests/bench/bench.h"
#include "tests/bench/mount.h"

#define COUNTED_TURNS 1000

struct semaphore {
	int fds[2];
	sem_t *shared;
};

/* --- the worker's --- */

static int op_object(void *arg)
{
	struct semaphore *semaphore = arg;
	char line[32];

	if (pread(semaphore->fds[0], line, sizeof line, 0) < 0 ||
	    pwrite(semaphore->fds[0], "release\n", 8, 0) < 0)
		return -errno;
	return 0;
}

static int op_round_trip(void *arg)
{
	return mount_round_trip(((struct semaphore *)arg)->fds[0]);
}

static int count_requests(const char *dir, struct semaphore *semaphore, double *requests)
{
	int64_t before = mount_answers(dir), empty, after;

	if (before < 0)
		return (int)before;
	empty = mount_answers(dir); /* what the asking itself takes */
	for (int i = 0; i < COUNTED_TURNS; i++) {
		int rc = op_object(semaphore);
		if (rc < 0)
			return rc;
	}
	after = mount_answers(dir);
	if (empty < 0 || after < 0)
		return empty < 0 ? (int)empty : (int)after;
	*requests = (double)(after - empty - (empty - before)) / COUNTED_TURNS;
	return 0;
}

static int time_object(const struct bench_options *options, struct bench_result *result)
{
	const struct mount_object object = {.type = OBJECT_SEMAPHORE, .initial = 1, .maximum = 1};
	struct semaphore semaphore;
	char path[BENCH_PATH_MAX];
	double ns, trip_ns, requests = 0;
	int rc = mount_create(options->dir, "semaphore", &object, path);

	if (rc < 0)
		return rc;
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	rc = fd < 0 ? -errno : 0;
	unlink(path);
	semaphore.fds[0] = fd;
	if (rc == 0)
		rc = count_requests(options->dir, &semaphore, &requests);
	if (rc == 0)
		rc = bench_loop(op_object, &semaphore, options->seconds, &ns);
	if (rc == 0)
		rc = bench_loop(op_round_trip, &semaphore, options->seconds, &trip_ns);
	if (rc < 0)
		return rc;
	bench_add(result, "take_release", ns);
	bench_add(result, "round_trip", trip_ns);
	bench_add(result, "requests", requests);
	return 0;
}

/* --- others --- */

static int op_pipe(void *arg)
{
	struct semaphore *semaphore = arg;
	char byte;

	if (read(semaphore->fds[0], &byte, 1) != 1 || write(semaphore->fds[1], &byte, 1) != 1)
		return -errno;
	return 0;
}

static int op_sem(void *arg)
{
	struct semaphore *semaphore = arg;

	if (sem_wait(semaphore->shared) < 0)
		return -errno;
	return neg_errno(sem_post(semaphore->shared));
}

static int time_pipe(const struct bench_options *options, struct bench_result *result)
{
	struct semaphore semaphore;
	double ns;
	int rc;

	if (pipe2(semaphore.fds, O_CLOEXEC) < 0)
		return -errno;
	rc = write(semaphore.fds[1], "t", 1) == 1
		 ? bench_loop(op_pipe, &semaphore, options->seconds, &ns)
		 : -errno;
	close(semaphore.fds[0]);
	close(semaphore.fds[1]);
	if (rc == 0)
		bench_add(result, "take_release", ns);
	return rc;
}

static int time_sem(const struct bench_options *options, struct bench_result *result)
{
	struct semaphore semaphore;
	double ns;
	int rc;

	semaphore.shared =
	    mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (semaphore.shared == MAP_FAILED || sem_init(semaphore.shared, 1, 1) < 0)
		return -errno;
	rc = bench_loop(op_sem, &semaphore, options->seconds, &ns);
	munmap(semaphore.shared, PAGE_BYTES);
	if (rc == 0)
		bench_add(result, "take_release", ns);
	return rc;
}

int bench_semaphore(const struct bench_options *options, struct bench_result *result)
{
	if (!options->by || !strcmp(options->by, "event"))
		return time_object(options, result);
	if (!strcmp(options->by, "pipe"))
		return time_pipe(options, result);
	return strcmp(options->by, "futex") ? -EINVAL : time_sem(options, result);
}
