#include "core/types.h"

const char *object_type_name(enum object_type type)
{
	static const char *const names[OBJECT_TYPES] = {
	    [OBJECT_MAPPING] = "mapping",     [OBJECT_EVENT] = "event",
	    [OBJECT_SEMAPHORE] = "semaphore", [OBJECT_MUTEX] = "mutex",
	    [OBJECT_TIMER] = "timer",         [OBJECT_JOB] = "job",
	};

	return type < OBJECT_TYPES ? names[type] : "unknown";
}

const char *core_lifetime_name(enum core_lifetime value)
{
	static const char *const names[CORE_LIFETIMES] = {
	    [CORE_PERMANENT] = "permanent",
	    [CORE_TEMPORARY] = "temporary",
	    [CORE_HANDLE_BOUND] = "handle",
	};

	return value < CORE_LIFETIMES ? names[value] : "unknown";
}

const char *wait_result_name(enum wait_result result)
{
	static const char *const names[] = {
	    [WAIT_SIGNALED] = "signaled",
	    [WAIT_ACQUIRED] = "acquired",
	    [WAIT_WAS_ABANDONED] = "abandoned",
	};

	return names[result];
}
