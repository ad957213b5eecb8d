/* The seam `sys` with faults to order. */
#include "tests/unit/core_faults.h"

#include "core/sys.h"

static struct world *world;

static int fault_of(enum fault_call call)
{
	struct fault *fault = &world->faults[call];
	int times = fault->times;

	fault->calls++;
	if (!times)
		return 0;
	if (times > 0)
		fault->times = times - 1;
	return fault->error;
}

static int faulty_fdatasync(int fd)
{
	int rc;

	while (world->hold_data)
		usleep(500);
	rc = fault_of(FAULT_FDATASYNC);
	return rc ? rc : sys_real.fdatasync(fd);
}

/* Of an object in a store: its data, too. */
static int faulty_fsync(int fd)
{
	int rc = fault_of(FAULT_FDATASYNC);

	return rc ? rc : sys_real.fsync(fd);
}

static int faulty_syncfs(int fd)
{
	return sys_real.syncfs(fd);
}

static int faulty_lease(int fd, int type)
{
	int rc = type == F_UNLCK ? 0 : fault_of(FAULT_LEASE);

	return rc ? rc : sys_real.lease(fd, type);
}

static int faulty_watch_add(int notify_fd, int fd, uint32_t mask)
{
	int rc = fault_of(FAULT_WATCH_ADD);

	return rc ? rc : sys_real.watch_add(notify_fd, fd, mask);
}

static int faulty_watch_remove(int notify_fd, int watch)
{
	return sys_real.watch_remove(notify_fd, watch);
}

static int faulty_fallocate(int fd, int mode, off_t offset, off_t length)
{
	int rc = fault_of(FAULT_FALLOCATE);

	return rc ? rc : sys_real.fallocate(fd, mode, offset, length);
}

static int faulty_ftruncate(int fd, off_t size)
{
	int rc = fault_of(FAULT_FTRUNCATE);

	return rc ? rc : sys_real.ftruncate(fd, size);
}

static int faulty_dirty_pages(int fd, uint64_t *pages)
{
	int rc = fault_of(FAULT_DIRTY_PAGES);

	if (rc || world->dirty_pages < 0)
		return rc ? rc : sys_real.dirty_pages(fd, pages);
	*pages = (uint64_t)world->dirty_pages;
	return 0;
}

static const struct sys_calls faulty = {
    .fdatasync = faulty_fdatasync,
    .fsync = faulty_fsync,
    .syncfs = faulty_syncfs,
    .lease = faulty_lease,
    .watch_add = faulty_watch_add,
    .watch_remove = faulty_watch_remove,
    .fallocate = faulty_fallocate,
    .ftruncate = faulty_ftruncate,
    .dirty_pages = faulty_dirty_pages,
};

void faults_install(struct world *for_world)
{
	world = for_world;
	sys = for_world ? &faulty : &sys_real;
}
