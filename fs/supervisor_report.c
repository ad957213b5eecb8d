#include "core/log.h"
#include "core/util.h"
#include "fs/main.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static const char *mode_name(const struct supervisor *s)
{
	return s->shared->live.mode == DATA_MODE_PASSTHROUGH ? "passthrough" : "cached";
}

/* From here on nobody reads our standard error. */
static void leave_terminal(const struct supervisor *s)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDERR_FILENO);
		close(null);
	}
	log_init("mappingfs", false, s->debug);
}

static void tell_launcher(struct supervisor *s, enum exit_code code)
{
	char byte = (char)code;

	if (s->report_fd < 0)
		return;
	if (write(s->report_fd, &byte, 1) != 1)
		log_debug("the launching process is gone");
	supervisor_close(&s->report_fd);
}

void supervisor_report_ready(struct supervisor *s)
{
	log_info("%s: mounted, %s mode", s->mount.point, mode_name(s));
	if (s->foreground)
		sd_notifyf(0, "READY=1\nSTATUS=%s mounted, %s mode (%.255s)", s->mount.point,
			   mode_name(s), s->shared->live.mode_reason);
	else
		leave_terminal(s);
	tell_launcher(s, EXIT_CODE_OK);
	s->reported = true;
}

void supervisor_report_successor(const struct supervisor *s)
{
	if (s->foreground)
		sd_notifyf(0, "MAINPID=%d", getpid());
}

void supervisor_report_stopping(struct supervisor *s)
{
	if (s->foreground)
		sd_notify(0, "STOPPING=1");
}

void supervisor_report_end(struct supervisor *s)
{
	tell_launcher(s, s->code);
}

void supervisor_note_version(struct supervisor *s)
{
	/* Not folded into the code: tests look for it in the program. */
	static const char *volatile version = MAPPINGFS_VERSION;

	snprintf(s->shared->live.supervisor_version, sizeof s->shared->live.supervisor_version,
		 "%s", version);
}
