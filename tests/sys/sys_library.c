/* The C library: objects of every type with every attribute, by name and without, views of them,
 * and what can be read of them. */
#include "tests/sys/library.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tests/sys/objects.h"

enum { TYPES = MAPPING_JOB + 1 };

/* The least that each type needs. */
static struct mapping_attributes plain(enum mapping_type type)
{
	return (struct mapping_attributes){.type = type,
					   .maximum = type == MAPPING_SEMAPHORE ? 1 : 0};
}

static const char *name_of(enum mapping_type type)
{
	return mapping_type_name(type);
}

static void types_have_names(void **state)
{
	(void)state;
	for (int i = 0; i < TYPES; i++)
		assert_int_equal(mapping_type_of(name_of((enum mapping_type)i)), i);
	assert_int_equal(mapping_type_of("object"), MAPPING_ANY);
	assert_int_equal(mapping_type_of(""), MAPPING_ANY);
	assert_string_equal(mapping_type_name(MAPPING_ANY), "object");
	assert_string_equal(mapping_type_name((enum mapping_type)99), "object");
}

static void check_new_object(const struct mapping_info *info, int type, int64_t since)
{
	assert_int_equal(info->type, type);
	assert_string_equal(info->type_name, name_of((enum mapping_type)type));
	assert_int_equal(info->mode, S_IFREG | 0644);
	assert_int_equal(info->uid, getuid());
	assert_int_equal(info->creator_uid, getuid());
	assert_int_equal(info->creator_pid, getpid());
	assert_true(info->created.tv_sec >= since && info->created.tv_sec <= since + 60);
	assert_string_equal(info->lifetime, "permanent");
	assert_int_equal(info->handles, 1);
	assert_int_equal(info->size, 0);
	assert_int_equal(!info->state[0], type == MAPPING_MAPPING);
}

static void every_type_is_created(void **state)
{
	const int64_t since = (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000000) - 1;
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);

	for (int i = 0; i < TYPES; i++) {
		const char *name = name_of((enum mapping_type)i);
		int fd = library_make(mount, name, plain((enum mapping_type)i));
		struct mapping_info info = library_info(mount, name), same;

		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		check_new_object(&info, i, since);
		DONE(mapping_get_fd(fd, &same, e));
		assert_int_equal(same.inode, info.inode);
		assert_string_equal(same.state, info.state);
		close(fd);
		assert_int_equal(library_info(mount, name).handles, 0);
		DONE(mapping_remove(mount, name, e));
	}
	assert_string_equal(library_names(sys), "");
	mapping_mount_close(mount);
}

/* Every pair, in both directions: create over, create or open, open as. */
static void one_name_has_one_type(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);

	for (int there = 0; there < TYPES; there++) {
		const char *name = name_of((enum mapping_type)there);

		close(library_make(mount, name, plain((enum mapping_type)there)));
		for (int asked = 0; asked < TYPES; asked++) {
			struct mapping_attributes a = plain((enum mapping_type)asked);
			char words[64];
			int fd;

			snprintf(words, sizeof words, "a%s %s", there == MAPPING_EVENT ? "n" : "",
				 name);
			REFUSED(EEXIST, words, mapping_create(mount, name, &a, O_RDWR, &fd, e));
			assert_int_equal(fd, -1);
			a.existing = true;
			if (asked == there) {
				assert_int_equal(
				    DONE(mapping_create(mount, name, &a, O_RDWR, &fd, e)),
				    MAPPING_EXISTED);
				close(fd);
				fd = DONE(mapping_open(mount, name, a.type, O_RDONLY, e));
				close(fd);
				continue;
			}
			REFUSED(EEXIST, words, mapping_create(mount, name, &a, O_RDWR, &fd, e));
			REFUSED(EEXIST, words, mapping_create(mount, name, &a, 0, NULL, e));
			REFUSED(EINVAL, words, mapping_open(mount, name, a.type, O_RDWR, e));
		}
		close(DONE(mapping_open(mount, name, MAPPING_ANY, O_RDWR, e)));
	}
	mapping_mount_close(mount);
}

static void attributes_arrive(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, "size=64m");
	AUTO_CLOSE int file = make_plain_file(sys, "data", 20000, NULL);
	const struct {
		const char *name;
		struct mapping_attributes attributes;
		const char *state, *lifetime, *backing;
		int64_t size;
	} rows[] = {
	    {"sized", {.set_size = true, .size = 12345}, "", "permanent", "memory", 12345},
	    {"sparse",
	     {.set_size = true, .size = 1 << 20, .sparse = true},
	     "",
	     "permanent",
	     "sparse",
	     1 << 20},
	    {"bound", {.bind = true, .file_fd = file}, "", "permanent", "file:", 20000},
	    {"ro",
	     {.bind = true, .file_fd = file, .read_only = true},
	     "",
	     "permanent",
	     "file-ro:",
	     20000},
	    {"temporary", {.lifetime = MAPPING_TEMPORARY}, "", "temporary", "memory", 0},
	    {"handle", {.lifetime = MAPPING_HANDLE_BOUND}, "", "handle", "memory", 0},
	    {"auto", {.type = MAPPING_EVENT}, "unsignaled auto", "permanent", "", 0},
	    {"manual",
	     {.type = MAPPING_EVENT, .manual = true, .signaled = true},
	     "signaled manual",
	     "permanent",
	     "",
	     0},
	    {"semaphore",
	     {.type = MAPPING_SEMAPHORE, .initial = 2, .maximum = INT32_MAX},
	     "2 of 2147483647",
	     "permanent",
	     "",
	     0},
	    {"owned", {.type = MAPPING_MUTEX, .owned = true}, "owned 1", "permanent", "", 0},
	    {"timer",
	     {.type = MAPPING_TIMER, .manual = true, .lifetime = MAPPING_TEMPORARY},
	     "unsignaled manual",
	     "temporary",
	     "",
	     0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mapping_info info;
		AUTO_CLOSE int fd = -1;

		DONE(mapping_create(mount, rows[i].name, &rows[i].attributes, O_RDONLY, &fd, e));
		info = library_info(mount, rows[i].name);

		assert_string_equal(info.state, rows[i].state);
		assert_string_equal(info.lifetime, rows[i].lifetime);
		assert_memory_equal(info.backing, rows[i].backing, strlen(rows[i].backing));
		assert_int_equal(info.size, rows[i].size);
	}
	mapping_mount_close(mount);
}

static void rights_are_exact(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);
	struct mapping_attributes a = {.set_mode = true, .mode = 0, .set_gid = true, .gid = 12};
	mode_t mask = umask(077);
	struct mapping_info info;
	int fd;

	/* The handle is opened before the rights are set: it works where none is left. */
	DONE(mapping_create(mount, "none", &a, O_RDWR, &fd, e));
	close(fd);
	info = library_info(mount, "none");
	assert_int_equal(info.mode & 07777, 0);
	assert_int_equal(info.gid, 12);
	a = (struct mapping_attributes){.set_mode = true, .mode = 02666};
	DONE(mapping_create(mount, "all", &a, 0, NULL, e));
	assert_int_equal(library_info(mount, "all").mode & 07777, 02666);
	a = (struct mapping_attributes){0};
	DONE(mapping_create(mount, "umask", &a, 0, NULL, e));
	assert_int_equal(library_info(mount, "umask").mode & 07777, 0600);
	umask(mask);
	mapping_mount_close(mount);
}

static void without_a_name(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, "size=64m");

	for (int i = 0; i < TYPES; i++) {
		struct mapping_attributes a = plain((enum mapping_type)i);
		struct mapping_info info;
		int fd;

		a.set_size = i == MAPPING_MAPPING;
		a.size = a.set_size ? 1 << 20 : 0;
		DONE(mapping_create(mount, NULL, &a, O_RDWR, &fd, e));
		assert_string_equal(library_names(sys), "");
		DONE(mapping_get_fd(fd, &info, e));
		assert_int_equal(info.type, i);
		assert_int_equal(info.size, a.size);
		if (i == MAPPING_MAPPING)
			assert_int_equal(info.committed, 1 << 20);
		close(fd);
	}
	WAIT_UNTIL(10, sys_status_number(sys, "committed_bytes") < 1 << 20);
	mapping_mount_close(mount);
}

static void existing_is_opened(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, "size=64m");
	struct mapping_attributes a = {.existing = true, .set_size = true, .size = 4096};
	uint64_t inode;
	int fd;

	assert_int_equal(DONE(mapping_create(mount, "m", &a, O_RDWR, &fd, e)), 0);
	close(fd);
	inode = library_info(mount, "m").inode;
	a.size = 1 << 30; /* does not count: more than there is room for */
	assert_int_equal(DONE(mapping_create(mount, "m", &a, O_RDONLY, &fd, e)), MAPPING_EXISTED);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
	assert_int_equal(DONE(mapping_create(mount, "m", &a, 0, NULL, e)), MAPPING_EXISTED);
	assert_int_equal(library_info(mount, "m").inode, inode);
	assert_int_equal(library_info(mount, "m").size, 4096);
	a.size = 0; /* counts: cannot be right */
	REFUSED(EINVAL, "size of 0", mapping_create(mount, "m", &a, O_RDWR, &fd, e));
	assert_int_equal(symlink("nowhere", sys_path(sys, "dangling")), 0);
	a.size = 4096;
	REFUSED(EEXIST, "symbolic link", mapping_create(mount, "dangling", &a, O_RDWR, &fd, e));
	assert_int_equal(symlink("m", sys_path(sys, "link")), 0);
	assert_int_equal(DONE(mapping_create(mount, "link", &a, O_RDWR, &fd, e)), MAPPING_EXISTED);
	close(fd);
	mapping_mount_close(mount);
}

static void views_are_mapped(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, "size=64m");
	AUTO_CLOSE int fd =
	    library_make(mount, "m", (struct mapping_attributes){.set_size = true, .size = 10000});
	char *all, *tail, *copy, *fixed;
	size_t length;

	DONE(mapping_map(fd, 0, 0, MAPPING_READ | MAPPING_WRITE, NULL, (void **)&all, &length, e));
	assert_int_equal(length, 10000);
	DONE(mapping_map(fd, 8192, 0, MAPPING_READ, NULL, (void **)&tail, &length, e));
	assert_int_equal(length, 10000 - 8192);
	strcpy(all + 8200, "shared");
	assert_string_equal(tail + 8, "shared");
	DONE(mapping_map(fd, 0, 12288, MAPPING_READ | MAPPING_WRITE | MAPPING_COPY, NULL,
			 (void **)&copy, NULL, e)); /* to the end of the last page */
	strcpy(copy + 8200, "mine");
	assert_string_equal(tail + 8, "shared");
	strcpy(all, "follows");
	assert_string_equal(copy, "follows");
	DONE(mapping_unmap(copy, 12288, e));
	DONE(mapping_map(fd, 4096, 4096, MAPPING_READ | MAPPING_FIXED, copy, (void **)&fixed, NULL,
			 e));
	assert_ptr_equal(fixed, copy);
	DONE(mapping_flush_view(all + 10, 5000, e));
	DONE(mapping_flush(fd, e));
	DONE(mapping_unmap(fixed, 4096, e));
	DONE(mapping_unmap(tail, 10000 - 8192, e));
	DONE(mapping_unmap(all, 10000, e));
	mapping_mount_close(mount);
}

static void attributes_are_set(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, "size=64m");

	close(library_make(mount, "m", plain(MAPPING_MAPPING)));
	DONE(mapping_set_lifetime(mount, "m", MAPPING_TEMPORARY, e));
	assert_string_equal(library_info(mount, "m").lifetime, "temporary");
	DONE(mapping_set_lifetime(mount, "m", MAPPING_PERMANENT, e));
	assert_string_equal(library_info(mount, "m").lifetime, "permanent");
	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	assert_string_equal(library_info(mount, "d").lifetime, "");
	assert_int_equal(library_info(mount, "d").type, MAPPING_ANY);
	DONE(mapping_set_lifetime(mount, "d", MAPPING_TEMPORARY, e));
	assert_string_equal(library_info(mount, "d").lifetime, "temporary");
	close(library_make(mount, "d/t", plain(MAPPING_EVENT)));
	assert_string_equal(library_names(sys), "d m ");
	DONE(mapping_set_lifetime(mount, "d", MAPPING_DEFAULT, e));
	DONE(mapping_set_lifetime(mount, "d", MAPPING_DEFAULT, e)); /* none is as good */
	assert_string_equal(library_info(mount, "d").lifetime, "");
	mapping_mount_close(mount);
}

static void limits_are_set(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, "size=64m");
	struct mapping_attributes a = {.set_size = true, .size = 2 << 20};

	assert_int_equal(mkdir(sys_path(sys, "d"), 0755), 0);
	assert_int_equal(library_info(mount, "d").limit, MAPPING_UNKNOWN);
	DONE(mapping_set_limit(mount, "d", 1 << 20, e));
	assert_int_equal(library_info(mount, "d").limit, 1 << 20);
	REFUSED(ENOSPC, "", mapping_create(mount, "d/m", &a, 0, NULL, e));
	DONE(mapping_set_limit(mount, "d", 0, e));
	assert_int_equal(library_info(mount, "d").limit, MAPPING_UNKNOWN);
	DONE(mapping_create(mount, "d/m", &a, 0, NULL, e));
	mapping_mount_close(mount);
}

static void the_mount_is_asked(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);
	AUTO_CLOSE int fd = library_make(mount, "m", plain(MAPPING_EVENT));
	AUTO_FREE char *status = NULL, *who = NULL;

	assert_string_equal(mapping_mount_path(mount), sys->mnt);
	DONE(mapping_status(mount, &status, e));
	assert_non_null(strstr(status, "\"uptime_seconds\""));
	DONE(mapping_who(mount, "m", &who, e));
	assert_non_null(strstr(who, "\"handles\""));
	mapping_mount_close(mount);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(types_have_names),         SYS_TEST_BOTH_MODES(every_type_is_created),
    SYS_TEST_BOTH_MODES(one_name_has_one_type), SYS_TEST_BOTH_MODES(attributes_arrive),
    SYS_TEST_BOTH_MODES(rights_are_exact),      SYS_TEST_BOTH_MODES(without_a_name),
    SYS_TEST_BOTH_MODES(existing_is_opened),    SYS_TEST_BOTH_MODES(views_are_mapped),
    SYS_TEST_BOTH_MODES(attributes_are_set),    SYS_TEST_BOTH_MODES(limits_are_set),
    SYS_TEST_BOTH_MODES(the_mount_is_asked),
};

int main(void)
{
	return sys_run_tests("library", tests);
}
