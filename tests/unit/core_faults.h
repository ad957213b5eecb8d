/* Points `sys` at a table whose faults stand in a struct world. */
#ifndef MAPPINGFS_TESTS_UNIT_CORE_FAULTS_H
#define MAPPINGFS_TESTS_UNIT_CORE_FAULTS_H

#include "tests/unit/core_fixture.h"

void faults_install(struct world *world); /* NULL: the real calls again */

#endif
