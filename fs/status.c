#include "core/proc.h"
#include "core/util.h"
#include "fs/worker.h"

#include <dirent.h>
#include <jansson.h>

static int open_descriptors(void)
{
	DIR *dir = opendir(proc_own_descriptors());
	int count = -3; /* ".", ".." and the directory itself */

	if (!dir)
		return -1;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* What the lifetime "handle" means here. */
static const char *handle_lifetime(const struct worker *worker)
{
	return worker->passthrough ? "handle"
				   : "temporary: without passthrough the kernel tells of the last "
				     "handle only after the last view";
}

static json_t *upgrade_json(const struct handover *h)
{
	static const char *const states[] = {"none", "running", "done", "refused", "failed"};
	const uint32_t state = h->live.upgrade_state;

	return json_pack("{s:i s:s s:s s:f}", "number", (int)h->live.upgrade_number, "state",
			 states[state < ARRAY_SIZE(states) ? state : 0], "text",
			 h->live.upgrade_text, "stall_ms", (double)h->live.upgrade_usec / 1000);
}

char *status_text(void *context)
{
	struct worker *worker = context;
	const struct handover *h = worker->handover;
	struct core_usage u;
	json_t *json;
	char *text;

	core_usage(worker->core, &u);
	json = json_pack(
	    "{s:s s:s s:s s:s s:s s:s s:i s:i s:i s:I s:I s:f s:I s:I s:I s:I s:I s:I s:I s:I s:I "
	    "s:s s:i}",
	    "version", MAPPINGFS_VERSION, "mountpoint", h->config.mountpoint, "source",
	    h->config.source, "mode", worker->passthrough ? "passthrough" : "cached", "mode_reason",
	    h->live.mode_reason, "handle_lifetime", handle_lifetime(worker), "supervisor_pid",
	    h->config.supervisor_pid, "standby_pid", h->live.standby_pid, "worker_pid",
	    (int)getpid(), "takeovers", (json_int_t)h->live.takeovers, "restarts",
	    (json_int_t)h->live.restarts, "uptime_seconds",
	    (double)(clock_ns(CLOCK_REALTIME) - h->config.mounted_at) / 1e9, "limit_bytes",
	    (json_int_t)u.limit, "committed_bytes", (json_int_t)u.committed, "resident_bytes",
	    (json_int_t)u.committed, "objects_known", (json_int_t)u.objects_known, "handles",
	    (json_int_t)u.handles, "flushes", (json_int_t)u.flushes, "flush_failures",
	    (json_int_t)u.flush_failures, "flushes_failing", (json_int_t)u.flushes_failing,
	    "bound_files", (json_int_t)u.bound, "store", h->config.store, "worker_fds",
	    open_descriptors());
	if (json) {
		json_object_set_new(json, "confinement", confine_status(h, &worker->confinement));
		json_object_set_new(json, "supervisor_version",
				    json_string(h->live.supervisor_version));
		json_object_set_new(json, "upgrade", upgrade_json(h));
	}
	text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
	json_decref(json);
	return text;
}
