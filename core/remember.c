/* What a store remembers of its bindings: see bindfile.h. Who opens the files again is the one who
 * starts us. */
#include "core/bindfile.h"
#include "core/internal.h"
#include "core/log.h"
#include "core/util.h"
#include "core/walk.h"

#include <stdio.h>
#include <string.h>

static int open_directory(struct core *core)
{
	return neg_errno(openat(core->tree.base_fd, BINDFILE_DIRECTORY,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

int remember_binding(struct core *core, uint64_t id, int fd, bool read_only)
{
	AUTO_FREE struct bindfile *file = malloc(sizeof *file);
	AUTO_CLOSE int directory = -1;
	int rc = file ? 0 : -ENOMEM;

	if (!core->persistent)
		return 0;
	durable_store_changed(core);
	directory = open_directory(core);
	if (rc == 0)
		rc = directory < 0 ? directory : bindfile_of(fd, read_only, file);
	if (rc == 0)
		rc = path_of_fd(fd, file->path, sizeof file->path);
	return rc < 0 ? rc : bindfile_write(directory, id, file);
}

void forget_binding(struct core *core, uint64_t id)
{
	AUTO_CLOSE int directory = core->persistent ? open_directory(core) : -1;
	int rc = directory < 0 ? 0 : bindfile_remove(directory, id);

	if (rc < 0 && rc != -ENOENT)
		log_warn("store: a binding that is over stays noted: %s", strerror(-rc));
}

int remembered_path(struct core *core, uint64_t id, char *path, size_t size)
{
	AUTO_FREE struct bindfile *file = malloc(sizeof *file);
	AUTO_CLOSE int directory = core->persistent ? open_directory(core) : -ENOENT;
	int rc = directory < 0 ? directory : file ? bindfile_read(directory, id, file) : -ENOMEM;

	if (rc == 0)
		snprintf(path, size, "%s", file->path);
	return rc;
}

/* What no object refers to goes. Ids go on after the highest there is. */
struct sweep {
	struct core *core;
	const struct map *wanted;
};

static int sweep_entry(void *context, int dirfd, const char *name, const struct stat *st)
{
	const struct sweep *sweep = context;
	struct state_header *h = sweep->core->state.header;
	uint64_t id = bindfile_id(name);
	uint32_t unused;

	(void)st;
	if (id >= h->next_binding)
		h->next_binding = id + 1;
	if (id && !map_get(sweep->wanted, id, &unused))
		bindfile_remove(dirfd, id);
	return 0;
}

int remembered_sweep(struct core *core, const struct map *wanted)
{
	struct sweep sweep = {.core = core, .wanted = wanted};

	if (mkdirat(core->tree.base_fd, BINDFILE_DIRECTORY, 0700) < 0 && errno != EEXIST)
		return -errno;
	return walk_directory(open_directory(core), sweep_entry, &sweep);
}
