/* The C library's refusals: the code, words that say why, nothing left behind. */
#include "tests/sys/library.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sys/objects.h"

/* --- creating --- */

static void attributes_that_cannot_be(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, "size=64m");
	AUTO_CLOSE int file = make_plain_file(sys, "data", 5000, NULL);
	const struct {
		struct mapping_attributes attributes;
		int flags, code;
		const char *words;
	} rows[] = {
	    {{.type = (enum mapping_type)6}, 0, EINVAL, "no such type"},
	    {{.type = MAPPING_ANY}, 0, EINVAL, "no such type"},
	    {{.lifetime = (enum mapping_lifetime)4}, 0, EINVAL, "no such lifetime"},
	    {{.set_mode = true, .mode = 010000}, 0, EINVAL, "07777"},
	    {{.set_size = true}, 0, EINVAL, "size of 0"},
	    {{.set_size = true, .size = 1ULL << 63}, 0, EFBIG, "larger than any file"},
	    {{.set_size = true, .size = 65 << 20}, 0, ENOSPC, "mapctl status"},
	    {{.read_only = true}, 0, EINVAL, "bound to a file"},
	    {{.bind = true, .sparse = true, .file_fd = file}, 0, EINVAL, "sparse"},
	    {{.manual = true}, 0, EINVAL, "events and timers; this is to be a mapping"},
	    {{.signaled = true, .type = MAPPING_TIMER}, 0, EINVAL, "events"},
	    {{.owned = true, .type = MAPPING_EVENT}, O_RDWR, EINVAL, "mutexes"},
	    {{.kill_on_close = true, .type = MAPPING_MUTEX}, 0, EINVAL, "jobs"},
	    {{.initial = 1, .type = MAPPING_JOB}, 0, EINVAL, "semaphores"},
	    {{.maximum = 1}, 0, EINVAL, "semaphores"},
	    {{.type = MAPPING_SEMAPHORE}, 0, EINVAL, "maximum of 1"},
	    {{.type = MAPPING_SEMAPHORE, .initial = 2, .maximum = 1}, 0, EINVAL, "initial"},
	    {{.type = MAPPING_SEMAPHORE, .maximum = 1U << 31}, 0, EINVAL, "2147483647"},
	    {{.type = MAPPING_EVENT, .set_size = true, .size = 1}, 0, EINVAL, "no pages"},
	    {{.type = MAPPING_JOB, .bind = true, .file_fd = file}, 0, EINVAL, "no pages"},
	    {{.type = MAPPING_MUTEX, .owned = true}, O_WRONLY, EINVAL, "open for reading"},
	    {{.type = MAPPING_MUTEX}, O_CREAT, EINVAL, "O_RDONLY"},
	    {{.type = MAPPING_MUTEX}, O_PATH, EINVAL, "O_RDONLY"},
	    {{.type = MAPPING_MUTEX}, O_TMPFILE | O_RDWR, EINVAL, "O_RDONLY"},
	};
	int fd;

	close(library_make(mount, "used", (struct mapping_attributes){0}));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mapping_attributes a = rows[i].attributes;

		REFUSED(rows[i].code, rows[i].words,
			mapping_create(mount, "new", &a, rows[i].flags, &fd, e));
		assert_int_equal(fd, -1);
		REFUSED(rows[i].code, rows[i].words,
			mapping_create(mount, NULL, &a, rows[i].flags, &fd, e));
		/* They come before the name. */
		if (rows[i].code != ENOSPC)
			REFUSED(rows[i].code, rows[i].words,
				mapping_create(mount, "used", &a, rows[i].flags, &fd, e));
	}
	assert_string_equal(library_names(sys), "used ");
	mapping_mount_close(mount);
}

static void owned_without_a_handle(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	const struct mapping_attributes a = {.type = MAPPING_MUTEX, .owned = true}, plain = {0};

	REFUSED(EINVAL, "open for reading", mapping_create(mount, "m", &a, 0, NULL, e));
	REFUSED(EINVAL, "opened at once", mapping_create(mount, NULL, &plain, 0, NULL, e));
	mapping_mount_close(mount);
}

static void files_that_cannot_be_bound(void **state)
{
	struct sys *sys = *state;
	const char *path;
	struct mapping_mount *mount = library_mount(sys, "size=64m");
	AUTO_CLOSE int full = make_plain_file(sys, "data", 5000, &path);
	AUTO_CLOSE int writer = open(path, O_WRONLY | O_CLOEXEC);
	AUTO_CLOSE int reader = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int bare = open(path, O_PATH | O_CLOEXEC);
	AUTO_CLOSE int empty = make_plain_file(sys, "empty", 0, NULL);
	AUTO_CLOSE int device = open("/dev/zero", O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int own =
	    library_make(mount, "own", (struct mapping_attributes){.set_size = true, .size = 4096});
	const struct {
		int fd;
		uint64_t size;
		int code;
		const char *words;
	} rows[] = {
	    {writer, 0, EACCES, "for reading"}, {bare, 0, EACCES, "for reading"},
	    {empty, 0, EINVAL, "empty"},        {device, 0, EINVAL, "regular"},
	    {1000, 0, EBADF, "descriptor"},     {-1, 0, EBADF, "descriptor"},
	    {reader, 6000, EACCES, "growing"},  {own, 0, ELOOP, ""},
	};

	const int held = sys_count_fds(sys_worker(sys));

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mapping_attributes a = {.bind = true,
					       .file_fd = rows[i].fd,
					       .set_size = rows[i].size,
					       .size = rows[i].size};

		REFUSED(rows[i].code, rows[i].words, mapping_create(mount, "b", &a, 0, NULL, e));
	}
	assert_int_equal(size_of(path), 5000);
	assert_string_equal(library_names(sys), "own ");
	WAIT_UNTIL(20, sys_count_fds(sys_worker(sys)) <= held); /* it closes them by and by */
	(void)full;
	mapping_mount_close(mount);
}

/* --- names --- */

static void names_that_cannot_be(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);
	const struct mapping_attributes a = {0};
	char longest[300], path[128];
	int fd;

	memset(longest, 'n', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	close(library_make(mount, "plain", (struct mapping_attributes){0}));
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	assert_int_equal(mkfifo(sys_path(sys, "fifo"), 0644), 0);
	snprintf(path, sizeof path, "%s/outside", sys->dir);

	REFUSED(ENAMETOOLONG, "at most 255", mapping_create(mount, longest, &a, O_RDWR, &fd, e));
	REFUSED(ENAMETOOLONG, "at most 255", mapping_open(mount, longest, MAPPING_ANY, 0, e));
	REFUSED(EINVAL, "directory", mapping_create(mount, "", &a, O_RDWR, &fd, e));
	REFUSED(EINVAL, "directory", mapping_create(mount, "d/", &a, O_RDWR, &fd, e));
	REFUSED(EINVAL, "directory", mapping_create(mount, "d/..", &a, O_RDWR, &fd, e));
	REFUSED(ENOENT, "mapctl ls", mapping_create(mount, "x/y", &a, O_RDWR, &fd, e));
	REFUSED(ENOTDIR, "", mapping_create(mount, "plain/y", &a, O_RDWR, &fd, e));
	REFUSED(EXDEV, "not in the mount", mapping_create(mount, path, &a, O_RDWR, &fd, e));
	REFUSED(EXDEV, "not in the mount", mapping_open(mount, "/etc/passwd", MAPPING_ANY, 0, e));
	REFUSED(EEXIST, "a mapping", mapping_create(mount, "plain", &a, O_RDWR, &fd, e));
	REFUSED(EEXIST, "a directory", mapping_create(mount, "d", &a, O_RDWR, &fd, e));
	REFUSED(EEXIST, "a FIFO", mapping_create(mount, "fifo", &a, O_RDWR, &fd, e));
	REFUSED(EEXIST, "a socket", mapping_create(mount, ".control", &a, O_RDWR, &fd, e));
	REFUSED(ENOENT, "mapctl ls", mapping_open(mount, "none", MAPPING_ANY, O_RDONLY, e));
	REFUSED(EISDIR, "a directory", mapping_open(mount, "d", MAPPING_ANY, O_RDONLY, e));
	REFUSED(EISDIR, "a directory", mapping_open(mount, "", MAPPING_MAPPING, O_RDONLY, e));
	REFUSED(EINVAL, "a FIFO", mapping_open(mount, "fifo", MAPPING_EVENT, O_RDONLY, e));
	REFUSED(EINVAL, "O_RDONLY", mapping_open(mount, "plain", MAPPING_ANY, O_CREAT, e));
	REFUSED(ENOTDIR, "", mapping_open_directory(mount, "plain", e));
	REFUSED(ENOENT, "", mapping_remove(mount, "none", e));
	REFUSED(EISDIR, "rmdir", mapping_remove(mount, "d", e));
	REFUSED(ENOENT, "", mapping_set_limit(mount, "none", 1, e));
	REFUSED(ENOENT, "", mapping_set_lifetime(mount, "none", MAPPING_TEMPORARY, e));
	REFUSED(EINVAL, "lifetime", mapping_set_lifetime(mount, "d", (enum mapping_lifetime)9, e));
	REFUSED(EFBIG, "limit", mapping_set_limit(mount, "d", UINT64_MAX, e));
	assert_string_equal(library_names(sys), "d fifo plain ");
	mapping_mount_close(mount);
}

/* --- views --- */

static void views_that_cannot_be(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	AUTO_CLOSE int fd =
	    library_make(mount, "m", (struct mapping_attributes){.set_size = true, .size = 10000});
	AUTO_CLOSE int event =
	    library_make(mount, "e", (struct mapping_attributes){.type = MAPPING_EVENT});
	AUTO_CLOSE int empty = library_make(mount, "empty", (struct mapping_attributes){0});
	AUTO_CLOSE int reader = DONE(mapping_open(mount, "m", MAPPING_MAPPING, O_RDONLY, e));
	AUTO_CLOSE int writer = DONE(mapping_open(mount, "m", MAPPING_MAPPING, O_WRONLY, e));
	const struct {
		int fd;
		uint64_t offset;
		size_t length;
		unsigned access;
		int code;
		const char *words;
	} rows[] = {
	    {fd, 1, 1, MAPPING_READ, EINVAL, "multiple of the page size"},
	    {fd, 0, 1, 0, EINVAL, "what the view is for"},
	    {fd, 0, 1, MAPPING_COPY, EINVAL, "what the view is for"},
	    {fd, 0, 1, 1 << 7, EINVAL, "what the view is for"},
	    {fd, 0, 12289, MAPPING_READ, EINVAL, "10000 bytes"},
	    {fd, 8192, 4097, MAPPING_READ, EINVAL, "10000 bytes"},
	    {fd, 12288, 1, MAPPING_READ, EINVAL, "ends before"},
	    {fd, 1ULL << 62, 0, MAPPING_READ, EINVAL, "ends before"},
	    {fd, 0, SIZE_MAX, MAPPING_READ, EINVAL, "longer than memory"},
	    {fd, 0, 1, MAPPING_READ | MAPPING_FIXED, EINVAL, "fixed address"},
	    {event, 0, 0, MAPPING_READ, ENODEV, "no pages"},
	    {empty, 0, 0, MAPPING_READ, EINVAL, "empty"},
	    {reader, 0, 0, MAPPING_WRITE, EACCES, "O_RDWR"},
	    {writer, 0, 0, MAPPING_READ, EACCES, "cannot read"},
	    {1000, 0, 0, MAPPING_READ, EBADF, ""},
	};
	void *view, *taken;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		view = (void *)1;
		REFUSED(rows[i].code, rows[i].words,
			mapping_map(rows[i].fd, rows[i].offset, rows[i].length, rows[i].access,
				    NULL, &view, NULL, e));
		assert_null(view);
	}
	DONE(mapping_map(fd, 0, 0, MAPPING_READ, NULL, &taken, NULL, e));
	REFUSED(EEXIST, "address",
		mapping_map(fd, 0, 0, MAPPING_READ | MAPPING_FIXED, taken, &view, NULL, e));
	DONE(mapping_map(fd, 0, 0, MAPPING_READ, taken, &view, NULL, e)); /* a hint only */
	DONE(mapping_unmap(view, 10000, e));
	DONE(mapping_unmap(taken, 10000, e));
	REFUSED(EINVAL, "view", mapping_unmap((char *)taken + 1, 1, e));
	REFUSED(EINVAL, "view", mapping_unmap(NULL, 1, e));
	REFUSED(EINVAL, "view", mapping_unmap(taken, 0, e));
	REFUSED(EINVAL, "mapped", mapping_flush_view(taken, 10000, e));
	REFUSED(EBADF, "", mapping_flush(1000, e));
	mapping_mount_close(mount);
}

/* --- mounts and rights --- */

static void mounts_that_are_not(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL), *none = (void *)1;

	REFUSED(ENODEV, "not in a mount", mapping_mount_find("/proc", &none, e));
	assert_null(none);
	REFUSED(ENOENT, "", mapping_mount_find("/nowhere", &none, e));
	mapping_mount_close(mount);
	mapping_mount_close(NULL);
}

/* A mount that died altogether while it was in use. */
static void a_dead_mount(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL), *dead;
	const struct mapping_attributes a = {0};
	struct mapping_info info;
	char *json;
	int fd = library_make(mount, "e", (struct mapping_attributes){.type = MAPPING_EVENT});

	sys_kill_all(sys);
	WAIT_UNTIL(20, mapping_get(mount, "e", &info, NULL) == -ENOTCONN);
	REFUSED(ENOTCONN, "mount it again", mapping_create(mount, "m", &a, 0, NULL, e));
	REFUSED(ENOTCONN, "mount it again", mapping_open(mount, "e", MAPPING_ANY, 0, e));
	REFUSED(ENOTCONN, "mount it again", mapping_wait(fd, MAPPING_FOREVER, e));
	REFUSED(ENOTCONN, "", mapping_wait(fd, 1, e));
	REFUSED(ENOTCONN, "", mapping_event_set(fd, e));
	REFUSED(ENOTCONN, "", mapping_status(mount, &json, e));
	REFUSED(ENOTCONN, "mount it again", mapping_mount_find(sys->mnt, &dead, e));
	close(fd);
	mapping_mount_close(mount);
	sys_shell(sys, "umount -l %s", sys->mnt);
}

struct stranger {
	struct mapping_mount *mount;
	uid_t uid;
	gid_t gid;
};

static int be_refused(void *context)
{
	const struct stranger *stranger = context;
	const struct mapping_mount *mount = stranger->mount;
	const struct mapping_attributes plain = {0}, root_group = {.set_gid = true, .gid = 0};
	struct mapping_error error;
	char *json;

	CHECK(setgid(stranger->gid) == 0 && setuid(stranger->uid) == 0);
	CHECK(mapping_create(mount, "d/x", &plain, 0, NULL, &error) == -EACCES);
	CHECK(strstr(error.text, "owner and mode"));
	CHECK(mapping_open(mount, "secret", MAPPING_ANY, O_RDONLY, &error) == -EACCES);
	CHECK(mapping_remove(mount, "secret", &error) == -EPERM); /* the root is sticky */
	CHECK(strstr(error.text, "sticky"));
	CHECK(mapping_set_lifetime(mount, "secret", MAPPING_TEMPORARY, &error) < 0);
	CHECK(strstr(error.text, "owner"));
	CHECK(mapping_set_limit(mount, "d", 4096, &error) < 0);
	CHECK(mapping_create(mount, "g", &root_group, 0, NULL, &error) == -EPERM);
	CHECK(strstr(error.text, "group"));
	CHECK(mapping_create(mount, "mine", &plain, 0, NULL, &error) == 0);
	CHECK(mapping_who(mount, "mine", &json, &error) == 0);
	free(json);
	return 0;
}

static void strangers_are_refused(void **state)
{
	struct sys *sys = *state;
	struct stranger stranger;
	const struct mapping_attributes secret = {.set_mode = true, .mode = 0600};

	if (geteuid() != 0)
		sys_skip("needs root");
	stranger.mount = library_mount(sys, "allow_other");
	sys_ordinary_user(&stranger.uid, &stranger.gid);
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	DONE(mapping_create(stranger.mount, "secret", &secret, 0, NULL, e));
	assert_int_equal(sys_wait(sys, sys_fork(sys, be_refused, &stranger)), 0);
	assert_string_equal(library_names(sys), "d mine secret ");
	mapping_mount_close(stranger.mount);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(attributes_that_cannot_be),
    SYS_TEST_BOTH_MODES(owned_without_a_handle),
    SYS_TEST_BOTH_MODES(files_that_cannot_be_bound),
    SYS_TEST_BOTH_MODES(names_that_cannot_be),
    SYS_TEST_BOTH_MODES(views_that_cannot_be),
    SYS_TEST_BOTH_MODES(mounts_that_are_not),
    SYS_TEST_BOTH_MODES(a_dead_mount),
    SYS_TEST_BOTH_MODES(strangers_are_refused),
};

int main(void)
{
	return sys_run_tests("library: refusals", tests);
}
