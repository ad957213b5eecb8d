/* Objects to wait on that no other load uses. */
#include "tests/soak/load.h"

#include <fcntl.h>
#include <poll.h>

enum { SEMAPHORE_MAXIMUM = 8 }; /* mounts.c made it so */

int op_semaphore(void)
{
	AUTO_CLOSE int fd = open("semaphore", O_RDWR | O_CLOEXEC);
	bool release = pick(2);

	EXPECT(fd >= 0);
	if (release && me->semaphore == SEMAPHORE_MAXIMUM) {
		EXPECT(mapping_semaphore_release(fd, 1, NULL) == -EOVERFLOW);
		return 0;
	}
	if (!release && me->semaphore == 0) {
		EXPECT(wait_for(fd, 0) == -ETIMEDOUT);
		return 0;
	}
	journal_value(me, JOURNAL_SEMAPHORE, me->semaphore + (release ? 1 : -1U));
	EXPECT_OK(release ? mapping_semaphore_release(fd, 1, NULL) : wait_for(fd, PATIENCE_NS));
	journal_done(me);
	return 0;
}

/* A manual one. */
int op_event(void)
{
	AUTO_CLOSE int fd = open("event", O_RDWR | O_CLOEXEC);
	unsigned value = pick(2);

	EXPECT(fd >= 0);
	EXPECT(wait_for(fd, 0) == (me->event ? 0 : -ETIMEDOUT));
	journal_value(me, JOURNAL_EVENT, value);
	EXPECT_OK(value ? mapping_event_set(fd, NULL) : mapping_event_reset(fd, NULL));
	journal_done(me);
	EXPECT(wait_for(fd, 0) == (value ? 0 : -ETIMEDOUT));
	return 0;
}

static int create(enum mapping_type type, uint32_t initial, int *fd)
{
	const struct mapping_attributes attributes = {.type = type,
						      .lifetime = MAPPING_TEMPORARY,
						      .initial = initial,
						      .maximum = type == MAPPING_SEMAPHORE ? 5 : 0};

	EXPECT_ROOM(mapping_create(mount_of_mine, NULL, &attributes, O_RDWR, fd, NULL));
	return 0;
}

int op_timer(void)
{
	enum { DUE_NS = 3000000, PERIOD_NS = 2000000 };
	AUTO_CLOSE int fd = -1;
	int rc = create(MAPPING_TIMER, 0, &fd);
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);

	if (rc)
		return rc;
	EXPECT_OK(mapping_timer_set(fd, DUE_NS, PERIOD_NS, NULL));
	for (int tick = 0; tick < 3; tick++)
		EXPECT_OK(wait_for(fd, PATIENCE_NS));
	EXPECT(clock_ns(CLOCK_MONOTONIC) - begin >= DUE_NS);
	EXPECT_OK(mapping_timer_cancel(fd, NULL));
	rc = wait_for(fd, 0); /* it stays as signaled as it was */
	EXPECT(rc == 0 || rc == -ETIMEDOUT);
	EXPECT(wait_for(fd, PERIOD_NS) == -ETIMEDOUT);
	return 0;
}

int op_many(void)
{
	AUTO_CLOSE int event = -1;
	AUTO_CLOSE int full = -1;
	AUTO_CLOSE int empty = -1;
	int rc = create(MAPPING_EVENT, 0, &event);
	size_t index = 9;

	if (rc == 0)
		rc = create(MAPPING_SEMAPHORE, 2, &full);
	if (rc == 0)
		rc = create(MAPPING_SEMAPHORE, 0, &empty);
	if (rc)
		return rc;
	const int all[] = {event, empty, full};

	EXPECT_OK(wait_for_many(all, 3, false, PATIENCE_NS, &index));
	EXPECT(index == 2);
	EXPECT(wait_for_many(all, 3, true, 0, NULL) == -ETIMEDOUT);
	EXPECT_OK(mapping_event_set(event, NULL));
	EXPECT_OK(mapping_semaphore_release(empty, 1, NULL));
	EXPECT_OK(wait_for_many(all, 3, true, PATIENCE_NS, NULL));
	EXPECT(wait_for_many(all, 3, false, 0, NULL) == -ETIMEDOUT);
	return 0;
}

/* A child sets it while we poll. */
int op_poll(void)
{
	AUTO_CLOSE int fd = -1;
	struct pollfd polled = {.events = POLLIN};
	int rc = create(MAPPING_EVENT, 0, &fd);
	pid_t pid;

	if (rc)
		return rc;
	polled.fd = fd;
	EXPECT(poll(&polled, 1, 0) == 0);
	pid = load_fork();
	EXPECT(pid >= 0);
	if (pid == 0)
		_exit(mapping_event_set(fd, NULL) ? 1 : 0);
	EXPECT(poll(&polled, 1, SOAK_PATIENCE * 1000) == 1 && polled.revents & POLLIN);
	EXPECT_OK(load_wait_child(pid, 0));
	EXPECT(poll(&polled, 1, 0) == 1);
	EXPECT_OK(wait_for(fd, 0));
	EXPECT(poll(&polled, 1, 0) == 0);
	return 0;
}
