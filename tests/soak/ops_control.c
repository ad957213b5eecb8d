/* Questions to the worker, by the library and by the programs, and its stream of events. */
#include "tests/soak/load.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/wait.h>

int op_status(void)
{
	AUTO_FREE char *json = NULL;

	EXPECT_OK(mapping_status(mount_of_mine, &json, NULL));
	EXPECT(strstr(json, "worker_pid"));
	return 0;
}

int op_get(void)
{
	const unsigned k = pick(SOAK_NAMES);
	const struct entry *entry = &me->names[k];
	struct mapping_info info;
	char path[32];

	snprintf(path, sizeof path, "./%s", name_of(k));
	if (!entry->exists) {
		EXPECT(mapping_get(mount_of_mine, path, &info, NULL) == -ENOENT);
		return 0;
	}
	EXPECT_OK(mapping_get(mount_of_mine, path, &info, NULL));
	EXPECT(info.type == MAPPING_MAPPING && info.size == entry->pages * (int64_t)PAGE_BYTES);
	EXPECT(info.views == 0);
	return 0;
}

int op_who(void)
{
	AUTO_FREE char *json = NULL;
	AUTO_CLOSE int fd = open("semaphore", O_RDONLY | O_CLOEXEC);
	bool top = pick(2);
	char pid[32];

	EXPECT(fd >= 0);
	EXPECT_OK(top ? mapping_top(mount_of_mine, &json, NULL)
		      : mapping_who(mount_of_mine, "./semaphore", &json, NULL));
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	EXPECT(strstr(json, top ? "semaphore" : pid));
	return 0;
}

/* One line of the stream; false: it has ended, as it does with the worker. */
static bool next_event(int watch, char *line)
{
	struct pollfd polled = {.fd = watch, .events = POLLIN};
	ssize_t got;

	if (poll(&polled, 1, SOAK_PATIENCE * 1000) != 1)
		return false;
	got = read(watch, line, MAPPING_WATCH_MAX);
	if (got > 0)
		line[got] = '\0';
	return got > 0;
}

int op_watch(void)
{
	AUTO_CLOSE int watch = mapping_watch(mount_of_mine, scratch("."), NULL);
	AUTO_FREE char *line = malloc(MAPPING_WATCH_MAX + 1);
	AUTO_CLOSE int fd = -1;

	EXPECT(watch >= 0 && line);
	fd = open(scratch("watched"), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	EXPECT_ROOM(neg_errno(fd));
	EXPECT(unlink(scratch("watched")) == 0);
	while (next_event(watch, line)) {
		EXPECT(line[0] == '{');
		if (strstr(line, "\"removed\""))
			break;
	}
	return 0;
}

/* --- programs --- */

/* Its exit status, or -errno. */
static int run(const char *program, char *const *arguments)
{
	pid_t pid = load_fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		execv(program, arguments);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

int op_mapctl(void)
{
	static char *const all[][6] = {
	    {"mapctl", "ls", "--json", ".", NULL},
	    {"mapctl", "stat", "./semaphore", NULL},
	    {"mapctl", "--json", "status", NULL},
	    {"mapctl", "wait", "--timeout", "0", "../shared/signaled", NULL},
	    {"mapctl", "who", "./semaphore", NULL},
	    {"mapctl", "top", "--count", "1", NULL},
	};
	char program[SOAK_PATH + 16];

	snprintf(program, sizeof program, "%s/mapctl", soak_programs);
	EXPECT_OK(run(program, all[pick(ARRAY_SIZE(all))]));
	return 0;
}

int op_python(void)
{
	static const char script[] =
	    "import errno, sys\n"
	    "sys.path.insert(0, sys.argv[1])\n"
	    "import mappingfs\n"
	    "d = mappingfs.Directory(sys.argv[2])\n"
	    "try:\n"
	    "    m = mappingfs.SharedMemory(sys.argv[3], True, 8192, lifetime='temporary',\n"
	    "                               directory=d)\n"
	    "except OSError as error:\n"
	    "    sys.exit(28 if error.errno == errno.ENOSPC else str(error))\n"
	    "m.buf[4096:4101] = b'hello'\n"
	    "n = mappingfs.SharedMemory(m.name, directory=d)\n"
	    "assert bytes(n.buf[4096:4101]) == b'hello'\n"
	    "n.close()\n"
	    "m.close()\n";
	/* One that outlives us by a moment may still make its object: recover.c knows the name. */
	char name[48];
	char *arguments[] = {
	    "python3", "-B", "-c", (char *)script, (char *)soak_python, (char *)scratch("."),
	    name,      NULL};
	int status;

	if (!soak_python)
		return 0;
	snprintf(name, sizeof name, "python%llx", (unsigned long long)next_stamp(me));
	status = run("/usr/bin/python3", arguments);
	EXPECT_ROOM(status == 28 ? -ENOSPC : 0);
	EXPECT_OK(status);
	EXPECT(BECOMES(access(scratch("%s", name), F_OK) < 0));
	return 0;
}
