/* A core for unit tests, on trees and a state area of its own. The kernel's side (backing ids) and
 * the supervisor's (descriptors of bound files) are played by recorders that outlive a core, and
 * even the process it runs in, so a "worker" can end or be killed and another one go on. */
#ifndef MAPPINGFS_TESTS_UNIT_CORE_FIXTURE_H
#define MAPPINGFS_TESTS_UNIT_CORE_FIXTURE_H

#include "core/core.h"
#include "core/state.h"
#include "core/sys.h"
#include "core/util.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FIXTURE_LIMIT (16ULL << 20)
#define FIXTURE_IDS   4096

enum { FIXTURE_WAITED = 64 };

#define FAULT_NUMBER(name, NAME, parameters, arguments) FAULT_##NAME,
enum fault_call { SYS_CALLS(FAULT_NUMBER) FAULTS };
#undef FAULT_NUMBER

/* What a call of the seam does instead of its work, and how often. */
struct fault {
	_Atomic int error; /* negative errno */
	_Atomic int times; /* -1: always */
	_Atomic int calls; /* so far, failed or not */
};

/* Shared with forked workers. */
struct world {
	struct fault faults[FAULTS];
	_Atomic int dirty_pages; /* >= 0: the answer of dirty_pages(); -1: the kernel's */
	_Atomic int hold_data;   /* fdatasync() waits while this is set */
	uint32_t last_id;
	uint8_t attached[FIXTURE_IDS];
	int attach_error, hold_error;
	void (*after_attach)(void);
	unsigned names_gone, unused;
	uint64_t gone_parent, gone_node;
	char gone_name[NAME_MAX + 1];
	struct core_waited waited[FIXTURE_WAITED]; /* waits that ended, in order */
	unsigned waited_count;
	uint64_t polled[FIXTURE_WAITED]; /* numbers that were told to look again, in order */
	unsigned polled_count;
	uint64_t nodes[8]; /* a test's own */
	char complaint[512];
};

struct fixture {
	struct core *core;
	struct core_config config;
	struct world *world;
	int tree_fd, outside_fd;              /* backing area; a file system for external files */
	char tree_path[64], outside_path[64]; /* empty: detached tmpfs */
	int channel[2];
	pid_t owner;
	int id_fds[FIXTURE_IDS]; /* descriptions that backing ids hold; owner process only */
	struct core_bound_fd held[64];
	size_t held_count;
	uint64_t unique;
	size_t fds_before;
	mode_t umask_before;
};

extern const struct core_caller root_caller;
extern int fixture_cgroup_fd; /* for fixtures to come: 0: jobs do without cgroups */

size_t open_fds(void);

/* cmocka setup functions. The state is the struct fixture. */
int fixture_setup(void **state);          /* passthrough, inodes by handle */
int fixture_setup_cached(void **state);   /* no data path, inodes by handle */
int fixture_setup_rootless(void **state); /* no data path, inodes by place */
int fixture_teardown(void **state);

/* For those who need no cmocka: NULL on failure. */
struct fixture *fixture_new(bool passthrough, bool rootless);
void fixture_free(struct fixture *f);

int fixture_start(struct fixture *f);    /* a worker begins: 0 or -errno */
void fixture_stop(struct fixture *f);    /* it ends; everything that outlives it stays */
void fixture_restart(struct fixture *f); /* both, and must succeed */
void fixture_drain(struct fixture *f);   /* the supervisor handles what workers sent it */

/* What is left anywhere: NULL, or what is wrong. For the end of a test that has given everything
 * back. */
const char *fixture_leftovers(struct fixture *f);
void assert_nothing_left(struct fixture *f);

struct core_usage usage_of(struct fixture *f);
size_t count_watches(struct fixture *f);
bool stands_in_tree(struct fixture *f, const char *name);
size_t count_orphans(struct fixture *f);
unsigned count_attached(const struct world *world);

void fail_call(struct fixture *f, enum fault_call call, int error, int times);
int calls_of(struct fixture *f, enum fault_call call);

/* The core_ calls, each as a kernel request of its own that must succeed. */
void begin_request(struct fixture *f);
uint64_t make_file(struct fixture *f, uint64_t parent, const char *name); /* mknod: no handle */
uint64_t make_dir(struct fixture *f, uint64_t parent, const char *name);
uint64_t create_open(struct fixture *f, uint64_t parent, const char *name);
uint64_t look_up(struct fixture *f, uint64_t parent, const char *name);
int try_lookup(struct fixture *f, uint64_t parent, const char *name, struct core_entry *out);
uint32_t open_node(struct fixture *f, uint64_t node, int flags); /* backing id */
void release_node(struct fixture *f, uint64_t node);
void forget_node(struct fixture *f, uint64_t node, uint64_t count);
void unlink_name(struct fixture *f, uint64_t parent, const char *name);
int set_size(struct fixture *f, uint64_t node, uint64_t size); /* waits for a deferred answer */
int flush_node(struct fixture *f, uint64_t node);              /* waits */
struct stat stat_of(struct fixture *f, uint64_t node);
int set_lifetime(struct fixture *f, uint64_t node, const char *lifetime);
void assert_attribute(struct fixture *f, uint64_t node, const char *name, const char *value);
void get_attribute(struct fixture *f, uint64_t node, const char *name, char *value, size_t size);

/* External files and what is bound to them. */
int outside_file(struct fixture *f, const char *name, uint64_t size); /* owned fd, O_RDWR */
uint64_t make_bound(struct fixture *f, const char *name, int file_fd);

/* A process with a view of what is behind fd, and no handle; or with a handle and no view. */
pid_t start_viewer(int fd, uint64_t bytes);
pid_t start_holder(int fd);
void end_process(pid_t pid);

/* Serves the core for a while. */
void serve(struct fixture *f, int milliseconds);
/* ... until the condition holds, or fails. */
#define WAIT_FOR(f, condition, milliseconds)                                                       \
	do {                                                                                       \
		uint64_t wait_end = clock_ns(CLOCK_MONOTONIC) + (milliseconds)*1000000ULL;         \
		while (!(condition)) {                                                             \
			if (clock_ns(CLOCK_MONOTONIC) > wait_end)                                  \
				fail_msg("not within %d ms: %s", (int)(milliseconds), #condition); \
			serve(f, 2);                                                               \
		}                                                                                  \
	} while (0)

#endif
