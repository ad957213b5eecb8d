/* mapbench's measures: each runs on one directory and reports named numbers.
 *
 * A measure makes what it needs below `dir`, times it, removes it again, and returns 0 or -errno.
 * memory.c and latency.c use nothing but plain file calls, so that the same code runs on any file
 * system. What knows mappingfs asks mount.h. */
#ifndef MAPPINGFS_TESTS_BENCH_H
#define MAPPINGFS_TESTS_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_VALUES 8

struct bench_options {
	const char *dir;
	double seconds; /* how long a timed loop runs */
	uint64_t size;  /* bytes of the object; 0: the measure's own */
	unsigned kills; /* stall: how often the worker is killed */
	const char *by; /* wake, ping_pong, crowd, semaphore: by what; NULL: the mount's objects */
	uint64_t count; /* of waiters or names; 0: the measure's own */
	int peer_cpu;   /* wake, ping_pong: where the other process runs; -1: anywhere */
	uint64_t directories; /* that the names are spread over; 1 or more */
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

/* wake.c */
int bench_wake(const struct bench_options *options, struct bench_result *result);
int bench_ping_pong(const struct bench_options *options, struct bench_result *result);

/* crowd.c */
int bench_crowd(const struct bench_options *options, struct bench_result *result);

/* semaphore.c */
int bench_semaphore(const struct bench_options *options, struct bench_result *result);

/* names.c */
int bench_many(const struct bench_options *options, struct bench_result *result);
int bench_populate(const struct bench_options *options, struct bench_result *result);
int bench_lookup(const struct bench_options *options, struct bench_result *result);
int bench_evict(const struct bench_options *options, struct bench_result *result);

/* timing.c */
typedef int (*bench_op)(void *arg);

/* Runs op in batches of a millisecond or more for `seconds`, after a warm-up, and says what one
 * call took: the median over the batches. */
int bench_loop(bench_op op, void *arg, double seconds, double *ns_per_op);

/* This thread, and what it starts, runs on that CPU only. */
int bench_pin(int cpu);

/* Sorts the values. */
double bench_median(double *values, size_t count);

/* Returns when the thread sleeps in the kernel, waiting for something. 0 or -errno: ESRCH, it has
 * ended. */
int bench_wait_asleep(pid_t pid, pid_t tid);

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
