/* The load processes, as the main process sees them. Only it reaps, so that a pid it has not reaped
 * is the load's and nobody else's. */
#ifndef MAPPINGFS_TESTS_SOAK_LOADS_H
#define MAPPINGFS_TESTS_SOAK_LOADS_H

#include "tests/soak/soak.h"

int load_start(struct load *load);
void loads_start(void); /* all of them */
/* Reaps what has ended. A load that we killed is started again; one that ended otherwise before it
 * was told to is a violation. */
void loads_reap(void);
unsigned loads_running(void);
/* Tells them to stop, and reaps until none runs. */
void loads_stop(void);
/* Children, and children of loads that are no more, other than `but`: until there is none, or a
 * violation. */
void loads_orphans_gone(pid_t but);

/* watchdog.c: a process that ends everything, and says where it hangs, if an operation takes longer
 * than SOAK_HANG. */
pid_t watchdog_start(void);
void watchdog_stop(pid_t pid);

/* filler.c: a process that takes all the room of a mount for a moment */
bool filler_start(struct common *common);

#endif
