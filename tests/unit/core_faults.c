/* The seam `sys` with faults to order. */
#include "tests/unit/core_faults.h"

#include "core/sys.h"

static struct world *world;

static int fault_of(enum fault_call call)
{
	struct fault *fault = &world->faults[call];
	int times;

	while (call == FAULT_FDATASYNC && world->hold_data)
		usleep(500);
	fault->calls++;
	times = fault->times;
	if (!times)
		return 0;
	if (times > 0)
		fault->times = times - 1;
	return fault->error;
}

#define FAULTY(name, NAME, parameters, arguments)                                                  \
	static int faulty_##name parameters                                                        \
	{                                                                                          \
		int rc = fault_of(FAULT_##NAME);                                                   \
		return rc < 0 ? rc : sys_real.name arguments;                                      \
	}
SYS_CALLS(FAULTY)

static int told_dirty_pages(int fd, uint64_t *pages)
{
	int rc = faulty_dirty_pages(fd, pages);

	if (rc == 0 && world->dirty_pages >= 0)
		*pages = (uint64_t)world->dirty_pages;
	return rc;
}

/* Of an object in a store: its data, too. */
static int data_fsync(int fd)
{
	int rc = fault_of(FAULT_FDATASYNC);

	return rc ? rc : faulty_fsync(fd);
}

void faults_install(struct world *for_world)
{
	static struct sys_calls faulty;
#define ENTRY(name, NAME, parameters, arguments) faulty.name = faulty_##name;
	SYS_CALLS(ENTRY)
#undef ENTRY
	faulty.dirty_pages = told_dirty_pages;
	faulty.fsync = data_fsync;
	world = for_world;
	sys = for_world ? &faulty : &sys_real;
}
