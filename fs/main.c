#include "fs/main.h"
#include "core/log.h"
#include "core/util.h"
#include "fs/options.h"
#include "fs/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* What our caller left open or ignored is none of ours, and must not live as long as we do. */
static void forget_inheritance(void)
{
	int kept = sd_listen_fds(0);

	/* But what systemd kept for us is. */
	close_range(STDERR_FILENO + 1 + (unsigned)(kept > 0 ? kept : 0), ~0U, 0);
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_RDWR); /* the lowest free number is this one */
	}
	signal(SIGCHLD, SIG_DFL);
	umask(022);
}

/* In the launching process: the daemon says how it went. */
static enum exit_code await_report(int report_fd, pid_t daemon)
{
	unsigned char code;
	ssize_t got;

	do {
		got = read(report_fd, &code, 1);
	} while (got < 0 && errno == EINTR);
	if (got != 1 || code)
		waitpid(daemon, NULL, 0); /* it is ending */
	if (got == 1)
		return code;
	log_error("the daemon ended without a word");
	return EXIT_CODE_WORKER;
}

/* Standard error stays until the mount answers: reasons are for whoever called us. */
static void detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
}

static enum exit_code launch(const struct options *options)
{
	int report[2];
	pid_t pid;

	if (pipe2(report, O_CLOEXEC)) {
		log_error("pipe: %m");
		return EXIT_CODE_MOUNT;
	}
	pid = fork();
	if (pid < 0) {
		log_error("fork: %m");
		return EXIT_CODE_MOUNT;
	}
	if (pid) {
		close(report[1]);
		return await_report(report[0], pid);
	}
	close(report[0]);
	detach();
	return supervisor_run(options, report[1]);
}

static uint64_t memory_bytes(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static enum exit_code run(struct options *options, int argc, char **argv)
{
	char why[256];

	if (options_parse(options, argc, argv, why, sizeof why)) {
		log_error("%s (mappingfs --help shows what there is)", why);
		return EXIT_CODE_USAGE;
	}
	if (options->help) {
		options_help(stdout);
		return EXIT_CODE_OK;
	}
	if (options->version)
		return main_version();
	if (options_complete(options, geteuid(), getegid(), memory_bytes(), why, sizeof why)) {
		log_error("%s", why);
		return EXIT_CODE_USAGE;
	}
	log_init("mappingfs", true, options->debug);
	return options->foreground ? supervisor_run(options, -1) : launch(options);
}

/* What only another of our own programs says. */
static bool is_internal(int argc, char **argv, enum exit_code *code)
{
	if (argc == 4 && !strcmp(argv[1], "--can-adopt")) {
		*code = supervisor_can_adopt(argv[2], argv[3]) ? EXIT_CODE_USAGE : EXIT_CODE_OK;
		return true;
	}
	if (argc == 4 && !strcmp(argv[1], "--adopt")) {
		*code = supervisor_reenter(atoi(argv[2]));
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct options options;
	enum exit_code code;

	if (is_internal(argc, argv, &code))
		return code;
	forget_inheritance();
	code = run(&options, argc, argv);
	options_finish(&options);
	return code;
}
