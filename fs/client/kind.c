/* What something is: its type as the file system tells it. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>

enum { TYPES = MAPPING_JOB + 1 };

static const char *const names[TYPES] = {
    [MAPPING_MAPPING] = "mapping", [MAPPING_EVENT] = "event", [MAPPING_SEMAPHORE] = "semaphore",
    [MAPPING_MUTEX] = "mutex",     [MAPPING_TIMER] = "timer", [MAPPING_JOB] = "job",
};

static bool is_type(enum mapping_type type)
{
	return (int)type >= 0 && (int)type < TYPES;
}

const char *mapping_type_name(enum mapping_type type)
{
	return is_type(type) ? names[type] : "object";
}

enum mapping_type mapping_type_of(const char *name)
{
	for (int i = 0; i < TYPES; i++)
		if (!strcmp(names[i], name))
			return (enum mapping_type)i;
	return MAPPING_ANY;
}

const char *mapping_type_text(enum mapping_type type)
{
	static const char *const texts[TYPES] = {
	    [MAPPING_MAPPING] = "a mapping",     [MAPPING_EVENT] = "an event",
	    [MAPPING_SEMAPHORE] = "a semaphore", [MAPPING_MUTEX] = "a mutex",
	    [MAPPING_TIMER] = "a timer",         [MAPPING_JOB] = "a job",
	};

	return is_type(type) ? texts[type] : "an object";
}

struct proc_path mapping_proc_path(int fd)
{
	struct proc_path path;

	snprintf(path.text, sizeof path.text, "/proc/self/fd/%d", fd);
	return path;
}

static const char *no_object_text(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "no object of mappingfs";
	}
}

int mapping_kind(int fd, struct mapping_kind *out)
{
	char name[24];
	ssize_t got;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*out = (struct mapping_kind){MAPPING_ANY, no_object_text(st.st_mode)};
	if (!S_ISREG(st.st_mode))
		return 0;
	got = getxattr(mapping_proc_path(fd).text, "user.mapping.type", name, sizeof name - 1);
	if (got < 0)
		return errno == ENODATA || errno == EOPNOTSUPP ? 0 : -errno;
	name[got] = '\0';
	out->type = mapping_type_of(name);
	if (out->type != MAPPING_ANY)
		out->text = mapping_type_text(out->type);
	return 0;
}

int mapping_check_type(int fd, enum mapping_type type, struct mapping_error *error)
{
	struct mapping_kind kind;
	int rc = mapping_kind(fd, &kind);
	struct stat st;

	if (rc)
		return mapping_fail_errno(error, -rc, "cannot look at it");
	if (kind.type != MAPPING_ANY && (type == MAPPING_ANY || kind.type == type))
		return 0;
	return mapping_fail(error, !fstat(fd, &st) && S_ISDIR(st.st_mode) ? EISDIR : EINVAL,
			    "this is %s, not %s", kind.text, mapping_type_text(type));
}

/* Words written to a mapping would become its bytes, so this is asked before. Objects to wait on
 * are those whose pages nobody can map: that much the kernel knows without asking the daemon, if
 * the handle may read. */
bool mapping_is_waitable(int fd)
{
	const size_t length = (size_t)sysconf(_SC_PAGESIZE);
	void *view = mmap(NULL, length, PROT_NONE, MAP_SHARED, fd, 0);
	struct mapping_kind kind;

	if (view == MAP_FAILED && errno == ENODEV)
		return true;
	if (view != MAP_FAILED)
		munmap(view, length);
	return !mapping_kind(fd, &kind) && kind.type > MAPPING_MAPPING;
}
