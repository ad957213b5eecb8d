/* What happens to objects, told while somebody watches; part of core.h's door. Nobody is told
 * twice; what a worker had not told when it died is lost, and so is what happened before the next
 * one was watched.
 *
 * An event is told after it was committed. Its name is looked up only when it is asked for. */
#ifndef MAPPINGFS_CORE_EVENTS_H
#define MAPPINGFS_CORE_EVENTS_H

#include "core/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct core;

enum core_event_kind {
	CORE_EVENT_CREATED,   /* it has a name now, its first */
	CORE_EVENT_LINKED,    /* one more name */
	CORE_EVENT_RENAMED,   /* `from` is the name before; of directories, too */
	CORE_EVENT_OPENED,    /* one more handle */
	CORE_EVENT_LAST_VIEW, /* nothing holds it any more: neither handle nor view */
	CORE_EVENT_FLUSHED,
	CORE_EVENT_FAILED,  /* so did a flush */
	CORE_EVENT_REMOVED, /* a name is gone */
	CORE_EVENT_KINDS,
};

enum core_removal { /* why a name went */
		    CORE_REMOVED_UNLINK,
		    CORE_REMOVED_REPLACED,  /* another was renamed over it */
		    CORE_REMOVED_TEMPORARY, /* the last handle and view of a temporary object */
		    CORE_REMOVED_HANDLE,    /* the last handle of a handle-bound object */
};

/* A name in a directory; name NULL: wherever the inode is. */
struct core_event_name {
	uint64_t parent; /* node */
	const char *name;
};

struct core_event {
	enum core_event_kind kind;
	uint64_t node;
	struct core_event_name at;
	int at_directory;            /* > 0: the parent of `at` has no node any more, and is this */
	struct core_event_name from; /* RENAMED */
	const struct stat *st;       /* the tree's word on the inode; NULL from who has none */
	int flags;                   /* OPENED: of open(2) */
	int error;                   /* FAILED: -errno */
	bool by_us;                  /* FLUSHED, FAILED: nobody asked, the last view went */
	enum core_removal removal;   /* REMOVED */
	nlink_t links;               /* REMOVED: names left */
	/* filled in for the listener */
	enum object_type type;
	bool directory;
	uint64_t time; /* CLOCK_REALTIME ns */
	uint32_t failures;
	int fd; /* O_PATH, of the inode in the tree, or -1: core_event_path()'s */
};

/* Turns the telling on and off. Again on: somebody else wants to know, too. */
void core_observe(struct core *core, bool on);

/* For the listener, during the call: a name as a path relative to `directory`, a descriptor of
 * core_watch_directory(), or for -1 to the root of the mount. Its length, or -ENOENT: it has none,
 * or none there. */
int core_event_path(struct core *core, const struct core_event *event,
		    const struct core_event_name *name, int directory, char *buffer, size_t size);

/* A descriptor that stands for a directory wherever it is moved: the caller's to close. */
int core_watch_directory(struct core *core, uint64_t node);

#endif
