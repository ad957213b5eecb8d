/* Set-user-ID and set-group-ID bits die when somebody without the right to keep them changes the
 * data (inode(7)). The kernel leaves that to us (FUSE_HANDLE_KILLPRIV_V2): asking it to do it would
 * make it ask us for security.capability before every write. Writes of such files, rare as they
 * are, go through us. */
#include "core/internal.h"
#include "core/util.h"

bool setid_mode(mode_t mode)
{
	return S_ISREG(mode) && (mode & (S_ISUID | S_ISGID));
}

void setid_drop(struct core *core, struct slot *slot)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	mode_t mode;

	if (!(slot->flags & SLOT_SETID) || core->request_uid == 0)
		return;
	fd = tree_open_inode(&core->tree, slot, O_PATH);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	mode = st.st_mode & 07777 & ~(mode_t)S_ISUID;
	if (mode & S_IXGRP)
		mode &= ~(mode_t)S_ISGID;
	if (chmod(tree_fd_path(fd).text, mode) == 0 && !setid_mode(S_IFREG | mode))
		slot->flags &= ~(uint32_t)SLOT_SETID;
}
