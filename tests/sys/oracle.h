/* A tmpfs as oracle: a case is a function of plain system calls that writes down what it sees. It
 * is run in a directory of a real tmpfs and in a directory of our mount, each time in a forked
 * child with that directory as its working directory; both transcripts must be equal, line by line.
 *
 * Transcripts hold results, errno names, modes, owners, sizes, link counts and names: nothing that
 * may differ between two file systems (inode and device numbers, times). */
#ifndef MAPPINGFS_TESTS_SYS_ORACLE_H
#define MAPPINGFS_TESTS_SYS_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Runs the call, writes "line: call = result" and hands the result on. */
#define T(call)                  oracle_result(__LINE__, #call, (long)(call))
#define T_FD(call)               ((int)oracle_result(__LINE__, #call, (long)(call)))
#define T_STAT(path)             oracle_stat(__LINE__, path)
#define T_FSTAT(fd)              oracle_fstat(__LINE__, fd)
#define T_LS(path)               oracle_list(__LINE__, path)
#define T_READ(fd, offset, size) oracle_read(__LINE__, fd, offset, size)

struct oracle_case {
	const char *name;
	void (*run)(const void *argument);
	const void *argument;
	unsigned seconds; /* time limit of one run; 0: 60 */
	bool cached_only; /* passthrough is known to differ, and the case says why */
};

#define ORACLE_CASE(function)                                                                      \
	{                                                                                          \
		.name = #function, .run = function                                                 \
	}
#define ORACLE_CASE_CACHED(function)                                                               \
	{                                                                                          \
		.name = #function, .run = function, .cached_only = true                            \
	}

/* Everything below is called inside cases only. */
void oracle_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
long oracle_result(int line, const char *what, long result);
void oracle_stat(int line, const char *path);
void oracle_fstat(int line, int fd);
void oracle_list(int line, const char *path);                  /* names and types, sorted */
void oracle_read(int line, int fd, off_t offset, size_t size); /* length and checksum */
void oracle_walk(const char *path);                            /* the whole tree below path */
void oracle_become(uid_t uid, gid_t gid);                      /* effective ids, no groups */
void oracle_write_file(const char *path, const char *text);
/* A forked child that runs f and whose end is waited for. */
void oracle_in_child(void (*f)(void *), void *argument);

/* Runs the cases against both modes of the mount (see harness). The exit status of main(). */
int oracle_main(const char *suite, const struct oracle_case *cases, size_t count);

#endif
