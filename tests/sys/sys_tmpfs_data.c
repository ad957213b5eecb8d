/* Data calls on the mount against tmpfs: append, truncate, sparse files, direct I/O, locks,
 * unlinked files, mappings. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/util.h"
#include "tests/sys/oracle.h"

static void append(const void *unused)
{
	(void)unused;
	int a = T_FD(open("f", O_RDWR | O_CREAT | O_APPEND, 0644));
	int b = T_FD(open("f", O_WRONLY | O_APPEND));
	int c = T_FD(open("f", O_RDWR));
	for (int i = 0; i < 50; i++) {
		T(write(a, "from a.", 7));
		T(write(b, "b!", 2));
		T(pwrite(a, "positioned", 10, 3));
		T(write(c, "over", 4));
	}
	T(lseek(a, 0, SEEK_CUR));
	T(lseek(c, 0, SEEK_CUR));
	T_READ(a, 0, 4096);
	T(fcntl(c, F_SETFL, O_APPEND));
	T(write(c, "now appended", 12));
	T_FSTAT(a);
	T_READ(c, 0, 4096);
}

/* With passthrough the kernel goes on appending: the backing file has the flag from the open on. */
static void append_no_more(const void *unused)
{
	(void)unused;
	oracle_write_file("f", "0123456789");
	int fd = T_FD(open("f", O_RDWR | O_APPEND));
	T(fcntl(fd, F_SETFL, 0));
	T(lseek(fd, 5, SEEK_SET));
	T(write(fd, "not appended", 12));
	T_FSTAT(fd);
	T_READ(fd, 0, 4096);
}

static void wrong_direction(const void *unused)
{
	char byte;
	(void)unused;
	oracle_write_file("f", "text");
	int r = T_FD(open("f", O_RDONLY)), w = T_FD(open("f", O_WRONLY)),
	    p = T_FD(open("f", O_PATH));
	T(write(r, "x", 1));
	T(read(w, &byte, 1));
	T(ftruncate(r, 0));
	T(fallocate(r, 0, 0, 10));
	T(read(p, &byte, 1));
	T(ftruncate(p, 0));
	T(fsync(r));
	T(fdatasync(w));
	T(fsync(p));
	T(fchmod(p, 0600));
	T(pread(r, &byte, 1, -1));
	T(pread(r, &byte, 1, 100));
	T(pwrite(w, "x", 1, INT64_MAX));
	T(pwrite(w, "xyz", 3, INT64_MAX - 1));
	T(lseek(r, -1, SEEK_SET));
	T(lseek(r, INT64_MAX, SEEK_SET));
	T(lseek(r, 1, SEEK_CUR));
	T(lseek(r, 0, 99));
	int d = T_FD(open(".", O_RDONLY));
	T(read(d, &byte, 1));
	T(write(d, "x", 1));
	T(ftruncate(d, 0));
	T(fsync(d));
	T(mmap(NULL, 4096, PROT_READ, MAP_SHARED, d, 0) == MAP_FAILED ? -errno : 0);
	T_FSTAT(r);
}

static void truncates(const void *unused)
{
	(void)unused;
	int fd = T_FD(open("f", O_RDWR | O_CREAT, 0644));
	T(write(fd, "0123456789", 10));
	T(ftruncate(fd, 5));
	T_READ(fd, 0, 100);
	T(ftruncate(fd, 10000));
	T_READ(fd, 0, 20000); /* what came back is zero */
	T(ftruncate(fd, -1));
	T(truncate("f", -1));
	T(truncate("absent", 5));
	T(truncate(".", 5));
	T(truncate("f/x", 5));
	T(truncate("", 5));
	T(ftruncate(fd, 4097));
	T(pwrite(fd, "end", 3, 4095));
	T_FSTAT(fd);
	T(ftruncate(fd, 4096));
	T(ftruncate(fd, 8192));
	T_READ(fd, 4090, 4102);
	T(close(T_FD(open("f", O_RDONLY | O_TRUNC))));
	T_FSTAT(fd);
	T(write(fd, "at the old place", 16));
	T_FSTAT(fd);
	T_READ(fd, 0, 100);
	T(ftruncate(99, 0));
	oracle_become(1000, 1000);
	T(truncate("f", 1));
	oracle_become(0, 0);
	T(chmod("f", 0444));
	T(ftruncate(fd, 3));
	T_STAT("f");
}

static bool is_zero(int fd, off_t from, off_t to)
{
	char byte;
	for (; from < to; from++)
		if (pread(fd, &byte, 1, from) != 1 || byte)
			return false;
	return true;
}

/* Where holes begin and end is the file system's business (folios may be larger than pages), but
 * what it calls a hole reads as zeros, and the answers go together. */
static void note_holes(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END), wrong = 0;
	for (off_t at = 0; at < end; at += 2048) {
		off_t data = lseek(fd, at, SEEK_DATA), hole = lseek(fd, at, SEEK_HOLE);
		wrong += hole < at || hole > end || data >= end || (data >= 0 && data < at);
		wrong += !is_zero(fd, at, data < 0 ? end : data);
		wrong += data != at && hole != at;
	}
	oracle_note("%ld wrong answers", (long)wrong);
	T(lseek(fd, end + 1, SEEK_DATA));
	T(lseek(fd, end + 1, SEEK_HOLE));
	T(lseek(fd, -1, SEEK_DATA));
}

static void holes(const void *unused)
{
	static char page[4096 * 8];
	(void)unused;
	memset(page, 'p', sizeof(page));
	int fd = T_FD(open("f", O_RDWR | O_CREAT, 0644));
	T(lseek(fd, 0, SEEK_DATA));
	T(lseek(fd, 0, SEEK_HOLE));
	T(ftruncate(fd, 40000));
	note_holes(fd);
	T(pwrite(fd, "data", 4, 9000));
	note_holes(fd);
	T(pwrite(fd, page, sizeof(page), 40960));
	T(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 45056, 8192));
	note_holes(fd);
	T_READ(fd, 0, 100000);
	T(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 41000, 10));
	T(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 60000, 1000000));
	T_READ(fd, 0, 100000);
	T_FSTAT(fd);
	note_holes(fd);
}

static void fallocates(const void *unused)
{
	(void)unused;
	int fd = T_FD(open("f", O_RDWR | O_CREAT, 0644));
	T(fallocate(fd, 0, 0, 10000));
	T_FSTAT(fd);
	T(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000));
	T_FSTAT(fd);
	T(fallocate(fd, 0, 5, 5));
	T_FSTAT(fd);
	T(fallocate(fd, 0, 0, 0));
	T(fallocate(fd, 0, -1, 5));
	T(fallocate(fd, 0, 5, -1));
	T(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
	T(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096));
	T(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
	T(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096));
	T(fallocate(fd, 0x4000, 0, 4096));
	T(fallocate(fd, 0, INT64_MAX, 1));
	T(fallocate(fd, 0, INT64_MAX - 10, 100));
	T(posix_fallocate(fd, 20000, 100));
	T_FSTAT(fd);
	T_READ(fd, 0, 30000);
	T(mkfifo("p", 0600));
	T(fallocate(open("p", O_RDWR), 0, 0, 10));
	T(fallocate(open(".", O_RDONLY), 0, 0, 10));
	T(close(fd));
	fd = T_FD(open("g", O_RDWR | O_CREAT | O_APPEND, 0644));
	T(fallocate(fd, 0, 0, 10));
	T(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 10));
	T_FSTAT(fd);
}

static void direct(const void *unused)
{
	void *buffer;
	(void)unused;
	if (posix_memalign(&buffer, 4096, 8192))
		return;
	memset(buffer, 'd', 8192);
	int fd = T_FD(open("f", O_RDWR | O_CREAT | O_DIRECT, 0644));
	T(write(fd, buffer, 8192));
	T(pwrite(fd, buffer, 100, 3));
	T(pread(fd, (char *)buffer + 1, 512, 0));
	T(pread(fd, buffer, 4096, 4096));
	T(pread(fd, buffer, 4096, 8192));
	T(fcntl(fd, F_SETFL, 0));
	T(fcntl(fd, F_SETFL, O_DIRECT));
	T_FSTAT(fd);
	T_READ(fd, 0, 10000);
	free(buffer);
}

static void many_ways(const void *unused)
{
	char one[10] = "abcdefghi", two[100];
	struct iovec v[2] = {{one, 5}, {two, 40}};
	loff_t from = 0, to = 100;
	(void)unused;
	memset(two, 'z', sizeof(two));
	int a = T_FD(open("a", O_RDWR | O_CREAT, 0644)),
	    b = T_FD(open("b", O_RDWR | O_CREAT, 0644));
	T(writev(a, v, 2));
	T(pwritev(a, v, 2, 100));
	T(preadv(a, v, 2, 90));
	T(pwritev2(a, v, 2, -1, RWF_APPEND));
	T(copy_file_range(a, &from, b, &to, 50, 0));
	T(sendfile(b, a, NULL, 20));
	T_READ(b, 0, 1000);
	int p[2];
	T(pipe(p));
	from = 0;
	T(splice(a, &from, p[1], NULL, 30, 0));
	to = 500;
	T(splice(p[0], NULL, b, &to, 30, 0));
	T_READ(b, 0, 1000);
	T(posix_fadvise(a, 0, 0, POSIX_FADV_DONTNEED));
	T(readahead(a, 0, 100));
	T(sync_file_range(a, 0, 0, 0));
	T_FSTAT(b);
}

static void unlinked_open(const void *unused)
{
	(void)unused;
	int fd = T_FD(open("f", O_RDWR | O_CREAT, 0640));
	int ro = T_FD(open("f", O_RDONLY));
	T(write(fd, "before", 6));
	T(unlink("f"));
	T_FSTAT(fd);
	T_STAT("f");
	T_LS(".");
	T(write(fd, "after", 5));
	T(ftruncate(fd, 20));
	T(fchmod(fd, 0600));
	T(fchown(fd, 1000, 1000));
	T_FSTAT(ro);
	T_READ(ro, 0, 100);
	oracle_write_file("f", "a new file");
	T_STAT("f");
	T_READ(fd, 0, 100);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int again = T_FD(open(path, O_RDWR));
	T(pwrite(again, "again", 5, 0));
	T_READ(ro, 0, 100);
	T(truncate(path, 2));
	T_FSTAT(ro);
	T(close(fd));
	T(close(ro));
	T_FSTAT(again);
	T(fallocate(again, 0, 0, 4096));
	T_FSTAT(again);
	T(close(again));
	T_STAT("f");
}

static void mappings(const void *unused)
{
	(void)unused;
	int fd = T_FD(open("f", O_RDWR | O_CREAT, 0644)), ro = T_FD(open("f", O_RDONLY));
	int wo = T_FD(open("f", O_WRONLY));
	T(ftruncate(fd, 10000));
	T(mmap(NULL, 4096, PROT_READ, MAP_SHARED, wo, 0) == MAP_FAILED ? errno : 0);
	T(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED ? errno : 0);
	T(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 100) == MAP_FAILED ? errno : 0);
	T(mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? errno : 0);
	T(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, ro, 0) == MAP_FAILED ? errno : 0);
	T(mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0) == MAP_FAILED ? errno
											   : 0);
	char *s = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *p = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0);
	char *r = mmap(NULL, 8192, PROT_READ, MAP_SHARED, ro, 4096);
	T(mprotect(r, 4096, PROT_READ | PROT_WRITE));
	strcpy(s + 5000, "through the view");
	oracle_note("%s %s", p + 5000, r + 904);
	strcpy(p + 5000, "private");
	oracle_note("%s %s", s + 5000, r + 904);
	T(pwrite(fd, "by write", 8, 6000));
	oracle_note("%s", s + 6000);
	T_READ(ro, 0, 10000);
	memset(s + 10000, 'x', 100); /* beyond the end, in the last page */
	T_FSTAT(fd);
	T(msync(s, 12288, MS_SYNC));
	T(msync(s, 12288, MS_ASYNC));
	T(close(fd));
	T(close(wo));
	T(unlink("f"));
	strcpy(s, "no handle, no name");
	oracle_note("%s", p);
	T(madvise(s, 4096, MADV_REMOVE));
	oracle_note("%d", s[0]);
	T(munmap(s, 12288));
	T_READ(ro, 0, 10000);
	T_FSTAT(ro);
}

static const struct oracle_case cases[] = {
    ORACLE_CASE(append),
    ORACLE_CASE(wrong_direction),
    ORACLE_CASE(truncates),
    ORACLE_CASE(holes),
    ORACLE_CASE(fallocates),
    ORACLE_CASE(direct),
    ORACLE_CASE_CACHED(append_no_more),
    ORACLE_CASE(many_ways),
    ORACLE_CASE(unlinked_open),
    ORACLE_CASE(mappings),
};

int main(void)
{
	return oracle_main("data", cases, ARRAY_SIZE(cases));
}
