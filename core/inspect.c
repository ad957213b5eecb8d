/* Views and handles, read from /proc. See inspect.h for the promise.
 *
 * What the kernel prints is compared as text: a line of /proc/PID/maps belongs to the object when
 * its device and inode fields are the bytes of one key made beforehand. A buffer without the key is
 * dropped by one memmem(), which is nearly all of them. */
#include "core/inspect.h"

#include "core/inspect_handles.h"
#include "core/proc.h"
#include "core/util.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The longest line: a path of PATH_MAX bytes, each escaped as \ooo, and the fields before it. */
#define MAPS_BUFFER ((size_t)64 << 10)

struct view {
	uint64_t start, end, offset;
	unsigned access;
	const char *after_key;
};

struct scan {
	char key[64]; /* " maj:min inode " as maps prints it; for many objects " maj:min " */
	size_t key_length;
	char *buffer;
	size_t unreadable;
	bool has_maps; /* the process being read has any */
	pid_t reader;  /* whose /proc entries speak for it: itself, or one of its threads */
	/* Called for each view; a result other than 0 ends the scan. */
	int (*found)(struct scan *scan, pid_t pid, const struct view *view);
	int (*process_done)(struct scan *scan, int proc_fd, pid_t pid);
	uint64_t beyond;
	const ino_t *inos; /* of many: ascending */
	size_t ino_count;
	uint32_t *counts;
	struct inspect_result *out;
	struct inspect_holder *holder; /* of the process being read, or NULL */
	struct inspect_handles *handles;
};

static const char *parse_hex(const char *text, uint64_t *out)
{
	uint64_t value = 0;

	for (; isxdigit((unsigned char)*text); text++)
		value =
		    value << 4 | (uint64_t)(*text <= '9' ? *text - '0' : (*text | 32) - 'a' + 10);
	*out = value;
	return text;
}

/* start-end perms offset, followed by the key. The fields' positions are checked because a file's
 * name may hold anything, the key too. */
static bool parse_line(const char *line, const char *key_at, struct view *out)
{
	const char *p = parse_hex(line, &out->start);

	if (*p++ != '-')
		return false;
	p = parse_hex(p, &out->end);
	if (*p++ != ' ' || key_at - p < 5)
		return false;
	out->access = (p[0] == 'r' ? INSPECT_READ : 0U) | (p[1] == 'w' ? INSPECT_WRITE : 0U) |
		      (p[2] == 'x' ? INSPECT_EXEC : 0U) | (p[3] == 'p' ? INSPECT_PRIVATE : 0U);
	if (p[4] != ' ')
		return false;
	return parse_hex(p + 5, &out->offset) == key_at;
}

static int scan_lines(struct scan *scan, pid_t pid, const char *begin, const char *end)
{
	while (begin < end) {
		const char *hit = memmem(begin, (size_t)(end - begin), scan->key, scan->key_length);
		const char *line, *next;
		struct view view;
		int rc;

		if (!hit)
			return 0;
		line = memrchr(begin, '\n', (size_t)(hit - begin));
		line = line ? line + 1 : begin;
		next = memchr(hit, '\n', (size_t)(end - hit));
		if (parse_line(line, hit, &view)) {
			view.after_key = hit + scan->key_length;
			rc = scan->found(scan, pid, &view);
			if (rc)
				return rc;
		}
		begin = next ? next + 1 : end;
	}
	return 0;
}

static int scan_maps(struct scan *scan, pid_t pid, int fd)
{
	size_t used = 0;

	for (;;) {
		ssize_t got = read(fd, scan->buffer + used, MAPS_BUFFER - used);
		char *last;
		int rc;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : 0;
		scan->has_maps = true;
		used += (size_t)got;
		last = memrchr(scan->buffer, '\n', used);
		if (!last) {
			if (used == MAPS_BUFFER)
				return -EOVERFLOW;
			continue;
		}
		rc = scan_lines(scan, pid, scan->buffer, last + 1);
		if (rc)
			return rc;
		used -= (size_t)(last + 1 - scan->buffer);
		memmove(scan->buffer, last + 1, used);
	}
}

static bool is_gone(int error)
{
	return error == -ENOENT || error == -ESRCH;
}

static int scan_maps_of(struct scan *scan, int proc_fd, pid_t pid)
{
	AUTO_CLOSE int fd = -1;
	char path[32];

	snprintf(path, sizeof path, "%d/maps", scan->reader);
	fd = neg_errno(openat(proc_fd, path, O_RDONLY | O_CLOEXEC));
	scan->has_maps = false;
	return fd < 0 ? fd : scan_maps(scan, pid, fd);
}

/* A process whose first thread called pthread_exit(3) looks like a zombie, and its other threads
 * map and hold all the same. 0: it has none. */
static pid_t other_thread(int proc_fd, pid_t pid)
{
	AUTO_CLOSE int fd = -1;
	char path[32];
	struct dirent *entry;
	struct stat st;
	pid_t found = 0;
	DIR *dir;

	snprintf(path, sizeof path, "%d/task", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_nlink <= 3) /* ".", ".." and one thread */
		return 0;
	dir = fdopendir(fd);
	if (!dir)
		return 0;
	fd = -1;
	while (!found && (entry = readdir(dir)))
		if (atoi(entry->d_name) > 0 && atoi(entry->d_name) != pid)
			found = (pid_t)atoi(entry->d_name);
	closedir(dir);
	return found;
}

static int scan_process(struct scan *scan, int proc_fd, pid_t pid)
{
	int rc;

	scan->reader = pid;
	rc = scan_maps_of(scan, proc_fd, pid);
	if (!rc && !scan->has_maps) {
		pid_t thread = other_thread(proc_fd, pid);
		scan->reader = thread ? thread : pid;
		if (thread)
			rc = scan_maps_of(scan, proc_fd, pid);
	}
	if (rc == -EACCES || rc == -EPERM) {
		scan->unreadable++;
		return 0;
	}
	if (is_gone(rc))
		rc = 0;
	if (!rc && scan->process_done)
		rc = scan->process_done(scan, proc_fd, pid);
	return is_gone(rc) ? 0 : rc;
}

static int scan_all(struct scan *scan)
{
	DIR *proc = opendir(proc_directory());
	struct dirent *entry;
	int rc = 0;

	if (!proc)
		return -errno;
	while (!rc && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			rc = scan_process(scan, dirfd(proc), (pid_t)atoi(entry->d_name));
	closedir(proc);
	return rc;
}

static int scan_run(struct scan *scan)
{
	AUTO_FREE char *buffer = malloc(MAPS_BUFFER);

	if (!buffer)
		return -ENOMEM;
	scan->buffer = buffer;
	return scan_all(scan);
}

static int scan_for(struct scan *scan, uint32_t dev_major, uint32_t dev_minor, ino_t ino)
{
	scan->key_length = (size_t)snprintf(scan->key, sizeof scan->key, " %02x:%02x %llu ",
					    dev_major, dev_minor, (unsigned long long)ino);
	return scan_run(scan);
}

/* --- who holds it --- */

static void read_status(int proc_fd, struct inspect_holder *holder)
{
	char path[32], line[512];
	AUTO_CLOSE int fd = -1;
	FILE *file;

	snprintf(path, sizeof path, "%d/status", holder->pid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	file = fd < 0 ? NULL : fdopen(fd, "re");
	if (!file)
		return;
	fd = -1;
	while (fgets(line, sizeof line, file)) {
		if (!strncmp(line, "Uid:", 4))
			holder->uid = (uid_t)strtoul(line + 4, NULL, 10);
		else if (!strncmp(line, "NSpid:", 6))
			holder->ns_pid = (pid_t)atoi(strrchr(line, '\t') + 1);
	}
	fclose(file);
}

static void read_command(int proc_fd, struct inspect_holder *holder)
{
	AUTO_CLOSE int fd = -1;
	char path[32];
	ssize_t got;

	snprintf(path, sizeof path, "%d/comm", holder->pid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, holder->command, sizeof holder->command - 1);
	if (got > 0 && holder->command[got - 1] == '\n')
		holder->command[got - 1] = '\0';
}

static struct inspect_holder *holder_of(struct scan *scan, pid_t pid)
{
	struct inspect_result *out = scan->out;
	struct inspect_holder *grown;

	if (scan->holder)
		return scan->holder;
	grown = reallocarray(out->holders, out->count + 1, sizeof *grown);
	if (!grown)
		return NULL;
	out->holders = grown;
	scan->holder = &grown[out->count++];
	*scan->holder = (struct inspect_holder){.pid = pid, .ns_pid = pid};
	return scan->holder;
}

static int add_use(struct scan *scan, pid_t pid, const struct inspect_use *use)
{
	struct inspect_holder *holder = holder_of(scan, pid);
	struct inspect_use *grown;

	if (!holder)
		return -ENOMEM;
	grown = reallocarray(holder->uses, holder->count + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	holder->uses = grown;
	grown[holder->count++] = *use;
	if (use->view)
		scan->out->views++;
	else
		scan->out->handles++;
	return 0;
}

static int add_view(struct scan *scan, pid_t pid, const struct view *view)
{
	const struct inspect_use use = {.view = true,
					.fd = -1,
					.access = view->access,
					.start = view->start,
					.end = view->end,
					.offset = view->offset};

	return add_use(scan, pid, &use);
}

struct handle_context {
	struct scan *scan;
	pid_t pid;
};

static int add_handle(void *context, int fd, unsigned access)
{
	const struct handle_context *ctx = context;
	const struct inspect_use use = {.fd = fd, .access = access};

	return add_use(ctx->scan, ctx->pid, &use);
}

static int finish_process(struct scan *scan, int proc_fd, pid_t pid)
{
	struct handle_context ctx = {.scan = scan, .pid = pid};
	int rc = 0;

	if (scan->handles)
		rc = inspect_handles_scan(scan->handles, proc_fd, scan->reader, add_handle, &ctx);
	if (scan->holder) {
		read_status(proc_fd, scan->holder);
		read_command(proc_fd, scan->holder);
	}
	scan->holder = NULL;
	return rc;
}

int inspect_scan(uint32_t dev_major, uint32_t dev_minor, ino_t ino, bool want_handles,
		 struct inspect_result *out)
{
	struct inspect_handles handles;
	struct scan scan = {.found = add_view, .process_done = finish_process, .out = out};
	int rc;

	*out = (struct inspect_result){0};
	inspect_handles_init(&handles, dev_major, dev_minor, ino);
	if (want_handles)
		scan.handles = &handles;
	rc = scan_for(&scan, dev_major, dev_minor, ino);
	inspect_handles_finish(&handles);
	out->unreadable = scan.unreadable;
	return rc;
}

static int view_is_beyond(struct scan *scan, pid_t pid, const struct view *view)
{
	(void)pid;
	return view->offset + (view->end - view->start) > scan->beyond;
}

int inspect_has_view_beyond(uint32_t dev_major, uint32_t dev_minor, ino_t ino, uint64_t size)
{
	struct scan scan = {.found = view_is_beyond, .beyond = size};

	return scan_for(&scan, dev_major, dev_minor, ino);
}

/* --- views of many --- */

static int count_view(struct scan *scan, pid_t pid, const struct view *view)
{
	char *end;
	const ino_t ino = strtoull(view->after_key, &end, 10);
	size_t low = 0, high = scan->ino_count;

	(void)pid;
	if (*end != ' ')
		return 0;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (scan->inos[middle] < ino)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < scan->ino_count && scan->inos[low] == ino)
		scan->counts[low]++;
	return 0;
}

int inspect_count_views(uint32_t dev_major, uint32_t dev_minor, const ino_t *inos, size_t count,
			uint32_t *counts, size_t *unreadable)
{
	struct scan scan = {
	    .found = count_view, .inos = inos, .ino_count = count, .counts = counts};
	int rc;

	memset(counts, 0, count * sizeof *counts);
	scan.key_length =
	    (size_t)snprintf(scan.key, sizeof scan.key, " %02x:%02x ", dev_major, dev_minor);
	rc = scan_run(&scan);
	*unreadable = scan.unreadable;
	return rc;
}

void inspect_finish(struct inspect_result *result)
{
	for (size_t i = 0; i < result->count; i++)
		free(result->holders[i].uses);
	free(result->holders);
	*result = (struct inspect_result){0};
}
