/* Mounting as an ordinary user: fusermount3 does it and sends the descriptor of /dev/fuse back over
 * a socket whose number it finds in _FUSE_COMMFD. */
#include "core/log.h"
#include "core/util.h"
#include "fs/mount.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELPER              "fusermount3"
#define HELPER_NOT_FOUND    127
#define HELPER_CANNOT_START 126

static void exec_helper(const char *const argv[], int comm_fd)
{
	sigset_t none;
	char number[16];

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (comm_fd >= 0) {
		int passed = dup(comm_fd); /* without close-on-exec */

		snprintf(number, sizeof number, "%d", passed);
		setenv("_FUSE_COMMFD", number, 1);
	}
	execvp(HELPER, (char *const *)argv);
	if (errno == ENOENT)
		execv("/usr/bin/" HELPER, (char *const *)argv); /* a service's PATH may be bare */
	_exit(errno == ENOENT ? HELPER_NOT_FOUND : HELPER_CANNOT_START);
}

/* pid or -errno */
static pid_t start_helper(const char *const argv[], int comm_fd)
{
	pid_t pid = fork();

	if (!pid)
		exec_helper(argv, comm_fd);
	return neg_errno(pid);
}

static int wait_helper(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (!WIFEXITED(status))
		return -EINTR;
	switch (WEXITSTATUS(status)) {
	case 0:
		return 0;
	case HELPER_NOT_FOUND:
		return -ENOENT;
	case HELPER_CANNOT_START:
		return -EACCES;
	default:
		return -EBUSY;
	}
}

/* fusermount3 splits its options at commas: "\," is one inside a value. */
static void escape_commas(const char *text, char *out, size_t size)
{
	size_t length = 0;

	for (; *text && length + 3 < size; text++) {
		if (*text == ',' || *text == '\\')
			out[length++] = '\\';
		out[length++] = *text;
	}
	out[length] = '\0';
}

static void explain(int rc)
{
	if (rc == -ENOENT)
		log_error("fusermount3 is not installed (package fuse3): only root can mount "
			  "without it");
	else if (rc == -EACCES)
		log_error("fusermount3 cannot be executed by this user");
	else
		log_error("fusermount3 refused the mount; its reason stands above");
}

int mount_helper_attach(const char *point, const struct options *options)
{
	AUTO_CLOSE int ours = -1;
	AUTO_CLOSE int theirs = -1;
	char source[512], flags[256], words[1024];
	int pair[2], fd, rc;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	escape_commas(options->source, source, sizeof source);
	options_user_flags(options, flags, sizeof flags);
	snprintf(words, sizeof words, "%ssubtype=mappingfs,fsname=%s,default_permissions%s", flags,
		 source, options->allow_other ? ",allow_other" : "");
	pid = start_helper((const char *const[]){HELPER, "-o", words, "--", point, NULL}, theirs);
	if (pid < 0)
		return pid;
	close(steal_fd(&theirs)); /* so that its end is seen as the end of the stream */
	fd = mount_receive_fd(ours);
	rc = wait_helper(pid);
	if (fd < 0) {
		explain(rc);
		return rc ? rc : fd;
	}
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)) {
		close(fd);
		return -EIO;
	}
	return fd;
}

int mount_helper_detach(const char *point, bool lazy)
{
	const char *const argv[] = {HELPER, "-u", lazy ? "-qz" : "-q", "--", point, NULL};
	pid_t pid = start_helper(argv, -1);

	return pid < 0 ? pid : wait_helper(pid);
}
