#include "core/proc.h"
#include "core/util.h"
#include "fs/control.h"
#include "fs/worker.h"

#include <dirent.h>
#include <jansson.h>
#include <string.h>

#define FAILING_SHOWN 16

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

/* Some of those whose flush is owed: what, why, since when, and when it is tried again. */
static json_t *failing_json(struct core *core)
{
	struct core_failing failing[FAILING_SHOWN];
	size_t count = core_failing(core, failing, FAILING_SHOWN);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		const struct core_failing *one = &failing[i];
		const char *error = strerrorname_np(one->error);
		json_t *file = json_string(one->file);

		json_array_append_new(
		    list,
		    json_pack("{s:I s:o s:s s:i s:I s:f}", "inode", (json_int_t)one->inode, "file",
			      file ? file : json_null(), "error", error ? error : "EIO", "tries",
			      (int)one->tries, "since", (json_int_t)one->since, "next_try",
			      (double)one->next_try / 1e9));
	}
	return list;
}

/* What does not go as it should, though everything goes on. */
static json_t *troubles_json(const struct core_usage *u)
{
	const struct {
		bool there;
		const char *text;
	} rows[] = {
	    {u->leases_refused, "leases are refused: the end of objects is found by looking "
				"through /proc"},
	    {u->watches_lacking,
	     "no inotify watches left (fs.inotify.max_user_watches, max_user_instances): the end "
	     "of objects is found by looking now and then"},
	    {u->descriptors_lacking, "descriptors ran out (RLIMIT_NOFILE, fs.file-max): "
				     "everything is opened anew"},
	};
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].there)
			json_array_append_new(list, json_string(rows[i].text));
	return list;
}

enum { USERS_TOLD = 256 };

static json_t *user_json(const struct core_user *user, uint32_t connections)
{
	return json_pack("{s:I s:I s:I s:I s:I s:I}", "uid",
			 user->uid == (uid_t)-1 ? (json_int_t)-1 : (json_int_t)user->uid, "objects",
			 (json_int_t)user->objects, "bytes", (json_int_t)user->bytes, "waits",
			 (json_int_t)user->waits, "wait_handles", (json_int_t)user->handles,
			 "connections", (json_int_t)connections);
}

/* Each user's use, against the limits of each. */
static void add_users(json_t *json, const struct worker *worker, uid_t uid)
{
	static struct core_user users[USERS_TOLD]; /* large, and there is one thread */
	const struct handover *h = worker->handover;
	uint32_t count = core_users(worker->core, users, USERS_TOLD, uid == 0, uid);
	json_t *list = json_array();

	for (uint32_t i = 0; i < count && i < USERS_TOLD; i++)
		json_array_append_new(
		    list, user_json(&users[i], control_connections(worker->control, users[i].uid)));
	json_object_set_new(json, "users", list);
	json_object_set_new(json, "users_omitted",
			    json_integer(count > USERS_TOLD ? count - USERS_TOLD : 0));
	json_object_set_new(
	    json, "user_limits",
	    json_pack("{s:I s:I s:I s:I}", "objects", (json_int_t)h->config.user_objects, "bytes",
		      (json_int_t)h->config.user_size, "waits", (json_int_t)h->config.user_waits,
		      "connections", (json_int_t)h->config.user_connections));
}

static json_t *upgrade_json(const struct handover *h)
{
	static const char *const states[] = {"none", "running", "done", "refused", "failed"};
	const uint32_t state = h->live.upgrade_state;

	return json_pack("{s:i s:s s:s s:f}", "number", (int)h->live.upgrade_number, "state",
			 states[state < ARRAY_SIZE(states) ? state : 0], "text",
			 h->live.upgrade_text, "stall_ms", (double)h->live.upgrade_usec / 1000);
}

char *status_text(void *context, uid_t uid)
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
		json_object_set_new(json, "event_overflows", json_integer((json_int_t)u.overflows));
		json_object_set_new(json, "troubles", troubles_json(&u));
		json_object_set_new(json, "failing", failing_json(worker->core));
		json_object_set_new(json, "supervisor_version",
				    json_string(h->live.supervisor_version));
		json_object_set_new(json, "upgrade", upgrade_json(h));
		add_users(json, worker, uid);
	}
	text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
	json_decref(json);
	return text;
}
