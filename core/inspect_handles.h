/* Handles of one file among a process's descriptors, from /proc/PID/fdinfo alone: no stat(2), which
 * would send a request to the file system that is being inspected. Descriptors opened with O_PATH
 * are no handles. Private to inspect.c. */
#ifndef MAPPINGFS_CORE_INSPECT_HANDLES_H
#define MAPPINGFS_CORE_INSPECT_HANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct inspect_handles {
	uint32_t dev_major, dev_minor;
	ino_t ino;
	int *mounts; /* ids of the mounts of that device met so far, in any namespace */
	size_t mount_count;
	bool all_loaded; /* every mount namespace has been looked at */
};

typedef int (*inspect_handle_found)(void *context, int fd, unsigned access);

void inspect_handles_init(struct inspect_handles *handles, uint32_t dev_major, uint32_t dev_minor,
			  ino_t ino);
void inspect_handles_finish(struct inspect_handles *handles);
/* Calls found() for each handle; its result other than 0 ends the scan. -ENOENT: process gone. */
int inspect_handles_scan(struct inspect_handles *handles, int proc_fd, pid_t pid,
			 inspect_handle_found found, void *context);

#endif
