#include "core/log.h"
#include "core/util.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

/* Its path, also when another file has that name by now. */
static void find_program(struct supervisor *s)
{
	static const char deleted[] = " (deleted)";
	ssize_t length = readlink("/proc/self/exe", s->program, sizeof s->program - 1);
	size_t end = length > 0 ? (size_t)length : 0;

	s->program[end] = '\0';
	if (end > strlen(deleted) && !strcmp(s->program + end - strlen(deleted), deleted))
		s->program[end - strlen(deleted)] = '\0';
}

/* One descriptor for each bound file, here and in every worker. */
void supervisor_raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int supervisor_silence_control(struct supervisor *s)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
		return -errno;
	supervisor_close(&s->control_fd);
	supervisor_close(&s->silent_fd);
	s->control_fd = pair[0];
	s->silent_fd = pair[1];
	supervisor_fdstore_control(s);
	return 0;
}

/* Rootless: nothing can be bound through a mount of its own, so the socket stands outside and a
 * symbolic link in the mount leads there. */
static int bind_outside(struct supervisor *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/control",
			      s->backing.private_path);

	if (length >= (int)sizeof address.sun_path)
		return -ENAMETOOLONG;
	copy_text(s->control_path, sizeof s->control_path, address.sun_path);
	if (bind(s->control_fd, (struct sockaddr *)&address, sizeof address) ||
	    chmod(address.sun_path, 0666))
		return -errno;
	return 0;
}

static int make_state(struct supervisor *s)
{
	s->state_fd = memfd_create("mappingfs-state", MFD_CLOEXEC);
	if (s->state_fd < 0 || ftruncate(s->state_fd, HANDOVER_STATE_OFFSET))
		return -errno;
	return supervisor_map_shared(s);
}

static uint32_t handover_flags(const struct supervisor *s, const struct options *o)
{
	uint32_t flags = 0;

	if (o->allow_other)
		flags |= HANDOVER_ALLOW_OTHER;
	if (o->debug)
		flags |= HANDOVER_DEBUG;
	if (o->foreground)
		flags |= HANDOVER_FOREGROUND;
	if (o->store)
		flags |= HANDOVER_STORE;
	if (s->mount.read_only)
		flags |= HANDOVER_READ_ONLY;
	/* Root of a container's own user namespace can mount, and not much more. */
	if (!mount_as_root() || !mount_initial_userns())
		flags |= HANDOVER_ROOTLESS;
	if (s->cgroup_fd >= 0)
		flags |= HANDOVER_HAS_CGROUP;
	if (s->notify_fd < 0)
		flags |= HANDOVER_NO_NOTIFY;
	return flags;
}

static void fill_handover(struct supervisor *s, const struct options *o)
{
	struct handover *h = s->shared;

	h->magic = HANDOVER_MAGIC;
	h->version = HANDOVER_VERSION;
	h->config.data_mode = (uint32_t)o->data_mode;
	h->config.lifetime = (uint32_t)o->lifetime;
	h->config.jobs = (uint32_t)o->jobs;
	h->config.confine = (uint32_t)o->confine;
	h->config.flags = handover_flags(s, o);
	h->config.poll_usec = o->poll_usec;
	h->config.limit = o->size;
	h->config.user_objects = (uint64_t)o->user_objects;
	h->config.user_size = (uint64_t)o->user_size;
	h->config.user_waits = (uint32_t)o->user_waits;
	h->config.user_connections = (uint32_t)o->user_connections;
	h->config.root_mode = (uint32_t)o->root_mode;
	h->config.root_uid = (uint32_t)o->uid;
	h->config.root_gid = (uint32_t)o->gid;
	h->config.device_major = s->mount.device_major;
	h->config.device_minor = s->mount.device_minor;
	h->config.mounted_at = clock_ns(CLOCK_REALTIME);
	h->config.supervisor_pid = getpid();
	supervisor_note_version(s);
	copy_text(h->config.mountpoint, sizeof h->config.mountpoint, s->mount.point);
	copy_text(h->config.source, sizeof h->config.source, o->source);
	copy_text(h->config.store, sizeof h->config.store, s->backing.store);
}

/* 0 or -errno */
static int make_shared(struct supervisor *s)
{
	int rc = make_state(s);

	if (rc)
		return rc;
	s->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (s->notify_fd < 0)
		log_warn(
		    "no inotify instance (%m): until the next mount the ends of views are found "
		    "by looking now and then; fs.inotify.max_user_instances is too small");
	s->control_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->control_fd < 0)
		return -errno;
	return mount_as_root() ? 0 : bind_outside(s);
}

static enum exit_code find_cgroups(struct supervisor *s, const struct options *options)
{
	int fd = options->jobs == JOBS_MODE_PIDFD ? -ENOENT : mount_cgroup_open();

	s->cgroup_fd = fd < 0 ? -1 : fd;
	if (fd >= 0 || options->jobs != JOBS_MODE_CGROUP)
		return EXIT_CODE_OK;
	log_error("jobs=cgroup cannot be had: no cgroup v2 tree is mounted: %s", strerror(-fd));
	return EXIT_CODE_MOUNT;
}

/* The mount comes last: what fails before it leaves nothing that people see. */
enum exit_code supervisor_setup(struct supervisor *s, const struct options *options)
{
	enum exit_code code;
	int rc;

	s->foreground = options->foreground;
	s->debug = options->debug;
	find_program(s);
	supervisor_raise_fd_limit();
	code = supervisor_loop_init(s);
	if (!code)
		code = mount_resolve(&s->mount, options);
	if (code)
		return code;
	s->exec_fd = supervisor_find_worker();
	if (s->exec_fd < 0)
		return EXIT_CODE_WORKER;
	code = find_cgroups(s, options);
	if (!code)
		code = mount_backing_open(&s->backing, options);
	if (code)
		return code;
	rc = make_shared(s);
	if (rc) {
		log_error("preparing what workers share: %s", strerror(-rc));
		return EXIT_CODE_MOUNT;
	}
	supervisor_restore_bindings(s);
	code = mount_attach(&s->mount, options);
	if (code)
		return code;
	fill_handover(s, options);
	if (chdir("/"))
		log_debug("chdir: %m");
	return EXIT_CODE_OK;
}

static void close_all(struct supervisor *s)
{
	int *const fds[] = {&s->state_fd,  &s->notify_fd, &s->control_fd,
			    &s->silent_fd, &s->exec_fd,   &s->cgroup_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		supervisor_close(fds[i]);
	for (int i = 0; i < HANDOVER_MAX_BOUND; i++) {
		if (s->bound[i].id)
			supervisor_close(&s->bound[i].fd);
		s->bound[i].id = 0;
	}
	supervisor_close_channel(s);
	supervisor_loop_finish(s);
}

/* The end, and the way back from a setup that failed half-way. /dev/fuse is closed first: after
 * that nothing waits for an answer any more. */
void supervisor_cleanup(struct supervisor *s)
{
	supervisor_fdstore_end(s);
	mount_finish(&s->mount);
	for (int i = 0; i < CHILD_COUNT; i++)
		supervisor_end_child(s, (enum child_role)i);
	supervisor_end_jobs(s);
	close_all(s);
	if (s->mount.id >= 0)
		mount_detach(&s->mount, true); /* still there if the connection was cut */
	mount_backing_close(&s->backing);
}
