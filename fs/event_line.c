#include "fs/event_line.h"

#include "core/util.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct line {
	char *at, *end;
};

static __attribute__((format(printf, 2, 3))) void put(struct line *line, const char *format, ...)
{
	const size_t room = (size_t)(line->end - line->at);
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line->at, room, format, args);
	va_end(args);
	line->at += (size_t)length < room ? (size_t)length : room - 1;
}

/* Length of the UTF-8 sequence (RFC 3629) at text; 0: it is none. */
static size_t sequence(const unsigned char *text)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = {
	    {0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		uint32_t code = *text & (unsigned char)~forms[i].mask;
		size_t more = 0;

		if ((*text & forms[i].mask) != forms[i].lead)
			continue;
		while (more < i && (text[more + 1] & 0xc0) == 0x80)
			code = code << 6 | (text[++more] & 0x3fU);
		if (more < i || code < forms[i].least || code > 0x10ffff ||
		    (code >= 0xd800 && code < 0xe000))
			return 0;
		return i + 1;
	}
	return 0;
}

/* True: every byte is told. */
static bool put_text(struct line *line, const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	bool whole = true;

	put(line, "\"");
	while (*c) {
		size_t length = sequence(c);

		if (!length) {
			put(line, "\xef\xbf\xbd");
			whole = false;
			length = 1;
		} else if (*c == '"' || *c == '\\') {
			put(line, "\\%c", *c);
		} else if (*c < 0x20) {
			put(line, "\\u%04x", *c);
		} else {
			put(line, "%.*s", (int)length, (const char *)c);
		}
		c += length;
	}
	put(line, "\"");
	return whole;
}

static void put_name(struct line *line, const char *key, const char *name)
{
	put(line, ",\"%s\":", key);
	if (!name) {
		put(line, "null");
		return;
	}
	if (put_text(line, name))
		return;
	put(line, ",\"%s_hex\":\"", key);
	for (const char *c = name; *c; c++)
		put(line, "%02x", (unsigned char)*c);
	put(line, "\"");
}

static void put_time(struct line *line, uint64_t time)
{
	put(line, ",\"time\":%" PRIu64 ".%09" PRIu64, time / 1000000000, time % 1000000000);
}

static const char *access_of(int flags)
{
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return "r";
	case O_WRONLY:
		return "w";
	default:
		return "rw";
	}
}

static void put_details(struct line *line, const struct core_event *event, const char *from)
{
	static const char *const reasons[] = {[CORE_REMOVED_UNLINK] = "unlink",
					      [CORE_REMOVED_REPLACED] = "replaced",
					      [CORE_REMOVED_TEMPORARY] = "temporary",
					      [CORE_REMOVED_HANDLE] = "handle"};
	const char *error = strerrorname_np(-event->error);

	switch (event->kind) {
	case CORE_EVENT_RENAMED:
		put_name(line, "from", from);
		break;
	case CORE_EVENT_OPENED:
		put(line, ",\"access\":\"%s\"", access_of(event->flags));
		break;
	case CORE_EVENT_FAILED:
		put(line, ",\"error\":\"%s\",\"failures\":%" PRIu32, error ? error : "unknown",
		    event->failures);
		/* fallthrough */
	case CORE_EVENT_FLUSHED:
		put(line, ",\"by\":\"%s\"", event->by_us ? "last-view" : "fsync");
		break;
	case CORE_EVENT_REMOVED:
		put(line, ",\"reason\":\"%s\",\"links\":%lu", reasons[event->removal],
		    (unsigned long)event->links);
		break;
	default:
		break;
	}
}

size_t event_line(char *buffer, size_t size, const struct core_event *event, const char *name,
		  const char *from)
{
	static const char *const kinds[] = {
	    [CORE_EVENT_CREATED] = "created",     [CORE_EVENT_LINKED] = "linked",
	    [CORE_EVENT_RENAMED] = "renamed",     [CORE_EVENT_OPENED] = "opened",
	    [CORE_EVENT_LAST_VIEW] = "last-view", [CORE_EVENT_FLUSHED] = "flushed",
	    [CORE_EVENT_FAILED] = "failed",       [CORE_EVENT_REMOVED] = "removed"};
	struct line line = {buffer, buffer + size};

	put(&line, "{\"event\":\"%s\"", kinds[event->kind]);
	put_name(&line, "name", name);
	put(&line, ",\"inode\":%" PRIu64 ",\"type\":\"%s\",\"uid\":%" PRIu32,
	    (uint64_t)event->st->st_ino,
	    event->directory ? "directory" : object_type_name(event->type), event->st->st_uid);
	put_time(&line, event->time);
	put_details(&line, event, from);
	put(&line, "}");
	return (size_t)(line.at - buffer);
}

size_t event_line_lost(char *buffer, size_t size, uint64_t count, uint64_t time)
{
	struct line line = {buffer, buffer + size};

	put(&line, "{\"event\":\"lost\",\"count\":%" PRIu64, count);
	put_time(&line, time);
	put(&line, "}");
	return (size_t)(line.at - buffer);
}
