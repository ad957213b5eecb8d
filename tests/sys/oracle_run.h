/* Between oracle.c and oracle_main.c. */
#ifndef MAPPINGFS_TESTS_SYS_ORACLE_RUN_H
#define MAPPINGFS_TESTS_SYS_ORACLE_RUN_H

#include "tests/sys/oracle.h"

/* Runs the case in a new directory under root; its transcript, malloc'd. */
char *oracle_record(const struct oracle_case *c, const char *root);

/* 0 if equal; else -1, and the first difference with what led to it goes to standard error. */
int oracle_compare(const char *expected, const char *got, const char *name);

#endif
