/* Objects and their rights from user namespaces: a user that is root to itself, several users of
 * one namespace, a container with its own. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sys/objects.h"

enum { SIZE = 1 << 16 };

/* For shells: "no COMMAND" ends with an error if the command succeeds; "!" does not, with -e. */
#define NO "no() { if \"$@\"; then echo \"done: $*\"; exit 1; fi; }; "

static void assert_owner(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
	assert_int_equal(st.st_mode & 07777, mode);
}

/* A shell that thinks it is root, and is user 1000 to everybody else. */
#define AS_NAMESPACE_ROOT                                                                          \
	"setpriv --reuid 1000 --regid 1000 --clear-groups unshare --user --map-root-user sh -ec '"

static void root_of_a_namespace(void **state)
{
	struct sys *sys = *state;
	AUTO_FREE char *creator = NULL;

	sys_mount(sys, "size=64m");
	object_make(sys, "roots", WIRE_SET_SIZE, SIZE, -1);
	assert_int_equal(chmod(sys_path(sys, "roots"), 0600), 0);
	object_make(sys, "theirs", WIRE_SET_SIZE, SIZE, -1);
	assert_int_equal(chown(sys_path(sys, "theirs"), 1000, 1000), 0);
	assert_int_equal(chmod(sys_path(sys, "theirs"), 0600), 0);
	if (sys_shell(sys,
		      AS_NAMESPACE_ROOT
		      "test $(id -u) = 0; cd %s; " NO
		      "test $(stat -c %%u theirs) = 0; test $(stat -c %%u roots) = 65534; "
		      "dd if=theirs of=/dev/null status=none; "
		      "printf hello | dd of=theirs conv=notrunc status=none; "
		      "no dd if=roots of=/dev/null status=none; no rm -f roots; "
		      "no chown 1 theirs; no chmod 666 roots; "
		      "setfattr -n user.mapping.lifetime -v temporary theirs; "
		      "setfattr -n user.mapping.lifetime -v permanent theirs; "
		      "no setfattr -n user.mapping.lifetime -v temporary roots; "
		      ": >made; mkdir dir; setfattr -n user.mapping.lifetime -v handle dir; "
		      "setfacl -m u::rw,g::r,o::r made; "
		      "mapctl create %s/configured --size 4096 --mode 0640; "
		      "no mapctl create %s/x --size 4096 --mode 0640 --group 5'",
		      sys->mnt, sys->mnt, sys->mnt) != 0)
		fail_msg("in the namespace: %s", sys->output);
	assert_owner(sys_path(sys, "made"), 1000, 1000, 0644);
	assert_owner(sys_path(sys, "configured"), 1000, 1000, 0640);
	assert_owner(sys_path(sys, "roots"), 0, 0, 0600);
	assert_int_equal(size_of(sys_path(sys, "x")), -1);
	creator = sys_xattr(sys_path(sys, "made"), "user.mapping.creator");
	assert_non_null(creator);
	assert_true(strncmp(creator, "1000 ", 5) == 0); /* as everybody else sees them */
}

struct mapped {
	int entered[2], mapped[2];
	const char *command;
	const char *log;
};

static int in_mapped_namespace(void *context)
{
	const struct mapped *m = context;
	char byte = 0;
	int log;

	CHECK(unshare(CLONE_NEWUSER) == 0);
	CHECK(write(m->entered[1], &byte, 1) == 1 && read(m->mapped[0], &byte, 1) == 1);
	CHECK(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
	log = open(m->log, O_WRONLY | O_CLOEXEC);
	CHECK(dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0);
	execlp("sh", "sh", "-exc", m->command, NULL);
	return 1;
}

static void write_map(pid_t pid, const char *which)
{
	static const char map[] = "0 100000 65536";
	char path[64];
	AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, which);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, map, strlen(map)), strlen(map));
}

/* Runs a shell as root of a user namespace whose user N is 100000 + N outside. */
static void in_namespace(struct sys *sys, const char *command)
{
	struct mapped m = {.command = command, .log = sys_path(sys, "log")};
	char byte;
	pid_t pid;

	assert_int_equal(sys_shell(sys, ": >%s; chmod 666 %s", m.log, m.log), 0);
	assert_int_equal(pipe2(m.entered, O_CLOEXEC), 0);
	assert_int_equal(pipe2(m.mapped, O_CLOEXEC), 0);
	pid = sys_fork(sys, in_mapped_namespace, &m);
	assert_int_equal(read(m.entered[0], &byte, 1), 1);
	write_map(pid, "uid_map");
	write_map(pid, "gid_map");
	assert_int_equal(write(m.mapped[1], "", 1), 1);
	for (int i = 0; i < 2; i++) {
		close(m.entered[i]);
		close(m.mapped[i]);
	}
	if (sys_wait(sys, pid) == 0)
		return;
	sys_shell(sys, "cat %s", m.log);
	fail_msg("in the namespace: %s", sys->output);
}

/* Several users of a namespace, each somebody of their own outside. */
static void users_of_a_namespace(void **state)
{
	struct sys *sys = *state;
	char command[1024];

	sys_mount(sys, "size=64m");
	snprintf(command, sizeof command,
		 "no='" NO "'; eval \"$no\"; cd %s; umask 022; : >zero; chmod 600 zero; : >given; "
		 "chown 33:44 given; chmod 640 given; setfacl -m u:34:rw given; "
		 "as() { setpriv --reuid $1 --regid $1 --clear-groups sh -ec \"$no$2\"; }; "
		 "as 33 'cat given; echo x >>given; no cat zero; no rm -f zero'; "
		 "as 34 'cat given; echo x >>given; no rm -f given'; "
		 "as 35 'no cat given; : >mine'; "
		 "no chown 70000 zero; test $(stat -c %%u mine) = 35",
		 sys->mnt);
	in_namespace(sys, command);
	assert_owner(sys_path(sys, "zero"), 100000, 100000, 0600);
	assert_owner(sys_path(sys, "given"), 100033, 100044, 0660); /* group bits: the mask */
	assert_owner(sys_path(sys, "mine"), 100035, 100035, 0644);
	assert_int_equal(sys_shell(sys, "getfacl -n %s", sys_path(sys, "given")), 0);
	assert_non_null(strstr(sys->output, "user:100034:rw-"));
}

static void bubblewrap_with_its_own_users(void **state)
{
	struct sys *sys = *state;

	sys_mount(sys, "size=64m");
	assert_int_equal(mkdir(sys_path(sys, "given"), 0), 0);
	assert_int_equal(chmod(sys_path(sys, "given"), 0777), 0);
	object_make(sys, "given/closed", WIRE_SET_SIZE, SIZE, -1);
	assert_int_equal(chmod(sys_path(sys, "given/closed"), 0600), 0);
	if (sys_shell(sys,
		      "setpriv --reuid 1000 --regid 1000 --clear-groups bwrap --unshare-user --uid "
		      "0 --gid 0 --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib "
		      "--symlink usr/lib64 /lib64 --proc /proc --dev /dev --bind %s/given /shm "
		      "sh -ec '" NO
		      "test $(id -u) = 0; cd /shm; no cat closed; no chmod 666 closed; "
		      "echo x >open; no chown 7 open; test $(stat -c %%u open) = 0'",
		      sys->mnt) != 0)
		fail_msg("in the container: %s", sys->output);
	assert_owner(sys_path(sys, "given/open"), 1000, 1000, 0644);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(root_of_a_namespace),
    SYS_TEST_BOTH_MODES(users_of_a_namespace),
    SYS_TEST_BOTH_MODES(bubblewrap_with_its_own_users),
};

int main(void)
{
	return sys_run_tests("rights_namespaces", tests);
}
