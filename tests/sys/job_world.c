#include "tests/sys/job_world.h"

#include <dirent.h>
#include <grp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char group[512]; /* the test's cgroup, or "" */

/* --- the cgroup --- */

static bool find_tree(char *out, size_t size)
{
	char line[1024], root[256], point[256], type[64];
	FILE *file = fopen("/proc/self/mountinfo", "re");
	bool found = false;

	while (file && !found && fgets(line, sizeof line, file)) {
		const char *dash = strstr(line, " - ");

		found = dash && sscanf(dash, " - %63s", type) == 1 && !strcmp(type, "cgroup2") &&
			sscanf(line, "%*d %*d %*s %255s %255s", root, point) == 2 &&
			!strcmp(root, "/");
	}
	if (file)
		fclose(file);
	if (found)
		snprintf(out, size, "%s", point);
	return found;
}

static void make_group(void)
{
	char tree[256];

	group[0] = '\0';
	if (!find_tree(tree, sizeof tree))
		return;
	snprintf(group, sizeof group, "%s/job-test-%d", tree, getpid());
	if (mkdir(group, 0755) < 0 && errno != EEXIST)
		group[0] = '\0';
}

static int write_number(const char *name, pid_t pid)
{
	char path[600], text[16];

	snprintf(path, sizeof path, "%s/%s", group, name);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(text, sizeof text, "%d", pid);
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

void enter_test_cgroup(pid_t pid)
{
	if (group[0] && write_number("cgroup.procs", pid) < 0)
		sys_say("process %d cannot enter %s: errno %d", pid, group, errno);
}

unsigned cgroups_left(void)
{
	DIR *dir = group[0] ? opendir(group) : NULL;
	struct dirent *entry;
	unsigned count = 0;

	while (dir && (entry = readdir(dir)))
		count += entry->d_type == DT_DIR && entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

bool job_cgroups_are(uid_t owner)
{
	DIR *dir = group[0] ? opendir(group) : NULL;
	struct dirent *entry;
	bool all = true;
	struct stat st;

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			all = fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 &&
			      st.st_uid == owner && all;
	if (dir)
		closedir(dir);
	return all;
}

bool is_in_job_cgroup(pid_t pid)
{
	char path[40], line[1024], want[64];
	bool found = false;

	snprintf(want, sizeof want, "0::/job-test-%d/mappingfs-", getpid());
	snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		found = found || !strncmp(line, want, strlen(want));
	if (file)
		fclose(file);
	return found;
}

/* What a test that failed has left. */
static void clean_group(void)
{
	DIR *dir = opendir(group);
	struct dirent *entry;

	write_number("cgroup.kill", 1);
	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			BECOMES_TRUE(2, unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR) == 0);
	if (dir)
		closedir(dir);
}

void job_world_begin(struct sys *sys, const char *members)
{
	char options[64];

	make_group();
	if (cgroups_left())
		clean_group();
	if (!strcmp(members, "cgroup") && !group[0])
		sys_skip("no cgroup v2 tree that could be written");
	snprintf(options, sizeof options, "jobs=%s", members);
	sys_mount(sys, options);
}

void job_world_end(struct sys *sys)
{
	if (sys->mounted)
		sys_unmount(sys);
	if (!group[0])
		return;
	assert_int_equal(cgroups_left(), 0);
	write_number("cgroup.kill", 1);
	WAIT_UNTIL(10, rmdir(group) == 0 || errno == ENOENT);
}

/* --- processes --- */

bool runs(pid_t pid)
{
	char path[40], text[512];

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (length <= 0)
		return false;
	text[length] = '\0';
	const char *at = strrchr(text, ')');
	return at && at[2] != 'Z' && at[2] != 'X';
}

struct recipe {
	uid_t uid;
	gid_t gid;
	int count;
	pid_t *children; /* shared */
	_Atomic int *ready;
};

static struct recipe *recipe_new(uid_t uid, gid_t gid, int count)
{
	char *room = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(room != MAP_FAILED);
	struct recipe *recipe = (void *)room;
	*recipe = (struct recipe){.uid = uid, .gid = gid, .count = count};
	recipe->ready = (void *)(room + 256);
	recipe->children = (void *)(room + 512);
	return recipe;
}

static int sleeper(void *context)
{
	struct recipe *recipe = context;

	enter_test_cgroup(0);
	if (recipe->uid &&
	    (setgroups(0, NULL) < 0 || setgid(recipe->gid) < 0 || setuid(recipe->uid) < 0))
		return 1;
	for (int i = 0; i < recipe->count; i++) {
		pid_t pid = fork();

		if (pid == 0)
			for (;;)
				pause();
		if (pid < 0)
			return 1;
		recipe->children[i] = pid;
	}
	*recipe->ready = 1;
	while (pause() < 0)
		;
	return 0;
}

static pid_t start(struct sys *sys, struct recipe *recipe, int (*function)(void *))
{
	pid_t pid = sys_fork(sys, function, recipe);

	WAIT_UNTIL(10, *recipe->ready);
	return pid;
}

pid_t start_sleeper_as(struct sys *sys, uid_t uid, gid_t gid)
{
	struct recipe *recipe = recipe_new(uid, gid, 0);
	pid_t pid = start(sys, recipe, sleeper);

	munmap(recipe, 4096);
	return pid;
}

pid_t start_sleeper(struct sys *sys)
{
	return start_sleeper_as(sys, 0, 0);
}

pid_t start_family(struct sys *sys, pid_t *children, int count)
{
	struct recipe *recipe = recipe_new(0, 0, count);
	pid_t pid = start(sys, recipe, sleeper);

	memcpy(children, recipe->children, (size_t)count * sizeof *children);
	munmap(recipe, 4096);
	return pid;
}

/* 0 and -1 are everybody. */
void signal_one(pid_t pid, int number)
{
	if (pid <= 1)
		fail_msg("%d is no process", pid);
	assert_int_equal(kill(pid, number), 0);
}

static int polite_status;

static void leave(int number)
{
	(void)number;
	_exit(polite_status);
}

static int polite(void *context)
{
	struct recipe *recipe = context;

	enter_test_cgroup(0);
	polite_status = recipe->count;
	signal(SIGTERM, leave);
	signal(SIGUSR1, leave);
	*recipe->ready = 1;
	while (pause() < 0)
		;
	return 0;
}

pid_t start_polite(struct sys *sys, int status)
{
	struct recipe *recipe = recipe_new(0, 0, status);
	pid_t pid = start(sys, recipe, polite);

	munmap(recipe, 4096);
	return pid;
}

/* --- jobs --- */

const char *make_job(struct sys *sys, const char *name, uint32_t flags)
{
	return typed_make(sys, name,
			  (struct typed){.type = OBJECT_JOB, .flags = flags, .mode = 0666});
}

int add(const char *path, pid_t pid)
{
	char text[32];

	snprintf(text, sizeof text, "add %d\n", pid);
	return words_to(path, text);
}

struct speech {
	uid_t uid;
	gid_t gid;
	const char *path, *text;
};

static int say(void *context)
{
	const struct speech *s = context;

	if (setgroups(0, NULL) < 0 || setgid(s->gid) < 0 || setuid(s->uid) < 0)
		return 255;
	AUTO_CLOSE int fd = open(s->path, O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 ? -errno : words(fd, s->text);
	return rc < 0 ? -rc : 0;
}

int words_as(struct sys *sys, uid_t uid, gid_t gid, const char *path, const char *text)
{
	struct speech speech = {uid, gid, path, text};

	return -sys_wait(sys, sys_fork(sys, say, &speech));
}

void wait_for_state(const char *path, const char *expected)
{
	WAIT_UNTIL(10, state_is(path, expected));
}
