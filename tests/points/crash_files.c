/* What plain file calls change: names, sizes, contents, attributes. */
#include "tests/points/crash_table.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define OR_ERRNO(call)                                                                             \
	({                                                                                         \
		long result_ = (long)(call);                                                       \
		result_ < 0 ? -(long)errno : result_;                                              \
	})

/* --- names come --- */

static long create_here(struct world *w, int flags)
{
	AUTO_CLOSE int fd = openat(w->dir, "a", O_CREAT | O_RDWR | flags, 0640);

	return fd < 0 ? -(long)errno : OR_ERRNO(write(fd, "data", 4));
}

static long create_exclusively(struct world *w, char *text)
{
	(void)text;
	return create_here(w, O_EXCL);
}

static long create_or_open(struct world *w, char *text)
{
	(void)text;
	return create_here(w, 0);
}

static long create_or_empty(struct world *w, char *text)
{
	(void)text;
	return create_here(w, O_TRUNC);
}

static long append(struct world *w, char *text)
{
	AUTO_CLOSE int fd = openat(w->dir, "a", O_WRONLY | O_APPEND);

	(void)text;
	if (fd < 0 || write(fd, "one", 3) != 3)
		return -(long)errno;
	return OR_ERRNO(write(fd, "two", 3));
}

static long make_node(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(mknodat(w->dir, "a", S_IFREG | 0604, 0));
}

static long make_fifo(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(mkfifoat(w->dir, "a", 0604));
}

static long make_directory(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(mkdirat(w->dir, "a", 02751));
}

static long make_symlink(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(symlinkat("target", w->dir, "a"));
}

static long link_a_b(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(linkat(w->dir, "a", w->dir, "b", 0));
}

static long link_unnamed(struct world *w, char *text)
{
	AUTO_CLOSE int fd = openat(w->dir, ".", O_TMPFILE | O_RDWR, 0640);
	char proc[64];

	(void)text;
	if (fd < 0 || write(fd, "unnamed", 7) != 7)
		return -(long)errno;
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	return OR_ERRNO(linkat(AT_FDCWD, proc, w->dir, "b", AT_SYMLINK_FOLLOW));
}

/* --- names change and go --- */

static long rename_with(struct world *w, unsigned flags)
{
	return OR_ERRNO(renameat2(w->dir, "a", w->dir, "b", flags));
}

static long rename_a_b(struct world *w, char *text)
{
	(void)text;
	return rename_with(w, 0);
}

static long rename_a_b_if_free(struct world *w, char *text)
{
	(void)text;
	return rename_with(w, RENAME_NOREPLACE);
}

static long exchange_a_b(struct world *w, char *text)
{
	(void)text;
	return rename_with(w, RENAME_EXCHANGE);
}

static long exchange_three(struct world *w, char *text)
{
	long rc = rename_with(w, RENAME_EXCHANGE);

	(void)text;
	if (rc == 0)
		rc = OR_ERRNO(renameat2(w->dir, "b", w->dir, "d/c", RENAME_EXCHANGE));
	return rc;
}

static long move_into(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(renameat(w->dir, "a", w->dir, "d/a"));
}

static long unlink_a(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(unlinkat(w->dir, "a", 0));
}

static long remove_directory(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(unlinkat(w->dir, "a", AT_REMOVEDIR));
}

static long unlink_and_create(struct world *w, char *text)
{
	long rc = unlink_a(w, text);

	return rc < 0 ? rc : create_here(w, O_EXCL);
}

/* --- sizes and contents --- */

static long cut_to(struct world *w, off_t size)
{
	AUTO_CLOSE int fd = openat(w->dir, "a", O_RDWR);

	return fd < 0 ? -(long)errno : OR_ERRNO(ftruncate(fd, size));
}

static long grow(struct world *w, char *text)
{
	(void)text;
	return cut_to(w, 100001);
}

static long grow_much(struct world *w, char *text)
{
	(void)text;
	return cut_to(w, 20 << 20);
}

static long shrink(struct world *w, char *text)
{
	(void)text;
	return cut_to(w, 2);
}

static long allocate(struct world *w, int mode, off_t at, off_t length)
{
	AUTO_CLOSE int fd = openat(w->dir, "a", O_RDWR);

	return fd < 0 ? -(long)errno : OR_ERRNO(fallocate(fd, mode, at, length));
}

static long allocate_plain(struct world *w, char *text)
{
	(void)text;
	return allocate(w, 0, 8192, 40000);
}

static long allocate_behind(struct world *w, char *text)
{
	(void)text;
	return allocate(w, FALLOC_FL_KEEP_SIZE, 0, 40000);
}

static long punch(struct world *w, char *text)
{
	(void)text;
	return allocate(w, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 4096);
}

static long write_some(struct world *w, char *text)
{
	AUTO_CLOSE int fd = openat(w->dir, "a", O_RDWR);

	(void)text;
	return fd < 0 ? -(long)errno : OR_ERRNO(pwrite(fd, "written", 7, 3));
}

static long store_in_view(struct world *w, char *text)
{
	AUTO_CLOSE int fd = openat(w->dir, "a", O_RDWR);
	char *view = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)text;
	if (view == MAP_FAILED)
		return -(long)errno;
	memcpy(view + 4090, "across pages", 12);
	if (msync(view, 8192, MS_SYNC) < 0)
		return -(long)errno;
	return OR_ERRNO(munmap(view, 8192));
}

/* --- attributes --- */

static const char *name_of(struct world *w, const char *name)
{
	return sys_path(w->sys, "%s/%s", w->name, name);
}

static long set_xattr(struct world *w, const char *xattr, const char *value, int flags)
{
	return OR_ERRNO(setxattr(name_of(w, "a"), xattr, value, strlen(value), flags));
}

static long xattr_set(struct world *w, char *text)
{
	(void)text;
	return set_xattr(w, "user.x", "new", 0);
}

static long xattr_create(struct world *w, char *text)
{
	(void)text;
	return set_xattr(w, "user.x", "new", XATTR_CREATE);
}

static long xattr_replace(struct world *w, char *text)
{
	(void)text;
	return set_xattr(w, "user.x", "new", XATTR_REPLACE);
}

static long xattr_remove(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(removexattr(name_of(w, "a"), "user.x"));
}

static long lifetime_set(struct world *w, char *text)
{
	(void)text;
	return set_xattr(w, "user.mapping.lifetime", "temporary", 0);
}

static long lifetime_remove(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(removexattr(name_of(w, "a"), "user.mapping.lifetime"));
}

static long limit_set(struct world *w, char *text)
{
	(void)text;
	return set_xattr(w, "user.mapping.limit", "1m", 0);
}

static long limit_remove(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(removexattr(name_of(w, "a"), "user.mapping.limit"));
}

static long change_mode(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(fchmodat(w->dir, "a", 06711, 0));
}

static long change_owner(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(fchownat(w->dir, "a", 12, 34, AT_SYMLINK_NOFOLLOW));
}

static long change_times(struct world *w, char *text)
{
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};

	(void)text;
	return OR_ERRNO(utimensat(w->dir, "a", times, AT_SYMLINK_NOFOLLOW));
}

/* Below a directory with a limit, "d". */
static long grow_charged(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(truncate(name_of(w, "d/c"), 300000));
}

static long create_charged(struct world *w, char *text)
{
	AUTO_CLOSE int fd = openat(w->dir, "d/new", O_CREAT | O_EXCL | O_RDWR, 0600);

	(void)text;
	return fd < 0 ? -(long)errno : OR_ERRNO(pwrite(fd, "charged", 7, 20000));
}

static long unlink_charged(struct world *w, char *text)
{
	(void)text;
	return OR_ERRNO(unlinkat(w->dir, "d/c", 0));
}

const struct crash_operation crash_files[] = {
    CRASH_ROW("create with O_EXCL", NULL, create_exclusively, 4),
    CRASH_ROW("create with O_EXCL what is there", "file a", create_exclusively, -EEXIST),
    CRASH_ROW("create", NULL, create_or_open, 4),
    CRASH_ROW("create what is there", "file a; grow a 9", create_or_open, 4),
    CRASH_ROW("create what is there, empty it", "file a; grow a 9", create_or_empty, 4),
    CRASH_ROW("append", "file a", append, 3),
    CRASH_ROW("mknod", NULL, make_node, 0),
    CRASH_ROW("mknod what is there", "file a", make_node, -EEXIST),
    CRASH_ROW("mkfifo", NULL, make_fifo, 0),
    CRASH_ROW("mkdir", NULL, make_directory, 0),
    CRASH_ROW("mkdir what is there", "dir a", make_directory, -EEXIST),
    CRASH_ROW("symlink", NULL, make_symlink, 0),
    CRASH_ROW("symlink where something is", "file a", make_symlink, -EEXIST),
    CRASH_ROW("link", "file a", link_a_b, 0),
    CRASH_ROW("link, open", "file a; open a", link_a_b, 0),
    CRASH_ROW("link where something is", "file a; file b", link_a_b, -EEXIST),
    CRASH_ROW("link a file without a name", NULL, link_unnamed, 0),
    CRASH_ROW("link one without a name where something is", "file b", link_unnamed, -EEXIST),
    CRASH_ROW("rename", "file a", rename_a_b, 0),
    CRASH_ROW("rename over a file", "file a; file b", rename_a_b, 0),
    CRASH_ROW("rename over a file in use", "file a; file b; open b", rename_a_b, 0),
    CRASH_ROW("rename over one of two names", "file a; file b; link b c; open c", rename_a_b, 0),
    CRASH_ROW("rename to the same file", "file a; link a b", rename_a_b, 0, .unseen = true),
    CRASH_ROW("rename a directory over an empty one", "dir a; file a/x; dir b", rename_a_b, 0),
    CRASH_ROW("rename a directory over a full one", "dir a; dir b; file b/x", rename_a_b,
	      -ENOTEMPTY),
    CRASH_ROW("rename a file over a directory", "file a; dir b", rename_a_b, -EISDIR),
    CRASH_ROW("rename what is not there", "file b", rename_a_b, -ENOENT),
    CRASH_ROW("rename without replacing", "file a", rename_a_b_if_free, 0),
    CRASH_ROW("rename without replacing, name in use", "file a; file b", rename_a_b_if_free,
	      -EEXIST),
    CRASH_ROW("move", "file a; dir d", move_into, 0),
    CRASH_ROW("exchange", "file a; file b", exchange_a_b, 0),
    CRASH_ROW("exchange a file and a directory", "file a; dir b; file b/x; open a", exchange_a_b,
	      0),
    CRASH_ROW("exchange with nothing", "file a", exchange_a_b, -ENOENT),
    CRASH_ROW("exchange twice", "file a; file b; dir d; file d/c", exchange_three, 0),
    CRASH_ROW("unlink", "file a; open a; grow a 9000", unlink_a, 0),
    CRASH_ROW("unlink, not in use", "file a", unlink_a, 0),
    CRASH_ROW("unlink one of two names", "file a; link a b; open a", unlink_a, 0),
    CRASH_ROW("unlink a symlink", "symlink a", unlink_a, 0),
    CRASH_ROW("unlink what is not there", NULL, unlink_a, -ENOENT),
    CRASH_ROW("unlink and create", "file a; open a", unlink_and_create, 4),
    CRASH_ROW("rmdir", "dir a", remove_directory, 0),
    CRASH_ROW("rmdir, full", "dir a; file a/x", remove_directory, -ENOTEMPTY),
    CRASH_ROW("truncate: grow", "file a", grow, 0),
    CRASH_ROW("truncate: grow by much", "file a", grow_much, 0),
    CRASH_ROW("truncate: shrink", "file a; grow a 70000", shrink, 0),
    CRASH_ROW("truncate: shrink, in use", "file a; grow a 70000; open a", shrink, 0),
    CRASH_ROW("truncate: shrink below a view", "file a; grow a 8192; view a", shrink, -EBUSY),
    CRASH_ROW("fallocate", "file a", allocate_plain, 0),
    CRASH_ROW("fallocate behind the end", "file a", allocate_behind, 0),
    CRASH_ROW("fallocate: a hole", "file a; grow a 9000", punch, 0),
    CRASH_ROW("write", "file a; mode a 6777", write_some, 7),
    CRASH_ROW("store in a view", "file a; grow a 8192", store_in_view, 0),
    CRASH_ROW("setxattr", "file a", xattr_set, 0),
    CRASH_ROW("setxattr: create", "file a", xattr_create, 0),
    CRASH_ROW("setxattr: create what is there", "file a; xattr a", xattr_create, -EEXIST),
    CRASH_ROW("setxattr: replace", "file a; xattr a", xattr_replace, 0),
    CRASH_ROW("setxattr: replace what is not there", "file a", xattr_replace, -ENODATA),
    CRASH_ROW("removexattr", "file a; xattr a", xattr_remove, 0),
    CRASH_ROW("removexattr: not there", "file a", xattr_remove, -ENODATA),
    CRASH_ROW("set the lifetime", "file a", lifetime_set, 0),
    CRASH_ROW("set the lifetime, in use", "file a; open a", lifetime_set, 0),
    CRASH_ROW("set a directory's lifetime", "dir a", lifetime_set, 0),
    CRASH_ROW("remove a directory's lifetime", "dir a; lifetime a temporary", lifetime_remove, 0),
    CRASH_ROW("set a limit", "dir a", limit_set, 0),
    CRASH_ROW("set a limit, things below", "dir a; file a/x; grow a/x 50000; dir a/y; file a/y/z",
	      limit_set, 0),
    CRASH_ROW("set a limit that is exceeded", "dir a; file a/x; grow a/x 2000000", limit_set, 0),
    CRASH_ROW("remove a limit", "dir a; limit a 1m; file a/x; grow a/x 50000", limit_remove, 0),
    CRASH_ROW("chmod", "file a", change_mode, 0),
    CRASH_ROW("chmod a directory", "dir a", change_mode, 0),
    CRASH_ROW("chown", "file a", change_owner, 0),
    CRASH_ROW("utimens", "file a", change_times, 0),
    CRASH_ROW("grow below a limit", "dir d; limit d 1m; file d/c", grow_charged, 0),
    CRASH_ROW("grow beyond a limit", "dir d; limit d 64k; file d/c", grow_charged, -ENOSPC),
    CRASH_ROW("create and write below a limit", "dir d; limit d 1m; file d/c", create_charged, 7),
    CRASH_ROW("unlink below a limit", "dir d; limit d 1m; file d/c; grow d/c 50000", unlink_charged,
	      0),
};
const size_t crash_files_count = ARRAY_SIZE(crash_files);
