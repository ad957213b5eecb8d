#ifndef MAPPINGFS_TESTS_SOAK_REPORT_H
#define MAPPINGFS_TESTS_SOAK_REPORT_H

#include "tests/soak/mounts.h"

void report(const struct mounted *mounts, unsigned rounds, double seconds);

#endif
