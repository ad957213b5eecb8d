/* fdinfo names the inode and the mount, not the device. Mount ids are unique over all namespaces
 * while the mount lives, so a set of "mounts of our device" answers for every process. It is filled
 * as needed: from the process's own mountinfo first, from every namespace's if that did not help (a
 * descriptor may have been passed in from another one). */
#include "core/inspect_handles.h"

#include "core/inspect.h"
#include "core/proc.h"
#include "core/util.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

void inspect_handles_init(struct inspect_handles *handles, uint32_t dev_major, uint32_t dev_minor,
			  ino_t ino)
{
	*handles =
	    (struct inspect_handles){.dev_major = dev_major, .dev_minor = dev_minor, .ino = ino};
}

void inspect_handles_finish(struct inspect_handles *handles)
{
	free(handles->mounts);
}

static bool is_known_mount(const struct inspect_handles *handles, int id)
{
	for (size_t i = 0; i < handles->mount_count; i++)
		if (handles->mounts[i] == id)
			return true;
	return false;
}

static int add_mount(struct inspect_handles *handles, int id)
{
	int *grown;

	if (is_known_mount(handles, id))
		return 0;
	grown = reallocarray(handles->mounts, handles->mount_count + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	handles->mounts = grown;
	grown[handles->mount_count++] = id;
	return 0;
}

static int load_mounts(struct inspect_handles *handles, int proc_fd, pid_t pid)
{
	AUTO_FREE char *line = NULL;
	AUTO_CLOSE int fd = -1;
	size_t capacity = 0;
	char path[64];
	FILE *file;
	int rc = 0;

	snprintf(path, sizeof path, "%d/mountinfo", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	file = fd < 0 ? NULL : fdopen(fd, "re");
	if (!file)
		return 0; /* gone, or not for us to see */
	fd = -1;
	while (!rc && getline(&line, &capacity, file) > 0) {
		unsigned major, minor;
		int id;

		if (sscanf(line, "%d %*d %u:%u", &id, &major, &minor) == 3 &&
		    major == handles->dev_major && minor == handles->dev_minor)
			rc = add_mount(handles, id);
	}
	fclose(file);
	return rc;
}

/* True for a mount namespace not in `seen` yet. */
static bool is_new_namespace(int proc_fd, pid_t pid, uint64_t **seen, size_t *count)
{
	char path[64], target[64] = "";
	uint64_t *grown, number;

	snprintf(path, sizeof path, "%d/ns/mnt", pid);
	if (readlinkat(proc_fd, path, target, sizeof target - 1) < 0 ||
	    sscanf(target, "mnt:[%lu]", &number) != 1)
		return false;
	for (size_t i = 0; i < *count; i++)
		if ((*seen)[i] == number)
			return false;
	grown = reallocarray(*seen, *count + 1, sizeof *grown);
	if (!grown)
		return false;
	*seen = grown;
	grown[(*count)++] = number;
	return true;
}

static int load_all_mounts(struct inspect_handles *handles)
{
	AUTO_FREE uint64_t *seen = NULL;
	struct dirent *entry;
	size_t count = 0;
	int rc = 0;
	DIR *proc;

	handles->all_loaded = true;
	proc = opendir(proc_directory());
	if (!proc)
		return -errno;
	while (!rc && (entry = readdir(proc))) {
		pid_t pid = (pid_t)atoi(entry->d_name);

		if (pid > 0 && is_new_namespace(dirfd(proc), pid, &seen, &count))
			rc = load_mounts(handles, dirfd(proc), pid);
	}
	closedir(proc);
	return rc;
}

/* 1, 0 or -errno. */
static int is_our_mount(struct inspect_handles *handles, int proc_fd, pid_t pid, int id)
{
	int rc;

	if (is_known_mount(handles, id))
		return 1;
	rc = load_mounts(handles, proc_fd, pid);
	if (!rc && !is_known_mount(handles, id) && !handles->all_loaded)
		rc = load_all_mounts(handles);
	return rc ? rc : is_known_mount(handles, id);
}

struct fd_info {
	unsigned long flags, ino;
	int mount;
};

static bool read_fd_info(int fd_dir, const char *name, struct fd_info *out)
{
	AUTO_CLOSE int fd = -1;
	char path[64], text[512];
	const char *flags, *mount, *ino;
	ssize_t got;

	snprintf(path, sizeof path, "../fdinfo/%.20s", name);
	fd = openat(fd_dir, path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (got <= 0)
		return false;
	text[got] = '\0';
	flags = strstr(text, "flags:");
	mount = strstr(text, "mnt_id:");
	ino = strstr(text, "\nino:");
	if (!flags || !mount || !ino)
		return false;
	out->flags = strtoul(flags + 6, NULL, 8);
	out->mount = atoi(mount + 7);
	out->ino = strtoul(ino + 5, NULL, 10);
	return true;
}

static unsigned access_of(unsigned long flags)
{
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return INSPECT_READ;
	case O_WRONLY:
		return INSPECT_WRITE;
	default:
		return INSPECT_READ | INSPECT_WRITE;
	}
}

/* Sockets, pipes and the like are told apart by their link's text, which costs one call, not three.
 */
static bool may_be_file(int fd_dir, const char *name)
{
	char first;

	return readlinkat(fd_dir, name, &first, 1) == 1 && first == '/';
}

int inspect_handles_scan(struct inspect_handles *handles, int proc_fd, pid_t pid,
			 inspect_handle_found found, void *context)
{
	struct dirent *entry;
	struct fd_info info;
	char path[32];
	int fd, rc = 0;
	DIR *fds;

	snprintf(path, sizeof path, "%d/fd", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds = fd < 0 ? NULL : fdopendir(fd);
	if (!fds) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc == -EACCES ? 0 : rc;
	}
	while (!rc && (entry = readdir(fds))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !may_be_file(dirfd(fds), entry->d_name) ||
		    !read_fd_info(dirfd(fds), entry->d_name, &info) || info.ino != handles->ino ||
		    (info.flags & O_PATH))
			continue;
		rc = is_our_mount(handles, proc_fd, pid, info.mount);
		if (rc > 0)
			rc = found(context, atoi(entry->d_name), access_of(info.flags));
	}
	closedir(fds);
	return rc;
}
