#include "fs/worker_mounts.h"

#include "core/util.h"

#include <stdio.h>

bool mounts_has_device(int fd, uint32_t want_major, uint32_t want_minor)
{
	unsigned major, minor;
	char *line AUTO_FREE = NULL;
	size_t size = 0;
	bool found = false;
	int copy = dup(fd);
	FILE *file = copy < 0 || lseek(copy, 0, SEEK_SET) < 0 ? NULL : fdopen(copy, "r");

	if (!file) {
		if (copy >= 0)
			close(copy);
		return true;
	}
	while (!found && getline(&line, &size, file) > 0)
		found = sscanf(line, "%*u %*u %u:%u", &major, &minor) == 2 && major == want_major &&
			minor == want_minor;
	fclose(file);
	return found;
}
