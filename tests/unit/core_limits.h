/* What the tests of limits share: setting and asking. Names are in the root; requests of their own
 * that must succeed, where they do not return what came of them. */
#ifndef MAPPINGFS_TESTS_UNIT_CORE_LIMITS_H
#define MAPPINGFS_TESTS_UNIT_CORE_LIMITS_H

#include "tests/unit/core_fixture.h"

#include <sys/statvfs.h>

#define PAGES(n) ((uint64_t)(n)*PAGE_BYTES)

int limit_as(struct fixture *f, uint64_t node, const char *value, uid_t uid);
int unlimit_as(struct fixture *f, uint64_t node, uid_t uid);
void limit_to(struct fixture *f, uint64_t node, uint64_t bytes);
uint64_t limited_dir(struct fixture *f, uint64_t parent, const char *name, uint64_t bytes);

uint64_t charged_to(struct fixture *f, uint64_t node); /* of a directory with a limit */
uint64_t available_in(struct fixture *f, uint64_t node);
struct statvfs space_of(struct fixture *f, uint64_t node);
/* The sizes of what lies below a directory of the tree, each inode once: what must be charged. */
uint64_t lies_below(struct fixture *f, const char *path);

int write_at(struct fixture *f, uint64_t node, size_t bytes, uint64_t offset);
int rename_to(struct fixture *f, uint64_t from, const char *name, uint64_t to, const char *new_name,
	      unsigned flags);
int link_to(struct fixture *f, uint64_t node, uint64_t parent, const char *name);
void remove_dir(struct fixture *f, uint64_t parent, const char *name);

/* A growth whose answer comes later. */
struct growth {
	bool deferred, answered;
	int error;
};
void start_growth(struct fixture *f, uint64_t node, uint64_t size, struct growth *growth);

#endif
