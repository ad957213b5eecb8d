/* core's counters as JSON: for those who look for leaks. */
#include "core/util.h"
#include "fs/worker.h"

#include <jansson.h>

static const struct {
	const char *name;
	size_t offset;
} counters[] = {
#define COUNTER(field)                                                                             \
	{                                                                                          \
#field, offsetof(struct core_counters, field)                                      \
	}
    COUNTER(slots),       COUNTER(slots_high),  COUNTER(slots_free),
    COUNTER(backing_ids), COUNTER(watches),     COUNTER(flushes_due),
    COUNTER(orphans),     COUNTER(bindings),    COUNTER(descriptors_bound),
    COUNTER(timers),      COUNTER(probes),      COUNTER(alarms),
    COUNTER(waits),       COUNTER(wait_queues), COUNTER(wait_handles),
    COUNTER(members),     COUNTER(accounts),
#undef COUNTER
};

char *status_counters_text(struct worker *worker)
{
	json_t *json = json_object();
	struct core_counters values;
	char *text;

	core_counters(worker->core, &values);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		uint64_t value;

		memcpy(&value, (const char *)&values + counters[i].offset, sizeof value);
		json_object_set_new(json, counters[i].name, json_integer((json_int_t)value));
	}
	text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
	json_decref(json);
	return text;
}
