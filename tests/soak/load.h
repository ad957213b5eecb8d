/* Within a load process: who we are, and how an operation is written.
 *
 * An operation returns 0, or 1 after EXPECT() said what is wrong, or FULL when the mount had no
 * room, which is fine only while somebody fills it. The working directory is the load's. */
#ifndef MAPPINGFS_TESTS_SOAK_LOAD_H
#define MAPPINGFS_TESTS_SOAK_LOAD_H

#include "core/util.h"
#include "fs/client/mapping.h"
#include "tests/soak/model.h"

enum { FULL = 2 };

extern struct load *me;
extern struct common *common;
extern struct mapping_mount *mount_of_mine;

#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return load_unexpected(__FILE__, __LINE__, #condition);                    \
	} while (0)
/* For library calls that return 0 or a negative errno value. */
#define EXPECT_OK(call)                                                                            \
	do {                                                                                       \
		int expect_rc_ = (call);                                                           \
		if (expect_rc_ != 0)                                                               \
			return load_failed(__FILE__, __LINE__, #call, expect_rc_);                 \
	} while (0)
/* For what needs room: ENOSPC (negative errno value) ends the operation. */
#define EXPECT_ROOM(rc)                                                                            \
	do {                                                                                       \
		int room_rc_ = (rc);                                                               \
		if (room_rc_ == -ENOSPC && load_is_full())                                         \
			return FULL;                                                               \
		if (room_rc_ < 0)                                                                  \
			return load_failed(__FILE__, __LINE__, #rc, room_rc_);                     \
	} while (0)
/* Polls until true; EXPECT(BECOMES(...)). */
#define BECOMES(condition)                                                                         \
	({                                                                                         \
		uint64_t becomes_until_ =                                                          \
		    clock_ns(CLOCK_MONOTONIC) + SOAK_PATIENCE * 1000000000ULL;                     \
		bool becomes_ = false;                                                             \
		while (!(becomes_ = (condition)) && clock_ns(CLOCK_MONOTONIC) < becomes_until_)    \
			usleep(1000);                                                              \
		becomes_;                                                                          \
	})
#define PATIENCE_NS (SOAK_PATIENCE * 1000000000LL)

int load_unexpected(const char *file, int line, const char *what); /* 1 */
int load_failed(const char *file, int line, const char *what, int rc);
bool load_is_full(void); /* the mount may have been full during this operation */

/* 0, or what a flush says; an EIO that we ordered is taken note of, and the flush tried again. */
int load_flush(int fd);

/* The process was stopped and continued during this operation: a wait then ends with EINTR. */
bool load_was_frozen(void);
/* mapping_wait() and mapping_wait_many(), again after that: nothing was taken. */
int wait_for(int fd, int64_t timeout_ns);
int wait_for_many(const int *fds, size_t count, bool all, int64_t timeout_ns, size_t *index);

/* Name in the load's directory as the library takes it; static storage, the last eight stay valid.
 */
const char *scratch(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A child that dies with us: 0 in the child, which must end by _exit(). */
pid_t load_fork(void);
int load_wait_child(pid_t pid, int status); /* 0: it exited with that status */

struct operation {
	const char *name;
	int (*run)(void);
	unsigned weight;
	bool waits; /* for others: how long it takes says nothing */
};
extern const struct operation operations[];
extern const unsigned operations_count;

/* ops_names.c */
int op_create(void), op_create_object(void), op_check(void), op_rewrite(void), op_resize(void),
    op_unlink(void), op_unlink_held(void), op_rename(void), op_attribute(void), op_list(void);
/* ops_scratch.c */
int op_tree(void), op_links(void), op_limit(void), op_bound(void), op_bound_last_view(void);
/* ops_lifetime.c */
int op_temporary(void), op_handle_bound(void), op_unnamed(void), op_passed(void);
/* ops_waits.c */
int op_semaphore(void), op_event(void), op_timer(void), op_many(void), op_poll(void);
/* ops_shared.c */
int op_token(void), op_lock(void), op_ping_pong(void), op_job(void);
/* ops_control.c */
int op_status(void), op_get(void), op_who(void), op_watch(void), op_mapctl(void), op_python(void);

/* load.c: a load process; never returns */
_Noreturn void load_run(unsigned mount, unsigned number);

#endif
