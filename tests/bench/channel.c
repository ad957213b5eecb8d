#include "tests/bench/channel.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core/types.h"
#include "core/util.h"
#include "fs/wire.h"
#include "tests/bench/mount.h"

static int nothing_to_settle(struct channel *channel)
{
	(void)channel;
	return 0;
}

static void close_ends(struct channel *channel)
{
	if (channel->read_fd >= 0)
		close(channel->read_fd);
	if (channel->write_fd >= 0)
		close(channel->write_fd);
}

/* --- event --- */

static int event_open(struct channel *channel, const char *dir, const char *tag)
{
	const struct mount_object object = {.type = OBJECT_EVENT,
					    .flags = channel->all ? WIRE_MANUAL : 0};
	char path[BENCH_PATH_MAX];
	int rc = mount_create(dir, tag, &object, path);

	if (rc < 0)
		return rc;
	channel->read_fd = open(path, O_RDONLY | O_CLOEXEC);
	channel->write_fd = open(path, O_WRONLY | O_CLOEXEC);
	if (channel->read_fd < 0 || channel->write_fd < 0)
		rc = -errno;
	unlink(path);
	if (rc < 0)
		close_ends(channel);
	return rc;
}

static int event_send(struct channel *channel)
{
	return neg_errno((int)pwrite(channel->write_fd, "set\n", 4, 0));
}

/* At offset 0 each time; without the position's lock, which threads would queue at. */
static int event_receive(struct channel *channel)
{
	char line[32];

	return neg_errno((int)pread(channel->read_fd, line, sizeof line, 0));
}

static int event_exchange(struct channel *to, struct channel *from)
{
	struct wire_signal_wait request = {.deadline = UINT64_MAX, .length = 3, .words = "set"};

	if (!to->proof.handle && ioctl(to->write_fd, WIRE_IOC_HANDLE, &to->proof) < 0)
		return -errno;
	request.signal = to->proof;
	return neg_errno(ioctl(from->read_fd, WIRE_IOC_SIGNAL_WAIT, &request));
}

/* The worker takes requests in order: with this one's answer it has taken those before it. */
static int event_settle(struct channel *channel)
{
	return mount_round_trip(channel->read_fd);
}

/* --- pipe --- */

static int pipe_open(struct channel *channel, const char *dir, const char *tag)
{
	int fds[2];

	(void)dir;
	(void)tag;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	channel->read_fd = fds[0];
	channel->write_fd = fds[1];
	return 0;
}

static int pipe_send(struct channel *channel)
{
	if (channel->all) {
		close(channel->write_fd);
		channel->write_fd = -1;
		return 0;
	}
	return neg_errno((int)write(channel->write_fd, "s", 1));
}

static int pipe_receive(struct channel *channel)
{
	char byte;

	return neg_errno((int)read(channel->read_fd, &byte, 1));
}

/* --- futex --- */

static int futex_open(struct channel *channel, const char *dir, const char *tag)
{
	void *page =
	    mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)dir;
	(void)tag;
	if (page == MAP_FAILED)
		return -errno;
	channel->word = page;
	return 0;
}

static int futex_send(struct channel *channel)
{
	atomic_store(channel->word, 1);
	return neg_errno((int)syscall(SYS_futex, channel->word, FUTEX_WAKE,
				      channel->all ? INT_MAX : 1, NULL, NULL, 0));
}

static bool futex_taken(struct channel *channel)
{
	return channel->all ? atomic_load(channel->word) : atomic_exchange(channel->word, 0);
}

static int futex_receive(struct channel *channel)
{
	while (!futex_taken(channel))
		if (syscall(SYS_futex, channel->word, FUTEX_WAIT, 0, NULL, NULL, 0) < 0 &&
		    errno != EAGAIN && errno != EINTR)
			return -errno;
	return 0;
}

static void futex_close(struct channel *channel)
{
	munmap((void *)channel->word, PAGE_BYTES);
}

static const struct channel_type types[] = {
    {"event", event_open, event_send, event_receive, event_settle, close_ends, event_exchange},
    {"pipe", pipe_open, pipe_send, pipe_receive, nothing_to_settle, close_ends, NULL},
    {"futex", futex_open, futex_send, futex_receive, nothing_to_settle, futex_close, NULL},
};

int channel_open(struct channel *channel, const struct bench_options *options, const char *tag,
		 bool all)
{
	const char *name = options->by ? options->by : "event";

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (strcmp(types[i].name, name))
			continue;
		*channel =
		    (struct channel){.type = &types[i], .read_fd = -1, .write_fd = -1, .all = all};
		return types[i].open(channel, options->dir, tag);
	}
	return -EINVAL;
}

void channel_close(struct channel *channel)
{
	channel->type->close(channel);
}
