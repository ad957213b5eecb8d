/* systemd's store of descriptors: what is put there outlives all our processes, and a service that
 * is begun again finds it. One name a descriptor; a bound file's is that of its slot.
 *
 * Where there is a store, there is no standby: systemd ends a service whose main process ended, and
 * begins it again. */
#include "core/log.h"
#include "core/util.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static const struct kept {
	const char *name;
	size_t offset; /* of the field with the descriptor */
} kept[] = {
    {"record", offsetof(struct supervisor, record_fd)},
    {"state", offsetof(struct supervisor, state_fd)},
    {"fuse", offsetof(struct supervisor, mount.fuse_fd)},
    {"tree", offsetof(struct supervisor, backing.tree_fd)},
    {"detached", offsetof(struct supervisor, backing.detached_fd)},
    {"private", offsetof(struct supervisor, backing.private_fd)},
    {"notify", offsetof(struct supervisor, notify_fd)},
    {"control", offsetof(struct supervisor, control_fd)},
    {"silent", offsetof(struct supervisor, silent_fd)},
    {"cgroup", offsetof(struct supervisor, cgroup_fd)},
};

static int *field(struct supervisor *s, const struct kept *k)
{
	return (int *)(void *)((char *)s + k->offset);
}

/* FDPOLL=0 (systemd 246): else it lets go of what polls as hung up, as a socket does that does not
 * listen yet. */
static void put(const char *name, int fd)
{
	char text[64];

	snprintf(text, sizeof text, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	if (fd >= 0 && sd_pid_notify_with_fds(0, 0, text, &fd, 1) < 0)
		log_warn("systemd does not keep \"%s\"", name);
}

static void take_back(const char *name)
{
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void supervisor_fdstore_begin(struct supervisor *s)
{
	s->fdstore = s->foreground && getenv("NOTIFY_SOCKET") && getenv("FDSTORE");
	if (!s->fdstore)
		return;
	s->standby = -1;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		put(kept[i].name, *field(s, &kept[i]));
}

/* The socket pins the mount as long as anybody has it. */
void supervisor_fdstore_control(struct supervisor *s)
{
	if (!s->fdstore)
		return;
	take_back("control");
	take_back("silent");
	put("control", s->control_fd);
	put("silent", s->silent_fd);
}

static const char *slot_name(int slot, char name[16])
{
	snprintf(name, 16, "b%x", slot);
	return name;
}

void supervisor_fdstore_bound(struct supervisor *s, int slot)
{
	char name[16];

	if (!s->fdstore)
		return;
	if (s->bound[slot].fd >= 0)
		put(slot_name(slot, name), s->bound[slot].fd);
	else
		take_back(slot_name(slot, name));
}

void supervisor_fdstore_end(struct supervisor *s)
{
	if (!s->fdstore)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		take_back(kept[i].name);
	for (int i = 0; i < HANDOVER_MAX_BOUND; i++) {
		char name[16];

		if (s->bound[i].id)
			take_back(slot_name(i, name));
	}
}

/* --- begun again --- */

static int find(char **names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return SD_LISTEN_FDS_START + i;
	return -1;
}

/* Numbers are new, and what is of a process is gone. */
static void renumber(struct supervisor *s, char **names, int count)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		*field(s, &kept[i]) = find(names, count, kept[i].name);
	for (int i = 0; i < CHILD_COUNT; i++)
		s->children[i].fd = -1;
	s->exec_fd = s->channel_fd = s->report_fd = s->self_fd = -1;
	s->upgrade.words_fd = s->upgrade.former_exec_fd = -1;
	for (int i = 0; i < HANDOVER_MAX_BOUND; i++)
		s->bound[i].fd = -1;
	for (int i = 0; i < count; i++) {
		unsigned slot;

		if (sscanf(names[i], "b%x", &slot) != 1 || slot >= HANDOVER_MAX_BOUND)
			continue;
		if (s->bound[slot].id)
			s->bound[slot].fd = fcntl(SD_LISTEN_FDS_START + i, F_DUPFD_CLOEXEC,
						  HANDOVER_FD_FIRST_BOUND);
		else
			take_back(names[i]); /* its end was not told */
	}
	for (int i = 0; i < HANDOVER_MAX_BOUND; i++)
		if (s->bound[i].fd < 0)
			s->bound[i].id = 0;
}

static bool is_complete(const struct supervisor *s)
{
	return s->state_fd >= 0 && s->mount.fuse_fd >= 0 && s->backing.tree_fd >= 0 &&
	       !s->finished && s->state != STATE_ENDED;
}

static void give_back_all(char **names, int count)
{
	log_warn("what systemd kept is of another version, or not complete; beginning anew");
	for (int i = 0; i < count; i++) {
		take_back(names[i]);
		close(SD_LISTEN_FDS_START + i);
	}
}

static void free_names(char **names)
{
	for (char **name = names; name && *name; name++)
		free(*name);
	free(names);
}

struct supervisor *supervisor_fdstore_find(void)
{
	struct supervisor *s = NULL;
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names), record;

	if (count <= 0)
		return NULL;
	record = find(names, count, "record");
	if (record >= 0)
		s = supervisor_record_map(record);
	if (s)
		renumber(s, names, count);
	if (!s || !is_complete(s)) {
		give_back_all(names, count);
		s = NULL;
	}
	free_names(names);
	return s;
}

enum exit_code supervisor_begin_again(struct supervisor *s, const struct options *options)
{
	supervisor_raise_fd_limit();
	s->foreground = options->foreground;
	s->debug = options->debug;
	s->upgrade.phase = PHASE_NONE;
	s->reported = false;
	s->standby = -1;
	s->exec_fd = supervisor_find_worker();
	s->code = s->exec_fd < 0 || supervisor_map_shared(s) ? EXIT_CODE_WORKER : EXIT_CODE_OK;
	if (!s->code)
		s->code = supervisor_adopt(s, true);
	if (!s->code)
		supervisor_loop(s);
	return supervisor_end(s);
}
