/* All objects in use, at a moment; part of core.h's door. What the state area knows is copied at
 * once; everything that takes a request to a file system or a look at /proc is done later, in a
 * job. */
#ifndef MAPPINGFS_CORE_TOP_H
#define MAPPINGFS_CORE_TOP_H

#include "core/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct core;
struct core_top;

struct core_top_object {
	char *name; /* path from the root of the mount; NULL: none, or deeper than a path can say */
	ino_t inode;
	uid_t owner;
	enum object_type type;
	enum core_lifetime lifetime;
	uint64_t size;           /* bytes */
	int64_t resident, dirty; /* bytes; -1: not known */
	uint32_t views, handles;
	uint32_t flushes; /* since this worker began */
	uint32_t failures;
	int error; /* positive errno of the last flush, or 0 */
};

struct core_top_result {
	const struct core_top_object *objects; /* by inode, ascending */
	size_t count;
	size_t omitted;    /* objects beyond what is looked at */
	size_t unreadable; /* processes whose maps could not be read */
};

/* Copies. 0 or -errno. */
int core_top_begin(struct core *core, bool all, uid_t owner, struct core_top **out);
/* Blocks, touches nothing but *top: for a job. Only objects of this owner, or all. Valid until
 * core_top_end(). 0 or -errno. */
int core_top_look(struct core_top *top, bool all, uid_t owner, struct core_top_result *out);
void core_top_end(struct core_top *top); /* NULL is fine */

#endif
