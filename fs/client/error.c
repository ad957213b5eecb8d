#include "fs/client/internal.h"

#include "core/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int mapping_fail(struct mapping_error *error, int code, const char *format, ...)
{
	va_list args;

	if (error) {
		error->code = code;
		va_start(args, format);
		vsnprintf(error->text, sizeof error->text, format, args);
		va_end(args);
	}
	return -code;
}

const char *mapping_advice(int code)
{
	static const struct {
		int code;
		const char *text;
	} table[] = {
	    {EACCES, "check owner and mode of the name and its directory"},
	    {EEXIST, "choose another name, or remove the one in use"},
	    {EBADF, "open it for what you want to do, and give that descriptor"},
	    {EMFILE, "close some descriptors of this program, or raise its limit"},
	    {ENAMETOOLONG, "a name has at most 255 bytes, a path 4095"},
	    {ENOENT, "see what is there with `mapctl ls`"},
	    {ENOSPC, "see limits and their use with `mapctl status`, and `df` on the directory"},
	    {ENOTCONN, "the file system is dead; unmount it and mount it again"},
	    {ENOTDIR, "a part of the path is no directory"},
	    {EROFS, "the mount is read-only"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].code == code)
			return table[i].text;
	return NULL;
}

int mapping_fail_errno(struct mapping_error *error, int code, const char *what)
{
	const char *why = strerrordesc_np(code), *todo = mapping_advice(code);

	return mapping_fail(error, code, "%s: %s%s%s", what, why ? why : "unknown error",
			    todo ? "; " : "", todo ? todo : "");
}
