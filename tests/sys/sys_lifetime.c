/* When names and pages go: temporary and permanent objects, last handle and last view, whoever held
 * them and however they ended. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/sys/objects.h"
#include "tests/sys/waitables.h"

enum { RW = PROT_READ | PROT_WRITE, SIZE = 1 << 20 };
enum { TEMPORARY = WIRE_SET_SIZE | WIRE_TEMPORARY };

#define GOES(path)  WAIT_UNTIL(5, size_of(path) < 0)
#define STAYS(path) assert_true(stays(path))

/* Long enough for a wrong removal to happen: there is no event to wait for when nothing happens. */
static bool stays(const char *path)
{
	return !BECOMES_TRUE(0.3, size_of(path) < 0);
}

static int open_rw(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail_msg("cannot open %s: %s", path, strerror(errno));
	return fd;
}

static void pages_returned(struct sys *sys)
{
	WAIT_UNTIL(5, sys_status_number(sys, "committed_bytes") == 0);
}

static void permanent_stays(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "p", WIRE_SET_SIZE, SIZE, -1);
	char *view = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);

	strcpy(view, "kept");
	munmap(view, SIZE);
	STAYS(path);
	view = view_of(path, O_RDONLY, SIZE, PROT_READ, MAP_SHARED);
	assert_string_equal(view, "kept");
	munmap(view, SIZE);
	assert_int_equal(unlink(path), 0);
	pages_returned(sys);
}

static void goes_with_the_last_handle(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "t", TEMPORARY, SIZE, -1);

	STAYS(path); /* nobody held it yet */
	int first = open_rw(path), second = open_rw(path);
	int copy = dup(first);
	close(first);
	close(second);
	STAYS(path);
	close(copy);
	GOES(path);
	pages_returned(sys);
}

static void goes_with_the_last_view(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "t", TEMPORARY, SIZE, -1);
	char *shared = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);
	char *reading = view_of(path, O_RDONLY, SIZE, PROT_READ, MAP_SHARED);
	char *private = view_of(path, O_RDONLY, SIZE, RW, MAP_PRIVATE);

	strcpy(shared, "alive");
	STAYS(path);
	munmap(shared, SIZE);
	STAYS(path);
	assert_string_equal(reading, "alive");
	munmap(reading, SIZE);
	STAYS(path); /* private views hold, too */
	assert_string_equal(private, "alive");
	munmap(private, SIZE / 2);
	STAYS(path);
	munmap(private + SIZE / 2, SIZE / 2);
	GOES(path);
	pages_returned(sys);
}

static int hold(void *context)
{
	const char *path = context;
	int fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	char *view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	if (getpid() % 2)
		close(fd);
	__atomic_add_fetch((int *)(void *)view, 1, __ATOMIC_SEQ_CST);
	pause();
	return 0;
}

static void goes_when_all_are_killed(void **state)
{
	struct sys *sys = *state;
	pid_t pids[5];
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "t", TEMPORARY, SIZE, -1);
	volatile int *view = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);

	for (int i = 0; i < 5; i++)
		pids[i] = sys_fork(sys, hold, (void *)(uintptr_t)path);
	WAIT_UNTIL(10, *view == 5);
	munmap((void *)(uintptr_t)view, SIZE);
	for (int i = 0; i < 4; i++)
		sys_kill(sys, pids[i]);
	STAYS(path);
	sys_kill(sys, pids[4]);
	GOES(path);
	pages_returned(sys);
}

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
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
	int fd = -1;
	assert_int_equal(recvmsg(sock, &message, MSG_CMSG_CLOEXEC), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void a_handle_in_flight_holds(void **state)
{
	struct sys *sys = *state;
	int pair[2];
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "t", TEMPORARY, SIZE, -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);

	int fd = open_rw(path);
	send_fd(pair[0], fd);
	close(fd);
	STAYS(path);
	fd = receive_fd(pair[1]);
	assert_int_equal(write(fd, "works", 5), 5);
	STAYS(path);
	send_fd(pair[0], fd);
	close(fd);
	close(pair[1]); /* the message is thrown away, and the handle in it */
	close(pair[0]);
	GOES(path);
	pages_returned(sys);
}

static int sleep_until_killed(void *unused)
{
	(void)unused;
	pause();
	return 0;
}

static void fork_inherits(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "t", TEMPORARY, SIZE, -1);

	int fd = open_rw(path);
	pid_t with_handle = sys_fork(sys, sleep_until_killed, NULL);
	char *view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	close(fd);
	pid_t with_view = sys_fork(sys, sleep_until_killed, NULL);
	munmap(view, SIZE);
	STAYS(path);
	sys_kill(sys, with_handle);
	STAYS(path);
	sys_kill(sys, with_view);
	GOES(path);
}

static int map_then_exec(void *context)
{
	const char *path = context;
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0) != MAP_FAILED);
	execlp("sleep", "sleep", "300", NULL);
	return 1;
}

static int keep_then_exec(void *context)
{
	const char *path = context;
	int fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	execlp("sleep", "sleep", "300", NULL);
	return 1;
}

static void exec_drops_views(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "t", TEMPORARY, SIZE, -1);
	pid_t pid = sys_fork(sys, map_then_exec, (void *)(uintptr_t)path);
	GOES(path);
	sys_kill(sys, pid);

	path = object_make(sys, "t", TEMPORARY, SIZE, -1);
	pid = sys_fork(sys, keep_then_exec, (void *)(uintptr_t)path);
	WAIT_UNTIL(10, number_xattr(path, "user.mapping.handles") == 1);
	STAYS(path);
	sys_kill(sys, pid);
	GOES(path);
}

static void unlinked_in_use(void **state)
{
	struct sys *sys = *state;
	struct stat st, again;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "p", WIRE_SET_SIZE, SIZE, -1);
	int fd = open_rw(path);
	char *view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);

	strcpy(view, "the old one");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(size_of(path), -1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	object_make(sys, "p", WIRE_SET_SIZE, SIZE, -1);
	char *new = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);
	assert_int_equal(stat(path, &again), 0);
	assert_int_not_equal(st.st_ino, again.st_ino);
	assert_int_equal(new[0], 0);
	strcpy(new, "the new one");
	assert_string_equal(view, "the old one");
	assert_true(sys_status_number(sys, "committed_bytes") >= 2 * SIZE);
	close(fd);
	sys_kill_worker(sys);
	strcpy(view + SIZE - 100, "untouched before");
	WAIT_UNTIL(5, sys_status_number(sys, "committed_bytes") >= 2 * SIZE);
	munmap(view, SIZE);
	WAIT_UNTIL(5, sys_status_number(sys, "committed_bytes") < 2 * SIZE);
	assert_string_equal(new, "the new one");
	munmap(new, SIZE);
	STAYS(path);
	assert_int_equal(unlink(path), 0);
	pages_returned(sys);
}

static void temporary_name_made_anew(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "t", TEMPORARY, SIZE, -1);
	char *old = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);

	assert_int_equal(unlink(path), 0);
	object_make(sys, "t", TEMPORARY, SIZE, -1);
	char *new = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);
	strcpy(new, "new");
	munmap(old, SIZE); /* the old one's end must not take the new one's name */
	STAYS(path);
	munmap(new, SIZE);
	GOES(path);
	pages_returned(sys);
}

static void renamed_and_replaced(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "t", TEMPORARY, SIZE, -1);
	const char *moved = sys_path(sys, "d/moved"), *other;

	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	int fd = open_rw(path);
	assert_int_equal(link(path, sys_path(sys, "hard")), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(rename(path, moved), 0);
	STAYS(moved);
	other = object_make(sys, "other", WIRE_SET_SIZE, SIZE, -1);
	assert_int_equal(rename(other, path), 0);
	close(fd);
	GOES(moved);
	STAYS(path); /* it only has the name the temporary one had */
	assert_int_equal(unlink(path), 0);
	pages_returned(sys);
}

static int set_lifetime_as_user(void *context)
{
	const char *path = context;
	CHECK(seteuid(1000) == 0);
	CHECK(setxattr(path, "user.mapping.lifetime", "temporary", 9, 0) == -1 && errno == EPERM);
	return 0;
}

static void lifetime_can_be_set(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "x", WIRE_SET_SIZE, SIZE, -1);

	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(
	    sys_wait(sys, sys_fork(sys, set_lifetime_as_user, (void *)(uintptr_t)path)), 0);
	assert_int_equal(setxattr(path, "user.mapping.lifetime", "eternal", 7, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(setxattr(path, "user.mapping.commit", "1", 1, 0), -1);
	int fd = open_rw(path);
	assert_int_equal(fsetxattr(fd, "user.mapping.lifetime", "temporary", 9, 0), 0);
	assert_true(text_xattr_is(path, "user.mapping.lifetime", "temporary"));
	close(fd);
	GOES(path);

	object_make(sys, "x", TEMPORARY, SIZE, -1);
	fd = open_rw(path);
	assert_int_equal(setxattr(path, "user.mapping.lifetime", "permanent", 9, 0), 0);
	close(fd);
	STAYS(path);
	assert_int_equal(unlink(path), 0);
	pages_returned(sys);
}

static void temporary_by_default(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m,lifetime=temporary");
	const char *path = sys_path(sys, "plain");
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	char *view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	close(fd);
	STAYS(path);
	munmap(view, SIZE);
	GOES(path);
	const char *kept = object_make(sys, "kept", WIRE_SET_SIZE | WIRE_PERMANENT, SIZE, -1);
	close(open_rw(kept));
	STAYS(kept);
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	assert_int_equal(symlink("kept", sys_path(sys, "l")), 0);
	assert_int_equal(mkfifo(sys_path(sys, "f"), 0644), 0);
	STAYS(sys_path(sys, "f")); /* only objects are temporary */
	assert_int_equal(unlink(kept), 0);
	pages_returned(sys);
}

static void temporary_file_object(void **state)
{
	struct sys *sys = *state;
	const char *file;
	sys_mount(sys, NULL);
	AUTO_CLOSE int fd = make_plain_file(sys, "data", SIZE, &file);
	const char *path = object_make(sys, "t", WIRE_BIND | WIRE_TEMPORARY, 0, fd);
	char *view = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);

	strcpy(view, "to the file");
	munmap(view, SIZE);
	GOES(path);
	char *direct = view_of(file, O_RDONLY, SIZE, PROT_READ, MAP_SHARED);
	WAIT_UNTIL(5, strcmp(direct, "to the file") == 0);
	munmap(direct, SIZE);
	WAIT_UNTIL(5, sys_status_number(sys, "bound_files") == 0);
}

static void worker_dies_in_between(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = object_make(sys, "t", TEMPORARY, SIZE, -1);
	int fd = open_rw(path);
	char *view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);

	sys_kill_worker(sys);
	close(fd);
	if (sys->mode == SYS_PASSTHROUGH) { /* a cached view needs the worker for new pages only */
		strike_worker(sys);
		strcpy(view + SIZE / 2, "a new page while the worker starts");
	}
	STAYS(path);
	strike_worker(sys);
	munmap(view, SIZE); /* nobody may be there to hear of it */
	GOES(path);
	pages_returned(sys);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(permanent_stays),          SYS_TEST_BOTH_MODES(goes_with_the_last_handle),
    SYS_TEST_BOTH_MODES(goes_with_the_last_view),  SYS_TEST_BOTH_MODES(goes_when_all_are_killed),
    SYS_TEST_BOTH_MODES(a_handle_in_flight_holds), SYS_TEST_BOTH_MODES(fork_inherits),
    SYS_TEST_BOTH_MODES(exec_drops_views),         SYS_TEST_BOTH_MODES(unlinked_in_use),
    SYS_TEST_BOTH_MODES(temporary_name_made_anew), SYS_TEST_BOTH_MODES(renamed_and_replaced),
    SYS_TEST_BOTH_MODES(lifetime_can_be_set),      SYS_TEST_BOTH_MODES(temporary_by_default),
    SYS_TEST_BOTH_MODES(temporary_file_object),    SYS_TEST_BOTH_MODES(worker_dies_in_between),
};

int main(void)
{
	return sys_run_tests("lifetime", tests);
}
