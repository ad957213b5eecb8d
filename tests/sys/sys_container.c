/* A container that was given one directory of the mount shares the objects in it with the host, and
 * sees no others. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sys/share.h"

enum { SIZE = 1 << 20 };

static void make_objects(struct sys *sys)
{
	static const char *const names[] = {"given/object", "kept/secret"};

	assert_int_equal(mkdir(sys_path(sys, "given"), 0777), 0);
	assert_int_equal(mkdir(sys_path(sys, "kept"), 0777), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int fd = open(sys_path(sys, "%s", names[i]), O_RDWR | O_CREAT | O_CLOEXEC, 0666);

		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, SIZE), 0);
		close(fd);
	}
}

static void share_with(struct sys *sys, struct share *host, struct share *guest)
{
	share_put(host, 0, 1);
	assert_int_equal(share_get(guest, 0), 1);
	share_put(guest, 8, 2);
	assert_int_equal(share_get(host, 8), 2);
	sys_kill_worker(sys);
	share_put(guest, SIZE - 4096, 3); /* a page nobody had touched */
	assert_int_equal(share_get(host, SIZE - 4096), 3);
	share_close_file(guest);
	share_close_file(host);
	share_put(host, 16, 4);
	assert_int_equal(share_get(guest, 16), 4);
}

/* What a shell in the container does and must find. $1: nothing else of the mount is anywhere. */
static const char probe[] = "set -e; "
			    "test -s /objects/object; "
			    "test $(ls /objects | wc -l) = 1; "
			    "test ! -e /objects/../kept; test ! -e /kept; test ! -e /objects/kept; "
			    "if find / -xdev -name secret 2>/dev/null | grep .; then exit 1; fi; "
			    "if find /objects -name secret | grep .; then exit 1; fi; "
			    "printf from-inside >/objects/made; "
			    "test \"$(cat /objects/made)\" = from-inside; "
			    "mv /objects/made /objects/moved; "
			    "echo all seen";

static void check_probe(struct sys *sys, int status)
{
	struct stat st;

	if (status != 0 || !strstr(sys->output, "all seen"))
		fail_msg("in the container: status %d: %s", status, sys->output);
	assert_int_equal(stat(sys_path(sys, "given/moved"), &st), 0);
	assert_int_equal(st.st_size, strlen("from-inside"));
	assert_int_equal(unlink(sys_path(sys, "given/moved")), 0);
}

/* --- bubblewrap --- */

#define BWRAP                                                                                      \
	"bwrap --unshare-all --die-with-parent --ro-bind /usr /usr --symlink usr/bin /bin "        \
	"--symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp "

static void bubblewrap_gets_one_directory(void **state)
{
	struct sys *sys = *state;
	struct share host, guest;
	char command[1024];

	sys_mount(sys, "size=64m");
	make_objects(sys);
	snprintf(command, sizeof command,
		 BWRAP "--bind %s/given /objects --ro-bind %s /share /share", sys->mnt, SHARE_C);
	share_start(&host, sys, SHARE_C, sys_path(sys, "given/object"));
	share_start(&guest, sys, command, "/objects/object");
	share_with(sys, &host, &guest);
	share_end(&guest);
	share_end(&host);
	check_probe(sys,
		    sys_shell(sys, BWRAP "--bind %s/given /objects sh -c '%s'", sys->mnt, probe));
}

/* Given the whole mount, the container has its control socket too: mapctl works inside. */
static void bubblewrap_uses_mapctl(void **state)
{
	struct sys *sys = *state;
	const char *bin = getenv("MAPPINGFS_BIN");
	struct stat st;
	int status;

	sys_mount(sys, "size=64m");
	if (sys->reference)
		return;
	status = sys_shell(sys,
			   BWRAP "--bind %s /objects --ro-bind %s /tools sh -ec '"
				 "export ASAN_OPTIONS=detect_leaks=0; "
				 "/tools/mapctl create made --size 2M --temporary; "
				 "/tools/mapctl --mount /objects create kept --size 1M; "
				 "/tools/mapctl ls; /tools/mapctl status'",
			   sys->mnt, bin ? bin : TEST_BIN_DIR);
	if (status != 0)
		fail_msg("mapctl in the container: status %d: %s", status, sys->output);
	assert_non_null(strstr(sys->output, "made"));
	assert_non_null(strstr(sys->output, "kept"));
	assert_int_equal(stat(sys_path(sys, "made"), &st), 0);
	assert_int_equal(st.st_size, 2 << 20);
}

/* --- podman --- */

/* In a mount namespace of its own (podman's mounts go with it), with its storage in our directory.
 */
#define PODMAN                                                                                     \
	"unshare -m sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec podman --root "         \
	"%s/store "                                                                                \
	"--runroot %s/run --storage-driver vfs --cgroup-manager cgroupfs --events-backend none "
#define PODMAN_RUN                                                                                 \
	"run --rm -i --cgroups=disabled --network=none --ulimit nofile=1000:1000 "                 \
	"--ulimit nproc=1000:1000 --log-driver none "

static bool podman_runs(struct sys *sys)
{
	int status = sys_shell(sys,
			       "mkdir -p %s/root/bin %s/root/objects && cd %s/root && "
			       "cp /bin/busybox bin/ && cp %s . && "
			       "for tool in sh ls cat find grep wc mv printf test true; do "
			       "ln -s busybox bin/$tool; done && tar -cf ../root.tar .",
			       sys->dir, sys->dir, sys->dir, SHARE_C);

	if (status != 0)
		fail_msg("making an image: %s", sys->output);
	status =
	    sys_shell(sys, PODMAN "import -q %s/root.tar shared'", sys->dir, sys->dir, sys->dir);
	if (status == 0)
		status = sys_shell(sys, PODMAN PODMAN_RUN "shared /bin/true'", sys->dir, sys->dir);
	return status == 0;
}

static void podman_gets_one_directory(void **state)
{
	struct sys *sys = *state;
	struct share host, guest;
	char command[1024];

	sys_time_limit(sys, 120);
	if (geteuid() != 0)
		sys_skip("podman is tried as root only");
	sys_mount(sys, "size=64m");
	if (!podman_runs(sys))
		sys_skip("podman cannot run here: %s", sys->output);
	make_objects(sys);
	snprintf(command, sizeof command, PODMAN PODMAN_RUN "-v %s/given:/objects shared ",
		 sys->dir, sys->dir, sys->mnt);
	strcat(command, "/share \"$0\"'");
	share_start(&host, sys, SHARE_C, sys_path(sys, "given/object"));
	share_start(&guest, sys, command, "/objects/object");
	share_with(sys, &host, &guest);
	share_end(&guest);
	share_end(&host);
	check_probe(sys, sys_shell(sys,
				   PODMAN PODMAN_RUN
				   "-v %s/given:/objects shared /bin/sh -c \"$0\"' '%s'",
				   sys->dir, sys->dir, sys->mnt, probe));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_BOTH_MODES(bubblewrap_gets_one_directory),
	    SYS_TEST_BOTH_MODES(bubblewrap_uses_mapctl),
	    SYS_TEST_BOTH_MODES(podman_gets_one_directory),
	};

	return sys_run_tests("container", tests);
}
