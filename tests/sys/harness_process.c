/* Processes of a test: started, waited for, killed, and found again by the mark in their
 * environment. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sys/harness_internal.h"

struct sys_child {
	pid_t pid;
	struct sys_child *next;
};

/* Forks; the child dies with the test program. */
static pid_t fork_child(struct sys *sys)
{
	struct sys_child *child = calloc(1, sizeof *child);

	assert_non_null(child);
	fflush(NULL);
	child->pid = fork();
	if (child->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int number = 1; number < 32; number++)
			signal(number, SIG_DFL); /* cmocka's handlers are the parent's business */
		return 0;
	}
	assert_true(child->pid > 0);
	child->next = sys->children;
	sys->children = child;
	return child->pid;
}

static void forget_child(struct sys *sys, pid_t pid)
{
	for (struct sys_child **at = &sys->children; *at; at = &(*at)->next) {
		struct sys_child *child = *at;

		if (child->pid != pid)
			continue;
		*at = child->next;
		free(child);
		return;
	}
}

int sys_wait(struct sys *sys, pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail_msg("waitpid %d: %s", pid, strerror(errno));
	forget_child(sys, pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void sys_kill(struct sys *sys, pid_t pid)
{
	kill(pid, SIGKILL);
	sys_wait(sys, pid);
}

void children_end(struct sys *sys)
{
	while (sys->children)
		sys_kill(sys, sys->children->pid);
}

pid_t sys_fork(struct sys *sys, int (*function)(void *context), void *context)
{
	pid_t pid = fork_child(sys);

	if (pid == 0) {
		int rc = function(context);

		fflush(NULL);
		_exit(rc);
	}
	return pid;
}

static void be_shell(const char *command, int in, int out, int error)
{
	if (in < 0)
		in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (in >= 0)
		dup2(in, 0);
	if (out >= 0)
		dup2(out, 1);
	if (error >= 0)
		dup2(error, 2);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static char *read_whole(int fd)
{
	struct stat st;
	char *text;
	ssize_t length;

	assert_int_equal(fstat(fd, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(text);
	length = pread(fd, text, (size_t)st.st_size, 0);
	if (length < 0)
		length = 0;
	text[length] = '\0';
	return text;
}

/* The output goes to a memory file, not a pipe: a daemon that keeps it open does not hold us up. */
int sys_shell(struct sys *sys, const char *format, ...)
{
	AUTO_CLOSE int output = memfd_create("output", MFD_CLOEXEC);
	AUTO_FREE char *command = NULL;
	va_list args;
	pid_t pid;
	int status;

	va_start(args, format);
	assert_true(vasprintf(&command, format, args) >= 0);
	va_end(args);
	assert_true(output >= 0);
	pid = fork_child(sys);
	if (pid == 0)
		be_shell(command, -1, output, output);
	status = sys_wait(sys, pid);
	free(sys->output);
	sys->output = read_whole(output);
	return status;
}

pid_t sys_start(struct sys *sys, int *input, int *output, const char *format, ...)
{
	AUTO_FREE char *command = NULL;
	int in[2] = {-1, -1}, out[2] = {-1, -1};
	va_list args;
	pid_t pid;

	va_start(args, format);
	assert_true(vasprintf(&command, format, args) >= 0);
	va_end(args);
	if (input)
		assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	if (output)
		assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork_child(sys);
	if (pid == 0)
		be_shell(command, in[0], out[1], -1);
	if (input) {
		close(in[0]);
		*input = in[1];
	}
	if (output) {
		close(out[1]);
		*output = out[0];
	}
	return pid;
}

long long sys_worker_memory(struct sys *sys)
{
	long long kilobytes, sum = 0;
	char path[64], line[200];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", sys_worker(sys));
	file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "RssAnon: %lld", &kilobytes) == 1 ||
		    sscanf(line, "RssShmem: %lld", &kilobytes) == 1)
			sum += kilobytes;
	if (file)
		fclose(file);
	return sum * 1024;
}

int sys_count_fds(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;
	int count = 0;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return pid == getpid() ? count - 1 : count;
}

static bool carries_mark(const char *pid, const char *mark)
{
	static char environment[1 << 17];
	char path[300];
	ssize_t length;
	int fd;

	snprintf(path, sizeof path, "/proc/%s/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, environment, sizeof environment);
	close(fd);
	return length > 0 && memmem(environment, (size_t)length, mark, strlen(mark));
}

unsigned marked_processes(const char *mark, void (*each)(pid_t pid))
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	unsigned count = 0;

	while (dir && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || !carries_mark(entry->d_name, mark))
			continue;
		count++;
		if (each)
			each(atoi(entry->d_name));
	}
	if (dir)
		closedir(dir);
	return count;
}

/* Zombies have no command line. */
static bool serves(const char *pid, const char *point)
{
	char path[300], text[8192];
	ssize_t length = -1;
	int fd;

	snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		length = read(fd, text, sizeof text);
		close(fd);
	}
	return length > (ssize_t)strlen(point) + 1 && !text[length - 1] &&
	       strncmp(text, "/bin/sh", 7) != 0 &&
	       !strcmp(text + length - 1 - strlen(point), point);
}

static bool is_called(const char *pid, const char *name)
{
	char path[300], text[64] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (file && !fgets(text, sizeof text, file))
		text[0] = '\0';
	if (file)
		fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return name ? !strcmp(text, name) : !strncmp(text, "mappingfs", 9);
}

pid_t process_of_mount(const char *name, const char *point)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (dir && !found && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) && is_called(entry->d_name, name) &&
		    serves(entry->d_name, point))
			found = atoi(entry->d_name);
	if (dir)
		closedir(dir);
	return found;
}

void kill_process(pid_t pid)
{
	kill(pid, SIGKILL);
}

void sys_ordinary_user(uid_t *uid, gid_t *gid)
{
	static const char name[] = "mappingfs-test";
	struct passwd *user = getpwnam(name);

	if (!user) {
		assert_int_equal(system("useradd --system --no-create-home mappingfs-test"), 0);
		user = getpwnam(name);
	}
	assert_non_null(user);
	*uid = user->pw_uid;
	*gid = user->pw_gid;
}
