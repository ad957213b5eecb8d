/* ext4 (seen with Linux 6.18): new blocks are "unwritten", which reads as zeros, until the write to
 * them is done. If that write fails, the page in memory forgets that its block is one of these;
 * made dirty and written again, the data goes to the block, fsync(2) succeeds, and the block stays
 * "unwritten": whoever reads the file after the page has gone finds zeros. The map of the file
 * (FIEMAP) shows it: a page in memory that holds something, on a block that reads as zeros.
 *
 * Only a page that is dropped and written anew goes the whole way. Nobody may look, or store, in
 * the instant between: it is done under a write lease, which is granted when no other handle and no
 * view is there, and holds up who opens meanwhile. Until then the object's flush goes on failing,
 * and its pages stay. (A worker killed in this instant, below a millisecond, loses what it has in
 * its hands.) */
#include "core/unwritten.h"

#include "core/sys.h"
#include "core/util.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The kernel drops whole folios only; none is larger, or lies across this. */
#define WINDOW_BYTES (2ULL << 20)
#define WINDOW_PAGES (WINDOW_BYTES / PAGE_BYTES)
#define EXTENTS      256

/* A part of the file. */
struct window {
	int fd;
	uint64_t at, bytes;
	unsigned char resident[WINDOW_PAGES]; /* 1: in memory, and not said to be written */
	uint8_t bytes_read[WINDOW_BYTES];
	int lengths[WINDOW_PAGES]; /* of what is lost */
	struct {
		struct fiemap map;
		struct fiemap_extent extents[EXTENTS];
	} blocks;
};

/* How many, or -errno. */
static int find_resident(struct window *w)
{
	void *pages = mmap(NULL, w->bytes, PROT_READ, MAP_SHARED, w->fd, (off_t)w->at);
	int rc, count = 0;

	if (pages == MAP_FAILED)
		return -errno;
	rc = neg_errno(mincore(pages, w->bytes, w->resident));
	munmap(pages, w->bytes);
	for (uint64_t i = 0; rc == 0 && i * PAGE_BYTES < w->bytes; i++)
		count += w->resident[i] &= 1;
	return rc < 0 ? rc : count;
}

static bool is_written(const struct fiemap_extent *extent)
{
	return !(extent->fe_flags & (FIEMAP_EXTENT_UNWRITTEN | FIEMAP_EXTENT_DELALLOC));
}

/* Takes out what an extent covers. */
static void strike_out(struct window *w, const struct fiemap_extent *extent)
{
	uint64_t from = extent->fe_logical > w->at ? extent->fe_logical - w->at : 0;
	uint64_t to = extent->fe_logical + extent->fe_length;

	to = to > w->at ? to - w->at : 0;
	to = to < w->bytes ? to : w->bytes;
	for (uint64_t i = from / PAGE_BYTES; i * PAGE_BYTES < to; i++)
		w->resident[i] = 0;
}

/* 0, or -errno: there is no such map. */
static int strike_out_written(struct window *w)
{
	uint64_t at = w->at;

	while (at < w->at + w->bytes) {
		struct fiemap *map = &w->blocks.map;
		const struct fiemap_extent *extents = w->blocks.extents, *last;
		int rc;

		*map = (struct fiemap){
		    .fm_start = at, .fm_length = w->at + w->bytes - at, .fm_extent_count = EXTENTS};
		rc = sys->ioctl(w->fd, FS_IOC_FIEMAP, map);
		if (rc < 0)
			return rc;
		if (!map->fm_mapped_extents)
			return 0;
		for (uint32_t i = 0; i < map->fm_mapped_extents; i++)
			if (is_written(&extents[i]))
				strike_out(w, &extents[i]);
		last = &extents[map->fm_mapped_extents - 1];
		at = last->fe_logical + last->fe_length;
		if (last->fe_flags & FIEMAP_EXTENT_LAST)
			return 0;
	}
	return 0;
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
	return !length || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* Reads what is lost: pages that are more than zeros, as far as they are inside the file. */
static int read_lost(struct window *w)
{
	int count = 0;

	for (uint64_t i = 0; i * PAGE_BYTES < w->bytes; i++) {
		uint8_t *bytes = w->bytes_read + i * PAGE_BYTES;
		ssize_t got = 0;

		if (w->resident[i])
			got = pread(w->fd, bytes, PAGE_BYTES, (off_t)(w->at + i * PAGE_BYTES));
		w->lengths[i] = got > 0 && !is_zero(bytes, (size_t)got) ? (int)got : 0;
		count += w->lengths[i] > 0;
	}
	return count;
}

/* What was not dropped stays as it is, and is found again. */
static void write_anew(const struct window *w)
{
	posix_fadvise(w->fd, (off_t)w->at, (off_t)w->bytes, POSIX_FADV_DONTNEED);
	for (uint64_t i = 0; i * PAGE_BYTES < w->bytes; i++)
		if (w->lengths[i])
			sys->pwrite(w->fd, w->bytes_read + i * PAGE_BYTES, (size_t)w->lengths[i],
				    (off_t)(w->at + i * PAGE_BYTES));
}

static int look_at_window(struct window *w, bool rewrite)
{
	int rc = find_resident(w);

	if (rc > 0)
		rc = strike_out_written(w) < 0 ? -EOPNOTSUPP : read_lost(w);
	if (rc > 0 && rewrite)
		write_anew(w);
	return rc;
}

static int64_t look(int fd, bool rewrite)
{
	AUTO_FREE struct window *w = malloc(sizeof *w);
	int64_t count = 0;
	struct stat st;

	if (!w)
		return -ENOMEM;
	if (fstat(fd, &st) < 0)
		return -errno;
	w->fd = fd;
	for (w->at = 0; w->at < (uint64_t)st.st_size; w->at += WINDOW_BYTES) {
		uint64_t left = page_round_up((uint64_t)st.st_size - w->at);
		int one;

		w->bytes = left < WINDOW_BYTES ? left : WINDOW_BYTES;
		one = look_at_window(w, rewrite);
		if (one < 0)
			return one;
		count += one;
	}
	return count;
}

int64_t unwritten_pages(int fd)
{
	int64_t count = look(fd, false);

	return count == -EOPNOTSUPP ? 0 : count;
}

int64_t unwritten_rewrite(int fd)
{
	int64_t count = sys->lease(fd, F_WRLCK);

	if (count < 0)
		return count;
	count = look(fd, true);
	sys->lease_end(fd);
	return count;
}
