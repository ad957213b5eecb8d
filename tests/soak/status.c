/* What a mount says of itself, and what /proc says of its processes. */
#include "tests/soak/mounts.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "core/util.h"

bool mount_text(const struct mounted *mounted, const char *attribute, char text[STATUS_BYTES])
{
	ssize_t got = getxattr(mounted->common->path, attribute, text, STATUS_BYTES - 1);

	text[got < 0 ? 0 : got] = '\0';
	return got > 0;
}

int64_t number_in(const char *json, const char *key)
{
	char quoted[64];
	const char *found;
	long long value;

	snprintf(quoted, sizeof quoted, "\"%s\": ", key);
	found = strstr(json, quoted);
	if (!found || sscanf(found + strlen(quoted), "%lld", &value) != 1)
		return -1;
	return value;
}

int64_t mount_number(const struct mounted *mounted, const char *key)
{
	AUTO_FREE char *text = malloc(STATUS_BYTES);

	if (!text || !mount_text(mounted, "user.mapping.status", text))
		return -1;
	return number_in(text, key);
}

int count_fds(pid_t pid)
{
	char path[64];
	int count = -2;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

bool process_is(pid_t pid, const char *program)
{
	char path[64], exe[4096];
	const char *base;
	ssize_t got;

	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	got = readlink(path, exe, sizeof exe - 1);
	if (got <= 0)
		return false;
	exe[got] = '\0';
	base = strrchr(exe, '/');
	/* " (deleted)" follows where the program was built anew */
	return base && !strncmp(base + 1, program, strlen(program));
}

int64_t private_memory(pid_t pid)
{
	char line[256];
	long long kib = -1;
	FILE *file;

	snprintf(line, sizeof line, "/proc/%d/status", (int)pid);
	file = fopen(line, "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "RssAnon: %lld kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

/* Calls each() for the descriptors of a process that are links to what begins with `what`. */
static void each_fd(pid_t pid, const char *what, void (*each)(const char *fd, int64_t *sum),
		    int64_t *sum)
{
	char path[64], link[4096], of[128];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		ssize_t got;

		snprintf(of, sizeof of, "/proc/%d/fd/%.16s", (int)pid, entry->d_name);
		got = readlink(of, link, sizeof link - 1);
		if (got <= 0)
			continue;
		link[got] = '\0';
		if (!strncmp(link, what, strlen(what)))
			each(of, sum);
	}
	if (dir)
		closedir(dir);
}

static void add_size(const char *fd, int64_t *sum)
{
	struct stat st;

	if (stat(fd, &st) == 0)
		*sum += st.st_blocks / 2;
}

int64_t state_memory(pid_t supervisor)
{
	int64_t kib = 0;

	each_fd(supervisor, "/memfd:", add_size, &kib);
	return kib;
}

static void take_inode(const char *fd, int64_t *inode)
{
	struct stat st;

	if (stat(fd, &st) == 0)
		*inode = (int64_t)st.st_ino;
}

uint64_t state_inode(pid_t supervisor)
{
	int64_t inode = 0;

	each_fd(supervisor, "/memfd:", take_inode, &inode);
	return (uint64_t)inode;
}

static void add_watches(const char *fd, int64_t *sum)
{
	char line[256];
	int pid, number;
	FILE *file;

	if (sscanf(fd, "/proc/%d/fd/%d", &pid, &number) != 2)
		return;
	snprintf(line, sizeof line, "/proc/%d/fdinfo/%d", pid, number);
	file = fopen(line, "re");
	while (file && fgets(line, sizeof line, file))
		*sum += !strncmp(line, "inotify wd:", 11);
	if (file)
		fclose(file);
}

int count_watches(pid_t supervisor)
{
	int64_t watches = 0;

	each_fd(supervisor, "anon_inode:inotify", add_watches, &watches);
	return (int)watches;
}
