/* share FILE [ro]: maps FILE shared and obeys lines on standard input, one answer a line:
 *
 *	put OFFSET VALUE	stores a 64-bit number; "ok"
 *	get OFFSET		the number there
 *	add OFFSET COUNT	adds 1 that many times, atomically; "ok"
 *	close			closes the file, the view stays; "ok"
 *
 * The same in every language (share.py, Share.java, share.pl; without add). */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int obey(char *view, int *fd, const char *line)
{
	uint64_t offset = 0, value = 0;

	if (sscanf(line, "put %lu %lu", &offset, &value) == 2) {
		atomic_store((_Atomic uint64_t *)(void *)(view + offset), value);
		return puts("ok");
	}
	if (sscanf(line, "add %lu %lu", &offset, &value) == 2) {
		while (value--)
			atomic_fetch_add((_Atomic uint64_t *)(void *)(view + offset), 1);
		return puts("ok");
	}
	if (sscanf(line, "get %lu", &offset) == 1)
		return printf("%lu\n", atomic_load((_Atomic uint64_t *)(void *)(view + offset)));
	if (strcmp(line, "close\n") == 0) {
		close(*fd);
		*fd = -1;
		return puts("ok");
	}
	return printf("what is %s", line);
}

int main(int argc, char **argv)
{
	int read_only = argc > 2 && strcmp(argv[2], "ro") == 0;
	struct stat st;
	char line[128], *view;
	int fd;

	if (argc < 2)
		return 2;
	fd = open(argv[1], read_only ? O_RDONLY : O_RDWR);
	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(argv[1]);
		return 1;
	}
	view = mmap(NULL, (size_t)st.st_size, read_only ? PROT_READ : PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	if (view == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof line, stdin))
		obey(view, &fd, line);
	return 0;
}
