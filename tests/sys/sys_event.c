/* Events: manual and auto, set, reset, pulse; and what is the same for all objects to wait on: how
 * they are read, written, polled, mapped and truncated. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/sys/waitables.h"

enum { AUTO = 0, MANUAL = WIRE_MANUAL, SET = WIRE_SIGNALED };

/* --- auto --- */

static void auto_event_is_taken_once(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO);

	assert_int_equal(try_wait(path), -EAGAIN);
	assert_int_equal(words_to(path, "set\n"), 4);
	assert_int_equal(words_to(path, "set\n"), 4); /* twice is once */
	assert_int_equal(try_wait(path), WAIT_SIGNALED);
	assert_int_equal(try_wait(path), -EAGAIN);
	assert_int_equal(words_to(path, "set\n"), 4);
	assert_int_equal(words_to(path, "reset\n"), 6);
	assert_int_equal(try_wait(path), -EAGAIN);
	assert_int_equal(words_to(path, "reset\n"), 6); /* of one that is not signaled */
	assert_int_equal(try_wait(path), -EAGAIN);
}

static void auto_event_releases_one_at_a_time(void **state)
{
	enum { WAITERS = 5 };
	struct sys *sys = *state;
	struct waiter *waiters[WAITERS];
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	for (int i = 0; i < WAITERS; i++)
		waiters[i] = waiter_start(fd);
	for (int i = 0; i < WAITERS; i++) {
		assert_int_equal(words(fd, "set\n"), 4);
		assert_int_equal(waiter_end(waiters[i]), WAIT_SIGNALED);
		assert_int_equal(try_wait(path), -EAGAIN); /* nothing is left over */
		for (int j = i + 1; j < WAITERS; j++)
			assert_false(waiters[j]->ended);
	}
}

/* --- manual --- */

static void manual_event_stays(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", MANUAL);

	assert_int_equal(try_wait(path), -EAGAIN);
	assert_int_equal(words_to(path, "set\n"), 4);
	for (int i = 0; i < 3; i++)
		assert_int_equal(try_wait(path), WAIT_SIGNALED);
	assert_int_equal(words_to(path, "set\n"), 4);
	assert_int_equal(words_to(path, "reset\n"), 6);
	assert_int_equal(try_wait(path), -EAGAIN);
}

static void manual_event_releases_all(void **state)
{
	enum { WAITERS = 20 };
	struct sys *sys = *state;
	struct waiter *waiters[WAITERS];
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", MANUAL);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	for (int i = 0; i < WAITERS; i++)
		waiters[i] = waiter_start(fd);
	assert_int_equal(words(fd, "set\n"), 4);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(waiter_end(waiters[i]), WAIT_SIGNALED);
	assert_int_equal(try_wait(path), WAIT_SIGNALED);
}

static void set_from_the_start(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *manual = make_event(sys, "m", MANUAL | SET);
	const char *automatic = make_event(sys, "a", AUTO | SET);

	assert_int_equal(try_wait(manual), WAIT_SIGNALED);
	assert_int_equal(try_wait(manual), WAIT_SIGNALED);
	assert_int_equal(try_wait(automatic), WAIT_SIGNALED);
	assert_int_equal(try_wait(automatic), -EAGAIN);
}

/* --- pulse --- */

static void pulse_with_no_waiter(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const uint32_t kinds[] = {AUTO, MANUAL, AUTO | SET, MANUAL | SET};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *path = make_event(sys, "e", kinds[i]);
		assert_int_equal(words_to(path, "pulse\n"), 6);
		assert_int_equal(try_wait(path), -EAGAIN); /* nothing stays, not even what was */
		assert_int_equal(unlink(path), 0);
	}
}

static void pulse_releases_who_waits(void **state)
{
	enum { WAITERS = 6 };
	struct sys *sys = *state;
	struct waiter *waiters[WAITERS];
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "m", MANUAL);
	AUTO_CLOSE int manual = open_object(path, O_RDWR);

	for (int i = 0; i < WAITERS; i++)
		waiters[i] = waiter_start(manual);
	assert_int_equal(words(manual, "pulse\n"), 6);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(waiter_end(waiters[i]), WAIT_SIGNALED);
	assert_int_equal(try_wait(path), -EAGAIN);

	path = make_event(sys, "a", AUTO);
	AUTO_CLOSE int automatic = open_object(path, O_RDWR);
	for (int i = 0; i < WAITERS; i++)
		waiters[i] = waiter_start(automatic);
	for (int i = 0; i < WAITERS; i++) {
		assert_int_equal(words(automatic, "pulse\n"), 6);
		assert_int_equal(waiter_end(waiters[i]), WAIT_SIGNALED);
		for (int j = i + 1; j < WAITERS; j++)
			assert_false(waiters[j]->ended);
	}
	assert_int_equal(try_wait(path), -EAGAIN);
}

/* --- words --- */

static void bad_words(void **state)
{
	static const char *const bad[] = {
	    "\n",        "sett\n",     "SET\n",     "set set\n", "set 1\n",
	    "reset 1\n", "pulse x\n",  "release\n", "cancel\n",  "add 1\n",
	    "kill\n",    "signaled\n", "1\n",       "\t\n",      "set\rx\n",
	};
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *reset = make_event(sys, "reset", MANUAL);
	const char *set = make_event(sys, "set", MANUAL | SET);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (words_to(reset, bad[i]) != -EINVAL || words_to(set, bad[i]) != -EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
		assert_int_equal(try_wait(reset), -EAGAIN);
		assert_int_equal(try_wait(set), WAIT_SIGNALED);
	}
}

static void bytes_that_are_no_text(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", MANUAL);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);
	AUTO_FREE char *large = malloc(1 << 20);

	assert_int_equal(pwrite(fd, "set\0\n", 5, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(pwrite(fd, "\xff\xfe\n", 3, 0), -1);
	assert_int_equal(errno, EINVAL);
	memset(large, 'x', 1 << 20);
	assert_int_equal(pwrite(fd, large, 1 << 20, 0), -1);
	assert_int_equal(errno, EINVAL);
	memset(large, ' ', 1 << 20);
	assert_int_equal(pwrite(fd, large, 1 << 20, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(pwrite(fd, "", 0, 0), 0);
	assert_int_equal(try_wait(path), -EAGAIN);
}

static void spaces_do_not_matter(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO);

	assert_int_equal(words_to(path, "  set  \n"), 8);
	assert_int_equal(try_wait(path), WAIT_SIGNALED);
	assert_int_equal(words_to(path, "\tset\n"), 5);
	assert_int_equal(try_wait(path), WAIT_SIGNALED);
}

/* The count says how far it got. */
static void several_lines(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", MANUAL);

	assert_int_equal(words_to(path, "set\nreset\nset\n"), 14);
	assert_int_equal(try_wait(path), WAIT_SIGNALED);
	assert_int_equal(words_to(path, "reset\nset"), 9);
	assert_int_equal(try_wait(path), WAIT_SIGNALED);
	assert_int_equal(words_to(path, "reset\nnonsense\nset\n"), 6);
	assert_int_equal(try_wait(path), -EAGAIN);
	assert_int_equal(words_to(path, "nonsense\nset\n"), -EINVAL);
	assert_int_equal(try_wait(path), -EAGAIN);
	AUTO_CLOSE int fd = open_object(path, O_RDWR); /* where the file's position is: no matter */
	assert_int_equal(write(fd, "set\n", 4), 4);
	assert_int_equal(write(fd, "reset\n", 6), 6);
	assert_int_equal(pwrite(fd, "set\n", 4, 1 << 20), 4);
	assert_int_equal(try_wait(path), WAIT_SIGNALED);
}

/* --- as a file --- */

static void read_is_a_line_and_the_end(void **state)
{
	struct sys *sys = *state;
	char text[64];
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", MANUAL | SET);
	AUTO_CLOSE int fd = open_object(path, O_RDONLY);

	assert_int_equal(read(fd, text, sizeof text), 9);
	assert_memory_equal(text, "signaled\n", 9);
	assert_int_equal(read(fd, text, sizeof text), 0);
	assert_int_equal(read(fd, text, sizeof text), 0);
	assert_int_equal(pread(fd, text, sizeof text, 0), 9);
	assert_int_equal(pread(fd, text, sizeof text, 9), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(read(fd, text, sizeof text), 9);
	assert_int_equal(read(fd, text, sizeof text), 0);
}

/* A buffer that the line does not fit into: what is read is its beginning, and one is taken. */
static void a_small_buffer(void **state)
{
	struct sys *sys = *state;
	char text[64] = "";
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO | SET);
	AUTO_CLOSE int fd = open_object(path, O_RDWR | O_NONBLOCK);

	assert_int_equal(pread(fd, text, 0, 0), 0); /* nothing asked, nothing taken */
	assert_int_equal(pread(fd, text, 1, 0), 1);
	assert_int_equal(text[0], 's');
	assert_int_equal(pread(fd, text, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Shells read byte by byte, and some poll before each: what is left of a line can be read on, and
 * says so. */
static void the_rest_of_a_line(void **state)
{
	struct sys *sys = *state;
	const char *line = "signaled\n";
	char byte;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO | SET);
	AUTO_CLOSE int fd = open_object(path, O_RDWR), other = open_object(path, O_RDWR);

	for (int i = 0; i < 9; i++) {
		assert_true(ready(fd));
		assert_int_equal(read(fd, &byte, 1), 1);
		assert_int_equal(byte, line[i]);
		assert_false(ready(other));
		if (i == 4)
			sys_kill_worker(sys);
	}
	assert_false(ready(fd));
	assert_int_equal(read(fd, &byte, 1), 0);
	assert_int_equal(words(fd, "set\n"), 4);
	assert_int_equal(pread(fd, &byte, 1, 0), 1); /* from the beginning is another wait */
	assert_int_equal(pread(fd, &byte, 1, 8), 1);
	assert_int_equal(byte, '\n');
	assert_int_equal(pread(other, &byte, 1, 1), 0); /* which has not waited yet */
}

static void from_the_shell(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO);

	assert_int_equal(sys_shell(sys, "echo set >%s && cat %s", path, path), 0);
	assert_string_equal(sys->output, "signaled\n");
	pid_t pid = sys_start(sys, NULL, NULL, "read line <%s && test $line = signaled", path);
	assert_int_equal(sys_shell(sys, "echo set >>%s", path), 0);
	assert_int_equal(sys_wait(sys, pid), 0);
	assert_int_not_equal(sys_shell(sys, "/bin/echo nonsense >%s", path), 0);
	assert_non_null(strstr(sys->output, "Invalid argument"));
	assert_int_equal(sys_shell(sys, "printf 'set\\nreset\\nset\\n' >%s", path), 0);
	assert_int_equal(sys_shell(sys, "dd if=%s iflag=nonblock bs=64 count=1", path), 0);
	assert_int_not_equal(sys_shell(sys, "dd if=%s iflag=nonblock bs=64 count=1", path), 0);
	assert_int_equal(sys_shell(sys, "stat -c '%%s %%F' %s", path), 0);
	assert_string_equal(sys->output, "0 regular empty file\n");
}

static void maps_and_sizes_are_refused(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);

	for (enum object_type type = OBJECT_EVENT; type < OBJECT_TYPES; type++) {
		const char *path = make_any(sys, object_type_name(type), type);
		AUTO_CLOSE int fd = open_object(path, O_RDWR);
		assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
				 MAP_FAILED);
		assert_int_equal(errno, ENODEV);
		assert_ptr_equal(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED);
		assert_int_equal(errno, ENODEV);
		assert_int_equal(ftruncate(fd, 4096), -1);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(truncate(path, 1), -1);
		assert_int_equal(errno, EINVAL);
		assert_int_not_equal(fallocate(fd, 0, 0, 4096), 0);
		assert_int_equal(size_of(path), 0);
		AUTO_CLOSE int truncating = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
		assert_true(truncating >= 0); /* the shell's > */
		assert_int_equal(fsync(fd), 0);
	}
}

static int touch_private(void *context)
{
	AUTO_CLOSE int fd = open(context, O_RDWR | O_CLOEXEC);
	volatile char *view = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	if (view == MAP_FAILED)
		return errno == ENODEV ? 0 : 1;
	return view[0] ? 1 : 2; /* not reached */
}

/* The kernel makes private ones without asking a file system that does the reading itself; there is
 * no page in them. */
static void private_maps_show_nothing(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO | SET);

	int status = sys_wait(sys, sys_fork(sys, touch_private, (void *)(uintptr_t)path));
	assert_true(status == 0 || status == 128 + SIGBUS);
	assert_int_equal(try_wait(path), WAIT_SIGNALED); /* and nothing was taken */
}

static void a_handle_allows_what_it_was_opened_for(void **state)
{
	struct sys *sys = *state;
	char text[64];
	sys_mount(sys, NULL);

	for (enum object_type type = OBJECT_EVENT; type < OBJECT_TYPES; type++) {
		const char *path = make_any(sys, object_type_name(type), type);
		AUTO_CLOSE int reader = open_object(path, O_RDONLY);
		AUTO_CLOSE int writer = open_object(path, O_WRONLY);
		assert_int_equal(write(reader, "set\n", 4), -1);
		assert_int_equal(errno, EBADF);
		assert_int_equal(read(writer, text, sizeof text), -1);
		assert_int_equal(errno, EBADF);
	}
}

static int as_ordinary_user(void *context)
{
	struct sys *sys = context;
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	CHECK(setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0);
	CHECK(open(sys_path(sys, "none"), O_RDONLY) < 0 && errno == EACCES);
	CHECK(open(sys_path(sys, "reads"), O_RDWR) < 0 && errno == EACCES);
	CHECK(open(sys_path(sys, "writes"), O_RDONLY) < 0 && errno == EACCES);
	AUTO_CLOSE int reader = open(sys_path(sys, "reads"), O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int writer = open(sys_path(sys, "writes"), O_WRONLY | O_CLOEXEC);
	CHECK(wait_here(reader) == WAIT_SIGNALED);
	CHECK(words(writer, "reset\n") == 6);
	return 0;
}

static void rights_are_the_files(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	struct typed typed = {.type = OBJECT_EVENT, .flags = MANUAL | SET};

	typed.mode = 0600;
	typed_make(sys, "none", typed);
	typed.mode = 0604;
	typed_make(sys, "reads", typed);
	typed.mode = 0602;
	typed_make(sys, "writes", typed);
	assert_int_equal(sys_wait(sys, sys_fork(sys, as_ordinary_user, sys)), 0);
	assert_int_equal(try_wait(sys_path(sys, "writes")), -EAGAIN);
}

static void state_can_be_read(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "e", AUTO | SET);

	AUTO_FREE char *set = sys_xattr(path, "user.mapping.state");
	assert_int_equal(try_wait(path), WAIT_SIGNALED); /* reading it took nothing */
	AUTO_FREE char *reset = sys_xattr(path, "user.mapping.state");
	assert_non_null(set);
	assert_non_null(reset);
	assert_string_not_equal(set, reset);
	assert_null(
	    sys_xattr(object_make(sys, "m", WIRE_SET_SIZE, 4096, -1), "user.mapping.state"));
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(auto_event_is_taken_once),
    SYS_TEST_BOTH_MODES(auto_event_releases_one_at_a_time),
    SYS_TEST_BOTH_MODES(manual_event_stays),
    SYS_TEST_BOTH_MODES(manual_event_releases_all),
    SYS_TEST_BOTH_MODES(set_from_the_start),
    SYS_TEST_BOTH_MODES(pulse_with_no_waiter),
    SYS_TEST_BOTH_MODES(pulse_releases_who_waits),
    SYS_TEST_BOTH_MODES(bad_words),
    SYS_TEST_BOTH_MODES(bytes_that_are_no_text),
    SYS_TEST_BOTH_MODES(spaces_do_not_matter),
    SYS_TEST_BOTH_MODES(several_lines),
    SYS_TEST_BOTH_MODES(read_is_a_line_and_the_end),
    SYS_TEST_BOTH_MODES(a_small_buffer),
    SYS_TEST_BOTH_MODES(the_rest_of_a_line),
    SYS_TEST_BOTH_MODES(from_the_shell),
    SYS_TEST_BOTH_MODES(maps_and_sizes_are_refused),
    SYS_TEST_BOTH_MODES(private_maps_show_nothing),
    SYS_TEST_BOTH_MODES(a_handle_allows_what_it_was_opened_for),
    SYS_TEST_BOTH_MODES(rights_are_the_files),
    SYS_TEST_BOTH_MODES(state_can_be_read),
};

int main(void)
{
	return sys_run_tests("event", tests);
}
