/* Random sequences of file-system calls on the mount against tmpfs. A sequence is fixed by its
 * seed: MAPPINGFS_TEST_SEED=N runs that one alone, MAPPINGFS_TEST_OPS=N makes sequences that long.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/util.h"
#include "tests/sys/oracle.h"

#define SEEDS           12
#define OPS             4000
#define OPEN_MAX_RANDOM 8
#define FILE_MAX        150000

static uint64_t random_state;
static int fds[OPEN_MAX_RANDOM];

static unsigned pick(unsigned below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 11) % below);
}

/* One of few names, so that operations meet. The last four results stay valid. */
static const char *pick_path(void)
{
	static char paths[4][64];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	static const char *const names[] = {"a", "b", "c", "dir", "ln"};
	unsigned depth = 1 + (pick(3) == 0) + (pick(6) == 0);
	path[0] = '\0';
	for (unsigned i = 0; i < depth; i++) {
		if (i)
			strcat(path, "/");
		strcat(path, i + 1 < depth ? "dir" : names[pick(ARRAY_SIZE(names))]);
	}
	return path;
}

/* Mostly an open one. */
static int pick_fd(void)
{
	int fd = -1;
	for (int i = 0; i < 6 && fd < 0; i++)
		fd = fds[pick(OPEN_MAX_RANDOM)];
	return fd;
}

static off_t pick_size(void)
{
	switch (pick(4)) {
	case 0:
		return pick(10);
	case 1:
		return 4096 * pick(FILE_MAX / 4096);
	default:
		return pick(FILE_MAX);
	}
}

static const char *outcome(long rc)
{
	static char text[32];
	if (rc == -1)
		return strerrorname_np(errno);
	snprintf(text, sizeof(text), "%ld", rc);
	return text;
}

static bool is_directory(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_directory_at(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void op_open(void)
{
	static const int accesses[] = {O_RDONLY, O_WRONLY, O_RDWR};
	static const int extras[] = {O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NOFOLLOW, O_DIRECTORY};
	int flags = accesses[pick(3)] | O_NONBLOCK, slot = (int)pick(OPEN_MAX_RANDOM);
	mode_t mode = pick(2) ? 0666 : pick(01000);
	if (pick(4))
		flags |= O_CREAT;
	if (pick(3) == 0)
		flags |= extras[pick(ARRAY_SIZE(extras))];
	const char *path = pick_path();
	if (fds[slot] >= 0)
		close(fds[slot]);
	fds[slot] = open(path, flags, mode);
	oracle_note("open(%s, %o, %o) = %s in slot %d", path, flags, mode,
		    fds[slot] < 0 ? strerrorname_np(errno) : "ok", slot);
}

static void op_close(void)
{
	int slot = (int)pick(OPEN_MAX_RANDOM);
	oracle_note("close(slot %d) = %s", slot, outcome(close(fds[slot])));
	fds[slot] = -1;
}

static void op_write(void)
{
	static char bytes[20000];
	size_t size = pick(2) ? pick(sizeof(bytes)) : pick(50);
	off_t at = pick_size();
	int fd = pick_fd();
	memset(bytes, (int)pick(256), sizeof(bytes));
	if (pick(3))
		oracle_note("pwrite(%d, %zu, %ld) = %s", fd, size, (long)at,
			    outcome(pwrite(fd, bytes, size, at)));
	else
		oracle_note("write(%d, %zu) = %s", fd, size, outcome(write(fd, bytes, size)));
}

static void op_read(void)
{
	T_READ(pick_fd(), pick_size(), pick(30000));
}

static void op_truncate(void)
{
	off_t size = pick_size();
	if (pick(2)) {
		int fd = pick_fd();
		oracle_note("ftruncate(%d, %ld) = %s", fd, (long)size,
			    outcome(ftruncate(fd, size)));
	} else {
		const char *path = pick_path();
		oracle_note("truncate(%s, %ld) = %s", path, (long)size,
			    outcome(truncate(path, size)));
	}
}

static void op_fallocate(void)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE,
				    FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE};
	int fd = pick_fd(), mode = modes[pick(3)];
	off_t at = pick_size(), length = pick_size();
	oracle_note("fallocate(%d, %d, %ld, %ld) = %s", fd, mode, (long)at, (long)length,
		    outcome(fallocate(fd, mode, at, length)));
}

static void op_stat(void)
{
	if (pick(3))
		T_STAT(pick_path());
	else
		T_FSTAT(pick_fd());
}

static void op_make(void)
{
	const char *path = pick_path(), *other = pick_path();
	mode_t mode = pick(2) ? 0755 : pick(02000);
	switch (pick(5)) {
	case 0:
		if (pick(5)) /* else the names would all be directories soon */
			path = pick(2) ? "dir" : "dir/dir";
		oracle_note("mkdir(%s, %o) = %s", path, mode, outcome(mkdir(path, mode)));
		break;
	case 2:
		oracle_note("symlink(%s, %s) = %s", other, path, outcome(symlink(other, path)));
		break;
	case 3:
		oracle_note("mkfifo(%s, %o) = %s", path, mode, outcome(mkfifo(path, mode)));
		break;
	default:
		oracle_note("link(%s, %s) = %s", other, path, outcome(link(other, path)));
	}
}

static void op_remove(void)
{
	const char *path = pick_path();
	if (pick(3))
		oracle_note("unlink(%s) = %s", path, outcome(unlink(path)));
	else
		oracle_note("rmdir(%s) = %s", path, outcome(rmdir(path)));
}

static void op_rename(void)
{
	static const unsigned flags[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	const char *from = pick_path(), *to = pick_path();
	unsigned flag = flags[pick(4)];
	oracle_note("rename(%s, %s, %u) = %s", from, to, flag,
		    outcome(renameat2(AT_FDCWD, from, AT_FDCWD, to, flag)));
}

static void op_attributes(void)
{
	const char *path = pick_path();
	mode_t mode = pick(3) ? 0777 : pick(010000);
	uid_t owner = pick(3) ? 1000 : 1001;
	struct timespec times[2] = {{pick(1000000), 1}, {pick(1000000), 2}};
	switch (pick(4)) {
	case 0:
		if (!is_directory_at(path))
			mode &= 01777; /* set-id bits of files: see sys_tmpfs_rights */
		oracle_note("chmod(%s, %o) = %s", path, mode, outcome(chmod(path, mode)));
		break;
	case 1:
		oracle_note("chown(%s, %u, %u) = %s", path, owner, owner,
			    outcome(lchown(path, owner, owner)));
		break;
	case 2:
		oracle_note("utimens(%s) = %s", path,
			    outcome(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW)));
		break;
	default:
		oracle_note("access(%s, %o) = %s", path, mode & 7,
			    outcome(faccessat(AT_FDCWD, path, mode & 7, AT_EACCESS)));
	}
}

static void op_xattr(void)
{
	static const char *const names[] = {"user.x", "user.y", "user.zz"};
	const char *path = pick_path(), *name = names[pick(3)];
	char value[200] = "v";
	size_t size = pick(150);
	switch (pick(3)) {
	case 0:
		oracle_note("setxattr(%s, %s, %zu) = %s", path, name, size,
			    outcome(lsetxattr(path, name, value, size, (int)pick(3))));
		break;
	case 1:
		oracle_note("getxattr(%s, %s) = %s", path, name,
			    outcome(lgetxattr(path, name, value, size)));
		break;
	default:
		oracle_note("removexattr(%s, %s) = %s", path, name,
			    outcome(lremovexattr(path, name)));
	}
}

/* Where holes are is the file system's business, but what it calls a hole must be zero. */
static void seek_data(int fd, off_t at)
{
	static char bytes[FILE_MAX];
	off_t data = lseek(fd, at, SEEK_DATA), end = data < 0 ? at + FILE_MAX : data;
	ssize_t n = pread(fd, bytes, (size_t)(end - at < FILE_MAX ? end - at : FILE_MAX), at);
	for (ssize_t i = 0; i < n; i++)
		if (bytes[i]) {
			oracle_note("lseek(%d, %ld, SEEK_DATA) = %ld, data at %ld", fd, (long)at,
				    (long)data, (long)(at + i));
			break;
		}
	lseek(fd, at, SEEK_SET); /* wherever that led */
}

static void op_seek(void)
{
	static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
	int fd = pick_fd(), whence = whences[pick(3)];
	off_t at = pick_size();
	if (is_directory(fd))
		return; /* whence of directories is the kernel's, and it asks no file system */
	if (pick(3) == 0)
		seek_data(fd, at);
	else
		oracle_note("lseek(%d, %ld, %d) = %s", fd, (long)at, whence,
			    outcome((long)lseek(fd, at, whence)));
}

static void op_look(void)
{
	char target[128];
	const char *path = pick_path();
	if (pick(2))
		oracle_note("readlink(%s) = %s", path,
			    outcome(readlink(path, target, sizeof(target))));
	else
		T_LS(pick(3) ? "dir" : ".");
}

static void op_lock(void)
{
	int fd = pick_fd();
	int how = (pick(3) ? (pick(2) ? LOCK_SH : LOCK_EX) : LOCK_UN) | LOCK_NB;
	oracle_note("flock(%d, %d) = %s", fd, how, outcome(flock(fd, how)));
}

static void op_sync(void)
{
	int fd = pick_fd();
	oracle_note("fsync(%d) = %s", fd, outcome(fsync(fd)));
}

static void op_become(void)
{
	static const uid_t uids[] = {0, 0, 1000, 1000, 1001};
	uid_t uid = uids[pick(5)];
	oracle_become(uid, uid);
	oracle_note("become %u", uid);
}

static void random_sequence(const void *argument)
{
	static void (*const ops[])(void) = {
	    op_open,       op_open,  op_open, op_open,     op_open,      op_close,  op_write,
	    op_write,      op_read,  op_read, op_truncate, op_fallocate, op_stat,   op_stat,
	    op_stat,       op_make,  op_make, op_remove,   op_remove,    op_rename, op_rename,
	    op_attributes, op_xattr, op_seek, op_look,     op_lock,      op_sync,
	};
	const char *length = getenv("MAPPINGFS_TEST_OPS");
	int count = length ? atoi(length) : OPS;
	unsigned seed = *(const unsigned *)argument;

	random_state = seed * 0x9e3779b97f4a7c15ULL | 1;
	for (int i = 0; i < OPEN_MAX_RANDOM; i++)
		fds[i] = -1;
	chmod(".", 0777);
	for (int i = 0; i < count; i++) {
		if (pick(200) == 0)
			op_become();
		oracle_note("seed %u op %d:", seed, i);
		ops[pick(ARRAY_SIZE(ops))]();
	}
	oracle_become(0, 0);
	oracle_walk(".");
}

int main(void)
{
	static struct oracle_case cases[SEEDS];
	static unsigned seeds[SEEDS];
	static char names[SEEDS][32];
	const char *only = getenv("MAPPINGFS_TEST_SEED");
	size_t count = only ? 1 : SEEDS;

	for (size_t i = 0; i < count; i++) {
		seeds[i] = only ? (unsigned)atoi(only) : (unsigned)i + 1;
		snprintf(names[i], sizeof(names[i]), "seed-%u", seeds[i]);
		cases[i] = (struct oracle_case){names[i], random_sequence, &seeds[i], 120, false};
	}
	return oracle_main("random", cases, count);
}
