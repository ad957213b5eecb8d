#include "tests/sys/share.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *answer(struct share *share)
{
	static char line[128];

	if (!fgets(line, sizeof line, share->from))
		fail_msg("process %d ended", share->pid);
	line[strcspn(line, "\n")] = '\0';
	return line;
}

void share_begin(struct share *share, struct sys *sys, const char *command, const char *path)
{
	int input, output;

	share->sys = sys;
	share->pid = sys_start(sys, &input, &output, "exec %s %s", command, path);
	share->to = fdopen(input, "w");
	share->from = fdopen(output, "r");
	assert_non_null(share->to);
	assert_non_null(share->from);
	setvbuf(share->to, NULL, _IOLBF, 0);
}

void share_ready(struct share *share)
{
	assert_string_equal(answer(share), "ready");
}

void share_start(struct share *share, struct sys *sys, const char *command, const char *path)
{
	share_begin(share, sys, command, path);
	share_ready(share);
}

void share_put(struct share *share, unsigned long offset, unsigned long value)
{
	fprintf(share->to, "put %lu %lu\n", offset, value);
	assert_string_equal(answer(share), "ok");
}

unsigned long share_get(struct share *share, unsigned long offset)
{
	fprintf(share->to, "get %lu\n", offset);
	return strtoul(answer(share), NULL, 10);
}

void share_add(struct share *share, unsigned long offset, unsigned long count)
{
	fprintf(share->to, "add %lu %lu\n", offset, count);
	assert_string_equal(answer(share), "ok");
}

void share_close_file(struct share *share)
{
	fputs("close\n", share->to);
	assert_string_equal(answer(share), "ok");
}

void share_end(struct share *share)
{
	fclose(share->to);
	assert_int_equal(sys_wait(share->sys, share->pid), 0);
	fclose(share->from);
}

void share_kill(struct share *share)
{
	sys_kill(share->sys, share->pid);
	fclose(share->to);
	fclose(share->from);
}
