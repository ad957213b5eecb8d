/* One mapping, several languages: each process sees what the others store. And who has no view, no
 * right, or another mount namespace does not. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sys/share.h"

enum { SIZE = 1 << 20, LAST = SIZE - 4096 };

static const char *const languages[] = {SHARE_C, SHARE_PYTHON, SHARE_JAVA, SHARE_PERL};
#define CLIENTS ARRAY_SIZE(languages)

static const char *make_object(struct sys *sys, const char *name, off_t size, mode_t mode)
{
	const char *path = sys_path(sys, "%s", name);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
	return path;
}

static void all_see_all(struct share *clients, unsigned long round, unsigned long base)
{
	for (size_t i = 0; i < CLIENTS; i++)
		share_put(&clients[i], base + 8 * i, round * 100 + i);
	for (size_t i = 0; i < CLIENTS; i++)
		for (size_t j = 0; j < CLIENTS; j++)
			assert_int_equal(share_get(&clients[i], base + 8 * j), round * 100 + j);
}

static void languages_share_pages(void **state)
{
	struct sys *sys = *state;
	struct share clients[CLIENTS];
	const char *path;

	sys_mount(sys, "size=64m");
	path = make_object(sys, "shared", SIZE, 0644);
	for (size_t i = 0; i < CLIENTS; i++)
		share_begin(&clients[i], sys, languages[i], path);
	for (size_t i = 0; i < CLIENTS; i++)
		share_ready(&clients[i]);
	all_see_all(clients, 1, 0);
	sys_kill_worker(sys);
	all_see_all(clients, 2, 0);
	all_see_all(clients, 3, LAST); /* pages nobody had touched before */
	for (size_t i = 0; i < CLIENTS; i++)
		share_close_file(&clients[i]); /* the views stay */
	all_see_all(clients, 4, 0);
	all_see_all(clients, 5, LAST / 2);
	for (size_t i = 0; i < CLIENTS; i++)
		share_end(&clients[i]);
}

static void plain_calls_see_stores(void **state)
{
	struct sys *sys = *state;
	struct share client;
	uint64_t value = 4711;
	const char *path;
	int fd;

	sys_mount(sys, "size=64m");
	path = make_object(sys, "mixed", SIZE, 0644);
	share_start(&client, sys, SHARE_C, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &value, sizeof value, 8192), sizeof value);
	assert_int_equal(share_get(&client, 8192), 4711);
	share_put(&client, 8200, 4712);
	assert_int_equal(pread(fd, &value, sizeof value, 8200), sizeof value);
	assert_int_equal(value, 4712);
	close(fd);
	share_end(&client);
}

/* Two processes add to the same numbers at once: not one addition may be lost. */
static void atomics_work_across_processes(void **state)
{
	enum { ROUNDS = 300000 };
	struct sys *sys = *state;
	struct share one, other;
	const char *path;

	sys_mount(sys, "size=64m");
	path = make_object(sys, "counter", 4096, 0644);
	share_start(&one, sys, SHARE_C, path);
	share_start(&other, sys, SHARE_C, path);
	fprintf(one.to, "add 64 %d\n", ROUNDS);
	share_add(&other, 64, ROUNDS);
	share_end(&one);
	assert_int_equal(share_get(&other, 64), 2 * ROUNDS);
	share_end(&other);
}

/* --- who has no view --- */

struct stranger {
	struct sys *sys;
	const char *path;
	uid_t uid;
	gid_t gid;
	pid_t owner;
};

static int stranger_fails(void *context)
{
	struct stranger *stranger = context;
	char path[64];

	CHECK(setgid(stranger->gid) == 0 && setuid(stranger->uid) == 0);
	CHECK(open(stranger->path, O_RDONLY) < 0 && errno == EACCES);
	CHECK(open(stranger->path, O_RDWR) < 0 && errno == EACCES);
	CHECK(truncate(stranger->path, 0) < 0 && errno == EACCES);
	CHECK(unlink(stranger->path) < 0 && (errno == EPERM || errno == EACCES));
	snprintf(path, sizeof path, "/proc/%d/mem", stranger->owner);
	CHECK(open(path, O_RDONLY) < 0);
	snprintf(path, sizeof path, "/proc/%d/map_files", stranger->owner);
	CHECK(open(path, O_RDONLY) < 0);
	return 0;
}

static int touch_after_munmap(void *context)
{
	struct stranger *stranger = context;
	int fd = open(stranger->path, O_RDWR | O_CLOEXEC);
	volatile char *view;

	CHECK(fd >= 0);
	view = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	CHECK(view[0] != 0);
	CHECK(munmap((void *)view, SIZE) == 0);
	signal(SIGSEGV, SIG_DFL);
	view[0] = 1; /* ends here, by signal */
	return 0;
}

static int count_mounts(void)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	int lines = 0, c;

	assert_non_null(mounts);
	while ((c = fgetc(mounts)) != EOF)
		lines += c == '\n';
	fclose(mounts);
	return lines;
}

static void strangers_reach_nothing(void **state)
{
	struct sys *sys = *state;
	struct stranger stranger = {.sys = sys};
	struct share client;
	int mounts = count_mounts();

	sys_mount(sys, "size=64m");
	if (!sys->reference) /* the private tmpfs has no path */
		assert_int_equal(count_mounts(), mounts + 1);
	stranger.path = make_object(sys, "secret", SIZE, 0600);
	sys_ordinary_user(&stranger.uid, &stranger.gid);
	share_start(&client, sys, SHARE_C, stranger.path);
	share_put(&client, 0, 42);
	stranger.owner = client.pid;
	assert_int_equal(sys_wait(sys, sys_fork(sys, stranger_fails, &stranger)), 0);
	if (!TEST_SANITIZED) /* which catch the signal */
		assert_int_equal(sys_wait(sys, sys_fork(sys, touch_after_munmap, &stranger)),
				 128 + SIGSEGV);
	assert_int_equal(share_get(&client, 0), 42);
	share_end(&client);
}

static void read_only_views_cannot_store(void **state)
{
	struct sys *sys = *state;
	struct share reader, writer;
	const char *path;
	void *view;
	int fd;

	sys_mount(sys, "size=64m");
	path = make_object(sys, "news", SIZE, 0644);
	share_start(&writer, sys, SHARE_C, path);
	share_begin(&reader, sys, SHARE_C, sys_path(sys, "news ro"));
	share_ready(&reader);
	share_put(&writer, 128, 7);
	assert_int_equal(share_get(&reader, 128), 7);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	assert_int_equal(errno, EACCES);
	view = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_true(view != MAP_FAILED);
	((volatile uint64_t *)view)[16] = 8; /* byte 128 */
	assert_int_equal(share_get(&reader, 128), 7);
	munmap(view, SIZE);
	close(fd);
	share_end(&reader);
	share_end(&writer);
}

/* After the unlink the pages live as long as the view, and go back with it. */
static void pages_return_with_the_last_view(void **state)
{
	struct sys *sys = *state;
	long long before = 0;
	struct share client;
	const char *path;

	sys_mount(sys, "size=64m");
	if (!sys->reference)
		before = sys_status_number(sys, "committed_bytes");
	path = make_object(sys, "brief", SIZE, 0644);
	if (!sys->reference)
		assert_int_equal(sys_status_number(sys, "committed_bytes"), before + SIZE);
	share_start(&client, sys, SHARE_C, path);
	share_close_file(&client);
	assert_int_equal(unlink(path), 0);
	share_put(&client, 16, 5);
	assert_int_equal(share_get(&client, 16), 5);
	assert_int_equal(access(path, F_OK), -1);
	if (!sys->reference)
		assert_int_equal(sys_status_number(sys, "committed_bytes"), before + SIZE);
	share_kill(&client);
	if (!sys->reference)
		WAIT_UNTIL(5, sys_status_number(sys, "committed_bytes") == before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_BOTH_MODES(languages_share_pages),
	    SYS_TEST_BOTH_MODES(plain_calls_see_stores),
	    SYS_TEST_BOTH_MODES(atomics_work_across_processes),
	    SYS_TEST_BOTH_MODES(strangers_reach_nothing),
	    SYS_TEST_BOTH_MODES(read_only_views_cannot_store),
	    SYS_TEST_BOTH_MODES(pages_return_with_the_last_view),
	};

	return sys_run_tests("clients", tests);
}
