/* A directory of the mount, all that can be asked about it, as text: two that say the same are the
 * same. And the words that make one. */
#ifndef MAPPINGFS_TESTS_POINTS_CRASH_WORLD_H
#define MAPPINGFS_TESTS_POINTS_CRASH_WORLD_H

#include "fs/client/mapping.h"
#include "tests/sys/harness.h"

#define WORLD_FDS 4

struct world {
	struct sys *sys;
	struct mapping_mount *mount;
	char name[16];      /* of the directory, in the mount's root */
	int dir;            /* the directory */
	int outside;        /* one outside the mount, for external files */
	int fds[WORLD_FDS]; /* opened by words; -1: none */
	void *view;         /* made by words; NULL: none */
	pid_t child;        /* made by words; 0: none */
};

/* Makes what the words say, separated by ";". Fails the test if it cannot.
 *
 *   file NAME, dir NAME, symlink NAME, link OLD NEW
 *   xattr NAME, mode NAME OCTAL, grow NAME BYTES, limit DIR BYTES, lifetime NAME LIFETIME
 *   event NAME [manual|set]...
 *   semaphore NAME INITIAL MAXIMUM
 *   mutex NAME
 *   timer NAME [manual]
 *   job NAME [kill]          kill: when its last handle closes
 *   temporary NAME BYTES
 *   handle NAME BYTES        a handle-bound mapping
 *   outside FILE BYTES       a file outside the mount
 *   bound NAME FILE          a mapping of it
 *   open NAME                the next of fds, O_RDWR
 *   view NAME                of two pages, shared
 *   words NAME WORD...       written to it; "@0": through that handle of fds
 *   take @N                  waits for it
 *   child                    a process that waits to be killed */
void world_make(struct world *world, struct sys *sys, struct mapping_mount *mount,
		const char *words);
/* Removes it all. False: something stays. */
bool world_remove(struct world *world);
/* Names with type, mode, owner, links, identity, size, content and attributes; external files; and
 * the mount's handles, committed bytes, bound files and orphans. malloc'd. */
char *world_describe(const struct world *world);

#endif
