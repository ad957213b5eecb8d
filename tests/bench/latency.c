/* What is all calls and no bytes: one operation on names and handles, over and over. */
#include "tests/bench/bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/util.h"

#define OBJECT_BYTES (16ULL << 20)

struct object {
	char path[BENCH_PATH_MAX];
	uint64_t size;
	uint64_t turn;
};

static int op_open_close(void *arg)
{
	struct object *object = arg;
	int fd = open(object->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return neg_errno(close(fd));
}

/* The touched page is another one each time, as in a table many processes work on. */
static int op_cycle(void *arg)
{
	struct object *object = arg;
	int fd = open(object->path, O_RDWR | O_CLOEXEC);
	uint8_t *view;

	if (fd < 0)
		return -errno;
	view = bench_map(fd, object->size);
	if (!view) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	((volatile uint8_t *)view)[object->turn++ * PAGE_BYTES % object->size] = 1;
	munmap(view, object->size);
	return neg_errno(close(fd));
}

static int op_create_unlink(void *arg)
{
	struct object *object = arg;
	int fd = open(object->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	close(fd);
	return neg_errno(unlink(object->path));
}

static int op_stat(void *arg)
{
	struct object *object = arg;
	struct stat st;

	return neg_errno(stat(object->path, &st));
}

/* An existing object, every page there, closed again. */
static int populate(struct object *object)
{
	AUTO_CLOSE int fd = bench_create(object->path, object->size);
	uint8_t *view;

	if (fd < 0)
		return fd;
	view = bench_map(fd, object->size);
	if (!view) {
		int rc = -errno;
		unlink(object->path);
		return rc;
	}
	bench_touch_pages(view, object->size);
	munmap(view, object->size);
	return 0;
}

static int time_existing(const char *name, bench_op op, const struct bench_options *options,
			 struct bench_result *result)
{
	struct object object = {.size = options->size ? options->size : OBJECT_BYTES};
	double ns;
	int rc = bench_path(object.path, options->dir, name);

	if (rc < 0)
		return rc;
	rc = populate(&object);
	if (rc < 0)
		return rc;
	rc = bench_loop(op, &object, options->seconds, &ns);
	unlink(object.path);
	if (rc < 0)
		return rc;
	bench_add(result, name, ns);
	return 0;
}

int bench_open_close(const struct bench_options *options, struct bench_result *result)
{
	return time_existing("open_close", op_open_close, options, result);
}

int bench_cycle(const struct bench_options *options, struct bench_result *result)
{
	return time_existing("cycle", op_cycle, options, result);
}

int bench_stat(const struct bench_options *options, struct bench_result *result)
{
	return time_existing("stat", op_stat, options, result);
}

int bench_create_unlink(const struct bench_options *options, struct bench_result *result)
{
	struct object object = {0};
	double ns;
	int rc = bench_path(object.path, options->dir, "create_unlink");

	if (rc < 0)
		return rc;
	rc = bench_loop(op_create_unlink, &object, options->seconds, &ns);
	if (rc < 0)
		return rc;
	bench_add(result, "create_unlink", ns);
	return 0;
}
