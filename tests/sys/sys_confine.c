/* What the worker has given up: its capabilities, and the machine's files. What it may still ask
 * the kernel for: sys_confine_calls.c. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sys/harness.h"

#define KEPT      "00000000102800ff"
#define NONE      "0000000000000000"
#define LINE_ROOM 128

/* "NAME:\tVALUE" of a status file in /proc; VALUE in out. */
static void proc_value(const char *path, const char *name, char out[LINE_ROOM])
{
	size_t length = strlen(name);
	FILE *file = fopen(path, "re");
	char line[LINE_ROOM];

	assert_non_null(file);
	out[0] = '\0';
	while (fgets(line, sizeof line, file)) {
		if (strncmp(line, name, length) != 0 || line[length] != ':')
			continue;
		strcpy(out, line + length + 1 + strspn(line + length + 1, " \t"));
		out[strcspn(out, "\n")] = '\0';
	}
	fclose(file);
}

static void check_value(const char *path, const char *name, const char *expected)
{
	char value[LINE_ROOM];

	proc_value(path, name, value);
	if (strcmp(value, expected) != 0)
		fail_msg("%s: %s is %s, not %s", path, name, value, expected);
}

/* Every thread of it. */
static unsigned check_threads(pid_t worker)
{
	char path[300];
	unsigned threads = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/task", worker);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%s/status", worker, entry->d_name);
		check_value(path, "CapEff", KEPT);
		check_value(path, "CapPrm", KEPT);
		check_value(path, "CapInh", NONE);
		check_value(path, "CapBnd", NONE);
		check_value(path, "CapAmb", NONE);
		check_value(path, "NoNewPrivs", "1");
		check_value(path, "Seccomp", "2");
		threads++;
	}
	closedir(dir);
	return threads;
}

static json_t *confinement(struct sys *sys, json_t **status)
{
	*status = sys_status(sys);
	return json_object_get(*status, "confinement");
}

static const char *member(const json_t *json, const char *key)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text ? text : "(none)";
}

static void mounted_strictly(struct sys *sys)
{
	if (sys->reference)
		sys_skip("nothing to see on a plain directory");
	if (geteuid() != 0)
		sys_skip("only root has what is given up here");
	sys_mount(sys, "confine=strict");
}

static void rights_are_given_up(void **state)
{
	struct sys *sys = *state;
	unsigned threads = 0;
	json_t *status, *c;

	mounted_strictly(sys);
	for (int i = 0; i < 2; i++) {
		/* Looks at processes run in other threads. */
		assert_int_equal(
		    sys_shell(sys, "echo a >%s/a && mapctl who %s/a", sys->mnt, sys->mnt), 0);
		threads += check_threads(sys_worker(sys));
		if (i == 0)
			sys_kill_worker(sys);
	}
	assert_true(threads >= 4);
	c = confinement(sys, &status);
	assert_string_equal(member(c, "mode"), "strict");
	assert_int_equal(json_array_size(json_object_get(c, "capabilities")), 11);
	assert_true(json_is_true(json_object_get(c, "no_new_privs")));
	assert_true(json_integer_value(json_object_get(c, "calls_allowed")) > 50);
	assert_string_equal(member(c, "root"), "/proc, read-only");
	json_decref(status);
	assert_int_equal(sys_shell(sys, "mapctl --mount %s status", sys->mnt), 0);
	assert_non_null(strstr(sys->output, "confined   strict: files /proc, read-only; no new "
					    "privileges; "));
	assert_non_null(strstr(sys->output, " capabilities: chown dac_override "));
}

/* --- files --- */

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* From a directory upwards, as far as it goes: not to where the machine's files are. */
static void climb(const char *path)
{
	struct stat here, up, machine, trees;
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(stat("/", &machine), 0);
	assert_int_equal(stat("/usr", &trees), 0);
	for (int i = 0; i < 64; i++) {
		int above = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		assert_true(above >= 0);
		assert_int_equal(fstat(fd, &here), 0);
		assert_int_equal(fstat(above, &up), 0);
		close(fd);
		fd = above;
		if (same(&up, &machine))
			fail_msg("%s leads up to the machine's root", path);
		assert_true(faccessat(fd, "usr", F_OK, 0) < 0);
		if (same(&here, &up))
			break;
	}
	close(fd);
}

static unsigned climb_from_descriptors(pid_t worker)
{
	char path[300];
	unsigned directories = 0;
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/fd", worker);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof path, "/proc/%d/fd/%s", worker, entry->d_name);
		if (entry->d_name[0] == '.' || stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		climb(path);
		directories++;
	}
	closedir(dir);
	return directories;
}

static void machine_is_out_of_reach(struct sys *sys)
{
	char path[64], target[64] = "";
	pid_t worker = sys_worker(sys);
	struct stat root, proc;

	snprintf(path, sizeof path, "/proc/%d/root", worker);
	assert_int_equal(stat(path, &root), 0);
	assert_int_equal(stat("/proc", &proc), 0);
	assert_true(same(&root, &proc));
	climb(path);
	snprintf(path, sizeof path, "/proc/%d/cwd", worker);
	climb(path);
	/* A link is there to be read, and leads nowhere. */
	snprintf(path, sizeof path, "/proc/%d/root/%d/root", worker, getpid());
	assert_true(readlink(path, target, sizeof target - 1) > 0);
	assert_string_equal(target, "/");
	strcat(path, "/etc/passwd");
	assert_true(open(path, O_RDONLY | O_CLOEXEC) < 0 && errno == ELOOP);
	snprintf(path, sizeof path, "/proc/%d/root/%d/mem", worker, getpid());
	assert_true(open(path, O_RDWR | O_CLOEXEC) < 0 && errno == EROFS);
	assert_true(climb_from_descriptors(worker) >= 2);
}

static void only_proc_is_reached(void **state)
{
	struct sys *sys = *state;

	mounted_strictly(sys);
	assert_int_equal(
	    sys_shell(sys, "mkdir -p %s/a/b/c && touch %s/a/b/c/d", sys->mnt, sys->mnt), 0);
	machine_is_out_of_reach(sys);
	sys_kill_worker(sys);
	machine_is_out_of_reach(sys);
}

static void a_store_s_disk_is_not_climbed(void **state)
{
	struct sys *sys = *state;
	char options[128];

	if (sys->reference || geteuid() != 0)
		sys_skip("only root has what is given up here");
	snprintf(options, sizeof options, "confine=strict,store=%s/store", sys->dir);
	sys_mount(sys, options);
	assert_int_equal(sys_shell(sys, "mkdir -p %s/a/b && touch %s/a/b/d", sys->mnt, sys->mnt),
			 0);
	machine_is_out_of_reach(sys);
	/* A temporary object's name is found there by its inode. */
	assert_int_equal(sys_shell(sys,
				   "mapctl create --temporary --size 4k %s/a/b/t && "
				   "dd if=%s/a/b/t of=/dev/null bs=4k count=1",
				   sys->mnt, sys->mnt),
			 0);
	WAIT_UNTIL(10, access(sys_path(sys, "a/b/t"), F_OK) < 0);
}

/* The machine's other mounts go as if there were no worker: no copy of them is left in it. */
static void other_mounts_are_not_held(void **state)
{
	struct sys *sys = *state;

	if (sys->reference || geteuid() != 0)
		sys_skip("only root has what is given up here");
	if (sys_shell(sys,
		      "cd %s && truncate -s 8M disk && mkfs.ext4 -q disk && mkdir other && "
		      "mount -o loop disk other && losetup -n -O NAME -j disk | grep -q loop",
		      sys->dir) != 0)
		sys_skip("no loop devices: %s", sys->output);
	sys_mount(sys, "confine=strict");
	sys_kill_worker(sys);
	assert_int_equal(sys_shell(sys, "echo a >%s/a && mapctl who %s/a", sys->mnt, sys->mnt), 0);
	assert_int_equal(sys_shell(sys, "umount %s/other", sys->dir), 0);
	/* The last reference to the file system frees the device. */
	WAIT_UNTIL(10,
		   sys_shell(sys, "test -z \"$(losetup -n -O NAME -j %s/disk)\"", sys->dir) == 0);
}

/* --- without --- */

static void nothing_is_given_up_if_told_so(void **state)
{
	struct sys *sys = *state;
	char path[64], value[LINE_ROOM];
	json_t *status, *c;

	if (sys->reference || geteuid() != 0)
		sys_skip("only root has what is given up here");
	sys_mount(sys, "confine=off");
	snprintf(path, sizeof path, "/proc/%d/status", sys_worker(sys));
	check_value(path, "Seccomp", "0");
	proc_value(path, "CapEff", value);
	assert_string_not_equal(value, KEPT);
	c = confinement(sys, &status);
	assert_string_equal(member(c, "mode"), "off");
	assert_string_equal(member(c, "root"), "the machine's");
	json_decref(status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_BOTH_MODES(rights_are_given_up),
	    SYS_TEST_BOTH_MODES(only_proc_is_reached),
	    SYS_TEST_BOTH_MODES(a_store_s_disk_is_not_climbed),
	    SYS_TEST_PASSTHROUGH(other_mounts_are_not_held),
	    SYS_TEST_CACHED(nothing_is_given_up_if_told_so),
	};

	return sys_run_tests("confine", tests);
}
