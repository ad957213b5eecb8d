/* The longest a caller ever waits, while somebody kills the worker under it.
 *
 * The caller opens, maps, touches, unmaps and closes in a loop and keeps its longest turn. A child
 * process reads the worker's pid from the mount's status and kills it, again and again. With no
 * kills asked for, the child only lets the same time pass: the noise floor of the machine. */
#include "tests/bench/bench.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/util.h"
#include "tests/bench/mount.h"

#define OBJECT_BYTES  (16ULL << 20)
#define DEFAULT_KILLS 20
/* Between two kills: long enough for many turns in peace. */
#define PAUSE_US 50000
/* A new worker that does not serve the caller within this is a failure, not a stall. */
#define GIVE_UP_NS 10000000000ULL

struct shared {
	_Atomic uint64_t turns;
	_Atomic uint64_t longest_since_kill;
	_Atomic int stop;
	_Atomic int killer_error;
	_Atomic unsigned kills;
	_Atomic uint64_t stalls_sum;
};

struct caller {
	char path[BENCH_PATH_MAX];
	struct shared *shared;
	uint64_t longest;
	uint64_t errors;
	int first_error;
};

static sigjmp_buf bus_error;

static void on_sigbus(int sig)
{
	(void)sig;
	siglongjmp(bus_error, 1);
}

/* A view that cannot be touched is an error of the file system as much as a failed open. */
static int touch_page(uint8_t *view, uint64_t at)
{
	if (sigsetjmp(bus_error, 1))
		return -EFAULT;
	((volatile uint8_t *)view)[at] = 1;
	return 0;
}

static int one_turn(const char *path, uint64_t turn)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t *view;
	int rc;

	if (fd < 0)
		return -errno;
	view = bench_map(fd, OBJECT_BYTES);
	rc = view ? touch_page(view, turn * PAGE_BYTES % OBJECT_BYTES) : -errno;
	if (view)
		munmap(view, OBJECT_BYTES);
	if (close(fd) < 0 && !rc)
		rc = -errno;
	return rc;
}

static void call_until_stopped(struct caller *caller)
{
	struct shared *shared = caller->shared;
	uint64_t start = clock_ns(CLOCK_MONOTONIC);

	while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
		int rc = one_turn(caller->path, shared->turns);
		uint64_t now = clock_ns(CLOCK_MONOTONIC);
		uint64_t took = now - start;

		if (rc < 0 && !caller->errors++)
			caller->first_error = -rc;
		if (took > caller->longest)
			caller->longest = took;
		if (took > shared->longest_since_kill)
			shared->longest_since_kill = took;
		shared->turns++;
		start = now;
	}
}

/* Waits until the caller has done two more turns: the one in hand at the kill is then over. */
static int wait_for_caller(struct shared *shared)
{
	uint64_t turns = shared->turns;
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);

	while (shared->turns < turns + 2) {
		if (clock_ns(CLOCK_MONOTONIC) - begin > GIVE_UP_NS)
			return -ETIMEDOUT;
		usleep(200);
	}
	return 0;
}

static int kill_once(const char *dir, struct shared *shared)
{
	int64_t pid = mount_status(dir, "worker_pid");

	if (pid <= 1)
		return pid < 0 ? (int)pid : -EPROTO;
	/* Not always in the same instant after the status was answered. */
	usleep((useconds_t)(rand() % 500));
	shared->longest_since_kill = 0;
	if (kill((pid_t)pid, SIGKILL) < 0)
		return -errno;
	return wait_for_caller(shared);
}

static int kill_repeatedly(const struct bench_options *options, struct shared *shared)
{
	unsigned rounds = options->kills ? options->kills : DEFAULT_KILLS;

	for (unsigned i = 0; i < rounds; i++) {
		usleep(PAUSE_US);
		if (!options->kills)
			continue;
		int rc = kill_once(options->dir, shared);
		if (rc < 0)
			return rc;
		shared->stalls_sum += shared->longest_since_kill;
		shared->kills++;
	}
	return 0;
}

static pid_t start_killer(const struct bench_options *options, struct shared *shared)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	srand((unsigned)parent);
	shared->killer_error = -kill_repeatedly(options, shared);
	shared->stop = 1;
	_exit(0);
}

static void report(const struct caller *caller, struct bench_result *result)
{
	struct shared *shared = caller->shared;

	bench_add(result, "stall", (double)caller->longest);
	bench_add(result, "stall_mean",
		  shared->kills ? (double)shared->stalls_sum / shared->kills : 0);
	bench_add(result, "kills", shared->kills);
	bench_add(result, "turns", (double)shared->turns);
	bench_add(result, "errors", (double)caller->errors);
	bench_add(result, "first_errno", caller->first_error);
}

static int run_caller(const struct bench_options *options, struct caller *caller)
{
	pid_t killer = start_killer(options, caller->shared);

	if (killer < 0)
		return -errno;
	call_until_stopped(caller);
	while (waitpid(killer, NULL, 0) < 0 && errno == EINTR)
		;
	return -caller->shared->killer_error;
}

int bench_stall(const struct bench_options *options, struct bench_result *result)
{
	struct sigaction action = {.sa_handler = on_sigbus};
	struct caller caller = {0};
	int rc = bench_path(caller.path, options->dir, "stall");

	if (rc < 0)
		return rc;
	caller.shared = mmap(NULL, sizeof(*caller.shared), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (caller.shared == MAP_FAILED)
		return -errno;
	AUTO_CLOSE int fd = bench_create(caller.path, OBJECT_BYTES);
	if (fd < 0)
		return fd;
	close(steal_fd(&fd));
	sigaction(SIGBUS, &action, NULL);
	rc = run_caller(options, &caller);
	unlink(caller.path);
	if (rc < 0)
		return rc;
	report(&caller, result);
	return 0;
}
