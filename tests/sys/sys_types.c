/* One namespace for all types of objects: what a name can be made over, opened as, renamed to; what
 * a name is. */
#include <dirent.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/sys/leaks.h"
#include "tests/sys/waitables.h"

static const char *a_type(enum object_type type)
{
	static char text[4][32];
	static unsigned turn;
	char *out = text[turn++ % 4];
	const char *name = object_type_name(type);

	snprintf(out, sizeof text[0], "is a%s %s", type == OBJECT_EVENT ? "n" : "", name);
	return out;
}

static struct typed usual(enum object_type type)
{
	return (struct typed){.type = type,
			      .flags = type == OBJECT_MAPPING ? WIRE_SET_SIZE : 0,
			      .size = type == OBJECT_MAPPING ? 8192 : 0,
			      .maximum = type == OBJECT_SEMAPHORE ? 3 : 0,
			      .initial = type == OBJECT_SEMAPHORE ? 2 : 0};
}

static void check_is(const char *path, enum object_type type, ino_t ino)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_ino, ino);
	assert_int_equal(st.st_size, type == OBJECT_MAPPING ? 8192 : 0);
	assert_true(text_xattr_is(path, "user.mapping.type", object_type_name(type)));
}

static ino_t ino_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_ino;
}

static unsigned count_names(const char *path)
{
	unsigned count = 0;
	DIR *dir = opendir(path);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
			 strcmp(entry->d_name, ".control");
	closedir(dir);
	return count;
}

#define FOR_EACH_TYPE(t)                                                                           \
	for (enum object_type t = OBJECT_MAPPING; t < OBJECT_TYPES; t = (enum object_type)(t + 1))
#define FOR_EACH_PAIR(a, b) FOR_EACH_TYPE(a) FOR_EACH_TYPE(b)

static void each_is_a_file_of_its_type(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);

	FOR_EACH_TYPE(type)
	{
		const char *name = object_type_name(type);
		const char *path = typed_make(sys, name, usual(type));

		check_is(path, type, ino_of(path));
		AUTO_CLOSE int reader = open_object(path, O_RDONLY);
		AUTO_CLOSE int writer = open_object(path, O_RDWR);
		assert_int_equal(size_of(path), type == OBJECT_MAPPING ? 8192 : 0);
		assert_int_equal(number_xattr(path, "user.mapping.handles"), 2);
		assert_true(text_xattr_is(path, "user.mapping.lifetime", "permanent"));
	}
	assert_int_equal(sys_shell(sys, "ls -l %s | grep -c '^-rw-r--r--'", sys->mnt), 0);
	assert_string_equal(sys->output, "6\n");
}

/* --- create over --- */

static void every_pair_create_over(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");

	FOR_EACH_PAIR(there, wanted)
	{
		const char *path = typed_make(sys, "x", usual(there));
		const struct typed typed = usual(wanted);
		ino_t ino = ino_of(path);

		assert_int_equal(typed_create(sys->mnt, path, &typed), -EEXIST);
		check_is(path, there, ino);
		if (there == OBJECT_SEMAPHORE)
			assert_true(state_is(path, "2 of 3"));
		assert_int_equal(count_names(sys->mnt), 1);
		assert_int_equal(unlink(path), 0);
	}
}

/* A refused creation leaves nothing in the daemon either. */
static void refusals_leave_nothing(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");
	const char *path = make_event(sys, "x", 0);
	const struct typed mapping = usual(OBJECT_MAPPING), semaphore = usual(OBJECT_SEMAPHORE);

	assert_int_equal(typed_create(sys->mnt, path, &semaphore), -EEXIST);
	struct leaks before = leaks_count(sys);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(typed_create(sys->mnt, path, &mapping), -EEXIST);
		assert_int_equal(typed_create(sys->mnt, path, &semaphore), -EEXIST);
	}
	leaks_check(sys, &before);
	assert_int_equal(unlink(path), 0);
}

static const char *mapctl_type(enum object_type type)
{
	static const char *const arguments[] = {"--type mapping --size 8K",
						"--type event",
						"--type semaphore --initial 2 --max 3",
						"--type mutex",
						"--type timer",
						"--type job"};

	return arguments[type];
}

static void mapctl_names_the_type_there(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);

	FOR_EACH_PAIR(there, wanted)
	{
		if (there == wanted)
			continue;
		const char *path = typed_make(sys, "x", usual(there));
		ino_t ino = ino_of(path);
		assert_int_equal(sys_shell(sys, "mapctl create %s %s", path, mapctl_type(wanted)),
				 1);
		if (!strstr(sys->output, a_type(there)))
			fail_msg("%s over %s: %s", object_type_name(wanted),
				 object_type_name(there), sys->output);
		check_is(path, there, ino);
		assert_int_equal(count_names(sys->mnt), 1);
		assert_int_equal(unlink(path), 0);
	}
}

/* Parameters are looked at before the name. */
static void parameters_come_first(void **state)
{
	static const char *const wrong[] = {"--type semaphore --initial 5 --max 3",
					    "--type semaphore --initial 0 --max 0",
					    "--type mapping --size 0",
					    "--type event --initial 1 --max 1",
					    "--type mutex --manual",
					    "--type job --size 4096",
					    "--type window"};
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "x", 0);

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		for (int there = 0; there < 2; there++) {
			const char *name = there ? path : sys_path(sys, "new");
			int status = sys_shell(sys, "mapctl create %s %s", name, wrong[i]);
			if (status != 1 && status != 2)
				fail_msg("%s: exit status %d", wrong[i], status);
			assert_null(strstr(sys->output, "is an event"));
			assert_null(strstr(sys->output, "in use"));
		}
		assert_int_equal(count_names(sys->mnt), 1);
	}
}

/* --- things that are no objects --- */

static void objects_and_other_files(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);

	FOR_EACH_TYPE(type)
	{
		const char *path = typed_make(sys, "x", usual(type));
		ino_t ino = ino_of(path);
		assert_int_equal(mkdir(path, 0755), -1);
		assert_int_equal(errno, EEXIST);
		assert_int_equal(symlink("elsewhere", path), -1);
		assert_int_equal(errno, EEXIST);
		assert_int_equal(mkfifo(path, 0644), -1);
		assert_int_equal(errno, EEXIST);
		assert_int_equal(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644), -1);
		assert_int_equal(errno, EEXIST);
		assert_int_equal(open(path, O_RDONLY | O_DIRECTORY), -1);
		assert_int_equal(errno, ENOTDIR);
		assert_int_equal(open(sys_path(sys, "x/below"), O_RDONLY), -1);
		assert_int_equal(errno, ENOTDIR);
		check_is(path, type, ino);
		assert_int_equal(unlink(path), 0);
	}
}

static void objects_over_other_files(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *names[] = {sys_path(sys, "dir"), sys_path(sys, "full"), sys_path(sys, "link"),
			       sys_path(sys, "lost"), sys_path(sys, "fifo")};

	assert_int_equal(mkdir(names[0], 0755), 0);
	assert_int_equal(mkdir(names[1], 0755), 0);
	assert_int_equal(mkdir(sys_path(sys, "full/below"), 0755), 0);
	assert_int_equal(symlink("dir", names[2]), 0);
	assert_int_equal(symlink("nowhere", names[3]), 0);
	assert_int_equal(mkfifo(names[4], 0644), 0);
	FOR_EACH_TYPE(type)
	{
		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			const struct typed typed = usual(type);
			ino_t ino = ino_of(names[i]);
			assert_int_equal(typed_create(sys->mnt, names[i], &typed), -EEXIST);
			assert_int_equal(ino_of(names[i]), ino);
		}
	}
	assert_int_equal(count_names(sys->mnt), ARRAY_SIZE(names));
}

/* --- rename --- */

static void every_pair_rename(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, "size=64m");

	FOR_EACH_PAIR(from, to)
	{
		const char *a = typed_make(sys, "a", usual(from));
		const char *b = typed_make(sys, "b", usual(to));
		ino_t ino_a = ino_of(a), ino_b = ino_of(b);

		assert_int_equal(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE), -1);
		assert_int_equal(errno, EEXIST);
		assert_int_equal(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE), 0);
		check_is(a, to, ino_b);
		check_is(b, from, ino_a);
		AUTO_CLOSE int old = open_object(b, O_RDWR);
		assert_int_equal(rename(a, b), 0);
		check_is(b, to, ino_b);
		assert_int_equal(size_of(a), -1);
		struct stat st;
		assert_int_equal(fstat(old, &st), 0);
		assert_int_equal(st.st_ino, ino_a);
		assert_int_equal(st.st_nlink, 0);
		assert_int_equal(unlink(b), 0);
	}
}

static void rename_and_directories(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	assert_int_equal(mkdir(sys_path(sys, "dir"), 0755), 0);
	FOR_EACH_TYPE(type)
	{
		const char *path = typed_make(sys, "x", usual(type));
		const char *dir = sys_path(sys, "dir");
		assert_int_equal(rename(path, dir), -1);
		assert_int_equal(errno, EISDIR);
		assert_int_equal(rename(dir, path), -1);
		assert_int_equal(errno, ENOTDIR);
		assert_int_equal(rename(path, sys_path(sys, "dir/y")), 0);
		assert_true(text_xattr_is(sys_path(sys, "dir/y"), "user.mapping.type",
					  object_type_name(type)));
		assert_int_equal(unlink(sys_path(sys, "dir/y")), 0);
	}
}

/* The waiter waits for the object, not for its name. */
static void renamed_and_replaced_while_waited_for(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	const char *path = make_event(sys, "a", 0), *moved = sys_path(sys, "b");
	AUTO_CLOSE int fd = open_object(path, O_RDWR);
	struct waiter *first = waiter_start(fd);

	assert_int_equal(rename(path, moved), 0);
	make_semaphore(sys, "a", 1, 1);
	assert_int_equal(try_wait(path), WAIT_ACQUIRED);
	assert_int_equal(words_to(moved, "set\n"), 4);
	assert_int_equal(waiter_end(first), WAIT_SIGNALED);

	struct waiter *second = waiter_start(fd);
	assert_int_equal(rename(path, moved), 0); /* the event has no name now */
	assert_int_equal(words_to(moved, "release\n"), 8);
	assert_false(second->ended);
	assert_int_equal(words(fd, "set\n"), 4);
	assert_int_equal(waiter_end(second), WAIT_SIGNALED);
}

/* --- names --- */

static void names_are_bytes(void **state)
{
	static const char *const names[] = {
	    "Name",         "name", "NAME", "na me", " name", "name ", "\xc3\xa9", /* e with acute,
										      composed */
	    "e\xcc\x81",                                                           /* decomposed */
	    "\xff\xfe\x80",                                                        /* no UTF-8 */
	    "\n",           "\t",   "\x7f", "...",   "-",     "*",     "\\",       "name.",
	    ".mapping",     "#1",   "con",
	};
	struct sys *sys = *state;
	sys_mount(sys, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		make_semaphore(sys, names[i], (uint32_t)i, 100);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char expected[32];
		snprintf(expected, sizeof expected, "%zu of 100", i);
		assert_true(state_is(sys_path(sys, "%s", names[i]), expected));
	}
	assert_int_equal(count_names(sys->mnt), ARRAY_SIZE(names));
}

static void every_byte_can_be_in_a_name(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);
	unsigned made = 0;

	for (int byte = 1; byte < 256; byte++) {
		char name[4] = {'n', (char)byte, 'm', '\0'};
		if (byte == '/')
			continue;
		FOR_EACH_TYPE(type)
		{
			if ((unsigned)byte % OBJECT_TYPES == type)
				make_any(sys, name, type);
		}
		made++;
	}
	assert_int_equal(count_names(sys->mnt), made);
	for (int byte = 1; byte < 256; byte++) {
		char name[4] = {'n', (char)byte, 'm', '\0'};
		enum object_type type = (enum object_type)((unsigned)byte % OBJECT_TYPES);
		if (byte != '/')
			assert_true(text_xattr_is(sys_path(sys, "%s", name), "user.mapping.type",
						  object_type_name(type)));
	}
}

static void lengths_of_names(void **state)
{
	struct sys *sys = *state;
	char name[300];
	sys_mount(sys, NULL);

	FOR_EACH_TYPE(type)
	{
		const struct typed typed = usual(type);
		memset(name, 'a' + (int)type, sizeof name);
		name[255] = '\0';
		typed_make(sys, name, typed);
		memset(name, 'a' + (int)type, sizeof name);
		name[256] = '\0';
		assert_int_equal(typed_create(sys->mnt, sys_path(sys, "%s", name), &typed),
				 -ENAMETOOLONG);
		name[1] = '\0';
		typed_make(sys, name, typed);
		assert_int_equal(typed_create(sys->mnt, sys_path(sys, "."), &typed), -EEXIST);
		assert_int_equal(typed_create(sys->mnt, sys_path(sys, ".."), &typed), -EEXIST);
	}
	assert_int_equal(count_names(sys->mnt), 2 * OBJECT_TYPES);
}

static void directories_share_nothing(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);

	assert_int_equal(mkdir(sys_path(sys, "one"), 0755), 0);
	assert_int_equal(mkdir(sys_path(sys, "two"), 0755), 0);
	const char *first = make_event(sys, "one/x", 0), *second = make_event(sys, "two/x", 0);
	make_semaphore(sys, "x", 1, 1);
	assert_int_equal(words_to(first, "set\n"), 4);
	assert_int_equal(try_wait(second), -EAGAIN);
	assert_int_equal(try_wait(first), WAIT_SIGNALED);
	assert_int_equal(try_wait(sys_path(sys, "x")), WAIT_ACQUIRED);
}

static void a_link_is_the_same_object(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);

	FOR_EACH_TYPE(type)
	{
		const char *path = typed_make(sys, "x", usual(type)), *other = sys_path(sys, "y");
		assert_int_equal(link(path, other), 0);
		check_is(other, type, ino_of(path));
		assert_int_equal(unlink(path), 0);
		check_is(other, type, ino_of(other));
		assert_int_equal(unlink(other), 0);
	}
	const char *path = make_event(sys, "x", 0), *other = sys_path(sys, "y");
	assert_int_equal(link(path, other), 0);
	AUTO_CLOSE int fd = open_object(path, O_RDONLY);
	struct waiter *waiter = waiter_start(fd);
	assert_int_equal(words_to(other, "set\n"), 4);
	assert_int_equal(waiter_end(waiter), WAIT_SIGNALED);
}

/* --- what plain calls make --- */

static void plain_calls_make_mappings(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);

	close(open_object(sys_path(sys, "open"), O_RDWR | O_CREAT | O_EXCL));
	assert_int_equal(mknod(sys_path(sys, "mknod"), S_IFREG | 0644, 0), 0);
	AUTO_CLOSE int unborn = typed_unborn(sys->mnt, 0644);
	assert_int_equal(ftruncate(unborn, 4096), 0);
	assert_int_equal(typed_publish(unborn, sys_path(sys, "tmpfile")), 0);
	const char *names[] = {"open", "mknod", "tmpfile"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_true(
		    text_xattr_is(sys_path(sys, "%s", names[i]), "user.mapping.type", "mapping"));
}

/* Opening with O_CREAT opens what is there. */
static void plain_create_opens_what_is_there(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);

	FOR_EACH_TYPE(type)
	{
		const char *path = typed_make(sys, "x", usual(type));
		ino_t ino = ino_of(path);
		AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		check_is(path, type, ino);
		assert_int_equal(unlink(path), 0);
	}
}

static void the_type_survives_everything(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);

	FOR_EACH_TYPE(type)
	typed_make(sys, object_type_name(type), usual(type));
	sys_kill_worker(sys);
	assert_int_equal(sys_shell(sys, "echo 2 >/proc/sys/vm/drop_caches"), 0);
	sys_kill_worker(sys);
	FOR_EACH_TYPE(type)
	{
		const char *path = sys_path(sys, "%s", object_type_name(type));
		check_is(path, type, ino_of(path));
		assert_int_equal(setxattr(path, "user.mapping.type", "mapping", 7, 0), -1);
	}
	assert_true(state_is(sys_path(sys, "semaphore"), "2 of 3"));
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(each_is_a_file_of_its_type),
    SYS_TEST_BOTH_MODES(every_pair_create_over),
    SYS_TEST_BOTH_MODES(refusals_leave_nothing),
    SYS_TEST_BOTH_MODES(mapctl_names_the_type_there),
    SYS_TEST_BOTH_MODES(parameters_come_first),
    SYS_TEST_BOTH_MODES(objects_and_other_files),
    SYS_TEST_BOTH_MODES(objects_over_other_files),
    SYS_TEST_BOTH_MODES(every_pair_rename),
    SYS_TEST_BOTH_MODES(rename_and_directories),
    SYS_TEST_BOTH_MODES(renamed_and_replaced_while_waited_for),
    SYS_TEST_BOTH_MODES(names_are_bytes),
    SYS_TEST_BOTH_MODES(every_byte_can_be_in_a_name),
    SYS_TEST_BOTH_MODES(lengths_of_names),
    SYS_TEST_BOTH_MODES(directories_share_nothing),
    SYS_TEST_BOTH_MODES(a_link_is_the_same_object),
    SYS_TEST_BOTH_MODES(plain_calls_make_mappings),
    SYS_TEST_BOTH_MODES(plain_create_opens_what_is_there),
    SYS_TEST_BOTH_MODES(the_type_survives_everything),
};

int main(void)
{
	return sys_run_tests("types", tests);
}
