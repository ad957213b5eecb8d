/* Wrong control messages, wrong descriptors, too many clients: clear errors, nothing leaked,
 * service goes on. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/sys/leaks.h"
#include "tests/sys/objects.h"

static struct leaks held; /* before the test */

static void start(struct sys *sys)
{
	sys_mount(sys, "size=64m");
	/* What is opened once and kept is there now. */
	object_make(sys, "before", WIRE_SET_SIZE, 4096, -1);
	object_check_service(sys);
	held = leaks_count(sys);
}

static void check_nothing_left(struct sys *sys)
{
	object_check_service(sys);
	assert_int_equal(sys_status_number(sys, "restarts"), 0); /* it did not die of it */
	leaks_check(sys, &held);
}

static int exchange(struct sys *sys, const void *bytes, size_t length, const int *fds, size_t count)
{
	struct wire_reply reply;
	int fd;
	AUTO_CLOSE int sock = control_connect(sys->mnt);

	assert_true(sock >= 0);
	int rc = control_send(sock, bytes, length, fds, count);
	assert_true(rc == 0 || rc == -EMSGSIZE);
	if (rc < 0)
		return -rc;
	rc = control_receive(sock, &reply, &fd);
	if (fd >= 0)
		close(fd);
	if (rc == -EPIPE) /* hanging up is an answer to nonsense */
		return EPIPE;
	assert_int_equal(rc, 0);
	if (reply.error) {
		assert_int_equal(reply.text[WIRE_TEXT_MAX - 1], 0);
		assert_true(reply.text[0] != '\0'); /* says why */
	}
	return reply.error;
}

static void shapes(void **state)
{
	struct sys *sys = *state;
	static char big[200000];
	start(sys);
	struct wire_request good = wire_request_of(WIRE_STATUS, 0, 0), bad;

	for (size_t length = 1; length < sizeof(good); length++)
		assert_int_not_equal(exchange(sys, &good, length, NULL, 0), 0);
	memcpy(big, &good, sizeof(good));
	assert_int_not_equal(exchange(sys, big, sizeof(good) + 1, NULL, 0), 0);
	assert_int_equal(exchange(sys, big, WIRE_MAX_REQUEST + 1, NULL, 0), EMSGSIZE);
	assert_int_not_equal(exchange(sys, big, 60000, NULL, 0), 0);
	assert_int_not_equal(exchange(sys, big, sizeof(big), NULL, 0), 0);
	for (unsigned type = 0; type < 70000; type = type < 10 ? type + 1 : type * 7) {
		bad = good;
		bad.type = (uint16_t)type;
		if (bad.type != WIRE_STATUS && bad.type != WIRE_WATCH && bad.type != WIRE_TOP &&
		    bad.type != WIRE_UPGRADE)
			assert_int_not_equal(exchange(sys, &bad, sizeof(bad), NULL, 0), 0);
	}
	bad = good, bad.magic++;
	assert_int_not_equal(exchange(sys, &bad, sizeof(bad), NULL, 0), 0);
	bad = good, bad.version = 99;
	assert_int_not_equal(exchange(sys, &bad, sizeof(bad), NULL, 0), 0);
	bad = good, bad.length = 0;
	assert_int_not_equal(exchange(sys, &bad, sizeof(bad), NULL, 0), 0);
	bad = good, bad.length = UINT32_MAX;
	assert_int_not_equal(exchange(sys, &bad, sizeof(bad), NULL, 0), 0);
	bad = wire_request_of(WIRE_CONFIGURE, 1u << 20, 0);
	assert_int_not_equal(exchange(sys, &bad, sizeof(bad), NULL, 0), 0);
	check_nothing_left(sys);
}

static void noise(void **state)
{
	struct sys *sys = *state;
	unsigned char bytes[WIRE_MAX_REQUEST];
	start(sys);
	srand(7);
	for (int i = 0; i < 300; i++) {
		struct wire_request *request = (void *)bytes;
		for (size_t b = 0; b < sizeof(bytes); b++)
			bytes[b] = (unsigned char)rand();
		if (i % 2)
			*request =
			    wire_request_of((enum wire_type)(rand() % 5), (uint32_t)rand() % 64,
					    (uint64_t)rand() << (rand() % 60));
		int fd = open("/dev/null", O_RDWR | O_CLOEXEC), fds[] = {fd, fd};
		exchange(sys, bytes, i % 2 ? sizeof(*request) : (size_t)(rand() % 512) + 1, fds,
			 (size_t)(rand() % 3));
		close(fd);
	}
	check_nothing_left(sys);
}

/* Descriptors of the wrong kind as the object of a request. */
static void wrong_objects(void **state)
{
	struct sys *sys = *state;
	const char *file;
	int pair[2], pipes[2];
	start(sys);
	int plain = make_plain_file(sys, "data", 8192, &file);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	mkdir(sys_path(sys, "d"), 0755);
	mkfifo(sys_path(sys, "p"), 0644);
	symlink("before", sys_path(sys, "l"));
	int fds[] = {
	    plain,
	    pair[0],
	    pipes[0],
	    open("/dev/null", O_RDWR | O_CLOEXEC),
	    eventfd(0, EFD_CLOEXEC),
	    memfd_create("m", MFD_CLOEXEC),
	    open(sys->dir, O_RDONLY | O_CLOEXEC),
	    open(file, O_PATH | O_CLOEXEC),
	    open("/proc/self", O_PATH | O_CLOEXEC),
	    open(sys->mnt, O_PATH | O_CLOEXEC),
	    open(sys_path(sys, "d"), O_PATH | O_CLOEXEC),
	    open(sys_path(sys, "p"), O_PATH | O_CLOEXEC),
	    open(sys_path(sys, "l"), O_PATH | O_NOFOLLOW | O_CLOEXEC),
	    open(sys_path(sys, ".control"), O_PATH | O_CLOEXEC),
	    open(sys_path(sys, "before"), O_PATH | O_CLOEXEC), /* configured already */
	    open(sys_path(sys, "before"), O_RDWR | O_CLOEXEC),
	};
	struct wire_request configure = wire_request_of(WIRE_CONFIGURE, WIRE_SET_SIZE, 8192);
	struct wire_request bind = wire_request_of(WIRE_CONFIGURE, WIRE_BIND, 0);
	struct wire_request who = wire_request_of(WIRE_WHO, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		int both[] = {fds[i], plain}, same[] = {fds[i], fds[i]};
		assert_true(fds[i] >= 0);
		assert_int_not_equal(exchange(sys, &configure, sizeof(configure), &fds[i], 1), 0);
		assert_int_not_equal(exchange(sys, &bind, sizeof(bind), both, 2), 0);
		assert_int_not_equal(exchange(sys, &bind, sizeof(bind), same, 2), 0);
		if (i + 2 < ARRAY_SIZE(fds))
			exchange(sys, &who, sizeof(who), &fds[i], 1);
	}
	assert_int_equal(size_of(sys_path(sys, "before")), 4096);
	assert_int_equal(size_of(file), 8192);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	close(pair[1]);
	close(pipes[1]);
	check_nothing_left(sys);
}

static void wrong_numbers_of_descriptors(void **state)
{
	struct sys *sys = *state;
	int many[40];
	start(sys);
	const char *path = sys_path(sys, "fresh");
	assert_int_equal(mknod(path, S_IFREG | 0644, 0), 0);
	int object = open(path, O_PATH | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = object;
	struct wire_request requests[] = {wire_request_of(WIRE_STATUS, 0, 0),
					  wire_request_of(WIRE_WHO, 0, 0),
					  wire_request_of(WIRE_CONFIGURE, WIRE_SET_SIZE, 4096),
					  wire_request_of(WIRE_CONFIGURE, WIRE_BIND, 0)};
	static const size_t right[] = {0, 1, 1, 2};
	for (size_t r = 0; r < ARRAY_SIZE(requests); r++)
		for (size_t n = 0; n <= ARRAY_SIZE(many); n = n < 4 ? n + 1 : n * 2)
			if (n != right[r])
				assert_int_not_equal(
				    exchange(sys, &requests[r], sizeof(requests[r]), many, n), 0);
	assert_int_equal(size_of(path), 0);
	/* The object with itself as its file. */
	assert_int_not_equal(exchange(sys, &requests[3], sizeof(requests[3]), many, 2), 0);
	close(object);
	assert_int_equal(unlink(path), 0);
	check_nothing_left(sys);
}

static int configure_anothers(void *context)
{
	struct sys *sys = context;
	struct wire_request request = wire_request_of(WIRE_CONFIGURE, WIRE_SET_SIZE, 4096);
	struct wire_reply reply;
	int fd;
	CHECK(setegid(1000) == 0 && seteuid(1000) == 0);
	AUTO_CLOSE int object = open(sys_path(sys, "fresh"), O_PATH | O_CLOEXEC);
	CHECK(object >= 0);
	CHECK(control_call(sys->mnt, &request, &object, 1, &reply, &fd) == 0);
	CHECK(reply.error == EPERM || reply.error == EACCES);
	CHECK(reply.text[0] != '\0');
	/* Own ones work. */
	CHECK(object_create(sys->mnt, sys_path(sys, "own"), 0600, WIRE_SET_SIZE, 4096, -1) == 0);
	CHECK(unlink(sys_path(sys, "own")) == 0);
	return 0;
}

static void only_owners_configure(void **state)
{
	struct sys *sys = *state;
	start(sys);
	const char *path = sys_path(sys, "fresh");
	assert_int_equal(mknod(path, S_IFREG | 0666, 0), 0);
	assert_int_equal(sys_wait(sys, sys_fork(sys, configure_anothers, sys)), 0);
	assert_int_equal(size_of(path), 0);
	check_nothing_left(sys);
}

/* --- clients --- */

static void silent_clients(void **state)
{
	enum { CLIENTS = 700 };
	static int clients[CLIENTS];
	struct sys *sys = *state;
	struct wire_request request = wire_request_of(WIRE_STATUS, 0, 0);
	int connected = 0;
	start(sys);
	sys_time_limit(sys, 120);

	for (int i = 0; i < 20; i++) /* a few stay and say nothing: others are served */
		clients[i] = control_connect(sys->mnt);
	object_check_service(sys);
	for (int i = 20; i < CLIENTS; i++) {
		clients[i] = control_connect(sys->mnt);
		connected += clients[i] >= 0;
	}
	sys_say("%d clients at once", connected + 20);
	assert_true(connected >= 300);
	/* Names do not depend on the socket. */
	assert_int_equal(mknod(sys_path(sys, "x"), S_IFREG | 0644, 0), 0);
	assert_int_equal(unlink(sys_path(sys, "x")), 0);
	for (int i = 0; i < CLIENTS; i += 3) {
		if (clients[i] >= 0)
			control_send(clients[i], &request, i % 2 ? sizeof(request) : 3, NULL, 0);
		close(clients[i]); /* without reading the answer */
		clients[i] = -1;
	}
	for (int i = 0; i < CLIENTS; i++)
		if (clients[i] >= 0)
			close(clients[i]);
	check_nothing_left(sys);
}

static void a_client_that_never_reads(void **state)
{
	struct sys *sys = *state;
	struct wire_request request = wire_request_of(WIRE_STATUS, 0, 0);
	start(sys);
	AUTO_CLOSE int sock = control_connect(sys->mnt);
	int sent = 0;

	assert_true(sock >= 0);
	fcntl(sock, F_SETFL, O_NONBLOCK);
	while (sent < 20000 && control_send(sock, &request, sizeof(request), NULL, 0) == 0)
		sent++;
	object_check_service(sys);
	while (sent < 40000 && control_send(sock, &request, sizeof(request), NULL, 0) == 0)
		sent++;
	object_check_service(sys);
	WAIT_UNTIL(10, sys_count_fds(sys_worker(sys)) < held.worker_fds + 100);
	close(steal_fd(&sock));
	check_nothing_left(sys);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_PASSTHROUGH(shapes),
    SYS_TEST_PASSTHROUGH(noise),
    SYS_TEST_BOTH_MODES(wrong_objects),
    SYS_TEST_PASSTHROUGH(wrong_numbers_of_descriptors),
    SYS_TEST_PASSTHROUGH(only_owners_configure),
    SYS_TEST_PASSTHROUGH(silent_clients),
    SYS_TEST_PASSTHROUGH(a_client_that_never_reads),
};

int main(void)
{
	return sys_run_tests("badinput_control", tests);
}
