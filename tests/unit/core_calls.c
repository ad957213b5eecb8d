/* What tests do with a fixture: requests, external files, processes with views. */
#include "tests/unit/core_fixture.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

const struct core_caller root_caller = {.uid = 0, .gid = 0, .umask = 022};

void fail_call(struct fixture *f, enum fault_call call, int error, int times)
{
	f->world->faults[call].error = error;
	f->world->faults[call].times = times;
}

int calls_of(struct fixture *f, enum fault_call call)
{
	return f->world->faults[call].calls;
}

/* --- requests --- */

void begin_request(struct fixture *f)
{
	core_request(f->core, f->unique += 2, false);
}

uint64_t make_file(struct fixture *f, uint64_t parent, const char *name)
{
	struct core_entry entry;

	begin_request(f);
	assert_int_equal(core_mknod(f->core, parent, name, S_IFREG | 0644, &root_caller, &entry),
			 0);
	return entry.node;
}

uint64_t make_dir(struct fixture *f, uint64_t parent, const char *name)
{
	struct core_entry entry;

	begin_request(f);
	assert_int_equal(core_mkdir(f->core, parent, name, 0755, &root_caller, &entry), 0);
	return entry.node;
}

uint64_t create_open(struct fixture *f, uint64_t parent, const char *name)
{
	struct core_opened opened;
	struct core_entry entry;

	begin_request(f);
	assert_int_equal(core_create_file(f->core, parent, name, 0644, O_RDWR | O_CREAT | O_EXCL,
					  &root_caller, &entry, &opened),
			 0);
	assert_int_equal(opened.backing_id != 0, f->config.data.attach != NULL);
	return entry.node;
}

int try_lookup(struct fixture *f, uint64_t parent, const char *name, struct core_entry *out)
{
	begin_request(f);
	return core_lookup(f->core, parent, name, out);
}

uint64_t look_up(struct fixture *f, uint64_t parent, const char *name)
{
	struct core_entry entry;

	assert_int_equal(try_lookup(f, parent, name, &entry), 0);
	return entry.node;
}

uint32_t open_node(struct fixture *f, uint64_t node, int flags)
{
	struct core_opened opened;

	begin_request(f);
	assert_int_equal(core_open(f->core, node, flags, &opened), 0);
	return opened.backing_id;
}

void release_node(struct fixture *f, uint64_t node)
{
	begin_request(f);
	core_release(f->core, node, 0);
}

void forget_node(struct fixture *f, uint64_t node, uint64_t count)
{
	begin_request(f);
	core_forget(f->core, node, count);
}

void unlink_name(struct fixture *f, uint64_t parent, const char *name)
{
	begin_request(f);
	assert_int_equal(core_unlink(f->core, parent, name), 0);
}

struct answer {
	bool given;
	int error;
};

static void take_answer(void *context, int error)
{
	*(struct answer *)context = (struct answer){true, error};
}

int set_size(struct fixture *f, uint64_t node, uint64_t size)
{
	struct stat wanted = {.st_size = (off_t)size}, st;
	struct answer answer = {0};
	double timeout;
	int rc;

	begin_request(f);
	rc = core_setattr(f->core, node, CORE_SET_SIZE, &wanted, &st, &timeout, take_answer,
			  &answer);
	if (rc != CORE_DEFERRED)
		return rc;
	WAIT_FOR(f, answer.given, 10000);
	return answer.error;
}

int flush_node(struct fixture *f, uint64_t node)
{
	struct answer answer = {0};
	int rc;

	begin_request(f);
	rc = core_flush(f->core, node, take_answer, &answer);
	if (rc != CORE_DEFERRED)
		return rc;
	WAIT_FOR(f, answer.given, 10000);
	return answer.error;
}

struct stat stat_of(struct fixture *f, uint64_t node)
{
	struct stat st;
	double timeout;

	begin_request(f);
	assert_int_equal(core_getattr(f->core, node, &st, &timeout), 0);
	return st;
}

int set_lifetime(struct fixture *f, uint64_t node, const char *lifetime)
{
	begin_request(f);
	return core_setxattr(f->core, node, "user.mapping.lifetime", lifetime, strlen(lifetime), 0,
			     &root_caller);
}

void get_attribute(struct fixture *f, uint64_t node, const char *name, char *value, size_t size)
{
	int length;

	begin_request(f);
	length = core_getxattr(f->core, node, name, value, size - 1);
	assert_true(length >= 0);
	value[length] = '\0';
}

void assert_attribute(struct fixture *f, uint64_t node, const char *name, const char *value)
{
	char got[512];

	get_attribute(f, node, name, got, sizeof got);
	assert_string_equal(got, value);
}

/* --- external files --- */

int outside_file(struct fixture *f, const char *name, uint64_t size)
{
	int fd = openat(f->outside_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

uint64_t make_bound(struct fixture *f, const char *name, int file_fd)
{
	const struct core_setup setup = {.lifetime = -1, .file_fd = file_fd};
	uint64_t node = make_file(f, CORE_ROOT_NODE, name);
	const char *why = "";

	if (core_configure(f->core, node, &setup, &root_caller, &why) != 0)
		fail_msg("configure: %s", why);
	return node;
}

/* --- processes --- */

static void keep_only(int *a, int *b)
{
	/* What the parent closes must be closed: the lease counts descriptions. */
	dup2(*a, 100);
	dup2(*b, 101);
	close_range(3, 99, 0);
	close_range(102, ~0U, 0);
	*a = 100;
	*b = 101;
}

static void view_or_exit(int fd, uint64_t bytes)
{
	char path[32];
	char *view;
	int own;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	own = open(path, O_RDWR | O_CLOEXEC);
	if (own < 0)
		_exit(2);
	close(fd);
	if (!bytes)
		return;
	view = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);
	if (view == MAP_FAILED)
		_exit(3);
	close(own);
	view[0] = 'v';
}

static pid_t start_process(int fd, uint64_t bytes)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_true(fd >= 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		keep_only(&fd, &ready[1]);
		view_or_exit(fd, bytes);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

pid_t start_viewer(int fd, uint64_t bytes)
{
	return start_process(fd, bytes);
}

pid_t start_holder(int fd)
{
	return start_process(fd, 0);
}

void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void serve(struct fixture *f, int milliseconds)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)milliseconds * 1000000ULL;
	uint64_t now;

	while ((now = clock_ns(CLOCK_MONOTONIC)) < end) {
		struct pollfd pfd = {.fd = core_poll_fd(f->core), .events = POLLIN};

		if (poll(&pfd, 1, (int)((end - now + 999999) / 1000000)) > 0)
			core_dispatch(f->core);
	}
}

/* --- what is left --- */

struct core_usage usage_of(struct fixture *f)
{
	struct core_usage usage;

	core_usage(f->core, &usage);
	return usage;
}

size_t count_watches(struct fixture *f)
{
	char path[64], line[256];
	size_t count = 0;
	FILE *info;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", f->config.notify_fd);
	info = f->config.notify_fd < 0 ? NULL : fopen(path, "re");
	while (info && fgets(line, sizeof line, info))
		count += strncmp(line, "inotify", 7) == 0;
	if (info)
		fclose(info);
	return count;
}

bool stands_in_tree(struct fixture *f, const char *name)
{
	char path[NAME_MAX + 8];

	snprintf(path, sizeof path, "tree/%s", name);
	return faccessat(f->tree_fd, path, F_OK, 0) == 0;
}

size_t count_orphans(struct fixture *f)
{
	int fd = openat(f->tree_fd, "orphans", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	size_t count = 0;

	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

const char *fixture_leftovers(struct fixture *f)
{
	static char text[256];
	struct core_usage u = usage_of(f);
	size_t orphans = count_orphans(f), watches = count_watches(f);
	unsigned ids = count_attached(f->world);

	fixture_drain(f);
	if (!u.committed && !u.objects_known && !u.handles && !u.bound && !orphans && !watches &&
	    !ids && !(getpid() == f->owner && f->held_count))
		return NULL;
	snprintf(
	    text, sizeof text,
	    "left: committed %lld, objects %lld, handles %lld, bound %lld, held %zu, orphans %zu, "
	    "watches %zu, backing ids %u",
	    (long long)u.committed, (long long)u.objects_known, (long long)u.handles,
	    (long long)u.bound, f->held_count, orphans, watches, ids);
	return text;
}

/* Whoever looks through /proc just then holds a file, or the memory of a process that ended, a
 * moment longer. */
void assert_nothing_left(struct fixture *f)
{
	const char *left = fixture_leftovers(f);

	for (int i = 0; left && i < 1000; i++) {
		usleep(1000);
		left = fixture_leftovers(f);
	}
	if (left)
		fail_msg("%s", left);
}
