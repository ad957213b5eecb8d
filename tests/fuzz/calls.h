/* The system calls of a core under test: the real ones, but that no process outside can be meant.
 */
#ifndef MAPPINGFS_TESTS_FUZZ_CALLS_H
#define MAPPINGFS_TESTS_FUZZ_CALLS_H

void calls_install(void);

#endif
