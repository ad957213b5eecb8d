#include "core/account.h"
#include "core/crash.h"
#include "core/job.h"
#include "core/log.h"
#include "core/sys.h"
#include "core/user.h"
#include "core/util.h"
#include "core/wait.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#define KEPT_OPEN 8 /* one call uses no more at a time */

static int watch_input(struct core *core, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	return fd < 0 ? 0 : sys->epoll_ctl(core->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* What is kept open for speed can go, but for what may be in use right now. */
static bool relieve(struct tree *tree)
{
	struct core *core = CONTAINER_OF(tree, struct core, tree);
	bool files = fdcache_shrink(&core->files, KEPT_OPEN);
	bool directories = fdcache_shrink(&tree->directories, KEPT_OPEN);
	bool probes = lastview_shrink(core);

	if (!core->descriptors_lacking)
		log_warn("no descriptors left: none is kept open any more than needed. "
			 "RLIMIT_NOFILE, or fs.file-max, is too small for what is in use");
	core->descriptors_lacking = true;
	return files || directories || probes;
}

/* What is kept open for speed leaves most of the descriptors to what needs them. */
static void limit_kept(struct core *core)
{
	struct rlimit limit;
	rlim_t most = FDCACHE_CAPACITY;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 8 < most)
		most = limit.rlim_cur / 8 > 2 * KEPT_OPEN ? limit.rlim_cur / 8 : 2 * KEPT_OPEN;
	core->files.limit = core->tree.directories.limit = (uint16_t)most;
}

static int open_inputs(struct core *core)
{
	int rc;

	core->jobs = jobs_create();
	core->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!core->jobs || core->epoll_fd < 0)
		return -errno;
	rc = timers_init(&core->timers);
	if (rc == 0)
		rc = watch_input(core, jobs_poll_fd(core->jobs));
	if (rc == 0)
		rc = watch_input(core, core->timers.fd);
	if (rc == 0)
		rc = watch_input(core, core->config.notify_fd);
	return rc;
}

static int open_root(struct core *core)
{
	struct slot *root = &core->state.slots[1];
	struct stat st;
	int fd;

	root->flags = SLOT_DIRECTORY;
	root->lookups = 1;
	fd = openat(core->tree.base_fd, "tree", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		close(fd);
		return -errno;
	}
	root->ino = st.st_ino;
	if (map_put(&core->by_ino, st.st_ino, 1) < 0) {
		close(fd);
		return -ENOMEM;
	}
	return fdcache_put(&core->tree.directories, 1, fd) < 0 ? -ENOMEM : 0;
}

static int dress_root(struct core *core)
{
	const struct core_config *c = &core->config;
	struct tree_path path = tree_fd_path(tree_directory(&core->tree, &core->state.slots[1]));

	if (!c->rootless && chown(path.text, c->root_uid, c->root_gid) < 0)
		return -errno;
	return neg_errno(chmod(path.text, c->root_mode));
}

static int adopt_bindings(struct core *core)
{
	for (size_t i = 0; i < core->config.bound_count; i++) {
		int rc = map_put(&core->bindings, core->config.bound[i].id,
				 (uint32_t)core->config.bound[i].fd);
		if (rc < 0)
			return rc;
	}
	core->config.bound = NULL;
	return 0;
}

static bool backs_a_slot(struct core *core, uint32_t id)
{
	for (uint32_t i = 2; i < core->state.header->high; i++)
		if (core->state.slots[i].backing_id == id)
			return true;
	return false;
}

/* An attach may have given us an id that we did not live to write down. Ids are given in ascending
 * order, so it can only be the one after the newest we know (fs/fuse/backing.c: idr_alloc_cyclic);
 * or later by one for each worker that died like this since. Or we knew it, and had no time to say
 * whose it is. */
static void recover_attach(struct core *core)
{
	const struct core_data_path *data = &core->config.data;
	struct state_header *h = core->state.header;
	uint32_t last = (uint32_t)h->last_backing_id;

	if (!h->attaching || !data->detach)
		return;
	if (last && !backs_a_slot(core, last))
		data->detach(data->context, last);
	h->attaches_lost++;
	for (uint32_t i = 1; i <= h->attaches_lost; i++)
		data->detach(data->context, last + i);
	h->attaching = 0;
}

/* Closing an id twice is harmless; one that its slot still has was not to be closed yet. */
static void recover_detach(struct core *core)
{
	const struct core_data_path *data = &core->config.data;
	struct state_header *h = core->state.header;

	if (!h->detaching || !data->detach)
		return;
	if (!backs_a_slot(core, h->detaching))
		data->detach(data->context, h->detaching);
	*(volatile uint32_t *)&h->detaching = 0;
}

/* The tree of a persistent store may hold objects already. */
static int first_start(struct core *core)
{
	int rc;

	record_load(core, &core->state.slots[1], core->tree.base_fd, "tree");
	/* What the mount before this one did may be in the kernel's memory still. */
	core->state.header->unsynced_all = core->persistent;
	rc = dress_root(core);
	if (rc == 0)
		rc = tree_orphan_sweep(&core->tree, NULL, NULL);
	if (rc == 0)
		rc = store_census(core);
	if (rc == 0 && core->persistent)
		users_recount(core);
	if (rc == 0)
		state_set_ready(&core->state);
	return rc;
}

static int later_start(struct core *core)
{
	state_save_in_hand(&core->state);
	users_resume(core);
	recover_attach(core);
	recover_detach(core);
	binding_recover(core);
	wait_gather(core);
	int rc = members_resume(core);
	if (rc == 0)
		rc = slots_rebuild(core);
	if (rc == 0) {
		accounts_resume(core);
		lastview_resume(core);
		flush_resume(core);
	}
	return rc;
}

static bool is_memory(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && fs.f_type == 0x01021994; /* TMPFS_MAGIC */
}

uint64_t core_state_layout(void)
{
	return state_layout();
}

int core_create(const struct core_config *config, struct core **out)
{
	struct core *core = calloc(1, sizeof *core);
	int rc;

	if (!core)
		return -ENOMEM;
	core->config = *config;
	core->epoll_fd = core->clock_fd = core->timers.fd = core->tree.orphans_fd = -1;
	core->persistent = config->store || !is_memory(config->tree_fd);
	fdcache_init(&core->files);
	flush_init(core);
	lastview_init(core);
	rc = wait_init(core);
	if (rc == 0)
		rc = open_inputs(core);
	if (rc == 0)
		rc = adopt_bindings(core);
	if (rc == 0)
		rc = state_open(&core->state, config->state_fd, config->state_offset);
	if (rc == 0)
		rc = accounts_open(core);
	if (rc == 0)
		rc = users_open(core);
	if (rc == 0)
		rc = tree_open(&core->tree, config->tree_fd, &core->state, !config->rootless);
	core->tree.relieve = relieve;
	limit_kept(core);
	if (rc == 0)
		rc = open_root(core);
	if (rc == 0)
		rc = core->state.fresh ? first_start(core) : later_start(core);
	if (rc < 0) {
		core_destroy(core);
		return rc;
	}
	*out = core;
	return 0;
}

void core_destroy(struct core *core)
{
	if (!core)
		return;
	jobs_destroy(core->jobs);
	wait_finish(core);
	members_finish(core);
	lastview_finish(core);
	flush_finish(core);
	timers_finish(&core->timers);
	fdcache_finish(&core->files);
	if (core->state.header)
		tree_close(&core->tree);
	binding_finish(core);
	accounts_finish(core);
	users_finish(core);
	map_finish(&core->by_ino);
	map_finish(&core->by_watch);
	map_finish(&core->flushes);
	free(core->free_slots);
	state_close(&core->state);
	if (core->clock_fd >= 0)
		close(core->clock_fd);
	if (core->epoll_fd >= 0)
		close(core->epoll_fd);
	free(core);
}

int core_poll_fd(struct core *core)
{
	return core->epoll_fd;
}

void core_dispatch(struct core *core)
{
	struct epoll_event events[4];
	int count = epoll_wait(core->epoll_fd, events, ARRAY_SIZE(events), 0);

	core->record = NULL;
	for (int i = 0; i < count; i++) {
		if (events[i].data.fd == core->timers.fd)
			timers_dispatch(&core->timers);
		else if (events[i].data.fd == core->config.notify_fd)
			lastview_dispatch(core);
		else if (events[i].data.fd == core->clock_fd)
			wait_clock_was_set(core);
		else if (events[i].data.fd == members_poll_fd(core))
			members_dispatch(core);
		else
			jobs_dispatch(core->jobs);
	}
}

void core_request_from(struct core *core, uid_t uid, pid_t pid)
{
	core->request_uid = uid;
	core->request_pid = pid;
}

static void begin_record(struct core *core, uint64_t unique)
{
	struct request_record *record = state_record(&core->state, unique);

	core->record = record;
	record->phase = RECORD_NONE;
	atomic_signal_fence(memory_order_seq_cst);
	CRASH_POINT("record: emptied");
	record->unique = unique;
	record->before = 0;
	core->state.header->counting = 0;
	atomic_signal_fence(memory_order_seq_cst);
	record->phase = RECORD_STARTED;
	atomic_signal_fence(memory_order_seq_cst);
	CRASH_POINT("record: begun");
	*(volatile uint64_t *)&core->state.header->in_hand = unique;
}

void core_request(struct core *core, uint64_t unique, bool resent)
{
	struct request_record *record = resent ? state_saved(&core->state, unique) : NULL;

	core->forget_index = 0;
	core->users->going.user = 0;
	core->resent = resent;
	core->resent_done = record && record->phase == RECORD_DONE;
	core->resent_started = record && !core->resent_done;
	core->record = record;
	if (!record)
		begin_record(core, unique);
}

bool core_replayed(struct core *core, int *error, uint64_t *node)
{
	if (!core->record || !core->resent_done)
		return false;
	*error = core->record->error;
	if (node)
		*node = core->record->node;
	return true;
}

void core_stage_done(struct core *core, int error, uint64_t node)
{
	if (!core->record)
		return;
	STAGE(&core->state, core->record->node, node);
	STAGE(&core->state, core->record->error, (uint32_t)error);
	STAGE(&core->state, core->record->phase, RECORD_DONE);
}

int core_finish(struct core *core, int error)
{
	core_stage_done(core, error, 0);
	state_commit(&core->state);
	return error;
}

struct jobs *core_jobs(struct core *core)
{
	return core->jobs;
}

int core_inode_number(struct core *core, uint64_t node, ino_t *out)
{
	struct slot *slot = slot_get(core, node);

	if (!slot || (slot->flags & SLOT_DEAD))
		return -ESTALE;
	*out = slot->ino;
	return 0;
}

int core_node_of(struct core *core, ino_t ino, uint64_t *node)
{
	struct slot *slot = slot_by_ino(core, ino);

	if (!slot)
		return -ESTALE;
	*node = state_node(&core->state, slot);
	return 0;
}

int core_owner(struct core *core, uint64_t node, uid_t *out)
{
	struct slot *slot = slot_get(core, node);
	struct stat st;
	int rc = slot ? tree_stat(&core->tree, slot, &st) : -ESTALE;

	if (rc == 0)
		*out = st.st_uid;
	return rc;
}

void core_usage(struct core *core, struct core_usage *out)
{
	const struct state_header *h = core->state.header;
	struct statfs fs;

	*out = (struct core_usage){
	    .limit = core->config.limit,
	    .objects_known = core->known,
	    .handles = core->handles,
	    .flushes = h->flushes,
	    .flush_failures = h->flush_failures,
	    .flushes_failing = core->failing,
	    .bound = core->bindings.count,
	    .overflows = core->overflows,
	    .leases_refused = core->leases_broken,
	    .watches_lacking = core->watches_lacking,
	    .descriptors_lacking = core->descriptors_lacking,
	};
	if (fstatfs(core->tree.base_fd, &fs) == 0)
		out->committed = (uint64_t)(fs.f_blocks - fs.f_bfree) * (uint64_t)fs.f_bsize;
}
