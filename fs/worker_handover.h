/* What a worker takes from struct handover. A former worker could write to all of it, and may have
 * been taken over: strings end, numbers are in range, and descriptors are those that were
 * inherited. */
#ifndef MAPPINGFS_FS_WORKER_HANDOVER_H
#define MAPPINGFS_FS_WORKER_HANDOVER_H

#include "core/core.h"
#include "fs/handover.h"

struct handover *handover_map(void); /* NULL: there is none */
/* Puts in order what is not right; what is, is not written to. */
void handover_mend(struct handover *handover);
/* Descriptors of bound files, HANDOVER_MAX_BOUND at most, which are the caller's; close-on-exec
 * from here on. How many. */
size_t handover_bound(const struct handover *handover, struct core_bound_fd *out);

#endif
