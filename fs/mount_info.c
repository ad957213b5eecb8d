/* Reads /proc/self/mountinfo. Our own mount is never asked for anything: before a worker runs
 * nobody would answer. */
#include "core/sys.h"
#include "core/util.h"
#include "fs/mount.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>

/* Mountinfo writes space, tab, newline and backslash as three octal digits. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] && text[3]) {
			*to++ =
			    (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /root /mount/point options - fstype source superoptions" */
static bool parse_line(const char *line, struct mount_entry *out)
{
	char root[PATH_MAX], point[PATH_MAX];
	const char *dash = strstr(line, " - ");

	if (!dash || sscanf(dash, " - %63s", out->fstype) != 1)
		return false;
	if (sscanf(line, "%d %*d %u:%u %4095s %4095s", &out->id, &out->device_major,
		   &out->device_minor, root, point) != 5)
		return false;
	out->whole = strcmp(root, "/") == 0;
	unescape(point);
	strcpy(out->point, point);
	return true;
}

/* Later lines are mounted later: the last match is the one that is seen. */
static int find_last(bool (*match)(const struct mount_entry *, const void *), const void *wanted,
		     struct mount_entry *out)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	AUTO_FREE char *line = NULL;
	struct mount_entry entry;
	size_t size = 0;
	int rc = -ENOENT;

	if (!file)
		return -errno;
	errno = 0;
	while (getline(&line, &size, file) >= 0) {
		if (!parse_line(line, &entry) || !match(&entry, wanted))
			continue;
		*out = entry;
		rc = 0;
	}
	if (ferror(file))
		rc = errno ? -errno : -EIO;
	fclose(file);
	return rc;
}

static bool match_point(const struct mount_entry *entry, const void *wanted)
{
	return !strcmp(entry->point, wanted);
}

static bool match_id(const struct mount_entry *entry, const void *wanted)
{
	return entry->id == *(const int *)wanted;
}

static bool match_device(const struct mount_entry *entry, const void *wanted)
{
	const unsigned *device = wanted;

	return entry->device_major == device[0] && entry->device_minor == device[1];
}

int mount_info_at(const char *point, struct mount_entry *out)
{
	return find_last(match_point, point, out);
}

int mount_info_by_id(int id, struct mount_entry *out)
{
	return find_last(match_id, &id, out);
}

bool mount_info_has_device(unsigned device_major, unsigned device_minor)
{
	struct mount_entry entry;

	return find_last(match_device, (unsigned[]){device_major, device_minor}, &entry) != -ENOENT;
}

static bool match_cgroup(const struct mount_entry *entry, const void *wanted)
{
	(void)wanted;
	return entry->whole && !strcmp(entry->fstype, "cgroup2");
}

/* As a mount of our own where we may: the one that is found can be unmounted then. */
int mount_cgroup_open(void)
{
	struct mount_entry entry;
	AUTO_CLOSE int mount = -1;
	struct statfs fs;
	int rc = find_last(match_cgroup, NULL, &entry), fd;

	if (rc < 0)
		return rc;
	mount = sys->open_tree(AT_FDCWD, entry.point, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	fd = mount < 0 ? open(entry.point, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
		       : openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
		return fd;
	close(fd); /* something else was mounted over it */
	return -ENOENT;
}
