/* TOP: every object in use, with its views. root sees all, others what they own. */
#include "fs/control_internal.h"

#include "core/core.h"
#include "core/util.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct control_top {
	struct control_scan scan;
	struct core_top *top;
	uid_t uid;
};

static json_t *known(int64_t number)
{
	return number < 0 ? json_null() : json_integer(number);
}

/* Names are bytes and JSON is not: one that is no UTF-8 is told in hexadecimal as well. */
static void add_name(json_t *json, const char *name)
{
	json_t *text = name ? json_string(name) : json_null();
	char *hex, *plain;

	if (text) {
		json_object_set_new(json, "name", text);
		return;
	}
	plain = strdup(name);
	hex = malloc(strlen(name) * 2 + 1);
	for (size_t i = 0; plain && hex && name[i]; i++) {
		sprintf(hex + 2 * i, "%02x", (unsigned char)name[i]);
		if ((unsigned char)name[i] >= 0x80)
			plain[i] = '?';
	}
	if (plain && hex) {
		json_object_set_new(json, "name", json_string(plain));
		json_object_set_new(json, "name_hex", json_string(hex));
	}
	free(plain);
	free(hex);
}

static json_t *object_json(const struct core_top_object *object)
{
	json_t *json = json_object();

	add_name(json, object->name);
	json_object_set_new(json, "inode", json_integer((json_int_t)object->inode));
	json_object_set_new(json, "type", json_string(object_type_name(object->type)));
	json_object_set_new(json, "lifetime", json_string(core_lifetime_name(object->lifetime)));
	json_object_set_new(json, "uid", json_integer(object->owner));
	json_object_set_new(json, "size", json_integer((json_int_t)object->size));
	json_object_set_new(json, "resident", known(object->resident));
	json_object_set_new(json, "dirty", known(object->dirty));
	json_object_set_new(json, "views", json_integer(object->views));
	json_object_set_new(json, "handles", json_integer(object->handles));
	json_object_set_new(json, "flushes", json_integer(object->flushes));
	json_object_set_new(json, "failures", json_integer(object->failures));
	if (object->error)
		json_object_set_new(json, "error", json_string(strerrorname_np(object->error)));
	return json;
}

static json_t *totals_json(const struct core_top_result *result)
{
	json_int_t size = 0, resident = 0, dirty = 0, views = 0, handles = 0, flushes = 0,
		   failed = 0;

	for (size_t i = 0; i < result->count; i++) {
		const struct core_top_object *object = &result->objects[i];

		size += (json_int_t)object->size;
		resident += object->resident > 0 ? object->resident : 0;
		dirty += object->dirty > 0 ? object->dirty : 0;
		views += object->views;
		handles += object->handles;
		flushes += object->flushes;
		failed += object->failures;
	}
	return json_pack("{s:I s:I s:I s:I s:I s:I s:I s:I}", "objects", (json_int_t)result->count,
			 "size", size, "resident", resident, "dirty", dirty, "views", views,
			 "handles", handles, "flushes", flushes, "failures", failed);
}

static json_t *result_json(const struct core_top_result *result)
{
	json_t *objects = json_array();

	for (size_t i = 0; i < result->count; i++)
		json_array_append_new(objects, object_json(&result->objects[i]));
	return json_pack("{s:o s:o s:I s:I s:f}", "objects", objects, "totals", totals_json(result),
			 "omitted", (json_int_t)result->omitted, "unreadable",
			 (json_int_t)result->unreadable, "time",
			 (double)clock_ns(CLOCK_REALTIME) / 1e9);
}

static int prepare(struct control_scan *scan)
{
	struct control_top *top = CONTAINER_OF(scan, struct control_top, scan);

	return core_top_begin(scan->control->config.core, top->uid == 0, top->uid, &top->top);
}

static int look(struct control_scan *scan)
{
	struct control_top *top = CONTAINER_OF(scan, struct control_top, scan);
	struct core_top_result result;
	AUTO_FREE char *text = NULL;
	json_t *json;
	int rc = core_top_look(top->top, top->uid == 0, top->uid, &result);

	if (rc < 0)
		return rc;
	json = result_json(&result);
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text ? control_text_fd(text) : -ENOMEM;
}

static void release(struct control_scan *scan)
{
	struct control_top *top = CONTAINER_OF(scan, struct control_top, scan);

	core_top_end(top->top);
	free(top);
}

int control_top(struct control_client *client, const struct control_request *request,
		struct control_answer *answer)
{
	struct control_top *top = calloc(1, sizeof *top);

	(void)request;
	if (!top)
		return control_fail(answer, ENOMEM, "no memory left");
	*top = (struct control_top){
	    .scan = {.type = WIRE_TOP, .prepare = prepare, .look = look, .release = release},
	    .uid = client->uid};
	return control_scan(client, &top->scan);
}
