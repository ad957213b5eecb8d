/* The stream of events as a connection: who sees what, who is too slow, what is left. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"
#include "tests/sys/watcher.h"

enum { SIZE = 1 << 20, RW = PROT_READ | PROT_WRITE };

static struct watcher watcher, second;

static void make(struct sys *sys, const char *name)
{
	if (mknod(sys_path(sys, "%s", name), S_IFREG | 0600, 0) < 0)
		fail_msg("%s: %s", name, strerror(errno));
}

/* A connection that watches; no directory: fd -1. Its answer's error, positive. */
static int ask_to_watch(const char *mnt, int directory, int *out)
{
	const struct wire_request request = wire_request_of(WIRE_WATCH, 0, 0);
	AUTO_CLOSE int sock = control_connect(mnt);
	struct wire_reply reply = {0};
	int fd, rc;

	rc = control_send(sock, &request, sizeof request, &directory, directory >= 0);
	if (rc == 0)
		rc = control_receive(sock, &reply, &fd);
	if (rc < 0)
		return -rc;
	if (reply.error == 0)
		*out = steal_fd(&sock);
	return reply.error;
}

static const char *next_event(int sock)
{
	static char line[WIRE_EVENT_MAX + 1];
	ssize_t got = recv(sock, line, WIRE_EVENT_MAX, 0);

	if (got <= 0)
		return NULL;
	line[got] = '\0';
	return event_words(line);
}

/* --- who sees what --- */

static void only_ones_own(void **state)
{
	struct sys *sys = *state;
	uid_t uid;
	gid_t gid;

	sys_ordinary_user(&uid, &gid);
	sys_mount(sys, "allow_other");
	watcher_start(&watcher, sys, uid, "");
	make(sys, "root's");
	make(sys, "given");
	assert_int_equal(chown(sys_path(sys, "given"), uid, gid), 0);
	close(open(sys_path(sys, "given"), O_RDONLY | O_CLOEXEC));
	close(open(sys_path(sys, "root's"), O_RDONLY | O_CLOEXEC));
	watcher_expect(&watcher, "opened given r\nlast-view given\n");
	assert_int_equal(rename(sys_path(sys, "root's"), sys_path(sys, "given")), 0);
	watcher_expect(&watcher, "removed given replaced 0\n");
	watcher_end(&watcher);
}

static void a_tree(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, NULL);
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	assert_int_equal(mkdir(sys_path(sys, "d/e"), 0755), 0);
	assert_int_equal(mkdir(sys_path(sys, "dd"), 0755), 0);
	watcher_start(&watcher, sys, 0, "d");
	make(sys, "outside");
	make(sys, "dd/outside");
	make(sys, "d/e/a");
	watcher_expect(&watcher, "created e/a\n");
	assert_int_equal(rename(sys_path(sys, "d/e/a"), sys_path(sys, "b")), 0);
	assert_int_equal(rename(sys_path(sys, "dd/outside"), sys_path(sys, "d/c")), 0);
	watcher_expect(&watcher, "renamed -<e/a\nrenamed c<-\n");
	/* It is the directory that is watched, whatever its name. */
	assert_int_equal(rename(sys_path(sys, "d"), sys_path(sys, "dd/f")), 0);
	close(open(sys_path(sys, "dd/f/c"), O_RDONLY | O_CLOEXEC));
	watcher_expect(&watcher, "opened c r\nlast-view c\n");
	watcher_end(&watcher);
	assert_int_equal(sys_shell(sys, "mapctl --mount %s watch dd/f/c </dev/null", sys->mnt), 1);
	assert_non_null(strstr(sys->output, "directory"));
}

/* A container that has one directory and the socket: the library restricts by itself. */
static void a_container(void **state)
{
	struct sys *sys = *state;
	const char *bin = getenv("MAPPINGFS_BIN");
	char line[512] = "";
	int output;
	pid_t pid;

	sys_mount(sys, NULL);
	assert_int_equal(mkdir(sys_path(sys, "given"), 0777), 0);
	pid = sys_start(sys, NULL, &output,
			"exec bwrap --unshare-all --die-with-parent --ro-bind /usr /usr --symlink "
			"usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc "
			"/proc --dev /dev --tmpfs /tmp --bind %s/given /objects --bind "
			"%s/.control /control --ro-bind %s /tools --setenv ASAN_OPTIONS "
			"detect_leaks=0 /tools/mapctl watch",
			sys->mnt, sys->mnt, bin ? bin : TEST_BIN_DIR);
	fcntl(output, F_SETFL, O_NONBLOCK);
	WAIT_UNTIL(10, (mknod(sys_path(sys, "secret"), S_IFREG | 0600, 0),
			mknod(sys_path(sys, "given/a"), S_IFREG | 0600, 0),
			unlink(sys_path(sys, "given/a")), unlink(sys_path(sys, "secret")),
			read(output, line, sizeof line - 1) > 0));
	assert_null(strstr(line, "secret"));
	assert_non_null(strstr(line, "\"name\":\"a\""));
	close(output);
	assert_int_equal(sys_wait(sys, pid), 0);
}

static void wrong_requests(void **state)
{
	struct sys *sys = *state;
	int sock = -1, file;

	sys_mount(sys, NULL);
	make(sys, "a");
	file = open(sys_path(sys, "a"), O_PATH | O_CLOEXEC);
	assert_int_equal(ask_to_watch(sys->mnt, file, &sock), ENOTDIR);
	close(file);
	file = open("/", O_PATH | O_CLOEXEC);
	assert_int_equal(ask_to_watch(sys->mnt, file, &sock), EXDEV);
	close(file);
	file = open(sys->mnt, O_RDONLY | O_CLOEXEC);
	assert_int_equal(ask_to_watch(sys->mnt, file, &sock), EBADF);
	close(file);
	assert_int_equal(sock, -1);
	/* Who watches has nothing more to say. */
	assert_int_equal(ask_to_watch(sys->mnt, -1, &sock), 0);
	assert_int_equal(send(sock, "x", 1, MSG_NOSIGNAL), 1);
	assert_null(next_event(sock));
	close(sock);
	object_check_service(sys);
}

struct crowd {
	const char *mnt;
	uid_t uid;
};

static int one_too_many(void *context)
{
	const struct crowd *crowd = context;
	int socks[17], last = -1;

	CHECK(setgid(crowd->uid) == 0 && setuid(crowd->uid) == 0);
	for (int i = 0; i < 16; i++)
		CHECK(ask_to_watch(crowd->mnt, -1, &socks[i]) == 0);
	CHECK(ask_to_watch(crowd->mnt, -1, &last) == EUSERS);
	close(socks[3]);
	CHECK(BECOMES_TRUE(10, ask_to_watch(crowd->mnt, -1, &socks[3]) == 0));
	return 0;
}

static void many_watchers(void **state)
{
	struct sys *sys = *state;
	int socks[100];
	struct crowd crowd;
	gid_t gid;

	sys_mount(sys, "allow_other");
	crowd.mnt = sys->mnt;
	sys_ordinary_user(&crowd.uid, &gid);
	const struct leaks before = leaks_count(sys);
	assert_int_equal(sys_wait(sys, sys_fork(sys, one_too_many, &crowd)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(socks); i++)
		assert_int_equal(ask_to_watch(sys->mnt, -1, &socks[i]), 0);
	make(sys, "a");
	for (size_t i = 0; i < ARRAY_SIZE(socks); i++) {
		assert_string_equal(next_event(socks[i]), "created a");
		close(socks[i]);
	}
	assert_int_equal(unlink(sys_path(sys, "a")), 0);
	leaks_check(sys, &before);
}

/* --- how fast --- */

static void a_slow_reader(void **state)
{
	enum { OBJECTS = 3000 };
	struct sys *sys = *state;
	long long got = 0, lost = 0, gaps = 0;
	const char *words;
	int slow, quick;

	sys_mount(sys, NULL);
	assert_int_equal(ask_to_watch(sys->mnt, -1, &slow), 0);
	assert_int_equal(ask_to_watch(sys->mnt, -1, &quick), 0);
	for (int i = 0; i < OBJECTS; i++) {
		make(sys, "a");
		assert_int_equal(unlink(sys_path(sys, "a")), 0);
		assert_string_equal(next_event(quick), "created a");
		assert_string_equal(next_event(quick), "removed a unlink 0");
	}
	/* It holds back nobody, and is told how much it missed as soon as it reads. */
	for (bool more = true; more;) {
		words = next_event(slow);
		assert_non_null(words);
		if (!strncmp(words, "lost ", 5)) {
			lost += atoll(words + 5);
			gaps++;
			more = false;
		} else {
			assert_string_equal(words, got++ % 2 ? "removed a unlink 0" : "created a");
		}
	}
	sys_say("%lld events kept, %lld lost", got, lost);
	assert_true(got >= 200 && gaps == 1);
	assert_int_equal(got + lost, 2 * OBJECTS);
	make(sys, "b");
	assert_string_equal(next_event(slow), "created b");
	close(slow);
	close(quick);
}

static long context_switches(pid_t pid)
{
	char path[64], line[256];
	long sum = 0, count;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &count) == 1)
			sum += count;
	fclose(file);
	return sum;
}

/* Views and handles are there, and nothing happens: nobody wakes up for that. */
static void idle_costs_nothing(void **state)
{
	struct sys *sys = *state;
	long worker, mapctl;
	char *view, *late;
	pid_t pid;

	sys_mount(sys, NULL);
	late = view_of(object_make(sys, "early", WIRE_SET_SIZE, SIZE, -1), O_RDWR, SIZE, RW,
		       MAP_SHARED);
	watcher_start(&watcher, sys, 0, "");
	view =
	    view_of(object_make(sys, "a", WIRE_SET_SIZE, SIZE, -1), O_RDWR, SIZE, RW, MAP_SHARED);
	while (watcher_next(&watcher, 1.5))
		continue;
	pid = sys_worker(sys);
	worker = context_switches(pid);
	mapctl = context_switches(watcher.pid);
	usleep(1500000);
	assert_int_equal(context_switches(pid), worker);
	assert_int_equal(context_switches(watcher.pid), mapctl);
	munmap(view, SIZE);
	munmap(late, SIZE);
	assert_non_null(watcher_next(&watcher, 10));
	assert_non_null(watcher_next(&watcher, 10));
	watcher_end(&watcher);
}

/* --- ends --- */

static void the_worker_dies(void **state)
{
	struct sys *sys = *state;
	char *view;

	sys_mount(sys, NULL);
	object_make(sys, "a", WIRE_SET_SIZE, SIZE, -1);
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	watcher_start(&watcher, sys, 0, "");
	watcher_start(&second, sys, 0, "d");
	assert_string_equal(watcher_next(&watcher, 10), "created d/begin-0");
	while (watcher_next(&watcher, 0.2))
		continue;
	view = view_of(sys_path(sys, "a"), O_RDWR, SIZE, RW, MAP_SHARED);
	watcher_expect(&watcher, "opened a rw\n");
	sys_kill_worker(sys);
	watcher_expect(&watcher, "restarted\n");
	watcher_expect(&second, "restarted\n");
	while (watcher_next(&watcher, 0.2))
		continue;
	munmap(view, SIZE);
	watcher_expect(&watcher, "last-view a\n");
	make(sys, "d/b");
	watcher_expect(&second, "created b\n");
	watcher_end(&second);
	watcher_end(&watcher);
}

static void unmounted(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, NULL);
	watcher_start(&watcher, sys, 0, "");
	close(watcher.where);
	sys_unmount(sys); /* it does not keep the mount */
	assert_string_equal(watcher_next(&watcher, 10), "unmounted");
	assert_null(watcher_next(&watcher, 10));
	watcher.where = open("/", O_PATH | O_CLOEXEC);
	watcher_end(&watcher);
}

static void nothing_is_left(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, NULL);
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	const struct leaks before = leaks_count(sys);
	for (int round = 0; round < 5; round++) {
		watcher_start(&watcher, sys, 0, round % 2 ? "d" : "");
		make(sys, "d/a");
		munmap(view_of(sys_path(sys, "d/a"), O_RDWR, SIZE, PROT_READ, MAP_SHARED), SIZE);
		assert_int_equal(unlink(sys_path(sys, "d/a")), 0);
		if (round % 2)
			sys_kill(sys, watcher.pid);
		if (round % 2)
			close(watcher.output), close(watcher.where);
		else
			watcher_end(&watcher);
	}
	leaks_check(sys, &before);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(only_ones_own),      SYS_TEST_BOTH_MODES(a_tree),
    SYS_TEST_PASSTHROUGH(a_container),       SYS_TEST_CACHED(wrong_requests),
    SYS_TEST_CACHED(many_watchers),          SYS_TEST_BOTH_MODES(a_slow_reader),
    SYS_TEST_BOTH_MODES(idle_costs_nothing), SYS_TEST_BOTH_MODES(the_worker_dies),
    SYS_TEST_BOTH_MODES(unmounted),          SYS_TEST_BOTH_MODES(nothing_is_left),
};

int main(void)
{
	return sys_run_tests("watch_stream", tests);
}
