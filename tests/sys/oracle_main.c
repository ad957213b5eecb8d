#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/sys/harness.h"
#include "tests/sys/oracle.h"
#include "tests/sys/oracle_run.h"

struct row {
	const struct oracle_case *c;
	enum sys_mode *mode;
	char label[80];
};

static const struct oracle_case *current;
static char tmpfs_root[64];

/* The harness wants a pointer to the mode as the row's state; ours says the case, too. */
static int set_up(void **state)
{
	struct row *row = *state;
	current = row->c;
	*state = row->mode;
	return sys_setup(state);
}

static int mount_tmpfs(void)
{
	snprintf(tmpfs_root, sizeof(tmpfs_root), "/tmp/oracle-XXXXXX");
	if (!mkdtemp(tmpfs_root))
		return -1;
	return mount("oracle", tmpfs_root, "tmpfs", 0, "size=2g,huge=within_size");
}

static void unmount_tmpfs(void)
{
	umount2(tmpfs_root, MNT_DETACH);
	rmdir(tmpfs_root);
}

static void like_tmpfs(void **state)
{
	struct sys *sys = *state;

	sys_time_limit(sys, 240);
	sys_mount(sys, NULL);
	AUTO_FREE char *expected = oracle_record(current, tmpfs_root);
	AUTO_FREE char *got = oracle_record(current, sys->mnt);
	if (expected && getenv("MAPPINGFS_TEST_TRANSCRIPT"))
		fputs(expected, stderr);
	if (!expected || !got)
		fail_msg("no transcript");
	else if (oracle_compare(expected, got, current->name) < 0)
		fail_msg("%s is not as on tmpfs", current->name);
}

int oracle_main(const char *suite, const struct oracle_case *cases, size_t count)
{
	AUTO_FREE struct row *rows = calloc(count * 2, sizeof(*rows));
	AUTO_FREE struct CMUnitTest *tests = calloc(count * 2, sizeof(*tests));
	size_t used = 0;

	for (size_t i = 0; i < count * 2; i++) {
		struct row *row = &rows[used];
		bool cached = i % 2;
		if (cases[i / 2].cached_only && !cached)
			continue;
		row->c = &cases[i / 2];
		row->mode = cached ? &sys_mode_cached : &sys_mode_passthrough;
		snprintf(row->label, sizeof(row->label), "%s [%s]", row->c->name,
			 cached ? "cached" : "passthrough");
		tests[used] = (struct CMUnitTest)SYS_ROW(like_tmpfs, row->label, row);
		tests[used++].setup_func = set_up;
	}
	if (mount_tmpfs() < 0) {
		perror("oracle: tmpfs");
		return 1;
	}
	atexit(unmount_tmpfs);
	return sys_run_group(suite, tests, used);
}
