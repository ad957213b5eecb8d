/* A load process: recovers what the one before left, then does operations until it is told to stop.
 */
#include "tests/soak/load.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct load *me;
struct common *common;
struct mapping_mount *mount_of_mine;

static uint32_t filling_before, freezes_before;
static char where[SOAK_PATH + 32];

const struct operation operations[] = {
    {"create", op_create, 10, false},
    {"create object", op_create_object, 4, false},
    {"check", op_check, 12, false},
    {"rewrite", op_rewrite, 8, false},
    {"resize", op_resize, 5, false},
    {"unlink", op_unlink, 5, false},
    {"unlink held", op_unlink_held, 4, false},
    {"rename", op_rename, 7, false},
    {"attribute", op_attribute, 4, false},
    {"list", op_list, 3, false},
    {"tree", op_tree, 3, false},
    {"links", op_links, 3, false},
    {"limit", op_limit, 2, false},
    {"bound", op_bound, 3, false},
    {"bound, last view", op_bound_last_view, 2, true},
    {"temporary", op_temporary, 4, true},
    {"handle-bound", op_handle_bound, 3, true},
    {"unnamed", op_unnamed, 3, false},
    {"passed", op_passed, 2, true},
    {"semaphore", op_semaphore, 6, false},
    {"event", op_event, 6, false},
    {"timer", op_timer, 2, true},
    {"wait for many", op_many, 3, true},
    {"poll", op_poll, 3, true},
    {"token", op_token, 6, true},
    {"lock", op_lock, 8, true},
    {"ping-pong", op_ping_pong, 2, true},
    {"job", op_job, 1, true},
    {"status", op_status, 2, false},
    {"get", op_get, 3, true},
    {"who", op_who, 1, true},
    {"watch", op_watch, 1, true},
    {"mapctl", op_mapctl, 1, true},
    {"python", op_python, 1, true},
};
const unsigned operations_count = ARRAY_SIZE(operations);
_Static_assert(ARRAY_SIZE(operations) <= SOAK_OPS, "each has its figures");

/* --- for the operations --- */

int load_failed(const char *file, int line, const char *what, int rc)
{
	soak_violation("%s:%d: mount %u load %u (uid %d), %s: %s: %s", file, line, me->mount,
		       me->number, (int)me->uid, operations[me->op].name, what,
		       rc < 0 ? strerror(-rc)
		       : rc   ? "a status of failure"
			      : "not so");
	return 1;
}

int load_unexpected(const char *file, int line, const char *what)
{
	return load_failed(file, line, what, -errno);
}

bool load_is_full(void)
{
	uint32_t now = common->filling;

	return now != filling_before || now % 2;
}

static int flush_once(int fd)
{
	switch (pick(3)) {
	case 0:
		return neg_errno(fsync(fd));
	case 1:
		return neg_errno(fdatasync(fd));
	}
	return mapping_flush(fd, NULL);
}

int load_flush(int fd)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
	int rc;

	while ((rc = flush_once(fd)) == -EIO && soak->disk_faults &&
	       clock_ns(CLOCK_MONOTONIC) < until) {
		__atomic_add_fetch(&soak->flushes_failed, 1, __ATOMIC_SEQ_CST);
		usleep(10000);
	}
	return rc;
}

bool load_was_frozen(void)
{
	return me->freezes != freezes_before || freezes_before % 2;
}

int wait_for(int fd, int64_t timeout_ns)
{
	int rc;

	do
		rc = mapping_wait(fd, timeout_ns, NULL);
	while (rc == -EINTR && load_was_frozen());
	return rc;
}

int wait_for_many(const int *fds, size_t count, bool all, int64_t timeout_ns, size_t *index)
{
	int rc;

	do
		rc = mapping_wait_many(fds, count, all, timeout_ns, index, NULL);
	while (rc == -EINTR && load_was_frozen());
	return rc;
}

const char *scratch(const char *format, ...)
{
	static char names[8][SOAK_PATH + 96];
	static unsigned turn;
	char *name = names[turn++ % 8];
	int length = snprintf(name, sizeof names[0], "%s/scratch/", where);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(name + length, sizeof names[0] - (size_t)length, format, arguments);
	va_end(arguments);
	return name;
}

pid_t load_fork(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		me = NULL; /* the journal is the parent's */
	}
	return pid;
}

int load_wait_child(pid_t pid, int expected)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == expected ? 0 : -ECHILD;
}

/* --- the process --- */

static int become(void)
{
	if (!me->uid)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(me->uid, me->uid, me->uid) < 0 ||
	    setresuid(me->uid, me->uid, me->uid) < 0)
		return -errno;
	/* /proc/self/fd is ours again */
	return neg_errno(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int set_up(void)
{
	AUTO_CLOSE int directory = -1;
	int rc = become();

	snprintf(where, sizeof where, "%s/load%u", common->path, me->number);
	if (rc == 0)
		rc = neg_errno(chdir(where));
	if (rc == 0)
		rc = mapping_mount_find(common->path, &mount_of_mine, NULL);
	if (rc < 0) {
		soak_violation("mount %u load %u cannot start: %s", me->mount, me->number,
			       strerror(-rc));
		return rc;
	}
	directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return recover(me, common, directory);
}

static const struct operation *choose(void)
{
	unsigned all = 0, at, i = 0;

	for (unsigned o = 0; o < operations_count; o++)
		all += operations[o].weight;
	for (at = pick(all); at >= operations[i].weight; i++)
		at -= operations[i].weight;
	return &operations[i];
}

static int one(const struct operation *operation)
{
	struct op_figures *figures = &me->figures[operation - operations];
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	uint64_t took;
	int rc;

	filling_before = common->filling;
	freezes_before = me->freezes;
	me->op = (uint32_t)(operation - operations);
	me->since = begin;
	errno = 0;
	rc = operation->run();
	took = clock_ns(CLOCK_MONOTONIC) - begin;
	me->since = 0;
	if (rc == FULL) {
		figures->full++;
		journal_refused(me);
		rc = scratch_empty(AT_FDCWD) < 0;
	}
	figures->done++;
	if (took > figures->longest_ns && !load_was_frozen())
		figures->longest_ns = took;
	return rc;
}

/* Tokens that the process before held, or we. */
static int give_tokens_back(void)
{
	AUTO_CLOSE int fd = open("../shared/tokens", O_RDWR | O_CLOEXEC);

	EXPECT(fd >= 0 || !me->tokens);
	while (me->tokens) {
		journal_value(me, JOURNAL_GIVE, me->tokens - 1);
		EXPECT_OK(mapping_semaphore_release(fd, 1, NULL));
		journal_done(me);
	}
	return 0;
}

_Noreturn void load_run(unsigned mount, unsigned number)
{
	unsigned next = 0;
	int rc;

	me = &soak->load[mount][number];
	common = &soak->common[mount];
	me->lives++;
	random_seed(soak->seed, mount << 8 | number, me->lives);
	rc = set_up();
	if (rc == 0)
		rc = give_tokens_back();
	while (rc == 0 && soak->every && next < operations_count)
		rc = one(&operations[next++]);
	while (rc == 0 && !soak->every && !soak->stop)
		rc = one(choose());
	if (rc == 0)
		rc = give_tokens_back();
	mapping_mount_close(mount_of_mine);
	_exit(rc ? 1 : 0);
}
