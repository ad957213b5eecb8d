/* Generic options of -o that are flags of mount(2). */
#include "core/util.h"
#include "fs/options.h"
#include "fs/options_internal.h"

#include <string.h>
#include <sys/mount.h>

/* What each sets and what it clears. */
static const struct {
	const char *name;
	unsigned long set, clear;
	bool user; /* fusermount3 takes it from an ordinary user */
} flags[] = {
    {"ro", MS_RDONLY, 0, true},
    {"rw", 0, MS_RDONLY, true},
    {"nosuid", MS_NOSUID, 0, true},
    {"suid", 0, MS_NOSUID, false},
    {"nodev", MS_NODEV, 0, true},
    {"dev", 0, MS_NODEV, false},
    {"noexec", MS_NOEXEC, 0, true},
    {"exec", 0, MS_NOEXEC, true},
    {"noatime", MS_NOATIME, MS_RELATIME | MS_STRICTATIME, true},
    {"atime", 0, MS_NOATIME, true},
    {"nodiratime", MS_NODIRATIME, 0, true},
    {"diratime", 0, MS_NODIRATIME, true},
    {"relatime", MS_RELATIME, MS_NOATIME | MS_STRICTATIME, false},
    {"norelatime", 0, MS_RELATIME, false},
    {"strictatime", MS_STRICTATIME, MS_NOATIME | MS_RELATIME, false},
    {"nostrictatime", 0, MS_STRICTATIME, false},
    {"lazytime", MS_LAZYTIME, 0, false},
    {"nolazytime", 0, MS_LAZYTIME, false},
    {"sync", MS_SYNCHRONOUS, 0, true},
    {"async", 0, MS_SYNCHRONOUS, true},
    {"dirsync", MS_DIRSYNC, 0, false},
};

bool option_flag_apply(struct options *o, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (strcmp(word, flags[i].name))
			continue;
		o->mount_flags = (o->mount_flags | flags[i].set) & ~flags[i].clear;
		return true;
	}
	return false;
}

void options_user_flags(const struct options *options, char *out, size_t size)
{
	size_t length = 0;

	out[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(flags) && length < size; i++) {
		if (flags[i].user && options->mount_flags & flags[i].set)
			length +=
			    (size_t)snprintf(out + length, size - length, "%s,", flags[i].name);
	}
}

void option_flags_help(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		fprintf(out, " %s%s", flags[i].name, i % 10 == 9 ? "\n " : "");
}
