/* Faults that the daemon gets over without its callers' noticing, and failing flushes, which they
 * are told of. */
#include "tests/soak/chaos.h"

#if defined(MAPPINGFS_TEST_POINTS) && __has_include("core/fault.h")

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "core/fault.h"
#include "core/util.h"

static const struct {
	enum fault_call call;
	int error, most; /* times */
	bool disk;
} faults[] = {
    {FAULT_LEASE, EAGAIN, 30, false},
    {FAULT_WATCH_ADD, ENOSPC, 10, false},
    {FAULT_DIRTY_PAGES, ENOSYS, 20, false},
    {FAULT_FDATASYNC, EIO, 1, true},
};

static struct fault_plan *plan;

void faults_prepare(const char *directory)
{
	AUTO_CLOSE int fd = -1;
	char path[SOAK_PATH];
	void *mapped;

	snprintf(path, sizeof path, "%s/faults", directory);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof *plan) < 0)
		return;
	mapped = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED)
		return;
	plan = mapped;
	setenv("MAPPINGFS_FAULTS_FILE", path, 1);
}

bool faults_inject(void)
{
	unsigned i = pick(ARRAY_SIZE(faults));
	struct fault_row *row;

	if (!plan)
		return false;
	row = &plan->rows[faults[i].call];
	if (row->times)
		return false; /* not all of the last ones have been met yet */
	soak->disk_faults += faults[i].disk;
	row->error = faults[i].error;
	row->times = 1 + (int)pick((unsigned)faults[i].most);
	return true;
}

void faults_end(void)
{
	for (size_t i = 0; plan && i < ARRAY_SIZE(faults); i++)
		plan->rows[faults[i].call].times = 0;
}

#else

void faults_prepare(const char *directory)
{
	(void)directory;
}

bool faults_inject(void)
{
	return false;
}

void faults_end(void)
{
}

#endif
