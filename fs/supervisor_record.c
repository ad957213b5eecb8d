/* The record in its memory file, and the descriptors that it names. */
#include "core/util.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_FDS 24 /* at most: all but those of bound files */

static struct handover *shared_here; /* s->shared, as this process has it mapped */

/* One that was built otherwise must not read it. */
uint64_t supervisor_record_layout(void)
{
	const size_t parts[] = {
	    sizeof(struct supervisor),
	    sizeof(struct mount),
	    sizeof(struct mount_backing),
	    sizeof(struct supervisor_child),
	    offsetof(struct supervisor, mount),
	    offsetof(struct supervisor, backing),
	    offsetof(struct supervisor, record_fd),
	    offsetof(struct supervisor, report_fd),
	    offsetof(struct supervisor, control_path),
	    offsetof(struct supervisor, generation),
	    offsetof(struct supervisor, standby),
	    offsetof(struct supervisor, children),
	    offsetof(struct supervisor, upgrade),
	    offsetof(struct supervisor, state),
	    offsetof(struct supervisor, failures),
	    offsetof(struct supervisor, limit_at),
	    offsetof(struct supervisor, bound),
	    offsetof(struct mount, fuse_fd),
	    offsetof(struct mount, read_only),
	    offsetof(struct mount_backing, private_fd),
	    offsetof(struct mount_backing, store),
	    STATE_COUNT,
	    CHILD_COUNT,
	    RECORD_VERSION,
	};

	return layout_of(parts, ARRAY_SIZE(parts));
}

static void init(struct supervisor *s)
{
	s->header.magic = RECORD_MAGIC;
	s->header.version = RECORD_VERSION;
	s->header.layout = supervisor_record_layout();
	s->mount.fuse_fd = -1;
	s->mount.id = -1;
	s->backing = (struct mount_backing){.tree_fd = -1, .detached_fd = -1, .private_fd = -1};
	s->state_fd = s->notify_fd = s->control_fd = s->silent_fd = s->exec_fd = s->channel_fd = -1;
	s->cgroup_fd = s->report_fd = s->self_fd = -1;
	s->signal_fd = s->mountinfo_fd = s->epoll_fd = -1;
	s->upgrade.words_fd = s->upgrade.former_exec_fd = -1;
	for (int i = 0; i < CHILD_COUNT; i++)
		s->children[i].fd = -1;
}

struct supervisor *supervisor_record_create(void)
{
	AUTO_CLOSE int fd = memfd_create("mappingfs-supervisor", MFD_CLOEXEC);
	struct supervisor *s;

	if (fd < 0 || ftruncate(fd, sizeof *s))
		return NULL;
	s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED)
		return NULL;
	init(s);
	s->record_fd = steal_fd(&fd);
	return s;
}

struct supervisor *supervisor_record_map(int fd)
{
	struct supervisor *s;
	struct stat st;

	if (fstat(fd, &st) || st.st_size != sizeof *s)
		return NULL;
	s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED)
		return NULL;
	if (s->header.magic == RECORD_MAGIC && s->header.version == RECORD_VERSION &&
	    s->header.layout == supervisor_record_layout())
		return s;
	munmap(s, sizeof *s);
	return NULL;
}

void supervisor_record_destroy(struct supervisor *s)
{
	supervisor_close(&s->record_fd);
	munmap(s, sizeof *s);
}

int supervisor_map_shared(struct supervisor *s)
{
	if (!shared_here) {
		void *at = mmap(NULL, sizeof *shared_here, PROT_READ | PROT_WRITE, MAP_SHARED,
				s->state_fd, 0);

		if (at == MAP_FAILED)
			return -errno;
		shared_here = at;
	}
	s->shared = shared_here;
	return 0;
}

void supervisor_close(int *fd)
{
	int closing = *fd;

	*fd = -1;
	if (closing >= 0)
		close(closing);
}

static size_t own_fds(const struct supervisor *s, int *out)
{
	const int own[] = {
	    s->mount.fuse_fd,
	    s->backing.tree_fd,
	    s->backing.detached_fd,
	    s->backing.private_fd,
	    s->record_fd,
	    s->state_fd,
	    s->notify_fd,
	    s->control_fd,
	    s->cgroup_fd,
	    s->silent_fd,
	    s->exec_fd,
	    s->channel_fd,
	    s->report_fd,
	    s->self_fd,
	    s->upgrade.words_fd,
	    s->upgrade.former_exec_fd,
	};
	size_t count = 0;

	_Static_assert(ARRAY_SIZE(own) + CHILD_COUNT <= OWN_FDS, "room for all");
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (own[i] >= 0)
			out[count++] = own[i];
	for (int i = 0; i < CHILD_COUNT; i++)
		if (s->children[i].fd >= 0)
			out[count++] = s->children[i].fd;
	return count;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* All that the record names; nobody to ask for memory. */
static size_t all_fds(const struct supervisor *s, int **out)
{
	static int known[OWN_FDS + HANDOVER_MAX_BOUND];
	size_t count = own_fds(s, known);

	for (int i = 0; i < HANDOVER_MAX_BOUND; i++)
		if (s->bound[i].id)
			known[count++] = s->bound[i].fd;
	*out = known;
	return count;
}

void supervisor_keep_fds(struct supervisor *s, bool keep)
{
	int *fds;
	size_t count = all_fds(s, &fds);

	for (size_t i = 0; i < count; i++)
		fcntl(fds[i], F_SETFD, keep ? 0 : FD_CLOEXEC);
}

void supervisor_sweep(struct supervisor *s)
{
	unsigned next = STDERR_FILENO + 1;
	int *known;
	size_t count = all_fds(s, &known);

	qsort(known, count, sizeof *known, by_number);
	for (size_t i = 0; i < count; i++) {
		if ((unsigned)known[i] > next)
			close_range(next, (unsigned)known[i] - 1, 0);
		next = (unsigned)known[i] + 1;
	}
	close_range(next, ~0U, 0);
}
