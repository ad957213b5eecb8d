/* What an object can be. The numbers are kept on inodes and sent over the control socket: new ones
 * are added at the end. */
#ifndef MAPPINGFS_CORE_TYPES_H
#define MAPPINGFS_CORE_TYPES_H

enum object_type {
	OBJECT_MAPPING,
	OBJECT_EVENT,
	OBJECT_SEMAPHORE,
	OBJECT_MUTEX,
	OBJECT_TIMER,
	OBJECT_JOB,
	OBJECT_TYPES,
};

enum core_lifetime {
	CORE_PERMANENT,    /* until unlink */
	CORE_TEMPORARY,    /* name goes with the last handle and view */
	CORE_HANDLE_BOUND, /* name goes with the last handle; without passthrough as temporary */
	CORE_LIFETIMES,
};

/* What a wait that was granted says. */
enum wait_result { WAIT_SIGNALED, WAIT_ACQUIRED, WAIT_WAS_ABANDONED };

const char *object_type_name(enum object_type type);      /* "event" */
const char *core_lifetime_name(enum core_lifetime value); /* "temporary" */
const char *wait_result_name(enum wait_result result);    /* "abandoned" */

#endif
