#include "fs/passthrough.h"

#include "core/log.h"
#include "core/sys.h"
#include "core/util.h"
#include "fs/kernel.h"

#include <stdio.h>
#include <string.h>

static bool initial_user_namespace(void)
{
	unsigned inside, outside, count;
	FILE *map = fopen("/proc/self/uid_map", "re");
	bool initial = false;

	if (!map)
		return false;
	if (fscanf(map, "%u %u %u", &inside, &outside, &count) == 3)
		initial = inside == 0 && outside == 0 && count == UINT32_MAX;
	fclose(map);
	return initial;
}

static bool has_sys_admin(void)
{
	unsigned long long caps = 0;
	char line[256];
	FILE *status = fopen("/proc/self/status", "re");

	if (!status)
		return false;
	while (fgets(line, sizeof line, status))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	fclose(status);
	return caps >> 21 & 1; /* CAP_SYS_ADMIN */
}

bool passthrough_permitted(void)
{
	return has_sys_admin() && initial_user_namespace();
}

int passthrough_attach(void *context, int fd)
{
	struct kernel_backing_map map = {.fd = fd};

	return sys->ioctl(*(int *)context, KERNEL_IOC_BACKING_OPEN, &map);
}

void passthrough_detach(void *context, uint32_t id)
{
	if (ioctl(*(int *)context, KERNEL_IOC_BACKING_CLOSE, &id) < 0 && errno != ENOENT)
		log_warn("backing id %u does not close: %s", id, strerror(errno));
}
