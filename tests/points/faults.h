/* The plan of faults that a test shares with the daemon it starts. */
#ifndef MAPPINGFS_TESTS_POINTS_FAULTS_H
#define MAPPINGFS_TESTS_POINTS_FAULTS_H

#include "core/fault.h"
#include "tests/sys/harness.h"

/* Before sys_mount(). Empty as yet. */
struct fault_plan *faults_begin(struct sys *sys);
void faults_set(struct fault_plan *plan, enum fault_call call, int error, int times);
void faults_clear(struct fault_plan *plan);
/* How many calls have failed so far, of all. */
unsigned faults_hits(const struct fault_plan *plan);
/* A plan in a file of this name, for who is started with MAPPINGFS_FAULTS_FILE; NULL with errno. */
struct fault_plan *faults_map(const char *path);

#endif
