/* What the rooms of the worker share: one of it a process. */
#ifndef MAPPINGFS_FS_WORKER_H
#define MAPPINGFS_FS_WORKER_H

#include "core/core.h"
#include "fs/confine.h"
#include "fs/handover.h"
#include "fs/loop.h"
#include "fs/transport.h"

#include <stdbool.h>

struct control;
struct channel;

struct worker {
	struct transport
	    *transport; /* first: transport.c finds itself through the session's userdata */
	struct core *core;
	struct loop *loop;
	struct control *control;
	struct handover *handover;
	struct confinement confinement;
	bool passthrough;
	bool may_pass_through; /* as far as our rights go */
	int fuse_fd;
	struct loop_source core_source, signal_source, channel_source, mounts_source;
};

/* status.c: malloc'd JSON text, NULL without memory. For root, what all users have; else only uid.
 */
char *status_text(void *worker, uid_t uid);
/* The same of core's counters, status_counters.c. */
char *status_counters_text(struct worker *worker);

/* notify.c: tells the kernel that a name is gone. Never waits. */
void notify_name_gone(void *worker, uint64_t parent, uint64_t node, const char *name);
void notify_unused(void *worker, uint64_t node);

/* channel.c: to the supervisor */
void channel_ready(struct handover *handover);
int channel_upgrade(void *worker);
int channel_hold(void *worker, uint64_t id, int fd);
void channel_drop(void *worker, uint64_t id);

#endif
