/* Changing one object and waiting for another, as one request: nobody comes in between. */
#include "fs/client/internal.h"

#include "core/types.h"
#include "core/util.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

/* The wait has errors of its own; all others are the change's, and then nothing was done. */
static int fail(int signal_fd, const char *words, int wait_fd, int code,
		struct mapping_error *error)
{
	struct wire_handle waited;
	int rc;

	switch (code) {
	case ETIMEDOUT:
		return mapping_fail(error, code,
				    "the change was made, and the object waited for was not "
				    "signaled in the time given");
	case EINTR:
		return mapping_fail(error, code,
				    "a signal came; the change was made, and nothing was taken");
	case EACCES:
		if ((fcntl(signal_fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
			return mapping_fail_to_signal(signal_fd, words, EBADF, error);
		return mapping_fail_to_wait(EBADF, error);
	case EBUSY:
		return mapping_fail(error, code,
				    "another call of this kind waits after a change by the same "
				    "handle; open the object once more");
	case EIDRM:
		return mapping_fail_to_wait(code, error);
	default: /* perhaps it is not even an object to wait on */
		rc = mapping_prove(wait_fd, &waited, error);
		return rc ? rc : mapping_fail_to_signal(signal_fd, words, code, error);
	}
}

int mapping_signal_and_wait(int signal_fd, const char *words, int wait_fd, int64_t timeout_ns,
			    struct mapping_error *error)
{
	struct wire_signal_wait request = {.length = (uint32_t)strlen(words)};
	int rc = mapping_check_timeout(timeout_ns, error);

	if (!rc)
		rc = mapping_check_words(signal_fd, words, error);
	if (!rc && request.length > sizeof request.words)
		rc = mapping_fail(error, EINVAL, "the words are longer than %zu bytes",
				  sizeof request.words);
	if (!rc)
		rc = mapping_prove(signal_fd, &request.signal, error);
	if (rc)
		return rc;
	memcpy(request.words, words, request.length);
	request.deadline = mapping_deadline(timeout_ns);
	if (ioctl(wait_fd, WIRE_IOC_SIGNAL_WAIT, &request) == 0)
		return request.result == WAIT_WAS_ABANDONED ? MAPPING_ABANDONED : 0;
	return fail(signal_fd, words, wait_fd, errno, error);
}
