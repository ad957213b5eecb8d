/* Creating an object that is complete before it has its name.
 *
 * A hidden name of our own making is created through the mount, which proves the right to create in
 * that directory; it is configured over the control socket and then renamed, which proves that the
 * wanted name is free. The kernel checks both. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define HIDDEN_PREFIX ".mapping-"
enum { HIDDEN_TRIES = 8, HIDDEN_SIZE = 32 };

static int check_size(const struct mapping_attributes *a, struct mapping_error *error)
{
	if (!a->set_size)
		return 0;
	if (!a->size)
		return mapping_fail(error, EINVAL, "a size of 0: an object has 1 byte at least");
	if (a->size > INT64_MAX)
		return mapping_fail(error, EFBIG,
				    "the size is larger than any file can be: at most "
				    "9223372036854775807 bytes");
	return 0;
}

static int check(const struct mapping_attributes *a, struct mapping_error *error)
{
	if (a->temporary && a->permanent)
		return mapping_fail(error, EINVAL, "temporary and permanent at once; choose one");
	if (a->sparse && a->bind)
		return mapping_fail(error, EINVAL,
				    "sparse is for memory; a bound file has its own blocks");
	if (a->read_only && !a->bind)
		return mapping_fail(
		    error, EINVAL,
		    "read-only is for objects bound to a file; use the mode for others");
	if (a->set_mode && (a->mode & ~(mode_t)07777))
		return mapping_fail(error, EINVAL, "the mode has bits beyond 07777");
	return check_size(a, error);
}

/* The directory entry is made with as little as the owner needs; the wanted mode comes last. */
static int make_hidden(int directory, const struct mapping_attributes *a, char *name,
		       struct mapping_error *error)
{
	const mode_t mode = a->set_mode ? S_IRUSR | S_IWUSR : 0666;

	for (int i = 0; i < HIDDEN_TRIES; i++) {
		uint64_t number;

		if (getrandom(&number, sizeof number, 0) != sizeof number)
			return mapping_fail_errno(error, EIO, "cannot make a name");
		snprintf(name, HIDDEN_SIZE, HIDDEN_PREFIX "%016llx", (unsigned long long)number);
		if (!mknodat(directory, name, S_IFREG | mode, 0))
			return 0;
		if (errno != EEXIST)
			break;
	}
	return mapping_fail_errno(error, errno, "cannot create a name in this directory");
}

static uint32_t flags_of(const struct mapping_attributes *a)
{
	return (a->bind ? WIRE_BIND : 0U) | (a->sparse ? WIRE_SPARSE : 0U) |
	       (a->set_size ? WIRE_SET_SIZE : 0U) | (a->temporary ? WIRE_TEMPORARY : 0U) |
	       (a->permanent ? WIRE_PERMANENT : 0U) | (a->read_only ? WIRE_READ_ONLY : 0U);
}

static int configure(const struct mapping_mount *mount, int directory, const char *hidden,
		     const struct mapping_attributes *a, struct mapping_error *error)
{
	const struct wire_request request =
	    mapping_wire_request(WIRE_CONFIGURE, flags_of(a), a->set_size ? a->size : 0);
	AUTO_CLOSE int object = openat(directory, hidden, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	const int fds[WIRE_MAX_FDS] = {object, a->file_fd};

	if (object < 0)
		return mapping_fail_errno(error, errno, "cannot find what was just created");
	return mapping_request(mount, &request, fds, a->bind ? 2 : 1, NULL, error);
}

static int set_rights(int directory, const char *hidden, const struct mapping_attributes *a,
		      struct mapping_error *error)
{
	if (a->set_gid && fchownat(directory, hidden, (uid_t)-1, a->gid, AT_SYMLINK_NOFOLLOW))
		return mapping_fail(error, errno,
				    "cannot give it to group %u: %s; "
				    "you must own it and be in that group",
				    a->gid, strerrordesc_np(errno));
	if (a->set_mode && fchmodat(directory, hidden, a->mode, 0))
		return mapping_fail_errno(error, errno, "cannot set its mode");
	return 0;
}

static int publish(int directory, const char *hidden, const char *base, struct mapping_error *error)
{
	if (!renameat2(directory, hidden, directory, base, RENAME_NOREPLACE))
		return 0;
	if (errno == EEXIST)
		return mapping_fail(error, EEXIST,
				    "the name is in use; choose another, or remove that one first");
	return mapping_fail_errno(error, errno, "cannot give it its name");
}

/* From the hidden name to the wanted one; a failure leaves the hidden one for the caller to remove.
 */
static int complete(const struct mapping_mount *mount, int directory, const char *hidden,
		    const char *base, const struct mapping_attributes *a, int open_flags, int *fd,
		    struct mapping_error *error)
{
	AUTO_CLOSE int opened = -1;
	int rc = configure(mount, directory, hidden, a, error);

	if (!rc && fd) {
		opened = openat(directory, hidden, open_flags | O_CLOEXEC | O_NOFOLLOW);
		if (opened < 0)
			rc = mapping_fail_errno(error, errno, "cannot open the new object");
	}
	if (!rc)
		rc = set_rights(directory, hidden, a, error);
	if (!rc && base)
		rc = publish(directory, hidden, base, error);
	if (!rc && fd)
		*fd = steal_fd(&opened);
	return rc;
}

int mapping_create(const struct mapping_mount *mount, const char *name,
		   const struct mapping_attributes *attributes, int open_flags, int *fd,
		   struct mapping_error *error)
{
	char base[NAME_MAX + 1], hidden[HIDDEN_SIZE];
	AUTO_CLOSE int directory = -1;
	struct stat st;
	int rc = check(attributes, error);

	if (rc)
		return rc;
	if (!name && !fd)
		return mapping_fail(error, EINVAL, "without a name it must be opened at once");
	if (open_flags & (O_CREAT | O_EXCL | O_TRUNC | O_PATH))
		return mapping_fail(error, EINVAL, "open it with O_RDONLY or O_RDWR");
	directory = name ? mapping_open_parent(mount, name, base, error)
			 : mapping_open_name(mount, "", O_PATH | O_DIRECTORY, error);
	if (directory < 0)
		return directory;
	/* renameat2() decides; this only spares the work where the answer is known. */
	if (name && !fstatat(directory, base, &st, AT_SYMLINK_NOFOLLOW))
		return mapping_fail(error, EEXIST,
				    "the name is in use; choose another, or remove that one first");
	rc = make_hidden(directory, attributes, hidden, error);
	if (rc)
		return rc;
	rc = complete(mount, directory, hidden, name ? base : NULL, attributes, open_flags, fd,
		      error);
	if (rc || !name)
		unlinkat(directory, hidden, 0);
	return rc;
}
