/* The operations of the load that go by the control socket or between processes. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/sys/objects.h"
#include "tests/sys/storm_model.h"

/* By the control socket, in memory. */
int op_object(unsigned k)
{
	if (load->reference)
		return 0;
	struct model_file *f = &files[k];
	unsigned pages = 1 + pick(MAX_PAGES);
	char path[256];

	snprintf(path, sizeof(path), "%s/load%u/%s", load->mnt, load->id, name_of(k));
	int rc = object_create(load->mnt, path, 0600, WIRE_SET_SIZE, pages * PAGE, -1);
	if (f->exists) {
		CHECK(rc == -EEXIST);
		return 0;
	}
	CHECK(rc == 0);
	*f = (struct model_file){.exists = true, .pages = pages};
	return op_check(k);
}

int op_temporary(unsigned unused)
{
	char path[256];

	(void)unused;
	if (load->reference)
		return 0;
	snprintf(path, sizeof(path), "%s/load%u/temporary", load->mnt, load->id);
	errno = -object_create(load->mnt, path, 0600, WIRE_SET_SIZE | WIRE_TEMPORARY, 2 * PAGE, -1);
	CHECK(errno == 0);
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	char *view = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	if (pick(2))
		close(steal_fd(&fd));
	strcpy(view + PAGE, "text");
	CHECK(access(path, F_OK) == 0);
	CHECK(munmap(view, 2 * PAGE) == 0);
	if (fd >= 0)
		close(steal_fd(&fd));
	CHECK(BECOMES_TRUE(10, access(path, F_OK) < 0));
	CHECK(errno == ENOENT);
	return 0;
}

int op_bound(unsigned unused)
{
	char path[256], file[256], text[32], back[32] = "";

	(void)unused;
	if (load->reference)
		return 0;
	snprintf(path, sizeof(path), "%s/load%u/bound", load->mnt, load->id);
	snprintf(file, sizeof(file), "%s/plain%u", load->dir, load->id);
	AUTO_CLOSE int plain = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(plain >= 0);
	errno = -object_create(load->mnt, path, 0600, WIRE_BIND | WIRE_SET_SIZE, 3 * PAGE, plain);
	CHECK(errno == 0);
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	char *view = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	snprintf(text, sizeof(text), "stamp %llu", (unsigned long long)next_stamp());
	strcpy(view + PAGE, text);
	if (pick(2))
		CHECK(msync(view, 3 * PAGE, MS_SYNC) == 0);
	CHECK(munmap(view, 3 * PAGE) == 0);
	CHECK(fsync(fd) == 0);
	CHECK(pread(plain, back, sizeof(back) - 1, PAGE) > 0);
	CHECK(strcmp(back, text) == 0);
	CHECK(unlink(path) == 0);
	return 0;
}

int op_status(unsigned unused)
{
	struct wire_request request = wire_request_of(WIRE_STATUS, 0, 0);
	struct wire_reply reply;
	AUTO_CLOSE int fd = -1;

	(void)unused;
	if (load->reference)
		return 0;
	CHECK(control_call(load->mnt, &request, NULL, 0, &reply, &fd) == 0);
	CHECK(reply.error == 0 && fd >= 0);
	return 0;
}

static int run_mapctl(const char *verb, const char *path, bool exists)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		if (!exists)
			dup2(null, STDERR_FILENO);
		execlp("mapctl", "mapctl", verb, path, NULL);
		_exit(127);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0) == exists);
	return 0;
}

/* Not "who": reading all of /proc may take longer than a worker lives here, and mapctl gives up in
 * the end. */
int op_mapctl(unsigned k)
{
	static const char *const verbs[] = {"stat", "flush"};

	char path[256];

	if (load->reference)
		return 0;
	snprintf(path, sizeof(path), "%s/load%u/%s", load->mnt, load->id, name_of(k));
	return run_mapctl(verbs[pick(2)], path, files[k].exists);
}

/* A lock file, and a counter that only its holder touches. */
int op_lock(unsigned unused)
{
	(void)unused;
	AUTO_CLOSE int lock = open("../shared/lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (lock < 0) {
		CHECK(errno == EEXIST);
		return 0;
	}
	AUTO_CLOSE int fd = open("../shared/counter", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	volatile uint64_t *counter = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	CHECK(counter != MAP_FAILED);
	uint64_t value = *counter;
	sched_yield();
	*counter = value + 1;
	CHECK(munmap((void *)(uintptr_t)counter, PAGE) == 0);
	load->storm->locked[load->id]++;
	CHECK(unlink("../shared/lock") == 0);
	return 0;
}
