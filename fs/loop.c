#include "fs/loop.h"

#include "core/sys.h"
#include "core/util.h"

#include <sys/epoll.h>

#define BATCH 16

struct loop {
	int epoll_fd;
	bool stopped, again;
	int code;
	struct epoll_event batch[BATCH];
	int ready;
	struct loop_source *preferred;
};

struct loop *loop_create(void)
{
	struct loop *loop = calloc(1, sizeof *loop);

	if (!loop)
		return NULL;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll_fd);
	free(loop);
}

static int control(struct loop *loop, int op, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};
	return sys->epoll_ctl(loop->epoll_fd, op, source->fd, &event);
}

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
	return control(loop, EPOLL_CTL_ADD, source, events);
}

int loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, source, events);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	control(loop, EPOLL_CTL_DEL, source, 0);
	if (loop->preferred == source)
		loop->preferred = NULL;
	/* What is ready in this batch already must not be called any more. */
	for (int i = 0; i < loop->ready; i++)
		if (loop->batch[i].data.ptr == source)
			loop->batch[i].data.ptr = NULL;
}

void loop_prefer(struct loop *loop, struct loop_source *source)
{
	loop->preferred = source;
}

void loop_again(struct loop *loop)
{
	loop->again = true;
}

static void look_at_preferred(struct loop *loop)
{
	if (loop->preferred && !loop->stopped)
		loop->preferred->ready(loop->preferred, EPOLLIN);
}

int loop_run(struct loop *loop)
{
	loop->stopped = false;
	while (!loop->stopped) {
		loop->ready = epoll_wait(loop->epoll_fd, loop->batch, BATCH, loop->again ? 0 : -1);
		if (loop->ready < 0 && errno != EINTR)
			return -errno;
		if (loop->again) {
			loop->again = false;
			look_at_preferred(loop);
		}
		for (int i = 0; i < loop->ready && !loop->stopped; i++) {
			struct loop_source *source = loop->batch[i].data.ptr;
			if (!source)
				continue;
			source->ready(source, loop->batch[i].events);
			if (source != loop->preferred && i + 1 < loop->ready)
				look_at_preferred(loop);
		}
		loop->ready = 0;
	}
	return loop->code;
}

void loop_stop(struct loop *loop, int code)
{
	loop->stopped = true;
	loop->code = code;
}
