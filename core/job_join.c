/* A process becomes a member of a job.
 *
 * A cgroup is outside of the state area, so the entry says MEMBER_MAKING before there is one: who
 * takes over knows where it would be and what it would be called. */
#include "core/job.h"
#include "core/log.h"
#include "core/util.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_BEGIN "mappingfs-"

/* Never given twice: no other mount has this state area, and no entry has a serial again. */
void job_cgroup_name(int state_fd, uint32_t index, const struct job_member *member,
		     char name[CGROUP_NAME_MAX])
{
	struct stat st = {0};

	fstat(state_fd, &st);
	snprintf(name, CGROUP_NAME_MAX, NAME_BEGIN "%llx-%llu-%u-%u", (unsigned long long)st.st_ino,
		 (unsigned long long)member->ino, index, member->serial);
}

static void become_alive(struct job_member *member, uint64_t node)
{
	atomic_signal_fence(memory_order_seq_cst);
	*(volatile uint64_t *)&member->node = node;
	atomic_signal_fence(memory_order_seq_cst);
}

static void stage_one_more(struct core *core, struct slot *slot)
{
	STAGE(&core->state, slot->wait.maximum, slot->wait.maximum + 1);
	STAGE(&core->state, slot->wait.value, 0);
}

/* --- by cgroup --- */

struct find {
	uint64_t id, parent;
	uint32_t index; /* 0: none */
};

static void compare_member(struct core *core, uint32_t index, void *context)
{
	const struct job_member *member = &core->state.members[index];
	struct find *find = context;

	if (member->pid || (member->state & MEMBER_MAKING))
		return;
	if (member->id == find->id || member->parent == find->parent)
		find->index = index;
}

/* The cgroup with this id, or the one below the cgroup `parent`; 0 is none of them. */
static uint32_t find_cgroup(struct core *core, const struct slot *slot, uint64_t id,
			    uint64_t parent)
{
	struct find find = {.id = id ? id : UINT64_MAX, .parent = parent ? parent : UINT64_MAX};

	members_each(core, state_node(&core->state, slot), compare_member, &find);
	return find.index;
}

/* Is one of the cgroups above a process this job's? */
static bool is_below(struct core *core, const struct slot *slot, const char *path)
{
	char part[PATH_MAX];

	for (const char *at = strstr(path, "/" NAME_BEGIN); at;
	     at = strstr(at + 1, "/" NAME_BEGIN)) {
		size_t length = (size_t)(at - path) + 1 + strcspn(at + 1, "/");
		AUTO_CLOSE int fd = -1;
		uint64_t id;

		memcpy(part, path, length);
		part[length] = '\0';
		fd = cgroup_open_path(core->config.cgroup_fd, part);
		if (fd >= 0 && cgroup_id(fd, &id) == 0 && find_cgroup(core, slot, id, 0))
			return true;
	}
	return false;
}

/* The number was the process' all the time if that has not been reaped now; else a stranger may
 * have got it, and goes back. */
static int move_checked(int cgroup, int parent, pid_t pid, int pidfd)
{
	int rc = cgroup_move(cgroup, pid);

	if (rc == 0 && pidfd_signal(pidfd, 0) == -ESRCH) {
		cgroup_move(parent, pid);
		rc = -ESRCH;
	}
	return rc;
}

/* Into the one that is there. */
static int join_known(struct core *core, struct slot *slot, uint32_t index, int parent, pid_t pid,
		      int pidfd)
{
	AUTO_CLOSE int cgroup = cgroup_open(core->config.cgroup_fd, core->state.members[index].id);
	int rc = cgroup < 0 ? cgroup : move_checked(cgroup, parent, pid, pidfd);

	if (rc == 0)
		STAGE(&core->state, slot->wait.value, 0);
	return rc;
}

/* The new cgroup, owned; undone on failure but for the entry. */
static int make_and_move(struct core *core, uint32_t index, int parent, pid_t pid, int pidfd)
{
	struct job_member *member = &core->state.members[index];
	AUTO_CLOSE int cgroup = -1;
	char name[CGROUP_NAME_MAX];
	int rc;

	job_cgroup_name(core->config.state_fd, index, member, name);
	cgroup = cgroup_make(parent, name);
	if (cgroup < 0)
		return cgroup;
	rc = move_checked(cgroup, parent, pid, pidfd);
	if (rc < 0) {
		cgroup_remove(cgroup, true);
		return rc;
	}
	return steal_fd(&cgroup);
}

/* Stages that the entry is a member now; its cgroup lives. */
static int stage_made(struct core *core, uint32_t index, int cgroup)
{
	struct job_member *member = &core->state.members[index];
	struct slot *slot = state_slot(&core->state, member->node);
	int events = cgroup_events(cgroup), rc;
	uint64_t id;

	if (events < 0)
		return events;
	rc = cgroup_id(cgroup, &id);
	if (rc < 0) {
		close(events);
		return rc;
	}
	/* From here on every change of it is told. */
	rc = member_watch(core, index, events);
	if (rc < 0)
		return rc;
	if (!cgroup_populated(events))
		return -ESRCH;
	STAGE(&core->state, member->id, id);
	STAGE(&core->state, member->state, member->state & ~(uint32_t)MEMBER_MAKING);
	if (slot)
		stage_one_more(core, slot);
	return 0;
}

static int join_new(struct core *core, struct slot *slot, uint64_t parent_id, int parent, pid_t pid,
		    int pidfd)
{
	uint32_t index = member_take(core);
	struct job_member *member = &core->state.members[index];
	AUTO_CLOSE int cgroup = -1;
	int rc;

	if (!index)
		return -ENOSPC;
	*member = (struct job_member){.ino = slot->ino,
				      .parent = parent_id,
				      .state = MEMBER_MAKING,
				      .serial = member->serial + 1};
	become_alive(member, state_node(&core->state, slot));
	cgroup = make_and_move(core, index, parent, pid, pidfd);
	rc = cgroup < 0 ? cgroup : stage_made(core, index, cgroup);
	if (rc < 0) {
		if (cgroup >= 0) {
			cgroup_evacuate(cgroup);
			cgroup_remove(cgroup, true);
		}
		member_drop(core, index);
	}
	return rc;
}

static int join_cgroup(struct core *core, struct slot *slot, pid_t pid, int pidfd)
{
	AUTO_CLOSE int parent = -1;
	char path[PATH_MAX];
	uint64_t id;
	uint32_t index;
	int rc = cgroup_path(pid, path);

	if (rc < 0)
		return rc;
	if (is_below(core, slot, path))
		return pidfd_signal(pidfd, 0) == -ESRCH ? -ESRCH : 0;
	parent = cgroup_open_path(core->config.cgroup_fd, path);
	rc = parent < 0 ? parent : cgroup_id(parent, &id);
	if (rc < 0)
		return rc;
	index = find_cgroup(core, slot, 0, id);
	/* A cgroup that was removed behind our back is replaced. */
	rc = index ? join_known(core, slot, index, parent, pid, pidfd) : -ESTALE;
	return rc == -ESTALE || rc == -ENODEV ? join_new(core, slot, id, parent, pid, pidfd) : rc;
}

void job_join_finish(struct core *core, uint32_t index)
{
	const struct job_member *member = &core->state.members[index];
	AUTO_CLOSE int parent = cgroup_open(core->config.cgroup_fd, member->parent);
	AUTO_CLOSE int cgroup = -1;
	char name[CGROUP_NAME_MAX];
	int rc;

	job_cgroup_name(core->config.state_fd, index, member, name);
	if (parent >= 0)
		cgroup = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	rc = cgroup < 0 ? -ESRCH : stage_made(core, index, cgroup);
	if (rc == 0) {
		state_commit(&core->state);
		return;
	}
	if (cgroup >= 0) {
		cgroup_evacuate(cgroup);
		cgroup_remove(cgroup, true);
	}
	member_drop(core, index);
}

/* --- by process --- */

struct same {
	pid_t pid;
	uint64_t id;
	bool found;
};

static void compare_process(struct core *core, uint32_t index, void *context)
{
	const struct job_member *member = &core->state.members[index];
	struct same *same = context;

	if ((pid_t)member->pid == same->pid && member->id == same->id)
		same->found = true;
}

static int join_process(struct core *core, struct slot *slot, pid_t pid, int pidfd)
{
	struct same same = {.pid = pid};
	uint64_t node = state_node(&core->state, slot);
	struct job_member *member;
	uint32_t index;
	int fd, rc = process_identity(pid, pidfd, &same.id);

	if (rc < 0)
		return rc;
	members_each(core, node, compare_process, &same);
	if (same.found)
		return 0;
	index = member_take(core);
	if (!index)
		return -ENOSPC;
	member = &core->state.members[index];
	*member = (struct job_member){
	    .ino = slot->ino, .id = same.id, .pid = (uint32_t)pid, .serial = member->serial};
	fd = fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
	rc = fd < 0 ? -errno : member_watch(core, index, fd);
	if (rc < 0)
		return rc;
	STAGE(&core->state, member->node, node);
	stage_one_more(core, slot);
	return 0;
}

int job_join(struct core *core, struct slot *slot, pid_t pid, int pidfd)
{
	int rc = -EOPNOTSUPP;

	if (core->config.cgroup_fd > 0) {
		rc = join_cgroup(core, slot, pid, pidfd);
		if (rc >= 0 || rc == -ESRCH || rc == -ENOSPC)
			return rc;
		log_debug("process %d gets no cgroup of a job: %s", pid, strerror(-rc));
	}
	return core->config.cgroups_only ? rc : join_process(core, slot, pid, pidfd);
}
