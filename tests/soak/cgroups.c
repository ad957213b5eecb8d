#include "tests/soak/mounts.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char beginning[48];
static unsigned found;

static int compare(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	if (type != FTW_D || strncmp(path + at->base, beginning, strlen(beginning)) != 0)
		return 0;
	soak_say("%s is left", path);
	found++;
	return 0;
}

static bool cgroup2_mount(char path[SOAK_PATH])
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char line[4096], type[64];
	bool is = false;

	while (!is && mounts && fgets(line, sizeof line, mounts))
		is = sscanf(line, "%*s %255s %63s", path, type) == 2 && !strcmp(type, "cgroup2");
	if (mounts)
		fclose(mounts);
	return is;
}

unsigned cgroups_left(uint64_t inode)
{
	char path[SOAK_PATH];

	found = 0;
	snprintf(beginning, sizeof beginning, "mappingfs-%llx-", (unsigned long long)inode);
	if (inode && cgroup2_mount(path))
		nftw(path, compare, 16, FTW_PHYS);
	return found;
}
