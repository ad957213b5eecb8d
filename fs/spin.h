/* Waiting for the next request without sleeping, for a short, bounded time, and only while that
 * pays: a wake-up from sleep costs more than a whole request. */
#ifndef MAPPINGFS_FS_SPIN_H
#define MAPPINGFS_FS_SPIN_H

#include <stdbool.h>
#include <stdint.h>

struct spin {
	uint64_t limit_ns; /* 0: never */
	uint64_t since;    /* begin of this wait; 0: not waiting */
	int credit;        /* spins that paid less those that did not */
	unsigned skipped;
};

void spin_init(struct spin *spin, uint32_t limit_usec);
void spin_hit(struct spin *spin);   /* a request came */
bool spin_again(struct spin *spin); /* none came: look once more? */

#endif
