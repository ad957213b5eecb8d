/* Whether what is counted for users is what is there. */
#ifndef MAPPINGFS_TESTS_UNIT_CORE_USERS_H
#define MAPPINGFS_TESTS_UNIT_CORE_USERS_H

#include "tests/unit/core_fixture.h"

/* Counts the tree anew and compares: NULL, or what is wrong. */
const char *users_miscounted(struct fixture *f);
struct core_user use_of(struct fixture *f, uid_t uid);

#endif
