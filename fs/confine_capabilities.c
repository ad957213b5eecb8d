#include "fs/confine.h"

#include "core/util.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (1ULL << (capability))

static const uint64_t kept =
    BIT(CAP_SYS_ADMIN) |       /* files as backing of passthrough; trusted.* attributes */
    BIT(CAP_DAC_READ_SEARCH) | /* files of the tree by handle */
    BIT(CAP_DAC_OVERRIDE) |    /* objects are their owners', whose modes are not for us */
    BIT(CAP_CHOWN) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | /* chown, chmod, times, attributes */
    BIT(CAP_SETUID) | BIT(CAP_SETGID) | /* what is made is the caller's; kill as the caller */
    BIT(CAP_LEASE) |                    /* is a file of others in use? */
    BIT(CAP_SYS_PTRACE) |               /* who maps an object: /proc/PID of others */
    BIT(CAP_KILL);                      /* members of jobs */

/* Users' ids come and go without a change of capabilities, and no id brings one back. */
#define SECUREBITS                                                                                 \
	(SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NOROOT |                  \
	 SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

struct capabilities {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
};

static int get(struct capabilities *c)
{
	*c = (struct capabilities){.header.version = _LINUX_CAPABILITY_VERSION_3};
	return neg_errno((int)syscall(SYS_capget, &c->header, c->data));
}

uint64_t confine_effective(void)
{
	struct capabilities c;

	return get(&c) < 0 ? 0 : (uint64_t)c.data[1].effective << 32 | c.data[0].effective;
}

/* Without CAP_SETPCAP there is nothing in it that we could get: exec is forbidden. */
static void drop_bounding(void)
{
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

int confine_capabilities(void)
{
	struct capabilities c;
	int rc = get(&c);

	if (rc < 0)
		return rc;
	prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	drop_bounding();
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		c.data[i].permitted &= (uint32_t)(kept >> (32 * i));
		c.data[i].effective &= (uint32_t)(kept >> (32 * i));
		c.data[i].inheritable = 0;
	}
	return neg_errno((int)syscall(SYS_capset, &c.header, c.data));
}
