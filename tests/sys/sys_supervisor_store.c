/* systemd keeps our descriptors: all our processes are killed at once, the service is begun again,
 * and nobody notices. The service manager here is the test itself. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/sys/objects.h"
#include "tests/sys/storm_crowd.h"

enum { MOST = 200, RESTARTS = 6, LOADS = 2 };

struct manager {
	struct sys *sys;
	int socket;
	struct sockaddr_un address;
	char names[MOST][64];
	int fds[MOST];
	int count;
	volatile bool ready, stop;
	pthread_t thread;
	pthread_mutex_t lock;
	pid_t main;
};

static void manager_open(struct manager *m, struct sys *sys)
{
	*m = (struct manager){
	    .sys = sys, .address = {.sun_family = AF_UNIX}, .lock = PTHREAD_MUTEX_INITIALIZER};
	m->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(m->address.sun_path, sizeof m->address.sun_path, "%s/notify", sys->dir);
	assert_int_equal(bind(m->socket, (struct sockaddr *)&m->address, sizeof m->address), 0);
}

static void forget(struct manager *m, int at)
{
	close(m->fds[at]);
	m->count--;
	m->fds[at] = m->fds[m->count];
	memmove(m->names[at], m->names[m->count], sizeof m->names[at]);
}

static void manager_close(struct manager *m)
{
	m->stop = true;
	pthread_join(m->thread, NULL);
	while (m->count)
		forget(m, m->count - 1);
	close(m->socket);
}

static const char *value(const char *text, const char *key, char *out, size_t size)
{
	const char *at = strstr(text, key);

	if (!at)
		return NULL;
	snprintf(out, size, "%.*s", (int)strcspn(at + strlen(key), "\n"), at + strlen(key));
	return out;
}

static void obey(struct manager *m, const char *text, int fd)
{
	char name[64];

	m->ready |= strstr(text, "READY=1") != NULL;
	if (!value(text, "FDNAME=", name, sizeof name)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (strstr(text, "FDSTOREREMOVE=1")) {
		for (int i = m->count - 1; i >= 0; i--)
			if (!strcmp(m->names[i], name))
				forget(m, i);
		return;
	}
	assert_true(fd >= 0 && m->count < MOST);
	m->fds[m->count] = fd;
	snprintf(m->names[m->count++], sizeof m->names[0], "%s", name);
}

/* One message; false: none came in time. */
static bool hear(struct manager *m, int timeout_ms)
{
	struct pollfd waiting = {.fd = m->socket, .events = POLLIN};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char text[2048];
	struct iovec iov = {text, sizeof text - 1};
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = &control,
				.msg_controllen = sizeof control};
	struct cmsghdr *rights;
	ssize_t got;
	int fd = -1;

	if (poll(&waiting, 1, timeout_ms) != 1)
		return false;
	got = recvmsg(m->socket, &header, MSG_CMSG_CLOEXEC);
	assert_true(got >= 0);
	text[got] = '\0';
	rights = CMSG_FIRSTHDR(&header);
	if (rights && rights->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(rights), sizeof fd);
	obey(m, text, fd);
	return true;
}

/* As systemd does, whatever else goes on: who says something waits for it. */
static void *listen_always(void *context)
{
	struct manager *m = context;

	while (!m->stop) {
		struct pollfd waiting = {.fd = m->socket, .events = POLLIN};

		poll(&waiting, 1, 20);
		pthread_mutex_lock(&m->lock);
		hear(m, 0);
		pthread_mutex_unlock(&m->lock);
	}
	return NULL;
}

static void hear_all(struct manager *m)
{
	pthread_mutex_lock(&m->lock);
	while (hear(m, 0))
		continue;
	pthread_mutex_unlock(&m->lock);
}

static int be_service(void *context)
{
	struct manager *m = context;
	char names[MOST * 64] = "", number[16];
	const char *mode = m->sys->mode == SYS_CACHED ? "mode=cached" : "mode=passthrough";

	for (int i = 0; i < m->count; i++) /* out of the way first */
		CHECK((m->fds[i] = fcntl(m->fds[i], F_DUPFD, 300)) >= 0);
	for (int i = 0; i < m->count; i++) {
		CHECK(dup2(m->fds[i], 3 + i) >= 0);
		snprintf(names + strlen(names), 70, "%s%s", i ? ":" : "", m->names[i]);
	}
	close_range(3 + (unsigned)m->count, ~0U, 0);
	snprintf(number, sizeof number, "%d", m->count);
	if (m->count) {
		setenv("LISTEN_FDS", number, 1);
		setenv("LISTEN_FDNAMES", names, 1);
		snprintf(number, sizeof number, "%d", getpid());
		setenv("LISTEN_PID", number, 1);
	}
	setenv("NOTIFY_SOCKET", m->address.sun_path, 1);
	setenv("FDSTORE", "1000", 1);
	execlp("mappingfs", "mappingfs", "-f", "-o", mode, m->sys->mnt, (char *)NULL);
	return 127;
}

static void begin(struct manager *m)
{
	pthread_mutex_lock(&m->lock);
	m->ready = false;
	m->main = sys_fork(m->sys, be_service, m);
	pthread_mutex_unlock(&m->lock);
	WAIT_UNTIL(20, m->ready);
}

/* As `kill -9` of the whole service. */
static void kill_service(struct manager *m)
{
	pid_t worker = sys_worker(m->sys);

	assert_true(worker > 0);
	kill(m->main, SIGSTOP);
	kill(worker, SIGKILL);
	sys_kill(m->sys, m->main);
	hear_all(m);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

static bool keeps(const struct manager *m, const char *name)
{
	for (int i = 0; i < m->count; i++)
		if (!strcmp(m->names[i], name))
			return true;
	return false;
}

static int wait_in_line(void *context)
{
	struct sys *sys = context;
	char line[64] = "";
	AUTO_CLOSE int fd = open(sys_path(sys, "event"), O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(pread(fd, line, sizeof line - 1, 0) > 0);
	return 0;
}

static void nobody_notices(void **state)
{
	struct sys *sys = *state;
	struct manager m;
	struct storm_crowd crowd;
	pid_t waiter;
	const char *file, *why;

	if (sys->mode == SYS_PASSTHROUGH && !sys_passthrough_possible(&why))
		sys_skip("passthrough cannot be had: %s", why);
	sys_time_limit(sys, 120);
	manager_open(&m, sys);
	assert_int_equal(pthread_create(&m.thread, NULL, listen_always, &m), 0);
	begin(&m);
	sys->mounted = true;
	assert_true(keeps(&m, "record") && keeps(&m, "fuse") && keeps(&m, "state"));
	assert_int_equal(sys_standby(sys), 0); /* systemd would kill it */
	storm_prepare(&crowd, sys, LOADS);
	assert_int_equal(sys_shell(sys, "mapctl --mount %s create event --type event", sys->mnt),
			 0);
	AUTO_CLOSE int plain = make_plain_file(sys, "plain", 8192, &file);
	object_make(sys, "bound", WIRE_BIND, 0, plain);
	object_make(sys, "dropped", WIRE_BIND, 0, plain);
	assert_int_equal(unlink(sys_path(sys, "dropped")), 0);
	waiter = sys_fork(sys, wait_in_line, sys);
	storm_start(&crowd, sys);
	for (int i = 0; i < RESTARTS; i++) {
		uint64_t done = crowd.storm->rounds[0];

		WAIT_UNTIL(20, crowd.storm->rounds[0] > done + 200);
		kill_service(&m);
		begin(&m);
		assert_int_equal(sys_status_number(sys, "supervisor_pid"), m.main);
		AUTO_CLOSE int fd = open(sys_path(sys, "bound"), O_RDONLY | O_CLOEXEC);
		char pattern[4096];
		assert_int_equal(pread(fd, pattern, sizeof pattern, 0), sizeof pattern);
		assert_true(has_pattern(pattern, 0, sizeof pattern));
	}
	struct storm_total total = storm_stop(&crowd, sys);
	sys_say("%d times all killed, %llu operations, the longest took %llu ms", RESTARTS,
		(unsigned long long)total.rounds, (unsigned long long)total.longest_ns / 1000000);
	assert_int_equal(total.failed, 0);
	object_check_service(sys);
	assert_int_equal(sys_shell(sys, "echo set >%s/event", sys->mnt), 0);
	assert_int_equal(sys_wait(sys, waiter), 0);
	/* The end takes all back. */
	assert_int_equal(kill(m.main, SIGTERM), 0);
	WAIT_UNTIL(20, has_ended(m.main));
	assert_int_equal(sys_wait(sys, m.main), 0);
	hear_all(&m);
	for (int i = 0; i < m.count; i++)
		sys_say("still kept: %s", m.names[i]);
	assert_int_equal(m.count, 0);
	sys->mounted = false;
	manager_close(&m);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(nobody_notices),
};

int main(void)
{
	return sys_run_tests("supervisor_store", tests);
}
