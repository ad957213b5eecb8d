/* Between the parts of the load: the model of a process's directory, and the operations on it. */
#ifndef MAPPINGFS_TESTS_SYS_STORM_MODEL_H
#define MAPPINGFS_TESTS_SYS_STORM_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "tests/sys/storm_load.h"

enum { NAMES = 16, MAX_PAGES = 40, PAGE = 4096, RW = PROT_READ | PROT_WRITE };

struct model_file {
	bool exists, attribute;
	unsigned pages;
	uint64_t stamp; /* at the start of every page; 0: never written */
};

/* Of this process. */
extern struct storm_load *load;
extern struct model_file files[NAMES];

unsigned pick(unsigned below);
const char *name_of(unsigned k); /* the last four stay valid */
uint64_t next_stamp(void);

/* Operations on name k: 0, or 1 after saying what is wrong. */
int op_check(unsigned k);
int op_object(unsigned k);
int op_temporary(unsigned k);
int op_bound(unsigned k);
int op_status(unsigned k);
int op_mapctl(unsigned k);
int op_lock(unsigned k);

#endif
