/* What begins its life with a record (a temporary object, a directory that hands down a lifetime)
 * must never be seen without it, also by the mount after a loss of power: a temporary object would
 * be permanent. In a store it is therefore made under a name that the next mount sweeps, and gets
 * its own with the record on it. The name is in the same directory, so that owner, access lists and
 * the like are what that directory says. Nobody sees it: no other request is looked at meanwhile.
 */
#include "core/internal.h"
#include "core/util.h"

#include <stdio.h>

#define NEWBORN_NAME HIDDEN_PREFIX "new"

enum core_lifetime newborn_lifetime(struct core *core, uint64_t parent)
{
	const struct slot *directory = slot_get(core, parent);

	return directory && directory->inherit ? (enum core_lifetime)(directory->inherit - 1)
					       : core->config.lifetime;
}

bool newborn_wanted(struct core *core, uint64_t parent, mode_t type)
{
	const struct slot *directory = slot_get(core, parent);

	if (!core->persistent || !directory)
		return false;
	return S_ISDIR(type) ? directory->inherit
			     : S_ISREG(type) && newborn_lifetime(core, parent) != CORE_PERMANENT;
}

static int remove_newborn(int dirfd, mode_t type)
{
	return neg_errno(unlinkat(dirfd, NEWBORN_NAME, S_ISDIR(type) ? AT_REMOVEDIR : 0));
}

static int save(struct core *core, const struct newborn *newborn, int dirfd)
{
	AUTO_CLOSE int fd = openat(dirfd, NEWBORN_NAME, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct slot slot = {.creator_uid = newborn->caller->uid};
	const struct slot *directory = slot_get(core, newborn->parent);

	if (fd < 0)
		return -errno;
	if (S_ISDIR(newborn->type))
		slot.inherit = directory->inherit;
	else
		slot.flags = lifetime_flags(0, newborn_lifetime(core, newborn->parent));
	return record_save(core, &slot, fd);
}

int newborn_make(struct core *core, const struct newborn *newborn, int dirfd, const char *name)
{
	int rc, made = newborn->make(dirfd, NEWBORN_NAME, newborn->context);

	/* A worker was killed here, and who had asked it did not ask again. */
	if (made == -EEXIST && remove_newborn(dirfd, newborn->type) == 0)
		made = newborn->make(dirfd, NEWBORN_NAME, newborn->context);
	if (made < 0)
		return made;
	rc = save(core, newborn, dirfd);
	if (rc == 0)
		rc = neg_errno(renameat2(dirfd, NEWBORN_NAME, dirfd, name, RENAME_NOREPLACE));
	if (rc == 0)
		return made;
	remove_newborn(dirfd, newborn->type);
	if (S_ISREG(newborn->type) && made > 0)
		close(made);
	return rc;
}
