/* See control_fixture.h. */
#include "tests/unit/control_fixture.h"

#include "core/jobs.h"
#include "core/log.h"
#include "core/util.h"
#include "fs/control.h"
#include "fs/fdpass.h"
#include "fs/loop.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/un.h>

static struct loop *loop;
static struct jobs *jobs;
static struct loop_source job_source;
static struct control *control;
static int listen_fd;
static size_t fds_before;

struct control_box box;

/* --- a core that remembers --- */

int __wrap_core_configure(struct core *core, uint64_t node, const struct core_setup *setup,
			  const struct core_caller *caller, const char **why);
int __wrap_core_inode_number(struct core *core, uint64_t node, ino_t *out);
int __wrap_core_owner(struct core *core, uint64_t node, uid_t *out);
struct jobs *__wrap_core_jobs(struct core *core);
int __real_name_to_handle_at(int dir, const char *name, struct file_handle *handle, int *mount,
			     int flags);
int __wrap_name_to_handle_at(int dir, const char *name, struct file_handle *handle, int *mount,
			     int flags);

int __wrap_core_configure(struct core *core, uint64_t node, const struct core_setup *setup,
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
	return box.configure_result ? box.configure_result : box.result;
}

int __wrap_core_inode_number(struct core *core, uint64_t node, ino_t *out)
{
	(void)core;
	*out = node & UINT32_MAX;
	return box.result;
}

int __wrap_core_owner(struct core *core, uint64_t node, uid_t *out)
{
	(void)core;
	(void)node;
	*out = box.owner;
	return box.result;
}

struct jobs *__wrap_core_jobs(struct core *core)
{
	(void)core;
	return jobs;
}

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

struct control *control_under_test(void)
{
	return control;
}

size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static char *status_text(void *context, uid_t uid)
{
	(void)uid;
	assert_ptr_equal(context, &box);
	return strdup(box.status);
}

static void dispatch_jobs(struct loop_source *source, uint32_t events)
{
	(void)source;
	(void)events;
	jobs_dispatch(jobs);
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

static void start_control(void)
{
	const struct control_config config = {.loop = loop,
					      .listen_fd = listen_fd,
					      .device_major = major(box.st.st_dev),
					      .device_minor = minor(box.st.st_dev),
					      .user_connections = CONTROL_MAX_CLIENTS / 4,
					      .status = status_text,
					      .context = &box};

	assert_int_equal(control_create(&config, &control), 0);
}

int control_setup(void **state)
{
	int fd;

	(void)state;
	alarm(60);
	memset(&box, 0, sizeof box);
	log_init("test_control", true, false);
	fds_before = count_fds();
	strcpy(box.dir, "/dev/shm/test_control.XXXXXX");
	assert_non_null(mkdtemp(box.dir));
	snprintf(box.object, sizeof box.object, "%s/object", box.dir);
	snprintf(box.address, sizeof box.address, "%s/socket", box.dir);
	fd = open(box.object, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(fstat(fd, &box.st), 0);
	close(fd);
	strcpy(box.status, "{\"version\": \"test\"}");
	listen_fd = listen_at(box.address);
	loop = loop_create();
	jobs = jobs_create();
	job_source = (struct loop_source){.fd = jobs_poll_fd(jobs), .ready = dispatch_jobs};
	assert_int_equal(loop_add(loop, &job_source, EPOLLIN), 0);
	start_control();
	return 0;
}

int control_teardown(void **state)
{
	(void)state;
	control_destroy(control);
	loop_remove(loop, &job_source);
	jobs_destroy(jobs);
	loop_destroy(loop);
	close(listen_fd);
	unlink(box.address);
	unlink(box.object);
	rmdir(box.dir);
	if (count_fds() != fds_before)
		print_error("%zu descriptors before, %zu after\n", fds_before, count_fds());
	return count_fds() == fds_before ? 0 : -1;
}

static void stop(struct loop_source *source, uint32_t events)
{
	(void)source;
	(void)events;
	loop_stop(loop, 0);
}

void run_until_readable(int fd)
{
	struct loop_source source = {.fd = fd, .ready = stop};

	assert_int_equal(loop_add(loop, &source, EPOLLIN), 0);
	loop_run(loop);
	loop_remove(loop, &source);
}

void run_a_while(int milliseconds)
{
	const struct itimerspec when = {.it_value.tv_nsec = milliseconds * 1000000L};
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	timerfd_settime(timer, 0, &when, NULL);
	run_until_readable(timer);
	close(timer);
}

void run_until_fds(size_t wanted)
{
	while (count_fds() != wanted) /* alarm() ends it */
		run_a_while(2);
}

int connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, box.address);
	assert_int_equal(connect(fd, (void *)&address, sizeof address), 0);
	return fd;
}

struct wire_request make_request(uint16_t type, uint32_t flags, uint64_t size)
{
	return (struct wire_request){.magic = WIRE_MAGIC,
				     .version = WIRE_VERSION,
				     .type = type,
				     .length = sizeof(struct wire_request),
				     .flags = flags,
				     .size = size};
}

void post(int client, uint16_t type, uint32_t flags, uint64_t size, const int *fds, size_t n)
{
	struct wire_request request = make_request(type, flags, size);

	assert_int_equal(fdpass_send(client, &request, sizeof request, 0, fds, n), 0);
}

int await(int client, struct wire_reply *reply)
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

int ask(int client, uint16_t type, uint32_t flags, uint64_t size, const int *fds, size_t n)
{
	struct wire_reply reply;

	post(client, type, flags, size, fds, n);
	assert_int_equal(await(client, &reply), -1);
	assert_int_equal(reply.type, type);
	return reply.error;
}

json_t *read_json(int fd)
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

int open_object(int flags)
{
	int fd = open(box.object, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}
