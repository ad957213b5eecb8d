/* Lists of process numbers, and what /proc says of one. */
#include "core/crash.h"
#include "core/job.h"
#include "core/proc.h"
#include "core/sys.h"
#include "core/util.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define MAGIC_PIDFS        0x50494446  /* PID_FS_MAGIC */
#define FLAG_KERNEL_THREAD 0x00200000U /* PF_KTHREAD */

static int compare(const void *a, const void *b)
{
	pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;

	return left < right ? -1 : left > right;
}

void pid_list_sort(struct pid_list *list)
{
	size_t kept = 0;

	if (list->count)
		qsort(list->pids, list->count, sizeof *list->pids, compare);
	for (size_t i = 0; i < list->count; i++)
		if (kept == 0 || list->pids[kept - 1] != list->pids[i])
			list->pids[kept++] = list->pids[i];
	list->count = kept;
}

bool pid_list_has(const struct pid_list *list, pid_t pid)
{
	return list->count &&
	       bsearch(&pid, list->pids, list->count, sizeof *list->pids, compare) != NULL;
}

int pid_list_add(struct pid_list *list, pid_t pid)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 64;
		pid_t *bigger = reallocarray(list->pids, capacity, sizeof *bigger);

		if (!bigger)
			return -ENOMEM;
		list->pids = bigger;
		list->capacity = capacity;
	}
	list->pids[list->count++] = pid;
	return 0;
}

void pid_list_finish(struct pid_list *list)
{
	free(list->pids);
	*list = (struct pid_list){0};
}

/* "PID (NAME) STATE ...": the name may hold anything. The 9th field is the flags, the 22nd the
 * begin, in ticks since the machine's. */
int process_begin(pid_t pid, uint64_t *begin, bool *kernel)
{
	char text[1024];
	unsigned long long ticks;
	const char *at;
	unsigned flags;
	size_t length;
	FILE *file;

	file = fopen(proc_of(pid, "stat").text, "re");
	if (!file)
		return errno == ENOENT ? -ESRCH : -errno;
	length = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[length] = '\0';
	at = strrchr(text, ')');
	if (!at)
		return -ESRCH; /* it ended while it was read */
	if (sscanf(at + 1,
		   " %*c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		   "%llu",
		   &flags, &ticks) != 2)
		return -EIO;
	*begin = ticks;
	*kernel = flags & FLAG_KERNEL_THREAD;
	return 0;
}

int pidfd_of(pid_t pid)
{
	int fd = sys->pidfd_open(pid, 0);

	return fd == -ENOENT ? -EINVAL : fd; /* a thread, but not its process' first */
}

int pidfd_signal(int pidfd, int signal)
{
	int rc;

	CRASH_POINT("signal: before");
	rc = neg_errno((int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
	CRASH_POINT("signal: after");
	return rc;
}

bool process_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* Since Linux 6.9 (pidfs) the inode number of a pidfd is the process' alone as long as the machine
 * runs. Before, the number with the begin has to do: two processes of one number would have to
 * begin within a tick. */
int process_identity(pid_t pid, int pidfd, uint64_t *id)
{
	struct statfs fs;
	struct stat st;
	bool kernel;
	int rc;

	if (fstatfs(pidfd, &fs) == 0 && fs.f_type == MAGIC_PIDFS && fstat(pidfd, &st) == 0) {
		*id = st.st_ino;
		return 0;
	}
	rc = process_begin(pid, id, &kernel);
	/* What was read is of the process the descriptor is of, unless that one is gone. */
	return rc == 0 && pidfd_signal(pidfd, 0) == -ESRCH ? -ESRCH : rc;
}

int process_open(pid_t pid, uint64_t id)
{
	AUTO_CLOSE int fd = pidfd_of(pid);
	uint64_t now;
	int rc = fd < 0 ? fd : process_identity(pid, fd, &now);

	if (rc < 0)
		return rc == -EINVAL ? -ESRCH : rc;
	return now == id ? steal_fd(&fd) : -ESRCH;
}
