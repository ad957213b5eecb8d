#include "core/proc.h"

#include <stdbool.h>
#include <stdio.h>

static bool is_root;

void proc_is_root(void)
{
	is_root = true;
}

const char *proc_directory(void)
{
	return is_root ? "/" : "/proc";
}

const char *proc_own_descriptors(void)
{
	return is_root ? "." : "/proc/self/fd";
}

struct proc_path proc_of(pid_t pid, const char *what)
{
	struct proc_path path;

	snprintf(path.text, sizeof path.text, "%s/%d/%s", is_root ? "" : "/proc", pid, what);
	return path;
}

const char *proc_own_prefix(void)
{
	return is_root ? "" : "/proc/self/fd/";
}
