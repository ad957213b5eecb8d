#include "core/timers.h"

#include "core/util.h"

#include <sys/timerfd.h>

#define HEAP_FIRST 16

int timers_init(struct timers *timers)
{
	*timers = (struct timers){0};
	timers->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timers->fd < 0)
		return -errno;
	timers->heap = calloc(HEAP_FIRST, sizeof(struct timer *));
	timers->capacity = timers->heap ? HEAP_FIRST : 0;
	return timers->heap ? 0 : -ENOMEM;
}

void timers_finish(struct timers *timers)
{
	if (timers->fd >= 0)
		close(timers->fd);
	free(timers->heap);
	*timers = (struct timers){.fd = -1};
}

static void place(struct timers *t, struct timer *timer, size_t i)
{
	t->heap[i] = timer;
	timer->position = i + 1;
}

static void sift_up(struct timers *t, size_t i)
{
	struct timer *timer = t->heap[i];
	while (i > 0 && t->heap[(i - 1) / 2]->deadline > timer->deadline) {
		place(t, t->heap[(i - 1) / 2], i);
		i = (i - 1) / 2;
	}
	place(t, timer, i);
}

static void sift_down(struct timers *t, size_t i)
{
	struct timer *timer = t->heap[i];
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= t->count)
			break;
		if (child + 1 < t->count && t->heap[child + 1]->deadline < t->heap[child]->deadline)
			child++;
		if (t->heap[child]->deadline >= timer->deadline)
			break;
		place(t, t->heap[child], i);
		i = child;
	}
	place(t, timer, i);
}

static void program(struct timers *t)
{
	struct itimerspec when = {0};

	if (t->count) {
		when.it_value.tv_sec = (time_t)(t->heap[0]->deadline / 1000000000ULL);
		when.it_value.tv_nsec = (long)(t->heap[0]->deadline % 1000000000ULL);
	}
	timerfd_settime(t->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void detach(struct timers *t, struct timer *timer)
{
	size_t i = timer->position - 1;
	struct timer *last = t->heap[--t->count];

	timer->position = 0;
	if (last == timer)
		return;
	place(t, last, i);
	sift_up(t, i);
	sift_down(t, last->position - 1);
}

static int grow(struct timers *t)
{
	size_t capacity = t->capacity * 2;
	struct timer **heap = reallocarray(t->heap, capacity, sizeof *heap);

	if (!heap)
		return -ENOMEM;
	t->heap = heap;
	t->capacity = capacity;
	return 0;
}

int timers_arm(struct timers *t, struct timer *timer, uint64_t delay_ns)
{
	if (timer->position)
		detach(t, timer);
	if (t->count + TIMERS_VITAL >= t->capacity && grow(t) < 0 && !timer->vital)
		return -ENOMEM;
	timer->deadline = clock_ns(CLOCK_MONOTONIC) + delay_ns;
	place(t, timer, t->count++);
	sift_up(t, t->count - 1);
	if (t->heap[0] == timer)
		program(t);
	return 0;
}

void timers_cancel(struct timers *t, struct timer *timer)
{
	if (timer->position)
		detach(t, timer);
}

void timers_dispatch(struct timers *t)
{
	uint64_t expirations, now;

	if (read(t->fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
		return;
	now = clock_ns(CLOCK_MONOTONIC);
	while (t->count && t->heap[0]->deadline <= now) {
		struct timer *timer = t->heap[0];
		detach(t, timer);
		timer->fire(timer);
	}
	program(t);
}
