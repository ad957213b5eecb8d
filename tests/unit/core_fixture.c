#include "tests/unit/core_fixture.h"

#include "fs/fdpass.h"
#include "tests/unit/core_faults.h"
#include "tests/unit/scratch_tree.h"

#include <dirent.h>
#include <linux/securebits.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

int fixture_cgroup_fd;

size_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	while (dir && readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* --- the kernel's part: backing ids --- */

static int attach(void *context, int fd)
{
	struct fixture *f = context;
	uint32_t id = f->world->last_id + 1;

	if (f->world->attach_error)
		return f->world->attach_error;
	if (id >= FIXTURE_IDS)
		return -ENOSPC;
	f->world->attached[id] = 1;
	f->world->last_id = id;
	if (getpid() == f->owner)
		f->id_fds[id] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (f->world->after_attach)
		f->world->after_attach();
	return (int)id;
}

static void detach(void *context, uint32_t id)
{
	struct fixture *f = context;

	if (id >= FIXTURE_IDS || !f->world->attached[id])
		return; /* the kernel answers ENOENT */
	f->world->attached[id] = 0;
	if (getpid() == f->owner && f->id_fds[id] >= 0) {
		close(f->id_fds[id]);
		f->id_fds[id] = -1;
	}
}

unsigned count_attached(const struct world *world)
{
	unsigned count = 0;

	for (size_t i = 0; i < FIXTURE_IDS; i++)
		count += world->attached[i];
	return count;
}

/* --- the supervisor's part: descriptors of bound files --- */

static void take_message(struct fixture *f, uint64_t id, int fd)
{
	if (fd >= 0) {
		if (f->held_count == ARRAY_SIZE(f->held))
			abort();
		f->held[f->held_count++] = (struct core_bound_fd){.id = id, .fd = fd};
		return;
	}
	for (size_t i = 0; i < f->held_count; i++)
		if (f->held[i].id == id) {
			close(f->held[i].fd);
			f->held[i] = f->held[--f->held_count];
			return;
		}
}

void fixture_drain(struct fixture *f)
{
	uint64_t id;
	size_t count;
	int fd = -1;

	if (getpid() != f->owner)
		return;
	while (fdpass_receive(f->channel[1], &id, sizeof id, MSG_DONTWAIT, &fd, 1, &count, NULL,
			      NULL) == sizeof id) {
		take_message(f, id, count ? fd : -1);
		fd = -1;
	}
}

static void tell_supervisor(struct fixture *f, uint64_t id, int fd)
{
	if (fdpass_send(f->channel[0], &id, sizeof id, 0, &fd, fd >= 0) != 0)
		abort();
	fixture_drain(f);
}

static int hold(void *context, uint64_t id, int fd)
{
	struct fixture *f = context;

	if (f->world->hold_error)
		return f->world->hold_error;
	tell_supervisor(f, id, fd);
	return 0;
}

static void drop(void *context, uint64_t id)
{
	tell_supervisor(context, id, -1);
}

static void name_gone(void *context, uint64_t parent, uint64_t node, const char *name)
{
	struct world *world = ((struct fixture *)context)->world;

	world->names_gone++;
	world->gone_parent = parent;
	world->gone_node = node;
	snprintf(world->gone_name, sizeof world->gone_name, "%s", name);
}

static void unused(void *context, uint64_t node)
{
	(void)node;
	((struct fixture *)context)->world->unused++;
}

/* Written before it counts: killed in between, it was not said. */
static void waited(void *context, const struct core_waited *waited)
{
	struct world *world = ((struct fixture *)context)->world;

	if (world->waited_count == ARRAY_SIZE(world->waited))
		abort();
	world->waited[world->waited_count] = *waited;
	__atomic_add_fetch(&world->waited_count, 1, __ATOMIC_SEQ_CST);
}

static void poll_changed(void *context, uint64_t poll)
{
	struct world *world = ((struct fixture *)context)->world;

	if (world->polled_count == ARRAY_SIZE(world->polled))
		abort();
	world->polled[world->polled_count] = poll;
	__atomic_add_fetch(&world->polled_count, 1, __ATOMIC_SEQ_CST);
}

/* --- life --- */

static void configure(struct fixture *f, bool passthrough, bool rootless)
{
	struct stat st;

	fstat(f->tree_fd, &st);
	f->config = (struct core_config){
	    .tree_fd = f->tree_fd,
	    .notify_fd = passthrough ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1,
	    .state_fd = memfd_create("state", MFD_CLOEXEC),
	    .limit = FIXTURE_LIMIT,
	    .rootless = rootless || geteuid() != 0,
	    .root_mode = 01777,
	    .device_major = major(st.st_dev),
	    .device_minor = minor(st.st_dev),
	    .cgroup_fd = fixture_cgroup_fd,
	    .listener = {.name_gone = name_gone,
			 .unused = unused,
			 .hold = hold,
			 .drop = drop,
			 .waited = waited,
			 .poll_changed = poll_changed,
			 .context = f},
	};
	if (passthrough)
		f->config.data = (struct core_data_path){attach, detach, f};
}

struct fixture *fixture_new(bool passthrough, bool rootless)
{
	struct fixture *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->fds_before = open_fds();
	f->umask_before = umask(022);
	umask(f->umask_before);
	prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
	signal(SIGIO, SIG_IGN); /* a lease broken in the instant it is held */
	f->owner = getpid();
	memset(f->id_fds, -1, sizeof f->id_fds);
	f->world =
	    mmap(NULL, sizeof *f->world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	f->world->dirty_pages = -1;
	faults_install(f->world);
	f->tree_fd = scratch_tree("64m", f->tree_path, sizeof f->tree_path);
	f->outside_fd = scratch_tree("64m", f->outside_path, sizeof f->outside_path);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, f->channel) < 0)
		abort();
	configure(f, passthrough, rootless);
	return f;
}

void fixture_free(struct fixture *f)
{
	fixture_stop(f);
	fixture_drain(f);
	for (size_t i = 0; i < FIXTURE_IDS; i++)
		if (f->id_fds[i] >= 0)
			close(f->id_fds[i]);
	while (f->held_count)
		close(f->held[--f->held_count].fd);
	close(f->channel[0]);
	close(f->channel[1]);
	close(f->config.state_fd);
	if (f->config.notify_fd >= 0)
		close(f->config.notify_fd);
	scratch_tree_close(f->tree_fd, f->tree_path);
	scratch_tree_close(f->outside_fd, f->outside_path);
	faults_install(NULL);
	umask(f->umask_before);
	munmap(f->world, sizeof *f->world);
	free(f);
}

int fixture_start(struct fixture *f)
{
	struct core_bound_fd bound[ARRAY_SIZE(f->held)];

	fixture_drain(f);
	for (size_t i = 0; i < f->held_count; i++)
		bound[i] = (struct core_bound_fd){.id = f->held[i].id,
						  .fd = fcntl(f->held[i].fd, F_DUPFD_CLOEXEC, 0)};
	f->config.bound = bound;
	f->config.bound_count = f->held_count;
	return core_create(&f->config, &f->core);
}

void fixture_stop(struct fixture *f)
{
	core_destroy(f->core);
	f->core = NULL;
}

void fixture_restart(struct fixture *f)
{
	fixture_stop(f);
	assert_int_equal(fixture_start(f), 0);
}

static int setup(void **state, bool passthrough, bool rootless)
{
	struct fixture *f = fixture_new(passthrough, rootless);

	alarm(60);
	*state = f;
	return f ? fixture_start(f) : -1;
}

int fixture_setup(void **state)
{
	return setup(state, true, false);
}

int fixture_setup_cached(void **state)
{
	return setup(state, false, false);
}

int fixture_setup_rootless(void **state)
{
	return setup(state, false, true);
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	size_t before = f->fds_before, after;

	fixture_free(f);
	alarm(0);
	after = open_fds();
	if (after != before)
		print_error("descriptors: %zu before, %zu after\n", before, after);
	return after == before ? 0 : -1;
}
