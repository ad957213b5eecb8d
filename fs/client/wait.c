/* Waiting: a read of the object, or for a time-out or several objects one ioctl(2). Both are kernel
 * requests that are answered when it is time: signals interrupt them, and they outlive the worker.
 */
#include "fs/client/internal.h"

#include "core/types.h"
#include "core/util.h"

#include <string.h>
#include <sys/ioctl.h>

_Static_assert(MAPPING_WAIT_MAX == WIRE_WAIT_MAX, "as many as one request can name");

int mapping_fail_to_wait(int code, struct mapping_error *error)
{
	switch (code) {
	case EBADF:
		return mapping_fail(error, code,
				    "this descriptor is not open for reading, which waiting needs");
	case ETIMEDOUT:
		return mapping_fail(error, code, "not signaled in the time given");
	case EINTR:
		return mapping_fail(error, code, "a signal came; nothing was taken");
	case EIDRM:
		return mapping_fail(error, code, "the object is gone");
	default:
		return mapping_fail_errno(error, code, "cannot wait for it");
	}
}

static int fail_not_waitable(int fd, struct mapping_error *error)
{
	struct mapping_kind kind;

	if (mapping_kind(fd, &kind))
		kind.text = "something else";
	return mapping_fail(error, EINVAL,
			    "this is %s, not an object to wait on (event, semaphore, mutex, timer, "
			    "job)",
			    kind.text);
}

/* pread: read(2) would exclude every other read and write of this descriptor meanwhile. */
static int wait_forever(int fd, struct mapping_error *error)
{
	char line[32];
	ssize_t got = pread(fd, line, sizeof line - 1, 0);

	if (got < 0 && errno != EAGAIN)
		return errno == ESPIPE || errno == EISDIR ? fail_not_waitable(fd, error)
							  : mapping_fail_to_wait(errno, error);
	if (got < 0)
		return -EAGAIN;
	line[got] = '\0';
	if (!strcmp(line, "signaled\n") || !strcmp(line, "acquired\n"))
		return 0;
	return !strcmp(line, "abandoned\n") ? MAPPING_ABANDONED : fail_not_waitable(fd, error);
}

uint64_t mapping_deadline(int64_t timeout_ns)
{
	uint64_t deadline;

	if (!timeout_ns)
		return 0;
	deadline = clock_ns(CLOCK_MONOTONIC) + (uint64_t)timeout_ns;
	return timeout_ns == MAPPING_FOREVER || deadline > INT64_MAX ? UINT64_MAX : deadline;
}

int mapping_prove(int fd, struct wire_handle *out, struct mapping_error *error)
{
	struct mapping_kind kind;
	int rc, code;

	if (ioctl(fd, WIRE_IOC_HANDLE, out) == 0)
		return 0;
	code = errno;
	rc = mapping_kind(fd, &kind);
	if (rc)
		return mapping_fail_errno(error, -rc, "cannot look at it");
	return kind.type > MAPPING_MAPPING ? mapping_fail_to_wait(code, error)
					   : fail_not_waitable(fd, error);
}

static int prove_all(const int *fds, size_t count, struct wire_wait *wait,
		     struct mapping_error *error)
{
	struct mapping_error one;
	int rc;

	for (size_t i = 0; i < count; i++) {
		rc = mapping_prove(fds[i], &wait->handles[i], &one);
		if (rc)
			return mapping_fail(error, one.code, "object %zu of %zu: %s", i + 1, count,
					    one.text);
	}
	return 0;
}

static bool are_of_one_mount(const int *fds, size_t count)
{
	struct stat first, other;

	for (size_t i = 1; i < count; i++)
		if (!fstat(fds[0], &first) && !fstat(fds[i], &other) &&
		    first.st_dev != other.st_dev)
			return false;
	return true;
}

/* Only as many handles as there are go over. */
static unsigned long wait_request(const struct wire_wait *wait)
{
	return _IOC(_IOC_READ | _IOC_WRITE, _IOC_TYPE(WIRE_IOC_WAIT), _IOC_NR(WIRE_IOC_WAIT),
		    offsetof(struct wire_wait, handles) + wait->count * sizeof wait->handles[0]);
}

static int wait_for(const int *fds, struct wire_wait *wait, struct mapping_error *error)
{
	if (ioctl(fds[0], wait_request(wait), wait) == 0)
		return wait->result == WAIT_WAS_ABANDONED ? MAPPING_ABANDONED : 0;
	if (errno == ENOTTY)
		return fail_not_waitable(fds[0], error);
	if (errno == EBADF && !are_of_one_mount(fds, wait->count))
		return mapping_fail(error, EXDEV,
				    "the objects are in several mounts; wait for those of one");
	return mapping_fail_to_wait(errno == EACCES ? EBADF : errno, error);
}

int mapping_check_timeout(int64_t timeout_ns, struct mapping_error *error)
{
	if (timeout_ns >= 0)
		return 0;
	return mapping_fail(error, EINVAL,
			    "a negative time-out; give 0 to try once, or MAPPING_FOREVER");
}

int mapping_wait(int fd, int64_t timeout_ns, struct mapping_error *error)
{
	struct wire_wait wait = {.count = 1};
	int rc = mapping_check_timeout(timeout_ns, error);

	if (rc)
		return rc;
	if (timeout_ns == MAPPING_FOREVER) {
		rc = wait_forever(fd, error);
		if (rc != -EAGAIN)
			return rc;
	}
	wait.deadline = mapping_deadline(timeout_ns);
	return wait_for(&fd, &wait, error); /* handle 0: the descriptor itself */
}

int mapping_wait_many(const int *fds, size_t count, bool all, int64_t timeout_ns, size_t *index,
		      struct mapping_error *error)
{
	struct wire_wait wait = {.count = (uint32_t)count, .flags = all ? WIRE_WAIT_ALL : 0};
	int rc = mapping_check_timeout(timeout_ns, error);

	if (rc)
		return rc;
	if (count < 1 || count > MAPPING_WAIT_MAX)
		return mapping_fail(error, EINVAL, "wait for 1 to %d objects at once",
				    MAPPING_WAIT_MAX);
	wait.deadline = mapping_deadline(timeout_ns);
	rc = prove_all(fds, count, &wait, error);
	if (!rc)
		rc = wait_for(fds, &wait, error);
	if (rc >= 0 && index)
		*index = wait.index;
	return rc;
}
