/* What clients of a store did, and when: each moment is a position in the disk's log (disk.h). A
 * call that began at `from` can have left nothing before it; what it promised holds from `to` on,
 * the position after it returned. */
#ifndef MAPPINGFS_TESTS_SYS_POWER_MODEL_H
#define MAPPINGFS_TESTS_SYS_POWER_MODEL_H

#include "tests/sys/disk.h"

#define POWER_CLIENTS  3
#define POWER_OBJECTS  1000 /* a client */
#define POWER_VERSIONS 6
#define POWER_NAMES    5
#define POWER_FLUSHES  12
#define POWER_LIVE     10 /* objects a client has at a time */
#define POWER_LIMIT    (4ULL << 20)
#define POWER_NEVER    UINT64_MAX
#define POWER_PAGE     4096U
#define POWER_MAXIMUM  100U /* semaphores; they begin at 1 */

enum power_kind {
	POWER_PLAIN,     /* open(O_CREAT) */
	POWER_MADE,      /* with attributes, by the library: a size, sparse */
	POWER_HIDDEN,    /* the same over a hidden name, as where there is no O_TMPFILE */
	POWER_SEMAPHORE, /* a version more: one release more */
	POWER_BOUND,
	POWER_TEMPORARY,
	POWER_KINDS
};

struct power_object {
	enum power_kind kind;
	uint32_t pages;
	uint64_t version_from[POWER_VERSIONS];
	uint32_t versions; /* begun */
	struct {
		char path[48]; /* in the mount */
		uint64_t from;
	} names[POWER_NAMES];
	uint32_t name_count; /* 0: there is no such object */
	struct {
		int version; /* -1: only the name */
		uint32_t name;
		uint64_t to;
	} flushes[POWER_FLUSHES];
	uint32_t flush_count;
	uint64_t gone_from, gone_to;
	bool used; /* opened after it was made */
};

struct power_client {
	unsigned id;
	uint64_t ready; /* its directories are durable */
	struct power_object objects[POWER_OBJECTS];
	uint32_t count;
	uint64_t operations, flushes, last_view_flushes;
	uint64_t drawn;
};

struct power {
	volatile int stop;
	const char *mnt, *fs;
	const struct disk *disk;
	struct power_client clients[POWER_CLIENTS];
};

struct power_run {
	struct power *power;
	unsigned id;
};

/* For sys_fork(): a client, until power->stop or its table is full. */
int power_client_run(void *run);
/* Word `word` of a page. */
uint64_t power_word(unsigned client, uint32_t object, uint32_t version, uint32_t page,
		    uint32_t word);
void power_external(const struct power *power, unsigned client, uint32_t object, char *path,
		    size_t size);
mode_t power_mode(uint32_t version);

struct power_seen {
	uint64_t objects, flushed, gone, bound, bytes;
};

/* Compares the mounted store with what may and must be there at the position. Fails the test. */
void power_check(const struct power *power, uint64_t position, struct power_seen *seen);

#endif
