/* The options of -o that are our own: their names, their values and what these set. */
#include "core/util.h"
#include "fs/handover.h"
#include "fs/options.h"
#include "fs/options_internal.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

static int parse_unsigned(const char *text, int base, uint64_t max, uint64_t *out, char **end)
{
	if (!isxdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, end, base);
	return errno || *end == text || *out > max ? -EINVAL : 0;
}

/* Either *bytes or *percent is set, the other is 0. */
static int parse_size(const char *value, unsigned max_percent, uint64_t *bytes, unsigned *percent)
{
	uint64_t number;
	char *end;
	int shift = 0;

	if (parse_unsigned(value, 10, INT64_MAX, &number, &end))
		return -EINVAL;
	if (!strcmp(end, "%")) {
		if (number > max_percent)
			return -EINVAL;
		*percent = (unsigned)number;
		*bytes = 0;
		return 0;
	}
	if (*end) {
		shift = size_shift(*end);
		if (shift < 0 || end[1])
			return -EINVAL;
	}
	if (number > (uint64_t)INT64_MAX >> shift)
		return -EINVAL;
	*bytes = number << shift;
	*percent = 0;
	return 0;
}

static int set_size(struct options *o, const char *value)
{
	uint64_t bytes;
	unsigned percent;

	if (parse_size(value, 1000, &bytes, &percent) || !(bytes || percent))
		return -EINVAL;
	if (bytes)
		o->size = bytes;
	o->size_percent = percent;
	return 0;
}

static int set_user_size(struct options *o, const char *value)
{
	uint64_t bytes;

	if (parse_size(value, 100, &bytes, &o->user_size_percent))
		return -EINVAL;
	o->user_size = (int64_t)bytes;
	return 0;
}

/* A number and nothing behind it. */
static int parse_number(const char *value, int base, uint64_t max, int64_t *out)
{
	uint64_t number;
	char *end;

	if (parse_unsigned(value, base, max, &number, &end) || *end)
		return -EINVAL;
	*out = (int64_t)number;
	return 0;
}

static int set_user_objects(struct options *o, const char *value)
{
	return parse_number(value, 10, INT64_MAX, &o->user_objects);
}

static int set_user_waits(struct options *o, const char *value)
{
	return parse_number(value, 10, INT32_MAX, &o->user_waits);
}

static int set_user_connections(struct options *o, const char *value)
{
	return parse_number(value, 10, INT32_MAX, &o->user_connections);
}

static int set_choice(const char *value, const char *const *names, size_t count, int *out)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(value, names[i])) {
			*out = (int)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_store(struct options *o, const char *value)
{
	if (!*value)
		return -EINVAL;
	free(o->store);
	o->store = strdup(value);
	return o->store ? 0 : -ENOMEM;
}

static int set_root_mode(struct options *o, const char *value)
{
	return parse_number(value, 8, 07777, &o->root_mode);
}

static int set_mode(struct options *o, const char *value)
{
	static const char *const names[] = {
	    [DATA_MODE_AUTO] = "auto",
	    [DATA_MODE_PASSTHROUGH] = "passthrough",
	    [DATA_MODE_CACHED] = "cached",
	};

	if (!set_choice(value, names, ARRAY_SIZE(names), &o->data_mode))
		return 0;
	return set_root_mode(o, value);
}

static int set_lifetime(struct options *o, const char *value)
{
	static const char *const names[] = {
	    [DEFAULT_LIFETIME_PERMANENT] = "permanent",
	    [DEFAULT_LIFETIME_TEMPORARY] = "temporary",
	    [DEFAULT_LIFETIME_HANDLE] = "handle",
	};

	return set_choice(value, names, ARRAY_SIZE(names), &o->lifetime);
}

static int set_jobs(struct options *o, const char *value)
{
	static const char *const names[] = {
	    [JOBS_MODE_AUTO] = "auto",
	    [JOBS_MODE_CGROUP] = "cgroup",
	    [JOBS_MODE_PIDFD] = "pidfd",
	};

	return set_choice(value, names, ARRAY_SIZE(names), &o->jobs);
}

static int set_confine(struct options *o, const char *value)
{
	static const char *const names[] = {
	    [CONFINE_AUTO] = "auto",
	    [CONFINE_OFF] = "off",
	    [CONFINE_STRICT] = "strict",
	};

	return set_choice(value, names, ARRAY_SIZE(names), &o->confine);
}

static int set_uid(struct options *o, const char *value)
{
	const struct passwd *entry;

	if (!parse_number(value, 10, UINT32_MAX - 1, &o->uid))
		return 0;
	entry = getpwnam(value);
	if (!entry)
		return -EINVAL;
	o->uid = entry->pw_uid;
	return 0;
}

static int set_gid(struct options *o, const char *value)
{
	const struct group *entry;

	if (!parse_number(value, 10, UINT32_MAX - 1, &o->gid))
		return 0;
	entry = getgrnam(value);
	if (!entry)
		return -EINVAL;
	o->gid = entry->gr_gid;
	return 0;
}

static int set_allow_other(struct options *o, const char *value)
{
	(void)value;
	o->allow_other = 1;
	return 0;
}

static int set_noallow_other(struct options *o, const char *value)
{
	(void)value;
	o->allow_other = 0;
	return 0;
}

static int set_poll(struct options *o, const char *value)
{
	int64_t number;

	if (parse_number(value, 10, 1000000, &number))
		return -EINVAL;
	o->poll_usec = (uint32_t)number;
	return 0;
}

const struct option_setting option_settings[] = {
    {"size", "BYTES[k|m|g|t|%]", set_size, "memory that may be committed (default: 50%)"},
    {"user_objects", "N", set_user_objects, "that one user can have, root apart (default: 65536)"},
    {"user_size", "BYTES[k|m|g|t|%]", set_user_size, "... and commit (default: 50% of size)"},
    {"user_waits", "N", set_user_waits, "... and wait for at a time (default: 16384)"},
    {"user_connections", "N", set_user_connections, "... and open to .control (default: 64)"},
    {"store", "DIR", set_store, "keep the objects in DIR instead of memory"},
    {"mode", "auto|passthrough|cached", set_mode, "how data reaches the programs (default: auto)"},
    {"mode", "OCTAL", set_mode, "permission bits of the root directory, as root_mode="},
    {"root_mode", "OCTAL", set_root_mode, "... (default: 1777 as root, 0700 as a user)"},
    {"uid", "USER", set_uid, "owner of the root directory"},
    {"gid", "GROUP", set_gid, "group of the root directory"},
    {"lifetime", "permanent|temporary|handle", set_lifetime, "of new objects (default: permanent)"},
    {"jobs", "auto|cgroup|pidfd", set_jobs, "what holds the members of jobs (default: auto)"},
    {"confine", "auto|off|strict", set_confine, "the worker gives up all it can (default: auto)"},
    {"allow_other", NULL, set_allow_other, "everybody may use the mount (default as root)"},
    {"noallow_other", NULL, set_noallow_other, "only who mounts may use it"},
    {"poll", "USEC", set_poll, "longest wait for the next request before sleep (default: 50)"},
};
const size_t option_setting_count = ARRAY_SIZE(option_settings);
