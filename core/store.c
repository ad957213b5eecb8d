/* Taking over a persistent store that an earlier mount left: temporary objects whose last holder
 * was the machine itself go, and what lies in directories with a limit is counted. Memory trees are
 * empty and cost nothing here. */
#include "core/account.h"
#include "core/limit.h"
#include "core/log.h"
#include "core/util.h"
#include "core/walk.h"

#include <string.h>

struct census {
	struct core *core;
	uint32_t account;  /* of what lies in the directory being looked at */
	struct map *links; /* inodes with several names that have been counted */
	struct map *bound; /* bindings that objects refer to */
};

static bool counted_before(struct census *census, const struct stat *st)
{
	uint32_t seen;

	if (st->st_nlink == 1)
		return false;
	return map_get(census->links, st->st_ino, &seen) ||
	       map_put(census->links, st->st_ino, 1) < 0;
}

/* Made for a creation that the end of the machine, or of the mount, interrupted: hidden.c,
 * newborn.c. What somebody opened by such a name is an object like any other. */
static bool is_unfinished(struct core *core, int dirfd, const char *name, const struct stat *st)
{
	uint32_t flags;

	if (strncmp(name, HIDDEN_PREFIX, sizeof HIDDEN_PREFIX - 1) != 0)
		return false;
	if (S_ISDIR(st->st_mode))
		return strcmp(name, HIDDEN_PREFIX "new") == 0;
	return record_flags(core, dirfd, name, &flags) ? flags & SLOT_HIDDEN : st->st_size == 0;
}

static int census_binding(struct census *census, uint64_t id)
{
	struct state_header *h = census->core->state.header;

	if (id >= h->next_binding)
		h->next_binding = id + 1;
	return map_put(census->bound, id, 1);
}

static int census_file(struct census *census, int dirfd, const char *name, const struct stat *st)
{
	struct core *core = census->core;
	struct slot probe = {.flags = SLOT_REGULAR};
	uint64_t bytes;
	int rc;

	record_load(core, &probe, dirfd, name);
	if (probe.flags & SLOT_TEMPORARY) {
		if (unlinkat(dirfd, name, 0) == 0)
			return 0;
		log_warn("store: temporary object %s stays: %m", name);
	}
	if (probe.flags & SLOT_BOUND) {
		rc = census_binding(census, probe.binding);
		if (rc < 0)
			return rc;
	}
	if (!census->account || counted_before(census, st))
		return 0;
	bytes = limit_census_file(core, census->account, dirfd, name, st);
	account_stage_own(core, census->account, bytes, 0);
	state_commit(&core->state);
	return 0;
}

static int census_entry(void *context, int dirfd, const char *name, const struct stat *st)
{
	struct census *census = context, below = *census;
	int rc;

	if ((S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) &&
	    is_unfinished(census->core, dirfd, name, st) &&
	    unlinkat(dirfd, name, S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0) == 0)
		return 0;
	if (S_ISREG(st->st_mode))
		return census_file(census, dirfd, name, st);
	if (!S_ISDIR(st->st_mode))
		return 0;
	rc = limit_census_directory(census->core, census->account, st->st_ino, dirfd, name);
	if (rc < 0)
		return rc;
	below.account = (uint32_t)rc;
	return walk_directory(walk_open(dirfd, name), census_entry, &below);
}

int store_census(struct core *core)
{
	struct slot *root = &core->state.slots[1];
	struct map links = {0}, bound = {0};
	struct census census = {.core = core, .links = &links, .bound = &bound};
	int rc;

	if (!core->persistent)
		return 0;
	/* The socket of a mount that has ended. */
	if (unlinkat(core->tree.base_fd, "tree/" CORE_CONTROL_NAME, 0) < 0 && errno != ENOENT)
		return -errno;
	rc = limit_census_directory(core, 0, root->ino, core->tree.base_fd, "tree");
	if (rc >= 0) {
		census.account = root->account = (uint16_t)rc;
		rc = walk_directory(walk_open(core->tree.base_fd, "tree"), census_entry, &census);
	}
	if (rc == 0)
		rc = remembered_sweep(core, &bound);
	map_finish(&links);
	map_finish(&bound);
	return rc;
}
