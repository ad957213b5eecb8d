/* Who holds and maps an object: read from /proc, the kernel's own word. Blocks: call it in a job.
 * Sees only processes of this pid namespace and, without CAP_SYS_PTRACE, of this user. */
#ifndef MAPPINGFS_CORE_INSPECT_H
#define MAPPINGFS_CORE_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { INSPECT_READ = 1, INSPECT_WRITE = 2, INSPECT_EXEC = 4, INSPECT_PRIVATE = 8 };

struct inspect_use {
	bool view;                   /* else a handle */
	int fd;                      /* handles */
	unsigned access;             /* INSPECT_* */
	uint64_t start, end, offset; /* views: addresses, and offset in the object, bytes */
};

struct inspect_holder {
	pid_t pid, ns_pid; /* ns_pid: as the process itself sees it (innermost pid namespace) */
	uid_t uid;         /* real uid */
	char command[64];
	struct inspect_use *uses;
	size_t count;
};

struct inspect_result {
	struct inspect_holder *holders;
	size_t count;
	size_t handles, views;
	size_t unreadable; /* processes whose maps could not be read */
};

/* dev/ino as stat(2) gives them for the file under the mount. Handles (fds) are looked for only
 * with want_handles. 0 or -errno; out is initialised either way; inspect_finish() frees it. Must
 * never send a request to the file system it inspects (the worker itself calls this): handles are
 * recognised by /proc/PID/fdinfo ("ino:", "mnt_id:" resolved through /proc/PID/mountinfo), never by
 * stat. */
int inspect_scan(uint32_t dev_major, uint32_t dev_minor, ino_t ino, bool want_handles,
		 struct inspect_result *out);
/* Only: is there any view reaching beyond `size` bytes of the object? 1, 0 or -errno. Stops at the
 * first. */
int inspect_has_view_beyond(uint32_t dev_major, uint32_t dev_minor, ino_t ino, uint64_t size);
void inspect_finish(struct inspect_result *result);
/* Views of many objects in one look: counts[i] becomes the number of inos[i], which ascend.
 * *unreadable as above. 0 or -errno. */
int inspect_count_views(uint32_t dev_major, uint32_t dev_minor, const ino_t *inos, size_t count,
			uint32_t *counts, size_t *unreadable);

#endif
