#include "tests/fuzz/world.h"

#include "core/internal.h"
#include "core/util.h"
#include "tests/fuzz/calls.h"
#include "tests/fuzz/input.h"
#include "tests/unit/scratch_tree.h"

#include <dirent.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>

struct world world;
static char tree_path[64];

static void remove_tree(void)
{
	scratch_tree_close(-1, tree_path);
}

static int open_tree(void)
{
	int fd = scratch_tree("2m", tree_path, sizeof tree_path);

	MUST(fd >= 0);
	atexit(remove_tree);
	return fd;
}

/* --- what the kernel, the supervisor and the worker's other rooms would do --- */

static int attach(void *context, int fd)
{
	(void)context;
	(void)fd;
	return (int)++world.last_id;
}

static void detach(void *context, uint32_t id)
{
	(void)context;
	(void)id;
}

static int hold(void *context, uint64_t id, int fd)
{
	(void)context;
	(void)id;
	(void)fd;
	return 0;
}

static void drop(void *context, uint64_t id)
{
	(void)context;
	(void)id;
}

static void waited(void *context, const struct core_waited *wait)
{
	(void)context;
	(void)wait;
	world.waited++;
}

static void set_up_once(void)
{
	struct stat st;

	if (world.config.tree_fd)
		return;
	prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
	signal(SIGIO, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	umask(0);
	calls_install();
	world.config = (struct core_config){
	    .tree_fd = open_tree(),
	    .state_fd = memfd_create("state", MFD_CLOEXEC),
	    .limit = 2 << 20,
	    .user = {.objects = 1000, .bytes = 1 << 20, .waits = 1000},
	    .root_mode = 01777,
	    .listener = {.hold = hold, .drop = drop, .waited = waited},
	};
	if (world.config.tree_fd < 0 || fstat(world.config.tree_fd, &st) < 0)
		abort();
	world.config.device_major = major(st.st_dev);
	world.config.device_minor = minor(st.st_dev);
}

/* --- life --- */

static void empty_directory(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) == 0)
			continue;
		empty_directory(openat(dirfd(dir), entry->d_name,
				       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
}

void world_empty(bool cached, bool rootless)
{
	set_up_once();
	world_stop();
	empty_directory(openat(world.config.tree_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (ftruncate(world.config.state_fd, 0) < 0)
		abort();
	world.config.rootless = rootless || geteuid() != 0;
	cached = cached || world.config.rootless;
	world.config.data = cached ? (struct core_data_path){0}
				   : (struct core_data_path){.attach = attach, .detach = detach};
	world.unique = world.last_id = world.waited = 0;
}

int world_start(void)
{
	int rc;

	world.config.notify_fd =
	    world.config.data.attach ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1;
	rc = core_create(&world.config, &world.core);
	if (rc)
		world_stop();
	return rc;
}

void world_stop(void)
{
	core_destroy(world.core);
	world.core = NULL;
	if (world.config.notify_fd > 0)
		close(world.config.notify_fd);
	world.config.notify_fd = 0;
	setfsuid(geteuid());
	setfsgid(getegid());
}

void world_request_from(uid_t uid)
{
	world.unique += 2;
	core_request(world.core, world.unique, false);
	core_request_from(world.core, uid, 0);
}

void world_request(void)
{
	world_request_from(0);
}

uint64_t world_object(enum object_type type, const char *name, uint64_t *handle)
{
	struct core_setup setup = {.type = type, .lifetime = -1, .file_fd = -1};
	const struct core_caller caller = {0};
	struct core_opened opened = {0};
	struct core_entry entry = {0};
	const char *why;

	if (type == OBJECT_SEMAPHORE)
		setup.maximum = 3;
	world_request();
	if (core_mknod(world.core, CORE_ROOT_NODE, name, S_IFREG | 0600, &caller, &entry) < 0)
		abort();
	if (type != OBJECT_MAPPING &&
	    core_configure(world.core, entry.node, &setup, &caller, &why) < 0)
		abort();
	world_request();
	if (core_open(world.core, entry.node, O_RDWR, &opened) < 0)
		abort();
	*handle = opened.handle;
	return entry.node;
}
