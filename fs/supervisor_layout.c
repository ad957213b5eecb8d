/* Whether another program can use what is in memory here. Each worker's program says in one line
 * how it sees the memory that workers share, the supervisor's a number for its record. */
#include "core/util.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void execute(int program, int output)
{
	const char *argv[] = {"mappingfs-worker", "--layout", NULL};

	if (dup2(output, STDOUT_FILENO) >= 0)
		execveat(program, "", (char *const *)argv, environ, AT_EMPTY_PATH);
	_exit(errno);
}

static int read_line(int fd, char *out, size_t size)
{
	size_t length = 0;
	ssize_t got;

	while (length < size - 1 && (got = read(fd, out + length, size - 1 - length)) > 0)
		length += (size_t)got;
	out[length] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return out[0] ? 0 : -ENODATA;
}

int supervisor_worker_layout(int program, char *out, size_t size)
{
	AUTO_CLOSE int ours = -1;
	int ends[2], status, rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	ours = ends[0];
	pid = fork();
	if (!pid)
		execute(program, ends[1]);
	close(ends[1]);
	if (pid < 0)
		return -EAGAIN;
	rc = read_line(ours, out, size);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return WEXITSTATUS(status) ? -WEXITSTATUS(status) : rc;
}

int supervisor_can_adopt(const char *record_layout, const char *worker_layout)
{
	AUTO_CLOSE int program = supervisor_find_worker();
	char own[64], workers[256] = "";
	int rc;

	if (program < 0)
		return 1; /* said by who looked */
	snprintf(own, sizeof own, "%016llx", (unsigned long long)supervisor_record_layout());
	if (strcmp(own, record_layout) != 0) {
		printf("the record of the running supervisor is of another version (%s, not %s)\n",
		       record_layout, own);
		return 1;
	}
	rc = supervisor_worker_layout(program, workers, sizeof workers);
	if (rc) {
		printf("its worker, mappingfs-worker, does not run: %s\n", strerror(-rc));
		return 1;
	}
	if (strcmp(workers, worker_layout) != 0) {
		printf("what is in memory is of another version (%s, not %s)\n", worker_layout,
		       workers);
		return 1;
	}
	puts(WORDS_OF_CONSENT);
	return 0;
}
