/* POSIX access control lists on the mount against tmpfs: set and read back, inherited by what is
 * made, and enforced for several users and groups. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/util.h"
#include "tests/sys/oracle.h"

#define ACCESS  "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

/* --- lists as the kernel takes them --- */

struct acl {
	uint32_t version;
	struct {
		uint16_t tag, permissions;
		uint32_t id;
	} entries[16];
};

static const struct {
	char letter;
	uint16_t plain, named;
} tags[] = {{'u', 0x01, 0x02}, {'g', 0x04, 0x08}, {'m', 0x10, 0}, {'o', 0x20, 0}};

/* "u::7 u:1000:6 g::4 m::6 o::0": the sizes of such are small. */
static size_t parse(const char *text, struct acl *out)
{
	size_t count = 0;

	out->version = 2;
	while (*text) {
		for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
			if (tags[i].letter != *text)
				continue;
			out->entries[count].tag = text[2] == ':' ? tags[i].plain : tags[i].named;
		}
		text += 2;
		out->entries[count].id =
		    *text == ':' ? UINT32_MAX : (uint32_t)strtoul(text, (char **)&text, 10);
		out->entries[count++].permissions = (uint16_t)(text[1] - '0');
		text += 2;
		text += *text == ' ';
	}
	return offsetof(struct acl, entries) + count * sizeof out->entries[0];
}

static int put(const char *path, const char *name, const char *text)
{
	struct acl acl;
	size_t size = parse(text, &acl);

	return setxattr(path, name, &acl, size, 0);
}

static void note(const char *path, const char *name)
{
	struct acl acl;
	char line[512] = "";
	ssize_t size = getxattr(path, name, &acl, sizeof acl);
	int at = 0;

	if (size < 0) {
		oracle_note("%s of %s: %s", name, path, strerrorname_np(errno));
		return;
	}
	for (size_t i = 0; i < ((size_t)size - 4) / sizeof acl.entries[0]; i++)
		at += snprintf(line + at, sizeof line - (size_t)at, " %x:%d:%o", acl.entries[i].tag,
			       (int)acl.entries[i].id, acl.entries[i].permissions);
	oracle_note("%s of %s:%s", name, path, line);
}

static void note_all(const char *path)
{
	T_STAT(path);
	note(path, ACCESS);
	note(path, DEFAULT);
}

/* --- who may do what --- */

static void try_as(uid_t uid, gid_t gid, const char *path)
{
	static const int ways[] = {O_RDONLY, O_WRONLY, O_RDWR};

	oracle_become(uid, gid);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		int fd = open(path, ways[i] | O_CLOEXEC);

		oracle_note("%u:%u opens %s for %d: %s", uid, gid, path, ways[i],
			    fd < 0 ? strerrorname_np(errno) : "yes");
		if (fd >= 0)
			close(fd);
	}
	oracle_note("%u:%u executes %s: %d", uid, gid, path,
		    faccessat(AT_FDCWD, path, X_OK, AT_EACCESS));
	oracle_become(0, 0);
}

static void try_all(const char *path)
{
	try_as(1000, 1000, path);
	try_as(1001, 1001, path);
	try_as(1002, 1002, path);
	try_as(1003, 2000, path);
	try_as(1003, 2001, path);
	try_as(1004, 1004, path);
}

static void enforced(const void *unused)
{
	(void)unused;
	oracle_write_file("f", "text");
	T(chown("f", 1000, 2000));
	T(put("f", ACCESS, "u::6 u:1001:6 u:1002:7 g::4 g:2001:6 m::6 o::0"));
	note_all("f");
	try_all("f");
	T(put("f", ACCESS, "u::7 u:1001:0 g::7 m::7 o::7"));
	note_all("f");
	try_all("f");
	T(put("f", ACCESS, "u::0 g::0 o::7")); /* nothing beyond the mode */
	note_all("f");
	try_all("f");
}

static void changed_at_once(const void *unused)
{
	(void)unused;
	oracle_write_file("f", "text");
	T(chmod("f", 0600));
	for (int i = 0; i < 20; i++) {
		T(put("f", ACCESS, i % 2 ? "u::6 g::0 o::0" : "u::6 u:1001:4 g::0 m::4 o::0"));
		try_as(1001, 1001, "f");
		T(chmod("f", i % 2 ? 0640 : 0600)); /* the mask, if there is one */
		try_as(1001, 1001, "f");
	}
}

static void chmod_is_the_mask(const void *unused)
{
	(void)unused;
	oracle_write_file("f", "text");
	T(chown("f", 1000, 2000));
	T(put("f", ACCESS, "u::6 u:1001:7 g::6 g:2001:7 m::7 o::1"));
	for (mode_t mode = 0; mode <= 0777; mode += 0111) {
		T(chmod("f", mode));
		note_all("f");
	}
	T(chmod("f", 0710));
	try_all("f");
	T(chown("f", 1002, 2001));
	note_all("f");
	T(removexattr("f", ACCESS));
	note_all("f");
	T(removexattr("f", ACCESS));
	try_all("f");
}

static void refused(const void *unused)
{
	struct acl acl;
	(void)unused;
	oracle_write_file("f", "text");
	T(chmod("f", 0666));
	T(mkdir("d", 0777));
	T(symlink("f", "l"));
	T(put("f", ACCESS, "u::6 u:1001:6 g::4 o::0")); /* no mask */
	T(put("f", ACCESS, "u::6 g::4"));
	T(put("f", ACCESS, "o::0 g::4 u::6"));
	T(put("f", ACCESS, "u::9 g::4 o::0"));
	T(put("f", DEFAULT, "u::6 g::4 o::0")); /* not a directory */
	T(put("absent", ACCESS, "u::6 g::4 o::0"));
	T(setxattr("f", ACCESS, "junk", 4, 0));
	T(setxattr("f", ACCESS, "", 0, 0));
	T(setxattr("d", DEFAULT, "", 0, 0));
	acl.version = 3;
	T(setxattr("f", ACCESS, &acl, 4, 0));
	T(lsetxattr("l", ACCESS, &acl, 4, 0));
	T(lgetxattr("l", ACCESS, &acl, sizeof acl));
	oracle_become(1001, 1001);
	T(put("f", ACCESS, "u::6 g::4 o::0"));
	T(put("d", DEFAULT, "u::6 g::4 o::0"));
	T(removexattr("f", ACCESS));
	oracle_become(0, 0);
	note_all("f");
	note_all("d");
}

/* --- inherited --- */

static void make_one_of_each(const char *directory, mode_t mode)
{
	char path[64], self[64];
	int fd;

	snprintf(path, sizeof path, "%s/created%o", directory, mode);
	fd = T_FD(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode));
	T(close(fd) * 0);
	note_all(path);
	snprintf(path, sizeof path, "%s/node%o", directory, mode);
	T(mknod(path, S_IFREG | mode, 0));
	note_all(path);
	snprintf(path, sizeof path, "%s/fifo%o", directory, mode);
	T(mkfifo(path, mode));
	note_all(path);
	snprintf(path, sizeof path, "%s/dir%o", directory, mode);
	T(mkdir(path, mode));
	note_all(path);
	snprintf(path, sizeof path, "%s/linked%o", directory, mode);
	fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	T(linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
	close(fd);
	note_all(path);
}

static void inherited(const void *unused)
{
	static const mode_t masks[] = {0, 022, 077, 0777};
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		umask(0);
		T(mkdir("d", 0777));
		T(mkdir("plain", 0777));
		T(put("d", DEFAULT, "u::7 u:1001:6 g::5 g:2001:7 m::7 o::4"));
		note_all("d");
		umask(masks[i]);
		make_one_of_each("d", 0777);
		make_one_of_each("d", 0640);
		make_one_of_each("plain", 0777);
		T(mkdir("d/sub", 0755));
		make_one_of_each("d/sub", 0666);
		try_all("d/created640");
		T(removexattr("d", DEFAULT));
		make_one_of_each("d", 0666);
		umask(0);
		T(system("rm -r d plain"));
	}
}

static void inherited_by_users(const void *unused)
{
	(void)unused;
	umask(0);
	T(mkdir("d", 0777));
	T(chown("d", 0, 2000));
	T(chmod("d", 02777));
	T(put("d", DEFAULT, "u::7 g::5 g:2001:6 m::6 o::0"));
	umask(027);
	oracle_become(1000, 1000);
	make_one_of_each("d", 0777);
	make_one_of_each("d", 02775);
	make_one_of_each("d/dir777", 0666);
	oracle_become(0, 0);
	try_all("d/created777");
	try_all("d/dir777/linked666");
}

/* --- directories --- */

static void directories(const void *unused)
{
	(void)unused;
	T(mkdir("d", 0700));
	oracle_write_file("d/f", "text");
	T(chmod("d/f", 0666));
	T(put("d", ACCESS, "u::7 u:1001:1 u:1002:7 g::0 g:2001:5 m::7 o::0"));
	note_all("d");
	try_all("d/f");
	oracle_become(1001, 1001);
	T(mkdir("d/x", 0755));
	T_LS("d");
	oracle_become(1002, 1002);
	T(mkdir("d/x", 0755));
	T(unlink("d/f"));
	oracle_become(1003, 2001);
	T_LS("d");
	T(mkdir("d/y", 0755));
	oracle_become(0, 0);
	T(chmod("d", 01770)); /* sticky: the list lets in, the owner removes */
	oracle_write_file("d/g", "text");
	oracle_become(1002, 1002);
	T(unlink("d/g"));
	T(rmdir("d/x"));
	oracle_become(0, 0);
}

/* --- groups --- */

static void supplementary_groups(const void *unused)
{
	gid_t list[2] = {2000, 2001};
	(void)unused;
	oracle_write_file("f", "text");
	T(chmod("f", 0600));
	T(put("f", ACCESS, "u::6 g::0 g:2001:6 m::6 o::0"));
	oracle_become(1000, 1000);
	T(close(open("f", O_RDWR | O_CLOEXEC)));
	T(seteuid(0));
	T(setgroups(2, list));
	T(seteuid(1000));
	T(close(open("f", O_RDWR | O_CLOEXEC)) * 0);
	oracle_become(0, 0);
}

/* A set-group-ID bit of a group one is not in goes with the list one sets (posix_acl(5)). */
static void setgid_bit(const void *unused)
{
	static const struct {
		uid_t uid;
		gid_t gid;
	} who[] = {{0, 0}, {1000, 1000}, {1000, 2000}};
	(void)unused;
	oracle_write_file("f", "text");
	T(mkdir("d", 0777));
	for (size_t i = 0; i < ARRAY_SIZE(who); i++) {
		T(chown("f", 1000, 2000));
		T(chmod("f", 02770));
		T(chown("d", 1000, 2000));
		T(chmod("d", 02770));
		oracle_become(who[i].uid, who[i].gid);
		T(put("f", ACCESS, "u::7 u:1001:7 g::7 m::7 o::0"));
		T(put("d", ACCESS, "u::7 u:1001:7 g::7 m::7 o::0"));
		T(put("d", DEFAULT, "u::7 u:1001:7 g::7 m::7 o::0"));
		oracle_become(0, 0);
		note_all("f");
		note_all("d");
		T(removexattr("f", ACCESS));
		T(removexattr("d", ACCESS));
	}
}

static void moved_and_linked(const void *unused)
{
	(void)unused;
	T(mkdir("d", 0777));
	T(put("d", DEFAULT, "u::7 u:1001:6 g::5 m::7 o::4"));
	oracle_write_file("f", "text");
	T(put("f", ACCESS, "u::6 u:1002:6 g::4 m::6 o::0"));
	T(link("f", "d/linked"));
	T(rename("f", "d/moved"));
	note_all("d/linked");
	note_all("d/moved");
	oracle_write_file("d/new", "text");
	T(rename("d/new", "out"));
	note_all("out");
	T(truncate("out", 0));
	note_all("out");
}

static const struct oracle_case cases[] = {
    ORACLE_CASE(enforced),          ORACLE_CASE(changed_at_once),
    ORACLE_CASE(chmod_is_the_mask), ORACLE_CASE(refused),
    ORACLE_CASE(inherited),         ORACLE_CASE(inherited_by_users),
    ORACLE_CASE(directories),       ORACLE_CASE(supplementary_groups),
    ORACLE_CASE(setgid_bit),        ORACLE_CASE(moved_and_linked),
};

int main(void)
{
	return oracle_main("acl", cases, ARRAY_SIZE(cases));
}
