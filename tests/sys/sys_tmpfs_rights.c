/* Owners, modes, times and xattrs on the mount against tmpfs, as root and as ordinary users. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/util.h"
#include "tests/sys/oracle.h"

static void chmod_chown(const void *unused)
{
	(void)unused;
	oracle_write_file("f", "text");
	T(mkdir("d", 0755));
	for (mode_t mode = 0; mode <= 07777; mode += 0111) {
		T(chmod("f", mode));
		T(chmod("d", mode));
		T_STAT("f");
		T_STAT("d");
	}
	T(chmod("f", 06777));
	T(chown("f", 1000, -1));
	T_STAT("f");
	T(chmod("f", 06777));
	T(chown("f", -1, 1001));
	T_STAT("f");
	T(chmod("f", 02644));
	T(chown("f", 1000, 1000));
	T_STAT("f");
	T(chmod("d", 06755));
	T(chown("d", 1000, 1000));
	T_STAT("d");
	T(chown("f", -1, -1));
	T_STAT("f");
	T(chown("absent", 0, 0));
	T(chmod("absent", 0));
	T(chmod("f/x", 0));
}

static void suid_dies_on_write(const void *unused)
{
	(void)unused;
	T(chmod(".", 0777));
	oracle_become(1000, 1000);
	int fd = T_FD(open("f", O_RDWR | O_CREAT, 0755));
	T(fchmod(fd, 06755));
	T_FSTAT(fd);
	/* With passthrough, handles from before the bits were set do not clear them. */
	T(close(fd));
	fd = T_FD(open("f", O_RDWR));
	T(write(fd, "x", 1));
	T_FSTAT(fd);
	T(fchmod(fd, 06755));
	T(ftruncate(fd, 5));
	T_FSTAT(fd);
	T(fchmod(fd, 06755));
	T(fallocate(fd, 0, 0, 100));
	T_FSTAT(fd);
	T(fchmod(fd, 06755));
	T(truncate("f", 0));
	T_FSTAT(fd);
	T(fchmod(fd, 06755));
	T(close(T_FD(open("f", O_WRONLY | O_TRUNC))));
	T_FSTAT(fd);
	oracle_become(0, 0);
	T(fchmod(fd, 06755));
	T(write(fd, "x", 1));
	T_FSTAT(fd);
	T(chown("f", 1001, 1001));
	T_FSTAT(fd);
}

static void as_stranger(const void *unused)
{
	struct timespec zero[2] = {{0, 0}, {0, 0}}, now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
	(void)unused;
	oracle_write_file("root", "root's");
	T(chmod("root", 0640));
	oracle_write_file("shared", "shared");
	T(chmod("shared", 0666));
	oracle_write_file("theirs", "theirs");
	T(chown("theirs", 1000, 1000));
	T(mkdir("closed", 0700));
	oracle_write_file("closed/f", "f");
	T(mkdir("noexec", 0));
	T(chmod("noexec", 0766));
	oracle_write_file("noexec/f", "f");
	oracle_become(1000, 1000);
	for (int mode = 0; mode < 8; mode++) {
		oracle_note("access %d", mode);
		T(faccessat(AT_FDCWD, "root", mode, AT_EACCESS));
		T(faccessat(AT_FDCWD, "shared", mode, AT_EACCESS));
		T(faccessat(AT_FDCWD, "theirs", mode, AT_EACCESS));
		T(faccessat(AT_FDCWD, "closed", mode, AT_EACCESS));
	}
	T(open("root", O_RDONLY));
	T(open("root", O_PATH) >= 0);
	T(open("shared", O_RDWR | O_NOATIME));
	T(truncate("root", 0));
	T(chmod("root", 0666));
	T(chmod("shared", 0600));
	T(chown("shared", 1000, -1));
	T(chown("theirs", 1001, -1));
	T(chown("theirs", -1, 1001));
	T(chown("theirs", -1, 1000));
	T(chown("theirs", 1000, 1000));
	T(utimensat(AT_FDCWD, "shared", zero, 0));
	T(utimensat(AT_FDCWD, "shared", now, 0));
	T(utimensat(AT_FDCWD, "shared", NULL, 0));
	T(utimensat(AT_FDCWD, "root", NULL, 0));
	T(utimensat(AT_FDCWD, "theirs", zero, 0));
	T_STAT("closed/f");
	T_STAT("noexec/f");
	T_LS("noexec");
	T_LS("closed");
	T(mkdir("x", 0755));
	T(unlink("theirs"));
	T(link("root", "x"));
	T(rename("theirs", "x"));
	T(setxattr("shared", "user.a", "1", 1, 0));
	T(setxattr("root", "user.a", "1", 1, 0));
	T(setxattr("theirs", "user.a", "1", 1, 0));
	T(setxattr("shared", "trusted.a", "1", 1, 0));
	T(setxattr("shared", "security.a", "1", 1, 0));
	T(open("shared", O_WRONLY | O_TRUNC) >= 0);
	oracle_become(0, 0);
	oracle_walk(".");
}

static void groups(const void *unused)
{
	gid_t list[2] = {2000, 2001};
	(void)unused;
	T(mkdir("g", 0));
	T(chmod("g", 0770));
	T(chown("g", 0, 2000));
	oracle_become(1000, 1000);
	T(open("g/f", O_RDWR | O_CREAT, 0644));
	T(seteuid(0));
	T(setgroups(2, list));
	T(seteuid(1000));
	T(open("g/f", O_RDWR | O_CREAT, 0644) >= 0);
	T_STAT("g/f");
	T(chown("g/f", -1, 2001));
	T_STAT("g/f");
	T(chown("g/f", -1, 2002));
	T(chmod("g/f", 02755));
	T_STAT("g/f");
	oracle_become(0, 0);
}

static void setgid_directories(const void *unused)
{
	(void)unused;
	T(mkdir("s", 0));
	T(chown("s", 0, 2000));
	T(chmod("s", 02777));
	oracle_write_file("s/root", "x");
	T(mkdir("s/rootdir", 0755));
	T(symlink("x", "s/rootlink"));
	T(mkfifo("s/rootfifo", 0644));
	oracle_become(1000, 1000);
	oracle_write_file("s/user", "x");
	T(mkdir("s/userdir", 0755));
	T(mkdir("s/userdir/inner", 0755));
	T(symlink("x", "s/userlink"));
	T(close(T_FD(open("s/suidfile", O_CREAT | O_RDWR, 06775))));
	T(close(T_FD(open("s/sgidnoexec", O_CREAT | O_RDWR, 02664))));
	T(mknod("s/node", S_IFREG | 02775, 0));
	T(mkdir("s/modedir", 01700));
	T(chmod("s/user", 02755));
	oracle_become(0, 0);
	oracle_walk("s");
}

static void sticky_directories(const void *unused)
{
	(void)unused;
	T(mkdir("t", 0));
	T(chmod("t", 01777));
	oracle_become(1000, 1000);
	oracle_write_file("t/a", "a");
	T(mkdir("t/d", 0777));
	oracle_become(1001, 1001);
	oracle_write_file("t/b", "b");
	T(unlink("t/a"));
	T(rmdir("t/d"));
	T(rename("t/a", "t/z"));
	T(link("t/a", "t/z"));
	T(unlink("t/b"));
	oracle_become(1000, 1000);
	T(unlink("t/a"));
	oracle_become(0, 0);
	oracle_write_file("t/r", "r");
	T(chown("t", 1000, 1000));
	oracle_become(1000, 1000);
	T(unlink("t/r")); /* the directory is theirs */
	oracle_become(0, 0);
	oracle_walk("t");
}

static void note_times(const char *path)
{
	struct stat st;
	int rc = lstat(path, &st);
	oracle_note("times of %s: %d %ld.%09ld %ld.%09ld", path, rc, (long)st.st_atim.tv_sec,
		    st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void times(const void *unused)
{
	static const struct timespec sets[][2] = {
	    {{1000000000, 123456789}, {1100000000, 987654321}},
	    {{0, 0}, {0, 0}},
	    {{-1, 500000000}, {-100000, 1}},
	    {{4294967296, 0}, {1LL << 33, 5}},
	    {{7, 0}, {0, UTIME_OMIT}},
	    {{0, UTIME_OMIT}, {8, 0}},
	    {{0, UTIME_OMIT}, {0, UTIME_OMIT}},
	    {{0, 1000000000}, {0, 0}},
	};
	(void)unused;
	oracle_write_file("f", "text");
	T(mkdir("d", 0755));
	T(symlink("f", "l"));
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		T(utimensat(AT_FDCWD, "f", sets[i], 0));
		T(utimensat(AT_FDCWD, "d", sets[i], 0));
		T(utimensat(AT_FDCWD, "l", sets[i], AT_SYMLINK_NOFOLLOW));
		note_times("f");
		note_times("d");
		note_times("l");
	}
	struct stat before, after;
	int fd = T_FD(open("f", O_RDWR));
	T(futimens(fd, sets[0]));
	T(fstat(fd, &before));
	T(write(fd, "x", 1));
	T(fstat(fd, &after));
	oracle_note("write moved mtime %d", after.st_mtim.tv_sec > before.st_mtim.tv_sec);
	T(futimens(fd, sets[0]));
	T(ftruncate(fd, 4)); /* the size it has: mtime moves all the same */
	T(fstat(fd, &after));
	oracle_note("truncate moved mtime %d", after.st_mtim.tv_sec > before.st_mtim.tv_sec);
	T(utimensat(AT_FDCWD, "d", sets[0], 0));
	oracle_write_file("d/x", "x");
	T(stat("d", &after));
	oracle_note("create moved mtime %d", after.st_mtim.tv_sec > before.st_mtim.tv_sec);
	T(utimensat(AT_FDCWD, "d", sets[0], 0));
	T(unlink("d/x"));
	T(stat("d", &after));
	oracle_note("unlink moved mtime %d", after.st_mtim.tv_sec > before.st_mtim.tv_sec);
	T(utimensat(AT_FDCWD, "absent", NULL, 0));
}

static void note_xattrs(const char *path)
{
	char list[8192], value[8192];
	ssize_t n = llistxattr(path, list, sizeof(list));
	int count = 0;
	for (char *p = list; n > 0 && p < list + n; p += strlen(p) + 1) {
		if (!strncmp(p, "user.mapping.", 13))
			continue; /* ours, and documented */
		ssize_t length = lgetxattr(path, p, value, sizeof(value));
		oracle_note("  %s = %zd bytes %.*s", p, length,
			    length > 0 && length < 40 ? (int)length : 0, value);
		count++;
	}
	oracle_note("%s: %d xattrs%s", path, count, n < 0 ? strerrorname_np(errno) : "");
}

static void xattrs(const void *unused)
{
	static char big[70000];
	char value[64], name[300] = "user.";
	(void)unused;
	oracle_write_file("f", "text");
	T(mkdir("d", 0755));
	T(mkfifo("p", 0644));
	T(symlink("f", "l"));
	memset(big, 'v', sizeof(big));
	static const char *const paths[] = {"f", "d", "p", "l", "absent"};
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		oracle_note("on %s", paths[i]);
		T(lsetxattr(paths[i], "user.a", "one", 3, XATTR_REPLACE));
		T(lsetxattr(paths[i], "user.a", "one", 3, XATTR_CREATE));
		T(lsetxattr(paths[i], "user.a", "two", 3, XATTR_CREATE));
		T(lsetxattr(paths[i], "user.a", "three", 5, 0));
		T(lsetxattr(paths[i], "user.empty", "", 0, 0));
		T(lgetxattr(paths[i], "user.a", value, sizeof(value)));
		T(lgetxattr(paths[i], "user.a", value, 2));
		T(lgetxattr(paths[i], "user.a", NULL, 0));
		T(lgetxattr(paths[i], "user.none", value, sizeof(value)));
		T(lgetxattr(paths[i], "user.empty", value, sizeof(value)));
		T(lsetxattr(paths[i], "bogus.a", "x", 1, 0));
		T(lsetxattr(paths[i], "user.", "x", 1, 0));
		T(lgetxattr(paths[i], "user.", value, sizeof(value)));
		T(lsetxattr(paths[i], "user.big", big, 1000, 0));
		T(lsetxattr(paths[i], "user.huge", big, sizeof(big), 0));
		T(llistxattr(paths[i], value, 3));
		note_xattrs(paths[i]);
		T(lremovexattr(paths[i], "user.none"));
		T(lremovexattr(paths[i], "user.a"));
		T(lremovexattr(paths[i], "user.a"));
		note_xattrs(paths[i]);
	}
	memset(name + 5, 'n', 251);
	for (int length = 249; length <= 252; length++) {
		name[5 + length] = '\0';
		oracle_note("name of %d", 5 + length);
		T(setxattr("f", name, "x", 1, 0));
		T(removexattr("f", name));
		name[5 + length] = 'n';
	}
	int fd = T_FD(open("f", O_RDONLY));
	T(fsetxattr(fd, "user.b", "x", 1, 0));
	T(fgetxattr(fd, "user.b", value, sizeof(value)));
	T(unlink("f"));
	T(fgetxattr(fd, "user.b", value, sizeof(value)));
	T(fsetxattr(fd, "user.c", "y", 1, 0));
	T(fremovexattr(fd, "user.b"));
}

static void devices(const void *unused)
{
	(void)unused;
	oracle_become(1000, 1000);
	T(mknod("char", S_IFCHR | 0666, 0x103));
	T(mknod("block", S_IFBLK | 0666, 0x103));
	oracle_become(0, 0);
	T(mknod("bogus", S_IFMT, 0));
	T_LS(".");
}

static const struct oracle_case cases[] = {
    ORACLE_CASE(chmod_chown),
    ORACLE_CASE(suid_dies_on_write),
    ORACLE_CASE(as_stranger),
    ORACLE_CASE(groups),
    ORACLE_CASE(setgid_directories),
    ORACLE_CASE(sticky_directories),
    ORACLE_CASE(times),
    ORACLE_CASE(xattrs),
    ORACLE_CASE(devices),
};

int main(void)
{
	return oracle_main("rights", cases, ARRAY_SIZE(cases));
}
