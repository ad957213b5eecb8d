/* inspect_scan() against real processes that hold and map a file of a tmpfs. */
#include "core/inspect.h"
#include "core/util.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PAGES      16
#define FILE_BYTES (PAGES * PAGE_BYTES)

static struct {
	char dir[64], path[128];
	struct stat st;
	size_t fds_before;
} box;

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

static void make_file(const char *name)
{
	int fd;

	snprintf(box.path, sizeof box.path, "%s/%s", box.dir, name);
	fd = open(box.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)FILE_BYTES), 0);
	assert_int_equal(fstat(fd, &box.st), 0);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	alarm(60);
	box.fds_before = open_fds();
	strcpy(box.dir, "/dev/shm/test_inspect.XXXXXX");
	assert_non_null(mkdtemp(box.dir));
	make_file("file");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(box.path);
	rmdir(box.dir);
	return open_fds() == box.fds_before ? 0 : -1;
}

/* A child that has done what `act` does and then waits to be killed. */
static pid_t child(void (*act)(void))
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		act();
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void scan(bool want_handles, struct inspect_result *out)
{
	assert_int_equal(inspect_scan(major(box.st.st_dev), minor(box.st.st_dev), box.st.st_ino,
				      want_handles, out),
			 0);
}

static int open_file(int flags)
{
	int fd = open(box.path, flags);

	if (fd < 0)
		_exit(2);
	return fd;
}

static void map_or_exit(int fd, int prot, int flags, uint64_t page, uint64_t pages)
{
	if (mmap(NULL, pages * PAGE_BYTES, prot, flags, fd, (off_t)(page * PAGE_BYTES)) ==
	    MAP_FAILED)
		_exit(3);
}

static void map_three(void)
{
	int fd = open_file(O_RDWR);

	map_or_exit(fd, PROT_READ | PROT_WRITE, MAP_SHARED, 0, PAGES);
	map_or_exit(fd, PROT_READ, MAP_SHARED, 2, 3);
	map_or_exit(fd, PROT_READ | PROT_EXEC, MAP_PRIVATE, 5, 1);
	close(fd);
}

static const struct inspect_use *view_at(const struct inspect_holder *holder, uint64_t page)
{
	for (size_t i = 0; i < holder->count; i++)
		if (holder->uses[i].view && holder->uses[i].offset == page * PAGE_BYTES)
			return &holder->uses[i];
	fail_msg("no view at page %lu", page);
	return NULL;
}

static void sees_views(void **state)
{
	struct inspect_result result;
	const struct inspect_use *use;
	pid_t pid;

	(void)state;
	scan(true, &result);
	assert_int_equal(result.count, 0);
	assert_int_equal(result.views, 0);
	inspect_finish(&result);

	pid = child(map_three);
	scan(true, &result);
	assert_int_equal(result.count, 1);
	assert_int_equal(result.views, 3);
	assert_int_equal(result.handles, 0);
	assert_int_equal(result.holders[0].pid, pid);
	assert_int_equal(result.holders[0].ns_pid, pid);
	assert_int_equal(result.holders[0].uid, getuid());
	assert_string_equal(result.holders[0].command, "test_inspect");
	use = view_at(&result.holders[0], 0);
	assert_int_equal(use->access, INSPECT_READ | INSPECT_WRITE);
	assert_int_equal(use->end - use->start, FILE_BYTES);
	assert_int_equal(view_at(&result.holders[0], 2)->access, INSPECT_READ);
	assert_int_equal(view_at(&result.holders[0], 5)->access,
			 INSPECT_READ | INSPECT_EXEC | INSPECT_PRIVATE);
	inspect_finish(&result);
	inspect_finish(&result); /* twice is harmless */

	end(pid);
	scan(true, &result);
	assert_int_equal(result.count, 0);
	inspect_finish(&result);
}

static void hold_four(void)
{
	open_file(O_RDONLY);
	open_file(O_WRONLY);
	dup(open_file(O_RDWR | O_CLOEXEC));
	open_file(O_PATH); /* no handle */
}

static void sees_handles(void **state)
{
	struct inspect_result result;
	unsigned seen[4] = {0};
	pid_t pid;

	(void)state;
	pid = child(hold_four);
	scan(false, &result);
	assert_int_equal(result.count, 0);
	inspect_finish(&result);
	scan(true, &result);
	assert_int_equal(result.count, 1);
	assert_int_equal(result.handles, 4);
	assert_int_equal(result.views, 0);
	assert_int_equal(result.holders[0].pid, pid);
	for (size_t i = 0; i < result.holders[0].count; i++) {
		assert_false(result.holders[0].uses[i].view);
		assert_true(result.holders[0].uses[i].fd > 2);
		seen[result.holders[0].uses[i].access & 3]++;
	}
	assert_int_equal(seen[INSPECT_READ], 1);
	assert_int_equal(seen[INSPECT_WRITE], 1);
	assert_int_equal(seen[INSPECT_READ | INSPECT_WRITE], 2);
	inspect_finish(&result);
	end(pid);
}

static void *sleep_forever(void *context)
{
	for (;;)
		pause();
	return context;
}

static void map_with_threads(void)
{
	pthread_t thread;

	map_three();
	for (int i = 0; i < 4; i++)
		pthread_create(&thread, NULL, sleep_forever, NULL);
}

static void counts_threads_once_and_processes_each(void **state)
{
	struct inspect_result result;
	pid_t first, second;

	(void)state;
	first = child(map_with_threads);
	second = child(map_three);
	scan(true, &result);
	assert_int_equal(result.count, 2);
	assert_int_equal(result.views, 6);
	inspect_finish(&result);
	end(first);
	end(second);
}

static void map_one_page(void)
{
	map_or_exit(open_file(O_RDONLY), PROT_READ, MAP_SHARED, 3, 1);
}

static int beyond(uint64_t size)
{
	return inspect_has_view_beyond(major(box.st.st_dev), minor(box.st.st_dev), box.st.st_ino,
				       size);
}

static void tells_views_beyond_a_size(void **state)
{
	pid_t pid;

	(void)state;
	assert_int_equal(beyond(0), 0);
	pid = child(map_one_page);
	assert_int_equal(beyond(0), 1);
	assert_int_equal(beyond(3 * PAGE_BYTES), 1);
	assert_int_equal(beyond(4 * PAGE_BYTES - 1), 1);
	assert_int_equal(beyond(4 * PAGE_BYTES), 0);
	assert_int_equal(beyond(UINT64_MAX), 0);
	end(pid);
	assert_int_equal(beyond(0), 0);
}

static void knows_other_files_and_devices(void **state)
{
	struct inspect_result result;
	pid_t pid = child(map_three);

	(void)state;
	assert_int_equal(inspect_scan(major(box.st.st_dev), minor(box.st.st_dev),
				      box.st.st_ino + 100000, true, &result),
			 0);
	assert_int_equal(result.count, 0);
	inspect_finish(&result);
	assert_int_equal(inspect_scan(major(box.st.st_dev), minor(box.st.st_dev) + 1000,
				      box.st.st_ino, true, &result),
			 0);
	assert_int_equal(result.count, 0);
	inspect_finish(&result);
	end(pid);
}

/* A neighbour whose name looks like the fields of a line about our file. */
static void is_not_fooled_by_names(void **state)
{
	struct inspect_result result;
	struct stat wanted = box.st;
	char name[64], first[128];
	pid_t pid;

	(void)state;
	strcpy(first, box.path);
	snprintf(name, sizeof name, "0-1000 r--s 00000000 %02x:%02x %lu x", major(wanted.st_dev),
		 minor(wanted.st_dev), wanted.st_ino);
	make_file(name);
	pid = child(map_three);
	box.st = wanted;
	scan(true, &result);
	assert_int_equal(result.count, 0);
	inspect_finish(&result);
	end(pid);
	unlink(box.path);
	strcpy(box.path, first);
}

static void in_a_new_pid_namespace(void)
{
	if (unshare(CLONE_NEWPID))
		_exit(4);
	child(map_three);
}

static void tells_the_pid_inside_a_namespace(void **state)
{
	struct inspect_result result;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = child(in_a_new_pid_namespace);
	scan(true, &result);
	assert_int_equal(result.count, 1);
	assert_true(result.holders[0].pid > 1);
	assert_int_equal(result.holders[0].ns_pid, 1);
	end(result.holders[0].pid);
	inspect_finish(&result);
	end(pid);
}

static void hold_behind_a_bind_mount(void)
{
	char target[] = "/tmp/test_inspect.XXXXXX";

	if (unshare(CLONE_NEWNS) || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    !mkdtemp(target) || mount(box.dir, target, NULL, MS_BIND, NULL) || chdir(target) ||
	    open("file", O_RDONLY) < 0 || chdir("/"))
		_exit(6);
	if (umount2(target, MNT_DETACH))
		_exit(7);
	rmdir(target);
}

static void hold_in_a_mount_namespace(void)
{
	if (unshare(CLONE_NEWNS) || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(box.dir, "/mnt", NULL, MS_BIND, NULL) || open("/mnt/file", O_RDWR) < 0)
		_exit(6);
}

static void sees_handles_of_other_mount_namespaces(void **state)
{
	struct inspect_result result;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = child(hold_in_a_mount_namespace);
	scan(true, &result);
	assert_int_equal(result.count, 1);
	assert_int_equal(result.holders[0].pid, pid);
	assert_int_equal(result.handles, 1);
	inspect_finish(&result);
	end(pid);

	/* A detached mount is in nobody's list: not counted, and no error either. */
	pid = child(hold_behind_a_bind_mount);
	scan(true, &result);
	assert_int_equal(result.handles, 0);
	inspect_finish(&result);
	end(pid);
}

/* Enough lines for many buffers, ours far behind in them. */
static void map_among_thousands(void)
{
	int fd;

	make_file("many");
	fd = open_file(O_RDWR);
	for (uint64_t i = 0; i < 6000; i++)
		map_or_exit(fd, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, i % PAGES,
			    1);
	close(fd);
	unlink(box.path);
	strcpy(strrchr(box.path, '/'), "/file");
	map_three();
}

static void reads_long_maps(void **state)
{
	struct inspect_result result;
	pid_t pid = child(map_among_thousands);

	(void)state;
	scan(true, &result);
	assert_int_equal(result.views, 3);
	assert_int_equal(result.count, 1);
	inspect_finish(&result);
	end(pid);
}

/* How many processes that user cannot look at; negative: no answer. */
static int unreadable_for(uid_t uid)
{
	struct inspect_result result;
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (setresuid(uid, uid, uid) ||
		    inspect_scan(major(box.st.st_dev), minor(box.st.st_dev), box.st.st_ino, true,
				 &result))
			_exit(255);
		_exit((int)result.unreadable);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) == 255)
		return -1;
	return WEXITSTATUS(status);
}

/* Ends at once and is not waited for. */
static bool make_zombie(void)
{
	siginfo_t info;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	return pid > 0 && !waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
}

/* As process 1 of a namespace: nobody else comes and goes. Returns the line that is wrong. */
static int count_unreadable(void)
{
	pid_t pid;

	if (mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("proc", "/proc", "proc", 0, NULL))
		return __LINE__;
	if (unreadable_for(0) != 0 || unreadable_for(65534) != 1) /* process 1 */
		return __LINE__;
	if (!make_zombie() || unreadable_for(0) != 0 || unreadable_for(65534) != 1)
		return __LINE__;
	pid = fork();
	if (!pid)
		sleep_forever(NULL);
	if (unreadable_for(0) != 0 || unreadable_for(65534) != 2)
		return __LINE__;
	end(pid);
	return unreadable_for(65534) == 1 ? 0 : __LINE__;
}

static void counts_the_living_as_unreadable_not_zombies(void **state)
{
	int wrong = -1, result[2];
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(pipe2(result, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		alarm(60);
		if (unshare(CLONE_NEWPID | CLONE_NEWNS))
			_exit(1);
		pid = fork();
		if (!pid) {
			alarm(60);
			wrong = count_unreadable();
			_exit(write(result[1], &wrong, sizeof wrong) != sizeof wrong);
		}
		waitpid(pid, NULL, 0);
		_exit(0);
	}
	close(result[1]);
	assert_int_equal(read(result[0], &wrong, sizeof wrong), sizeof wrong);
	assert_int_equal(wrong, 0);
	close(result[0]);
	waitpid(pid, NULL, 0);
}

/* The process's first thread is gone, and another one maps and holds. */
static void *map_and_stay(void *ready)
{
	int fd = open_file(O_RDWR);

	map_or_exit(fd, PROT_READ | PROT_WRITE, MAP_SHARED, 0, 2);
	while (write(*(int *)ready, "", 1) != 1)
		;
	for (;;)
		pause();
	return NULL;
}

static int leaderless_ready[2];

static void lead_no_more(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, map_and_stay, &leaderless_ready[1]))
		_exit(4);
	pthread_exit(NULL);
}

static bool is_zombie(pid_t pid)
{
	char path[32], line[512] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof line, file));
	fclose(file);
	return strstr(line, ") Z ") != NULL;
}

static void sees_processes_without_a_first_thread(void **state)
{
	struct inspect_result result;
	pid_t pid;
	char byte;

	(void)state;
	assert_int_equal(pipe2(leaderless_ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid)
		lead_no_more();
	assert_int_equal(read(leaderless_ready[0], &byte, 1), 1);
	while (!is_zombie(pid)) /* alarm() ends a test in which it never is */
		sched_yield();
	scan(true, &result);
	assert_int_equal(result.views, 1);
	assert_int_equal(result.handles, 1);
	assert_int_equal(result.holders[0].pid, pid);
	inspect_finish(&result);
	assert_int_equal(inspect_has_view_beyond(major(box.st.st_dev), minor(box.st.st_dev),
						 box.st.st_ino, PAGE_BYTES),
			 1);
	end(pid);
	close(leaderless_ready[0]);
	close(leaderless_ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(sees_views, setup, teardown),
	    cmocka_unit_test_setup_teardown(sees_handles, setup, teardown),
	    cmocka_unit_test_setup_teardown(counts_threads_once_and_processes_each, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(tells_views_beyond_a_size, setup, teardown),
	    cmocka_unit_test_setup_teardown(knows_other_files_and_devices, setup, teardown),
	    cmocka_unit_test_setup_teardown(is_not_fooled_by_names, setup, teardown),
	    cmocka_unit_test_setup_teardown(tells_the_pid_inside_a_namespace, setup, teardown),
	    cmocka_unit_test_setup_teardown(sees_handles_of_other_mount_namespaces, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(reads_long_maps, setup, teardown),
	    cmocka_unit_test_setup_teardown(sees_processes_without_a_first_thread, setup, teardown),
	    cmocka_unit_test_setup_teardown(counts_the_living_as_unreadable_not_zombies, setup,
					    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
