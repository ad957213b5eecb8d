/* Finding a mount, its root as it is seen from here, and its control socket.
 *
 * In a container one directory of the mount may be all there is: then mountinfo shows a bind mount
 * with its own root. The socket can be bound in as well, beside it or anywhere: it shows up as a
 * mount of the same device whose root is /.control. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define MOUNTINFO "/proc/self/mountinfo"

static bool is_same_device(const struct mount_line *a, const struct mount_line *b)
{
	return a->device_major == b->device_major && a->device_minor == b->device_minor;
}

/* A mount point can be hidden by a later mount: what is there must be of the line's device. */
static int open_point(const struct mount_line *line)
{
	AUTO_CLOSE int fd = open(line->point, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statx stx;

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &stx) < 0)
		return -errno;
	if (stx.stx_dev_major != line->device_major || stx.stx_dev_minor != line->device_minor)
		return -ENODEV;
	return steal_fd(&fd);
}

/* The kernel knows the root by heart: only who asks for news learns that nobody answers. */
static int check_alive(int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx) < 0 &&
	    errno == ENOTCONN)
		return -ENOTCONN;
	return 0;
}

static char *find_socket(const struct mount_lines *lines, const struct mount_line *mount)
{
	char *path = NULL;

	for (size_t i = 0; i < lines->count; i++) {
		const struct mount_line *line = &lines->lines[i];
		AUTO_CLOSE int fd = -1;

		if (!is_same_device(line, mount))
			continue;
		if (!strcmp(line->root, "/.control"))
			return strdup(line->point);
		if (strcmp(line->root, "/") != 0)
			continue;
		fd = open_point(line);
		if (fd >= 0)
			return asprintf(&path, "%s/.control", line->point) < 0 ? NULL : path;
	}
	return NULL;
}

static int make_mount(const struct mount_lines *lines, const struct mount_line *line,
		      struct mapping_mount **out, struct mapping_error *error)
{
	AUTO_CLOSE int fd = open_point(line);
	struct mapping_mount *mount;
	int rc = fd < 0 ? fd : check_alive(fd);

	if (rc)
		return mapping_fail_errno(error, -rc, line->point);
	mount = calloc(1, sizeof *mount);
	if (mount)
		mount->path = strdup(line->point);
	if (!mount || !mount->path) {
		free(mount);
		return mapping_fail_errno(error, ENOMEM, "cannot open the mount");
	}
	mount->root_fd = steal_fd(&fd);
	mount->device_major = line->device_major;
	mount->device_minor = line->device_minor;
	mount->socket_path = find_socket(lines, line);
	*out = mount;
	return 0;
}

/* The line of the mount that path lies in; NULL: in none of ours. */
static const struct mount_line *line_of(const struct mount_lines *lines, const struct statx *stx)
{
	const struct mount_line *other = NULL;

	for (size_t i = 0; i < lines->count; i++) {
		const struct mount_line *line = &lines->lines[i];

		if (line->device_major != stx->stx_dev_major ||
		    line->device_minor != stx->stx_dev_minor)
			continue;
		if (!(stx->stx_mask & STATX_MNT_ID) || line->id == stx->stx_mnt_id)
			return line;
		other = line;
	}
	return other;
}

static int stat_path(const char *path, struct statx *out)
{
	return neg_errno(statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, out));
}

static int find_by_path(const struct mount_lines *lines, const char *path,
			struct mapping_mount **out, struct mapping_error *error)
{
	const struct mount_line *line;
	struct statx stx;
	int rc = stat_path(path, &stx);

	if (rc)
		return mapping_fail_errno(error, -rc, path);
	line = line_of(lines, &stx);
	if (!line)
		return mapping_fail(error, ENODEV, "%s: this is not in a mount of mappingfs", path);
	return make_mount(lines, line, out, error);
}

static bool is_usable(const struct mount_line *line)
{
	AUTO_CLOSE int fd = open_point(line);

	return fd >= 0 || fd == -ENOTCONN; /* a dead one is worth naming */
}

static void add_name(char *list, size_t size, const char *name)
{
	size_t length = strlen(list);

	snprintf(list + length, size - length, "%s%s", length ? ", " : "", name);
}

/* The only one. Of several mounts of one device (binds), the one that shows its root stands for
 * all. */
static int find_only(const struct mount_lines *lines, struct mapping_mount **out,
		     struct mapping_error *error)
{
	const struct mount_line *found = NULL;
	bool is_ambiguous = false;
	char names[256] = "";

	for (size_t i = 0; i < lines->count; i++) {
		const struct mount_line *line = &lines->lines[i];

		if (!is_usable(line))
			continue;
		add_name(names, sizeof names, line->point);
		if (!found) {
			found = line;
		} else if (!is_same_device(line, found) || strcmp(found->root, "/") != 0) {
			if (is_same_device(line, found) && !strcmp(line->root, "/"))
				found = line;
			else
				is_ambiguous = true;
		}
	}
	if (!found)
		return mapping_fail(error, ENODEV,
				    "no mount of mappingfs is visible here; "
				    "mount one, or name it with --mount DIR");
	if (is_ambiguous)
		return mapping_fail(error, ENOTUNIQ,
				    "there are several mounts (%s); name one with --mount DIR",
				    names);
	return make_mount(lines, found, out, error);
}

int mapping_mount_find(const char *inside, struct mapping_mount **out, struct mapping_error *error)
{
	struct mount_lines lines;
	struct statx stx;
	int rc;

	*out = NULL;
	rc = mount_lines_read(MOUNTINFO, &lines);
	if (rc)
		return mapping_fail_errno(error, -rc, "cannot read " MOUNTINFO);
	if (inside)
		rc = find_by_path(&lines, inside, out, error);
	else if (lines.count && !stat_path(".", &stx) && line_of(&lines, &stx))
		rc = find_by_path(&lines, ".", out, error);
	else
		rc = find_only(&lines, out, error);
	mount_lines_finish(&lines);
	return rc;
}

void mapping_mount_close(struct mapping_mount *mount)
{
	if (!mount)
		return;
	close(mount->root_fd);
	free(mount->path);
	free(mount->socket_path);
	free(mount);
}

const char *mapping_mount_path(const struct mapping_mount *mount)
{
	return mount->path;
}
