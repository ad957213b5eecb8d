#include "tests/points/faults.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct fault_plan *faults_map(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	struct fault_plan *plan;

	if (fd < 0 || fchmod(fd, 0666) < 0 || ftruncate(fd, sizeof *plan) < 0)
		return NULL;
	plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return plan == MAP_FAILED ? NULL : plan;
}

struct fault_plan *faults_begin(struct sys *sys)
{
	char path[128];
	struct fault_plan *plan;

	snprintf(path, sizeof path, "%s/plan", sys->dir);
	plan = faults_map(path);
	assert_non_null(plan);
	setenv("MAPPINGFS_FAULTS_FILE", path, 1);
	return plan;
}

void faults_set(struct fault_plan *plan, enum fault_call call, int error, int times)
{
	plan->rows[call].error = 0;
	plan->rows[call].times = times;
	plan->rows[call].error = error;
}

void faults_clear(struct fault_plan *plan)
{
	for (int i = 0; i < FAULTS; i++)
		plan->rows[i].error = 0;
}

unsigned faults_hits(const struct fault_plan *plan)
{
	unsigned hits = 0;

	for (int i = 0; i < FAULTS; i++)
		hits += plan->rows[i].hits;
	return hits;
}
