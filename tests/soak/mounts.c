#include "tests/soak/mounts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/util.h"
#include "fs/client/mapping.h"

static int run(char *const *arguments)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		execv(arguments[0], arguments);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

int mount_start(struct mounted *mounted)
{
	char program[SOAK_PATH + 16];
	char *arguments[] = {program, "-o", mounted->options, mounted->common->path, NULL};
	AUTO_FREE char *text = malloc(STATUS_BYTES);
	int rc;

	snprintf(program, sizeof program, "%s/mappingfs", soak_programs);
	rc = run(arguments);
	if (rc || !text || !mount_text(mounted, "user.mapping.status", text)) {
		soak_violation("mount %u cannot be mounted: %s", mounted->number,
			       rc ? "mappingfs says no" : strerror(errno));
		return -1;
	}
	mounted->common->cached = strstr(text, "\"mode\": \"cached\"") != NULL;
	mounted->supervisor = (pid_t)number_in(text, "supervisor_pid");
	mounted->worker = (pid_t)number_in(text, "worker_pid");
	return 0;
}

static bool is_mounted(const char *path)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[8192], point[4096];
	bool found = false;

	while (mounts && fgets(line, sizeof line, mounts))
		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1 && !strcmp(point, path))
			found = true;
	if (mounts)
		fclose(mounts);
	return found;
}

static bool processes_gone(const struct mounted *mounted)
{
	return !process_is(mounted->supervisor, "mappingfs") &&
	       !process_is(mounted->standby, "mappingfs") &&
	       !process_is(mounted->worker, "mappingfs");
}

int mount_end(struct mounted *mounted)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + SOAK_PATIENCE * 1000000000ULL;
	const char *path = mounted->common->path;
	uint64_t state;

	mounted->supervisor = (pid_t)mount_number(mounted, "supervisor_pid");
	mounted->standby = (pid_t)mount_number(mounted, "standby_pid");
	mounted->worker = (pid_t)mount_number(mounted, "worker_pid");
	state = state_inode(mounted->supervisor);
	if (umount2(path, 0) < 0) {
		soak_violation("mount %u cannot be unmounted: %s", mounted->number,
			       strerror(errno));
		return -1;
	}
	while (!processes_gone(mounted) && clock_ns(CLOCK_MONOTONIC) < until)
		usleep(5000);
	if (!processes_gone(mounted) || is_mounted(path)) {
		soak_violation("mount %u is unmounted, but its %s left", mounted->number,
			       is_mounted(path) ? "mount is" : "processes are");
		return -1;
	}
	if (cgroups_left(state)) {
		soak_violation("mount %u leaves %u cgroups", mounted->number, cgroups_left(state));
		return -1;
	}
	return 0;
}

/* --- what the loads start from --- */

static int make_waitable(const char *in, const char *name, enum mapping_type type, uint32_t initial,
			 uint32_t maximum, uid_t uid)
{
	const struct mapping_attributes attributes = {.type = type,
						      .initial =
							  type == MAPPING_EVENT ? 0 : initial,
						      .maximum = maximum,
						      .manual = type == MAPPING_EVENT,
						      .signaled = type == MAPPING_EVENT && initial,
						      .set_mode = true,
						      .mode = uid == (uid_t)-1 ? 0666 : 0600};
	struct mapping_mount *mount;
	int rc = mapping_mount_find(in, &mount, NULL);

	if (rc == 0)
		rc = mapping_create(mount, name, &attributes, O_RDWR, NULL, NULL);
	if (rc == 0)
		rc = neg_errno(chown(name, uid, uid));
	mapping_mount_close(mount);
	return rc;
}

static int make_directory(const char *path, mode_t mode, uid_t uid)
{
	if (mkdir(path, 0700) < 0 || chmod(path, mode) < 0 || chown(path, uid, uid) < 0)
		return -errno;
	return 0;
}

static int furnish_shared(const char *mount)
{
	char path[SOAK_PATH + 32];
	int rc;

	snprintf(path, sizeof path, "%s/shared", mount);
	rc = make_directory(path, 0755, 0);
	snprintf(path, sizeof path, "%s/shared/tokens", mount);
	if (rc == 0)
		rc = make_waitable(mount, path, MAPPING_SEMAPHORE, SOAK_TOKENS, 1000, (uid_t)-1);
	snprintf(path, sizeof path, "%s/shared/mutex", mount);
	if (rc == 0)
		rc = make_waitable(mount, path, MAPPING_MUTEX, 0, 0, (uid_t)-1);
	snprintf(path, sizeof path, "%s/shared/signaled", mount);
	if (rc == 0)
		rc = make_waitable(mount, path, MAPPING_EVENT, 1, 0, (uid_t)-1);
	snprintf(path, sizeof path, "%s/shared/counter", mount);
	if (rc == 0)
		rc = neg_errno(mknod(path, S_IFREG | 0600, 0));
	if (rc == 0)
		rc = neg_errno(chmod(path, 0666));
	return rc ? rc : neg_errno(truncate(path, PAGE_BYTES));
}

static int furnish_load(const char *mount, struct load *load)
{
	char path[SOAK_PATH + 64];
	int rc;

	load->semaphore = 3;
	snprintf(path, sizeof path, "%s/load%u", mount, load->number);
	rc = make_directory(path, 0755, load->uid);
	snprintf(path, sizeof path, "%s/load%u/scratch", mount, load->number);
	if (rc == 0)
		rc = make_directory(path, 0755, load->uid);
	snprintf(path, sizeof path, "%s/load%u/semaphore", mount, load->number);
	if (rc == 0)
		rc = make_waitable(mount, path, MAPPING_SEMAPHORE, load->semaphore, 8, load->uid);
	snprintf(path, sizeof path, "%s/load%u/event", mount, load->number);
	return rc ? rc : make_waitable(mount, path, MAPPING_EVENT, 0, 0, load->uid);
}

int mount_furnish(const struct mounted *mounted)
{
	int rc = furnish_shared(mounted->common->path);

	for (unsigned i = 0; i < soak->loads && rc == 0; i++)
		rc = furnish_load(mounted->common->path, &soak->load[mounted->number][i]);
	if (rc < 0)
		soak_violation("mount %u cannot be furnished: %s", mounted->number, strerror(-rc));
	return rc;
}
