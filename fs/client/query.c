/* Answers that are JSON text, and the stream of events. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

enum { LONGEST_ANSWER = 256 << 20 };

static int read_answer(int fd, char **json, struct mapping_error *error)
{
	AUTO_FREE char *text = NULL;
	size_t done = 0, size;
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size > LONGEST_ANSWER)
		return mapping_fail(error, EPROTO, "the answer cannot be read");
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	if (!text)
		return mapping_fail_errno(error, ENOMEM, "cannot read the answer");
	while (done < size) {
		ssize_t got = pread(fd, text + done, size - done, (off_t)done);

		if (got <= 0)
			return mapping_fail(error, EPROTO, "the answer cannot be read");
		done += (size_t)got;
	}
	text[size] = '\0';
	*json = text;
	text = NULL;
	return 0;
}

/* Where the socket cannot be reached, any directory of the mount tells the same. */
static int status_from_xattr(const struct mapping_mount *mount, char **json)
{
	AUTO_FREE char *text = malloc(XATTR_SIZE_MAX + 1);
	ssize_t got;

	if (!text)
		return -ENOMEM;
	got = getxattr(mapping_proc_path(mount->root_fd).text, "user.mapping.status", text,
		       XATTR_SIZE_MAX);
	if (got < 0)
		return -errno;
	text[got] = '\0';
	*json = text;
	text = NULL;
	return 0;
}

int mapping_status(const struct mapping_mount *mount, char **json, struct mapping_error *error)
{
	const struct wire_request request = mapping_wire_request(WIRE_STATUS);
	AUTO_CLOSE int fd = -1;
	int rc = mapping_request(mount, &request, NULL, 0, &fd, error);

	if (!rc)
		return read_answer(fd, json, error);
	if (status_from_xattr(mount, json))
		return rc;
	if (error)
		*error = (struct mapping_error){0};
	return 0;
}

int mapping_who(const struct mapping_mount *mount, const char *name, char **json,
		struct mapping_error *error)
{
	const struct wire_request request = mapping_wire_request(WIRE_WHO);
	AUTO_CLOSE int object = mapping_open_name(mount, name, O_PATH, error);
	AUTO_CLOSE int fd = -1;
	int rc;

	if (object < 0)
		return object;
	rc = mapping_request(mount, &request, &object, 1, &fd, error);
	return rc ? rc : read_answer(fd, json, error);
}

int mapping_top(const struct mapping_mount *mount, char **json, struct mapping_error *error)
{
	const struct wire_request request = mapping_wire_request(WIRE_TOP);
	AUTO_CLOSE int fd = -1;
	int rc = mapping_request(mount, &request, NULL, 0, &fd, error);

	return rc ? rc : read_answer(fd, json, error);
}

int mapping_upgrade(const struct mapping_mount *mount, char **json, struct mapping_error *error)
{
	const struct wire_request request = mapping_wire_request(WIRE_UPGRADE);
	AUTO_CLOSE int fd = -1;
	int rc = mapping_request(mount, &request, NULL, 0, &fd, error);

	return rc ? rc : read_answer(fd, json, error);
}

/* A directory is always named: with the one that is visible, a container is told of that alone. */
int mapping_watch(const struct mapping_mount *mount, const char *name, struct mapping_error *error)
{
	const struct wire_request request = mapping_wire_request(WIRE_WATCH);
	AUTO_CLOSE int directory =
	    mapping_open_name(mount, name ? name : "", O_PATH | O_DIRECTORY, error);

	if (directory < 0)
		return directory;
	return mapping_request_stream(mount, &request, &directory, 1, error);
}
