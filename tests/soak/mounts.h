/* The mounts of a run: making and ending them, asking them, and the balance of what they use. */
#ifndef MAPPINGFS_TESTS_SOAK_MOUNTS_H
#define MAPPINGFS_TESTS_SOAK_MOUNTS_H

#include "tests/soak/soak.h"

enum { BALANCE_MAX = 40, STATUS_BYTES = 65536 };

enum memory_kind { MEMORY_WORKER, MEMORY_SUPERVISOR, MEMORY_STATE, MEMORY_KINDS };

struct balance {
	int64_t numbers[BALANCE_MAX];
};

struct mounted {
	struct common *common;
	unsigned number;
	char options[SOAK_PATH * 2];
	char store[SOAK_PATH];             /* empty: in memory */
	pid_t supervisor, standby, worker; /* at the last look; -1: none */
	struct balance baseline;
	uint64_t model_bytes; /* at the baseline */
	int64_t restarts, restarts_seen;
	int64_t memory[MEMORY_KINDS][2]; /* KiB; most in the first half of the run, and in the
					  * second */
};

/* mounts.c: 0, or -1 with a violation said */
int mount_start(struct mounted *mounted);
int mount_end(struct mounted *mounted); /* nothing of it may be left */
/* Directories and objects that the loads start from. */
int mount_furnish(const struct mounted *mounted);

/* status.c: of the mount's JSON texts; -1: not there */
int64_t mount_number(const struct mounted *mounted, const char *key);
/* The whole text of an attribute of the root: true if it could be read. */
bool mount_text(const struct mounted *mounted, const char *attribute, char text[STATUS_BYTES]);
int64_t number_in(const char *json, const char *key);
/* /proc */
int count_fds(pid_t pid);
bool process_is(pid_t pid, const char *program);
int64_t private_memory(pid_t pid);      /* KiB of anonymous memory */
int64_t state_memory(pid_t supervisor); /* KiB of the state area */
uint64_t state_inode(pid_t supervisor); /* of the state area; 0: there is none */
int count_watches(pid_t supervisor);    /* inotify watches */

/* cgroups.c: those that the jobs of a mount have made and that are still there. What they are
 * called begins with the inode of its state area. */
unsigned cgroups_left(uint64_t inode);

/* balance.c */
/* The kernel forgets all names of the mount that nothing holds. */
bool mount_forget(const struct mounted *mounted);
/* Everything the kernel can forget is forgotten, and what goes by itself has gone: the numbers that
 * stay. */
void balance_take(struct mounted *mounted);
/* Comes back to the baseline within SOAK_PATIENCE, or that is a violation. What the
 * loads' objects take counts. */
void balance_check(struct mounted *mounted);
uint64_t model_bytes(const struct mounted *mounted);

/* growth.c: the daemon's own memory after a round, and whether the second half took more. calm: the
 * worker has lived through all of the round. */
void growth_note(struct mounted *mounted, bool second_half, bool calm);
void growth_check(const struct mounted *mounted);

#endif
