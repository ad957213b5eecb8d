/* The file behind an object is changed by somebody who does not ask: cut short, deleted, replaced.
 * Views beyond its end have no pages any more (SIGBUS, as for any mapped file); the daemon, the
 * object and every other one go on, and it is said what happened. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/sys/objects.h"
#include "tests/sys/waitables.h"

enum { RW = PROT_READ | PROT_WRITE, SIZE = 1 << 20, CUT = 64 << 10 };

struct object {
	int fd; /* of the file */
	char *file, *path;
};

static struct object bound(struct sys *sys)
{
	struct object o;
	const char *file;

	o.fd = make_plain_file(sys, "data", SIZE, &file);
	o.file = strdup(file);
	o.path = strdup(object_make(sys, "f", WIRE_BIND, 0, o.fd));
	object_make(sys, "other", WIRE_SET_SIZE, SIZE, -1);
	return o;
}

static void done(struct sys *sys, struct object *o)
{
	object_check_service(sys);
	assert_int_equal(sys_status_number(sys, "flushes_failing"), 0);
	assert_int_equal(unlink(o->path), 0);
	WAIT_UNTIL(10, sys_status_number(sys, "bound_files") == 0);
	close(o->fd);
	free(o->file);
	free(o->path);
}

/* Reads first inside what is left, then beyond. */
static int look_beyond(void *context)
{
	const struct object *o = context;
	AUTO_CLOSE int fd = open(o->path, O_RDWR | O_CLOEXEC);
	volatile char *view = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);

	CHECK(view != MAP_FAILED);
	CHECK(view[CUT - 1] == (char)((CUT - 1) % 251));
	view[SIZE - 1] = 1;
	return 0;
}

static void assert_flushed_since(const char *path, double before)
{
	double at = 0;

	WAIT_UNTIL(10, ({
			   AUTO_FREE char *text = sys_xattr(path, "user.mapping.flush");
			   char result[32];

			   text &&sscanf(text, "%31s %lf", result, &at) == 2 &&
			       at >= before &&strcmp(result, "ok") == 0;
		   }));
}

static double now(void)
{
	return (double)clock_ns(CLOCK_REALTIME) / 1e9;
}

static void write_beginning(const char *path, char byte)
{
	char *view = view_of(path, O_RDWR, CUT, RW, MAP_SHARED);

	view[0] = byte;
	munmap(view, CUT);
}

static void cut_short(void **state)
{
	struct sys *sys = *state;
	double before;
	char note[64];

	sys_mount(sys, NULL);
	struct object o = bound(sys);
	char *view = view_of(o.path, O_RDWR, SIZE, RW, MAP_SHARED);
	view[0] = 'x';
	assert_int_equal(truncate(o.file, CUT), 0);
	assert_int_equal(view[0], 'x');
	assert_int_equal(sys_wait(sys, sys_fork(sys, look_beyond, &o)), 128 + SIGBUS);
	snprintf(note, sizeof note, "(cut short to %d bytes)", CUT);
	AUTO_FREE char *backing = sys_xattr(o.path, "user.mapping.backing");
	assert_non_null(strstr(backing, note));
	before = now();
	munmap(view, SIZE);
	assert_flushed_since(o.path, before);
	strike_worker(sys);
	object_check_service(sys);
	before = now();
	write_beginning(o.path, 'y');
	assert_flushed_since(o.path, before);

	/* Growing gives the pages back. */
	AUTO_CLOSE int handle = open(o.path, O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(handle, 2 * SIZE), 0);
	assert_int_equal(size_of(o.path), 2 * SIZE);
	view = mmap(NULL, 2 * SIZE, RW, MAP_SHARED, handle, 0);
	view[2 * SIZE - 1] = 'z';
	assert_int_equal(fsync(handle), 0);
	munmap(view, 2 * SIZE);
	close(steal_fd(&handle));
	done(sys, &o);
}

static void deleted(void **state)
{
	struct sys *sys = *state;
	char byte;

	sys_mount(sys, NULL);
	struct object o = bound(sys);
	assert_int_equal(unlink(o.file), 0);
	double before = now();
	write_beginning(o.path, 'd');
	assert_flushed_since(o.path, before);
	AUTO_FREE char *backing = sys_xattr(o.path, "user.mapping.backing");
	assert_non_null(strstr(backing, " (deleted)"));
	strike_worker(sys);
	write_beginning(o.path, 'e');
	assert_int_equal(pread(o.fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'e');
	AUTO_CLOSE int handle = open(o.path, O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(handle, 2 * SIZE), 0);
	assert_int_equal(fsync(handle), 0);
	close(steal_fd(&handle));
	done(sys, &o);
}

/* As editors save: the object keeps the file it was bound to. */
static void replaced(void **state)
{
	struct sys *sys = *state;
	const char *other;
	char byte;

	sys_mount(sys, NULL);
	struct object o = bound(sys);
	AUTO_CLOSE int fd = make_plain_file(sys, "data.new", SIZE, &other);
	assert_int_equal(rename(other, o.file), 0);
	write_beginning(o.path, 'r');
	assert_int_equal(pread(o.fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'r');
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 0);
	AUTO_FREE char *backing = sys_xattr(o.path, "user.mapping.backing");
	assert_non_null(strstr(backing, " (deleted)"));
	done(sys, &o);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(cut_short),
    SYS_TEST_BOTH_MODES(deleted),
    SYS_TEST_BOTH_MODES(replaced),
};

int main(void)
{
	return sys_run_tests("foreign", tests);
}
