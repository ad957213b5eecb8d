/* Takes all the room there is. While common->filling is odd, the loads may be refused for it. */
#include "tests/soak/loads.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>

#include "core/util.h"

static int fill(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	off_t size = 0;

	if (fd < 0)
		return -errno;
	for (off_t step = 64 << 20; step >= (off_t)PAGE_BYTES; step /= 2)
		while (ftruncate(fd, size + step) == 0)
			size += step;
	if (errno != ENOSPC)
		return -errno;
	usleep(20000 + pick(80000));
	return neg_errno(unlink(path));
}

static bool has_room(const char *path)
{
	struct statvfs st;

	return statvfs(path, &st) == 0 && st.f_bavail > st.f_blocks / 4;
}

bool filler_start(struct common *common)
{
	pid_t parent = getpid(), pid;
	char path[SOAK_PATH + 32];
	int rc;

	common->filling++; /* here, so that nobody begins another one before the child runs */
	pid = fork();
	if (pid < 0)
		common->filling--;
	if (pid != 0)
		return pid > 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	snprintf(path, sizeof path, "%s/shared/filler", common->path);
	rc = fill(path);
	for (unsigned i = 0; rc == 0 && !has_room(common->path); i++) {
		if (i == SOAK_PATIENCE * 1000)
			rc = -ENOSPC;
		usleep(1000);
	}
	if (rc < 0)
		soak_violation("filling %s: %s", common->path, strerror(-rc));
	common->filling++;
	_exit(rc < 0);
}
