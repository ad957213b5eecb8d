#include "fs/worker_handover.h"

#include "core/log.h"
#include "core/util.h"

#include <fcntl.h>
#include <sys/mman.h>

struct handover *handover_map(void)
{
	struct handover *h = mmap(NULL, HANDOVER_STATE_OFFSET, PROT_READ | PROT_WRITE, MAP_SHARED,
				  HANDOVER_FD_STATE, 0);

	if (h == MAP_FAILED || h->magic != HANDOVER_MAGIC || h->version != HANDOVER_VERSION)
		return NULL;
	handover_mend(h);
	return h;
}

static void end_text(char *text, size_t size)
{
	if (!memchr(text, '\0', size))
		text[size - 1] = '\0';
}

static void limit(uint32_t *value, uint32_t count)
{
	if (*value >= count)
		*value = 0;
}

void handover_mend(struct handover *h)
{
	end_text(h->config.mountpoint, sizeof h->config.mountpoint);
	end_text(h->config.source, sizeof h->config.source);
	end_text(h->config.store, sizeof h->config.store);
	end_text(h->live.upgrade_text, sizeof h->live.upgrade_text);
	end_text(h->live.supervisor_version, sizeof h->live.supervisor_version);
	end_text(h->live.mode_reason, sizeof h->live.mode_reason);
	end_text(h->live.fatal_reason, sizeof h->live.fatal_reason);
	limit(&h->config.data_mode, DATA_MODE_CACHED + 1);
	limit(&h->config.lifetime, DEFAULT_LIFETIME_HANDLE + 1);
	limit(&h->config.jobs, JOBS_MODE_PIDFD + 1);
	limit(&h->config.confine, CONFINE_STRICT + 1);
}

/* What came by exec(2) is not close-on-exec; what we opened ourselves is, and what was taken
 * before.
 */
static bool take_inherited(int fd)
{
	int flags = fd < HANDOVER_FD_FIRST_BOUND ? -1 : fcntl(fd, F_GETFD);

	return flags >= 0 && !(flags & FD_CLOEXEC) && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

size_t handover_bound(const struct handover *h, struct core_bound_fd *out)
{
	size_t count = 0, wrong = 0;

	for (size_t i = 0; i < HANDOVER_MAX_BOUND; i++) {
		const struct core_bound_fd bound = {.id = h->bound[i].id, .fd = h->bound[i].fd};

		if (!bound.id)
			continue;
		if (take_inherited(bound.fd))
			out[count++] = bound;
		else
			wrong++;
	}
	if (wrong)
		log_error("%zu bound files were not handed over", wrong);
	return count;
}
