/* Between the files of the harness only. */
#ifndef MAPPINGFS_TESTS_SYS_HARNESS_INTERNAL_H
#define MAPPINGFS_TESTS_SYS_HARNESS_INTERNAL_H

#include "tests/sys/harness.h"

/* --- harness_watchdog.c --- */
void watchdog_start(struct sys *sys, unsigned seconds);
void watchdog_set(unsigned seconds);
void watchdog_stop(void);

/* --- harness_process.c --- */
void children_end(struct sys *sys); /* kills all and waits */
/* Processes with the mark in their environment. Calls each() for every one, returns their number.
 */
unsigned marked_processes(const char *mark, void (*each)(pid_t pid));
void kill_process(pid_t pid);
/* By its name (NULL: any) and its last argument; 0: there is none. Zombies do not count. */
pid_t process_of_mount(const char *name, const char *point);

/* --- harness_leftovers.c --- */
bool leftovers_found(struct sys *sys); /* says what it found, and removes it */
/* Before umount: did a worker of the mount ask for a system call that is not for it? */
bool calls_refused(struct sys *sys);

#endif
