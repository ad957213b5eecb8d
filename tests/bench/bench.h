/* mapbench's measures: each runs on one directory and reports named numbers.
 *
 * A measure makes what it needs below `dir`, times it, removes it again, and returns 0 or -errno.
 * It uses nothing but plain file calls, so that the same code runs on any file system; only the
 * stall measure knows mappingfs, and only when it is asked to kill its worker. */
#ifndef MAPPINGFS_TESTS_BENCH_H
#define MAPPINGFS_TESTS_BENCH_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_VALUES 8

struct bench_options {
	const char *dir;
	double seconds; /* how long a timed loop runs */
	uint64_t size;  /* bytes of the object; 0: the measure's own */
	unsigned kills; /* stall: how often the worker is killed */
};

/* What a measure found: rates in bytes per second, times in nanoseconds, or plain counts. */
struct bench_result {
	struct {
		const char *name;
		double value;
	} values[BENCH_VALUES];
	size_t count;
};

void bench_add(struct bench_result *result, const char *name, double value);

/* memory.c */
int bench_view(const struct bench_options *options, struct bench_result *result);
int bench_touch(const struct bench_options *options, struct bench_result *result);
int bench_blocks(const struct bench_options *options, struct bench_result *result);
int bench_warm(const struct bench_options *options, struct bench_result *result);

/* latency.c */
int bench_open_close(const struct bench_options *options, struct bench_result *result);
int bench_cycle(const struct bench_options *options, struct bench_result *result);
int bench_create_unlink(const struct bench_options *options, struct bench_result *result);
int bench_stat(const struct bench_options *options, struct bench_result *result);

/* stall.c */
int bench_stall(const struct bench_options *options, struct bench_result *result);

/* timing.c */
typedef int (*bench_op)(void *arg);

/* Runs op in batches of a millisecond or more for `seconds`, after a warm-up, and says what one
 * call took: the median over the batches. */
int bench_loop(bench_op op, void *arg, double seconds, double *ns_per_op);

/* An object of `size` bytes at `path`, opened O_RDWR, which must not exist. Returns fd or -errno.
 */
int bench_create(const char *path, uint64_t size);
/* A shared writable view of a whole object; NULL with errno set. */
uint8_t *bench_map(int fd, uint64_t size);
/* One byte stored in every page of the view. */
void bench_touch_pages(uint8_t *view, uint64_t size);

#define BENCH_PATH_MAX 4096
/* dir/mapbench.PID.tag, so that two runs in one directory do not meet. */
int bench_path(char path[BENCH_PATH_MAX], const char *dir, const char *tag);

#endif
