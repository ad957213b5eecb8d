/* Descriptors over a socket: all or none arrive, and none is left open by a refusal. */
#include "core/util.h"
#include "fs/fdpass.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

static int pair[2];
static size_t fds_before;

static size_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static int setup(void **state)
{
	(void)state;
	fds_before = open_fds();
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	return open_fds() == fds_before ? 0 : -1;
}

static void send_fds(const char *text, size_t count)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fds[FDPASS_MAX];

	assert_true(null >= 0);
	for (size_t i = 0; i < FDPASS_MAX; i++)
		fds[i] = null;
	assert_int_equal(fdpass_send(pair[0], text, strlen(text), 0, fds, count), 0);
	close(null);
}

static ssize_t receive(size_t size, size_t max, int *fds, size_t *count)
{
	char bytes[64];

	assert_true(size <= sizeof bytes);
	return fdpass_receive(pair[1], bytes, size, 0, fds, max, count, NULL, NULL);
}

static void passes_descriptors(void **state)
{
	int fds[FDPASS_MAX];
	size_t count;

	(void)state;
	for (size_t n = 0; n <= FDPASS_MAX; n++) {
		send_fds("hello", n);
		assert_int_equal(receive(64, FDPASS_MAX, fds, &count), 5);
		assert_int_equal(count, n);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
			close(fds[i]);
		}
	}
}

static void refuses_too_many_descriptors(void **state)
{
	int fds[FDPASS_MAX];
	size_t count, before = open_fds();

	(void)state;
	for (size_t max = 0; max < FDPASS_MAX; max++)
		for (size_t n = max + 1; n <= FDPASS_MAX; n++) {
			send_fds("hello", n);
			ssize_t got = receive(64, max, fds, &count);

			assert_true(got == -E2BIG);
			assert_int_equal(count, 0);
			assert_int_equal(open_fds(), before);
		}
	send_fds("next", 1); /* the socket is still good */
	assert_int_equal(receive(64, 1, fds, &count), 4);
	close(fds[0]);
}

static void refuses_long_messages(void **state)
{
	size_t count, before = open_fds();
	int fds[2];

	(void)state;
	send_fds("0123456789", 2);
	assert_int_equal(receive(9, 2, fds, &count), -EMSGSIZE);
	assert_int_equal(count, 0);
	assert_int_equal(open_fds(), before);
	send_fds("0123456789", 0);
	assert_int_equal(receive(10, 2, fds, &count), 10);
}

static void empty_message_brings_nothing(void **state)
{
	size_t count, before = open_fds();
	int fds[2];

	(void)state;
	send_fds("", 2);
	assert_int_equal(receive(64, 2, fds, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(open_fds(), before);
}

static void says_when_there_is_no_room(void **state)
{
	struct rlimit limit, low;
	size_t count, before = open_fds();
	int fds[2];
	ssize_t got;

	(void)state;
	send_fds("hello", 2);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)dup(0) + 1; /* room for exactly one */
	close((int)low.rlim_cur - 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	got = receive(64, 2, fds, &count);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(got, -EMFILE);
	assert_int_equal(count, 0);
	assert_int_equal(open_fds(), before);
}

static void dispose(void *context, int fd)
{
	++*(int *)context;
	close(fd);
}

static void refused_descriptors_go_through_dispose(void **state)
{
	int fds[1], disposed = 0;
	size_t count;
	char byte[8];

	(void)state;
	send_fds("hello", 2); /* room for two in a message aligned for one */
	assert_int_equal(
	    fdpass_receive(pair[1], byte, sizeof byte, 0, fds, 1, &count, dispose, &disposed),
	    -E2BIG);
	assert_int_equal(disposed, 2);
}

static void reports_socket_errors(void **state)
{
	size_t count;
	int fds[2], bad[1] = {-1};

	(void)state;
	assert_int_equal(receive(64, 2, fds, &count), -EAGAIN);
	assert_int_equal(receive(64, FDPASS_MAX + 1, fds, &count), -EINVAL);
	assert_int_equal(fdpass_send(pair[0], "x", 1, 0, bad, 1), -EBADF);
	assert_int_equal(fdpass_send(pair[0], "x", 1, 0, fds, FDPASS_MAX + 1), -EINVAL);
	shutdown(pair[1], SHUT_RDWR);
	assert_int_equal(fdpass_send(pair[0], "x", 1, 0, NULL, 0), -EPIPE); /* and no signal */
	assert_int_equal(receive(64, 2, fds, &count), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(passes_descriptors, setup, teardown),
	    cmocka_unit_test_setup_teardown(refuses_too_many_descriptors, setup, teardown),
	    cmocka_unit_test_setup_teardown(refuses_long_messages, setup, teardown),
	    cmocka_unit_test_setup_teardown(empty_message_brings_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(says_when_there_is_no_room, setup, teardown),
	    cmocka_unit_test_setup_teardown(refused_descriptors_go_through_dispose, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(reports_socket_errors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
