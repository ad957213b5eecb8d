/* What the control socket answers.
 *
 * wrap: core_configure core_inode_number core_owner core_jobs name_to_handle_at
 */
#include "core/util.h"
#include "fs/fdpass.h"
#include "tests/unit/control_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

static json_int_t number(const json_t *json, const char *key)
{
	assert_true(json_is_integer(json_object_get(json, key)));
	return json_integer_value(json_object_get(json, key));
}

static void tells_status(void **state)
{
	int client = connect_client();
	struct wire_reply reply;
	json_t *json;

	(void)state;
	for (int i = 0; i < 3; i++) {
		post(client, WIRE_STATUS, 0, 0, NULL, 0);
		json = read_json(await(client, &reply));
		assert_int_equal(reply.error, 0);
		assert_string_equal(json_string_value(json_object_get(json, "version")), "test");
		json_decref(json);
	}
	close(client);
}

static void configures(void **state)
{
	int client = connect_client(), object = open_object(O_PATH);

	(void)state;
	assert_int_equal(ask(client, WIRE_CONFIGURE, WIRE_SET_SIZE | WIRE_SPARSE | WIRE_TEMPORARY,
			     4097, &object, 1),
			 0);
	assert_int_equal(box.configured, 1);
	assert_int_equal(box.node, NODE_GENERATION << 32 | box.st.st_ino);
	assert_true(box.setup.sparse && box.setup.set_size && !box.setup.read_only);
	assert_int_equal(box.setup.size, 4097);
	assert_int_equal(box.setup.lifetime, 1);
	assert_int_equal(box.setup.file_fd, -1);
	assert_int_equal(box.caller.uid, getuid());
	assert_int_equal(box.caller.gid, getgid());
	assert_int_equal(ask(client, WIRE_CONFIGURE, WIRE_PERMANENT, 0, &object, 1), 0);
	assert_int_equal(box.setup.lifetime, 0);
	assert_false(box.setup.set_size);
	assert_int_equal(ask(client, WIRE_CONFIGURE, 0, 0, &object, 1), 0);
	assert_int_equal(box.setup.lifetime, -1);
	close(object);
	close(client);
}

static int ask_typed(int client, struct wire_request request, int object)
{
	struct wire_reply reply;

	assert_int_equal(fdpass_send(client, &request, sizeof request, 0, &object, 1), 0);
	assert_int_equal(await(client, &reply), -1);
	return reply.error;
}

/* Every field of the request reaches core as itself. */
static void configures_objects_to_wait_on(void **state)
{
	int client = connect_client(), object = open_object(O_PATH);
	struct wire_request request = make_request(WIRE_CONFIGURE, 0, 0);

	(void)state;
	request.object_type = OBJECT_EVENT;
	request.flags = WIRE_MANUAL;
	assert_int_equal(ask_typed(client, request, object), 0);
	assert_int_equal(box.setup.type, OBJECT_EVENT);
	assert_true(box.setup.manual && !box.setup.signaled && !box.setup.kill_on_close);
	assert_int_equal(box.setup.lifetime, -1);
	request.flags = WIRE_SIGNALED | WIRE_HANDLE_BOUND;
	assert_int_equal(ask_typed(client, request, object), 0);
	assert_true(!box.setup.manual && box.setup.signaled);
	assert_int_equal(box.setup.lifetime, CORE_HANDLE_BOUND);
	request.object_type = OBJECT_SEMAPHORE;
	request.flags = 0;
	request.initial = 3;
	request.maximum = 2147483647;
	assert_int_equal(ask_typed(client, request, object), 0);
	assert_int_equal(box.setup.type, OBJECT_SEMAPHORE);
	assert_int_equal(box.setup.initial, 3);
	assert_int_equal(box.setup.maximum, 2147483647);
	request.initial = request.maximum = 0;
	request.object_type = OBJECT_JOB;
	request.flags = WIRE_KILL_ON_CLOSE;
	assert_int_equal(ask_typed(client, request, object), 0);
	assert_int_equal(box.setup.type, OBJECT_JOB);
	assert_true(box.setup.kill_on_close);
	assert_int_equal(box.configured, 4);
	request.object_type = OBJECT_MUTEX;
	assert_int_equal(ask_typed(client, request, object), EINVAL);
	assert_int_equal(box.configured, 4);
	close(object);
	close(client);
}

static void binds_a_file(void **state)
{
	char path[] = "/tmp/test_control.XXXXXX";
	int client = connect_client(), fds[2] = {open_object(O_PATH), mkstemp(path)};
	struct stat st;

	(void)state;
	unlink(path);
	assert_int_equal(fstat(fds[1], &st), 0);
	assert_int_equal(ask(client, WIRE_CONFIGURE, WIRE_BIND | WIRE_READ_ONLY, 0, fds, 2), 0);
	assert_true(box.setup.read_only);
	assert_true(st.st_ino == box.bound.st_ino && st.st_dev == box.bound.st_dev);
	close(fds[0]);
	close(fds[1]);
	close(client);
}

static void passes_on_why_core_refuses(void **state)
{
	int client = connect_client(), object = open_object(O_PATH);
	struct wire_reply reply;

	(void)state;
	box.result = -ENOSPC;
	box.why = "the mount's limit is reached";
	post(client, WIRE_CONFIGURE, WIRE_SET_SIZE, 1, &object, 1);
	await(client, &reply);
	assert_int_equal(reply.error, ENOSPC);
	assert_string_equal(reply.text, box.why);
	box.why = NULL;
	box.result = -EACCES;
	assert_int_equal(ask(client, WIRE_CONFIGURE, 0, 0, &object, 1), EACCES);
	box.result = -ESTALE;
	assert_int_equal(ask(client, WIRE_WHO, 0, 0, &object, 1), ESTALE);
	close(object);
	close(client);
}

static void refuses_wrong_descriptors(void **state)
{
	int client = connect_client(), path = open_object(O_PATH), plain = open_object(O_RDWR);
	int elsewhere = open("/proc/self/status", O_PATH | O_CLOEXEC), pipes[2], write_only;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	size_t before;
	struct {
		int first, second, error;
	} cases[] = {
	    {plain, -1, EBADF},   {elsewhere, -1, EXDEV}, {-1, -1, EBADF},      {path, path, EBADF},
	    {path, plain, ELOOP}, {path, -1, EINVAL},     {path, null, EINVAL}, {path, -2, EACCES},
	};

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	write_only = open("/tmp", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	assert_true(write_only >= 0);
	cases[2].first = pipes[0];
	cases[5].second = pipes[0];
	cases[7].second = write_only;
	ask(client, WIRE_WHO, 0, 0, &elsewhere, 1);
	before = count_fds();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fds[2] = {cases[i].first, cases[i].second};
		bool bind = fds[1] >= 0;

		assert_int_equal(
		    ask(client, WIRE_CONFIGURE, bind ? WIRE_BIND : 0, 0, fds, bind ? 2 : 1),
		    cases[i].error);
		if (!bind)
			assert_int_equal(ask(client, WIRE_WHO, 0, 0, fds, 1), cases[i].error);
	}
	assert_int_equal(box.configured, 0);
	run_until_fds(before);
	close(path);
	close(plain);
	close(elsewhere);
	close(null);
	close(pipes[0]);
	close(pipes[1]);
	close(write_only);
	close(client);
}

static void refuses_misshapen_messages(void **state)
{
	int client = connect_client(), fds[8];
	struct wire_request request = make_request(WIRE_STATUS, 0, 0);
	char bytes[WIRE_MAX_REQUEST * 2] = {0};
	struct wire_reply reply;
	size_t before;
	json_t *json;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = open_object(O_RDWR);
	post(client, WIRE_STATUS, 0, 0, NULL, 0);
	close(await(client, &reply));
	before = count_fds();
	memcpy(bytes, &request, sizeof request);
	for (size_t length = 1; length < sizeof bytes; length += 37)
		for (size_t n = 0; n <= ARRAY_SIZE(fds); n += 4) {
			assert_int_equal(fdpass_send(client, bytes, length, 0, fds, n), 0);
			assert_int_equal(await(client, &reply), -1);
			assert_int_not_equal(reply.error, 0);
			run_until_fds(before);
		}
	assert_int_equal(ask(client, 99, 0, 0, NULL, 0), EOPNOTSUPP);
	assert_int_equal(ask(client, WIRE_CONFIGURE, 0, 0, NULL, 0), EINVAL);
	assert_int_equal(ask(client, WIRE_STATUS, 0, 0, fds, 1), EINVAL);
	run_until_fds(before);
	post(client, WIRE_STATUS, 0, 0, NULL, 0); /* and the connection is still good */
	json = read_json(await(client, &reply));
	json_decref(json);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	/* An empty message cannot be told from the end. */
	assert_int_equal(fdpass_send(client, "", 0, 0, NULL, 0), 0);
	run_until_readable(client);
	assert_int_equal(recv(client, bytes, 1, 0), 0);
	close(client);
}

static pid_t start_holder(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		int fd = open(box.object, O_RDWR);

		mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
		if (write(ready[1], "", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void tells_who(void **state)
{
	int client = connect_client(), object = open_object(O_PATH);
	pid_t pid = start_holder();
	struct wire_reply reply;
	json_t *json, *holder, *view;

	(void)state;
	post(client, WIRE_WHO, 0, 0, &object, 1);
	json = read_json(await(client, &reply));
	assert_int_equal(reply.type, WIRE_WHO);
	assert_int_equal(number(json, "handles"), 1);
	assert_int_equal(number(json, "views"), 1);
	assert_int_equal(number(json, "hidden"), 0);
	number(json, "unreadable");
	assert_int_equal(json_array_size(json_object_get(json, "holders")), 1);
	holder = json_array_get(json_object_get(json, "holders"), 0);
	assert_int_equal(number(holder, "pid"), pid);
	assert_int_equal(number(holder, "ns_pid"), pid);
	assert_int_equal(number(holder, "uid"), getuid());
	assert_string_equal(json_string_value(json_object_get(holder, "command")), "test_control");
	assert_string_equal(json_string_value(json_object_get(
				json_array_get(json_object_get(holder, "handles"), 0), "access")),
			    "rw");
	view = json_array_get(json_object_get(holder, "views"), 0);
	assert_int_equal(number(view, "end") - number(view, "start"), 4096);
	assert_int_equal(number(view, "offset"), 4096);
	assert_string_equal(json_string_value(json_object_get(view, "access")), "r--s");
	json_decref(json);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(object);
	close(client);
}

/* Connections made by a process of another user. */
static int connect_as(uid_t uid)
{
	int pair[2], fd = -1;
	size_t count;
	char byte;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (!pid) {
		if (setresuid(uid, uid, uid))
			_exit(1);
		fd = connect_client();
		_exit(fdpass_send(pair[1], "", 1, 0, &fd, 1) ? 1 : 0);
	}
	close(pair[1]);
	assert_int_equal(fdpass_receive(pair[0], &byte, 1, 0, &fd, 1, &count, NULL, NULL), 1);
	waitpid(pid, NULL, 0);
	close(pair[0]);
	return fd;
}

static void hides_others_holders(void **state)
{
	struct wire_reply reply;
	int client, object;
	json_t *json;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	chmod(box.dir, 0755);
	chmod(box.address, 0666);
	client = connect_as(65534);
	object = open_object(O_PATH);
	pid = start_holder();
	for (int is_owner = 0; is_owner < 2; is_owner++) {
		box.owner = is_owner ? 65534 : 0;
		post(client, WIRE_WHO, 0, 0, &object, 1);
		json = read_json(await(client, &reply));
		assert_int_equal(number(json, "views"), 1);
		assert_int_equal(number(json, "hidden"), !is_owner);
		assert_int_equal(json_array_size(json_object_get(json, "holders")), is_owner);
		json_decref(json);
	}
	assert_int_equal(ask(client, WIRE_CONFIGURE, 0, 0, &object, 1), 0);
	assert_int_equal(box.caller.uid, 65534);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(object);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CONTROL_TEST(tells_status),
	    CONTROL_TEST(configures),
	    CONTROL_TEST(configures_objects_to_wait_on),
	    CONTROL_TEST(binds_a_file),
	    CONTROL_TEST(passes_on_why_core_refuses),
	    CONTROL_TEST(refuses_wrong_descriptors),
	    CONTROL_TEST(refuses_misshapen_messages),
	    CONTROL_TEST(tells_who),
	    CONTROL_TEST(hides_others_holders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
