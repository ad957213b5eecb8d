/* kill -9 of the worker at every point of an operation on names or attributes, which is then sent
 * again: done exactly once. */
#include "tests/unit/core_crash_steps.h"

#include <linux/fs.h>
#include <sys/xattr.h>

/* --- creation --- */

static void act_mknod(struct fixture *f)
{
	struct core_entry e;

	CHECK(core_mknod(f->core, 1, "new", S_IFREG | 0640, &root_caller, &e) == 0);
	RESULT = e.node;
}

static void check_mknod(struct fixture *f)
{
	struct core_entry e;
	struct stat st;

	CHECK(stands(f, "new", &st) && S_ISREG(st.st_mode));
	begin_request(f);
	CHECK(core_lookup(f->core, 1, "new", &e) == 0 && e.node == RESULT);
	if (f->config.lifetime)
		CHECK(e.entry_timeout == 0);
	unlinked(f, "new");
	forgotten(f, RESULT, 2);
}

static void act_mkdir(struct fixture *f)
{
	struct core_entry e;

	CHECK(core_mkdir(f->core, 1, "new", 0750, &root_caller, &e) == 0);
	RESULT = e.node;
}

static void check_mkdir(struct fixture *f)
{
	struct stat st;

	CHECK(stands(f, "new", &st) && S_ISDIR(st.st_mode));
	removed_directory(f, "new");
	CHECK(nlink_of(f, RESULT) == 0);
	forgotten(f, RESULT, 1);
}

static void act_symlink(struct fixture *f)
{
	struct core_entry e;

	CHECK(core_symlink(f->core, 1, "new", "target", &root_caller, &e) == 0);
	RESULT = e.node;
}

static void check_symlink(struct fixture *f)
{
	char target[16];

	CHECK(core_readlink(f->core, RESULT, target, sizeof target) == 6);
	unlinked(f, "new");
	forgotten(f, RESULT, 1);
}

static void act_create(struct fixture *f)
{
	struct core_opened opened;
	struct core_entry e;

	CHECK(core_create_file(f->core, 1, "new", 0640, O_RDWR | O_CREAT | O_EXCL, &root_caller, &e,
			       &opened) == 0);
	RESULT = e.node;
	CHECK(!f->config.data.attach || f->world->attached[opened.backing_id]);
}

static void check_create(struct fixture *f)
{
	CHECK(count_attached(f->world) == (f->config.data.attach != NULL));
	CHECK(usage_of(f).handles == 1);
	begin_request(f);
	core_release(f->core, RESULT, 0);
	if (f->config.lifetime)
		CHECK(f->world->names_gone == 1);
	else
		unlinked(f, "new");
	gone(f, "new");
	forgotten(f, RESULT, 1);
}

/* --- links and looks --- */

static void act_link(struct fixture *f)
{
	struct core_entry e;

	CHECK(core_link(f->core, NODE, 1, "second", &e) == 0 && e.node == NODE);
}

static void check_link(struct fixture *f)
{
	CHECK(nlink_of(f, NODE) == 2);
	unlinked(f, "file");
	CHECK(nlink_of(f, NODE) == 1);
	CHECK(usage_of(f).committed == PAGE);
	unlinked(f, "second");
	CHECK(nlink_of(f, NODE) == 0);
	forgotten(f, NODE, 2);
}

/* In the tree with a size, and not known: what a lookup finds. */
static void prepare_unknown_sparse(struct fixture *f)
{
	const struct core_setup setup = {
	    .sparse = true, .lifetime = -1, .file_fd = -1, .set_size = true, .size = 8 * PAGE};
	const char *why;
	uint64_t node = made(f, S_IFREG, "file");

	CHECK(core_configure(f->core, node, &setup, &root_caller, &why) == 0);
	CHECK(core_write(f->core, node, "x", 1, 0) == 1);
	forgotten(f, node, 1);
	CHECK(usage_of(f).committed == PAGE);
}

static void act_lookup(struct fixture *f)
{
	struct core_entry e;

	CHECK(core_lookup(f->core, 1, "file", &e) == 0);
	RESULT = e.node;
}

static void check_lookup(struct fixture *f)
{
	CHECK(usage_of(f).objects_known == 1);
	CHECK(usage_of(f).committed == PAGE);
	unlinked(f, "file");
	forgotten(f, RESULT, 1);
}

/* --- removal --- */

static void act_unlink(struct fixture *f)
{
	CHECK(core_unlink(f->core, 1, "file") == 0);
}

static void check_unlink(struct fixture *f)
{
	struct core_entry e;

	gone(f, "file");
	CHECK(nlink_of(f, NODE) == 0);
	CHECK(core_write(f->core, NODE, "alive", 5, 0) == 5);
	begin_request(f); /* the name is free at once */
	CHECK(core_mknod(f->core, 1, "file", S_IFREG | 0644, &root_caller, &e) == 0);
	CHECK(e.node != NODE);
	forgotten(f, NODE, 1);
	unlinked(f, "file");
	forgotten(f, e.node, 1);
}

static void check_unlink_one(struct fixture *f)
{
	gone(f, "file");
	CHECK(nlink_of(f, NODE) == 1);
	CHECK(usage_of(f).committed == PAGE);
	unlinked(f, "second");
	forgotten(f, NODE, 2);
}

static void prepare_directory(struct fixture *f)
{
	NODE = made(f, S_IFDIR, "dir");
}

static void act_rmdir(struct fixture *f)
{
	CHECK(core_rmdir(f->core, 1, "dir") == 0);
}

static void check_rmdir(struct fixture *f)
{
	gone(f, "dir");
	CHECK(nlink_of(f, NODE) == 0);
	forgotten(f, NODE, 1);
}

/* --- rename --- */

static void act_rename(struct fixture *f)
{
	CHECK(core_rename(f->core, 1, "file", 1, "target", 0) == 0);
}

static void check_plain_rename(struct fixture *f)
{
	gone(f, "file");
	CHECK(nlink_of(f, NODE) == 1);
	unlinked(f, "target");
	forgotten(f, NODE, 1);
}

static void check_rename(struct fixture *f)
{
	struct stat st;

	CHECK(stands(f, "target", &st) && st.st_ino == FILE_INO);
	CHECK(nlink_of(f, TARGET) == 0);
	CHECK(usage_of(f).committed == 3 * PAGE); /* alive, as long as it is known */
	forgotten(f, TARGET, 1);
	CHECK(usage_of(f).committed == PAGE);
	check_plain_rename(f);
}

static void prepare_two_directories(struct fixture *f)
{
	NODE = made(f, S_IFDIR, "file");
	TARGET = made(f, S_IFDIR, "target");
}

static void check_rename_directory(struct fixture *f)
{
	gone(f, "file");
	CHECK(nlink_of(f, TARGET) == 0);
	forgotten(f, TARGET, 1);
	removed_directory(f, "target");
	forgotten(f, NODE, 1);
}

static void act_exchange(struct fixture *f)
{
	CHECK(core_rename(f->core, 1, "file", 1, "target", RENAME_EXCHANGE) == 0);
}

static void check_exchange(struct fixture *f)
{
	struct stat st;

	CHECK(stands(f, "target", &st) && st.st_ino == FILE_INO);
	CHECK(nlink_of(f, NODE) == 1 && nlink_of(f, TARGET) == 1);
	unlinked(f, "target");
	CHECK(nlink_of(f, NODE) == 0 && nlink_of(f, TARGET) == 1);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
	forgotten(f, TARGET, 1);
}

static void act_noreplace(struct fixture *f)
{
	CHECK(core_rename(f->core, 1, "file", 1, "target", RENAME_NOREPLACE) == 0);
}

/* Nobody sends it again: it has happened or it has not, and every inode can still be reached. */
static void check_unsent_rename(struct fixture *f)
{
	struct core_entry e;
	struct stat st;
	bool done = !stands(f, "file", &st);

	begin_request(f);
	CHECK(core_lookup(f->core, 1, done ? "target" : "file", &e) == 0 && e.node == NODE);
	CHECK(nlink_of(f, NODE) == 1);
	CHECK(core_write(f->core, NODE, "x", 1, 0) == 1);
	unlinked(f, done ? "target" : "file");
	CHECK(nlink_of(f, NODE) == 0);
	forgotten(f, NODE, 2);
}

/* --- extended attributes --- */

static void check_attribute(struct fixture *f, const char *expected)
{
	char value[16] = "";
	int length = core_getxattr(f->core, NODE, "user.a", value, sizeof value);

	CHECK(expected ? length == (int)strlen(expected) : length == -ENODATA);
	CHECK(!expected || memcmp(value, expected, strlen(expected)) == 0);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
}

static void act_setxattr(struct fixture *f)
{
	CHECK(core_setxattr(f->core, NODE, "user.a", "new", 3, XATTR_CREATE, &root_caller) == 0);
}

static void check_setxattr(struct fixture *f)
{
	check_attribute(f, "new");
}

static void prepare_attribute(struct fixture *f)
{
	prepare_file(f);
	begin_request(f);
	CHECK(core_setxattr(f->core, NODE, "user.a", "old", 3, 0, &root_caller) == 0);
}

static void act_setxattr_refused(struct fixture *f)
{
	CHECK(core_setxattr(f->core, NODE, "user.a", "new", 3, XATTR_CREATE, &root_caller) ==
	      -EEXIST);
}

static void check_old_attribute(struct fixture *f)
{
	check_attribute(f, "old");
}

static void act_removexattr(struct fixture *f)
{
	CHECK(core_removexattr(f->core, NODE, "user.a") == 0);
}

static void act_removexattr_refused(struct fixture *f)
{
	CHECK(core_removexattr(f->core, NODE, "user.a") == -ENODATA);
}

static void check_no_attribute(struct fixture *f)
{
	check_attribute(f, NULL);
}

static const struct crash_case cases[] = {
    BOTH_TREES("mknod", nothing, act_mknod, check_mknod),
    BOTH_TREES("mkdir", nothing, act_mkdir, check_mkdir),
    BY_HANDLE("symlink", nothing, act_symlink, check_symlink),
    BOTH_TREES("create", nothing, act_create, check_create),
    {.name = "mknod, temporary",
     .passthrough = true,
     .temporary = true,
     .prepare = nothing,
     .act = act_mknod,
     .check = check_mknod},
    {.name = "create, temporary",
     .passthrough = true,
     .temporary = true,
     .prepare = nothing,
     .act = act_create,
     .check = check_create},
    BOTH_TREES("link", prepare_file, act_link, check_link),
    BOTH_TREES("lookup, sparse", prepare_unknown_sparse, act_lookup, check_lookup),
    BOTH_TREES("unlink", prepare_file, act_unlink, check_unlink),
    BOTH_TREES("unlink of one link", prepare_linked, act_unlink, check_unlink_one),
    BOTH_TREES("rmdir", prepare_directory, act_rmdir, check_rmdir),
    BOTH_TREES("rename", prepare_file, act_rename, check_plain_rename),
    BOTH_TREES("rename over a file", prepare_two, act_rename, check_rename),
    BOTH_TREES("rename over a directory", prepare_two_directories, act_rename,
	       check_rename_directory),
    BOTH_TREES("exchange", prepare_two, act_exchange, check_exchange),
    BY_HANDLE("rename without replacing", prepare_file, act_noreplace, check_plain_rename),
    {.name = "rename, not sent again",
     .passthrough = true,
     .unsent = true,
     .prepare = prepare_file,
     .act = act_rename,
     .check = check_unsent_rename},
    {.name = "rename, not sent again, by place",
     .rootless = true,
     .unsent = true,
     .prepare = prepare_file,
     .act = act_rename,
     .check = check_unsent_rename},
    BY_HANDLE("setxattr", prepare_file, act_setxattr, check_setxattr),
    BY_HANDLE("setxattr refused", prepare_attribute, act_setxattr_refused, check_old_attribute),
    BY_HANDLE("removexattr", prepare_attribute, act_removexattr, check_no_attribute),
    BY_HANDLE("removexattr refused", prepare_file, act_removexattr_refused, check_no_attribute),
    TWICE("start after unlink", IN_START, prepare_file, act_unlink, check_unlink),
    TWICE("create again", AGAIN, nothing, act_create, check_create),
    TWICE("exchange again", AGAIN, prepare_two, act_exchange, check_exchange),
    {.name = "rename over a file again, by place",
     .rootless = true,
     .second = AGAIN,
     .prepare = prepare_two,
     .act = act_rename,
     .check = check_rename},
};

int main(int argc, char **argv)
{
	return crash_main("names", cases, ARRAY_SIZE(cases), argc > 1 ? argv[1] : NULL);
}
