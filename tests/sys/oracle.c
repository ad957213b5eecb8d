#include "tests/sys/oracle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/util.h"
#include "tests/sys/oracle_run.h"

#define TRANSCRIPT_BYTES (64u << 20)

/* Shared with forked children, so that what they see is in the transcript too. */
struct transcript {
	size_t length;
	char text[];
};

static struct transcript *transcript;

void oracle_note(const char *format, ...)
{
	size_t room = TRANSCRIPT_BYTES - sizeof(*transcript) - transcript->length;
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(transcript->text + transcript->length, room, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n + 1 >= room)
		_exit(99);
	transcript->length += (size_t)n;
	transcript->text[transcript->length++] = '\n';
}

long oracle_result(int line, const char *what, long result)
{
	int saved = errno;
	if (result == -1)
		oracle_note("%d: %s = %s", line, what, strerrorname_np(saved));
	else
		oracle_note("%d: %s = %ld", line, what, result);
	errno = saved;
	return result;
}

static void note_stat(int line, const char *what, const struct stat *st)
{
	oracle_note("%d: %s: mode %o nlink %lu uid %u gid %u size %ld", line, what, st->st_mode,
		    (unsigned long)st->st_nlink, st->st_uid, st->st_gid, (long)st->st_size);
}

void oracle_stat(int line, const char *path)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		oracle_note("%d: lstat %s: %s", line, path, strerrorname_np(errno));
	else
		note_stat(line, path, &st);
}

void oracle_fstat(int line, int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		oracle_note("%d: fstat: %s", line, strerrorname_np(errno));
	else
		note_stat(line, "fstat", &st);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

void oracle_list(int line, const char *path)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, by_name);
	oracle_note("%d: list %s: %d %s", line, path, n, n < 0 ? strerrorname_np(errno) : "");
	for (int i = 0; i < n; i++) {
		oracle_note("%d:   %s %d", line, names[i]->d_name, names[i]->d_type);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static unsigned checksum(const unsigned char *bytes, size_t length)
{
	unsigned sum = 2166136261u;
	for (size_t i = 0; i < length; i++)
		sum = (sum ^ bytes[i]) * 16777619u;
	return sum;
}

void oracle_read(int line, int fd, off_t offset, size_t size)
{
	AUTO_FREE unsigned char *buffer = malloc(size + 1);
	ssize_t n = pread(fd, buffer, size, offset);
	if (n < 0)
		oracle_note("%d: read at %ld: %s", line, (long)offset, strerrorname_np(errno));
	else
		oracle_note("%d: read at %ld: %zd bytes, sum %08x", line, (long)offset, n,
			    checksum(buffer, (size_t)n));
}

static void walk_file(const char *path, const struct stat *st)
{
	if (S_ISLNK(st->st_mode)) {
		char target[4096];
		ssize_t n = readlink(path, target, sizeof(target) - 1);
		oracle_note("  -> %.*s", n < 0 ? 0 : (int)n, target);
	} else if (S_ISREG(st->st_mode)) {
		AUTO_CLOSE int fd = open(path, O_RDONLY);
		T_READ(fd, 0, (size_t)(st->st_size < (1 << 22) ? st->st_size : 1 << 22));
	}
}

void oracle_walk(const char *path)
{
	struct stat st;
	struct dirent **names;

	T_STAT(path);
	if (lstat(path, &st) < 0)
		return;
	walk_file(path, &st);
	if (!S_ISDIR(st.st_mode))
		return;
	int n = scandir(path, &names, NULL, by_name);
	for (int i = 0; i < n; i++) {
		AUTO_FREE char *child = NULL;
		if (strcmp(names[i]->d_name, ".") && strcmp(names[i]->d_name, "..") &&
		    asprintf(&child, "%s/%s", path, names[i]->d_name) > 0)
			oracle_walk(child);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

void oracle_become(uid_t uid, gid_t gid)
{
	if (seteuid(0) < 0 || setegid(gid) < 0 || setgroups(0, NULL) < 0 || seteuid(uid) < 0)
		oracle_note("cannot become %u:%u: %s", uid, gid, strerrorname_np(errno));
}

void oracle_write_file(const char *path, const char *text)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		oracle_note("cannot write %s: %s", path, strerrorname_np(errno));
}

void oracle_in_child(void (*f)(void *), void *argument)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		f(argument);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	oracle_note("child ended: %d", status);
}

/* --- running a case in one directory --- */

static void run_in(const struct oracle_case *c, const char *directory)
{
	if (chdir(directory) < 0)
		_exit(98);
	alarm(c->seconds ? c->seconds : 60);
	umask(022);
	c->run(c->argument);
	_exit(0);
}

static void remove_tree(const char *path)
{
	char command[4200];
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	if (system(command) != 0)
		fprintf(stderr, "oracle: cannot remove %s\n", path);
}

char *oracle_record(const struct oracle_case *c, const char *root)
{
	char directory[4096];
	int status;

	transcript = mmap(NULL, TRANSCRIPT_BYTES, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	snprintf(directory, sizeof(directory), "%s/%s", root, c->name);
	if (transcript == MAP_FAILED || mkdir(directory, 0755) < 0) {
		perror(directory);
		exit(1);
	}
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		run_in(c, directory);
	waitpid(pid, &status, 0);
	oracle_note("run ended: %d", status);
	char *text = strndup(transcript->text, transcript->length);
	munmap(transcript, TRANSCRIPT_BYTES);
	transcript = NULL;
	remove_tree(directory);
	return text;
}

/* --- comparing --- */

static size_t line_length(const char *text)
{
	return strcspn(text, "\n");
}

static const char *line_back(const char *begin, const char *at, int lines)
{
	while (at > begin && lines > 0)
		if (*--at == '\n' && at[1] != '\0')
			lines--;
	return at > begin ? at + 1 : at;
}

int oracle_compare(const char *expected, const char *got, const char *name)
{
	const char *e = expected, *g = got;
	while (*e && *g) {
		size_t el = line_length(e), gl = line_length(g);
		if (el != gl || memcmp(e, g, el) != 0)
			break;
		e += el + (e[el] == '\n');
		g += gl + (g[gl] == '\n');
	}
	if (!*e && !*g)
		return 0;
	const char *from = line_back(expected, e, 25);
	fprintf(stderr, "%s: differs from tmpfs\n%.*s- tmpfs: %.*s\n+ mount: %.*s\n", name,
		(int)(e - from), from, (int)line_length(e), e, (int)line_length(g), g);
	return -1;
}
