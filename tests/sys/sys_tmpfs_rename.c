/* rename(2) and renameat2(2) on the mount against tmpfs: every pair of types, with every flag. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"
#include "tests/sys/oracle.h"

static const char *const types[] = {
    "file",     "other",  "full",     "empty", "link", "fifo",   "absent", "hard",   "full/inner",
    "full/sub", "file/x", "absent/x", ".",     "..",   "empty/", "file/",  "absent/"};

static void make_types(void)
{
	oracle_write_file("file", "file's text");
	oracle_write_file("other", "other");
	link("file", "hard");
	mkdir("full", 0750);
	oracle_write_file("full/inner", "inner");
	mkdir("full/sub", 0700);
	mkdir("empty", 0755);
	symlink("file", "link");
	mkfifo("fifo", 0600);
}

static void all_pairs(const void *argument)
{
	unsigned flags = *(const unsigned *)argument;
	char dir[16];
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(types); j++) {
			snprintf(dir, sizeof(dir), "%zu-%zu", i, j);
			mkdir(dir, 0755);
			T(chdir(dir));
			make_types();
			oracle_note("%s to %s, flags %x", types[i], types[j], flags);
			T(renameat2(AT_FDCWD, types[i], AT_FDCWD, types[j], flags));
			oracle_walk(".");
			T(chdir(".."));
		}
	}
}

static void into_itself(const void *unused)
{
	(void)unused;
	T(mkdir("a", 0755));
	T(mkdir("a/b", 0755));
	T(mkdir("a/b/c", 0755));
	T(rename("a", "a/b"));
	T(rename("a", "a/b/d"));
	T(rename("a/b/c", "a"));
	T(renameat2(AT_FDCWD, "a", AT_FDCWD, "a/b", RENAME_EXCHANGE));
	T(renameat2(AT_FDCWD, "a/b", AT_FDCWD, "a", RENAME_EXCHANGE));
	T(rename("a/b", "b"));
	T_STAT("a");
	T_STAT("b");
	T(rename("b", "a/b"));
	T(renameat2(AT_FDCWD, "a/b/c", AT_FDCWD, "a/b/c", 0));
	oracle_walk(".");
}

static void over_open_file(const void *unused)
{
	(void)unused;
	oracle_write_file("victim", "victim's text");
	oracle_write_file("new", "new text");
	int fd = T_FD(open("victim", O_RDWR));
	T(rename("new", "victim"));
	T_FSTAT(fd);
	T_READ(fd, 0, 64);
	T(pwrite(fd, "VICTIM", 6, 0));
	T_READ(fd, 0, 64);
	T(ftruncate(fd, 3));
	T(fchmod(fd, 0600));
	T_FSTAT(fd);
	int again = T_FD(open("victim", O_RDONLY));
	T_READ(again, 0, 64);
	T(close(fd));
	T(close(again));
	oracle_walk(".");
}

static void open_moves_along(const void *unused)
{
	(void)unused;
	T(mkdir("d", 0755));
	int fd = T_FD(open("a", O_RDWR | O_CREAT, 0644));
	T(rename("a", "d/b"));
	T(write(fd, "moved", 5));
	T_STAT("d/b");
	T_STAT("a");
	int dir = T_FD(open("d", O_RDONLY));
	T(rename("d", "e"));
	T(openat(dir, "b", O_RDONLY));
	T(openat(dir, "c", O_RDWR | O_CREAT, 0644));
	T_LS("e");
	T_STAT("d/b");
	oracle_write_file("x", "x");
	oracle_write_file("y", "yy");
	int x = T_FD(open("x", O_RDWR));
	T(renameat2(AT_FDCWD, "x", AT_FDCWD, "y", RENAME_EXCHANGE));
	T(write(x, "long x", 6));
	T_STAT("x");
	T_STAT("y");
	T(renameat2(AT_FDCWD, "x", AT_FDCWD, "e", RENAME_EXCHANGE));
	oracle_walk(".");
}

static void by_strangers(const void *unused)
{
	(void)unused;
	T(mkdir("sticky", 0));
	T(chmod("sticky", 01777));
	T(mkdir("open", 0));
	T(chmod("open", 0777));
	T(mkdir("mine", 0755));
	T(chown("mine", 1001, 1001));
	oracle_become(1000, 1000);
	oracle_write_file("sticky/a", "a of 1000");
	oracle_write_file("open/a", "a of 1000");
	T(mkdir("sticky/d", 0755));
	T(mkdir("open/d", 0755));
	oracle_become(1001, 1001);
	oracle_write_file("sticky/b", "b of 1001");
	T(rename("sticky/a", "sticky/c"));
	T(rename("sticky/b", "sticky/a"));
	T(renameat2(AT_FDCWD, "sticky/b", AT_FDCWD, "sticky/a", RENAME_EXCHANGE));
	T(renameat2(AT_FDCWD, "sticky/b", AT_FDCWD, "sticky/a", RENAME_NOREPLACE));
	T(rename("open/a", "open/c"));
	T(rename("sticky/b", "mine/b"));
	T(rename("mine/b", "sticky/b"));
	/* Another's directory may leave an open parent only if its ".." could be written. */
	T(rename("open/d", "mine/d"));
	T(rename("open/d", "open/e"));
	T(rename("sticky/d", "open/f"));
	T(unlink("sticky/a"));
	T(rmdir("sticky/d"));
	T(unlink("open/c"));
	T(rmdir("open/e"));
	oracle_become(0, 0);
	T(rename("sticky/a", "sticky/c"));
	oracle_walk(".");
}

static const unsigned none = 0, noreplace = RENAME_NOREPLACE, exchange = RENAME_EXCHANGE,
		      both = RENAME_NOREPLACE | RENAME_EXCHANGE, unknown = 1u << 20;

static const struct oracle_case cases[] = {
    {"plain", all_pairs, &none, 0, false},
    {"noreplace", all_pairs, &noreplace, 0, false},
    {"exchange", all_pairs, &exchange, 0, false},
    {"both_flags", all_pairs, &both, 0, false},
    {"unknown_flag", all_pairs, &unknown, 0, false},
    ORACLE_CASE(into_itself),
    ORACLE_CASE(over_open_file),
    ORACLE_CASE(open_moves_along),
    ORACLE_CASE(by_strangers),
};

int main(void)
{
	return oracle_main("rename", cases, ARRAY_SIZE(cases));
}
