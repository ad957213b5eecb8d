#include "tests/unit/core_crash_steps.h"

uint64_t made(struct fixture *f, mode_t type, const char *name)
{
	struct core_entry e;

	begin_request(f);
	CHECK((type == S_IFDIR ? core_mkdir(f->core, 1, name, 0755, &root_caller, &e)
			       : core_mknod(f->core, 1, name, type | 0644, &root_caller, &e)) == 0);
	return e.node;
}

void sized(struct fixture *f, uint64_t node, size_t size)
{
	struct stat wanted = {.st_size = (off_t)size}, st;
	double timeout;

	begin_request(f);
	CHECK(core_setattr(f->core, node, CORE_SET_SIZE, &wanted, &st, &timeout, NULL, NULL) == 0);
}

bool stands(struct fixture *f, const char *name, struct stat *st)
{
	AUTO_CLOSE int tree = openat(f->tree_fd, "tree", O_PATH | O_CLOEXEC);

	return fstatat(tree, name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

void gone(struct fixture *f, const char *name)
{
	struct stat st;

	CHECK(!stands(f, name, &st));
}

uint64_t nlink_of(struct fixture *f, uint64_t node)
{
	struct stat st;
	double timeout;

	begin_request(f);
	CHECK(core_getattr(f->core, node, &st, &timeout) == 0);
	return st.st_nlink;
}

void unlinked(struct fixture *f, const char *name)
{
	begin_request(f);
	CHECK(core_unlink(f->core, 1, name) == 0);
}

void removed_directory(struct fixture *f, const char *name)
{
	begin_request(f);
	CHECK(core_rmdir(f->core, 1, name) == 0);
}

void forgotten(struct fixture *f, uint64_t node, uint64_t lookups)
{
	CHECK(crash_lookups(f, node) == lookups);
	begin_request(f);
	core_forget(f->core, node, lookups);
}

void prepare_file(struct fixture *f)
{
	NODE = made(f, S_IFREG, "file");
	sized(f, NODE, PAGE);
}

void prepare_linked(struct fixture *f)
{
	struct core_entry e;

	prepare_file(f);
	begin_request(f);
	CHECK(core_link(f->core, NODE, 1, "second", &e) == 0);
}

void prepare_two(struct fixture *f)
{
	struct stat st;

	prepare_file(f);
	TARGET = made(f, S_IFREG, "target");
	sized(f, TARGET, 2 * PAGE);
	CHECK(stands(f, "file", &st));
	FILE_INO = st.st_ino;
}

void nothing(struct fixture *f)
{
	(void)f;
}

static void run_case(void **state)
{
	crash_run(*state);
}

int crash_main(const char *group, const struct crash_case *cases, size_t count, const char *only)
{
	struct CMUnitTest *tests = calloc(count, sizeof *tests);
	size_t chosen = 0;
	int failed;

	for (size_t i = 0; tests && i < count; i++)
		if (!only || strstr(cases[i].name, only))
			tests[chosen++] = (struct CMUnitTest){
			    .name = cases[i].name,
			    .test_func = run_case,
			    .initial_state = (void *)(uintptr_t)&cases[i],
			};
	failed = _cmocka_run_group_tests(group, tests, chosen, NULL, NULL);
	free(tests);
	return failed;
}
