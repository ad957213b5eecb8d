#include "fs/confine.h"

#include "core/util.h"

#include <linux/capability.h>

/* Those a worker may keep; of others, which it has with confine=off, the number. */
static const char *const names[] = {
    [CAP_CHOWN] = "chown",
    [CAP_DAC_OVERRIDE] = "dac_override",
    [CAP_DAC_READ_SEARCH] = "dac_read_search",
    [CAP_FOWNER] = "fowner",
    [CAP_FSETID] = "fsetid",
    [CAP_KILL] = "kill",
    [CAP_SETGID] = "setgid",
    [CAP_SETUID] = "setuid",
    [CAP_SYS_PTRACE] = "sys_ptrace",
    [CAP_SYS_ADMIN] = "sys_admin",
    [CAP_LEASE] = "lease",
};

static const char *const modes[] = {
    [CONFINE_AUTO] = "auto",
    [CONFINE_OFF] = "off",
    [CONFINE_STRICT] = "strict",
};

static json_t *list_capabilities(uint64_t set)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < 64; i++) {
		if (!(set >> i & 1))
			continue;
		json_array_append_new(list, i < ARRAY_SIZE(names) && names[i]
						? json_string(names[i])
						: json_sprintf("%u", i));
	}
	return list;
}

static const char *root_text(const struct confinement *c)
{
	return c->root ? "/proc, read-only" : "the machine's";
}

json_t *confine_status(const struct handover *h, const struct confinement *c)
{
	const char *mode = h->config.confine < ARRAY_SIZE(modes) ? modes[h->config.confine] : "?";
	uint64_t violations = h->live.violations;

	return json_pack("{s:s s:s s:s s:o s:s s:b s:i s:s s:I s:s}", "mode", mode, "root",
			 root_text(c), "root_reason", c->root_reason, "capabilities",
			 list_capabilities(c->capabilities), "capabilities_reason",
			 c->capabilities_reason, "no_new_privs", c->no_new_privs, "calls_allowed",
			 (int)c->calls, "calls_reason", c->calls_reason, "calls_refused",
			 (json_int_t)violations, "last_refused",
			 violations ? confine_call_name(h->live.violation_call) : "");
}
