/* How the daemon is started and ended: command line, mount(8), options, SIGTERM, umount, dead
 * mounts. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "tests/sys/objects.h"

static bool is_mounted(struct sys *sys)
{
	char line[8192], wanted[300];
	bool found = false;
	FILE *mounts = fopen("/proc/self/mountinfo", "re");

	snprintf(wanted, sizeof(wanted), " %s ", sys->mnt);
	while (mounts && fgets(line, sizeof(line), mounts))
		found |= strstr(line, wanted) != NULL;
	if (mounts)
		fclose(mounts);
	return found;
}

/* A process table entry that is not a zombie. */
static bool runs(pid_t pid)
{
	char path[64], line[512] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	bool alive = fgets(line, sizeof(line), file) && !strstr(line, ") Z ");
	fclose(file);
	return alive;
}

/* Abstract or named sockets of this mount that the kernel still lists. */
static bool sockets_left(struct sys *sys)
{
	return sys_shell(sys, "grep -q '%s' /proc/net/unix", sys->dir) == 0;
}

static void answers_when_it_returns(void **state)
{
	struct sys *sys = *state;
	for (int i = 0; i < 10; i++) {
		sys_mount(sys, NULL);
		AUTO_CLOSE int fd =
		    open(sys_path(sys, "at-once"), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		assert_true(fd >= 0);
		AUTO_CLOSE int sock = control_connect(sys->mnt);
		assert_true(sock >= 0);
		close(steal_fd(&fd));
		close(steal_fd(&sock));
		sys_unmount(sys);
		assert_false(is_mounted(sys));
	}
	assert_false(sockets_left(sys));
}

static void umount_ends_it(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	pid_t supervisor = sys->supervisor, worker = sys_worker(sys);

	object_make(sys, "x", WIRE_SET_SIZE, 4096, -1);
	AUTO_CLOSE int fd = open(sys_path(sys, "x"), O_RDWR | O_CLOEXEC);
	assert_int_equal(umount2(sys->mnt, 0), -1);
	assert_int_equal(errno, EBUSY); /* in use: it stays */
	assert_true(runs(worker));
	close(steal_fd(&fd));
	sys_unmount(sys);
	assert_false(runs(supervisor));
	assert_false(runs(worker));
	assert_false(sockets_left(sys));
}

static void sigterm_ends_it(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	pid_t supervisor = sys->supervisor, worker = sys_worker(sys);

	object_make(sys, "x", WIRE_SET_SIZE, 4096, -1);
	assert_int_equal(kill(supervisor, SIGTERM), 0);
	WAIT_UNTIL(10, !is_mounted(sys));
	WAIT_UNTIL(10, !runs(supervisor) && !runs(worker));
	WAIT_UNTIL(10, !sockets_left(sys));
	sys->mounted = false;
	close(sys->supervisor_pidfd);
	sys->supervisor_pidfd = -1;
}

static void lazy_umount_ends_it(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	pid_t supervisor = sys->supervisor, worker = sys_worker(sys);
	const char *path = object_make(sys, "x", WIRE_SET_SIZE, 4096, -1);
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_int_equal(umount2(sys->mnt, MNT_DETACH), 0);
	assert_int_equal(pwrite(fd, "still works", 11, 0), 11);
	close(steal_fd(&fd));
	WAIT_UNTIL(10, !runs(supervisor) && !runs(worker));
	sys->mounted = false;
	close(sys->supervisor_pidfd);
	sys->supervisor_pidfd = -1;
}

/* In the foreground, with a READY=1 socket. */
static int notify_socket(struct sys *sys, struct sockaddr_un *address)
{
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "%s/notify", sys->dir);
	assert_int_equal(bind(sock, (struct sockaddr *)address, sizeof(*address)), 0);
	return sock;
}

static void foreground(void **state)
{
	struct sys *sys = *state;
	struct sockaddr_un address;
	char text[512] = "";
	AUTO_CLOSE int sock = notify_socket(sys, &address);
	struct pollfd ready = {.fd = sock, .events = POLLIN};

	pid_t pid = sys_start(sys, NULL, NULL, "NOTIFY_SOCKET=%s exec mappingfs -f %s",
			      address.sun_path, sys->mnt);
	while (!strstr(text, "READY=1")) {
		assert_int_equal(poll(&ready, 1, 10000), 1);
		assert_true(recv(sock, text, sizeof(text) - 1, 0) > 0);
	}
	assert_true(is_mounted(sys));
	assert_int_equal(mknod(sys_path(sys, "x"), S_IFREG | 0644, 0), 0);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(sys_wait(sys, pid), 0);
	assert_false(is_mounted(sys));

	pid = sys_start(sys, NULL, NULL, "exec mappingfs -f %s", sys->mnt);
	WAIT_UNTIL(10, number_xattr(sys->mnt, "user.mapping.status") >= 0);
	WAIT_UNTIL(10, umount2(sys->mnt, 0) == 0);
	assert_int_equal(sys_wait(sys, pid), 0);
}

static void usage_errors(void **state)
{
	static const struct {
		const char *arguments;
		int status;
		const char *says;
	} rows[] = {
	    {"-o bogus_option %s", 1, "bogus_option"},
	    {"-o size=abc %s", 1, "size"},
	    {"-o size=-5 %s", 1, "size"},
	    {"-o size=0 %s", 1, "size"},
	    {"-o size= %s", 1, "size"},
	    {"-o mode=sideways %s", 1, "mode"},
	    {"-o lifetime=forever %s", 1, "lifetime"},
	    {"-o poll=x %s", 1, "poll"},
	    {"--bogus %s", 1, "bogus"},
	    {"-o %s", 1, ""},
	    {"", 1, ""},
	    {"a b %s", 1, ""},
	    {"%s/absent", 3, "absent"},
	    {"-o store=/proc/nonexistent %s", -1, "store"},
	};
	struct sys *sys = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char command[512] = "mappingfs ";
		snprintf(command + strlen(command), 400, rows[i].arguments, sys->mnt);
		int status = sys_shell(sys, "%s", command);
		if (rows[i].status >= 0 ? status != rows[i].status : status == 0)
			fail_msg("%s: status %d: %s", command, status, sys->output);
		if (!strstr(sys->output, rows[i].says) || !*sys->output)
			fail_msg("%s: says: %s", command, sys->output);
		assert_false(is_mounted(sys));
	}
	assert_int_equal(sys_shell(sys, "touch %s/file; mappingfs %s/file", sys->dir, sys->dir), 3);
}

static void generic_options(void **state)
{
	struct sys *sys = *state;
	struct statvfs st;

	sys_mount(sys,
		  "nofail,_netdev,x-systemd.automount,x-anything=7,user,noauto,defaults,nosuid,"
		  "nodev,noexec,noatime,rw,comment=hello");
	assert_int_equal(statvfs(sys->mnt, &st), 0);
	assert_true(st.f_flag & ST_NOSUID);
	assert_true(st.f_flag & ST_NODEV);
	assert_true(st.f_flag & ST_NOEXEC);
	assert_true(st.f_flag & ST_NOATIME);
	assert_false(st.f_flag & ST_RDONLY);
	assert_int_equal(sys_shell(sys, "cp /bin/true %s/t; %s/t", sys->mnt, sys->mnt), 126);
	sys_unmount(sys);
	sys_mount(sys, "ro");
	assert_int_equal(mknod(sys_path(sys, "x"), S_IFREG | 0644, 0), -1);
	assert_int_equal(errno, EROFS);
}

static void root_directory(void **state)
{
	struct sys *sys = *state;
	struct stat st;

	sys_mount(sys, NULL);
	assert_int_equal(stat(sys->mnt, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 01777);
	assert_int_equal(st.st_uid, 0);
	sys_unmount(sys);
	sys_mount(sys, "mode=0750,uid=1000,gid=1001");
	assert_int_equal(stat(sys->mnt, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0750);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_gid, 1001);
}

static int run(struct sys *sys, const char *format)
{
	char command[512];
	snprintf(command, sizeof(command), format, sys->mnt);
	int status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* mount(8) looks for helpers in the system's directories only: ours goes over one of them, in a
 * mount namespace of its own. */
static int mount_in_own_namespace(void *context)
{
	struct sys *sys = context;
	const char *bin = getenv("MAPPINGFS_BIN");

	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount(bin ? bin : TEST_BIN_DIR, "/usr/local/sbin", NULL, MS_BIND, NULL) == 0);
	CHECK(run(sys, "mount -t fuse.mappingfs -o size=16m,nofail,x-a=b,nosuid objects %s") == 0);
	CHECK(is_mounted(sys));
	AUTO_FREE char *status = sys_xattr(sys->mnt, "user.mapping.status");
	CHECK(status && strstr(status, "16777216"));
	CHECK(run(sys, "findmnt -n -o FSTYPE %s | grep -qx fuse.mappingfs") == 0);
	CHECK(run(sys, "findmnt -n -o SOURCE %s | grep -qx objects") == 0);
	const char *pid = strstr(status, "\"supervisor_pid\": ");
	pid_t supervisor = pid ? atoi(pid + strlen("\"supervisor_pid\": ")) : 0;
	CHECK(supervisor > 0);
	CHECK(run(sys, "umount %s") == 0);
	CHECK(BECOMES_TRUE(10, !runs(supervisor)));
	CHECK(run(sys, "mount -t fuse.mappingfs -o bogus_option objects %s 2>/dev/null") != 0);
	CHECK(!is_mounted(sys));
	return 0;
}

static void by_mount_8(void **state)
{
	struct sys *sys = *state;
	assert_int_equal(sys_wait(sys, sys_fork(sys, mount_in_own_namespace, sys)), 0);
}

static void busy_mount_point(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	object_make(sys, "x", WIRE_SET_SIZE, 4096, -1);
	assert_int_equal(sys_shell(sys, "mappingfs %s", sys->mnt), 3);
	assert_int_equal(size_of(sys_path(sys, "x")), 4096); /* the living one was left alone */
}

static void a_dead_mount_is_replaced(void **state)
{
	struct sys *sys = *state;
	struct stat st;
	sys_mount(sys, NULL);
	object_make(sys, "x", WIRE_SET_SIZE, 4096, -1);
	sys_kill_all(sys);
	WAIT_UNTIL(10, stat(sys->mnt, &st) < 0 && errno == ENOTCONN);
	sys_mount(sys, NULL);
	assert_int_equal(stat(sys->mnt, &st), 0);
	assert_int_equal(size_of(sys_path(sys, "x")), -1);
	assert_int_equal(mknod(sys_path(sys, "y"), S_IFREG | 0644, 0), 0);
	sys_unmount(sys);
	assert_false(is_mounted(sys)); /* not one on top of another */
}

static void without_a_supervisor(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	pid_t worker = sys_worker(sys);
	const char *path = object_make(sys, "x", WIRE_SET_SIZE, 4096, -1);

	pid_t standby = sys_standby(sys);
	kill(sys->supervisor, SIGSTOP);
	kill(standby, SIGKILL);
	kill(sys->supervisor, SIGKILL);
	WAIT_UNTIL(10, !runs(sys->supervisor) && !runs(standby));
	close(sys->supervisor_pidfd);
	sys->supervisor_pidfd = -1;
	sys->mounted = false;
	/* The worker serves on, or ends; what is mounted can be taken down either way. */
	assert_true(size_of(path) == 4096 || errno == ENOTCONN);
	assert_int_equal(umount2(sys->mnt, 0), 0);
	WAIT_UNTIL(10, !runs(worker));
}

static void version_and_help(void **state)
{
	struct sys *sys = *state;
	assert_int_equal(sys_shell(sys, "mappingfs --version"), 0);
	assert_non_null(strstr(sys->output, "mappingfs"));
	assert_non_null(strstr(sys->output, "libfuse"));
	assert_non_null(strstr(sys->output, "passthrough"));
	assert_int_equal(sys_shell(sys, "mappingfs -V"), 0);
	assert_int_equal(sys_shell(sys, "mappingfs --help"), 0);
	static const char *const words[] = {
	    "size=", "store=", "mode=", "lifetime=", "allow_other", "uid=", "poll=", "-f"};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strstr(sys->output, words[i]))
			fail_msg("--help does not say %s", words[i]);
}

static void idle_uses_no_cpu(void **state)
{
	struct sys *sys = *state;
	char path[64], line[512] = "";
	long used[2];
	sys_mount(sys, NULL);
	object_make(sys, "x", WIRE_SET_SIZE, 4096, -1);
	/* Wake-ups over a second in which nobody asks anything. */
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/status", sys_worker(sys));
		used[i] = -1;
		usleep(i == 0 ? 500000 : 1000000);
		FILE *file = fopen(path, "re");
		while (fgets(line, sizeof(line), file))
			sscanf(line, "voluntary_ctxt_switches: %ld", &used[i]);
		fclose(file);
	}
	sys_say("%ld wake-ups in an idle second", used[1] - used[0]);
	assert_true(used[1] - used[0] <= 3);
}

/* As mountinfo has it; -1: nothing is mounted there. */
static int mount_number(const char *point)
{
	char line[8192], wanted[300];
	int number = -1;
	FILE *mounts = fopen("/proc/self/mountinfo", "re");

	snprintf(wanted, sizeof(wanted), " %s ", point);
	while (mounts && fgets(line, sizeof(line), mounts))
		if (strstr(line, wanted))
			sscanf(line, "%d", &number);
	if (mounts)
		fclose(mounts);
	return number;
}

static void wait_for_the_supervisor(struct sys *sys)
{
	struct pollfd ended = {.fd = sys->supervisor_pidfd, .events = POLLIN};

	assert_int_equal(poll(&ended, 1, 20000), 1);
	close(sys->supervisor_pidfd);
	sys->supervisor_pidfd = -1;
	sys->supervisor = 0;
	sys->mounted = false;
}

/* The number of a mount goes to the next one, of any file system, as soon as it is unmounted. A
 * supervisor that ends must leave that alone. True if the number was met with again. */
static bool end_beside_others(struct sys *sys)
{
	enum { OTHERS = 8 };
	char point[OTHERS][100];
	bool met = false;
	int number;

	sys_mount(sys, NULL);
	number = mount_number(sys->mnt);
	assert_int_equal(kill(sys->supervisor, SIGSTOP), 0);
	assert_int_equal(umount2(sys->mnt, 0), 0);
	for (int i = 0; i < OTHERS; i++) {
		snprintf(point[i], sizeof(point[i]), "%s/other%d", sys->dir, i);
		assert_true(mkdir(point[i], 0755) == 0 || errno == EEXIST);
		assert_int_equal(mount("other", point[i], "tmpfs", 0, "size=1m"), 0);
		met |= mount_number(point[i]) == number;
	}
	assert_int_equal(kill(sys->supervisor, SIGCONT), 0);
	wait_for_the_supervisor(sys);
	for (int i = 0; i < OTHERS; i++)
		assert_int_equal(umount2(point[i], 0), 0);
	return met;
}

static void leaves_other_mounts_alone(void **state)
{
	bool met = false;

	for (int i = 0; i < 20 && !met; i++)
		met = end_beside_others(*state);
	if (!met)
		sys_skip("the kernel does not use numbers of mounts again");
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(answers_when_it_returns),
    SYS_TEST_BOTH_MODES(umount_ends_it),
    SYS_TEST_BOTH_MODES(sigterm_ends_it),
    SYS_TEST_BOTH_MODES(lazy_umount_ends_it),
    SYS_TEST_BOTH_MODES(leaves_other_mounts_alone),
    SYS_TEST_PASSTHROUGH(foreground),
    SYS_TEST_PASSTHROUGH(usage_errors),
    SYS_TEST_BOTH_MODES(generic_options),
    SYS_TEST_BOTH_MODES(root_directory),
    SYS_TEST_PASSTHROUGH(by_mount_8),
    SYS_TEST_PASSTHROUGH(busy_mount_point),
    SYS_TEST_BOTH_MODES(a_dead_mount_is_replaced),
    SYS_TEST_PASSTHROUGH(without_a_supervisor),
    SYS_TEST_PASSTHROUGH(version_and_help),
    SYS_TEST_BOTH_MODES(idle_uses_no_cpu),
};

int main(void)
{
	return sys_run_tests("mount", tests);
}
