#include "fs/confine.h"

#include "core/log.h"
#include "core/util.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

static void note(char *reason, size_t size, int rc)
{
	snprintf(reason, size, "%s", rc < 0 ? strerror(-rc) : "");
}

static void take_steps(struct handover *h, struct confinement *out)
{
	int rc;

	tzset(); /* the log's clock: its file is read now or never */
	confine_open_log(h->config.flags & HANDOVER_FOREGROUND);
	confine_open_report();
	rc = confine_root();
	out->root = rc == 0;
	note(out->root_reason, sizeof out->root_reason, rc);

	rc = confine_capabilities();
	note(out->capabilities_reason, sizeof out->capabilities_reason, rc);

	out->no_new_privs = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;

	rc = confine_violations(h);
	if (rc == 0)
		rc = confine_filter(&out->calls);
	note(out->calls_reason, sizeof out->calls_reason, rc);
}

/* What is missing, in one line; false: nothing is. */
static bool missing(const struct confinement *c, char *out, size_t size)
{
	const struct {
		const char *what, *reason;
	} steps[] = {
	    {"the machine's files stay in reach", c->root_reason},
	    {"capabilities stay", c->capabilities_reason},
	    {"system calls are not filtered", c->calls_reason},
	};
	size_t length = 0;

	out[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i].reason[0] && length < size)
			length +=
			    (size_t)snprintf(out + length, size - length, "%s%s (%s)",
					     length ? "; " : "", steps[i].what, steps[i].reason);
	}
	return length;
}

int confine(struct handover *h, struct confinement *out, char *why, size_t size)
{
	*out = (struct confinement){.capabilities = confine_effective()};
	if (h->config.confine == CONFINE_OFF) {
		out->no_new_privs = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
		return 0;
	}
	take_steps(h, out);
	out->capabilities = confine_effective();
	if (!missing(out, why, size))
		return 0;
	if (h->config.confine == CONFINE_STRICT)
		return -EPERM;
	if (!h->live.confine_said)
		log_info("the worker is confined but for this: %s", why);
	h->live.confine_said = 1;
	return 0;
}
