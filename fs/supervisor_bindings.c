/* The files that objects of a store are bound to, opened again before a worker runs. Their paths
 * lead through directories of others, and file systems that may not answer: a child looks, with a
 * time limit, and what it finds counts only if it is the very inode that was handed over once
 * (core/bindfile.h), opened for no more than it was then. What is not found stays noted for the
 * next mount; its object cannot be opened meanwhile. */
#include "core/bindfile.h"
#include "core/log.h"
#include "core/util.h"
#include "fs/supervisor.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_LIMIT_MS 3000 /* for one file */
#define HUNG_MAX        8    /* file systems that did not answer; then the rest is left */

struct search {
	int directory;
	uint64_t *ids;
	size_t count, next;
	struct {
		uint32_t major, minor;
	} hung[HUNG_MAX];
	size_t hung_count;
};

/* What the child says of one id: before it looks, and after. */
struct word {
	uint64_t id;
	int32_t found; /* 0: looking; 1: a descriptor comes next; or -errno */
	int32_t reserved;
};

/* --- in the child --- */

static int open_path(const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)(O_PATH | O_CLOEXEC | flags),
			       .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);

	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* before Linux 5.6, or filtered */
		fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW | flags);
	return neg_errno(fd);
}

/* The descriptor of the inode itself is opened: no path is walked a second time, and what is no
 * regular file was never opened at all. Owns nothing. */
static int open_if_same(int path_fd, const struct bindfile *wanted)
{
	AUTO_FREE struct bindfile *found = malloc(sizeof *found);
	char link[32];
	struct stat st;
	int rc = found ? 0 : -ENOMEM;

	if (rc == 0 && fstat(path_fd, &st) < 0)
		rc = -errno;
	if (rc == 0)
		rc = bindfile_of(path_fd, wanted->read_only, found);
	if (rc < 0)
		return rc;
	if (!S_ISREG(st.st_mode) || !st.st_nlink || !bindfile_same(wanted, found))
		return -ESTALE;
	snprintf(link, sizeof link, "/proc/self/fd/%d", path_fd);
	return neg_errno(open(link, (wanted->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
}

static int find_by_path(const struct bindfile *wanted)
{
	AUTO_CLOSE int fd = open_path(wanted->path, 0);

	return fd < 0 ? fd : open_if_same(fd, wanted);
}

/* Any directory of its file system will do: the nearest one above that is still there. */
static int open_file_system(const struct bindfile *wanted)
{
	AUTO_FREE struct bindfile *found = malloc(sizeof *found);
	char path[PATH_MAX];
	char *slash;

	strcpy(path, wanted->path);
	while (found && (slash = strrchr(path, '/'))) {
		AUTO_CLOSE int fd = -1;

		slash[slash == path] = '\0';
		fd = open_path(path, O_DIRECTORY);
		if (fd >= 0 && bindfile_of(fd, true, found) == 0 && bindfile_same_fs(wanted, found))
			return neg_errno(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		if (slash == path)
			break;
	}
	return -ENOENT;
}

static int find_by_handle(const struct bindfile *wanted)
{
	union {
		struct file_handle head;
		uint8_t bytes[sizeof(struct file_handle) + BINDFILE_HANDLE_MAX];
	} h;
	AUTO_CLOSE int mount = wanted->handle_bytes ? open_file_system(wanted) : -ENOENT;
	AUTO_CLOSE int fd = -1;

	if (mount < 0)
		return mount;
	h.head.handle_bytes = wanted->handle_bytes;
	h.head.handle_type = (int)wanted->handle_type;
	memcpy(h.head.f_handle, wanted->handle, wanted->handle_bytes);
	fd = open_by_handle_at(mount, &h.head, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : open_if_same(fd, wanted);
}

static int find(const struct search *search, uint64_t id)
{
	AUTO_FREE struct bindfile *wanted = malloc(sizeof *wanted);
	int rc = wanted ? bindfile_read(search->directory, id, wanted) : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < search->hung_count; i++)
		if (wanted->device_major == search->hung[i].major &&
		    wanted->device_minor == search->hung[i].minor)
			rc = -ETIMEDOUT;
	if (rc < 0)
		return rc;
	rc = find_by_path(wanted);
	return rc >= 0 ? rc : find_by_handle(wanted);
}

static void say(int socket, uint64_t id, int found)
{
	const struct word word = {.id = id, .found = found};

	if (send(socket, &word, sizeof word, MSG_NOSIGNAL) != sizeof word)
		_exit(1);
}

static _Noreturn void look(const struct search *search, int socket)
{
	for (size_t i = search->next; i < search->count; i++) {
		AUTO_CLOSE int fd = -1;

		say(socket, search->ids[i], 0);
		fd = find(search, search->ids[i]);
		say(socket, search->ids[i], fd < 0 ? fd : 1);
		if (fd >= 0 && mount_send_fd(socket, fd))
			_exit(1);
	}
	_exit(0);
}

/* --- in the supervisor --- */

static void complain(const struct search *search, uint64_t id, int error)
{
	AUTO_FREE struct bindfile *file = malloc(sizeof *file);
	bool known = file && bindfile_read(search->directory, id, file) == 0;

	log_warn("store: the file of a bound object is missing: %s: %s",
		 known ? file->path : "(it is not noted which)", strerror(-error));
}

static void note_hung(struct search *search, uint64_t id)
{
	AUTO_FREE struct bindfile *file = malloc(sizeof *file);

	complain(search, id, -ETIMEDOUT);
	if (!file || bindfile_read(search->directory, id, file) < 0 ||
	    search->hung_count == HUNG_MAX) {
		search->next = search->count;
		return;
	}
	search->hung[search->hung_count].major = file->device_major;
	search->hung[search->hung_count++].minor = file->device_minor;
}

static bool answers(int socket, struct word *word)
{
	struct pollfd ready = {.fd = socket, .events = POLLIN};

	return poll(&ready, 1, ANSWER_LIMIT_MS) == 1 &&
	       recv(socket, word, sizeof *word, 0) == sizeof *word;
}

static unsigned take(struct supervisor *s, struct search *search, int socket,
		     const struct word *word)
{
	int rc = word->found, fd = -1;

	if (rc == 1)
		rc = fd = mount_receive_fd(socket);
	if (rc >= 0)
		rc = -supervisor_hold(s, word->id, fd);
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		complain(search, word->id, rc);
	return rc == 0;
}

/* One child's work, until it is done or stuck. */
static unsigned listen_to(struct supervisor *s, struct search *search, int socket)
{
	uint64_t looking_for = 0;
	unsigned found = 0;
	struct word word;

	while (search->next < search->count && answers(socket, &word)) {
		looking_for = word.id;
		if (!word.found)
			continue;
		search->next++;
		found += take(s, search, socket, &word);
	}
	if (search->next < search->count && looking_for == search->ids[search->next]) {
		search->next++;
		note_hung(search, looking_for);
	} else if (search->next < search->count && !looking_for) {
		search->next = search->count; /* it cannot run at all */
	}
	return found;
}

static unsigned run_child(struct supervisor *s, struct search *search)
{
	AUTO_CLOSE int ours = -1;
	AUTO_CLOSE int theirs = -1;
	unsigned found;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		search->next = search->count;
		return 0;
	}
	ours = pair[0];
	theirs = pair[1];
	pid = fork();
	if (!pid)
		look(search, theirs);
	close(steal_fd(&theirs));
	found = listen_to(s, search, ours);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, WNOHANG); /* one that is stuck is reaped when it ends */
	}
	return found;
}

/* Who can write in there could name any file of the machine. */
static bool is_ours_alone(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 022);
}

static int read_ids(struct search *search)
{
	int fd = fcntl(search->directory, F_DUPFD_CLOEXEC, 0);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	search->ids = calloc(HANDOVER_MAX_BOUND, sizeof *search->ids);
	while (directory && search->ids && search->count < HANDOVER_MAX_BOUND &&
	       (entry = readdir(directory))) {
		uint64_t id = bindfile_id(entry->d_name);

		if (id)
			search->ids[search->count++] = id;
	}
	if (!directory)
		return -errno;
	closedir(directory);
	return search->ids ? 0 : -ENOMEM;
}

void supervisor_restore_bindings(struct supervisor *s)
{
	struct search search = {.directory = -1};
	unsigned found = 0;
	int rc;

	if (!s->backing.store[0])
		return;
	search.directory = openat(s->backing.tree_fd, BINDFILE_DIRECTORY,
				  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (search.directory < 0)
		return; /* a new store */
	if (!is_ours_alone(s->backing.tree_fd) || !is_ours_alone(search.directory)) {
		log_warn("store %s: others may write in it: what its objects are bound to is not "
			 "believed",
			 s->backing.store);
	} else {
		rc = read_ids(&search);
		if (rc < 0)
			log_warn("store %s: reading its bindings: %s", s->backing.store,
				 strerror(-rc));
		while (rc == 0 && search.next < search.count)
			found += run_child(s, &search);
	}
	if (search.count)
		log_info("store: %u of %zu bound files are there", found, search.count);
	free(search.ids);
	close(search.directory);
}
