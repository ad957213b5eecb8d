/* The worker's end of the channel to the supervisor. */
#include "core/log.h"
#include "core/util.h"
#include "fs/fdpass.h"
#include "fs/worker.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_TIMEOUT_MS 10000

static int send_message(const struct channel_message *message, const int *fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof *message};
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof control;
		control.head = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
						.cmsg_type = SCM_RIGHTS,
						.cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(&control.head), fd, sizeof *fd);
	}
	return sendmsg(HANDOVER_FD_CHANNEL, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The supervisor does nothing but answer such messages, at once; another one, if it is killed. */
static int await_answer(const struct channel_message *asked, const int *fd)
{
	struct pollfd ready = {.fd = HANDOVER_FD_CHANNEL, .events = POLLIN};
	struct channel_message answer;

	for (;;) {
		if (poll(&ready, 1, ANSWER_TIMEOUT_MS) <= 0)
			return -ETIMEDOUT;
		if (recv(HANDOVER_FD_CHANNEL, &answer, sizeof answer, 0) != sizeof answer)
			return -EPIPE;
		if (answer.type == CHANNEL_AGAIN && send_message(asked, fd) < 0)
			return -EPIPE;
		if (answer.type == asked->type && answer.id == asked->id)
			return -answer.error;
	}
}

void channel_ready(struct handover *handover)
{
	struct channel_message message = {.type = CHANNEL_READY};

	*(volatile int32_t *)&handover->live.ready_pid = getpid();
	if (send_message(&message, NULL) < 0)
		log_warn("the supervisor does not hear us: %m");
}

int channel_hold(void *worker, uint64_t id, int fd)
{
	struct channel_message message = {.type = CHANNEL_HOLD, .id = id};
	int rc = send_message(&message, &fd);

	(void)worker;
	return rc < 0 ? rc : await_answer(&message, &fd);
}

void channel_drop(void *worker, uint64_t id)
{
	struct channel_message message = {.type = CHANNEL_DROP, .id = id};
	int rc = send_message(&message, NULL);

	(void)worker;
	if (rc == 0)
		rc = await_answer(&message, NULL);
	if (rc < 0)
		log_warn("the supervisor keeps a file that is not bound any more: %s",
			 strerror(-rc));
}

int channel_upgrade(void *context)
{
	struct channel_message message = {.type = CHANNEL_UPGRADE};
	const struct worker *worker = context;
	int rc = send_message(&message, NULL);

	if (rc == 0)
		rc = await_answer(&message, NULL);
	return rc < 0 ? rc : (int)worker->handover->live.upgrade_number;
}
