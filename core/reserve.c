/* The commit: room for a size is taken when the size is set.
 *
 * With passthrough, plain writes extend files without asking us, so a sum kept here could promise
 * pages that a writer then takes. The pages are therefore really allocated (fallocate): the private
 * tmpfs, whose size is the mount's limit, is the one account, and df, writers and promises cannot
 * disagree. tmpfs does not zero them before they are touched: with huge pages a GiB takes about 3
 * ms, and the first touch costs the same as without. Sparse objects skip this and take pages as
 * they come. */
#include "core/internal.h"
#include "core/sys.h"
#include "core/util.h"

#include <linux/falloc.h>
#include <sys/vfs.h>

/* A hopeless attempt would take all that is free for a moment, and others could feel it. */
static bool cannot_fit(int fd, uint64_t from, uint64_t to)
{
	struct statfs fs;

	from = page_round_up(from);
	return to > from && fstatfs(fd, &fs) == 0 &&
	       (to - from) / (uint64_t)fs.f_bsize > (uint64_t)fs.f_bavail;
}

int reserve(int fd, uint64_t from, uint64_t to)
{
	uint64_t start = from & ~(PAGE_BYTES - 1);
	int rc;

	if (to <= from)
		return 0;
	if (to > (uint64_t)INT64_MAX)
		return -EFBIG;
	if (cannot_fit(fd, from, to))
		return -ENOSPC;
	rc = sys->fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)start, (off_t)(to - start));
	if (rc == 0 || rc == -EOPNOTSUPP || rc == -ENOSYS)
		return 0; /* a file system that cannot: as good as it gets */
	/* What was allocated past the end goes back. */
	sys->ftruncate(fd, (off_t)from);
	return rc;
}
