#include "tests/sys/harness.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/sys/harness_internal.h"

enum sys_mode sys_mode_passthrough = SYS_PASSTHROUGH, sys_mode_cached = SYS_CACHED;

enum { DEFAULT_LIMIT = 60, SLOWER_WITH_SANITIZERS = 4 };

static unsigned slower(void)
{
	return TEST_SANITIZED ? SLOWER_WITH_SANITIZERS : 1;
}

void sys_say(const char *format, ...)
{
	char line[1024] = "    ";
	size_t length;
	va_list args;

	va_start(args, format);
	vsnprintf(line + 4, sizeof line - 5, format, args);
	va_end(args);
	length = strlen(line);
	line[length++] = '\n';
	fflush(stdout);
	if (write(STDERR_FILENO, line, length) < 0) /* one call: several processes speak */
		return;
}

uint64_t sys_deadline(double seconds)
{
	return clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9) * slower();
}

bool sys_past(uint64_t deadline)
{
	nanosleep(&(struct timespec){.tv_nsec = 500 * 1000}, NULL);
	return clock_ns(CLOCK_MONOTONIC) > deadline;
}

void sys_time_limit(struct sys *sys, unsigned seconds)
{
	sys->time_limit = seconds * slower();
	watchdog_set(sys->time_limit);
}

const char *sys_path(struct sys *sys, const char *format, ...)
{
	static char paths[8][1024];
	static unsigned next;
	char *path = paths[next++ % ARRAY_SIZE(paths)];
	size_t length = (size_t)snprintf(path, sizeof paths[0], "%s/", sys->mnt);
	va_list args;

	va_start(args, format);
	vsnprintf(path + length, sizeof paths[0] - length, format, args);
	va_end(args);
	return path;
}

/* --- passthrough --- */

static bool kernel_config_lacks_passthrough(void)
{
	return access("/proc/config.gz", R_OK) == 0 &&
	       system("zcat /proc/config.gz | grep -q '^# CONFIG_FUSE_PASSTHROUGH is not set'") ==
		   0;
}

static bool in_initial_user_namespace(void)
{
	FILE *map = fopen("/proc/self/uid_map", "re");
	unsigned long inside, outside, count = 0;
	int fields = map ? fscanf(map, "%lu %lu %lu", &inside, &outside, &count) : 0;

	if (map)
		fclose(map);
	return fields == 3 && count == 4294967295UL;
}

bool sys_passthrough_possible(const char **why_not)
{
	int major = 0, minor = 0;
	struct utsname system;

	uname(&system);
	sscanf(system.release, "%d.%d", &major, &minor);
	*why_not = NULL;
	if (geteuid() != 0)
		*why_not = "not root";
	else if (!in_initial_user_namespace())
		*why_not = "root only in a user namespace";
	else if (major < 6 || (major == 6 && minor < 9))
		*why_not = "kernel older than 6.9";
	else if (kernel_config_lacks_passthrough())
		*why_not = "kernel without CONFIG_FUSE_PASSTHROUGH";
	return !*why_not;
}

/* --- mount --- */

json_t *sys_status(struct sys *sys)
{
	AUTO_FREE char *text = sys_xattr(sys->mnt, "user.mapping.status");
	json_error_t error;
	json_t *status;

	if (!text)
		fail_msg("no status of %s: %s", sys->mnt, strerror(errno));
	status = json_loads(text, 0, &error);
	if (!status)
		fail_msg("status is no JSON: %s: %s", error.text, text);
	return status;
}

long long sys_status_number(struct sys *sys, const char *key)
{
	json_t *status = sys_status(sys), *value = json_object_get(status, key);
	long long number = json_is_number(value) ? (long long)json_number_value(value) : -1;

	if (!json_is_number(value))
		sys_say("no number \"%s\" in the status", key);
	json_decref(status);
	return number;
}

bool sys_status_says(struct sys *sys, const char *key, const char *words)
{
	json_t *status = sys_status(sys), *list = json_object_get(status, key), *one;
	bool found = false;
	size_t i;

	json_array_foreach(list, i, one)
	{
		char *text = json_dumps(one, JSON_ENCODE_ANY);

		found |= strstr(text, words) != NULL;
		free(text);
	}
	json_decref(status);
	return found;
}

char *sys_xattr(const char *path, const char *name)
{
	char *text = malloc(65537);
	ssize_t length = text ? getxattr(path, name, text, 65536) : -1;

	if (length < 0) {
		int saved = errno;

		free(text);
		errno = saved;
		return NULL;
	}
	text[length] = '\0';
	return text;
}

int sys_try_mount(struct sys *sys, const char *options)
{
	int status = sys_shell(sys, "mappingfs %s%s%s %s", options ? "-o '" : "",
			       options ? options : "", options ? "'" : "", sys->mnt);

	sys->mounted = status == 0;
	return status;
}

void sys_learn_supervisor(struct sys *sys, pid_t supervisor)
{
	sys->supervisor = supervisor;
	sys->mounted = true;
	assert_true(sys->supervisor > 1);
	sys->supervisor_pidfd = (int)syscall(SYS_pidfd_open, sys->supervisor, 0);
	assert_true(sys->supervisor_pidfd >= 0);
}

void sys_mount(struct sys *sys, const char *options)
{
	const char *mode = sys->mode == SYS_PASSTHROUGH ? "passthrough" : "cached", *why;
	AUTO_FREE char *all = NULL;
	json_t *status;

	if (sys->reference) {
		sys->mounted = true;
		return;
	}
	if (sys->mode == SYS_PASSTHROUGH && !sys_passthrough_possible(&why))
		sys_skip("passthrough cannot be had: %s", why);
	assert_true(
	    asprintf(&all, "mode=%s%s%s", mode, options ? "," : "", options ? options : "") > 0);
	if (sys_try_mount(sys, all) != 0)
		fail_msg("mappingfs -o %s: %s", all, sys->output);
	sys_learn_supervisor(sys, (pid_t)sys_status_number(sys, "supervisor_pid"));
	status = sys_status(sys);
	assert_string_equal(json_string_value(json_object_get(status, "mode")), mode);
	json_decref(status);
}

static bool process_ended(int pidfd)
{
	struct pollfd ready = {.fd = pidfd, .events = POLLIN};

	return poll(&ready, 1, 0) == 1;
}

/* False if it does not go. */
static bool unmount(struct sys *sys)
{
	bool gone = true;

	if (!sys->mounted)
		return true;
	sys->mounted = false;
	if (sys->reference)
		return true;
	gone = !calls_refused(sys);
	if (umount2(sys->mnt, 0) < 0) {
		sys_say("umount %s: %s", sys->mnt, strerror(errno));
		umount2(sys->mnt, MNT_FORCE | MNT_DETACH);
		gone = false;
	}
	if (sys->supervisor_pidfd >= 0 && !BECOMES_TRUE(10, process_ended(sys->supervisor_pidfd))) {
		sys_say("supervisor %d does not end", sys->supervisor);
		gone = false;
	}
	if (sys->supervisor_pidfd >= 0)
		close(sys->supervisor_pidfd);
	sys->supervisor_pidfd = -1;
	sys->supervisor = 0;
	return gone;
}

void sys_unmount(struct sys *sys)
{
	assert_true(sys->mounted);
	assert_true(unmount(sys));
	assert_true(BECOMES_TRUE(10, !marked_processes(sys->mark, NULL)));
}

/* --- worker --- */

pid_t sys_worker(struct sys *sys)
{
	return process_of_mount("mappingfs-worke", sys->mnt);
}

pid_t sys_standby(struct sys *sys)
{
	return process_of_mount("mappingfs-spare", sys->mnt);
}

static void forget_supervisor(struct sys *sys)
{
	if (sys->supervisor_pidfd >= 0)
		close(sys->supervisor_pidfd);
	sys->supervisor_pidfd = -1;
	sys->supervisor = 0;
	sys->mounted = false;
}

void sys_learn_successor(struct sys *sys)
{
	const pid_t former = sys->supervisor;
	pid_t successor;

	WAIT_UNTIL(20, (successor = (pid_t)sys_status_number(sys, "supervisor_pid")) != former);
	forget_supervisor(sys);
	sys_learn_supervisor(sys, successor);
}

void sys_kill_all(struct sys *sys)
{
	pid_t standby = sys_standby(sys), worker = sys_worker(sys);

	assert_true(sys->supervisor > 1 && standby > 1 && worker > 1);
	kill(sys->supervisor, SIGSTOP); /* or it would replace them */
	kill(standby, SIGKILL);
	kill(worker, SIGKILL);
	kill(sys->supervisor, SIGKILL);
	WAIT_UNTIL(20, !process_of_mount(NULL, sys->mnt));
	forget_supervisor(sys);
}

void sys_kill_worker(struct sys *sys)
{
	long long before;
	pid_t worker;

	if (sys->reference)
		return;
	before = sys_status_number(sys, "restarts");
	worker = sys_worker(sys);
	assert_true(worker > 0);
	assert_int_equal(kill(worker, SIGKILL), 0);
	WAIT_UNTIL(10, sys_status_number(sys, "restarts") > before);
	assert_true(sys_status_number(sys, "worker_pid") != worker);
}

static struct {
	pid_t pid;
	struct killer_shared {
		volatile bool stop;
		volatile unsigned kills;
		unsigned min_ms, max_ms;
		struct sys *sys;
	} * shared;
} killer;

static int kill_again_and_again(void *context)
{
	struct killer_shared *shared = context;
	struct drand48_data seed;
	double random;
	pid_t last = 0;

	srand48_r(getpid(), &seed);
	while (!shared->stop) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC), until;
		pid_t worker = sys_worker(shared->sys);

		if (!worker || worker == last) {
			sys_past(0);
			continue;
		}
		drand48_r(&seed, &random);
		until = now + shared->min_ms * 1000000ULL +
			(uint64_t)(random * (shared->max_ms - shared->min_ms) * 1e6);
		while (!shared->stop && !sys_past(until))
			;
		if (shared->stop)
			break;
		if (kill(worker, SIGKILL) == 0)
			shared->kills++;
		last = worker;
	}
	return 0;
}

void sys_start_killer(struct sys *sys, unsigned min_ms, unsigned max_ms)
{
	if (sys->reference)
		return;
	killer.shared = mmap(NULL, sizeof *killer.shared, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(killer.shared != MAP_FAILED);
	*killer.shared = (struct killer_shared){.min_ms = min_ms, .max_ms = max_ms, .sys = sys};
	killer.pid = sys_fork(sys, kill_again_and_again, killer.shared);
}

unsigned sys_stop_killer(struct sys *sys)
{
	unsigned kills;

	if (!killer.shared)
		return 0;
	killer.shared->stop = true;
	sys_wait(sys, killer.pid);
	kills = killer.shared->kills;
	munmap(killer.shared, sizeof *killer.shared);
	killer.shared = NULL;
	return kills;
}

/* --- each test --- */

static void make_directories(struct sys *sys)
{
	const char *reference = getenv("MAPPINGFS_TEST_REFERENCE");

	snprintf(sys->dir, sizeof sys->dir, "/tmp/mappingfs-test-XXXXXX");
	if (!mkdtemp(sys->dir) || chmod(sys->dir, 0755) < 0)
		abort();
	sys->reference = reference && *reference;
	if (sys->reference) {
		snprintf(sys->mnt, sizeof sys->mnt, "%s/mappingfs-test-XXXXXX", reference);
		if (!mkdtemp(sys->mnt) || chmod(sys->mnt, 01777) < 0)
			abort();
	} else {
		snprintf(sys->mnt, sizeof sys->mnt, "%s/mnt", sys->dir);
		if (mkdir(sys->mnt, 0755) < 0)
			abort();
	}
	snprintf(sys->mark, sizeof sys->mark, "MAPPINGFS_TEST_MARK=%s", sys->dir + 5);
	setenv("MAPPINGFS_TEST_MARK", sys->dir + 5, 1);
}

/* Reports go to files: the daemon has no terminal, and its supervisor replaces a worker that died.
 */
static void set_sanitizer_options(struct sys *sys)
{
	char options[256];

	if (!TEST_SANITIZED)
		return;
	snprintf(options, sizeof options, "%s/sanitizer", sys->dir);
	if (mkdir(options, 0777) < 0 || chmod(options, 01777) < 0)
		abort();
	snprintf(options, sizeof options, "detect_leaks=1:log_path=%s/sanitizer/report", sys->dir);
	setenv("ASAN_OPTIONS", options, 1);
	snprintf(options, sizeof options, "print_stacktrace=1:log_path=%s/sanitizer/report",
		 sys->dir);
	setenv("UBSAN_OPTIONS", options, 1);
}

int sys_setup(void **state)
{
	struct sys *sys = calloc(1, sizeof *sys);

	if (!sys)
		return -1;
	sys->mode = *(enum sys_mode *)*state;
	sys->supervisor_pidfd = -1;
	sys->fds_before = sys_count_fds(getpid());
	make_directories(sys);
	set_sanitizer_options(sys);
	watchdog_start(sys, DEFAULT_LIMIT * slower());
	*state = sys;
	return 0;
}

int sys_teardown(void **state)
{
	struct sys *sys = *state;
	bool bad = false;

	children_end(sys);
	if (killer.shared)
		munmap(killer.shared, sizeof *killer.shared);
	killer.shared = NULL;
	bad |= !unmount(sys);
	watchdog_stop();
	bad |= leftovers_found(sys);
	free(sys->output);
	free(sys);
	return bad ? -1 : 0;
}

/* --- all tests --- */

static void set_environment(void)
{
	const char *bin = getenv("MAPPINGFS_BIN");
	AUTO_FREE char *path = NULL;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (asprintf(&path, "%s:%s", bin ? bin : TEST_BIN_DIR, getenv("PATH")) < 0)
		abort();
	setenv("PATH", path, 1);
}

int sys_run_group(const char *name, const struct CMUnitTest *tests, size_t count)
{
	const char *filter = getenv("MAPPINGFS_TEST_FILTER");

	set_environment();
	if (filter)
		cmocka_set_test_filter(filter);
	return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}
