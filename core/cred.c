#include "core/internal.h"

#include <sys/fsuid.h>

/* Only the main thread creates inodes, and its capabilities stay whole (SECBIT_NO_SETUID_FIXUP, set
 * by whoever starts us), so the ids may stay as the last caller's: they decide ownership, not
 * access. */
void cred_assume(const struct core *core, const struct core_caller *caller)
{
	static struct core_caller now = {.uid = (uid_t)-1, .gid = (gid_t)-1, .umask = (mode_t)-1};

	if (!core->config.rootless && now.uid != caller->uid)
		setfsuid(caller->uid);
	if (!core->config.rootless && now.gid != caller->gid)
		setfsgid(caller->gid);
	if (now.umask != caller->umask)
		umask(caller->umask);
	now = *caller;
}
