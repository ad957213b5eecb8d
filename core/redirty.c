/* The kernel gives up a page that it could not write: the error is told once, and the page is clean
 * from then on, though its content is nowhere but in memory. The next fsync(2) would succeed
 * without writing it, and when memory is short it is dropped. So it is made dirty again at once.
 *
 * Which pages it was is not told: all that are in memory are taken (mincore(2)). They are dirtied
 * in place through a mapping of our own, without a store: reading and writing them back could undo
 * what others store through their views meanwhile. A page that cannot be had (the file was cut
 * short, its disk cannot give room) fails with an error and not with a signal.
 *
 * What cannot be brought back: pages that the kernel dropped before we came, and those for which a
 * file system found no place at all (ext4 throws away what it had promised and cannot allocate). */
#include "core/redirty.h"

#include "core/sys.h"
#include "core/util.h"

#include <sys/mman.h>
#include <sys/stat.h>

#define WINDOW_BYTES (256ULL << 20)
#define WINDOW_PAGES (WINDOW_BYTES / PAGE_BYTES)
#define HOPELESS     64 /* so many pages in a row that cannot be had */

/* One by one, past those that cannot be had. */
static int64_t touch_each(uint8_t *pages, size_t count)
{
	int64_t done = 0;
	unsigned failed = 0;

	for (size_t i = 0; i < count && failed < HOPELESS; i++) {
		if (sys->touch((void *)(pages + i * PAGE_BYTES)) < 0) {
			failed++;
			continue;
		}
		failed = 0;
		done++;
	}
	return done;
}

/* Before Linux 5.14 there is no other way than one by one. */
static int64_t dirty_run(uint8_t *pages, size_t count)
{
	if (sys->populate(pages, count * PAGE_BYTES) == 0)
		return (int64_t)count;
	return touch_each(pages, count);
}

static int64_t dirty_resident(uint8_t *pages, size_t count, unsigned char *resident)
{
	int64_t done = 0;

	if (mincore(pages, count * PAGE_BYTES, resident) < 0)
		return -errno;
	for (size_t from = 0, to; from < count; from = to) {
		for (to = from; to < count && !((resident[to] ^ resident[from]) & 1); to++)
			;
		if (resident[from] & 1)
			done += dirty_run(pages + from * PAGE_BYTES, to - from);
	}
	return done;
}

int64_t redirty(int fd)
{
	AUTO_FREE unsigned char *resident = malloc(WINDOW_PAGES);
	int64_t done = 0, one;
	struct stat st;

	if (!resident)
		return -ENOMEM;
	if (fstat(fd, &st) < 0)
		return -errno;
	for (uint64_t at = 0; at < (uint64_t)st.st_size; at += WINDOW_BYTES) {
		uint64_t left = page_round_up((uint64_t)st.st_size - at);
		size_t bytes = left < WINDOW_BYTES ? left : WINDOW_BYTES;
		void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);

		if (pages == MAP_FAILED)
			return -errno;
		one = dirty_resident(pages, bytes / PAGE_BYTES, resident);
		munmap(pages, bytes);
		if (one < 0)
			return one;
		done += one;
	}
	return done;
}
