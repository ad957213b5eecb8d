#include "fs/wire.h"

#include "core/types.h"

#include <errno.h>
#include <string.h>

static int refuse(const char **why, int error, const char *text)
{
	*why = text;
	return error;
}

#define WAITABLE_FLAGS (WIRE_MANUAL | WIRE_SIGNALED | WIRE_KILL_ON_CLOSE)
#define LIFETIME_FLAGS (WIRE_PERMANENT | WIRE_TEMPORARY | WIRE_HANDLE_BOUND)

static int lifetimes_named(uint32_t flags)
{
	return __builtin_popcount(flags & LIFETIME_FLAGS);
}

/* Which flags each type knows. */
static uint32_t flags_of_type(uint32_t type)
{
	switch (type) {
	case OBJECT_EVENT:
		return WIRE_MANUAL | WIRE_SIGNALED;
	case OBJECT_TIMER:
		return WIRE_MANUAL;
	case OBJECT_JOB:
		return WIRE_KILL_ON_CLOSE;
	default:
		return 0;
	}
}

static int check_waitable(const struct wire_request *request, size_t fds, const char **why)
{
	if (request->object_type >= OBJECT_TYPES)
		return refuse(why, EINVAL, "unknown type of object");
	if (request->size || (request->flags & ~(LIFETIME_FLAGS | WAITABLE_FLAGS)))
		return refuse(why, EINVAL, "size, file and sparse are for mappings only");
	if (request->flags & WAITABLE_FLAGS & ~flags_of_type(request->object_type))
		return refuse(why, EINVAL, "the type of object does not know this attribute");
	if (request->object_type != OBJECT_SEMAPHORE && (request->initial || request->maximum))
		return refuse(why, EINVAL, "an initial value and a maximum are for semaphores");
	if (request->object_type == OBJECT_SEMAPHORE &&
	    (request->maximum < 1 || request->maximum > INT32_MAX ||
	     request->initial > request->maximum))
		return refuse(why, EINVAL,
			      "a semaphore needs a maximum of 1 to 2147483647, and an initial "
			      "value of 0 to that");
	if (fds != 1)
		return refuse(why, EINVAL,
			      "wrong number of descriptors: one is wanted, the object");
	return 0;
}

static int check_configure(const struct wire_request *request, size_t fds, const char **why)
{
	const uint32_t flags = request->flags;

	if (flags & ~(uint32_t)WIRE_FLAGS_ALL)
		return refuse(why, EINVAL, "unknown flags in the request");
	if (lifetimes_named(flags) > 1)
		return refuse(why, EINVAL, "an object has one lifetime, not several");
	if (request->reserved)
		return refuse(why, EINVAL, "a reserved field is not 0");
	if (request->object_type != OBJECT_MAPPING)
		return check_waitable(request, fds, why);
	if ((flags & WAITABLE_FLAGS) || request->initial || request->maximum)
		return refuse(why, EINVAL, "this is for objects to wait on, not for a mapping");
	if ((flags & WIRE_SPARSE) && (flags & WIRE_BIND))
		return refuse(why, EINVAL,
			      "sparse is for memory, not for an object bound to a file");
	if ((flags & WIRE_READ_ONLY) && !(flags & WIRE_BIND))
		return refuse(why, EINVAL, "read-only is for objects bound to a file");
	if (!(flags & WIRE_SET_SIZE) && request->size)
		return refuse(why, EINVAL, "a size is given but not asked for");
	if ((flags & WIRE_SET_SIZE) && !request->size)
		return refuse(why, EINVAL, "a size of 0; give 1 byte or more");
	if (request->size > INT64_MAX)
		return refuse(why, EFBIG, "the size is larger than any file can be");
	if (fds != (flags & WIRE_BIND ? 2U : 1U))
		return refuse(
		    why, EINVAL,
		    "wrong number of descriptors: the object, and with a file to bind that file");
	return 0;
}

static int check_plain(const struct wire_request *request, size_t fds, size_t wanted,
		       const char **why)
{
	if (request->flags || request->size || request->object_type || request->initial ||
	    request->maximum || request->reserved)
		return refuse(why, EINVAL, "flags and size are not for this type of request");
	if (fds != wanted)
		return refuse(why, EINVAL,
			      wanted ? "wrong number of descriptors: one is wanted, the object"
				     : "wrong number of descriptors: none is wanted");
	return 0;
}

int wire_check_request(const void *bytes, size_t length, size_t fds, struct wire_request *out,
		       const char **why)
{
	*why = "";
	if (length > WIRE_MAX_REQUEST)
		return refuse(why, EMSGSIZE, "the message is too long");
	if (length < offsetof(struct wire_request, length))
		return refuse(why, EINVAL, "the message is cut short");
	memset(out, 0, sizeof *out);
	memcpy(out, bytes, length < sizeof *out ? length : sizeof *out);
	if (out->magic != WIRE_MAGIC)
		return refuse(why, EPROTO, "this is not a message of mappingfs");
	if (out->version != WIRE_VERSION)
		return refuse(why, EPROTONOSUPPORT,
			      "another version of the protocol; use the mapctl or the library that "
			      "came with this mappingfs");
	if (length != sizeof *out || out->length != sizeof *out)
		return refuse(why, EINVAL, "the message's length is wrong");
	switch (out->type) {
	case WIRE_STATUS:
		return check_plain(out, fds, 0, why);
	case WIRE_WHO:
		return check_plain(out, fds, 1, why);
	case WIRE_CONFIGURE:
		return check_configure(out, fds, why);
	case WIRE_WATCH:
		return check_plain(out, fds, fds == 1, why);
	case WIRE_TOP:
	case WIRE_UPGRADE:
		return check_plain(out, fds, 0, why);
	default:
		return refuse(why, EOPNOTSUPP, "unknown type of request");
	}
}
