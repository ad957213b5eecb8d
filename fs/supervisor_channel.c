#include "core/log.h"
#include "core/util.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL_MAX_FDS 4  /* more than a message may carry: surplus ones are seen and closed */
#define SPARE_FDS       64 /* what starting a worker and an errand takes */

struct received {
	struct channel_message message;
	size_t length;
	int fds[CHANNEL_MAX_FDS];
	unsigned fd_count;
};

static void close_received(struct received *r)
{
	while (r->fd_count)
		close(r->fds[--r->fd_count]);
}

static void take_fds(struct received *r, struct msghdr *header)
{
	struct cmsghdr *rights;

	r->fd_count = 0;
	for (rights = CMSG_FIRSTHDR(header); rights; rights = CMSG_NXTHDR(header, rights)) {
		size_t bytes = rights->cmsg_len - CMSG_LEN(0);

		if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(r->fds, CMSG_DATA(rights), bytes);
		r->fd_count = (unsigned)(bytes / sizeof(int));
	}
}

/* 1: got one; 0: the worker closed its end; or -errno (-EAGAIN: nothing waits) */
static int receive_one(int fd, struct received *r)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(CHANNEL_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = {&r->message, sizeof r->message};
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = &control,
				.msg_controllen = sizeof control};
	ssize_t got;

	do {
		got = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	take_fds(r, &header);
	r->length = (size_t)got;
	/* SOCK_SEQPACKET says the end of the stream and an empty message alike. */
	return got || r->fd_count ? 1 : 0;
}

static bool no_room(const struct supervisor *s)
{
	struct rlimit limit;

	if (s->bound_count >= HANDOVER_MAX_BOUND)
		return true;
	return !getrlimit(RLIMIT_NOFILE, &limit) && s->bound_count + SPARE_FDS >= limit.rlim_cur;
}

static int find_bound(const struct supervisor *s, uint64_t id)
{
	for (int i = 0; i < HANDOVER_MAX_BOUND; i++) {
		if (s->bound[i].id == id)
			return i;
	}
	return -1;
}

static void publish(struct supervisor *s, int slot)
{
	s->shared->bound[slot].fd = s->bound[slot].fd;
	__atomic_store_n(&s->shared->bound[slot].id, s->bound[slot].id, __ATOMIC_RELEASE);
}

static int drop(struct supervisor *s, uint64_t id)
{
	int slot = id ? find_bound(s, id) : -1;

	if (!id)
		return EINVAL;
	if (slot < 0)
		return 0; /* said twice, by a worker that took over */
	s->bound[slot].id = 0;
	supervisor_close(&s->bound[slot].fd);
	supervisor_fdstore_bound(s, slot);
	s->bound_count--;
	publish(s, slot);
	return 0;
}

/* Does not own fd: keeps a duplicate where no fixed number is. */
int supervisor_hold(struct supervisor *s, uint64_t id, int fd)
{
	int slot, kept;

	if (!id)
		return EINVAL;
	if (find_bound(s, id) < 0 && no_room(s))
		return EMFILE;
	kept = fcntl(fd, F_DUPFD_CLOEXEC, HANDOVER_FD_FIRST_BOUND);
	if (kept < 0)
		return errno;
	drop(s, id); /* said twice, by a worker that took over: the newer one counts */
	slot = find_bound(s, 0);
	s->bound[slot].fd = kept;
	supervisor_fdstore_bound(s, slot);
	__atomic_store_n(&s->bound[slot].id, id, __ATOMIC_RELEASE);
	s->bound_count++;
	publish(s, slot);
	return 0;
}

static void answer(struct supervisor *s, struct channel_message message, int error)
{
	message.error = error;
	if (send(s->channel_fd, &message, sizeof message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("answering the worker: %m");
}

static void answer_upgrade(struct supervisor *s, struct channel_message message)
{
	supervisor_upgrade_ask(s);
	answer(s, message, 0);
}

static void handle(struct supervisor *s, const struct received *r)
{
	const struct channel_message *message = &r->message;

	if (r->length != sizeof *message) {
		log_warn("a message of %zu bytes from the worker is ignored", r->length);
		return;
	}
	switch (message->type) {
	case CHANNEL_READY:
		if (!s->worker_ready)
			supervisor_dispatch(s, EVENT_READY);
		return;
	case CHANNEL_HOLD:
		answer(s, *message,
		       r->fd_count == 1 ? supervisor_hold(s, message->id, r->fds[0]) : EINVAL);
		return;
	case CHANNEL_UPGRADE:
		answer_upgrade(s, *message);
		return;
	case CHANNEL_DROP:
		answer(s, *message, drop(s, message->id));
		return;
	default:
		log_warn("a message of type %u from the worker is ignored", message->type);
	}
}

void supervisor_receive(struct supervisor *s)
{
	while (s->channel_fd >= 0) {
		struct received r;
		int rc = receive_one(s->channel_fd, &r);

		if (rc > 0) {
			handle(s, &r);
			close_received(&r);
			continue;
		}
		if (rc != -EAGAIN) /* its end of it is told by SIGCHLD */
			supervisor_close_channel(s);
		break;
	}
}

void supervisor_close_channel(struct supervisor *s)
{
	supervisor_close(&s->channel_fd);
}

void supervisor_ask_again(struct supervisor *s)
{
	if (s->channel_fd >= 0)
		answer(s, (struct channel_message){.type = CHANNEL_AGAIN}, 0);
}
