/* What a test must not leave behind. */
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sys/harness_internal.h"

static void tell_process(pid_t pid)
{
	char path[64], command[256] = "";
	FILE *file;
	size_t length;

	snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	length = fread(command, 1, sizeof command - 1, file);
	fclose(file);
	for (size_t i = 0; i + 1 < length; i++)
		if (!command[i])
			command[i] = ' ';
	sys_say("left: process %d: %s", pid, command);
}

static bool processes_left(struct sys *sys)
{
	if (BECOMES_TRUE(10, !marked_processes(sys->mark, NULL)))
		return false;
	marked_processes(sys->mark, tell_process);
	marked_processes(sys->mark, kill_process);
	return true;
}

static bool mounts_left(struct sys *sys)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[8192], point[4096];
	bool left = false;

	while (mounts && fgets(line, sizeof line, mounts)) {
		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1 ||
		    strncmp(point, sys->dir, strlen(sys->dir)) != 0)
			continue;
		left = true;
		sys_say("left: mount %s", point);
		umount2(point, MNT_FORCE | MNT_DETACH);
	}
	if (mounts)
		fclose(mounts);
	return left;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static bool directory_left(const char *dir)
{
	if (nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 &&
	    access(dir, F_OK) < 0)
		return false;
	sys_say("left: directory %s: %s", dir, strerror(errno));
	return true;
}

static void print_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[1024];

	while (file && fgets(line, sizeof line, file))
		fputs(line, stderr);
	if (file)
		fclose(file);
}

bool calls_refused(struct sys *sys)
{
	AUTO_FREE char *text = sys_xattr(sys->mnt, "user.mapping.status");
	json_t *status = text ? json_loads(text, 0, NULL) : NULL;
	json_t *confinement = json_object_get(status, "confinement");
	json_int_t refused = json_integer_value(json_object_get(confinement, "calls_refused"));

	if (refused && !sys->refusals_expected)
		sys_say("the worker was refused %lld system calls, the last of them %s",
			(long long)refused,
			json_string_value(json_object_get(confinement, "last_refused")));
	json_decref(status);
	return refused && !sys->refusals_expected;
}

static bool sanitizer_reports(struct sys *sys)
{
	char dir_name[96], path[512];
	struct dirent *entry;
	struct stat st;
	bool found = false;
	DIR *dir;

	snprintf(dir_name, sizeof dir_name, "%s/sanitizer", sys->dir);
	dir = opendir(dir_name);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", dir_name, entry->d_name);
		if (stat(path, &st) == 0 && st.st_size == 0) /* a worker's, opened beforehand */
			continue;
		sys_say("sanitizer report %s:", entry->d_name);
		print_file(path);
		found = true;
	}
	if (dir)
		closedir(dir);
	return found;
}

bool leftovers_found(struct sys *sys)
{
	bool found = false;
	int fds;

	found |= processes_left(sys);
	found |= mounts_left(sys);
	found |= sanitizer_reports(sys);
	found |= directory_left(sys->dir);
	if (sys->reference)
		found |= directory_left(sys->mnt);
	fds = sys_count_fds(getpid());
	if (fds != sys->fds_before) {
		sys_say("left: %d descriptors of the test, %d before", fds, sys->fds_before);
		found = true;
	}
	return found;
}
