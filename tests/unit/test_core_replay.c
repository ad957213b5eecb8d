/* kill -9 of the worker at every point of an operation, which is then sent again: done exactly
 * once. */
#include "tests/unit/core_crash.h"

#include <linux/fs.h>
#include <sys/xattr.h>

#define PAGE ((size_t)PAGE_BYTES)

static uint64_t node_of(const struct core_entry *entry)
{
	return entry->node;
}

/* The steps of prepare and check; without cmocka, which may only be used in the test's own process.
 */
static uint64_t made(struct fixture *f, mode_t type, const char *name)
{
	struct core_entry e;

	begin_request(f);
	CHECK((type == S_IFDIR ? core_mkdir(f->core, 1, name, 0755, &root_caller, &e)
			       : core_mknod(f->core, 1, name, type | 0644, &root_caller, &e)) == 0);
	return node_of(&e);
}

static void sized(struct fixture *f, uint64_t node, size_t size)
{
	struct stat wanted = {.st_size = (off_t)size}, st;
	double timeout;

	begin_request(f);
	CHECK(core_setattr(f->core, node, CORE_SET_SIZE, &wanted, &st, &timeout, NULL, NULL) == 0);
}

static bool stands(struct fixture *f, const char *name, struct stat *st)
{
	AUTO_CLOSE int tree = openat(f->tree_fd, "tree", O_PATH | O_CLOEXEC);

	return fstatat(tree, name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void gone(struct fixture *f, const char *name)
{
	struct stat st;

	CHECK(!stands(f, name, &st));
}

static uint64_t nlink_of(struct fixture *f, uint64_t node)
{
	struct stat st;
	double timeout;

	begin_request(f);
	CHECK(core_getattr(f->core, node, &st, &timeout) == 0);
	return st.st_nlink;
}

static void unlinked(struct fixture *f, const char *name)
{
	begin_request(f);
	CHECK(core_unlink(f->core, 1, name) == 0);
}

static void removed_directory(struct fixture *f, const char *name)
{
	begin_request(f);
	CHECK(core_rmdir(f->core, 1, name) == 0);
}

/* The kernel forgets all it knows of a node; the count must be exact. */
static void forgotten(struct fixture *f, uint64_t node, uint64_t lookups)
{
	CHECK(crash_lookups(f, node) == lookups);
	begin_request(f);
	core_forget(f->core, node, lookups);
}

#define NODE     f->world->nodes[0]
#define TARGET   f->world->nodes[1]
#define RESULT   f->world->nodes[2] /* what the request answered with */
#define FILE_INO f->world->nodes[3]

static void nothing(struct fixture *f)
{
	(void)f;
}

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
	if (f->config.temporary)
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
	core_release(f->core, RESULT, O_RDWR);
	if (f->config.temporary)
		CHECK(f->world->names_gone == 1);
	else
		unlinked(f, "new");
	gone(f, "new");
	forgotten(f, RESULT, 1);
}

/* --- links and looks --- */

static void prepare_file(struct fixture *f)
{
	NODE = made(f, S_IFREG, "file");
	sized(f, NODE, PAGE);
}

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

static void prepare_linked(struct fixture *f)
{
	struct core_entry e;

	prepare_file(f);
	begin_request(f);
	CHECK(core_link(f->core, NODE, 1, "second", &e) == 0);
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

static void prepare_two(struct fixture *f)
{
	struct stat st;

	prepare_file(f);
	TARGET = made(f, S_IFREG, "target");
	sized(f, TARGET, 2 * PAGE);
	CHECK(stands(f, "file", &st));
	FILE_INO = st.st_ino;
}

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

/* --- handles --- */

static void act_open(struct fixture *f)
{
	struct core_opened opened;

	CHECK(core_open(f->core, NODE, O_RDWR, &opened) == 0);
	CHECK(!f->config.data.attach || f->world->attached[opened.backing_id]);
}

static void check_open(struct fixture *f)
{
	CHECK(usage_of(f).handles == 1);
	CHECK(count_attached(f->world) == (f->config.data.attach != NULL));
	CHECK(usage_of(f).committed == PAGE);
	begin_request(f);
	core_release(f->core, NODE, O_RDWR);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
}

static void prepare_open(struct fixture *f)
{
	struct core_opened opened;

	prepare_file(f);
	begin_request(f);
	CHECK(core_open(f->core, NODE, O_RDWR, &opened) == 0);
}

static void act_release(struct fixture *f)
{
	core_release(f->core, NODE, O_RDWR);
}

static void check_release(struct fixture *f)
{
	CHECK(usage_of(f).handles == 0);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
}

static void prepare_open_unlinked(struct fixture *f)
{
	prepare_open(f);
	unlinked(f, "file");
	begin_request(f);
	core_forget(f->core, NODE, 1);
	CHECK(usage_of(f).objects_known == 1);
}

static void check_nothing(struct fixture *f)
{
	gone(f, "file");
}

static void prepare_open_temporary(struct fixture *f)
{
	prepare_open(f);
	begin_request(f);
	CHECK(core_setxattr(f->core, NODE, "user.mapping.lifetime", "temporary", 9, 0,
			    &root_caller) == 0);
}

static void check_temporary_ended(struct fixture *f)
{
	for (int i = 0; i < 1000 && faccessat(f->tree_fd, "tree/file", F_OK, 0) == 0; i++)
		serve(f, 2);
	gone(f, "file");
	CHECK(usage_of(f).committed == 0);
	forgotten(f, NODE, 1);
}

/* --- forget --- */

static void prepare_unlinked(struct fixture *f)
{
	prepare_file(f);
	unlinked(f, "file");
}

static void act_forget(struct fixture *f)
{
	core_forget(f->core, NODE, 1);
	core_forget(f->core, TARGET, 1); /* FORGET of several inodes is one request */
}

static void prepare_two_unlinked(struct fixture *f)
{
	prepare_two(f);
	unlinked(f, "file");
	unlinked(f, "target");
}

static void prepare_linked_and_unlinked(struct fixture *f)
{
	prepare_linked(f);
	unlinked(f, "file");
	TARGET = made(f, S_IFREG, "target");
	unlinked(f, "target");
	begin_request(f);
	core_forget(f->core, NODE, 1); /* link had counted one, too */
}

static void check_other_link(struct fixture *f)
{
	struct core_entry e;

	CHECK(usage_of(f).committed == PAGE);
	begin_request(f);
	CHECK(core_lookup(f->core, 1, "second", &e) == 0);
	CHECK(usage_of(f).committed == PAGE);
	unlinked(f, "second");
	forgotten(f, e.node, 1);
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

static void act_lifetime(struct fixture *f)
{
	CHECK(core_setxattr(f->core, NODE, "user.mapping.lifetime", "temporary", 9, 0,
			    &root_caller) == 0);
}

static void check_lifetime(struct fixture *f)
{
	begin_request(f);
	core_release(f->core, NODE, O_RDWR);
	check_temporary_ended(f);
}

/* --- size and configuration --- */

static void act_grow(struct fixture *f)
{
	struct stat wanted = {.st_size = (off_t)(4 * PAGE)}, st;
	double timeout;

	CHECK(core_setattr(f->core, NODE, CORE_SET_SIZE, &wanted, &st, &timeout, NULL, NULL) == 0);
	CHECK(st.st_size == (off_t)(4 * PAGE));
}

static void check_grow(struct fixture *f)
{
	CHECK(usage_of(f).committed == 4 * PAGE);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
}

static void prepare_fresh(struct fixture *f)
{
	NODE = made(f, S_IFREG, "file");
}

static void configure(struct fixture *f, const struct core_setup *setup)
{
	const char *why = "";

	if (core_configure(f->core, NODE, setup, &root_caller, &why) != 0)
		crash_complain(f, "configure: %s", why);
}

static void act_configure_memory(struct fixture *f)
{
	const struct core_setup setup = {
	    .lifetime = 1, .file_fd = -1, .set_size = true, .size = 4 * PAGE};

	configure(f, &setup);
}

static void check_configured_memory(struct fixture *f)
{
	char value[16] = "";

	CHECK(usage_of(f).committed == 4 * PAGE);
	CHECK(core_getxattr(f->core, NODE, "user.mapping.lifetime", value, sizeof value) == 9);
	CHECK(memcmp(value, "temporary", 9) == 0);
	forgotten(f, NODE, 1); /* it is kept with the object */
	act_lookup(f);
	CHECK(usage_of(f).committed == 4 * PAGE);
	CHECK(core_getxattr(f->core, RESULT, "user.mapping.lifetime", value, sizeof value) == 9);
	CHECK(memcmp(value, "temporary", 9) == 0);
	unlinked(f, "file");
	forgotten(f, RESULT, 1);
}

static void act_configure_file(struct fixture *f)
{
	AUTO_CLOSE int fd = openat(f->outside_fd, "outside", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	const struct core_setup setup = {
	    .lifetime = 0, .file_fd = fd, .set_size = true, .size = 4 * PAGE};

	CHECK(fd >= 0);
	configure(f, &setup);
}

static void check_configured_file(struct fixture *f)
{
	char value[256] = "";
	struct stat st;

	CHECK(usage_of(f).bound == 1 && usage_of(f).committed == 0);
	CHECK(fstatat(f->outside_fd, "outside", &st, 0) == 0 && st.st_size == (off_t)(4 * PAGE));
	CHECK(core_getxattr(f->core, NODE, "user.mapping.backing", value, sizeof value) > 0);
	CHECK(strncmp(value, "file:", 5) == 0);
	CHECK(core_write(f->core, NODE, "x", 1, 0) == 1);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
}

/* --- the end of a bound object --- */

static void prepare_open_bound(struct fixture *f)
{
	struct core_opened opened;

	prepare_fresh(f);
	act_configure_file(f);
	begin_request(f);
	CHECK(core_open(f->core, NODE, O_RDWR, &opened) == 0);
	f->world->faults[FAULT_FDATASYNC].calls = 0;
}

/* However often we died meanwhile: the file was made durable. */
static void check_flushed(struct fixture *f)
{
	for (int i = 0; i < 1000 && (calls_of(f, FAULT_FDATASYNC) == 0 || usage_of(f).flushes == 0);
	     i++)
		serve(f, 2);
	CHECK(calls_of(f, FAULT_FDATASYNC) > 0);
	CHECK(usage_of(f).flushes_failing == 0);
	unlinked(f, "file");
	serve(f, 5);
	forgotten(f, NODE, 1);
	serve(f, 5);
}

static void act_release_bound_temporary(struct fixture *f)
{
	core_release(f->core, NODE, O_RDWR);
	serve(f, 3); /* the flush comes to its end */
}

static void prepare_open_bound_temporary(struct fixture *f)
{
	prepare_open_bound(f);
	begin_request(f);
	act_lifetime(f);
}

static void check_flushed_temporary(struct fixture *f)
{
	for (int i = 0; i < 1000 && (calls_of(f, FAULT_FDATASYNC) == 0 || usage_of(f).flushes == 0);
	     i++)
		serve(f, 2);
	CHECK(calls_of(f, FAULT_FDATASYNC) > 0);
	CHECK(usage_of(f).flushes_failing == 0);
	gone(f, "file");
	forgotten(f, NODE, 1);
	serve(f, 5);
}

#define BOTH_TREES(what, prepare, act, check)                                                      \
	{what ", by handle", true, false, false, false, ONCE, prepare, act, check},                \
	{                                                                                          \
		what ", by place", false, true, false, false, ONCE, prepare, act, check            \
	}
#define BY_HANDLE(what, prepare, act, check)                                                       \
	{                                                                                          \
		what, true, false, false, false, ONCE, prepare, act, check                         \
	}
#define BY_PLACE(what, prepare, act, check)                                                        \
	{                                                                                          \
		what ", by place", false, true, false, false, ONCE, prepare, act, check            \
	}

static const struct crash_case cases[] = {
    BOTH_TREES("mknod", nothing, act_mknod, check_mknod),
    BOTH_TREES("mkdir", nothing, act_mkdir, check_mkdir),
    BY_HANDLE("symlink", nothing, act_symlink, check_symlink),
    BOTH_TREES("create", nothing, act_create, check_create),
    {"mknod, temporary", true, false, true, false, ONCE, nothing, act_mknod, check_mknod},
    {"create, temporary", true, false, true, false, ONCE, nothing, act_create, check_create},
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
    {"rename, not sent again", true, false, false, true, ONCE, prepare_file, act_rename,
     check_unsent_rename},
    {"rename, not sent again, by place", false, true, false, true, ONCE, prepare_file, act_rename,
     check_unsent_rename},
    BOTH_TREES("open", prepare_file, act_open, check_open),
    BOTH_TREES("release", prepare_open, act_release, check_release),
    BOTH_TREES("release of the forgotten", prepare_open_unlinked, act_release, check_nothing),
    BOTH_TREES("release of a temporary", prepare_open_temporary, act_release,
	       check_temporary_ended),
    BY_HANDLE("forget", prepare_unlinked, act_forget, check_nothing),
    BOTH_TREES("forget of two", prepare_two_unlinked, act_forget, check_nothing),
    BY_HANDLE("forget of one link", prepare_linked_and_unlinked, act_forget, check_other_link),
    BY_PLACE("forget of one link", prepare_linked_and_unlinked, act_forget, check_other_link),
    BY_HANDLE("setxattr", prepare_file, act_setxattr, check_setxattr),
    BY_HANDLE("setxattr refused", prepare_attribute, act_setxattr_refused, check_old_attribute),
    BY_HANDLE("removexattr", prepare_attribute, act_removexattr, check_no_attribute),
    BY_HANDLE("removexattr refused", prepare_file, act_removexattr_refused, check_no_attribute),
    BOTH_TREES("set temporary", prepare_open, act_lifetime, check_lifetime),
    BY_HANDLE("grow", prepare_file, act_grow, check_grow),
    BOTH_TREES("configure memory", prepare_fresh, act_configure_memory, check_configured_memory),
    BOTH_TREES("configure file", prepare_fresh, act_configure_file, check_configured_file),
    BOTH_TREES("release of a bound object", prepare_open_bound, act_release, check_flushed),
    BOTH_TREES("release of a bound temporary", prepare_open_bound_temporary,
	       act_release_bound_temporary, check_flushed_temporary),
    /* Twice: in the operation, and in the start of the next worker, or in its second try. */
    {"start after unlink", true, false, false, false, IN_START, prepare_file, act_unlink,
     check_unlink},
    {"start after open", true, false, false, false, IN_START, prepare_file, act_open, check_open},
    {"start after configure", true, false, false, false, IN_START, prepare_fresh,
     act_configure_file, check_configured_file},
    {"start after release of a bound object", true, false, false, false, IN_START,
     prepare_open_bound, act_release, check_flushed},
    {"create again", true, false, false, false, AGAIN, nothing, act_create, check_create},
    {"open again", true, false, false, false, AGAIN, prepare_file, act_open, check_open},
    {"rename over a file again, by place", false, true, false, false, AGAIN, prepare_two,
     act_rename, check_rename},
    {"exchange again", true, false, false, false, AGAIN, prepare_two, act_exchange, check_exchange},
    {"configure file again", true, false, false, false, AGAIN, prepare_fresh, act_configure_file,
     check_configured_file},
};

static void run_case(void **state)
{
	crash_run(*state);
}

int main(int argc, char **argv)
{
	static struct CMUnitTest tests[ARRAY_SIZE(cases)];
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (argc < 2 || strstr(cases[i].name, argv[1]))
			tests[count++] = (struct CMUnitTest){
			    .name = cases[i].name,
			    .test_func = run_case,
			    .initial_state = (void *)(uintptr_t)&cases[i],
			};
	return _cmocka_run_group_tests("crashes", tests, count, NULL, NULL);
}
