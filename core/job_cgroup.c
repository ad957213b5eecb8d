/* Cgroups of version 2. They are known by the number in their file handle: it is never given again,
 * while a path can be. */
#include "core/job.h"
#include "core/proc.h"
#include "core/sys.h"
#include "core/util.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#define HANDLE_TYPE_KERNFS 0xfe /* linux/exportfs.h: FILEID_KERNFS */
#define DEEPEST            64

union handle {
	struct file_handle handle;
	char room[sizeof(struct file_handle) + sizeof(uint64_t)];
};

int cgroup_id(int cgroup, uint64_t *id)
{
	union handle u = {.handle.handle_bytes = sizeof *id};
	int rc = sys->handle_of(cgroup, "", &u.handle, AT_EMPTY_PATH);

	if (rc < 0)
		return rc;
	if (u.handle.handle_bytes != sizeof *id || u.handle.handle_type != HANDLE_TYPE_KERNFS)
		return -EOPNOTSUPP;
	memcpy(id, u.room + sizeof u.handle, sizeof *id);
	return 0;
}

/* --- directories --- */

/* Calls each() for the cgroups directly below, which it owns, while it returns 0. */
static int each_below(int cgroup,
		      int (*each)(int parent, int child, const char *name, void *context),
		      void *context)
{
	int copy = openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!dir) {
		rc = -errno;
		if (copy >= 0)
			close(copy);
		return rc;
	}
	while (rc == 0 && (entry = readdir(dir))) {
		int child;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = openat(cgroup, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child >= 0)
			rc = each(cgroup, child, entry->d_name, context);
	}
	closedir(dir);
	return rc;
}

struct search {
	uint64_t id;
	int found, depth;
};

static int search_one(int parent, int child, const char *name, void *context)
{
	struct search *search = context;
	uint64_t id;
	int rc = 0;

	(void)parent;
	(void)name;
	if (cgroup_id(child, &id) == 0 && id == search->id) {
		search->found = child;
		return 1;
	}
	if (search->depth < DEEPEST) {
		search->depth++;
		rc = each_below(child, search_one, search);
		search->depth--;
	}
	close(child);
	return rc > 0 ? rc : 0;
}

/* Whoever may not open by handle has to look for it. */
static int search_from(int root, uint64_t id)
{
	struct search search = {.id = id, .found = -ESTALE};

	each_below(root, search_one, &search);
	return search.found;
}

int cgroup_open(int root, uint64_t id)
{
	union handle u = {.handle = {.handle_bytes = sizeof id, .handle_type = HANDLE_TYPE_KERNFS}};
	int fd;

	memcpy(u.room + sizeof u.handle, &id, sizeof id);
	fd = open_by_handle_at(root, &u.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == EPERM)
		return search_from(root, id);
	return fd < 0 && errno == ENOENT ? -ESTALE : neg_errno(fd);
}

int cgroup_path(pid_t pid, char path[PATH_MAX])
{
	char line[PATH_MAX + 16];
	int rc = -ENOENT;
	FILE *file;

	file = fopen(proc_of(pid, "cgroup").text, "re");
	if (!file)
		return errno == ENOENT ? -ESRCH : -errno;
	while (rc < 0 && fgets(line, sizeof line, file)) {
		size_t length = strcspn(line, "\n");

		if (strncmp(line, "0::/", 4) != 0 || !line[length] || length - 3 >= PATH_MAX)
			continue;
		line[length] = '\0';
		strcpy(path, line + 3);
		rc = 0;
	}
	fclose(file);
	return rc;
}

int cgroup_open_path(int root, const char *path)
{
	if (strncmp(path, "/..", 3) == 0 && (path[3] == '/' || !path[3]))
		return -EXDEV; /* outside of what this namespace shows */
	return neg_errno(openat(root, path[1] ? path + 1 : ".",
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

/* It is to be ours, not the last caller's: see cred.c. */
static int make_directory(int parent, const char *name)
{
	int uid = setfsuid(geteuid()), gid = setfsgid(getegid());
	int rc = neg_errno(mkdirat(parent, name, 0755));

	setfsuid((uid_t)uid);
	setfsgid((gid_t)gid);
	return rc;
}

int cgroup_make(int parent, const char *name)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	int rc = make_directory(parent, name);

	if (rc < 0 && rc != -EEXIST)
		return rc;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return st.st_uid == geteuid() ? steal_fd(&fd) : -EACCES;
}

static int own_name(int cgroup, char name[NAME_MAX + 1])
{
	char path[PATH_MAX];
	const char *slash;
	int rc = path_of_fd(cgroup, path, sizeof path);

	if (rc < 0)
		return rc;
	slash = strrchr(path, '/');
	if (!slash || !slash[1] || strlen(slash + 1) > NAME_MAX)
		return -ENOENT;
	strcpy(name, slash + 1);
	return 0;
}

static int remove_one(int parent, int child, const char *name, void *context)
{
	int *depth = context;

	if (*depth < DEEPEST) {
		++*depth;
		each_below(child, remove_one, context);
		--*depth;
	}
	close(child);
	unlinkat(parent, name, AT_REMOVEDIR);
	return 0;
}

int cgroup_remove(int cgroup, bool below)
{
	AUTO_CLOSE int parent = openat(cgroup, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_MAX + 1];
	int depth = 0, rc;

	rc = parent < 0 ? -errno : own_name(cgroup, name);
	if (rc == 0)
		rc = neg_errno(unlinkat(parent, name, AT_REMOVEDIR));
	if (rc == -EBUSY && below) {
		each_below(cgroup, remove_one, &depth);
		rc = neg_errno(unlinkat(parent, name, AT_REMOVEDIR));
	}
	return rc == -ENOENT || rc == -ENODEV ? 0 : rc;
}

/* --- files --- */

static int write_file(int cgroup, const char *name, const char *text)
{
	AUTO_CLOSE int fd = openat(cgroup, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int cgroup_move(int cgroup, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof text, "%d", pid);
	return write_file(cgroup, "cgroup.procs", text);
}

int cgroup_kill(int cgroup)
{
	return write_file(cgroup, "cgroup.kill", "1");
}

int cgroup_events(int cgroup)
{
	return neg_errno(openat(cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC));
}

int cgroup_populated(int events)
{
	char text[256];
	ssize_t length = pread(events, text, sizeof text - 1, 0);
	const char *at;

	if (length < 0)
		return errno == ENODEV ? 0 : -errno;
	text[length] = '\0';
	at = strstr(text, "populated ");
	return at ? at[strlen("populated ")] == '1' : -EIO;
}

static int read_processes(int cgroup, struct pid_list *list)
{
	int fd = openat(cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC), pid, rc = 0;
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (!file) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0 && fscanf(file, "%d", &pid) == 1)
		if (pid > 0) /* 0: not to be seen from here */
			rc = pid_list_add(list, pid);
	fclose(file);
	return rc;
}

struct gathering {
	struct pid_list *list;
	int depth;
};

static int gather_one(int parent, int child, const char *name, void *context)
{
	struct gathering *g = context;

	(void)parent;
	(void)name;
	read_processes(child, g->list); /* what is just being removed has none */
	if (g->depth < DEEPEST) {
		g->depth++;
		each_below(child, gather_one, g);
		g->depth--;
	}
	close(child);
	return 0;
}

int cgroup_processes(int cgroup, struct pid_list *out)
{
	struct gathering g = {.list = out};
	int rc;

	*out = (struct pid_list){0};
	rc = read_processes(cgroup, out);
	if (rc == 0)
		rc = each_below(cgroup, gather_one, &g);
	pid_list_sort(out);
	return rc;
}

int cgroup_evacuate(int cgroup)
{
	AUTO_CLOSE int parent = openat(cgroup, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct pid_list list = {0};
	int rc = parent < 0 ? -errno : read_processes(cgroup, &list);

	for (size_t i = 0; i < list.count; i++)
		cgroup_move(parent, list.pids[i]);
	pid_list_finish(&list);
	return rc;
}
