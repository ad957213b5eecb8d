/* Steps of the crash tests' prepare, act and check. Without cmocka's assertions, which may only be
 * used in the test's own process. Each is a request of its own that must succeed; names are in the
 * root. */
#ifndef MAPPINGFS_TESTS_UNIT_CORE_CRASH_STEPS_H
#define MAPPINGFS_TESTS_UNIT_CORE_CRASH_STEPS_H

#include "tests/unit/core_crash.h"

#define PAGE ((size_t)PAGE_BYTES)

/* What prepare, act and check tell one another. */
#define NODE     f->world->nodes[0]
#define TARGET   f->world->nodes[1]
#define RESULT   f->world->nodes[2] /* what the request answered with */
#define FILE_INO f->world->nodes[3]

/* Of type S_IFREG or S_IFDIR. */
uint64_t made(struct fixture *f, mode_t type, const char *name);
void sized(struct fixture *f, uint64_t node, size_t size);
bool stands(struct fixture *f, const char *name, struct stat *st);
void gone(struct fixture *f, const char *name);
uint64_t nlink_of(struct fixture *f, uint64_t node);
void unlinked(struct fixture *f, const char *name);
void removed_directory(struct fixture *f, const char *name);
/* The kernel forgets all it knows of a node; the count must be exact. */
void forgotten(struct fixture *f, uint64_t node, uint64_t lookups);
/* NODE: "file", a page long. */
void prepare_file(struct fixture *f);
/* ... and "second" is the same. */
void prepare_linked(struct fixture *f);
/* ... and TARGET: "target". FILE_INO: what "file" is in the tree. */
void prepare_two(struct fixture *f);
void nothing(struct fixture *f);

#define CRASH_STEPS(p, a, c) .prepare = (p), .act = (a), .check = (c)
#define BY_HANDLE(what, p, a, c)                                                                   \
	{                                                                                          \
		.name = what, .passthrough = true, CRASH_STEPS(p, a, c)                            \
	}
#define BY_PLACE(what, p, a, c)                                                                    \
	{                                                                                          \
		.name = what ", by place", .rootless = true, CRASH_STEPS(p, a, c)                  \
	}
#define BOTH_TREES(what, p, a, c) BY_HANDLE(what, p, a, c), BY_PLACE(what, p, a, c)
#define TWICE(what, how, p, a, c)                                                                  \
	{                                                                                          \
		.name = what, .passthrough = true, .second = how, CRASH_STEPS(p, a, c)             \
	}

/* A main() of such cases: those whose name contains `only`, or all. */
int crash_main(const char *group, const struct crash_case *cases, size_t count, const char *only);

#endif
