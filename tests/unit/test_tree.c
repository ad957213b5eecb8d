/* The backing tree itself: inodes found by handle and by place, orphans kept and swept. */
#include "core/tree.h"
#include "tests/unit/core_fixture.h"

struct box {
	struct fixture *f; /* for its tree and state area; no core runs */
	struct state state;
	struct tree tree;
	int tree_fd; /* of "tree" */
};

static int setup_with(void **state, bool by_handle)
{
	struct box *box = calloc(1, sizeof *box);
	struct slot *root;
	struct stat st;

	alarm(30);
	box->f = fixture_new(false, !by_handle);
	if (state_open(&box->state, box->f->config.state_fd, 0) < 0 ||
	    tree_open(&box->tree, box->f->tree_fd, &box->state, by_handle) < 0)
		return -1;
	box->tree_fd = openat(box->f->tree_fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	root = &box->state.slots[1];
	fstat(box->tree_fd, &st);
	root->flags = SLOT_DIRECTORY;
	root->ino = st.st_ino;
	box->state.header->high = 100;
	*state = box;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, true);
}

static int setup_by_place(void **state)
{
	return setup_with(state, false);
}

static int teardown(void **state)
{
	struct box *box = *state;
	size_t before = box->f->fds_before;

	close(box->tree_fd);
	tree_close(&box->tree);
	state_close(&box->state);
	fixture_free(box->f);
	free(box);
	return open_fds() == before ? 0 : -1;
}

/* Slot `index` becomes what stands under the name. */
static struct slot *identify(struct box *box, uint32_t index, int dirfd, uint64_t parent,
			     const char *name)
{
	struct slot *slot = &box->state.slots[index];
	struct stat st;

	slot->generation = 1;
	assert_int_equal(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(tree_identify(&box->tree, slot, dirfd, name, &st), 0);
	tree_moved(&box->tree, slot, parent, name);
	assert_int_equal(slot->ino, st.st_ino);
	return slot;
}

static uint64_t node_of(struct box *box, struct slot *slot)
{
	return state_node(&box->state, slot);
}

static void make_file_at(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static bool is_found(struct box *box, struct slot *slot)
{
	struct stat st;

	return tree_stat(&box->tree, slot, &st) == 0 && st.st_ino == slot->ino;
}

static void found_again(void **state)
{
	struct box *box = *state;
	struct slot *dir, *file, *link;
	int dirfd;

	assert_int_equal(mkdirat(box->tree_fd, "dir", 0700), 0);
	dir = identify(box, 2, box->tree_fd, 1, "dir");
	assert_int_equal(dir->flags, SLOT_DIRECTORY);
	dirfd = tree_directory(&box->tree, dir);
	assert_true(dirfd >= 0);
	make_file_at(dirfd, "file");
	file = identify(box, 3, dirfd, node_of(box, dir), "file");
	assert_int_equal(file->flags, SLOT_REGULAR);
	assert_int_equal(symlinkat("file", dirfd, "link"), 0);
	link = identify(box, 4, dirfd, node_of(box, dir), "link");
	assert_int_equal(link->flags, 0);
	assert_true(is_found(box, dir) && is_found(box, file) && is_found(box, link));
	assert_int_equal(tree_directory(&box->tree, file), -ENOTDIR);
	tree_forget(&box->tree, dir);
	assert_true(is_found(box, file));
	file->flags |= SLOT_DEAD;
	assert_int_equal(tree_open_inode(&box->tree, file, O_RDONLY), -ESTALE);
}

/* Another inode under the old name is not mistaken for it. */
static void replaced_is_stale(void **state)
{
	struct box *box = *state;
	struct slot *file;

	make_file_at(box->tree_fd, "file");
	file = identify(box, 2, box->tree_fd, 1, "file");
	make_file_at(box->tree_fd, "other");
	assert_int_equal(renameat(box->tree_fd, "other", box->tree_fd, "file"), 0);
	assert_int_equal(tree_open_inode(&box->tree, file, O_RDONLY), -ESTALE);
	assert_int_equal(unlinkat(box->tree_fd, "file", 0), 0);
	assert_int_equal(tree_open_inode(&box->tree, file, O_RDONLY), -ESTALE);
}

static void moved(void **state)
{
	struct box *box = *state;
	struct slot *file;

	make_file_at(box->tree_fd, "file");
	file = identify(box, 2, box->tree_fd, 1, "file");
	assert_int_equal(renameat(box->tree_fd, "file", box->tree_fd, "moved"), 0);
	tree_moved(&box->tree, file, 1, "moved");
	assert_true(is_found(box, file));
}

static bool keep_even(void *context, uint64_t node)
{
	(*(unsigned *)context)++;
	return node % 2 == 0;
}

static void orphans(void **state)
{
	struct box *box = *state;
	struct slot *slots[4];
	unsigned asked = 0;
	char name[8];

	for (uint32_t i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "%u", i);
		if (i < 2)
			make_file_at(box->tree_fd, name);
		else
			assert_int_equal(mkdirat(box->tree_fd, name, 0700), 0);
		slots[i] = identify(box, 10 + i, box->tree_fd, 1, name);
		assert_int_equal(
		    tree_orphan_move(&box->tree, node_of(box, slots[i]), box->tree_fd, name), 0);
		assert_int_equal(faccessat(box->tree_fd, name, F_OK, 0), -1);
		assert_true(is_found(box, slots[i]));
	}
	assert_int_equal(count_orphans(box->f), 4);
	assert_int_equal(tree_orphan_sweep(&box->tree, keep_even, &asked), 0);
	assert_int_equal(asked, 4);
	assert_int_equal(count_orphans(box->f), 2);
	assert_int_equal(tree_orphan_remove(&box->tree, node_of(box, slots[0]), false), 0);
	assert_int_equal(tree_orphan_remove(&box->tree, node_of(box, slots[0]), false), 0);
	assert_int_equal(tree_orphan_sweep(&box->tree, NULL, NULL), 0);
	assert_int_equal(count_orphans(box->f), 0);
}

static void orphan_by_link(void **state)
{
	struct box *box = *state;
	struct slot *file;

	make_file_at(box->tree_fd, "file");
	file = identify(box, 10, box->tree_fd, 1, "file");
	assert_int_equal(tree_orphan_link(&box->tree, node_of(box, file), box->tree_fd, "file"), 0);
	assert_int_equal(tree_orphan_link(&box->tree, node_of(box, file), box->tree_fd, "file"), 0);
	assert_int_equal(unlinkat(box->tree_fd, "file", 0), 0);
	assert_true(is_found(box, file));
	assert_int_equal(tree_orphan_remove(&box->tree, node_of(box, file), false), 0);
	assert_false(is_found(box, file));
}

/* As deep as paths go, and deeper. */
static void deep(void **state)
{
	struct box *box = *state;
	char name[NAME_MAX + 1];
	int dirfd = box->tree_fd;
	uint64_t parent = 1;
	struct slot *slot = NULL;

	memset(name, 'd', NAME_MAX);
	name[NAME_MAX] = '\0';
	for (uint32_t i = 0; i < 15; i++) {
		assert_int_equal(mkdirat(dirfd, name, 0700), 0);
		slot = identify(box, 10 + i, dirfd, parent, name);
		parent = node_of(box, slot);
		dirfd = tree_directory(&box->tree, slot);
		assert_true(dirfd >= 0);
	}
	for (uint32_t i = 0; i < 15; i++)
		tree_forget(&box->tree, &box->state.slots[10 + i]);
	assert_true(is_found(box, slot));
}

static void opened_twice(void **state)
{
	struct box *box = *state;
	struct slot *file;

	make_file_at(box->tree_fd, "file");
	file = identify(box, 10, box->tree_fd, 1, "file");
	tree_close(&box->tree);
	assert_int_equal(tree_open(&box->tree, box->f->tree_fd, &box->state, box->tree.by_handle),
			 0);
	assert_true(is_found(box, file));
}

#define BOTH(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, setup, teardown),                                    \
	    cmocka_unit_test_setup_teardown(name, setup_by_place, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOTH(found_again),  BOTH(replaced_is_stale), BOTH(moved),
	    BOTH(orphans),      BOTH(orphan_by_link),    BOTH(deep),
	    BOTH(opened_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
