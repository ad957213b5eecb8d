/* The table of lifetimes, row by row: for each lifetime, memory- and file-backed, when the name
 * goes and when the pages go, whoever holds the object and however the holder ends. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/sys/objects.h"
#include "tests/sys/waitables.h"

enum { RW = PROT_READ | PROT_WRITE, SIZE = 1 << 20 };

static const struct kind {
	const char *name;
	uint32_t lifetime; /* WIRE_* */
	bool file;
} kinds[] = {
    {"permanent, memory", WIRE_PERMANENT, false}, {"permanent, file", WIRE_PERMANENT, true},
    {"temporary, memory", WIRE_TEMPORARY, false}, {"temporary, file", WIRE_TEMPORARY, true},
    {"handle, memory", WIRE_HANDLE_BOUND, false}, {"handle, file", WIRE_HANDLE_BOUND, true},
};

struct object {
	struct sys *sys;
	const struct kind *kind;
	const char *path;
	const char *file; /* what it is bound to, or NULL */
};

static struct object make(struct sys *sys, const struct kind *kind)
{
	struct object o = {.sys = sys, .kind = kind};
	AUTO_CLOSE int fd = -1;

	if (kind->file) {
		fd = make_plain_file(sys, "data", SIZE, &o.file);
		o.path = object_make(sys, "object", kind->lifetime | WIRE_BIND, 0, fd);
	} else {
		o.path = object_make(sys, "object", kind->lifetime | WIRE_SET_SIZE, SIZE, -1);
	}
	return o;
}

static bool has_name(const struct object *o, int handles, int views)
{
	if (o->kind->lifetime == WIRE_PERMANENT)
		return true;
	if (o->kind->lifetime == WIRE_HANDLE_BOUND && o->sys->mode == SYS_PASSTHROUGH)
		return handles > 0;
	return handles > 0 || views > 0;
}

/* The name is there, or goes, as it must while so many handles and views are left. A name that is
 * to stay is looked at for a while: there is no event to wait for when nothing happens. */
static void held_by(const struct object *o, int handles, int views)
{
	if (has_name(o, handles, views)) {
		if (BECOMES_TRUE(0.15, size_of(o->path) < 0))
			fail_msg("%s: the name went with %d handles and %d views left",
				 o->kind->name, handles, views);
	} else if (!BECOMES_TRUE(5, size_of(o->path) < 0)) {
		fail_msg("%s: the name stays with %d handles and %d views left", o->kind->name,
			 handles, views);
	}
}

static bool all_returned(struct sys *sys)
{
	return sys_status_number(sys, "committed_bytes") == 0 &&
	       sys_status_number(sys, "bound_files") == 0;
}

/* Nobody holds it any more. */
static void ended(const struct object *o)
{
	held_by(o, 0, 0);
	if (o->kind->lifetime == WIRE_PERMANENT)
		assert_int_equal(unlink(o->path), 0);
	if (!BECOMES_TRUE(5, all_returned(o->sys)))
		fail_msg("%s: pages or the file are kept", o->kind->name);
}

static void for_each_kind(struct sys *sys, void (*test)(const struct object *o))
{
	sys_mount(sys, "size=64m");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct object o = make(sys, &kinds[i]);

		held_by(&o, 1, 0); /* nobody held it yet: it waits for its first user */
		test(&o);
		ended(&o);
	}
}

#define ROW(name)                                                                                  \
	static void name##_of(const struct object *o);                                             \
	static void name(void **state)                                                             \
	{                                                                                          \
		for_each_kind(*state, name##_of);                                                  \
	}                                                                                          \
	static void name##_of(const struct object *o)

static int open_rw(const struct object *o)
{
	int fd = open(o->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail_msg("%s: cannot open: %s", o->kind->name, strerror(errno));
	return fd;
}

static char *map(int fd)
{
	char *view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);

	assert_true(view != MAP_FAILED);
	return view;
}

/* What was stored is in the file, and in nothing else that is left. */
static void file_has(const struct object *o, const char *text)
{
	AUTO_CLOSE int fd = -1;
	char got[64] = "";

	if (!o->file)
		return;
	fd = open(o->file, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, got, strlen(text), 0), strlen(text));
	assert_string_equal(got, text);
}

/* --- handles and views --- */

ROW(handles_without_views)
{
	int first = open_rw(o), second = open(o->path, O_RDONLY | O_CLOEXEC), copy = dup(first);

	close(first);
	held_by(o, 2, 0);
	close(second);
	held_by(o, 1, 0);
	close(copy);
}

ROW(views_without_handles)
{
	int fd = open_rw(o);
	char *shared = map(fd), *reading = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0),
	     *private = mmap(NULL, SIZE, RW, MAP_PRIVATE, fd, 0);

	close(fd);
	held_by(o, 0, 3);
	strcpy(shared, "seen by all");
	assert_string_equal(reading, "seen by all");
	munmap(shared, SIZE);
	held_by(o, 0, 2);
	assert_string_equal(private, "seen by all");
	munmap(reading, SIZE);
	held_by(o, 0, 1);
	strcpy(private, "for me alone");
	munmap(private, SIZE / 2);
	munmap(private + SIZE / 2, SIZE / 2);
	file_has(o, "seen by all");
}

ROW(views_go_before_the_handle)
{
	int fd = open_rw(o);
	char *view = map(fd);

	munmap(view, SIZE);
	held_by(o, 1, 0);
	close(fd);
}

/* --- processes --- */

struct holder {
	const struct object *o;
	bool handle, view;
	volatile int *ready;
};

static int hold(void *context)
{
	struct holder *h = context;
	int fd = open(h->o->path, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	if (h->view)
		CHECK(mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0) != MAP_FAILED);
	if (!h->handle)
		close(fd);
	__atomic_add_fetch(h->ready, 1, __ATOMIC_SEQ_CST);
	pause();
	return 0;
}

static pid_t start_holder(const struct object *o, bool handle, bool view)
{
	volatile int *ready = mmap(NULL, sizeof *ready, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct holder h = {o, handle, view, ready};
	pid_t pid = sys_fork(o->sys, hold, &h);

	WAIT_UNTIL(10, *ready == 1);
	munmap((void *)(uintptr_t)ready, sizeof *ready);
	return pid;
}

ROW(all_holders_are_killed)
{
	pid_t with_handle = start_holder(o, true, false), with_both = start_holder(o, true, true),
	      with_view = start_holder(o, false, true);

	sys_kill(o->sys, with_handle);
	held_by(o, 1, 2);
	sys_kill(o->sys, with_both);
	held_by(o, 0, 1);
	sys_kill(o->sys, with_view);
}

static int sleep_until_killed(void *unused)
{
	(void)unused;
	pause();
	return 0;
}

ROW(fork_inherits)
{
	int fd = open_rw(o);
	pid_t with_handle = sys_fork(o->sys, sleep_until_killed, NULL), with_view;
	char *view = map(fd);

	close(fd);
	with_view = sys_fork(o->sys, sleep_until_killed, NULL);
	munmap(view, SIZE);
	held_by(o, 1, 1);
	sys_kill(o->sys, with_handle);
	held_by(o, 0, 1);
	sys_kill(o->sys, with_view);
}

static int exec_sleep(bool keep_handle, const char *path)
{
	int fd = open(path, O_RDWR | (keep_handle ? 0 : O_CLOEXEC));

	CHECK(fd >= 0);
	CHECK(mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0) != MAP_FAILED);
	execlp("sleep", "sleep", "300", NULL);
	return 1;
}

static int exec_keeping(void *context)
{
	return exec_sleep(true, context);
}

static int exec_dropping(void *context)
{
	return exec_sleep(false, context);
}

static bool handles_are(const struct object *o, int count)
{
	return number_xattr(o->path, "user.mapping.handles") == count;
}

ROW(exec_keeps_what_is_not_cloexec)
{
	int fd = open_rw(o);
	pid_t keeping = sys_fork(o->sys, exec_keeping, (void *)(uintptr_t)o->path), dropping;

	WAIT_UNTIL(10, number_xattr(o->path, "user.mapping.views") == 0 && handles_are(o, 2));
	dropping = sys_fork(o->sys, exec_dropping, (void *)(uintptr_t)o->path);
	close(fd);
	held_by(o, 1, 0);
	WAIT_UNTIL(10, number_xattr(o->path, "user.mapping.views") == 0 && handles_are(o, 1));
	sys_kill(o->sys, keeping);
	held_by(o, 0, 0); /* what dropped it still runs */
	sys_kill(o->sys, dropping);
}

/* --- in flight --- */

static void send_fd(int sock, int fd)
{
	char byte = 'f';

	assert_int_equal(control_send(sock, &byte, 1, &fd, 1), 0);
}

static int receive_fd(int sock)
{
	char byte, room[CMSG_SPACE(sizeof(int))];
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
	int fd = -1;

	assert_int_equal(recvmsg(sock, &message, MSG_CMSG_CLOEXEC), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
	return fd;
}

static void socket_pair(int *pair)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

ROW(a_handle_in_flight_is_a_handle)
{
	int pair[2], fd = open_rw(o);

	socket_pair(pair);
	send_fd(pair[0], fd);
	close(fd);
	held_by(o, 1, 0);
	fd = receive_fd(pair[1]);
	held_by(o, 1, 0);
	assert_int_equal(pwrite(fd, "works", 5, 0), 5);
	send_fd(pair[0], fd); /* nobody will read it */
	close(fd);
	held_by(o, 1, 0);
	close(pair[1]);
	close(pair[0]);
}

static int send_and_be_killed(void *context)
{
	int *pair = context;

	close(pair[1]);
	pause();
	return 0;
}

/* The sender is gone, the receiver never looks. */
ROW(in_flight_from_the_dead)
{
	int pair[2], fd = open_rw(o);
	pid_t sender;

	socket_pair(pair);
	send_fd(pair[0], fd);
	sender = sys_fork(o->sys, send_and_be_killed, pair);
	close(fd);
	close(pair[0]);
	sys_kill(o->sys, sender); /* had the sending end, and the handle by fork */
	held_by(o, 1, 0);
	close(pair[1]);
}

/* A socket in flight in its own queue, with the handle: freed by the kernel's garbage collector. */
ROW(in_flight_in_a_circle)
{
	int pair[2], other[2], fd = open_rw(o);
	char *view = map(fd);

	socket_pair(pair);
	send_fd(pair[0], fd);
	send_fd(pair[0], pair[1]);
	close(fd);
	held_by(o, 1, 1);
	close(pair[1]); /* nobody can reach it any more */
	close(pair[0]);
	socket_pair(other); /* closing any socket starts the collector */
	close(other[0]);
	close(other[1]);
	held_by(o, 0, 1);
	munmap(view, SIZE);
}

/* --- made anew --- */

/* Takes the name away while a view is left: by the lifetime, or by hand. */
static void lose_name(const struct object *o, int fd)
{
	if (has_name(o, 0, 1))
		assert_int_equal(unlink(o->path), 0);
	close(fd);
	WAIT_UNTIL(5, size_of(o->path) < 0);
}

ROW(name_made_anew_while_views_live)
{
	int fd = open_rw(o);
	char *old = map(fd), *new;
	struct stat before, after;
	int new_fd, file_fd;

	strcpy(old, "of the old one");
	assert_int_equal(fstat(fd, &before), 0);
	lose_name(o, fd);
	new_fd = open(o->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(new_fd >= 0);
	assert_int_equal(ftruncate(new_fd, SIZE), 0);
	assert_int_equal(fstat(new_fd, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	new = map(new_fd);
	assert_int_equal(new[0], 0);
	strcpy(new, "of the new one");
	strcpy(old + SIZE - 64, "a page untouched before");
	assert_string_equal(old, "of the old one");
	munmap(old, SIZE); /* the old one's end takes nothing of the new one's */
	if (BECOMES_TRUE(0.15, size_of(o->path) != SIZE))
		fail_msg("%s: the new object lost its name", o->kind->name);
	assert_string_equal(new, "of the new one");
	file_has(o, "of the old one");
	munmap(new, SIZE);
	close(new_fd);
	assert_int_equal(unlink(o->path), 0);
	WAIT_UNTIL(5, all_returned(o->sys));
	if (o->kind->lifetime == WIRE_PERMANENT) { /* ended() wants it */
		file_fd = open(o->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		assert_true(file_fd >= 0);
		close(file_fd);
	}
}

/* Two objects of one file share its pages, also when one of them has lost its name. */
static void one_file_twice(void **state)
{
	struct sys *sys = *state;
	AUTO_CLOSE int fd = -1;
	const char *file;

	sys_mount(sys, "size=64m");
	fd = make_plain_file(sys, "data", SIZE, &file);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct object o = {.sys = sys, .kind = &kinds[i], .file = file};
		char *old, *new;
		int handle;

		if (!kinds[i].file)
			continue;
		o.path = object_make(sys, "object", o.kind->lifetime | WIRE_BIND, 0, fd);
		handle = open_rw(&o);
		old = map(handle);
		lose_name(&o, handle);
		o.path = object_make(sys, "object", o.kind->lifetime | WIRE_BIND, 0, fd);
		handle = open_rw(&o);
		new = map(handle);
		if (sys->mode == SYS_PASSTHROUGH) {
			strcpy(old, kinds[i].name);
			assert_string_equal(new, kinds[i].name);
		}
		munmap(old, SIZE);
		held_by(&o, 1, 1);
		close(handle);
		munmap(new, SIZE);
		ended(&o);
	}
}

/* --- the worker dies --- */

ROW(worker_dies_with_views_left)
{
	int fd = open_rw(o);
	char *view = map(fd);

	sys_kill_worker(o->sys);
	close(fd);
	held_by(o, 0, 1);
	sys_kill_worker(o->sys);
	held_by(o, 0, 1);
	strcpy(view, "after both");
	strike_worker(o->sys);
	munmap(view, SIZE); /* nobody may be there to hear of it */
}

ROW(worker_dies_as_the_handle_closes)
{
	int fd = open_rw(o);
	char *view = map(fd);

	strike_worker(o->sys);
	close(fd);
	held_by(o, 0, 1);
	strike_worker(o->sys);
	munmap(view, SIZE);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(handles_without_views),
    SYS_TEST_BOTH_MODES(views_without_handles),
    SYS_TEST_BOTH_MODES(views_go_before_the_handle),
    SYS_TEST_BOTH_MODES(all_holders_are_killed),
    SYS_TEST_BOTH_MODES(fork_inherits),
    SYS_TEST_BOTH_MODES(exec_keeps_what_is_not_cloexec),
    SYS_TEST_BOTH_MODES(a_handle_in_flight_is_a_handle),
    SYS_TEST_BOTH_MODES(in_flight_from_the_dead),
    SYS_TEST_BOTH_MODES(in_flight_in_a_circle),
    SYS_TEST_BOTH_MODES(name_made_anew_while_views_live),
    SYS_TEST_BOTH_MODES(one_file_twice),
    SYS_TEST_BOTH_MODES(worker_dies_with_views_left),
    SYS_TEST_BOTH_MODES(worker_dies_as_the_handle_closes),
};

int main(void)
{
	return sys_run_tests("lifetimes_rule", tests);
}
