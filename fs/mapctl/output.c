#include "fs/mapctl/output.h"

#include "core/util.h"

#include <poll.h>
#include <signal.h>
#include <string.h>

void output_begin(void)
{
	signal(SIGPIPE, SIG_IGN);
}

enum output output_put(const struct mapctl *mapctl, const char *text, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t put = write(STDOUT_FILENO, text + done, length - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EPIPE)
			return OUTPUT_NO_READER;
		if (put < 0) {
			mapctl_fail(mapctl, NULL, "cannot write the output: %s", strerror(errno));
			return OUTPUT_FAILED;
		}
		done += (size_t)put;
	}
	return OUTPUT_DONE;
}

bool output_is_over(short revents)
{
	return revents & (POLLERR | POLLHUP | POLLNVAL);
}
