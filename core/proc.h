/* Where /proc is. A process that has left the machine's directory tree behind still has it, under
 * other names: as the root itself, and its own descriptors as the working directory. */
#ifndef MAPPINGFS_CORE_PROC_H
#define MAPPINGFS_CORE_PROC_H

#include <sys/types.h>

struct proc_path {
	char text[64];
};

/* From now on the root is /proc and the working directory /proc/self/fd. Before the first thread.
 */
void proc_is_root(void);

const char *proc_directory(void);       /* all processes */
const char *proc_own_descriptors(void); /* the directory of them */
/* "/proc/PID/WHAT". Links in there can be read, but not followed. */
struct proc_path proc_of(pid_t pid, const char *what);
/* "/proc/self/fd/", what a descriptor's number follows in a path that leads to its file. */
const char *proc_own_prefix(void);

#endif
