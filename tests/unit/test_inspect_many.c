/* inspect_count_views(): views of many files in one look. */
#include "core/inspect.h"
#include "core/util.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { FILES = 300, PAGES = 8 };

static char dir[64];
static dev_t device;
static ino_t inodes[FILES]; /* ascending */
static uint32_t counts[FILES];
static size_t unreadable;

static int by_number(const void *a, const void *b)
{
	const ino_t one = *(const ino_t *)a, two = *(const ino_t *)b;

	return (one > two) - (one < two);
}

static int make_file(const char *name, ino_t *ino)
{
	char path[256];
	struct stat st;
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(PAGES * PAGE_BYTES)), 0);
	assert_int_equal(fstat(fd, &st), 0);
	device = st.st_dev;
	if (ino)
		*ino = st.st_ino;
	return fd;
}

static int setup(void **state)
{
	char name[32];

	(void)state;
	alarm(60);
	strcpy(dir, "/dev/shm/test_inspect.XXXXXX");
	assert_non_null(mkdtemp(dir));
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "%d", i);
		close(make_file(name, &inodes[i]));
	}
	qsort(inodes, FILES, sizeof *inodes, by_number);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

static void look(void)
{
	memset(counts, 0xff, sizeof counts);
	assert_int_equal(
	    inspect_count_views(major(device), minor(device), inodes, FILES, counts, &unreadable),
	    0);
}

static uint32_t *count_of(ino_t ino)
{
	ino_t *at = bsearch(&ino, inodes, FILES, sizeof *inodes, by_number);

	assert_non_null(at);
	return &counts[at - inodes];
}

static void assert_no_others(void)
{
	for (int i = 0; i < FILES; i++)
		assert_int_equal(counts[i], 0);
}

static void *map_page(int fd, size_t page)
{
	void *view = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, (off_t)(page * PAGE_BYTES));

	assert_ptr_not_equal(view, MAP_FAILED);
	return view;
}

static void counts_them(void **state)
{
	ino_t first, last;
	int one = make_file("0", &first), two = make_file("299", &last), ready[2];
	void *views[4];
	char byte;
	pid_t pid;

	(void)state;
	look();
	assert_no_others();
	for (size_t i = 0; i < 3; i++)
		views[i] = map_page(one, i * 2);
	views[3] = map_page(two, 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		map_page(two, 4);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	look();
	assert_int_equal(*count_of(first), 6); /* inherited, too */
	assert_int_equal(*count_of(last), 3);
	*count_of(first) = *count_of(last) = 0;
	assert_no_others();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(views); i++)
		munmap(views[i], PAGE_BYTES);
	look();
	assert_no_others();
	close(ready[0]);
	close(ready[1]);
	close(one);
	close(two);
}

/* A name that looks like the fields before it; a file that was not asked for. */
static void is_not_fooled(void **state)
{
	char name[128];
	void *view;
	int fd;

	(void)state;
	snprintf(name, sizeof name, "x %02x:%02x %llu  y", major(device), minor(device),
		 (unsigned long long)inodes[7]);
	fd = make_file(name, NULL);
	view = map_page(fd, 0);
	look();
	assert_no_others();
	munmap(view, PAGE_BYTES);
	close(fd);
	fd = make_file("7", NULL);
	view = map_page(fd, 0);
	assert_int_equal(inspect_count_views(major(device) + 1, minor(device), inodes, FILES,
					     counts, &unreadable),
			 0);
	assert_no_others();
	assert_int_equal(
	    inspect_count_views(major(device), minor(device), inodes, 0, counts, &unreadable), 0);
	munmap(view, PAGE_BYTES);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(counts_them, setup, teardown),
	    cmocka_unit_test_setup_teardown(is_not_fooled, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
