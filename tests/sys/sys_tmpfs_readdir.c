/* readdir on the mount against tmpfs: thousands of entries, positions, removal and creation
 * meanwhile. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "tests/sys/oracle.h"

#define MANY 5000

static unsigned char seen[MANY + 1];

static void make_many(int count)
{
	char name[32];
	mkdir("d", 0755);
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "d/entry-%d", i);
		if (i % 7 == 0)
			mkdir(name, 0755);
		else if (i % 11 == 0)
			symlink("x", name);
		else
			mknod(name, S_IFREG | 0644, 0);
	}
}

/* Number of the entry, -1 for others. */
static int number(const char *name)
{
	return strncmp(name, "entry-", 6) ? -1 : atoi(name + 6);
}

static void note_seen(const char *what, int from, int to)
{
	int once = 0, more = 0, never = 0;
	for (int i = from; i < to; i++) {
		once += seen[i] == 1;
		more += seen[i] > 1;
		never += seen[i] == 0;
	}
	oracle_note("%s: once %d, more %d, never %d", what, once, more, never);
}

static void all_of_them(const void *unused)
{
	struct dirent *e;
	(void)unused;
	make_many(MANY);
	T_STAT("d");
	T_LS("d");
	DIR *d = opendir("d");
	for (int round = 0; round < 2; round++) {
		memset(seen, 0, sizeof(seen));
		while ((e = readdir(d)))
			if (number(e->d_name) >= 0)
				seen[number(e->d_name)]++;
		note_seen("round", 0, MANY);
		T((long)readdir(d));
		rewinddir(d);
	}
	closedir(d);
}

static void types_and_inodes(const void *unused)
{
	struct dirent *e;
	struct stat st;
	int wrong = 0;
	(void)unused;
	make_many(300);
	DIR *d = opendir("d");
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".."))
			continue; /* may name the place the mount covers */
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    st.st_ino != e->d_ino || IFTODT(st.st_mode) != e->d_type)
			wrong++;
	}
	oracle_note("wrong inode numbers or types: %d", wrong);
	closedir(d);
}

static void seek_back(const void *unused)
{
	static long places[MANY + 2];
	static char names[MANY + 2][32];
	struct dirent *e;
	int n = 0, wrong = 0;
	(void)unused;
	make_many(MANY);
	DIR *d = opendir("d");
	for (;;) {
		long place = telldir(d);
		e = readdir(d);
		if (!e || n == MANY + 2)
			break;
		places[n] = place;
		snprintf(names[n++], sizeof(names[0]), "%.31s", e->d_name);
	}
	for (int i = 0; i < 2000; i++) {
		int at = (int)((unsigned)i * 2654435761u % (unsigned)n);
		seekdir(d, places[at]);
		e = readdir(d);
		wrong += !e || strncmp(e->d_name, names[at], 31);
	}
	oracle_note("%d entries, %d wrong after seekdir", n, wrong);
	closedir(d);
}

static void delete_while_reading(const void *unused)
{
	struct dirent *e;
	char name[32];
	int count = 0;
	(void)unused;
	make_many(MANY);
	memset(seen, 0, sizeof(seen));
	DIR *d = opendir("d");
	while ((e = readdir(d))) {
		int i = number(e->d_name);
		if (i < 0)
			continue;
		seen[i]++;
		if (count++ % 2 == 0) {
			snprintf(name, sizeof(name), "entry-%d", i);
			if (unlinkat(dirfd(d), name, i % 7 == 0 ? AT_REMOVEDIR : 0) < 0)
				oracle_note("cannot remove %s: %s", name, strerrorname_np(errno));
		}
	}
	note_seen("half of them removed", 0, MANY);
	closedir(d);
	int left = 0;
	d = opendir("d");
	while ((e = readdir(d)))
		left += number(e->d_name) >= 0;
	closedir(d);
	oracle_note("left: %d", left);
	T(rmdir("d"));
	d = opendir("d");
	while ((e = readdir(d)))
		if (number(e->d_name) >= 0)
			unlinkat(dirfd(d), e->d_name, number(e->d_name) % 7 ? 0 : AT_REMOVEDIR);
	closedir(d);
	T_LS("d");
	T(rmdir("d"));
}

static void others_while_reading(const void *unused)
{
	struct dirent *e;
	char name[32], to[32];
	int count = 0, twice = 0;
	(void)unused;
	make_many(2000);
	memset(seen, 0, sizeof(seen));
	DIR *d = opendir("d");
	/* Entries that stay must be seen exactly once, whatever happens to the others. */
	while ((e = readdir(d))) {
		int i = number(e->d_name);
		if (i < 0)
			continue;
		twice += seen[i]++ > 0;
		int new = 2000 + count, gone = 1000 + count;
		if (count++ < 900) {
			snprintf(name, sizeof(name), "entry-%d", new);
			mknodat(dirfd(d), name, S_IFREG | 0644, 0);
			snprintf(name, sizeof(name), "entry-%d", gone);
			snprintf(to, sizeof(to), "renamed-%d", gone);
			renameat(dirfd(d), name, dirfd(d), to);
		}
	}
	note_seen("untouched", 0, 1000);
	oracle_note("twice: %d", twice);
	closedir(d);
}

static void positions_survive_removal(const void *unused)
{
	struct dirent *e;
	char next[256] = "", name[300];
	long place = 0;
	int count = 0;
	(void)unused;
	make_many(1000);
	DIR *d = opendir("d");
	while (count < 500 && (e = readdir(d)))
		count++;
	place = telldir(d);
	e = readdir(d);
	snprintf(next, sizeof(next), "%s", e ? e->d_name : "");
	/* Everything before the place goes. */
	rewinddir(d);
	for (count = 0; count < 500 && (e = readdir(d)); count++)
		if (number(e->d_name) >= 0) {
			snprintf(name, sizeof(name), "d/%s", e->d_name);
			remove(name);
		}
	seekdir(d, place);
	e = readdir(d);
	oracle_note("same entry after seekdir: %d", e && !strcmp(e->d_name, next));
	for (count = 0; e; count++)
		e = readdir(d);
	oracle_note("%d from there on", count);
	closedir(d);
}

static void small_buffers(const void *unused)
{
	static const size_t sizes[] = {1, 23, 24, 32, 40, 64, 280, 4096, 65536};
	char buffer[65536];
	(void)unused;
	make_many(50);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		AUTO_CLOSE int fd = open("d", O_RDONLY | O_DIRECTORY);
		long n, entries = 0;
		while ((n = syscall(SYS_getdents64, fd, buffer, sizes[i])) > 0)
			for (long at = 0; at < n; entries++)
				at += *(unsigned short *)(buffer + at + 16);
		oracle_note("buffer %zu: %ld entries, then %s", sizes[i], entries,
			    n < 0 ? strerrorname_np(errno) : "end");
	}
	T(syscall(SYS_getdents64, open("d/entry-1", O_RDONLY), buffer, sizeof(buffer)));
}

static const struct oracle_case cases[] = {
    ORACLE_CASE(all_of_them),
    ORACLE_CASE(types_and_inodes),
    ORACLE_CASE(seek_back),
    ORACLE_CASE(delete_while_reading),
    ORACLE_CASE(others_while_reading),
    ORACLE_CASE(positions_survive_removal),
    ORACLE_CASE(small_buffers),
};

int main(void)
{
	return oracle_main("readdir", cases, ARRAY_SIZE(cases));
}
