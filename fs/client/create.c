/* Creating an object that is complete before it has its name.
 *
 * It is born as a file without a name (O_TMPFILE) in the directory wanted, which proves the right
 * to create there; it is configured over the control socket, opened and given its rights, and then
 * linked, which proves that the name is free. The kernel checks both. Who is killed in between
 * leaves nothing: a file without a name goes with its last descriptor.
 *
 * Where the kernel's FUSE has no O_TMPFILE (before Linux 6.2) a hidden name stands in for it, and
 * the last step is a rename; that name stays if the creator is killed. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define HIDDEN_PREFIX ".mapping-"
enum { HIDDEN_TRIES = 8, HIDDEN_SIZE = 32, RACES = 16 };

struct newborn {
	int directory;            /* borrowed */
	int file;                 /* keeps it alive; -1: it has a hidden name */
	int path;                 /* O_PATH */
	char hidden[HIDDEN_SIZE]; /* empty: none */
};

static int make_hidden(struct newborn *new, mode_t mode, struct mapping_error *error)
{
	for (int i = 0; i < HIDDEN_TRIES; i++) {
		uint64_t number;

		if (getrandom(&number, sizeof number, 0) != sizeof number)
			return mapping_fail_errno(error, EIO, "cannot make a name");
		snprintf(new->hidden, sizeof new->hidden, HIDDEN_PREFIX "%016llx",
			 (unsigned long long)number);
		if (!mknodat(new->directory, new->hidden, S_IFREG | mode, 0)) {
			new->path =
			    openat(new->directory, new->hidden, O_PATH | O_NOFOLLOW | O_CLOEXEC);
			if (new->path >= 0)
				return 0;
			return mapping_fail_errno(error, errno,
						  "cannot find what was just created");
		}
		if (errno != EEXIST)
			break;
	}
	new->hidden[0] = '\0';
	return mapping_fail_errno(error, errno, "cannot create a name in this directory");
}

/* Made with as little as the owner needs; the wanted mode comes last. */
static int make(struct newborn *new, const struct mapping_attributes *a,
		struct mapping_error *error)
{
	const mode_t mode = a->set_mode ? S_IRUSR | S_IWUSR : 0666;

	new->file = openat(new->directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
	if (new->file < 0) {
		if (errno == EOPNOTSUPP || errno == EISDIR)
			return make_hidden(new, mode, error);
		return mapping_fail_errno(error, errno, "cannot create in this directory");
	}
	new->path = mapping_reopen(new->file, O_PATH);
	if (new->path < 0)
		return mapping_fail_errno(error, -new->path, "cannot find what was just created");
	return 0;
}

static void drop(struct newborn *new)
{
	if (new->hidden[0])
		unlinkat(new->directory, new->hidden, 0);
	cleanup_close(&new->path);
	cleanup_close(&new->file);
}

static int configure(const struct mapping_mount *mount, const struct newborn *new,
		     const struct mapping_attributes *a, struct mapping_error *error)
{
	const struct wire_request request = mapping_configuration(a);
	const int fds[WIRE_MAX_FDS] = {new->path, a->file_fd};

	return mapping_request(mount, &request, fds, a->bind ? 2 : 1, NULL, error);
}

static int set_rights(const struct newborn *new, const struct mapping_attributes *a,
		      struct mapping_error *error)
{
	const struct proc_path path = mapping_proc_path(new->path);

	if (a->set_gid && chown(path.text, (uid_t)-1, a->gid))
		return mapping_fail(error, errno,
				    "cannot give it to group %u: %s; "
				    "you must own it and be in that group",
				    a->gid, strerrordesc_np(errno));
	if (a->set_mode && chmod(path.text, a->mode))
		return mapping_fail_errno(error, errno, "cannot set its mode");
	return 0;
}

/* 0 or -errno without a text: what is there is looked at for that. */
static int publish(const struct newborn *new, const char *base)
{
	if (new->hidden[0])
		return neg_errno(
		    renameat2(new->directory, new->hidden, new->directory, base, RENAME_NOREPLACE));
	return neg_errno(linkat(AT_FDCWD, mapping_proc_path(new->path).text, new->directory, base,
				AT_SYMLINK_FOLLOW));
}

static int open_new(const struct newborn *new, const struct mapping_attributes *a, int flags,
		    struct mapping_error *error)
{
	AUTO_CLOSE int fd = mapping_reopen(new->path, flags);
	int rc;

	if (fd < 0)
		return mapping_fail_errno(error, -fd, "cannot open the new object");
	rc = a->owned ? mapping_wait(fd, 0, error) : 0;
	return rc < 0 ? rc : steal_fd(&fd);
}

static int fail_in_use(int directory, const char *base, struct mapping_error *error)
{
	AUTO_CLOSE int there = openat(directory, base, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct mapping_kind kind;

	if (there < 0 || mapping_kind(there, &kind))
		return mapping_fail_errno(error, EEXIST, "the name is in use");
	return mapping_fail(error, EEXIST,
			    "the name is in use: it is %s; choose another, or remove that one "
			    "first",
			    kind.text);
}

/* base NULL: it gets no name. */
static int create(const struct mapping_mount *mount, int directory, const char *base,
		  const struct mapping_attributes *a, int open_flags, int *fd,
		  struct mapping_error *error)
{
	struct newborn new = {.directory = directory, .file = -1, .path = -1};
	AUTO_CLOSE int opened = -1;
	int rc = make(&new, a, error);

	if (!rc)
		rc = configure(mount, &new, a, error);
	if (!rc && fd)
		rc = opened = open_new(&new, a, open_flags, error);
	if (rc >= 0)
		rc = set_rights(&new, a, error);
	if (!rc && base) {
		rc = publish(&new, base);
		if (!rc)
			new.hidden[0] = '\0';
		else if (rc == -EEXIST)
			rc = fail_in_use(directory, base, error);
		else
			rc = mapping_fail_errno(error, -rc, "cannot give it its name");
	}
	drop(&new);
	if (!rc && fd)
		*fd = steal_fd(&opened);
	return rc;
}

/* What is there under the name: MAPPING_EXISTED and it is opened, -ENOENT, or why not. */
static int open_existing(const struct mapping_mount *mount, int directory, const char *base,
			 enum mapping_type type, int open_flags, int *fd,
			 struct mapping_error *error)
{
	AUTO_CLOSE int there = mapping_open_at(mount, directory, base, O_PATH, error);
	struct mapping_kind kind;
	int rc = there < 0 ? there : mapping_kind(there, &kind);

	if (rc)
		return there < 0 ? rc : mapping_fail_errno(error, -rc, "cannot look at it");
	if (kind.type != type)
		return mapping_fail(error, EEXIST,
				    "the name is in use: it is %s, not %s; choose another, or "
				    "remove that one first",
				    kind.text, mapping_type_text(type));
	if (!fd)
		return MAPPING_EXISTED;
	*fd = mapping_reopen(there, open_flags);
	if (*fd >= 0)
		return MAPPING_EXISTED;
	rc = steal_fd(fd);
	return mapping_fail_errno(error, -rc,
				  "the name is in use, and what is there cannot be "
				  "opened");
}

/* Names come and go meanwhile; one that is there and not there again and again is a symbolic link
 * to nowhere. */
static int open_or_create(const struct mapping_mount *mount, int directory, const char *base,
			  const struct mapping_attributes *a, int open_flags, int *fd,
			  struct mapping_error *error)
{
	int rc = -EEXIST;

	for (int i = 0; i < RACES && rc == -EEXIST; i++) {
		rc = open_existing(mount, directory, base, a->type, open_flags, fd, error);
		if (rc != -ENOENT && rc != -ESTALE)
			return rc;
		rc = create(mount, directory, base, a, open_flags, fd, error);
	}
	if (!rc && error)
		*error = (struct mapping_error){0}; /* of the search */
	return rc;
}

int mapping_create(const struct mapping_mount *mount, const char *name,
		   const struct mapping_attributes *attributes, int open_flags, int *fd,
		   struct mapping_error *error)
{
	char base[NAME_MAX + 1];
	AUTO_CLOSE int directory = -1;
	struct stat st;
	int rc;

	if (fd)
		*fd = -1;
	rc = mapping_check_attributes(attributes, fd, open_flags, error);
	if (rc)
		return rc;
	if (!name && !fd)
		return mapping_fail(error, EINVAL, "without a name it must be opened at once");
	directory = name ? mapping_open_parent(mount, name, base, error)
			 : mapping_open_name(mount, "", O_PATH | O_DIRECTORY, error);
	if (directory < 0)
		return directory;
	if (!name)
		return create(mount, directory, NULL, attributes, open_flags, fd, error);
	if (attributes->existing)
		return open_or_create(mount, directory, base, attributes, open_flags, fd, error);
	/* linkat() decides; this only spares the work where the answer is known. */
	if (!fstatat(directory, base, &st, AT_SYMLINK_NOFOLLOW))
		return fail_in_use(directory, base, error);
	return create(mount, directory, base, attributes, open_flags, fd, error);
}
