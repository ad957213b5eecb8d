/* Names on the mount against tmpfs: open flags, unlink, rmdir, mkdir, links, odd names, type
 * errors. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/util.h"
#include "tests/sys/oracle.h"

/* One of each type, in the working directory: file, full (directory), empty (directory), link,
 * broken, loop, fifo, sock. */
static void make_zoo(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "sock"};
	oracle_write_file("file", "contents");
	T(mkdir("full", 0755));
	oracle_write_file("full/inner", "inner contents");
	T(mkdir("empty", 0755));
	T(symlink("file", "link"));
	T(symlink("full", "dirlink"));
	T(symlink("nowhere", "broken"));
	T(symlink("loop", "loop"));
	T(mkfifo("fifo", 0644));
	AUTO_CLOSE int s = socket(AF_UNIX, SOCK_STREAM, 0);
	T(bind(s, (struct sockaddr *)&sa, sizeof(sa)));
}

static const char *const zoo[] = {"file",   "full",     "empty",   "link",       "dirlink",
				  "broken", "loop",     "fifo",    "sock",       "absent",
				  "file/x", "absent/x", "loop/x",  "full/inner", "broken/x",
				  "file/",  "full/",    "absent/", "link/",      "dirlink/",
				  ".",      "..",       "full/.",  "full/..",    ""};

static void open_one(const char *path, int flags)
{
	int fd = open(path, flags | O_NONBLOCK, 0640);
	int saved = errno;
	oracle_note("open(%s, %o) = %s", path, flags, fd < 0 ? strerrorname_np(saved) : "ok");
	if (fd >= 0) {
		T_FSTAT(fd);
		if (!(flags & O_PATH))
			oracle_note("flags %o", fcntl(fd, F_GETFL));
		close(fd);
	}
}

static void open_flags(const void *unused)
{
	static const int flags[] = {
	    O_RDONLY,
	    O_WRONLY,
	    O_RDWR,
	    O_RDWR | O_CREAT,
	    O_RDWR | O_CREAT | O_EXCL,
	    O_WRONLY | O_CREAT | O_TRUNC,
	    O_RDONLY | O_CREAT,
	    O_RDONLY | O_TRUNC,
	    O_WRONLY | O_TRUNC,
	    O_RDWR | O_APPEND,
	    O_RDONLY | O_DIRECTORY,
	    O_RDWR | O_DIRECTORY,
	    O_RDONLY | O_NOFOLLOW,
	    O_RDWR | O_CREAT | O_NOFOLLOW,
	    O_PATH,
	    O_PATH | O_NOFOLLOW,
	    O_RDWR | O_DIRECT,
	    O_RDWR | O_CREAT | O_DIRECTORY,
	    O_RDONLY | O_NOATIME,
	    O_RDWR | O_SYNC,
	    O_RDWR | O_CREAT | O_EXCL | O_TRUNC,
	};
	(void)unused;
	for (size_t f = 0; f < ARRAY_SIZE(flags); f++) {
		char dir[16];
		snprintf(dir, sizeof(dir), "d%zu", f);
		T(mkdir(dir, 0755));
		T(chdir(dir));
		make_zoo();
		for (size_t z = 0; z < ARRAY_SIZE(zoo); z++)
			open_one(zoo[z], flags[f]);
		oracle_walk(".");
		T(chdir(".."));
	}
}

static void open_umask(const void *unused)
{
	(void)unused;
	umask(027);
	open_one("a", O_RDWR | O_CREAT);
	umask(0);
	T(close(T_FD(open("b", O_WRONLY | O_CREAT, 07777))));
	T(close(T_FD(open("c", O_WRONLY | O_CREAT, 0))));
	T(mkdir("d", 07777));
	T(mkfifo("e", 0622));
	umask(0777);
	T(mkdir("f", 0777));
	T(mknod("g", S_IFREG | 0666, 0));
	T(mknod("h", 0644, 0));
	T(mknod("i", S_IFDIR | 0666, 0));
	T(symlink("t", "j"));
	oracle_walk(".");
}

static void create_read_only(const void *unused)
{
	(void)unused;
	/* The mode of a new file does not bind the open that makes it. */
	int fd = T_FD(open("a", O_RDWR | O_CREAT | O_EXCL, 0400));
	T(write(fd, "text", 4));
	T(ftruncate(fd, 2));
	T_FSTAT(fd);
	T(close(fd));
	oracle_become(1000, 1000);
	T(open("b", O_RDWR | O_CREAT, 0644));
	oracle_become(0, 0);
	T(chmod(".", 0777));
	oracle_become(1000, 1000);
	fd = T_FD(open("b", O_RDWR | O_CREAT | O_EXCL, 0));
	T(write(fd, "text", 4));
	T(ftruncate(fd, 9));
	T(fchmod(fd, 0444));
	T(open("b", O_RDWR));
	T(open("b", O_RDONLY | O_TRUNC));
	T_FSTAT(fd);
	oracle_become(0, 0);
	oracle_walk(".");
}

static void unlink_errors(const void *unused)
{
	(void)unused;
	make_zoo();
	for (size_t z = 0; z < ARRAY_SIZE(zoo); z++) {
		oracle_note("on %s", zoo[z]);
		T(unlink(zoo[z]));
	}
	T_LS(".");
	T(unlink("file"));
	T_LS("full");
}

static void rmdir_errors(const void *unused)
{
	(void)unused;
	make_zoo();
	for (size_t z = 0; z < ARRAY_SIZE(zoo); z++) {
		oracle_note("on %s", zoo[z]);
		T(rmdir(zoo[z]));
	}
	T_LS(".");
	T(unlink("full/inner"));
	T(rmdir("full"));
	T(rmdir("full"));
	T_STAT(".");
}

static void mkdir_errors(const void *unused)
{
	(void)unused;
	make_zoo();
	for (size_t z = 0; z < ARRAY_SIZE(zoo); z++) {
		oracle_note("on %s", zoo[z]);
		T(mkdir(zoo[z], 0755));
		T(mknod(zoo[z], S_IFREG | 0644, 0));
		T(mkfifo(zoo[z], 0644));
		T(symlink("x", zoo[z]));
		T(link("file", zoo[z]));
	}
	oracle_walk(".");
}

static void removed_directory(const void *unused)
{
	(void)unused;
	T(mkdir("d", 0755));
	int fd = T_FD(open("d", O_RDONLY | O_DIRECTORY));
	T(chdir("d"));
	T(rmdir("../d"));
	T_FSTAT(fd);
	T(open("x", O_RDWR | O_CREAT, 0644));
	T(mkdir("x", 0755));
	T(symlink("x", "y"));
	T(openat(fd, ".", O_RDONLY));
	T_STAT(".");
	T_LS(".");
	T(fchdir(fd));
	T(fchmod(fd, 0700));
	T_FSTAT(fd);
}

static void links(const void *unused)
{
	struct stat a, b;
	(void)unused;
	make_zoo();
	T(link("file", "hard"));
	T_STAT("file");
	T_STAT("hard");
	T(stat("file", &a) == 0 && stat("hard", &b) == 0 && a.st_ino == b.st_ino);
	T(link("link", "hardlink-of-link"));
	T(linkat(AT_FDCWD, "link", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
	T(link("fifo", "hardfifo"));
	T(link("sock", "hardsock"));
	T(link("empty", "harddir"));
	T(link("absent", "x"));
	T(link("broken", "hardbroken"));
	T(link("file", "full/hard"));
	T(chmod("hard", 0600));
	T_STAT("full/hard");
	T(unlink("file"));
	T_STAT("hard");
	oracle_write_file("hard", "other text");
	T_STAT("full/hard");
	T(rename("hard", "full/hard")); /* the same inode: nothing happens */
	T_LS(".");
	T_LS("full");
	int fd = T_FD(open("full/hard", O_RDWR));
	T(linkat(AT_FDCWD, "/proc/self/fd/99", AT_FDCWD, "y", AT_SYMLINK_FOLLOW));
	T(unlink("full/hard"));
	T(unlink("hard"));
	T(unlink("followed"));
	T_FSTAT(fd);
	oracle_walk(".");
}

static void link_after_unlink(const void *unused)
{
	char path[64];
	(void)unused;
	int fd = T_FD(open("a", O_RDWR | O_CREAT, 0644));
	T(unlink("a"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	T(linkat(AT_FDCWD, path, AT_FDCWD, "b", AT_SYMLINK_FOLLOW));
	T_FSTAT(fd);
	T_LS(".");
}

static void symlinks(const void *unused)
{
	static char target[PATH_MAX];
	char back[PATH_MAX];
	(void)unused;
	memset(target, 't', sizeof(target));
	for (int length = 4094; length <= 4096; length++) {
		char name[32];
		memset(target, 't', sizeof(target) - 1);
		target[length < 4096 ? length : 4095] = '\0';
		snprintf(name, sizeof(name), "l%d", length);
		T(symlink(target, name));
		T(readlink(name, back, sizeof(back)));
		T_STAT(name);
	}
	T(symlink("", "emptytarget"));
	T(symlink("a/../b//c", "odd"));
	T(readlink("odd", back, sizeof(back)));
	T(readlink("odd", back, 3));
	T(readlink(".", back, sizeof(back)));
	T(mkdir("d", 0755));
	T(symlink("../d", "d/self"));
	oracle_write_file("d/file", "x");
	T_STAT("d/self/self/self/file");
	char deep[64];
	for (int i = 0; i < 45; i++) {
		char to[16];
		snprintf(deep, sizeof(deep), "chain%d", i);
		snprintf(to, sizeof(to), i ? "chain%d" : "d", i - 1);
		symlink(to, deep);
	}
	T(open("chain39/file", O_RDONLY));
	T(open("chain40/file", O_RDONLY));
	T(open("chain44/file", O_RDONLY));
	T(lchown("odd", 5, 6));
	T_STAT("odd");
	T(fchmodat(AT_FDCWD, "odd", 0600, 0));
}

static void long_names(const void *unused)
{
	char name[300];
	(void)unused;
	for (int length = 254; length <= 257; length++) {
		memset(name, 'n', sizeof(name));
		name[length] = '\0';
		oracle_note("length %d", length);
		T(mkdir(name, 0755));
		T_STAT(name);
		T(rmdir(name));
		T(open(name, O_RDWR | O_CREAT | O_EXCL, 0644) >= 0);
		T(rename(name, "short"));
		T(rename("short", name));
		T(symlink("x", name));
		T(link(name, "hard"));
		T(unlink("hard"));
		T(unlink(name));
		T(symlink("x", name));
		T(unlink(name));
		T(mkfifo(name, 0644));
		T(access(name, F_OK));
		T(unlink(name));
		T_LS(".");
	}
}

static void odd_names(const void *unused)
{
	static const char *const names[] = {
	    "\x01",     "\xff\xfe",   "new\nline",        " ", "...", "*",   "a:b",     "\\",
	    "-rf",      "\xc3\xa4",   "a\xcc\x88",        "A", "a",   "..a", ".hidden", "tab\there",
	    ".control", ".mapping-x", ".fuse_hidden0001", "#x"};
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		oracle_write_file(names[i], names[i]);
		T_STAT(names[i]);
	}
	T_LS(".");
	for (int c = 1; c < 256; c++) {
		char name[3] = {'c', (char)c, 0};
		if (c != '/')
			oracle_write_file(name, name);
	}
	oracle_walk(".");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		T(unlink(names[i]));
	T_STAT(".");
}

static void deep_paths(const void *unused)
{
	(void)unused;
	for (int i = 0; i < 60; i++) {
		T(mkdir("directory", 0755));
		T(chdir("directory"));
	}
	oracle_write_file("leaf", "leaf");
	T_STAT("leaf");
	T_STAT("../../../directory/directory");
	T(rename("../../../directory", "x")); /* into itself */
	T(rename("leaf", "../../../leaf"));
	T_STAT("../../../leaf");
}

static void fifo_and_socket(const void *unused)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "s"};
	char text[8] = "";
	(void)unused;
	T(mkfifo("f", 0600));
	int r = T_FD(open("f", O_RDONLY | O_NONBLOCK));
	int w = T_FD(open("f", O_WRONLY | O_NONBLOCK));
	T(write(w, "through", 7));
	T(read(r, text, sizeof(text)));
	oracle_note("%s", text);
	T(truncate("f", 3));
	T(ftruncate(w, 3));
	T_STAT("f");
	int listener = T_FD(socket(AF_UNIX, SOCK_STREAM, 0));
	T(bind(listener, (struct sockaddr *)&sa, sizeof(sa)));
	T(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&sa, sizeof(sa)));
	T(listen(listener, 4));
	int client = T_FD(socket(AF_UNIX, SOCK_STREAM, 0));
	T(connect(client, (struct sockaddr *)&sa, sizeof(sa)));
	T(rename("s", "t"));
	strcpy(sa.sun_path, "t");
	T(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&sa, sizeof(sa)));
	T_STAT("t");
	T(open("t", O_RDWR));
	T(chmod("t", 0600));
	oracle_become(1000, 1000);
	T(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&sa, sizeof(sa)));
	oracle_become(0, 0);
	T(unlink("t"));
	T(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&sa, sizeof(sa)));
}

static void tmpfile_flag(const void *unused)
{
	char path[64];
	(void)unused;
	int fd = T_FD(open(".", O_TMPFILE | O_RDWR, 0640));
	if (fd < 0)
		return;
	T_FSTAT(fd);
	T(write(fd, "text", 4));
	T_LS(".");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	T(linkat(AT_FDCWD, path, AT_FDCWD, "published", AT_SYMLINK_FOLLOW));
	T_STAT("published");
	int second = T_FD(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0640));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", second);
	T(linkat(AT_FDCWD, path, AT_FDCWD, "second", AT_SYMLINK_FOLLOW));
	T(open(".", O_TMPFILE | O_RDONLY, 0640));
	T(open("published", O_TMPFILE | O_RDWR, 0640));
}

static const struct oracle_case cases[] = {
    ORACLE_CASE(open_flags),        ORACLE_CASE(open_umask),      ORACLE_CASE(create_read_only),
    ORACLE_CASE(unlink_errors),     ORACLE_CASE(rmdir_errors),    ORACLE_CASE(mkdir_errors),
    ORACLE_CASE(removed_directory), ORACLE_CASE(links),           ORACLE_CASE(link_after_unlink),
    ORACLE_CASE(symlinks),          ORACLE_CASE(long_names),      ORACLE_CASE(odd_names),
    ORACLE_CASE(deep_paths),        ORACLE_CASE(fifo_and_socket), ORACLE_CASE(tmpfile_flag),
};

int main(void)
{
	return oracle_main("names", cases, ARRAY_SIZE(cases));
}
