/* The worker serves the file system that the descriptors it is given may lie in, and the single
 * thread that looks at them would wait for itself. So nothing here makes a file system ask its
 * server: F_GETFL, statx with AT_STATX_DONT_SYNC, and name_to_handle_at are answered by the kernel.
 */
#include "fs/control_internal.h"

#include "core/core.h"
#include "core/sys.h"
#include "core/util.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

/* fuse_encode_fh(): node id (high, low), generation. Its type is told apart from others' by the
 * missing block device: XFS uses the same number. */
enum { FUSE_HANDLE_TYPE = 0x81, FUSE_HANDLE_BYTES = 3 * sizeof(uint32_t) };

struct object_handle {
	struct file_handle head;
	unsigned char room[MAX_HANDLE_SZ];
};

static int encode_handle(int fd, struct object_handle *out)
{
	out->head.handle_bytes = MAX_HANDLE_SZ;
	return sys->handle_of(fd, "", &out->head, AT_EMPTY_PATH);
}

static int stat_quietly(int fd, unsigned mask, struct statx *out)
{
	return neg_errno(statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, out));
}

bool control_fd_is_path(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_PATH);
}

static bool is_on_our_mount(const struct control *control, const struct statx *stx)
{
	return stx->stx_dev_major == control->config.device_major &&
	       stx->stx_dev_minor == control->config.device_minor;
}

bool control_fd_is_fuse(int fd)
{
	struct object_handle handle;
	struct statx stx;

	return !stat_quietly(fd, 0, &stx) && stx.stx_dev_major == 0 &&
	       !encode_handle(fd, &handle) && handle.head.handle_type == FUSE_HANDLE_TYPE;
}

/* Where a process may not ask for handles: the inode's number, which the descriptor keeps in use.
 */
static int node_by_inode(const struct control *control, int fd, uint64_t *node, const char **why)
{
	struct statx stx;
	int rc = stat_quietly(fd, STATX_INO, &stx);

	if (rc == 0)
		rc = core_node_of(control->config.core, stx.stx_ino, node);
	*why = "the kernel does not tell which object the descriptor means";
	return -rc;
}

int control_object_node(const struct control *control, int fd, uint64_t *node, const char **why)
{
	struct object_handle handle;
	struct statx stx;
	uint32_t words[3];
	int rc;

	if (!control_fd_is_path(fd)) {
		*why = "the object's descriptor must be opened with O_PATH";
		return EBADF;
	}
	rc = stat_quietly(fd, 0, &stx); /* nothing asked for: the device comes all the same */
	if (rc < 0) {
		*why = "the object's descriptor cannot be examined";
		return -rc;
	}
	if (!is_on_our_mount(control, &stx)) {
		*why = "the object is not in this mount; use the control socket of its own mount";
		return EXDEV;
	}
	rc = encode_handle(fd, &handle);
	if (rc == -ENOSYS)
		return node_by_inode(control, fd, node, why);
	if (rc < 0 || handle.head.handle_type != FUSE_HANDLE_TYPE ||
	    handle.head.handle_bytes != FUSE_HANDLE_BYTES) {
		*why = "the kernel does not tell which object the descriptor means";
		return rc < 0 ? -rc : EINVAL;
	}
	memcpy(words, handle.head.f_handle, sizeof words);
	*node = (uint64_t)words[0] << 32 | words[1];
	return 0;
}

static int refuse(int error, const char **why, const char *text)
{
	*why = text;
	return error;
}

int control_check_external(const struct control *control, int fd, const char **why)
{
	int flags = fcntl(fd, F_GETFL);
	struct statx stx;
	int rc;

	if (flags < 0 || (flags & O_PATH))
		return refuse(EBADF, why, "the file to bind must be open for reading, not O_PATH");
	if ((flags & O_ACCMODE) == O_WRONLY)
		return refuse(EACCES, why,
			      "the file to bind is open for writing only; open it O_RDWR");
	rc = stat_quietly(fd, STATX_TYPE, &stx);
	if (rc < 0)
		return refuse(-rc, why, "the file to bind cannot be examined");
	if (is_on_our_mount(control, &stx))
		return refuse(ELOOP, why,
			      "the file to bind lies in this mount itself; bind a file of another "
			      "file system, or make a hard link");
	if (!S_ISREG(stx.stx_mode))
		return refuse(EINVAL, why, "the file to bind is not a regular file");
	/* Its server may itself wait for us (a bindfs over this mount), or never answer. */
	if (control_fd_is_fuse(fd))
		return refuse(EOPNOTSUPP, why,
			      "the file to bind is on another FUSE file system; bind a file of a "
			      "file system that the kernel serves itself");
	return 0;
}

int control_text_fd(const char *text)
{
	AUTO_CLOSE int fd = -1;
	size_t length = strlen(text), done = 0;

	fd = memfd_create("mappingfs-answer", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("mappingfs-answer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	while (done < length) {
		ssize_t put = write(fd, text + done, length - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put ? -errno : -EIO;
		done += (size_t)put;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -errno;
	return steal_fd(&fd);
}
