/* What moves bytes: stores and loads through views, page faults, read() and write(). */
#include "tests/bench/bench.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "core/util.h"

#define VIEW_BYTES   (256ULL << 20)
#define TOUCH_BYTES  (1ULL << 30)
#define BLOCKS_BYTES (256ULL << 20)
#define BLOCK_BYTES  (1ULL << 20)
#define WARM_BYTES   (4ULL << 30)

#define NS_PER_S 1e9

/* A large view is gone over piece by piece: each far larger than what the CPU's nearer caches hold,
 * small enough for a median over many of them. */
#define PIECE_BYTES (16ULL << 20)

struct view {
	uint8_t *base;
	uint64_t size;
	uint64_t at;
};

static uint8_t *next_piece(struct view *view)
{
	uint64_t at = view->at;

	view->at = at + 2 * PIECE_BYTES <= view->size ? at + PIECE_BYTES : 0;
	return view->base + at;
}

/* Memory that a virtual machine never used, or gave back to its host a few seconds ago (free page
 * reporting), is slow at the next touch, whoever touches it. Touch as much as a measure will use
 * and free it again: the kernel hands out first what was freed last. */
static int warm(uint64_t size)
{
	uint8_t *memory =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	madvise(memory, size, MADV_HUGEPAGE);
	bench_touch_pages(memory, size);
	munmap(memory, size);
	return 0;
}

static int op_memset(void *arg)
{
	struct view *view = arg;

	memset(next_piece(view), 0x5a, PIECE_BYTES);
	__asm__ volatile("" ::: "memory");
	return 0;
}

static int op_sum(void *arg)
{
	struct view *view = arg;
	const uint64_t *words = (const uint64_t *)(const void *)next_piece(view);
	uint64_t sum[4] = {0};

	for (uint64_t i = 0; i < PIECE_BYTES / sizeof(*words); i += 4) {
		sum[0] += words[i];
		sum[1] += words[i + 1];
		sum[2] += words[i + 2];
		sum[3] += words[i + 3];
	}
	__asm__ volatile("" ::"r"(sum[0] + sum[1] + sum[2] + sum[3]));
	return 0;
}

static int time_view(struct view *view, const struct bench_options *options,
		     struct bench_result *result)
{
	double write_ns, read_ns;
	int rc;

	bench_touch_pages(view->base, view->size);
	rc = bench_loop(op_memset, view, options->seconds, &write_ns);
	if (rc < 0)
		return rc;
	rc = bench_loop(op_sum, view, options->seconds, &read_ns);
	if (rc < 0)
		return rc;
	bench_add(result, "view_write", (double)PIECE_BYTES * NS_PER_S / write_ns);
	bench_add(result, "view_read", (double)PIECE_BYTES * NS_PER_S / read_ns);
	return 0;
}

int bench_view(const struct bench_options *options, struct bench_result *result)
{
	struct view view = {.size = options->size ? options->size : VIEW_BYTES};
	char path[BENCH_PATH_MAX];
	int rc = bench_path(path, options->dir, "view");

	if (rc < 0)
		return rc;
	if (view.size < PIECE_BYTES)
		return -EINVAL;
	AUTO_CLOSE int fd = bench_create(path, view.size);
	if (fd < 0)
		return fd;
	unlink(path);
	view.base = bench_map(fd, view.size);
	if (!view.base)
		return -errno;
	rc = time_view(&view, options, result);
	munmap(view.base, view.size);
	return rc;
}

/* Maps, touches every page, and unmaps; the unmapping is not timed. Returns what it took from
 * `start`, or 0 with errno set. */
static uint64_t map_and_touch(int fd, uint64_t size, uint64_t start)
{
	uint8_t *view = bench_map(fd, size);
	uint64_t end;

	if (!view)
		return 0;
	bench_touch_pages(view, size);
	end = clock_ns(CLOCK_MONOTONIC);
	munmap(view, size);
	return end - start;
}

/* The first time runs from the ftruncate on, so that nobody wins by allocating there. */
static int time_touch(const char *path, uint64_t size, struct bench_result *result)
{
	uint64_t start, first, second;
	AUTO_CLOSE int fd = bench_create(path, 0);

	if (fd < 0)
		return fd;
	start = clock_ns(CLOCK_MONOTONIC);
	if (ftruncate(fd, (off_t)size) < 0)
		return -errno;
	first = map_and_touch(fd, size, start);
	if (!first)
		return -errno;

	AUTO_CLOSE int again = open(path, O_RDWR | O_CLOEXEC);
	if (again < 0)
		return -errno;
	second = map_and_touch(again, size, clock_ns(CLOCK_MONOTONIC));
	if (!second)
		return -errno;
	bench_add(result, "first_touch", (double)size * NS_PER_S / (double)first);
	bench_add(result, "second_view", (double)size * NS_PER_S / (double)second);
	return 0;
}

int bench_touch(const struct bench_options *options, struct bench_result *result)
{
	uint64_t size = options->size ? options->size : TOUCH_BYTES;
	char path[BENCH_PATH_MAX];
	int rc = bench_path(path, options->dir, "touch");

	if (rc < 0)
		return rc;
	/* Twice the size: a cached file system holds the pages twice. */
	rc = warm(2 * size);
	if (rc < 0)
		return rc;
	rc = time_touch(path, size, result);
	unlink(path);
	return rc;
}

struct blocks {
	int fd;
	uint64_t size;
	uint64_t at;
	uint8_t *buffer;
};

static off_t next_block(struct blocks *blocks)
{
	uint64_t at = blocks->at;

	blocks->at = at + BLOCK_BYTES < blocks->size ? at + BLOCK_BYTES : 0;
	return (off_t)at;
}

static int transferred(ssize_t n)
{
	if (n < 0)
		return -errno;
	return (uint64_t)n == BLOCK_BYTES ? 0 : -EIO;
}

static int op_pwrite(void *arg)
{
	struct blocks *blocks = arg;
	return transferred(pwrite(blocks->fd, blocks->buffer, BLOCK_BYTES, next_block(blocks)));
}

static int op_pread(void *arg)
{
	struct blocks *blocks = arg;
	return transferred(pread(blocks->fd, blocks->buffer, BLOCK_BYTES, next_block(blocks)));
}

static int time_blocks(struct blocks *blocks, const struct bench_options *options,
		       struct bench_result *result)
{
	double write_ns, read_ns;
	int rc;

	/* All of it is allocated before anything is timed. */
	do {
		rc = op_pwrite(blocks);
		if (rc < 0)
			return rc;
	} while (blocks->at);
	rc = bench_loop(op_pread, blocks, options->seconds, &read_ns);
	if (rc < 0)
		return rc;
	rc = bench_loop(op_pwrite, blocks, options->seconds, &write_ns);
	if (rc < 0)
		return rc;
	bench_add(result, "read", (double)BLOCK_BYTES * NS_PER_S / read_ns);
	bench_add(result, "write", (double)BLOCK_BYTES * NS_PER_S / write_ns);
	return 0;
}

int bench_blocks(const struct bench_options *options, struct bench_result *result)
{
	struct blocks blocks = {.size = options->size ? options->size : BLOCKS_BYTES};
	char path[BENCH_PATH_MAX];
	int rc = bench_path(path, options->dir, "blocks");

	if (rc < 0)
		return rc;
	AUTO_FREE uint8_t *buffer = aligned_alloc(PAGE_BYTES, BLOCK_BYTES);
	if (!buffer)
		return -ENOMEM;
	memset(buffer, 0x5a, BLOCK_BYTES);
	AUTO_CLOSE int fd = bench_create(path, blocks.size);
	if (fd < 0)
		return fd;
	unlink(path);
	blocks.fd = fd;
	blocks.buffer = buffer;
	return time_blocks(&blocks, options, result);
}

/* `dir` plays no part. */
int bench_warm(const struct bench_options *options, struct bench_result *result)
{
	uint64_t size = options->size ? options->size : WARM_BYTES;
	uint64_t start = clock_ns(CLOCK_MONOTONIC);
	uint8_t *view =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (view == MAP_FAILED)
		return -errno;
	bench_touch_pages(view, size);
	munmap(view, size);
	bench_add(result, "warmed", (double)size);
	bench_add(result, "warm_ns", (double)(clock_ns(CLOCK_MONOTONIC) - start));
	return 0;
}
