/* The control socket's server side, over a core that only remembers what it was asked. The object
 * is a file of a tmpfs that pretends to be FUSE when its handle is asked for.
 *
 * wrap: name_to_handle_at
 */
#include "core/core.h"
#include "core/jobs.h"
#include "core/log.h"
#include "core/util.h"
#include "fs/control.h"
#include "fs/fdpass.h"
#include "fs/loop.h"
#include "fs/wire.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#define NODE_GENERATION 7ULL

static struct {
	char dir[64], object[96], address[96], status[8192];
	struct stat st;
	struct loop *loop;
	struct jobs *jobs;
	struct loop_source job_source;
	struct control *control;
	int listen_fd;
	size_t fds_before;
	/* what core is to answer, and what it was asked */
	int result;
	const char *why;
	uid_t owner;
	uint64_t node;
	struct core_setup setup;
	struct core_caller caller;
	struct stat bound;
	int configured;
} box;

/* --- a core that remembers --- */

int core_configure(struct core *core, uint64_t node, const struct core_setup *setup,
		   const struct core_caller *caller, const char **why)
{
	(void)core;
	box.configured++;
	box.node = node;
	box.setup = *setup;
	box.caller = *caller;
	if (setup->file_fd >= 0)
		fstat(setup->file_fd, &box.bound);
	*why = box.why;
	return box.result;
}

int core_inode_number(struct core *core, uint64_t node, ino_t *out)
{
	(void)core;
	*out = node & UINT32_MAX;
	return box.result;
}

int core_owner(struct core *core, uint64_t node, uid_t *out)
{
	(void)core;
	(void)node;
	*out = box.owner;
	return box.result;
}

struct jobs *core_jobs(struct core *core)
{
	(void)core;
	return box.jobs;
}

int __real_name_to_handle_at(int dir, const char *name, struct file_handle *handle, int *mount,
			     int flags);
int __wrap_name_to_handle_at(int dir, const char *name, struct file_handle *handle, int *mount,
			     int flags);

int __wrap_name_to_handle_at(int dir, const char *name, struct file_handle *handle, int *mount,
			     int flags)
{
	struct stat st;

	if (fstat(dir, &st) || st.st_dev != box.st.st_dev)
		return __real_name_to_handle_at(dir, name, handle, mount, flags);
	handle->handle_type = 0x81;
	handle->handle_bytes = 12;
	memcpy(handle->f_handle, (uint32_t[]){NODE_GENERATION, (uint32_t)st.st_ino, 1}, 12);
	return 0;
}

/* --- the world around it --- */

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

static char *status_text(void *context)
{
	assert_ptr_equal(context, &box);
	return strdup(box.status);
}

static void dispatch_jobs(struct loop_source *source, uint32_t events)
{
	(void)source;
	(void)events;
	jobs_dispatch(box.jobs);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (void *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 1024), 0);
	return fd;
}

static void start(void)
{
	const struct control_config config = {.loop = box.loop,
					      .listen_fd = box.listen_fd,
					      .device_major = major(box.st.st_dev),
					      .device_minor = minor(box.st.st_dev),
					      .status = status_text,
					      .context = &box};

	assert_int_equal(control_create(&config, &box.control), 0);
}

static int setup(void **state)
{
	int fd;

	(void)state;
	alarm(60);
	memset(&box, 0, sizeof box);
	log_init("test_control", true, false);
	box.fds_before = open_fds();
	strcpy(box.dir, "/dev/shm/test_control.XXXXXX");
	assert_non_null(mkdtemp(box.dir));
	snprintf(box.object, sizeof box.object, "%s/object", box.dir);
	snprintf(box.address, sizeof box.address, "%s/socket", box.dir);
	fd = open(box.object, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(fstat(fd, &box.st), 0);
	close(fd);
	strcpy(box.status, "{\"version\": \"test\"}");
	box.listen_fd = listen_at(box.address);
	box.loop = loop_create();
	box.jobs = jobs_create();
	box.job_source = (struct loop_source){.fd = jobs_poll_fd(box.jobs), .ready = dispatch_jobs};
	assert_int_equal(loop_add(box.loop, &box.job_source, EPOLLIN), 0);
	start();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	control_destroy(box.control);
	loop_remove(box.loop, &box.job_source);
	jobs_destroy(box.jobs);
	loop_destroy(box.loop);
	close(box.listen_fd);
	unlink(box.address);
	unlink(box.object);
	rmdir(box.dir);
	if (open_fds() != box.fds_before)
		print_error("%zu descriptors before, %zu after\n", box.fds_before, open_fds());
	return open_fds() == box.fds_before ? 0 : -1;
}

static void stop(struct loop_source *source, uint32_t events)
{
	(void)source;
	(void)events;
	loop_stop(box.loop, 0);
}

static void run_until_readable(int fd)
{
	struct loop_source source = {.fd = fd, .ready = stop};

	assert_int_equal(loop_add(box.loop, &source, EPOLLIN), 0);
	loop_run(box.loop);
	loop_remove(box.loop, &source);
}

/* Lets the server do all it can until nothing has moved for a moment. */
static void run_a_while(int milliseconds)
{
	const struct itimerspec when = {.it_value.tv_nsec = milliseconds * 1000000L};
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	timerfd_settime(timer, 0, &when, NULL);
	run_until_readable(timer);
	close(timer);
}

static void run_until_fds(size_t wanted)
{
	while (open_fds() != wanted) /* alarm() ends it */
		run_a_while(2);
}

static int connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, box.address);
	assert_int_equal(connect(fd, (void *)&address, sizeof address), 0);
	return fd;
}

static struct wire_request make(uint16_t type, uint32_t flags, uint64_t size)
{
	return (struct wire_request){.magic = WIRE_MAGIC,
				     .version = WIRE_VERSION,
				     .type = type,
				     .length = sizeof(struct wire_request),
				     .flags = flags,
				     .size = size};
}

static void post(int client, uint16_t type, uint32_t flags, uint64_t size, const int *fds, size_t n)
{
	struct wire_request request = make(type, flags, size);

	assert_int_equal(fdpass_send(client, &request, sizeof request, 0, fds, n), 0);
}

/* The reply; returns its descriptor or -1. */
static int await(int client, struct wire_reply *reply)
{
	size_t count;
	int fd = -1;

	run_until_readable(client);
	assert_int_equal(
	    fdpass_receive(client, reply, sizeof *reply, 0, &fd, 1, &count, NULL, NULL),
	    sizeof *reply);
	assert_int_equal(reply->magic, WIRE_MAGIC);
	assert_int_equal(reply->version, WIRE_VERSION);
	assert_int_equal(reply->length, sizeof *reply);
	if (reply->error)
		assert_true(strlen(reply->text) > 10);
	else
		assert_string_equal(reply->text, "");
	return count ? fd : -1;
}

static int ask(int client, uint16_t type, uint32_t flags, uint64_t size, const int *fds, size_t n)
{
	struct wire_reply reply;

	post(client, type, flags, size, fds, n);
	assert_int_equal(await(client, &reply), -1);
	assert_int_equal(reply.type, type);
	return reply.error;
}

static json_t *read_json(int fd)
{
	json_t *json;

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GET_SEALS) & (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL),
			 F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	json = json_loadfd(fd, 0, NULL);
	close(fd);
	assert_non_null(json);
	return json;
}

static int open_object(int flags)
{
	int fd = open(box.object, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static json_int_t number(const json_t *json, const char *key)
{
	assert_true(json_is_integer(json_object_get(json, key)));
	return json_integer_value(json_object_get(json, key));
}

/* --- the tests --- */

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
	before = open_fds();
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
	struct wire_request request = make(WIRE_STATUS, 0, 0);
	char bytes[WIRE_MAX_REQUEST * 2] = {0};
	struct wire_reply reply;
	size_t before;
	json_t *json;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = open_object(O_RDWR);
	post(client, WIRE_STATUS, 0, 0, NULL, 0);
	close(await(client, &reply));
	before = open_fds();
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

static void survives_clients_that_leave_early(void **state)
{
	int object = open_object(O_PATH);
	size_t before = open_fds();

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
	size_t before = open_fds();

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
	struct wire_request request = make(WIRE_CONFIGURE, 0, 0);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(tells_status),
	    TEST(configures),
	    TEST(binds_a_file),
	    TEST(passes_on_why_core_refuses),
	    TEST(refuses_wrong_descriptors),
	    TEST(refuses_misshapen_messages),
	    TEST(tells_who),
	    TEST(hides_others_holders),
	    TEST(survives_clients_that_leave_early),
	    TEST(can_be_destroyed_while_busy),
	    TEST(limits_the_number_of_clients),
	    TEST(waits_for_descriptors_without_spinning),
	    TEST(is_patient_with_peers_that_do_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
