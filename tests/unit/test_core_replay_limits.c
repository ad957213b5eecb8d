/* kill -9 of the worker at every point of an operation in trees with limits: the sums are exact
 * after it, whether the request is sent again or not. */
#include "tests/unit/core_crash_steps.h"
#include "tests/unit/core_limits.h"

#include <linux/fs.h>

/* d, of 12 pages, holds b of 3 and i, of 6 pages, which holds a of 2. */
#define A     f->world->nodes[0]
#define B     f->world->nodes[1]
#define D     f->world->nodes[4]
#define I     f->world->nodes[5]
#define OTHER f->world->nodes[6]

/* --- steps --- */

static uint64_t made_in(struct fixture *f, uint64_t parent, mode_t type, const char *name)
{
	struct core_entry e;

	begin_request(f);
	CHECK((type == S_IFDIR
		   ? core_mkdir(f->core, parent, name, 0755, &root_caller, &e)
		   : core_mknod(f->core, parent, name, type | 0644, &root_caller, &e)) == 0);
	return e.node;
}

static void limited(struct fixture *f, uint64_t node, const char *value)
{
	CHECK(limit_as(f, node, value, 0) == 0);
}

static void prepare_unlimited(struct fixture *f)
{
	D = made_in(f, 1, S_IFDIR, "d");
	I = made_in(f, D, S_IFDIR, "i");
	A = made_in(f, I, S_IFREG, "a");
	B = made_in(f, D, S_IFREG, "b");
	sized(f, A, 2 * PAGE);
	sized(f, B, 3 * PAGE);
}

static void prepare_limits(struct fixture *f)
{
	prepare_unlimited(f);
	limited(f, D, "48k");
	limited(f, I, "24k");
}

static uint64_t charge_of(struct fixture *f, uint64_t node)
{
	char value[32] = "";

	begin_request(f);
	CHECK(core_getxattr(f->core, node, "user.mapping.commit", value, sizeof value) > 0);
	return strtoull(value, NULL, 10);
}

static void charged(struct fixture *f, unsigned inner, unsigned outer)
{
	uint64_t i = charge_of(f, I), d = charge_of(f, D);

	if (i != PAGES(inner) || d != PAGES(outer))
		crash_complain(f, "charged: %lld of %u pages, %lld of %u", (long long)i, inner,
			       (long long)d, outer);
}

static int resized(struct fixture *f, uint64_t node, uint64_t size)
{
	struct stat wanted = {.st_size = (off_t)size}, st;
	double timeout;

	begin_request(f);
	return core_setattr(f->core, node, CORE_SET_SIZE, &wanted, &st, &timeout, NULL, NULL);
}

static void gone_in(struct fixture *f, uint64_t parent, const char *name, uint64_t node)
{
	begin_request(f);
	CHECK(core_unlink(f->core, parent, name) == 0);
	if (node)
		forgotten(f, node, crash_lookups(f, node));
}

static void removed_in(struct fixture *f, uint64_t parent, const char *name, uint64_t node)
{
	begin_request(f);
	CHECK(core_rmdir(f->core, parent, name) == 0);
	forgotten(f, node, crash_lookups(f, node));
}

/* With nothing in them nothing is charged. */
static void give_directories_back(struct fixture *f)
{
	charged(f, 0, 0);
	removed_in(f, D, "i", I);
	CHECK(charge_of(f, D) == 0);
	removed_in(f, 1, "d", D);
}

static void give_back(struct fixture *f)
{
	gone_in(f, I, "a", A);
	gone_in(f, D, "b", B);
	give_directories_back(f);
}

/* --- sizes --- */

static int setattr(struct fixture *f, uint64_t node, uint64_t size)
{
	struct stat wanted = {.st_size = (off_t)size}, st;
	double timeout;

	return core_setattr(f->core, node, CORE_SET_SIZE, &wanted, &st, &timeout, NULL, NULL);
}

static void act_grow(struct fixture *f)
{
	CHECK(setattr(f, A, PAGES(5) - 1) == 0);
}

static void check_five(struct fixture *f)
{
	charged(f, 5, 8);
	CHECK(resized(f, A, PAGES(6) + 1) == -ENOSPC);
	CHECK(resized(f, A, PAGES(6)) == 0);
	charged(f, 6, 9);
	give_back(f);
}

/* Done or not: charged for what it is. */
static void check_exact(struct fixture *f)
{
	struct stat st;
	double timeout;
	unsigned pages;

	begin_request(f);
	CHECK(core_getattr(f->core, A, &st, &timeout) == 0);
	pages = (unsigned)(page_round_up((uint64_t)st.st_size) / PAGE);
	CHECK(pages == 1 || pages == 2 || pages == 5);
	charged(f, pages, pages + 3);
	give_back(f);
}

static void act_refused(struct fixture *f)
{
	CHECK(setattr(f, A, PAGES(7)) == -ENOSPC);
}

static void check_two(struct fixture *f)
{
	charged(f, 2, 5);
	give_back(f);
}

static void act_shrink(struct fixture *f)
{
	CHECK(setattr(f, A, 1) == 0);
}

static void check_one(struct fixture *f)
{
	charged(f, 1, 4);
	give_back(f);
}

static void act_write(struct fixture *f)
{
	static char data[4 * PAGE];

	CHECK(core_write(f->core, A, data, 3 * PAGE - 7, 2 * PAGE) == 3 * PAGE - 7);
}

static void act_fallocate(struct fixture *f)
{
	CHECK(core_fallocate(f->core, A, 0, PAGE, 4 * PAGE) == 0);
}

/* The room is taken while the growth is under way; what its worker had begun is forgotten. */
static void answered(void *context, int error)
{
	*(int *)context = error;
}

static int answer;

static void prepare_large(struct fixture *f)
{
	prepare_unlimited(f);
	limited(f, D, "24m");
	limited(f, I, "22m");
}

static void act_grow_later(struct fixture *f)
{
	struct stat wanted = {.st_size = 18 << 20}, st;
	double timeout;

	answer = 1;
	CHECK(core_setattr(f->core, A, CORE_SET_SIZE, &wanted, &st, &timeout, answered, &answer) ==
	      CORE_DEFERRED);
	CHECK(charge_of(f, I) == 18 << 20);
}

static void check_grown_later(struct fixture *f)
{
	for (int i = 0; i < 5000 && answer == 1; i++)
		serve(f, 1);
	CHECK(answer == 0);
	charged(f, (18 << 20) / PAGE, (18 << 20) / PAGE + 3);
	give_back(f);
}

static void check_not_begun(struct fixture *f)
{
	charged(f, 2, 5);
	give_back(f);
}

static void prepare_fresh(struct fixture *f)
{
	prepare_limits(f);
	CHECK(resized(f, A, 0) == 0);
	forgotten(f, A, 1);
	gone_in(f, I, "a", 0);
	A = made_in(f, I, S_IFREG, "a");
	charged(f, 0, 3);
}

static void act_configure(struct fixture *f)
{
	const struct core_setup setup = {
	    .lifetime = -1, .file_fd = -1, .set_size = true, .sparse = true, .size = PAGES(5)};
	const char *why;

	CHECK(core_configure(f->core, A, &setup, &root_caller, &why) == 0);
}

/* --- inodes come and go --- */

static void act_create(struct fixture *f)
{
	struct core_entry e;

	CHECK(core_mknod(f->core, I, "new", S_IFREG | 0600, &root_caller, &e) == 0);
	OTHER = e.node;
}

static void check_create(struct fixture *f)
{
	charged(f, 2, 5);
	CHECK(resized(f, OTHER, PAGES(5)) == -ENOSPC);
	CHECK(resized(f, OTHER, PAGES(4)) == 0);
	charged(f, 6, 9);
	gone_in(f, I, "new", OTHER);
	give_back(f);
}

static void prepare_forgotten(struct fixture *f)
{
	prepare_limits(f);
	forgotten(f, A, 1);
	charged(f, 2, 5);
}

static void act_lookup(struct fixture *f)
{
	struct core_entry e;

	CHECK(core_lookup(f->core, I, "a", &e) == 0);
	A = e.node;
}

static void check_lookup(struct fixture *f)
{
	charged(f, 2, 5);
	CHECK(resized(f, A, PAGES(7)) == -ENOSPC);
	CHECK(resized(f, A, PAGES(5)) == 0);
	charged(f, 5, 8);
	give_back(f);
}

static void act_unlink(struct fixture *f)
{
	CHECK(core_unlink(f->core, I, "a") == 0);
}

static void check_unlink(struct fixture *f)
{
	charged(f, 2, 5);
	forgotten(f, A, 1);
	charged(f, 0, 3);
	gone_in(f, D, "b", B);
	give_directories_back(f);
}

static void check_unlink_unknown(struct fixture *f)
{
	charged(f, 0, 3);
	gone_in(f, D, "b", B);
	give_directories_back(f);
}

static void prepare_unlinked(struct fixture *f)
{
	prepare_limits(f);
	begin_request(f);
	CHECK(core_unlink(f->core, I, "a") == 0);
}

static void act_forget(struct fixture *f)
{
	core_forget(f->core, A, 1);
}

static void check_forgotten(struct fixture *f)
{
	charged(f, 2, 5);
	gone_in(f, I, "a", 0);
	gone_in(f, D, "b", B);
	give_directories_back(f);
}

static void prepare_target(struct fixture *f)
{
	prepare_limits(f);
	OTHER = made_in(f, I, S_IFREG, "c");
	sized(f, OTHER, PAGE);
}

static void act_rename(struct fixture *f)
{
	CHECK(core_rename(f->core, I, "a", I, "c", 0) == 0);
}

static void check_rename(struct fixture *f)
{
	charged(f, 3, 6);
	forgotten(f, OTHER, 1);
	charged(f, 2, 5);
	gone_in(f, I, "c", A);
	gone_in(f, D, "b", B);
	give_directories_back(f);
}

static void act_rename_away(struct fixture *f)
{
	CHECK(core_rename(f->core, I, "a", D, "a", 0) == -EXDEV);
}

static void prepare_temporary(struct fixture *f)
{
	struct core_opened opened;

	prepare_limits(f);
	CHECK(set_lifetime(f, A, "temporary") == 0);
	begin_request(f);
	CHECK(core_open(f->core, A, O_RDWR, &opened) == 0);
}

static void act_release(struct fixture *f)
{
	core_release(f->core, A, 0);
}

static void check_temporary(struct fixture *f)
{
	charged(f, 0, 3);
	forgotten(f, A, 1);
	gone_in(f, D, "b", B);
	give_directories_back(f);
}

/* --- limits come and go --- */

/* Besides, in i: x of 1 page, forgotten; and j, of 5 pages with a limit of 7, which are y's. */
static void fill(struct fixture *f)
{
	uint64_t x = made_in(f, I, S_IFREG, "x"), j = made_in(f, I, S_IFDIR, "j"),
		 y = made_in(f, j, S_IFREG, "y");

	sized(f, x, PAGE);
	forgotten(f, x, 1);
	limited(f, j, "28k");
	sized(f, y, 5 * PAGE);
	forgotten(f, y, 1);
	OTHER = j;
}

static void empty(struct fixture *f)
{
	CHECK(charge_of(f, OTHER) == PAGES(5));
	gone_in(f, I, "x", 0);
	gone_in(f, OTHER, "y", 0);
	CHECK(charge_of(f, OTHER) == 0);
	removed_in(f, I, "j", OTHER);
}

static bool has_limit(struct fixture *f, uint64_t node)
{
	char value[32];

	begin_request(f);
	return core_getxattr(f->core, node, "user.mapping.limit", value, sizeof value) > 0;
}

static void prepare_filled(struct fixture *f)
{
	prepare_unlimited(f);
	limited(f, D, "48k");
	fill(f);
}

static void prepare_filled_limit(struct fixture *f)
{
	prepare_filled(f);
	limited(f, I, "36k");
}

static void act_set(struct fixture *f)
{
	CHECK(core_setxattr(f->core, I, "user.mapping.limit", "36k", 3, 0, &root_caller) == 0);
}

static void check_set(struct fixture *f)
{
	charged(f, 8, 11);
	CHECK(resized(f, A, PAGES(4)) == -ENOSPC);
	CHECK(resized(f, A, PAGES(3)) == 0);
	charged(f, 9, 12);
	empty(f);
	give_back(f);
}

static void act_remove(struct fixture *f)
{
	CHECK(core_removexattr(f->core, I, "user.mapping.limit") == 0);
}

static void check_removed(struct fixture *f)
{
	CHECK(!has_limit(f, I));
	CHECK(charge_of(f, D) == PAGES(11));
	CHECK(resized(f, A, PAGES(4)) == -ENOSPC);
	CHECK(resized(f, A, PAGES(3)) == 0);
	CHECK(charge_of(f, D) == PAGES(12));
	empty(f);
	gone_in(f, I, "a", A);
	gone_in(f, D, "b", B);
	CHECK(charge_of(f, D) == 0);
	removed_in(f, D, "i", I);
	removed_in(f, 1, "d", D);
}

static void check_set_or_not(struct fixture *f)
{
	(has_limit(f, I) ? check_set : check_removed)(f);
}

static void act_change(struct fixture *f)
{
	CHECK(core_setxattr(f->core, I, "user.mapping.limit", "20k", 3, 0, &root_caller) == 0);
}

static void check_changed(struct fixture *f)
{
	charged(f, 2, 5);
	CHECK(resized(f, A, PAGES(6)) == -ENOSPC);
	CHECK(resized(f, A, PAGES(5)) == 0);
	give_back(f);
}

/* i is removed while a, open, is an orphan of it. */
static void prepare_removed_limit(struct fixture *f)
{
	prepare_unlinked(f);
	begin_request(f);
	CHECK(core_rmdir(f->core, D, "i") == 0);
}

static void act_forget_directory(struct fixture *f)
{
	core_forget(f->core, I, 1);
}

static void check_directory_forgotten(struct fixture *f)
{
	CHECK(charge_of(f, D) == PAGES(5));
	CHECK(resized(f, A, PAGES(9)) == 0);
	CHECK(charge_of(f, D) == PAGES(12));
	CHECK(resized(f, A, PAGES(10)) == -ENOSPC);
	forgotten(f, A, 1);
	CHECK(charge_of(f, D) == PAGES(3));
	gone_in(f, D, "b", B);
	CHECK(charge_of(f, D) == 0);
	removed_in(f, 1, "d", D);
}

#define UNSENT(what, p, a, c)                                                                      \
	{                                                                                          \
		.name = what ", not sent again", .passthrough = true, .unsent = true,              \
		CRASH_STEPS(p, a, c)                                                               \
	}

static const struct crash_case cases[] = {
    BOTH_TREES("grow", prepare_limits, act_grow, check_five),
    UNSENT("grow", prepare_limits, act_grow, check_exact),
    BY_HANDLE("grow too far", prepare_limits, act_refused, check_two),
    BOTH_TREES("shrink", prepare_limits, act_shrink, check_one),
    UNSENT("shrink", prepare_limits, act_shrink, check_exact),
    BOTH_TREES("write", prepare_limits, act_write, check_five),
    UNSENT("write", prepare_limits, act_write, check_exact),
    BY_HANDLE("fallocate", prepare_limits, act_fallocate, check_five),
    BY_HANDLE("grow later", prepare_large, act_grow_later, check_grown_later),
    UNSENT("grow later", prepare_large, act_grow_later, check_not_begun),
    BY_HANDLE("configure", prepare_fresh, act_configure, check_five),
    BOTH_TREES("create", prepare_limits, act_create, check_create),
    BOTH_TREES("lookup", prepare_forgotten, act_lookup, check_lookup),
    BOTH_TREES("unlink", prepare_limits, act_unlink, check_unlink),
    BY_HANDLE("unlink of an unknown one", prepare_forgotten, act_unlink, check_unlink_unknown),
    BOTH_TREES("forget", prepare_limits, act_forget, check_forgotten),
    BOTH_TREES("forget an orphan", prepare_unlinked, act_forget, check_unlink_unknown),
    BOTH_TREES("rename over a file", prepare_target, act_rename, check_rename),
    BY_HANDLE("rename out of the tree", prepare_limits, act_rename_away, check_two),
    BOTH_TREES("end of a temporary one", prepare_temporary, act_release, check_temporary),
    BOTH_TREES("set", prepare_filled, act_set, check_set),
    UNSENT("set", prepare_filled, act_set, check_set_or_not),
    BOTH_TREES("remove", prepare_filled_limit, act_remove, check_removed),
    UNSENT("remove", prepare_filled_limit, act_remove, check_set_or_not),
    BY_HANDLE("change", prepare_limits, act_change, check_changed),
    BOTH_TREES("forget a removed directory", prepare_removed_limit, act_forget_directory,
	       check_directory_forgotten),
    TWICE("start after set", IN_START, prepare_filled, act_set, check_set),
    TWICE("remove again", AGAIN, prepare_filled_limit, act_remove, check_removed),
    TWICE("start after grow", IN_START, prepare_limits, act_grow, check_five),
};

int main(int argc, char **argv)
{
	return crash_main("limits", cases, ARRAY_SIZE(cases), argc > 1 ? argv[1] : NULL);
}
