/* `mapctl top`: the objects in use, with numbers that are true. */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"

enum { SIZE = 1 << 20, RW = PROT_READ | PROT_WRITE };

/* One look, as JSON lines: the object of that name; NULL: not told. Given to json_decref(). */
static json_t *find_line(const char *text, const char *name, unsigned refresh)
{
	AUTO_FREE char *copy = strdup(text);
	char *rest = copy, *line;
	json_t *json;

	while ((line = strsep(&rest, "\n"))) {
		const char *is;

		json = json_loads(line, 0, NULL);
		is = json_string_value(json_object_get(json, "name"));
		if (json &&
		    (!refresh ||
		     json_integer_value(json_object_get(json, "refresh")) == (json_int_t)refresh) &&
		    ((!is && !name) || (is && name && !strcmp(is, name))))
			return json;
		json_decref(json);
	}
	return NULL;
}

static json_t *look(struct sys *sys, const char *name)
{
	json_t *json;

	if (sys_shell(sys, "mapctl --mount %s --json top --count 1", sys->mnt) != 0)
		fail_msg("mapctl top: %s", sys->output);
	json = find_line(sys->output, name, 0);
	if (!json)
		fail_msg("%s is not told:\n%s", name ? name : "no name", sys->output);
	return json;
}

static bool has_line(const char *text, const char *name, unsigned refresh)
{
	json_t *json = find_line(text, name, refresh);

	json_decref(json);
	return json;
}

/* Keeps it known to the kernel, without a handle: who drops caches (any test) makes it forget what
 * is not used. For close(2). */
static int pin(struct sys *sys, const char *name)
{
	int fd = open(sys_path(sys, "%s", name), O_PATH | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void assert_number(const json_t *json, const char *key, long long value)
{
	const json_t *number = json_object_get(json, key);

	if (!json_is_integer(number) || json_integer_value(number) != value) {
		char *text = json_dumps(json, JSON_COMPACT);

		fail_msg("%s is not %lld: %s", key, value, text);
	}
}

static void assert_text(const json_t *json, const char *key, const char *value)
{
	assert_string_equal(json_string_value(json_object_get(json, key)), value);
}

static int hold_views(void *context)
{
	AUTO_CLOSE int fd = open(context, O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3; i++) /* every second page: the kernel does not join them */
		CHECK(mmap(NULL, 4096, RW, MAP_SHARED, fd, i * 8192) != MAP_FAILED);
	for (;;)
		pause();
}

static bool number_is(struct sys *sys, const char *name, const char *key, long long value)
{
	json_t *json = look(sys, name);
	bool is = json_integer_value(json_object_get(json, key)) == value;

	json_decref(json);
	return is;
}

static void memory(void **state)
{
	struct sys *sys = *state;
	const char *path;
	json_t *json;
	char *view;
	pid_t pid;

	sys_mount(sys, NULL);
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	path = object_make(sys, "d/a", WIRE_SET_SIZE | WIRE_SPARSE, SIZE, -1);
	AUTO_CLOSE int pinned = pin(sys, "d/a");
	json = look(sys, "d/a");
	assert_text(json, "type", "mapping");
	assert_text(json, "lifetime", "permanent");
	assert_number(json, "size", SIZE);
	assert_number(json, "resident", 0);
	assert_number(json, "dirty", 0);
	assert_number(json, "views", 0);
	assert_number(json, "handles", 0);
	assert_number(json, "uid", 0);
	assert_true(json_is_null(json_object_get(json, "faults_per_second")));
	json_decref(json);
	view = view_of(path, O_RDWR, SIZE, RW, MAP_SHARED);
	view[0] = view[123456] = 'x';
	pid = sys_fork(sys, hold_views, (void *)path);
	WAIT_UNTIL(10, number_is(sys, "d/a", "views", 5)); /* it inherits the first */
	json = look(sys, "d/a");
	assert_number(json, "handles", sys->mode == SYS_PASSTHROUGH ? 1 : 2);
	if (sys->mode == SYS_PASSTHROUGH) /* else the pages are the kernel's, until written back */
		assert_number(json, "resident", 8192);
	json_decref(json);
	sys_kill(sys, pid);
	munmap(view, SIZE);
	WAIT_UNTIL(10, number_is(sys, "d/a", "views", 0) && number_is(sys, "d/a", "handles", 0));
	assert_int_equal(unlink(path), 0);
	close(steal_fd(&pinned));
}

static void no_name(void **state)
{
	struct sys *sys = *state;
	json_t *json;
	int fd;

	sys_mount(sys, NULL);
	fd = open(object_make(sys, "a", WIRE_SET_SIZE, SIZE, -1), O_RDWR | O_CLOEXEC);
	assert_int_equal(unlink(sys_path(sys, "a")), 0);
	json = look(sys, NULL);
	assert_number(json, "size", SIZE);
	assert_number(json, "resident", SIZE);
	assert_number(json, "handles", 1);
	json_decref(json);
	close(fd);
}

static void bound(void **state)
{
	struct sys *sys = *state;
	json_t *json;
	char *view;

	sys_mount(sys, NULL);
	AUTO_CLOSE int file = make_plain_file(sys, "data", SIZE, NULL);
	assert_int_equal(fsync(file), 0);
	object_make(sys, "b", WIRE_BIND, 0, file);
	AUTO_CLOSE int pinned = pin(sys, "b");
	int fd = open(sys_path(sys, "b"), O_RDWR | O_CLOEXEC);
	view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	view[0] = view[5000] = 'x';
	json = look(sys, "b");
	assert_number(json, "size", SIZE);
	if (sys->mode == SYS_PASSTHROUGH) {
		/* The file system may count by larger pieces. */
		assert_true(json_integer_value(json_object_get(json, "dirty")) >= 8192);
		assert_number(json, "resident", SIZE);
	}
	assert_number(json, "flushes", 0);
	json_decref(json);
	assert_int_equal(fsync(fd), 0);
	json = look(sys, "b");
	assert_number(json, "dirty", 0);
	assert_number(json, "flushes", 1);
	assert_number(json, "failures", 0);
	json_decref(json);
	munmap(view, SIZE);
	close(fd);
	WAIT_UNTIL(10, number_is(sys, "b", "flushes", 2));
	assert_int_equal(unlink(sys_path(sys, "b")), 0);
	close(steal_fd(&pinned));
	WAIT_UNTIL(10, sys_status_number(sys, "bound_files") == 0);
}

static void on_a_disk(void **state)
{
	struct sys *sys = *state;
	char options[128];
	json_t *json;
	int fd;

	snprintf(options, sizeof options, "store=%s/store", sys->dir);
	sys_shell(sys, "mkdir -m 700 %s/store", sys->dir);
	sys_mount(sys, options);
	fd = open(object_make(sys, "a", WIRE_SET_SIZE, SIZE, -1), O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	json = look(sys, "a");
	assert_number(json, "size", SIZE);
	assert_true(json_integer_value(json_object_get(json, "resident")) >= 4096);
	assert_true(json_integer_value(json_object_get(json, "dirty")) >= 4096);
	json_decref(json);
	assert_int_equal(fsync(fd), 0);
	json = look(sys, "a");
	assert_number(json, "dirty", 0);
	assert_number(json, "flushes", 1);
	json_decref(json);
	close(fd);
}

static void waitables(void **state)
{
	struct sys *sys = *state;
	json_t *json;

	sys_mount(sys, NULL);
	assert_int_equal(sys_shell(sys, "mapctl --mount %s create e --type event", sys->mnt), 0);
	AUTO_CLOSE int fd = open(sys_path(sys, "e"), O_RDONLY | O_CLOEXEC);
	json = look(sys, "e");
	assert_text(json, "type", "event");
	assert_number(json, "size", 0);
	assert_number(json, "handles", 1);
	json_decref(json);
}

static void only_ones_own(void **state)
{
	struct sys *sys = *state;
	json_t *json;
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	sys_mount(sys, "allow_other");
	object_make(sys, "root's", WIRE_SET_SIZE, SIZE, -1);
	object_make(sys, "given", WIRE_SET_SIZE, SIZE, -1);
	assert_int_equal(chown(sys_path(sys, "given"), uid, gid), 0);
	AUTO_CLOSE int fd = open(sys_path(sys, "given"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(sys_shell(sys,
				   "setpriv --reuid %u --clear-groups mapctl --mount %s --json top "
				   "--count 1",
				   uid, sys->mnt),
			 0);
	json = find_line(sys->output, "given", 0);
	assert_number(json, "uid", uid);
	assert_number(json, "handles", 1);
	json_decref(json);
	assert_null(strstr(sys->output, "root"));
	assert_int_equal(sys_shell(sys,
				   "setpriv --reuid %u --clear-groups mapctl --mount %s top -n 1",
				   uid, sys->mnt),
			 0);
	assert_non_null(strstr(sys->output, "\n1 objects, 1M, "));
}

/* Pages that come, and flushes, between two looks. */
static void rates(void **state)
{
	struct sys *sys = *state;
	char text[1 << 14] = "";
	size_t used = 0;
	json_t *one, *two;
	int output;
	pid_t pid;

	sys_mount(sys, NULL);
	int fd =
	    open(object_make(sys, "a", WIRE_SET_SIZE | WIRE_SPARSE, SIZE, -1), O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int file = make_plain_file(sys, "data", SIZE, NULL);
	int bound_fd = open(object_make(sys, "b", WIRE_BIND, 0, file), O_RDWR | O_CLOEXEC);
	pid = sys_start(sys, NULL, &output,
			"exec mapctl --mount %s --json top --interval 500ms --count 2", sys->mnt);
	while (used < sizeof text - 1 && (!has_line(text, "a", 1) || !has_line(text, "b", 1)))
		used += (size_t)read(output, text + used, sizeof text - 1 - used);
	for (int i = 0; i < 100; i++)
		assert_int_equal(pwrite(fd, "x", 1, i * 4096), 1);
	if (sys->mode == SYS_CACHED)
		assert_int_equal(fsync(fd), 0);
	assert_int_equal(fsync(bound_fd), 0);
	for (ssize_t got; (got = read(output, text + used, sizeof text - 1 - used)) > 0;)
		used += (size_t)got;
	assert_int_equal(sys_wait(sys, pid), 0);
	one = find_line(text, "a", 2);
	two = find_line(text, "b", 2);
	double seconds = json_number_value(json_object_get(one, "time"));
	json_decref(one);
	one = find_line(text, "a", 1);
	seconds -= json_number_value(json_object_get(one, "time"));
	json_decref(one);
	one = find_line(text, "a", 2);
	assert_true(seconds >= 0.45);
	/* In pieces larger than a page, where the kernel likes them. */
	double pages = json_number_value(json_object_get(one, "faults_per_second")) * seconds + 0.5;
	assert_true(pages >= 100 && pages < 257);
	assert_int_equal(
	    (int)(json_number_value(json_object_get(two, "flushes_per_second")) * seconds + 0.5),
	    1);
	json_decref(one);
	json_decref(two);
	close(output);
	close(bound_fd);
	close(fd);
}

static size_t order_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	if (!at)
		fail_msg("no %s in\n%s", name, text);
	return (size_t)(at - text);
}

static void tables(void **state)
{
	struct sys *sys = *state;
	char *view;

	sys_mount(sys, NULL);
	object_make(sys, "large-sparse", WIRE_SET_SIZE | WIRE_SPARSE, 8 * SIZE, -1);
	object_make(sys, "full", WIRE_SET_SIZE, 2 * SIZE, -1);
	view = view_of(object_make(sys, "viewed", WIRE_SET_SIZE, SIZE, -1), O_RDONLY, SIZE,
		       PROT_READ, MAP_SHARED);
	AUTO_CLOSE int one = pin(sys, "large-sparse");
	AUTO_CLOSE int two = pin(sys, "full");
	assert_int_equal(
	    sys_shell(sys, "mapctl --mount %s top --count 2 --interval 100ms", sys->mnt), 0);
	assert_non_null(strstr(sys->output, "3 objects, 11M, 3M resident, 0 dirty, 1 views, "));
	assert_null(strchr(sys->output, '\033'));
	assert_true(order_of(sys->output, "  full\n") < order_of(sys->output, "  viewed\n"));
	assert_true(order_of(sys->output, "  viewed\n") <
		    order_of(sys->output, "  large-sparse\n"));
	assert_non_null(strstr(strstr(sys->output, "FAULTS/S") + 1, "FAULTS/S"));
	assert_int_equal(sys_shell(sys, "mapctl --mount %s top -n 1 --sort size", sys->mnt), 0);
	assert_true(order_of(sys->output, "  large-sparse\n") < order_of(sys->output, "  full\n"));
	assert_int_equal(sys_shell(sys, "mapctl --mount %s top -n 1 --sort views", sys->mnt), 0);
	assert_true(order_of(sys->output, "  viewed\n") < order_of(sys->output, "  full\n"));
	assert_int_equal(sys_shell(sys, "mapctl --mount %s top -n 1 --sort name", sys->mnt), 0);
	assert_true(order_of(sys->output, "  full\n") < order_of(sys->output, "  large-sparse\n"));
	assert_int_equal(sys_shell(sys, "mapctl --mount %s top --sort colour", sys->mnt), 2);
	assert_int_equal(sys_shell(sys, "mapctl --mount %s top --interval 1ms", sys->mnt), 2);
	assert_int_equal(sys_shell(sys, "mapctl --mount %s top --count 0", sys->mnt), 2);
	munmap(view, SIZE);
}

/* --- on a terminal --- */

struct terminal {
	int fd;
	pid_t pid;
	char seen[1 << 16];
	size_t used;
};

static void terminal_start(struct terminal *terminal, struct sys *sys, unsigned columns,
			   unsigned rows)
{
	struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};

	*terminal = (struct terminal){0};
	fflush(NULL);
	terminal->pid = forkpty(&terminal->fd, NULL, NULL, &size);
	assert_true(terminal->pid >= 0);
	if (terminal->pid == 0) {
		for (int number = 1; number < 32; number++)
			signal(number, SIG_DFL);
		execlp("mapctl", "mapctl", "--mount", sys->mnt, "top", "--interval", "200ms", NULL);
		_exit(127);
	}
	fcntl(terminal->fd, F_SETFD, FD_CLOEXEC);
}

/* Reads until `text` has come since the last call; fails after 10 s. */
static void terminal_wait(struct terminal *terminal, const char *text)
{
	struct pollfd fds = {.fd = terminal->fd, .events = POLLIN};
	uint64_t until = sys_deadline(10);

	terminal->used = 0;
	terminal->seen[0] = '\0';
	while (!strstr(terminal->seen, text)) {
		ssize_t got = -1;

		if (poll(&fds, 1, 100) > 0)
			got = read(terminal->fd, terminal->seen + terminal->used,
				   sizeof terminal->seen - 1 - terminal->used);
		if (got > 0)
			terminal->used += (size_t)got;
		terminal->seen[terminal->used] = '\0';
		if (sys_past(until))
			fail_msg("not on the terminal: %s; but: %s", text, terminal->seen);
	}
}

static int terminal_end(struct terminal *terminal)
{
	int status;

	assert_int_equal(waitpid(terminal->pid, &status, 0), terminal->pid);
	close(terminal->fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* No line of a screen is longer than it, and no more lines than it has. */
static void check_screen(const char *screen, unsigned columns, unsigned rows)
{
	unsigned lines = 1, column = 0;

	for (const char *at = screen; *at && strncmp(at, "\033[J", 3) != 0; at++) {
		if (!strncmp(at, "\033[K", 3)) {
			at += 2;
		} else if (*at == '\n') {
			lines++;
			column = 0;
		} else if (*at != '\r') {
			column++;
		}
		if (column > columns)
			fail_msg("a line of more than %u: %s", columns, screen);
	}
	if (lines > rows)
		fail_msg("%u lines: %s", lines, screen);
}

static void a_screen(void **state)
{
	struct sys *sys = *state;
	static struct terminal terminal;
	struct winsize narrow = {.ws_col = 40, .ws_row = 6};
	struct termios before, during;
	const char *screen;
	int pins[30];

	sys_mount(sys, NULL);
	for (int i = 0; i < 30; i++) {
		char name[32];

		snprintf(name, sizeof name, "object-%02d", i);
		object_make(sys, name, WIRE_SET_SIZE, SIZE, -1);
		pins[i] = pin(sys, name);
	}
	terminal_start(&terminal, sys, 100, 12);
	assert_int_equal(tcgetattr(terminal.fd, &before), 0);
	terminal_wait(&terminal, "\033[J"); /* one look is whole */
	screen = strstr(terminal.seen, "\033[2J");
	assert_non_null(screen);
	screen = strstr(screen, "\033[H");
	check_screen(screen + 3, 100, 12);
	assert_non_null(strstr(screen, "object-00"));
	assert_non_null(strstr(screen, "object-08"));
	assert_null(strstr(screen, "object-09"));
	assert_int_equal(tcgetattr(terminal.fd, &during), 0);
	assert_false(during.c_lflag & ICANON);
	assert_int_equal(ioctl(terminal.fd, TIOCSWINSZ, &narrow), 0);
	WAIT_UNTIL(10, (terminal_wait(&terminal, "\033[J"), !strstr(terminal.seen, "object-04")));
	terminal_wait(&terminal, "\033[J");
	check_screen(strstr(terminal.seen, "\033[H") + 3, 40, 6);
	assert_int_equal(write(terminal.fd, "xq", 2), 2);
	terminal_wait(&terminal, "\033[?1049l");
	assert_int_equal(tcgetattr(terminal.fd, &during), 0);
	assert_int_equal(during.c_lflag, before.c_lflag);
	assert_int_equal(terminal_end(&terminal), 0);
	for (size_t i = 0; i < ARRAY_SIZE(pins); i++)
		close(pins[i]);
}

static void interrupted(void **state)
{
	struct sys *sys = *state;
	static struct terminal terminal;

	sys_mount(sys, NULL);
	terminal_start(&terminal, sys, 80, 24);
	terminal_wait(&terminal, "\033[J");
	assert_int_equal(write(terminal.fd, "\003", 1), 1); /* Ctrl-C */
	terminal_wait(&terminal, "\033[?1049l");
	assert_int_equal(terminal_end(&terminal), 0);
	/* Unmounted meanwhile: it gives the terminal back, and says why it ends. */
	terminal_start(&terminal, sys, 80, 24);
	terminal_wait(&terminal, "\033[J");
	sys_unmount(sys);
	terminal_wait(&terminal, "mapctl: top: ");
	assert_int_equal(terminal_end(&terminal), 1);
}

static void nothing_is_left(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, NULL);
	AUTO_CLOSE int file = make_plain_file(sys, "data", SIZE, NULL);
	object_make(sys, "b", WIRE_BIND, 0, file);
	object_make(sys, "a", WIRE_SET_SIZE, SIZE, -1);
	const struct leaks before = leaks_count(sys);
	for (int i = 0; i < 20; i++)
		assert_int_equal(sys_shell(sys, "mapctl --mount %s top -n 1", sys->mnt), 0);
	assert_int_equal(
	    sys_shell(sys,
		      "for i in 1 2 3 4 5 6 7 8; do mapctl --mount %s top -n 9 -i 100ms & "
		      "done; sleep 0.2; kill -9 $(jobs -p); wait",
		      sys->mnt),
	    0);
	sys_kill_worker(sys);
	int pinned = pin(sys, "a"); /* known to the kernel again */
	json_decref(look(sys, "a"));
	close(pinned);
	leaks_check(sys, &before);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(memory),          SYS_TEST_BOTH_MODES(no_name),
    SYS_TEST_BOTH_MODES(bound),           SYS_TEST_BOTH_MODES(on_a_disk),
    SYS_TEST_BOTH_MODES(waitables),       SYS_TEST_BOTH_MODES(only_ones_own),
    SYS_TEST_BOTH_MODES(rates),           SYS_TEST_PASSTHROUGH(tables),
    SYS_TEST_PASSTHROUGH(a_screen),       SYS_TEST_PASSTHROUGH(interrupted),
    SYS_TEST_BOTH_MODES(nothing_is_left),
};

int main(void)
{
	return sys_run_tests("top", tests);
}
