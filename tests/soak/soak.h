/* mappingsoak: mixed load on several mounts, chaos, and a balance of everything after each round.
 *
 * What the processes share lies in anonymous shared memory, not on the mounts, and outlives each of
 * them: the model of every load's objects, its journal, and the figures. A load says in its journal
 * what it is about to change, changes it, and then notes the change in the model; so a SIGKILL
 * leaves at most one operation a process of which nobody knows whether it was carried out. Who
 * comes after (recover.c) accepts both outcomes of that one, and nothing else. */
#ifndef MAPPINGFS_TESTS_SOAK_H
#define MAPPINGFS_TESTS_SOAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	SOAK_MOUNTS = 3,
	SOAK_LOADS = 8, /* a mount, at most */
	SOAK_NAMES = 12,
	SOAK_PAGES = 24, /* of an object, at most */
	SOAK_OPS = 48,
	SOAK_TOKENS = 4, /* of the semaphore that a mount's loads share */
	SOAK_PATH = 256,
	SOAK_PATIENCE = 100, /* seconds in which what must come true does */
	SOAK_HANG = 200,     /* seconds after which an operation hangs */
};

/* An object of a load, as it must be. */
struct entry {
	uint8_t exists, attribute;
	uint16_t pages, stamped; /* pages from `stamped` on are zero */
	uint32_t unused;
	uint64_t stamp; /* what its contents are made from */
};

enum journal_kind {
	JOURNAL_NONE,
	JOURNAL_NAMES,     /* names k and l become what is noted */
	JOURNAL_SEMAPHORE, /* the load's own semaphore gets the value noted */
	JOURNAL_EVENT,     /* the same of its event */
	JOURNAL_TAKE,      /* a shared token */
	JOURNAL_GIVE,
	JOURNAL_LOCK, /* the shared mutex is being taken, or released */
};

struct journal {
	volatile uint32_t kind;
	uint32_t k, l, value;
	struct entry k_after, l_after;
};

struct op_figures {
	uint64_t done, full; /* full: refused because the mount was full, which it was */
	uint64_t longest_ns;
};

/* One load process and those that come after it. */
struct load {
	uint32_t mount, number;
	uid_t uid;
	volatile pid_t pid; /* 0: none runs */
	volatile uint32_t freezes, lives;
	volatile bool killed; /* by us */
	volatile uint32_t op; /* that runs, since: */
	volatile uint64_t since;
	struct entry names[SOAK_NAMES];
	uint32_t semaphore, event; /* what its own have */
	uint32_t tokens;           /* it holds */
	uint64_t stamps;
	struct journal journal;
	struct op_figures figures[SOAK_OPS];
};

/* What the loads of one mount share. */
struct common {
	char path[SOAK_PATH];  /* of the mount */
	char files[SOAK_PATH]; /* directory of plain files to bind */
	bool cached, store;
	volatile uint32_t filling;          /* odd: somebody takes all the room */
	volatile uint32_t lost_tokens;      /* at most so many, in this round */
	volatile uint64_t counter;          /* what the counter under the mutex must be */
	volatile uint32_t owner;            /* load + 1 that surely owns the mutex */
	volatile uint32_t abandoned;        /* by an owner that surely was one */
	volatile uint32_t abandoned_unsure; /* by one that may have been */
	volatile uint32_t lock_deaths;      /* loads killed while they took or released it */
};

struct soak {
	uint64_t seed;
	uint32_t mounts, loads; /* loads a mount */
	volatile bool stop;     /* loads come to an end */
	volatile bool every;    /* ... once each operation has been done */
	volatile uint32_t violations;
	volatile uint32_t disk_faults;    /* so many flushes may have failed */
	volatile uint32_t flushes_failed; /* and so many callers were told */
	struct common common[SOAK_MOUNTS];
	struct load load[SOAK_MOUNTS][SOAK_LOADS];
};

extern struct soak *soak;
extern const char *soak_programs; /* directory of mappingfs and mapctl */
extern const char *soak_python;   /* directory of the Python module; NULL: without */

void soak_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says it and counts it. */
void soak_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* random.c: splitmix64; each process seeds its own */
void random_seed(uint64_t a, uint64_t b, uint64_t c);
uint64_t random_next(void);
unsigned pick(unsigned below);

#endif
