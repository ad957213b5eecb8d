/* Where loads, or a load and its children, need each other. */
#include "tests/soak/load.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

int op_token(void)
{
	AUTO_CLOSE int fd = open("../shared/tokens", O_RDWR | O_CLOEXEC);

	EXPECT(fd >= 0);
	journal_value(me, JOURNAL_TAKE, me->tokens + 1);
	EXPECT_OK(wait_for(fd, PATIENCE_NS));
	journal_done(me);
	usleep(pick(2000));
	journal_value(me, JOURNAL_GIVE, me->tokens - 1);
	EXPECT_OK(mapping_semaphore_release(fd, 1, NULL));
	journal_done(me);
	return 0;
}

/* --- a counter under a mutex --- */

static void own(bool yes)
{
	atomic_signal_fence(memory_order_seq_cst);
	common->owner = yes ? me->number + 1 : 0;
	atomic_signal_fence(memory_order_seq_cst);
}

/* Abandoned, exactly if the owner before died as one. */
static int note_abandoned(bool abandoned)
{
	EXPECT(abandoned || !common->owner);
	if (common->owner)
		common->abandoned++;
	else if (abandoned)
		common->abandoned_unsure++;
	return 0;
}

static int count_one(volatile uint64_t *counter, bool abandoned)
{
	uint64_t value = *counter;

	EXPECT(value == common->counter || (abandoned && value == common->counter + 1));
	common->counter = value;
	sched_yield();
	EXPECT(*counter == value);
	*counter = value + 1;
	common->counter = value + 1;
	return 0;
}

static int count_as_owner(int mutex, volatile uint64_t *counter)
{
	bool twice = pick(3) == 0;
	int rc;

	journal_value(me, JOURNAL_LOCK, 1);
	rc = wait_for(mutex, PATIENCE_NS);
	if (rc < 0)
		return load_failed(__FILE__, __LINE__, "wait for the mutex", rc);
	if (note_abandoned(rc == MAPPING_ABANDONED))
		return 1;
	own(true);
	journal_done(me);
	if (twice)
		EXPECT_OK(wait_for(mutex, 0));
	if (count_one(counter, rc == MAPPING_ABANDONED))
		return 1;
	if (twice)
		EXPECT_OK(mapping_mutex_release(mutex, NULL));
	journal_value(me, JOURNAL_LOCK, 0);
	own(false);
	EXPECT_OK(mapping_mutex_release(mutex, NULL));
	journal_done(me);
	return 0;
}

int op_lock(void)
{
	AUTO_CLOSE int mutex = open("../shared/mutex", O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int fd = open("../shared/counter", O_RDWR | O_CLOEXEC);
	void *counter;
	int rc;

	EXPECT(mutex >= 0 && fd >= 0);
	counter = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT(counter != MAP_FAILED);
	rc = count_as_owner(mutex, counter);
	munmap(counter, PAGE_BYTES);
	return rc;
}

/* --- two processes take turns --- */

enum { TURNS = 12 };

static _Noreturn void answer(int ping, int pong, volatile unsigned *turns)
{
	for (int i = 0; i < TURNS; i++) {
		if (mapping_wait(ping, PATIENCE_NS, NULL) != 0)
			_exit(1);
		(*turns)++;
		if (mapping_event_set(pong, NULL) != 0)
			_exit(2);
	}
	_exit(0);
}

static int take_turns(int ping, int pong, volatile unsigned *turns)
{
	pid_t pid = load_fork();

	EXPECT(pid >= 0);
	if (pid == 0)
		answer(ping, pong, turns);
	for (unsigned i = 0; i < TURNS; i++) {
		int rc = mapping_signal_and_wait(ping, "set", pong, PATIENCE_NS, NULL);

		/* The change was made all the same. */
		EXPECT_OK(rc == -EINTR && load_was_frozen() ? wait_for(pong, PATIENCE_NS) : rc);
		EXPECT(*turns == i + 1);
	}
	EXPECT_OK(load_wait_child(pid, 0));
	EXPECT(wait_for(ping, 0) == -ETIMEDOUT);
	EXPECT(wait_for(pong, 0) == -ETIMEDOUT);
	return 0;
}

int op_ping_pong(void)
{
	const struct mapping_attributes attributes = {.type = MAPPING_EVENT};
	AUTO_CLOSE int ping = -1;
	AUTO_CLOSE int pong = -1;
	void *turns;
	int rc;

	EXPECT_ROOM(mapping_create(mount_of_mine, NULL, &attributes, O_RDWR, &ping, NULL));
	EXPECT_ROOM(mapping_create(mount_of_mine, NULL, &attributes, O_RDWR, &pong, NULL));
	turns = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(turns != MAP_FAILED);
	rc = take_turns(ping, pong, turns);
	munmap(turns, PAGE_BYTES);
	return rc;
}

/* --- jobs --- */

static int run_job(int *job, pid_t pid)
{
	bool by_close = pick(2);
	siginfo_t ended = {0};

	EXPECT_OK(mapping_job_add(*job, pid, NULL));
	EXPECT(wait_for(*job, 0) == -ETIMEDOUT);
	if (by_close)
		close(steal_fd(job));
	else
		EXPECT_OK(mapping_job_kill(*job, 0, NULL));
	EXPECT(BECOMES(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		       ended.si_pid == pid));
	EXPECT(ended.si_code == CLD_KILLED && ended.si_status == SIGKILL);
	if (!by_close)
		EXPECT_OK(wait_for(*job, PATIENCE_NS));
	EXPECT(waitpid(pid, NULL, 0) == pid);
	return 0;
}

int op_job(void)
{
	const struct mapping_attributes attributes = {.type = MAPPING_JOB, .kill_on_close = true};
	AUTO_CLOSE int job = -1;
	pid_t pid;

	EXPECT_ROOM(mapping_create(mount_of_mine, NULL, &attributes, O_RDWR, &job, NULL));
	pid = load_fork();
	EXPECT(pid >= 0);
	if (pid == 0) {
		close(job); /* its last handle is to be ours */
		for (;;)
			pause();
	}
	return run_job(&job, pid);
}
