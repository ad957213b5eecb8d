/* An event as one line of JSON. Pure: no I/O. */
#ifndef MAPPINGFS_FS_EVENT_LINE_H
#define MAPPINGFS_FS_EVENT_LINE_H

#include "core/events.h"

#include <stddef.h>

/* Its length, without a line end; the line is whole in WIRE_EVENT_MAX bytes whatever the names.
 * name, from: NULL: none. A name that is no UTF-8 is told in hexadecimal as well (name_hex,
 * from_hex). */
size_t event_line(char *buffer, size_t size, const struct core_event *event, const char *name,
		  const char *from);
size_t event_line_lost(char *buffer, size_t size, uint64_t count, uint64_t time);

#endif
