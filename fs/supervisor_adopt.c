/* Goes on where a former supervisor stopped, wherever that was. */
#include "core/log.h"
#include "core/util.h"
#include "fs/supervisor.h"

#include <signal.h>
#include <string.h>
#include <syslog.h>

static void take_descriptors(struct supervisor *s)
{
	closelog(); /* its socket may be among those that are closed */
	s->signal_fd = s->mountinfo_fd = s->epoll_fd = -1;
	supervisor_sweep(s);
	log_init("mappingfs", s->foreground || !s->reported, s->debug);
}

static void take_children(struct supervisor *s)
{
	for (int i = 0; i < CHILD_COUNT; i++) {
		enum child_role role = (enum child_role)i;

		if (!supervisor_adopt_child(s, role) && supervisor_child(s, role))
			supervisor_child_gone(s, role);
	}
}

/* Copies for workers may be behind. */
static void publish(struct supervisor *s)
{
	unsigned count = 0;

	for (int i = 0; i < HANDOVER_MAX_BOUND; i++) {
		count += s->bound[i].id != 0;
		s->shared->bound[i].fd = s->bound[i].fd;
		s->shared->bound[i].id = s->bound[i].id;
	}
	s->bound_count = count;
	s->shared->live.worker_pid = supervisor_child(s, CHILD_WORKER);
	s->shared->config.supervisor_pid = getpid();
	supervisor_note_version(s);
}

/* What it said when nobody listened. */
static void hear_worker(struct supervisor *s)
{
	pid_t worker = supervisor_child(s, CHILD_WORKER);

	if (!worker)
		return;
	if (s->channel_fd >= 0)
		supervisor_watch_channel(s);
	else /* it could not be talked to */
		supervisor_signal(s, CHILD_WORKER, SIGKILL);
	supervisor_ask_again(s);
	if (!s->worker_ready && s->shared->live.ready_pid == worker)
		supervisor_dispatch(s, EVENT_READY);
}

static void tell(struct supervisor *s)
{
	s->shared->live.takeovers++;
	log_warn("%s: the supervisor was killed; process %d takes its place", s->mount.point,
		 getpid());
	supervisor_report_successor(s);
}

enum exit_code supervisor_adopt(struct supervisor *s, bool killed)
{
	enum exit_code code;
	int rc;

	take_descriptors(s);
	rc = supervisor_map_shared(s);
	if (rc) {
		log_error("taking over: %s", strerror(-rc));
		return EXIT_CODE_WORKER;
	}
	code = supervisor_loop_init(s);
	if (code)
		return code;
	if (killed)
		tell(s);
	supervisor_begin_generation(s);
	take_children(s);
	publish(s);
	hear_worker(s);
	supervisor_dispatch(s, EVENT_ADOPTED);
	supervisor_check_mount(s);
	if (s->stop_asked)
		supervisor_dispatch(s, EVENT_STOP);
	s->stop_asked = false;
	supervisor_upgrade_resume(s);
	return EXIT_CODE_OK;
}
