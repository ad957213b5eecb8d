/* The worker: takes what the supervisor hands over, wires the rooms together, and serves until the
 * file system is unmounted or it is killed. Everything that must survive it lives in the state
 * area. */
#define FUSE_USE_VERSION 314
#include "fs/worker.h"

#include "core/crash.h"
#include "core/log.h"
#include "core/util.h"
#include "fs/control.h"
#include "fs/ops.h"
#include "fs/ops_raw.h"
#include "fs/ops_wait.h"
#include "fs/passthrough.h"
#include "fs/worker_handover.h"
#include "fs/worker_mounts.h"

#include <fcntl.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#define TRANSPORT_AREA_OFFSET (512ULL << 10) /* behind struct handover, before core's state */
_Static_assert(sizeof(struct handover) <= TRANSPORT_AREA_OFFSET, "the handover fits");
_Static_assert(TRANSPORT_AREA_OFFSET + sizeof(struct transport_area) <= HANDOVER_STATE_OFFSET,
	       "the transport's area fits");

static _Noreturn void leave(struct handover *h, int code)
{
	h->live.exit_status = code;
	*(volatile uint32_t *)&h->live.exited = 1;
	_exit(code);
}

static _Noreturn void fatal(struct handover *h, const char *what, int rc)
{
	snprintf(h->live.fatal_reason, sizeof h->live.fatal_reason, "%s: %s", what, strerror(-rc));
	log_error("%s", h->live.fatal_reason);
	leave(h, WORKER_EXIT_FATAL);
}

/* --- mode --- */

static bool can_pass_through(const struct worker *worker, bool offered, const char **reason)
{
	const struct handover *h = worker->handover;

	*reason = "asked for with mode=cached";
	if (h->config.data_mode == DATA_MODE_CACHED)
		return false;
	*reason = "mounted by an ordinary user: registering backing files needs CAP_SYS_ADMIN";
	if ((h->config.flags & HANDOVER_ROOTLESS) || !worker->may_pass_through)
		return false;
	*reason =
	    "the kernel does not offer FUSE passthrough (Linux 6.9 with CONFIG_FUSE_PASSTHROUGH)";
	if (!offered)
		return false;
	*reason = "the kernel offers FUSE passthrough and we may use it";
	return true;
}

static bool start_core(struct worker *worker);

/* INIT has come for the first time: now the kernel's offer is known. */
static bool decide_mode(void *context, bool offered)
{
	struct worker *worker = context;
	struct handover *h = worker->handover;
	const char *reason;

	worker->passthrough = can_pass_through(worker, offered, &reason);
	snprintf(h->live.mode_reason, sizeof h->live.mode_reason, "%s", reason);
	if (!worker->passthrough && h->config.data_mode == DATA_MODE_PASSTHROUGH) {
		snprintf(h->live.fatal_reason, sizeof h->live.fatal_reason,
			 "mode=passthrough cannot be had: %s", reason);
		loop_stop(worker->loop, WORKER_EXIT_FATAL);
		return false;
	}
	h->live.mode = worker->passthrough ? DATA_MODE_PASSTHROUGH : DATA_MODE_CACHED;
	log_info("%s: %s mode: %s", h->config.mountpoint,
		 worker->passthrough ? "passthrough" : "cached", reason);
	return start_core(worker);
}

/* --- core --- */

static bool object_event(void *context, const struct core_event *event)
{
	struct worker *worker = context;

	return worker->control && control_event(worker->control, event);
}

static void core_ready(struct loop_source *source, uint32_t events)
{
	struct worker *worker = CONTAINER_OF(source, struct worker, core_source);

	(void)events;
	core_dispatch(worker->core);
}

static int cgroup_descriptor(const struct handover *h)
{
	return h->config.flags & HANDOVER_HAS_CGROUP ? HANDOVER_FD_CGROUP : 0;
}

static int notify_descriptor(const struct worker *worker)
{
	bool none = worker->handover->config.flags & HANDOVER_NO_NOTIFY;

	return worker->passthrough && !none ? HANDOVER_FD_NOTIFY : -1;
}

static void has_jobs(void *context)
{
	struct worker *worker = context;

	*(volatile uint32_t *)&worker->handover->live.has_jobs = 1;
}

/* The standby may be our supervisor tomorrow. */
static bool serves(void *context, pid_t pid)
{
	const struct handover *h = ((struct worker *)context)->handover;

	return pid == h->config.supervisor_pid || pid == h->live.standby_pid;
}

static void end_jobs(const struct handover *h)
{
	core_end_jobs(HANDOVER_FD_STATE, HANDOVER_STATE_OFFSET, cgroup_descriptor(h));
}

static bool start_core(struct worker *worker)
{
	struct handover *h = worker->handover;
	struct core_bound_fd *bound = calloc(HANDOVER_MAX_BOUND, sizeof *bound);
	struct core_config config = {
	    .tree_fd = HANDOVER_FD_TREE,
	    .notify_fd = notify_descriptor(worker),
	    .state_fd = HANDOVER_FD_STATE,
	    .state_offset = HANDOVER_STATE_OFFSET,
	    .limit = h->config.limit,
	    .user = {.objects = h->config.user_objects,
		     .bytes = h->config.user_size,
		     .waits = h->config.user_waits},
	    .lifetime = (enum core_lifetime)h->config.lifetime,
	    .store = h->config.flags & HANDOVER_STORE,
	    .rootless = h->config.flags & HANDOVER_ROOTLESS,
	    .root_mode = h->config.root_mode,
	    .root_uid = h->config.root_uid,
	    .root_gid = h->config.root_gid,
	    .device_major = h->config.device_major,
	    .device_minor = h->config.device_minor,
	    .listener = {.name_gone = notify_name_gone,
			 .unused = notify_unused,
			 .hold = channel_hold,
			 .drop = channel_drop,
			 .event = object_event,
			 .serves = serves,
			 .has_jobs = has_jobs,
			 .waited = ops_waited,
			 .poll_changed = ops_poll_changed,
			 .context = worker},
	    .bound = bound,
	    .cgroup_fd = cgroup_descriptor(h),
	    .cgroups_only = h->config.jobs == JOBS_MODE_CGROUP,
	};
	int rc;

	if (!bound)
		fatal(h, "cannot start", -ENOMEM);
	config.bound_count = handover_bound(h, bound);
	if (worker->passthrough)
		config.data = (struct core_data_path){.attach = passthrough_attach,
						      .detach = passthrough_detach,
						      .context = &worker->fuse_fd};
	rc = core_create(&config, &worker->core);
	free(bound);
	if (rc < 0)
		fatal(h, "cannot use the backing tree or the state area", rc);
	worker->core_source =
	    (struct loop_source){.fd = core_poll_fd(worker->core), .ready = core_ready};
	rc = loop_add(worker->loop, &worker->core_source, EPOLLIN);
	if (rc < 0)
		fatal(h, "cannot watch the core", rc);
	return true;
}

/* --- control --- */

static void start_control(struct worker *worker)
{
	struct control_config config = {
	    .loop = worker->loop,
	    .core = worker->core,
	    .listen_fd = HANDOVER_FD_CONTROL,
	    .device_major = worker->handover->config.device_major,
	    .device_minor = worker->handover->config.device_minor,
	    .user_connections = worker->handover->config.user_connections,
	    .status = status_text,
	    .upgrade = channel_upgrade,
	    .context = worker,
	};
	int rc = control_create(&config, &worker->control);

	if (rc < 0)
		log_error("no control socket: %s", strerror(-rc));
}

/* --- transport's hooks --- */

static bool mode_is_passthrough(void *context)
{
	return ((struct worker *)context)->passthrough;
}

static void begin_request(void *context, uint64_t unique, bool resent, uint32_t uid, uint32_t pid)
{
	struct core *core = ((struct worker *)context)->core;

	core_request(core, unique, resent);
	core_request_from(core, uid, (pid_t)pid);
}

static void answered_init(void *context)
{
	struct worker *worker = context;

	*(volatile uint32_t *)&worker->handover->live.answered_init = 1;
	start_control(worker);
	channel_ready(worker->handover);
}

static void resumed(void *context)
{
	core_resumed(((struct worker *)context)->core);
}

static void file_system_ended(void *context)
{
	loop_stop(((struct worker *)context)->loop, WORKER_EXIT_UNMOUNTED);
}

/* --- the rest of the world --- */

static void signal_ready(struct loop_source *source, uint32_t events)
{
	struct worker *worker = CONTAINER_OF(source, struct worker, signal_source);

	(void)events;
	loop_stop(worker->loop, WORKER_EXIT_UNMOUNTED);
}

/* Nobody else will notice an umount now. The socket is bound inside the mount and keeps its
 * superblock: let go of it, and /dev/fuse says the end. */
static void mounts_changed(struct loop_source *source, uint32_t events)
{
	struct worker *worker = CONTAINER_OF(source, struct worker, mounts_source);
	const struct handover *h = worker->handover;

	(void)events;
	if (mounts_has_device(source->fd, h->config.device_major, h->config.device_minor))
		return;
	loop_remove(worker->loop, source);
	control_destroy(worker->control);
	worker->control = NULL;
	close(HANDOVER_FD_CONTROL);
}

/* The supervisor is gone: the mount goes on, without a net. */
static void channel_hangup(struct loop_source *source, uint32_t events)
{
	struct worker *worker = CONTAINER_OF(source, struct worker, channel_source);

	if (!(events & (EPOLLHUP | EPOLLERR)))
		return;
	log_warn("the supervisor is gone; serving without it");
	loop_remove(worker->loop, source);
	worker->mounts_source.ready = mounts_changed;
	if (worker->mounts_source.fd >= 0)
		loop_add(worker->loop, &worker->mounts_source, EPOLLPRI);
}

static bool is_alone(const struct worker *worker)
{
	return worker->mounts_source.ready;
}

static int watch_world(struct worker *worker)
{
	sigset_t signals;
	int rc;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN); /* a lease of ours broken in the instant we hold it */
	worker->signal_source = (struct loop_source){
	    .fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), .ready = signal_ready};
	worker->channel_source =
	    (struct loop_source){.fd = HANDOVER_FD_CHANNEL, .ready = channel_hangup};
	if (worker->signal_source.fd < 0)
		return -errno;
	rc = loop_add(worker->loop, &worker->signal_source, EPOLLIN);
	return rc < 0 ? rc : loop_add(worker->loop, &worker->channel_source, EPOLLHUP);
}

static int serve(struct worker *worker)
{
	const struct transport_hooks hooks = {
	    .decide = decide_mode,
	    .passthrough = mode_is_passthrough,
	    .begin = begin_request,
	    .postpone = ops_wait_postpone,
	    .raw = ops_raw,
	    .answered_init = answered_init,
	    .resumed = resumed,
	    .ended = file_system_ended,
	    .context = worker,
	};
	struct handover *h = worker->handover;
	struct transport_area *area = (void *)((char *)h + TRANSPORT_AREA_OFFSET);
	bool answered = h->live.answered_init;
	int rc = transport_create(HANDOVER_FD_FUSE, area, h->config.poll_usec, worker->loop,
				  &ops_table, sizeof ops_table, worker, &hooks, &worker->transport);

	if (rc < 0)
		fatal(h, "cannot use /dev/fuse", rc);
	if (answered) {
		worker->passthrough = h->live.mode == DATA_MODE_PASSTHROUGH;
		start_core(worker);
		start_control(worker);
		channel_ready(worker->handover);
		rc = transport_resume(worker->transport, true);
	} else if (area->init_length) {
		/* Killed between reading INIT and answering it. */
		worker->passthrough = h->live.mode == DATA_MODE_PASSTHROUGH;
		start_core(worker);
		rc = transport_resume(worker->transport, false);
	}
	return rc < 0 ? rc : loop_run(worker->loop);
}

static int version(void)
{
	printf("libfuse %s\n", fuse_pkgversion());
	return 0;
}

/* What has to be the same in a program that takes our place: compared as text. */
static int layout(void)
{
	const size_t handover[] = HANDOVER_LAYOUT;
	const size_t transport[] = {TRANSPORT_AREA_OFFSET, sizeof(struct transport_area),
				    offsetof(struct transport_area, init),
				    offsetof(struct transport_area, request)};

	printf("handover %u %016llx transport %016llx state %016llx\n", HANDOVER_VERSION,
	       (unsigned long long)layout_of(handover, ARRAY_SIZE(handover)),
	       (unsigned long long)layout_of(transport, ARRAY_SIZE(transport)),
	       (unsigned long long)core_state_layout());
	return 0;
}

static void inherit_nothing_further(void)
{
	for (int fd = HANDOVER_FD_FUSE; fd < HANDOVER_FD_END; fd++) {
		/* A number that nothing is behind is taken: see confine_calls.c. */
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			dup3(HANDOVER_FD_STATE, fd, O_CLOEXEC);
	}
	close_range(HANDOVER_FD_END, HANDOVER_FD_FIRST_BOUND - 1, 0);
	/* Owners are set by setfsuid(2); the capabilities that go beyond them stay. */
	prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
}

/* What takes rights or a path is done here. */
static void give_up_rights(struct worker *worker)
{
	struct handover *h = worker->handover;
	char why[sizeof h->live.fatal_reason - 64];

	worker->may_pass_through = passthrough_permitted();
	worker->mounts_source.fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (confine(h, &worker->confinement, why, sizeof why) < 0) {
		snprintf(h->live.fatal_reason, sizeof h->live.fatal_reason,
			 "confine=strict cannot be had: %s", why);
		log_error("%s", h->live.fatal_reason);
		_exit(WORKER_EXIT_FATAL);
	}
}

int main(int argc, char **argv)
{
	struct worker worker = {.fuse_fd = HANDOVER_FD_FUSE};
	int code;

	if (argc > 1 && strcmp(argv[1], "--version") == 0)
		return version();
	crash_open();
	if (argc > 1 && strcmp(argv[1], "--layout") == 0)
		return layout();
	worker.handover = handover_map();
	if (!worker.handover) {
		fprintf(stderr, "mappingfs-worker: started by mappingfs only, not by hand\n");
		return 1;
	}
	log_init("mappingfs", worker.handover->config.flags & HANDOVER_FOREGROUND,
		 worker.handover->config.flags & HANDOVER_DEBUG);
	inherit_nothing_further();
	give_up_rights(&worker);
	if (worker.handover->live.ending) {
		end_jobs(worker.handover);
		return 0;
	}
	worker.loop = loop_create();
	code = worker.loop ? watch_world(&worker) : -ENOMEM;
	if (code == 0)
		code = serve(&worker);
	if (code == WORKER_EXIT_UNMOUNTED && worker.core)
		core_save(worker.core);
	if (code == WORKER_EXIT_UNMOUNTED && is_alone(&worker) && worker.handover->live.has_jobs)
		end_jobs(worker.handover);
	/* The kernel frees the rest; a thread may be stuck in a flush of a dead disk. */
	if (code == WORKER_EXIT_FATAL)
		log_error("%s", worker.handover->live.fatal_reason);
	leave(worker.handover, code < 0 ? 1 : code);
}
