/* Names and inodes: what is shared, what an unlinked inode still is, what a rename takes away. */
#include "core/internal.h"
#include "tests/unit/core_fixture.h"

#include <sys/xattr.h>

#define ROOT CORE_ROOT_NODE

static void created_then_found(void **state)
{
	struct fixture *f = *state;
	struct core_entry entry;
	uint64_t node = make_file(f, ROOT, "file");

	assert_int_equal(try_lookup(f, ROOT, "none", &entry), -ENOENT);
	assert_int_equal(look_up(f, ROOT, "file"), node);
	assert_int_equal(usage_of(f).objects_known, 1);
	forget_node(f, node, 1);
	assert_int_equal(usage_of(f).objects_known, 1);
	forget_node(f, node, 1);
	assert_int_equal(usage_of(f).objects_known, 0);
	begin_request(f);
	assert_int_equal(core_getattr(f->core, node, &entry.st, &entry.attr_timeout), -ESTALE);
	assert_int_not_equal(look_up(f, ROOT, "file"), node); /* a generation of its own */
	begin_request(f);
	assert_int_equal(core_mknod(f->core, ROOT, "file", S_IFREG | 0600, &root_caller, &entry),
			 -EEXIST);
	begin_request(f);
	assert_int_equal(core_mkdir(f->core, ROOT, "file", 0700, &root_caller, &entry), -EEXIST);
	assert_int_equal(usage_of(f).objects_known, 1);
}

static void devices_are_refused(void **state)
{
	struct fixture *f = *state;
	struct core_entry entry;

	begin_request(f);
	assert_int_equal(core_mknod(f->core, ROOT, "d", S_IFCHR | 0600, &root_caller, &entry),
			 -EPERM);
	begin_request(f);
	assert_int_equal(core_mknod(f->core, ROOT, "d", S_IFBLK | 0600, &root_caller, &entry),
			 -EPERM);
	begin_request(f);
	assert_int_equal(core_mknod(f->core, ROOT, "fifo", S_IFIFO | 0600, &root_caller, &entry),
			 0);
	assert_true(S_ISFIFO(entry.st.st_mode));
	begin_request(f);
	assert_int_equal(core_mknod(f->core, ROOT, "socket", S_IFSOCK | 0600, &root_caller, &entry),
			 0);
}

static void owner_and_mode_are_the_callers(void **state)
{
	const struct core_caller caller = {.uid = 1234, .gid = 2345, .umask = 027};
	struct fixture *f = *state;
	struct core_entry entry;

	begin_request(f);
	assert_int_equal(core_mkdir(f->core, ROOT, "dir", 0777, &caller, &entry), 0);
	assert_int_equal(entry.st.st_mode & 07777, 0750);
	if (f->config.rootless)
		return;
	assert_int_equal(entry.st.st_uid, 1234);
	assert_int_equal(entry.st.st_gid, 2345);
	begin_request(f);
	assert_int_equal(core_mkdir(f->core, ROOT, "other", 0777, &root_caller, &entry), 0);
	assert_int_equal(entry.st.st_uid, 0);
	assert_int_equal(entry.st.st_mode & 07777, 0755);
}

static void unlinked_lives_until_forgotten(void **state)
{
	struct fixture *f = *state;
	uint64_t node = create_open(f, ROOT, "file"), other;

	assert_int_equal(core_write(f->core, node, "old", 3, 0), 3);
	unlink_name(f, ROOT, "file");
	assert_int_equal(stat_of(f, node).st_nlink, 0);
	assert_int_equal(stat_of(f, node).st_size, 3);
	other = make_file(f, ROOT, "file"); /* at once, and another object */
	assert_int_not_equal(other, node);
	assert_int_equal(stat_of(f, other).st_size, 0);
	assert_int_equal(count_orphans(f), 1);
	release_node(f, node);
	forget_node(f, node, 1);
	assert_int_equal(count_orphans(f), 0);
	unlink_name(f, ROOT, "file");
	forget_node(f, other, 1);
	assert_nothing_left(f);
}

static void forgotten_before_release(void **state)
{
	struct fixture *f = *state;
	uint64_t node = create_open(f, ROOT, "file");

	unlink_name(f, ROOT, "file");
	forget_node(f, node, 1);
	assert_int_equal(usage_of(f).objects_known, 1);
	fixture_restart(f);
	assert_int_equal(usage_of(f).handles, 1);
	release_node(f, node);
	assert_nothing_left(f);
}

static void directories(void **state)
{
	struct fixture *f = *state;
	uint64_t dir = make_dir(f, ROOT, "dir"), inner = make_file(f, dir, "inner");

	begin_request(f);
	assert_int_equal(core_unlink(f->core, ROOT, "dir"), -EISDIR);
	begin_request(f);
	assert_int_equal(core_rmdir(f->core, ROOT, "dir"), -ENOTEMPTY);
	begin_request(f);
	assert_int_equal(core_rmdir(f->core, dir, "inner"), -ENOTDIR);
	unlink_name(f, dir, "inner");
	begin_request(f);
	assert_int_equal(core_rmdir(f->core, ROOT, "dir"), 0);
	assert_int_equal(stat_of(f, dir).st_nlink, 0);
	forget_node(f, dir, 1);
	forget_node(f, inner, 1);
	assert_nothing_left(f);
	begin_request(f);
	assert_int_equal(core_rmdir(f->core, ROOT, "dir"), -ENOENT);
}

/* A slot that is used again must know nothing of the directory it was. */
static void slot_of_a_removed_directory(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++) {
		uint64_t dir = make_dir(f, ROOT, "dir"), file = make_file(f, dir, "file");

		assert_int_equal(look_up(f, dir, "file"), file);
		unlink_name(f, dir, "file");
		forget_node(f, file, 2);
		begin_request(f);
		assert_int_equal(core_rmdir(f->core, ROOT, "dir"), 0);
		forget_node(f, dir, 1);
	}
	assert_nothing_left(f);
}

static void rename_replaces_a_known_target(void **state)
{
	struct fixture *f = *state;
	uint64_t source = make_file(f, ROOT, "source"), target = make_file(f, ROOT, "target");

	open_node(f, target, O_RDWR);
	assert_int_equal(set_size(f, target, 2 * PAGE_BYTES), 0);
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "source", ROOT, "target", RENAME_NOREPLACE),
			 -EEXIST);
	assert_int_equal(stat_of(f, target).st_nlink, 1);
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "source", ROOT, "target", 0), 0);
	assert_int_equal(look_up(f, ROOT, "target"), source);
	assert_int_equal(stat_of(f, target).st_nlink, 0);
	assert_int_equal(stat_of(f, target).st_size, 2 * PAGE_BYTES);
	assert_int_equal(stat_of(f, source).st_nlink, 1);
	fixture_restart(f);
	assert_int_equal(stat_of(f, target).st_nlink, 0);
	release_node(f, target);
	forget_node(f, target, 1);
	unlink_name(f, ROOT, "target");
	forget_node(f, source, 2);
	assert_nothing_left(f);
}

static void rename_checks(void **state)
{
	struct fixture *f = *state;
	uint64_t full = make_dir(f, ROOT, "full"), empty = make_dir(f, ROOT, "empty");

	make_file(f, full, "inner");
	make_file(f, ROOT, "file");
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "none", ROOT, "x", 0), -ENOENT);
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "file", ROOT, "empty", 0), -EISDIR);
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "empty", ROOT, "file", 0), -ENOTDIR);
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "empty", ROOT, "full", 0), -ENOTEMPTY);
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "file", ROOT, "x", 1 << 2), -EINVAL);
	/* A refusal has changed nothing. */
	assert_int_equal(stat_of(f, look_up(f, ROOT, "file")).st_nlink, 1);
	assert_int_equal(stat_of(f, empty).st_nlink, 2);
	assert_int_equal(stat_of(f, full).st_nlink, 2);
	assert_int_equal(count_orphans(f), 0);
}

static void rename_onto_itself_and_its_link(void **state)
{
	struct fixture *f = *state;
	struct core_entry entry;
	uint64_t node = make_file(f, ROOT, "a");

	begin_request(f);
	assert_int_equal(core_link(f->core, node, ROOT, "b", &entry), 0);
	begin_request(f); /* rename(2): nothing happens */
	assert_int_equal(core_rename(f->core, ROOT, "a", ROOT, "b", 0), 0);
	assert_int_equal(look_up(f, ROOT, "a"), node);
	assert_int_equal(look_up(f, ROOT, "b"), node);
	assert_int_equal(stat_of(f, node).st_nlink, 2);
}

static void moved_directory_takes_what_is_in_it(void **state)
{
	struct fixture *f = *state;
	uint64_t a = make_dir(f, ROOT, "a"), b = make_dir(f, ROOT, "b"), c = make_dir(f, a, "c");
	uint64_t file = make_file(f, c, "file");

	begin_request(f);
	assert_int_equal(core_rename(f->core, a, "c", b, "d", 0), 0);
	assert_int_equal(stat_of(f, file).st_nlink, 1);
	assert_int_equal(look_up(f, c, "file"), file);
	begin_request(f);
	assert_int_equal(core_rename(f->core, ROOT, "b", ROOT, "a", RENAME_EXCHANGE), 0);
	assert_int_equal(look_up(f, ROOT, "a"), b);
	fixture_restart(f);
	assert_int_equal(look_up(f, c, "file"), file);
	assert_int_equal(core_write(f->core, file, "x", 1, 0), 1);
}

static void hard_links(void **state)
{
	struct fixture *f = *state;
	struct core_entry entry;
	uint64_t dir = make_dir(f, ROOT, "dir"), node = make_file(f, ROOT, "a");

	begin_request(f);
	assert_int_equal(core_link(f->core, node, dir, "b", &entry), 0);
	assert_int_equal(entry.node, node);
	assert_int_equal(entry.st.st_nlink, 2);
	begin_request(f);
	assert_int_equal(core_link(f->core, node, dir, "b", &entry), -EEXIST);
	assert_int_equal(set_lifetime(f, node, "temporary"), -EPERM);
	unlink_name(f, ROOT, "a");
	assert_int_equal(stat_of(f, node).st_nlink, 1);
	begin_request(f);
	assert_int_equal(core_link(f->core, node, ROOT, "c", &entry), 0);
	assert_int_equal(entry.st.st_nlink, 2);
	unlink_name(f, dir, "b");
	unlink_name(f, ROOT, "c");
	assert_int_equal(stat_of(f, node).st_nlink, 0);
	forget_node(f, node, 3);
	begin_request(f);
	assert_int_equal(core_rmdir(f->core, ROOT, "dir"), 0);
	forget_node(f, dir, 1);
	assert_nothing_left(f);
}

static void temporary_has_one_name(void **state)
{
	struct fixture *f = *state;
	struct core_entry entry;
	uint64_t node = make_file(f, ROOT, "a");

	assert_int_equal(set_lifetime(f, node, "temporary"), 0);
	begin_request(f);
	assert_int_equal(core_link(f->core, node, ROOT, "b", &entry), -EPERM);
}

/* A directory that is forgotten, while a file in it is known by its other name. */
static void link_outlives_knowledge_of_its_directory(void **state)
{
	struct fixture *f = *state;
	struct core_entry entry;
	uint64_t dir = make_dir(f, ROOT, "dir"), node = make_file(f, dir, "a");

	/* A known limit by place: the inode is lost (ESTALE or ENAMETOOLONG) until its other name
	 * is looked up again. */
	if (f->config.rootless)
		skip();
	begin_request(f);
	assert_int_equal(core_link(f->core, node, ROOT, "b", &entry), 0);
	look_up(f, dir, "a"); /* the name it was seen by last is in the directory */
	forget_node(f, node, 2);
	forget_node(f, dir, 1);
	make_file(f, ROOT, "in the slot of dir");
	assert_int_equal(stat_of(f, node).st_nlink, 2);
}

static void symbolic_links(void **state)
{
	struct fixture *f = *state;
	struct core_entry entry;
	char target[PATH_MAX], got[PATH_MAX + 1];

	memset(target, 't', sizeof target);
	target[sizeof target - 1] = '\0';
	begin_request(f);
	assert_int_equal(core_symlink(f->core, ROOT, "long", target, &root_caller, &entry), 0);
	assert_true(S_ISLNK(entry.st.st_mode));
	assert_int_equal(core_readlink(f->core, entry.node, got, sizeof got), PATH_MAX - 1);
	assert_memory_equal(got, target, PATH_MAX - 1);
	unlink_name(f, ROOT, "long");
	assert_int_equal(core_readlink(f->core, entry.node, got, sizeof got), PATH_MAX - 1);
	forget_node(f, entry.node, 1);
	assert_nothing_left(f);
}

struct listing {
	unsigned seen[3000];
	size_t count, enough;
	off_t next;
};

static bool add_name(void *context, const char *name, ino_t ino, mode_t type, off_t next)
{
	struct listing *l = context;
	unsigned i;

	if (l->count == l->enough)
		return false;
	l->count++;
	l->next = next;
	assert_true(ino != 0);
	if (sscanf(name, "f%u", &i) == 1) {
		assert_true(S_ISREG(type));
		l->seen[i]++;
	}
	return true;
}

static void listing_is_restartable(void **state)
{
	struct fixture *f = *state;
	struct listing l = {0};
	char name[16];

	for (unsigned i = 0; i < ARRAY_SIZE(l.seen); i++) {
		snprintf(name, sizeof name, "f%u", i);
		forget_node(f, make_file(f, ROOT, name), 1);
	}
	for (unsigned part = 0;; part++) {
		size_t before = l.count;

		l.enough = l.count + 1 + part % 70;
		assert_int_equal(core_readdir(f->core, ROOT, l.next, add_name, &l), 0);
		if (l.count == before)
			break;
		if (part == 20)
			fixture_restart(f);
		if (part == 30) { /* what is gone disturbs nothing */
			for (unsigned i = 0; i < 10; i++) {
				snprintf(name, sizeof name, "f%u", 2900 + i);
				unlink_name(f, ROOT, name);
			}
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(l.seen); i++)
		if (i < 2900 || i > 2909)
			assert_int_equal(l.seen[i], 1);
}

static void longest_names(void **state)
{
	struct fixture *f = *state;
	struct core_entry entry;
	char name[NAME_MAX + 2];
	uint64_t node;

	memset(name, '\xff', sizeof name);
	name[NAME_MAX + 1] = '\0';
	begin_request(f);
	assert_int_equal(core_mknod(f->core, ROOT, name, S_IFREG, &root_caller, &entry),
			 -ENAMETOOLONG);
	name[NAME_MAX] = '\0';
	node = make_file(f, ROOT, name);
	assert_int_equal(look_up(f, ROOT, name), node);
	unlink_name(f, ROOT, name);
	forget_node(f, node, 2);
	assert_nothing_left(f);
}

static void stale_nodes(void **state)
{
	const uint64_t nodes[] = {0, 2, 77, 1ULL << 32 | 1, UINT64_MAX};
	struct fixture *f = *state;
	struct core_opened opened;
	struct core_entry entry;

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		begin_request(f);
		assert_int_equal(core_lookup(f->core, nodes[i], "x", &entry), -ESTALE);
		assert_int_equal(core_open(f->core, nodes[i], O_RDWR, &opened), -ESTALE);
		assert_int_equal(core_unlink(f->core, nodes[i], "x"), -ESTALE);
		assert_int_equal(core_rename(f->core, nodes[i], "x", ROOT, "y", 0), -ESTALE);
		core_release(f->core, nodes[i], 0);
		core_forget(f->core, nodes[i], 1);
	}
	forget_node(f, ROOT, 1000); /* the root is never forgotten */
	make_file(f, ROOT, "x");
}

/* Many inodes known and many opened: descriptors stay few. */
static void descriptors_are_bounded(void **state)
{
	struct fixture *f = *state;
	size_t before = open_fds();
	char name[16];

	f->config.data.attach = NULL;
	fixture_restart(f);
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "%u", i);
		create_open(f, ROOT, name);
		snprintf(name, sizeof name, "d%u", i);
		make_file(f, make_dir(f, ROOT, name), "file");
	}
	assert_int_equal(usage_of(f).handles, 2000);
	assert_true(open_fds() < before + 2 * FDCACHE_CAPACITY + 50);
}

#define BOTH(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown),                    \
	    cmocka_unit_test_setup_teardown(name, fixture_setup_rootless, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOTH(created_then_found),
	    BOTH(devices_are_refused),
	    BOTH(owner_and_mode_are_the_callers),
	    BOTH(unlinked_lives_until_forgotten),
	    BOTH(forgotten_before_release),
	    BOTH(directories),
	    BOTH(slot_of_a_removed_directory),
	    BOTH(rename_replaces_a_known_target),
	    BOTH(rename_checks),
	    BOTH(rename_onto_itself_and_its_link),
	    BOTH(moved_directory_takes_what_is_in_it),
	    BOTH(hard_links),
	    BOTH(temporary_has_one_name),
	    BOTH(link_outlives_knowledge_of_its_directory),
	    BOTH(symbolic_links),
	    BOTH(listing_is_restartable),
	    BOTH(longest_names),
	    BOTH(stale_nodes),
	    BOTH(descriptors_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
