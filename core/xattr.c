/* Extended attributes: the tree's own, and those of attribute.c among them. */
#include "core/attribute.h"

#include "core/user.h"
#include "core/util.h"

#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>

static bool is_hidden(const struct core *core, const char *name)
{
	return strcmp(name, record_xattr_name(core)) == 0;
}

int core_getxattr(struct core *core, uint64_t node, const char *name, char *buffer, size_t size)
{
	struct slot *slot = slot_get(core, node);
	const char *computed = attribute_name(name);
	AUTO_CLOSE int fd = -1;
	ssize_t length;

	if (!slot)
		return -ESTALE;
	if (computed)
		return attribute_get(core, slot, computed, buffer, size);
	if (is_hidden(core, name))
		return -ENODATA;
	fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	length = getxattr(tree_fd_path(fd).text, name, buffer, size);
	return length < 0 ? -errno : (int)length;
}

/* Takes our own record out of a list of names. */
static size_t without_hidden(const struct core *core, char *list, size_t length)
{
	size_t kept = 0;

	for (size_t at = 0; at < length;) {
		size_t one = strlen(list + at) + 1;
		if (!is_hidden(core, list + at)) {
			memmove(list + kept, list + at, one);
			kept += one;
		}
		at += one;
	}
	return kept;
}

int core_listxattr(struct core *core, uint64_t node, char *buffer, size_t size)
{
	struct slot *slot = slot_get(core, node);
	AUTO_CLOSE int fd =
	    slot ? tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW) : -ESTALE;
	ssize_t got;
	size_t length;
	int ours;

	if (fd < 0)
		return fd;
	got = listxattr(tree_fd_path(fd).text, buffer, size);
	if (got < 0)
		return -errno;
	length = without_hidden(core, buffer, (size_t)got);
	ours = attribute_list(core, slot, buffer + length, size - length);
	return ours < 0 ? ours : (int)length + ours;
}

/* The kernel does not know which attributes there are. Found right on the first try, it is noted,
 * so that a second try does not take what the first has done for what was there before. */
static int check_attribute(struct core *core, int fd, const char *name, bool must_be_there)
{
	struct request_record *record = core->record;

	if (record && core->resent_started && record->before)
		return 0;
	if (getxattr(tree_fd_path(fd).text, name, NULL, 0) >= 0) {
		if (!must_be_there)
			return -EEXIST;
	} else if (errno != ENODATA || must_be_there) {
		return -errno;
	}
	if (record)
		*(volatile uint64_t *)&record->before = 1;
	return 0;
}

/* Lists of access rights: whether one was there is of no matter to those who set or remove it. */
static bool is_acl(const char *name)
{
	return strncmp(name, "system.posix_acl_", 17) == 0;
}

static int drop_setgid(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return neg_errno(chmod(tree_fd_path(fd).text, st.st_mode & 07777 & ~(mode_t)S_ISGID));
}

/* Bytes of the names and values there are, but for this one. -errno. */
static int64_t attribute_bytes(struct core *core, int fd, const char *but)
{
	AUTO_FREE char *list = malloc(XATTR_LIST_MAX);
	int64_t sum = 0;
	ssize_t length;

	if (!list)
		return -ENOMEM;
	length = listxattr(tree_fd_path(fd).text, list, XATTR_LIST_MAX);
	if (length < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *name = list; name < list + length; name += strlen(name) + 1) {
		if (is_hidden(core, name) || strcmp(name, but) == 0)
			continue;
		ssize_t size = getxattr(tree_fd_path(fd).text, name, NULL, 0);
		sum += (int64_t)strlen(name) + (size > 0 ? size : 0);
	}
	return sum;
}

/* They are the kernel's memory: who has many has fewer objects. With this one set to `size`. A
 * crash before it is set leaves too much charged until the next change. */
static int charge_attribute(struct core *core, struct slot *slot, int fd, const char *name,
			    size_t size)
{
	int64_t others = attribute_bytes(core, fd, name);
	int rc;

	if (others < 0)
		return (int)others;
	rc = user_stage_extra(core, slot, (uint64_t)others + strlen(name) + size);
	if (rc == 0)
		state_commit(&core->state);
	return rc;
}

int core_setxattr(struct core *core, uint64_t node, const char *name, const void *value,
		  size_t size, int flags, const struct core_caller *caller)
{
	struct slot *slot = slot_get(core, node);
	const char *computed = attribute_name(name);
	AUTO_CLOSE int fd = -1;
	int rc;

	if (core_replayed(core, &rc, NULL))
		return rc;
	if (!slot)
		return -ESTALE;
	if (computed) /* done twice it is the same */
		return attribute_set(core, slot, computed, value, size, caller->uid);
	if (is_hidden(core, name))
		return -EPERM;
	fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	if (flags & XATTR_CREATE) {
		rc = check_attribute(core, fd, name, false);
		if (rc < 0)
			return rc;
		flags &= ~XATTR_CREATE;
	}
	rc = charge_attribute(core, slot, fd, name, size);
	if (rc < 0)
		return rc;
	rc = neg_errno(
	    setxattr(tree_fd_path(fd).text, name, value, size, flags & ~CORE_XATTR_KILL_SGID));
	if (rc == 0 && (flags & CORE_XATTR_KILL_SGID))
		rc = drop_setgid(fd);
	if (rc == 0)
		return core_finish(core, 0);
	charge_attribute(core, slot, fd, "", 0); /* as they are */
	return rc;
}

int core_removexattr(struct core *core, uint64_t node, const char *name)
{
	struct slot *slot = slot_get(core, node);
	const char *computed = attribute_name(name);
	AUTO_CLOSE int fd = -1;
	int rc;

	if (core_replayed(core, &rc, NULL))
		return rc;
	if (!slot)
		return -ESTALE;
	if (computed) {
		rc = attribute_clear(core, slot, computed, core->request_uid);
		return rc == -ENODATA && core->resent_started ? 0 : rc;
	}
	if (is_hidden(core, name))
		return -EPERM;
	fd = tree_open_inode(&core->tree, slot, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	rc = is_acl(name) ? 0 : check_attribute(core, fd, name, true);
	if (rc < 0)
		return rc;
	if (removexattr(tree_fd_path(fd).text, name) < 0 && errno != ENODATA)
		return -errno;
	charge_attribute(core, slot, fd, "", 0);
	return core_finish(core, 0);
}
