/* Attributes of a new object: whether they can be right at all, and how they are said. */
#include "fs/client/internal.h"

#include "core/types.h"
#include "core/util.h"

#include <fcntl.h>
#include <string.h>

_Static_assert((int)MAPPING_MAPPING == OBJECT_MAPPING && (int)MAPPING_EVENT == OBJECT_EVENT &&
		   (int)MAPPING_SEMAPHORE == OBJECT_SEMAPHORE &&
		   (int)MAPPING_MUTEX == OBJECT_MUTEX && (int)MAPPING_TIMER == OBJECT_TIMER &&
		   (int)MAPPING_JOB == OBJECT_JOB,
	       "the types go over the wire as they are");

static int check_file(const struct mapping_attributes *a, struct mapping_error *error)
{
	const int flags = fcntl(a->file_fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(a->file_fd, &st) < 0)
		return mapping_fail_errno(error, errno, "the descriptor of the file");
	if ((flags & O_PATH) || (flags & O_ACCMODE) == O_WRONLY)
		return mapping_fail(error, EACCES,
				    "the descriptor of the file does not allow reading; "
				    "open it for reading, or reading and writing");
	if (!S_ISREG(st.st_mode))
		return mapping_fail(error, EINVAL, "not a regular file; bind a regular one");
	if (!st.st_size && !a->set_size)
		return mapping_fail(error, EINVAL, "the file is empty; give a size to grow it");
	if (a->set_size && a->size > (uint64_t)st.st_size && (flags & O_ACCMODE) == O_RDONLY)
		return mapping_fail(error, EACCES,
				    "the size is larger than the file, and its descriptor does not "
				    "allow growing it; open it for writing too");
	return 0;
}

static int check_mapping(const struct mapping_attributes *a, struct mapping_error *error)
{
	if (a->sparse && a->bind)
		return mapping_fail(error, EINVAL,
				    "sparse is for memory; a bound file has its own blocks");
	if (a->read_only && !a->bind)
		return mapping_fail(
		    error, EINVAL,
		    "read-only is for objects bound to a file; use the mode for others");
	if (a->set_size && !a->size)
		return mapping_fail(error, EINVAL, "a size of 0: an object has 1 byte at least");
	if (a->set_size && a->size > INT64_MAX)
		return mapping_fail(error, EFBIG,
				    "the size is larger than any file can be: at most "
				    "9223372036854775807 bytes");
	return a->bind ? check_file(a, error) : 0;
}

static int check_waitable(const struct mapping_attributes *a, struct mapping_error *error)
{
	if (a->sparse || a->bind || a->read_only || a->set_size)
		return mapping_fail(error, EINVAL,
				    "size, file, sparse and read-only are for mappings; "
				    "%s has no pages",
				    mapping_type_text(a->type));
	if (a->type != MAPPING_SEMAPHORE)
		return 0;
	if (a->maximum < 1 || a->maximum > INT32_MAX || a->initial > a->maximum)
		return mapping_fail(error, EINVAL,
				    "a semaphore has a maximum of 1 to 2147483647, and an initial "
				    "value of 0 to that");
	return 0;
}

/* What only some types know. */
static int check_belongs(const struct mapping_attributes *a, struct mapping_error *error)
{
	const enum mapping_type type = a->type;
	const struct {
		bool is_given, is_known;
		const char *text;
	} rules[] = {
	    {a->manual, type == MAPPING_EVENT || type == MAPPING_TIMER,
	     "manual is for events and timers"},
	    {a->signaled, type == MAPPING_EVENT, "signaled is for events"},
	    {a->owned, type == MAPPING_MUTEX, "owned is for mutexes"},
	    {a->kill_on_close, type == MAPPING_JOB, "kill-on-close is for jobs"},
	    {a->initial || a->maximum, type == MAPPING_SEMAPHORE,
	     "an initial value and a maximum are for semaphores"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].is_given && !rules[i].is_known)
			return mapping_fail(error, EINVAL, "%s; this is to be %s", rules[i].text,
					    mapping_type_text(type));
	return 0;
}

static int check_opening(const struct mapping_attributes *a, bool is_opened, int flags,
			 struct mapping_error *error)
{
	if (flags & ~(O_ACCMODE | O_NONBLOCK | O_CLOEXEC))
		return mapping_fail(error, EINVAL,
				    "open it with O_RDONLY, O_WRONLY or O_RDWR, and O_NONBLOCK");
	if (a->owned && (!is_opened || (flags & O_ACCMODE) == O_WRONLY))
		return mapping_fail(error, EINVAL,
				    "a handle that is open for reading owns a mutex: open it so");
	return 0;
}

int mapping_check_attributes(const struct mapping_attributes *a, bool is_opened, int open_flags,
			     struct mapping_error *error)
{
	int rc;

	if ((int)a->type < MAPPING_MAPPING || (int)a->type > MAPPING_JOB)
		return mapping_fail(error, EINVAL, "there is no such type of object");
	if ((int)a->lifetime < MAPPING_DEFAULT || (int)a->lifetime > MAPPING_HANDLE_BOUND)
		return mapping_fail(error, EINVAL, "there is no such lifetime");
	if (a->set_mode && (a->mode & ~(mode_t)07777))
		return mapping_fail(error, EINVAL, "the mode has bits beyond 07777");
	rc = check_belongs(a, error);
	if (!rc)
		rc = check_opening(a, is_opened, open_flags, error);
	if (rc)
		return rc;
	return a->type == MAPPING_MAPPING ? check_mapping(a, error) : check_waitable(a, error);
}

static uint32_t lifetime_flag(enum mapping_lifetime lifetime)
{
	static const uint32_t flags[] = {
	    [MAPPING_DEFAULT] = 0,
	    [MAPPING_PERMANENT] = WIRE_PERMANENT,
	    [MAPPING_TEMPORARY] = WIRE_TEMPORARY,
	    [MAPPING_HANDLE_BOUND] = WIRE_HANDLE_BOUND,
	};

	return flags[lifetime];
}

struct wire_request mapping_configuration(const struct mapping_attributes *a)
{
	struct wire_request request = mapping_wire_request(WIRE_CONFIGURE);

	request.flags = lifetime_flag(a->lifetime) | (a->bind ? WIRE_BIND : 0U) |
			(a->sparse ? WIRE_SPARSE : 0U) | (a->set_size ? WIRE_SET_SIZE : 0U) |
			(a->read_only ? WIRE_READ_ONLY : 0U) | (a->manual ? WIRE_MANUAL : 0U) |
			(a->signaled ? WIRE_SIGNALED : 0U) |
			(a->kill_on_close ? WIRE_KILL_ON_CLOSE : 0U);
	request.size = a->set_size ? a->size : 0;
	request.object_type = a->type;
	request.initial = a->initial;
	request.maximum = a->maximum;
	return request;
}
