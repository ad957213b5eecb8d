#include "fs/mapctl/mapctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flush_result parse_flush(const char *text)
{
	struct flush_result out = {0};
	long long seconds = 0, errors = 0, since = 0, next = 0;
	char time[48] = "";

	if (sscanf(text, "%31s %47s %lld %lld %lld", out.result, time, &errors, &since, &next) < 1)
		return out;
	sscanf(time, "%lld", &seconds);
	out.seconds = seconds;
	out.time = strtod(time, NULL);
	out.errors = errors;
	out.since = since;
	out.next = next;
	return out;
}

const char *format_flush(const struct mapping_info *info, char out[FLUSH_ROOM])
{
	struct flush_result flush = parse_flush(info->flush);
	char when[FORMAT_ROOM], next[FORMAT_ROOM], errors[40] = "";

	if (!flush.result[0])
		return "-";
	if (!flush.seconds)
		return strcpy(out, flush.result);
	if (flush.since) {
		format_time(flush.since, when);
		snprintf(out, FLUSH_ROOM, "FAILING %s since %s (%lld failed), next try %s",
			 flush.result, when, (long long)flush.errors,
			 format_time(flush.next, next));
		return out;
	}
	if (flush.errors)
		snprintf(errors, sizeof errors, " (%lld failed)", (long long)flush.errors);
	snprintf(out, FLUSH_ROOM, "%s %s%s", flush.result, format_time(flush.seconds, when),
		 errors);
	return out;
}

static json_t *number_json(int64_t number)
{
	return number == MAPPING_UNKNOWN ? json_null() : json_integer(number);
}

static json_t *known_text_json(const char *text)
{
	return *text ? text_json(text) : json_null();
}

static json_t *some_json(int64_t number)
{
	return number ? json_integer(number) : json_null();
}

static json_t *flush_json(const char *text)
{
	struct flush_result flush = parse_flush(text);

	if (!flush.result[0])
		return json_null();
	return json_pack("{s:s, s:o, s:I, s:o, s:o}", "result", flush.result, "time",
			 flush.seconds ? json_real(flush.time) : json_null(), "errors",
			 (json_int_t)flush.errors, "failing_since", some_json(flush.since),
			 "next_try", some_json(flush.next));
}

static json_t *creator_json(const struct mapping_info *info)
{
	if (info->creator_uid == MAPPING_UNKNOWN)
		return json_null();
	return json_pack("{s:I, s:o, s:o}", "uid", (json_int_t)info->creator_uid, "pid",
			 number_json(info->creator_pid), "time",
			 info->created.tv_sec ? json_real((double)info->created.tv_sec +
							  (double)info->created.tv_nsec / 1e9)
					      : json_null());
}

/* Names are bytes and JSON is not: one that is no UTF-8 is told in hexadecimal as well. */
static void add_bytes(json_t *json, const char *name)
{
	char *hex, *at;

	if (json_object_set_new(json, "name", text_json(name)) ||
	    !strcmp(json_string_value(json_object_get(json, "name")), name))
		return;
	hex = at = malloc(strlen(name) * 2 + 1);
	if (!hex)
		return;
	for (const char *c = name; *c; c++)
		at += sprintf(at, "%02x", (unsigned char)*c);
	json_object_set_new(json, "name_hex", json_string(hex));
	free(hex);
}

json_t *entry_json(const char *name, const struct mapping_info *info)
{
	char mode[8];
	json_t *json = json_object();

	snprintf(mode, sizeof mode, "%04o", info->mode & 07777);
	add_bytes(json, name);
	json_object_set_new(json, "type", text_json(info->type_name));
	json_object_set_new(json, "mode", json_string(mode));
	json_object_set_new(json, "uid", json_integer(info->uid));
	json_object_set_new(json, "gid", json_integer(info->gid));
	json_object_set_new(json, "inode", json_integer((json_int_t)info->inode));
	json_object_set_new(json, "size", number_json(info->size));
	json_object_set_new(json, "committed", number_json(info->committed));
	json_object_set_new(json, "resident", number_json(info->resident));
	json_object_set_new(json, "backing", known_text_json(info->backing));
	json_object_set_new(json, "lifetime", known_text_json(info->lifetime));
	json_object_set_new(json, "handles", number_json(info->handles));
	json_object_set_new(json, "views", number_json(info->views));
	json_object_set_new(json, "flush", flush_json(info->flush));
	json_object_set_new(json, "state", known_text_json(info->state));
	json_object_set_new(json, "limit", number_json(info->limit));
	json_object_set_new(json, "creator", creator_json(info));
	return json;
}
