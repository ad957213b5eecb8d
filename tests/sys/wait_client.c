#include "tests/sys/wait_client.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const commands[WAIT_LANGUAGES] = {
    [WAIT_PYTHON] = "/usr/bin/python3 -B " TEST_HELPER_DIR "/wait_client.py",
    [WAIT_PERL] = "perl " TEST_HELPER_DIR "/wait_client.pl",
    [WAIT_JAVA] = "java -Xint -Xmx64m " TEST_HELPER_DIR "/WaitClient.java",
};

void wait_client_run(struct wait_client *client, struct sys *sys, const char *command)
{
	int output;

	client->sys = sys;
	snprintf(client->command, sizeof client->command, "%s", command);
	client->pid = sys_start(sys, &client->input, &output, "%s", command);
	client->from = fdopen(output, "r");
	assert_non_null(client->from);
	setvbuf(client->from, NULL, _IONBF, 0); /* so that poll(2) sees what is there */
}

void wait_client_start(struct wait_client *client, struct sys *sys, enum wait_language language,
		       const char *path, const char *ways)
{
	AUTO_FREE char *command = NULL;

	assert_true(asprintf(&command, "exec %s %s %s", commands[language], path, ways) > 0);
	wait_client_run(client, sys, command);
}

static bool is_blocked(pid_t pid);

/* A shell, or timeout(1), waits for a child. */
static bool is_child_blocked(pid_t pid)
{
	char path[64];
	FILE *file;
	int child;
	bool found = false;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	while (file && !found && fscanf(file, "%d", &child) == 1)
		found = is_blocked(child);
	if (file)
		fclose(file);
	return found;
}

static bool is_blocked(pid_t pid)
{
	static const long calls[] = {
	    SYS_read, SYS_pread64, SYS_ppoll,      SYS_pselect6, SYS_epoll_pwait,
#ifdef SYS_poll
	    SYS_poll, SYS_select,  SYS_epoll_wait,
#endif
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (count_blocked(pid, calls[i]))
			return true;
	return is_child_blocked(pid);
}

void wait_client_blocks(struct wait_client *client)
{
	if (!BECOMES_TRUE(60, is_blocked(client->pid)))
		fail_msg("does not wait: %s", client->command);
}

bool wait_client_has_said(struct wait_client *client)
{
	struct pollfd ready = {.fd = fileno(client->from), .events = POLLIN};

	return poll(&ready, 1, 0) == 1;
}

void wait_client_says(struct wait_client *client, const char *format, ...)
{
	char expected[128], line[128] = "";
	va_list args;

	va_start(args, format);
	vsnprintf(expected, sizeof expected, format, args);
	va_end(args);
	if (!fgets(line, sizeof line, client->from))
		fail_msg("process %d ended before saying \"%s\"", client->pid, expected);
	line[strcspn(line, "\n")] = '\0';
	assert_string_equal(line, expected);
}

static void close_ends(struct wait_client *client)
{
	close(client->input);
	fclose(client->from);
}

int wait_client_end(struct wait_client *client)
{
	int status = sys_wait(client->sys, client->pid);

	close_ends(client);
	return status;
}

void wait_client_kill(struct wait_client *client)
{
	sys_kill(client->sys, client->pid);
	close_ends(client);
}
