/* /proc/self/mountinfo, the lines of our type. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <stdio.h>
#include <string.h>

/* Blanks, newlines and backslashes in paths are written \ooo. In place. */
static void unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		unsigned code;

		if (in[0] == '\\' && sscanf(in, "\\%3o", &code) == 1) {
			*out++ = (char)code;
			in += 3;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
}

/* id parent major:minor root point options [optional...] - type source super-options */
static bool parse_line(char *text, struct mount_line *out)
{
	char *type = strstr(text, " - "), *root, *point, *rest;
	unsigned long long id;
	int at = 0;

	if (!type || strncmp(type + 3, "fuse.mappingfs ", 15) != 0)
		return false;
	if (sscanf(text, "%llu %*u %u:%u %n", &id, &out->device_major, &out->device_minor, &at) !=
		3 ||
	    !at)
		return false;
	rest = text + at;
	root = strsep(&rest, " ");
	point = strsep(&rest, " ");
	if (!root || !point || !rest)
		return false;
	unescape(root);
	unescape(point);
	out->id = id;
	out->root = strdup(root);
	out->point = strdup(point);
	return true;
}

static int append(struct mount_lines *lines, struct mount_line *line)
{
	struct mount_line *grown =
	    reallocarray(lines->lines, lines->count + 1, sizeof *lines->lines);

	if (grown)
		lines->lines = grown;
	if (!grown || !line->root || !line->point) {
		free(line->root);
		free(line->point);
		return -ENOMEM;
	}
	lines->lines[lines->count++] = *line;
	return 0;
}

int mount_lines_read(const char *path, struct mount_lines *out)
{
	AUTO_FREE char *text = NULL;
	size_t capacity = 0;
	FILE *file = fopen(path, "re");
	int rc = 0;

	*out = (struct mount_lines){0};
	if (!file)
		return -errno;
	while (!rc && getline(&text, &capacity, file) > 0) {
		struct mount_line line;

		if (parse_line(text, &line))
			rc = append(out, &line);
	}
	fclose(file);
	if (rc)
		mount_lines_finish(out);
	return rc;
}

void mount_lines_finish(struct mount_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		free(lines->lines[i].root);
		free(lines->lines[i].point);
	}
	free(lines->lines);
	*lines = (struct mount_lines){0};
}
