/* What there is, as text. */
#include "tests/points/crash_world.h"

#include "fs/handover.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define MAX_ENTRIES 64
#define OLD_TIME    1000000000 /* a time before it was set by a test */

struct description {
	FILE *out;
	const struct world *world;
	ino_t seen[MAX_ENTRIES];
	size_t count;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in order; their number. */
static size_t names_in(int dir, char **names)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	size_t count = 0;

	while (stream && (entry = readdir(stream)))
		if (count < MAX_ENTRIES && strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			names[count++] = strdup(entry->d_name);
	if (stream)
		closedir(stream);
	qsort(names, count, sizeof *names, by_name);
	return count;
}

static size_t identity(struct description *d, ino_t ino)
{
	size_t i = 0;

	while (i < d->count && d->seen[i] != ino)
		i++;
	if (i == d->count && d->count < MAX_ENTRIES)
		d->seen[d->count++] = ino;
	return i;
}

static void print_bytes(FILE *out, int fd)
{
	unsigned char bytes[4096];
	uint64_t sum = 1469598103934665603ULL;
	ssize_t got, total = 0;

	while ((got = pread(fd, bytes, sizeof bytes, total)) > 0) {
		for (ssize_t i = 0; i < got; i++)
			sum = (sum ^ bytes[i]) * 1099511628211ULL;
		if (total == 0)
			for (ssize_t i = 0; i < got && i < 24 && bytes[i]; i++)
				fputc(bytes[i] < ' ' ? '?' : bytes[i], out);
		total += got;
		if (total >= 64 << 10)
			break;
	}
	fprintf(out, "' %zd bytes %016llx", total, (unsigned long long)sum);
}

/* Opening a temporary object would begin its end, and closing a bound one would flush it. */
static void print_content(struct description *d, int dir, const char *name, const char *proc)
{
	AUTO_FREE char *type = sys_xattr(proc, "user.mapping.type");
	AUTO_FREE char *lifetime = sys_xattr(proc, "user.mapping.lifetime");
	AUTO_FREE char *backing = sys_xattr(proc, "user.mapping.backing");
	AUTO_CLOSE int fd = -1;

	if (!type || strcmp(type, "mapping") != 0 || !lifetime ||
	    strcmp(lifetime, "permanent") != 0 || !backing || strchr(backing, ':'))
		return;
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	fprintf(d->out, " '");
	if (fd >= 0)
		print_bytes(d->out, fd);
	else
		fprintf(d->out, "cannot be opened: %s", strerror(errno));
}

static bool changes_by_itself(const char *xattr)
{
	static const char *const names[] = {"user.mapping.creator", "user.mapping.views"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(xattr, names[i]) == 0)
			return true;
	return false;
}

static void print_xattrs(struct description *d, const char *proc)
{
	char list[2048], *names[64];
	ssize_t length = listxattr(proc, list, sizeof list);
	size_t count = 0;

	if (length < 0)
		fprintf(d->out, " no attributes: %s", strerror(errno));
	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(list + at) + 1)
		if (count < ARRAY_SIZE(names) && !changes_by_itself(list + at))
			names[count++] = list + at;
	qsort(names, count, sizeof *names, by_name);
	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *value = sys_xattr(proc, names[i]);
		const char *short_name = strrchr(names[i], '.') + 1;

		if (value && strcmp(names[i], "user.mapping.flush") == 0)
			value[strcspn(value, " ")] = '\0'; /* then comes the time */
		if (value && strstr(value, " due "))
			strstr(value, " due ")[4] = '\0'; /* then comes when */
		fprintf(d->out, " %s=%s", short_name, value ? value : strerror(errno));
	}
}

static void describe_directory(struct description *d, int dir, const char *prefix, bool inside);

static void describe_entry(struct description *d, int dir, const char *prefix, const char *name,
			   bool inside)
{
	AUTO_CLOSE int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char proc[64], path[512];
	struct stat st;

	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	snprintf(path, sizeof path, "%s/%s", prefix, name);
	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(d->out, "%s: %s\n", path, strerror(errno));
		return;
	}
	fprintf(d->out, "%s %o %u:%u links %lu inode %zu size %lld", path, st.st_mode, st.st_uid,
		st.st_gid, S_ISDIR(st.st_mode) ? 0UL : (unsigned long)st.st_nlink,
		identity(d, st.st_ino), S_ISDIR(st.st_mode) ? 0LL : (long long)st.st_size);
	if (st.st_mtime < OLD_TIME)
		fprintf(d->out, " of %lld", (long long)st.st_mtime);
	if (S_ISREG(st.st_mode) && inside)
		print_content(d, dir, name, proc);
	if (!S_ISLNK(st.st_mode) && inside)
		print_xattrs(d, proc);
	if (S_ISREG(st.st_mode) && !inside) {
		/* A lease left on it would make us wait. */
		AUTO_CLOSE int data = openat(dir, name, O_RDWR | O_NONBLOCK | O_CLOEXEC);

		fprintf(d->out, " '");
		print_bytes(d->out, data);
		if (data < 0)
			fprintf(d->out, " cannot be opened: %s", strerror(errno));
	}
	fprintf(d->out, "\n");
	if (S_ISDIR(st.st_mode)) {
		AUTO_CLOSE int below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		describe_directory(d, below, path, inside);
	}
}

static void describe_directory(struct description *d, int dir, const char *prefix, bool inside)
{
	char *names[MAX_ENTRIES];
	size_t count = names_in(dir, names);

	for (size_t i = 0; i < count; i++) {
		describe_entry(d, dir, prefix, names[i], inside);
		free(names[i]);
	}
}

static void describe_handles(struct description *d)
{
	const struct world *w = d->world;

	for (size_t i = 0; i < WORLD_FDS; i++) {
		struct stat st;

		if (w->fds[i] < 0 || fstat(w->fds[i], &st) < 0)
			continue;
		fprintf(d->out, "handle %zu: mode %o links %lu inode %zu size %lld '", i,
			st.st_mode, (unsigned long)st.st_nlink, identity(d, st.st_ino),
			(long long)st.st_size);
		if (st.st_size)
			print_bytes(d->out, w->fds[i]);
		fprintf(d->out, "\n");
	}
	if (w->view)
		fprintf(d->out, "view: %c\n", *(volatile char *)w->view);
}

/* Inodes without a name, that nobody sees; in the tree that the worker holds. */
static size_t count_orphans(struct sys *sys)
{
	char path[64], *names[MAX_ENTRIES];
	AUTO_CLOSE int dir = -1;
	size_t count;

	snprintf(path, sizeof path, "/proc/%d/fd/%d/orphans", sys_worker(sys), HANDOVER_FD_TREE);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return SIZE_MAX;
	count = names_in(dir, names);
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	return count;
}

static void describe_mount(struct description *d)
{
	static const char *const numbers[] = {"handles", "bound_files", "flushes_failing",
					      "committed_bytes"};
	json_t *status = sys_status(d->world->sys);
	/* With a store, what all of its file system has committed; others use that as well. */
	bool stored = json_string_length(json_object_get(status, "store")) > 0;

	for (size_t i = 0; i < ARRAY_SIZE(numbers) - stored; i++)
		fprintf(d->out, "%s %lld ", numbers[i],
			(long long)json_integer_value(json_object_get(status, numbers[i])));
	json_decref(status);
	fprintf(d->out, "orphans %zu\n", count_orphans(d->world->sys));
}

char *world_describe(const struct world *world)
{
	struct description d = {.world = world};
	char *text = NULL;
	size_t size;

	d.out = open_memstream(&text, &size);
	assert_non_null(d.out);
	describe_directory(&d, world->dir, ".", true);
	describe_directory(&d, world->outside, "outside", false);
	describe_handles(&d);
	describe_mount(&d);
	fclose(d.out);
	return text;
}
