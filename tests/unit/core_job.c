#include "tests/unit/core_job.h"

#include <dirent.h>
#include <linux/close_range.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char group[512], group_name[64];
static int tree_fd;

static bool find_tree(char *out, size_t size)
{
	char line[1024], root[256], point[256], type[64];
	FILE *file = fopen("/proc/self/mountinfo", "re");
	bool found = false;

	while (file && !found && fgets(line, sizeof line, file)) {
		const char *dash = strstr(line, " - ");

		found = dash && sscanf(dash, " - %63s", type) == 1 && !strcmp(type, "cgroup2") &&
			sscanf(line, "%*d %*d %*s %255s %255s", root, point) == 2 &&
			!strcmp(root, "/");
	}
	if (file)
		fclose(file);
	if (found)
		snprintf(out, size, "%s", point);
	return found;
}

bool job_group_make(void)
{
	char tree[256];

	if (!find_tree(tree, sizeof tree))
		return false;
	snprintf(group_name, sizeof group_name, "job-unit-%d", getpid());
	snprintf(group, sizeof group, "%s/%s", tree, group_name);
	if (mkdir(group, 0755) < 0)
		return false;
	tree_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	job_use_cgroups(true);
	return tree_fd > 0;
}

void job_use_cgroups(bool use)
{
	fixture_cgroup_fd = use && tree_fd > 0 ? tree_fd : 0;
}

bool job_group_write(const char *name, const char *text)
{
	char path[600];

	snprintf(path, sizeof path, "%s/%s", group, name);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) > 0;
}

static bool remove_group(void)
{
	DIR *dir = opendir(group);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	if (dir)
		closedir(dir);
	return rmdir(group) == 0 || errno != EBUSY;
}

void job_group_remove(void)
{
	if (tree_fd <= 0)
		return;
	close(tree_fd);
	tree_fd = fixture_cgroup_fd = 0;
	job_group_write("cgroup.kill", "1");
	for (int i = 0; i < 1000 && !remove_group(); i++)
		usleep(1000);
}

/* What an earlier mount left there is not counted. */
unsigned job_group_count(const struct fixture *f)
{
	DIR *dir = opendir(group);
	struct dirent *entry;
	char begin[64];
	unsigned count = 0;
	struct stat st;

	fstat(f->config.state_fd, &st);
	snprintf(begin, sizeof begin, "mappingfs-%llx-", (unsigned long long)st.st_ino);
	while (dir && (entry = readdir(dir)))
		count += strncmp(entry->d_name, begin, strlen(begin)) == 0;
	if (dir)
		closedir(dir);
	return count;
}

bool job_group_take_back(pid_t pid)
{
	char text[16];
	DIR *dir = opendir(group);
	struct dirent *entry;
	bool done;

	snprintf(text, sizeof text, "%d", pid);
	done = job_group_write("cgroup.procs", text);
	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	if (dir)
		closedir(dir);
	return done;
}

bool in_job_cgroup(pid_t pid)
{
	char path[40], line[1024], want[128];
	bool found = false;

	snprintf(want, sizeof want, "0::/%s/mappingfs-", group_name);
	snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		found = found || !strncmp(line, want, strlen(want));
	if (file)
		fclose(file);
	return found;
}

pid_t job_process(uid_t uid)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready) < 0)
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		dup2(ready[1], 0);
		syscall(SYS_close_range, 1, ~0U, 0);
		alarm(20);
		if (fixture_cgroup_fd > 0 && !job_group_write("cgroup.procs", "0"))
			_exit(1);
		if (syscall(SYS_setresuid, uid, uid, uid) < 0 || write(0, "", 1) != 1)
			_exit(1);
		close(0);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		abort();
	close(ready[0]);
	return pid;
}

bool job_process_runs(pid_t pid)
{
	char path[40], text[512];

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (length <= 0)
		return false;
	text[length] = '\0';
	const char *at = strrchr(text, ')');
	return at && at[2] != 'Z' && at[2] != 'X';
}

/* 0 and -1 are everybody. */
void job_process_kill(pid_t pid)
{
	if (pid <= 1)
		abort();
	kill(pid, SIGKILL);
}

void job_process_end(pid_t pid)
{
	job_process_kill(pid);
	waitpid(pid, NULL, 0);
}

int job_say(struct fixture *f, uint64_t node, uint64_t handle, uid_t uid, const char *format, ...)
{
	const struct core_caller caller = {.uid = uid, .umask = 022, .pid = getpid()};
	char text[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return core_signal(f->core, node, handle, text, strlen(text), &caller);
}

bool job_becomes(struct fixture *f, uint64_t node, const char *state)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + 10000000000ULL;

	while (!waits_state_is(f, node, state)) {
		if (clock_ns(CLOCK_MONOTONIC) > end)
			return false;
		serve(f, 2);
	}
	return true;
}
