/* Clients of the control socket that are many, hasty or slow.
 *
 * wrap: core_configure core_inode_number core_owner core_jobs name_to_handle_at
 */
#include "core/util.h"
#include "fs/control.h"
#include "fs/fdpass.h"
#include "tests/unit/control_fixture.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

static void survives_clients_that_leave_early(void **state)
{
	int object = open_object(O_PATH);
	size_t before = count_fds();

	(void)state;
	for (int round = 0; round < 20; round++) {
		int clients[20];

		for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
			clients[i] = connect_client();
			post(clients[i], i % 3 ? WIRE_WHO : WIRE_STATUS, 0, 0, &object,
			     i % 3 ? 1 : 0);
			if (round % 2)
				run_a_while(1);
		}
		if (round % 4 == 3)
			run_a_while(3);
		for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
			close(clients[i]);
	}
	run_until_fds(before);
	close(object);
}

/* teardown() destroys the control while a scan runs and others wait. */
static void can_be_destroyed_while_busy(void **state)
{
	int object = open_object(O_PATH), clients[10];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = connect_client();
		post(clients[i], WIRE_WHO, 0, 0, &object, 1);
	}
	run_a_while(1);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
	close(object);
}

static void limits_the_number_of_clients(void **state)
{
	int clients[CONTROL_MAX_CLIENTS], one_more, fd;
	struct wire_reply reply;
	size_t before = count_fds();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = connect_client();
		if (i % 100 == 0)
			run_a_while(2);
	}
	run_a_while(20);
	one_more = connect_client();
	assert_int_equal(await(one_more, &reply), -1);
	assert_int_equal(reply.error, EMFILE);
	assert_int_equal(recv(one_more, &reply, 1, 0), 0);
	close(one_more);
	post(clients[7], WIRE_STATUS, 0, 0, NULL, 0); /* those that are in are served */
	close(await(clients[7], &reply));
	close(clients[0]);
	run_a_while(5);
	one_more = connect_client();
	post(one_more, WIRE_STATUS, 0, 0, NULL, 0);
	fd = await(one_more, &reply);
	assert_int_equal(reply.error, 0);
	close(fd);
	close(one_more);
	for (size_t i = 1; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
	run_until_fds(before);
}

static void waits_for_descriptors_without_spinning(void **state)
{
	struct rlimit limit, low;
	struct wire_reply reply;
	struct timespec before, after;
	int client = connect_client(), timer;
	struct itimerspec when = {.it_value.tv_nsec = 400000000L};

	(void)state;
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	timerfd_settime(timer, 0, &when, NULL);
	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = (rlim_t)timer + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	post(client, WIRE_STATUS, 0, 0, NULL, 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	run_until_readable(timer);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	close(timer);
	assert_true((after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec <
		    100000000L);
	close(await(client, &reply));
	assert_int_equal(reply.error, 0);
	close(client);
}

/* A peer that asks and never reads holds up nobody, and gets all its answers in the end. */
static void is_patient_with_peers_that_do_not_read(void **state)
{
	int client = connect_client(), other = connect_client(), small = 1;
	struct wire_request request = make_request(WIRE_CONFIGURE, 0, 0);
	struct wire_reply reply;
	size_t sent = 0, answered = 0;

	(void)state;
	setsockopt(client, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	for (int idle = 0; idle < 3; idle++)
		while (!fdpass_send(client, &request, sizeof request, MSG_DONTWAIT, NULL, 0)) {
			sent++;
			run_a_while(1);
			if (sent > 3000)
				break;
		}
	assert_true(sent > 10);
	post(other, WIRE_STATUS, 0, 0, NULL, 0);
	close(await(other, &reply));
	for (; answered < sent; answered++) {
		await(client, &reply);
		assert_int_equal(reply.error, EINVAL);
	}
	close(client);
	close(other);
}

/* The supervisor is gone: for a moment the client is to ask the next worker, then it is told. */
static void nobody_to_hold_a_file(void **state)
{
	int object = open_object(O_PATH), client = connect_client();
	struct wire_reply reply;

	(void)state;
	box.configure_result = -EPIPE;
	post(client, WIRE_CONFIGURE, WIRE_SET_SIZE, 4096, &object, 1);
	run_until_readable(client);
	assert_int_equal(recv(client, &reply, 1, 0), 0);
	close(client);
	run_a_while(600);
	run_a_while(600);
	client = connect_client();
	post(client, WIRE_CONFIGURE, WIRE_SET_SIZE, 4096, &object, 1);
	assert_int_equal(await(client, &reply), -1);
	assert_int_equal(reply.error, EPIPE);
	close(client);
	close(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CONTROL_TEST(survives_clients_that_leave_early),
	    CONTROL_TEST(can_be_destroyed_while_busy),
	    CONTROL_TEST(limits_the_number_of_clients),
	    CONTROL_TEST(waits_for_descriptors_without_spinning),
	    CONTROL_TEST(is_patient_with_peers_that_do_not_read),
	    CONTROL_TEST(nobody_to_hold_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
