/* Every pair of types by the library: created over, found existing, opened as. The message says
 * what is there. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fs/client/mapping.h"
#include "tests/sys/leaks.h"
#include "tests/sys/waitables.h"

#define FOR_EACH_TYPE(t)                                                                           \
	for (enum object_type t = OBJECT_MAPPING; t < OBJECT_TYPES; t = (enum object_type)(t + 1))

static const char *with_article(const char *before, enum object_type type)
{
	static char text[4][48];
	static unsigned turn;
	char *out = text[turn++ % 4];

	snprintf(out, sizeof text[0], "%s a%s %s", before, type == OBJECT_EVENT ? "n" : "",
		 object_type_name(type));
	return out;
}

static enum mapping_type as_of(enum object_type type)
{
	enum mapping_type as = mapping_type_of(object_type_name(type));

	assert_int_not_equal(as, MAPPING_ANY);
	return as;
}

static struct mapping_attributes attributes_of(enum object_type type)
{
	return (struct mapping_attributes){.type = as_of(type),
					   .set_size = type == OBJECT_MAPPING,
					   .size = type == OBJECT_MAPPING ? 4096 : 0,
					   .initial = type == OBJECT_SEMAPHORE ? 1 : 0,
					   .maximum = type == OBJECT_SEMAPHORE ? 2 : 0};
}

static struct mapping_mount *find(struct sys *sys)
{
	struct mapping_mount *mount = NULL;

	sys_mount(sys, "size=64m");
	assert_int_equal(mapping_mount_find(sys->mnt, &mount, NULL), 0);
	return mount;
}

static void says(const struct mapping_error *error, const char *text)
{
	if (!strstr(error->text, text))
		fail_msg("\"%s\" does not say \"%s\"", error->text, text);
}

static void make(struct mapping_mount *mount, const char *name, enum object_type type)
{
	const struct mapping_attributes attributes = attributes_of(type);

	assert_int_equal(mapping_create(mount, name, &attributes, 0, NULL, NULL), 0);
}

static void every_pair_created_over(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = find(sys);
	struct mapping_error error;

	FOR_EACH_TYPE(there)
	{
		make(mount, "x", there);
		FOR_EACH_TYPE(wanted)
		{
			struct mapping_attributes attributes = attributes_of(wanted);
			int fd = 77;

			memset(&error, 0, sizeof error);
			assert_int_equal(
			    mapping_create(mount, "x", &attributes, O_RDWR, &fd, &error), -EEXIST);
			assert_int_equal(fd, -1);
			assert_int_equal(error.code, EEXIST);
			says(&error, with_article("is", there));
			if (wanted == there)
				continue;
			attributes.existing = true;
			memset(&error, 0, sizeof error);
			assert_int_equal(
			    mapping_create(mount, "x", &attributes, O_RDWR, &fd, &error), -EEXIST);
			says(&error, with_article("is", there));
		}
		assert_true(text_xattr_is(sys_path(sys, "x"), "user.mapping.type",
					  object_type_name(there)));
		assert_int_equal(mapping_remove(mount, "x", NULL), 0);
	}
	mapping_mount_close(mount);
}

static void every_pair_opened_as(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = find(sys);
	struct mapping_error error;

	FOR_EACH_TYPE(there)
	{
		make(mount, "x", there);
		AUTO_CLOSE int any = mapping_open(mount, "x", MAPPING_ANY, O_RDWR, NULL);
		assert_true(any >= 0);
		FOR_EACH_TYPE(wanted)
		{
			memset(&error, 0, sizeof error);
			AUTO_CLOSE int fd = mapping_open(mount, "x", as_of(wanted), O_RDWR, &error);
			if (wanted == there) {
				assert_true(fd >= 0);
				continue;
			}
			assert_int_equal(fd, -EINVAL);
			assert_int_equal(error.code, EINVAL);
			says(&error, with_article("is", there));
			says(&error, with_article("not", wanted));
		}
		assert_int_equal(number_xattr(sys_path(sys, "x"), "user.mapping.handles"), 1);
		assert_int_equal(mapping_remove(mount, "x", NULL), 0);
	}
	mapping_mount_close(mount);
}

/* A wrong opening must not even begin: it would be a handle, and truncate. */
static void a_refused_opening_changes_nothing(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = find(sys);

	make(mount, "m", OBJECT_MAPPING);
	assert_int_equal(mapping_set_lifetime(mount, "m", MAPPING_TEMPORARY, NULL), 0);
	assert_int_equal(mapping_open(mount, "m", MAPPING_EVENT, O_RDWR | O_TRUNC, NULL), -EINVAL);
	assert_int_equal(size_of(sys_path(sys, "m")), 4096);
	assert_false(BECOMES_TRUE(0.3, size_of(sys_path(sys, "m")) < 0));
	mapping_mount_close(mount);
}

/* The parameters of who comes second do not count, but must be valid. */
static void the_same_type_is_found(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = find(sys);

	FOR_EACH_TYPE(type)
	{
		struct mapping_attributes attributes = attributes_of(type);
		int fd = -1;

		make(mount, "x", type);
		attributes.existing = true;
		if (type == OBJECT_SEMAPHORE)
			attributes.initial = attributes.maximum = 9;
		if (type == OBJECT_MAPPING)
			attributes.size = 1 << 20;
		assert_int_equal(mapping_create(mount, "x", &attributes, O_RDWR, &fd, NULL),
				 MAPPING_EXISTED);
		assert_true(fd >= 0);
		close(fd);
		assert_int_equal(size_of(sys_path(sys, "x")), type == OBJECT_MAPPING ? 4096 : 0);
		if (type == OBJECT_SEMAPHORE)
			assert_true(state_is(sys_path(sys, "x"), "1 of 2"));
		assert_int_equal(mapping_remove(mount, "x", NULL), 0);
		assert_int_equal(mapping_create(mount, "x", &attributes, O_RDWR, &fd, NULL), 0);
		close(fd);
		assert_int_equal(mapping_remove(mount, "x", NULL), 0);
	}
	mapping_mount_close(mount);
}

static void invalid_before_in_use(void **state)
{
	static const struct mapping_attributes wrong[] = {
	    {.type = MAPPING_SEMAPHORE},
	    {.type = MAPPING_SEMAPHORE, .initial = 2, .maximum = 1},
	    {.type = MAPPING_EVENT, .initial = 1, .maximum = 1},
	    {.type = MAPPING_EVENT, .set_size = true, .size = 4096},
	    {.type = MAPPING_EVENT, .kill_on_close = true},
	    {.type = MAPPING_MUTEX, .manual = true},
	    {.type = MAPPING_TIMER, .signaled = true},
	    {.type = MAPPING_JOB, .sparse = true},
	    {.type = MAPPING_MAPPING, .set_size = true, .size = 0},
	    {.type = MAPPING_MAPPING, .manual = true},
	};
	struct sys *sys = *state;
	struct mapping_mount *mount = find(sys);

	make(mount, "x", OBJECT_EVENT);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		for (int existing = 0; existing < 2; existing++) {
			struct mapping_attributes attributes = wrong[i];
			attributes.existing = existing;
			assert_int_equal(mapping_create(mount, "x", &attributes, 0, NULL, NULL),
					 -EINVAL);
			assert_int_equal(mapping_create(mount, "y", &attributes, 0, NULL, NULL),
					 -EINVAL);
		}
	}
	assert_int_equal(size_of(sys_path(sys, "y")), -1);
	mapping_mount_close(mount);
}

/* What is no object is named, too. */
static void other_files(void **state)
{
	static const char *const names[] = {"dir", "fifo", "link"};
	static const char *const kinds[] = {"director", "FIFO", "link"};
	struct sys *sys = *state;
	struct mapping_mount *mount = find(sys);
	struct mapping_error error;

	assert_int_equal(mkdir(sys_path(sys, "dir"), 0755), 0);
	assert_int_equal(mkfifo(sys_path(sys, "fifo"), 0644), 0);
	assert_int_equal(symlink("nowhere", sys_path(sys, "link")), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		FOR_EACH_TYPE(type)
		{
			const struct mapping_attributes attributes = attributes_of(type);
			memset(&error, 0, sizeof error);
			assert_int_equal(
			    mapping_create(mount, names[i], &attributes, 0, NULL, &error), -EEXIST);
			says(&error, kinds[i]);
			if (i < 2)
				assert_true(mapping_open(mount, names[i], as_of(type),
							 O_RDWR | O_NONBLOCK, NULL) < 0);
		}
	}
	mapping_mount_close(mount);
}

static void by_the_command(void **state)
{
	struct sys *sys = *state;
	sys_mount(sys, NULL);

	FOR_EACH_TYPE(type)
	typed_make(sys, object_type_name(type),
		   (struct typed){.type = type, .maximum = type == OBJECT_SEMAPHORE});
	assert_int_equal(sys_shell(sys, "cd %s && mapctl wait --timeout 0 mapping", sys->mnt), 1);
	assert_non_null(strstr(sys->output, "is a mapping"));
	assert_int_not_equal(sys_shell(sys, "cd %s && mapctl signal mapping set", sys->mnt), 0);
	assert_non_null(strstr(sys->output, "mapping"));
	assert_int_equal(sys_shell(sys, "cd %s && mapctl signal event set", sys->mnt), 0);
	assert_int_equal(sys_shell(sys, "cd %s && mapctl wait --timeout 0 event", sys->mnt), 0);
	assert_int_equal(sys_shell(sys, "cd %s && mapctl wait --timeout 0 event", sys->mnt), 3);
	assert_int_equal(sys_shell(sys, "cd %s && mapctl ls", sys->mnt), 0);
	FOR_EACH_TYPE(type)
	assert_non_null(strstr(sys->output, object_type_name(type)));
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(every_pair_created_over),
    SYS_TEST_BOTH_MODES(every_pair_opened_as),
    SYS_TEST_BOTH_MODES(a_refused_opening_changes_nothing),
    SYS_TEST_BOTH_MODES(the_same_type_is_found),
    SYS_TEST_BOTH_MODES(invalid_before_in_use),
    SYS_TEST_BOTH_MODES(other_files),
    SYS_TEST_BOTH_MODES(by_the_command),
};

int main(void)
{
	return sys_run_tests("types_open", tests);
}
