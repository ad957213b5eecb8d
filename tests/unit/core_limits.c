#include "tests/unit/core_limits.h"

#include <ftw.h>

int limit_as(struct fixture *f, uint64_t node, const char *value, uid_t uid)
{
	const struct core_caller caller = {.uid = uid, .gid = uid, .umask = 022};

	begin_request(f);
	return core_setxattr(f->core, node, "user.mapping.limit", value, strlen(value), 0, &caller);
}

int unlimit_as(struct fixture *f, uint64_t node, uid_t uid)
{
	int rc;

	begin_request(f);
	core_request_from(f->core, uid, 0);
	rc = core_removexattr(f->core, node, "user.mapping.limit");
	core_request_from(f->core, 0, 0);
	return rc;
}

void limit_to(struct fixture *f, uint64_t node, uint64_t bytes)
{
	char value[24];

	snprintf(value, sizeof value, "%llu", (unsigned long long)bytes);
	assert_int_equal(limit_as(f, node, value, 0), 0);
}

uint64_t limited_dir(struct fixture *f, uint64_t parent, const char *name, uint64_t bytes)
{
	uint64_t node = make_dir(f, parent, name);

	limit_to(f, node, bytes);
	return node;
}

uint64_t charged_to(struct fixture *f, uint64_t node)
{
	char value[64];

	get_attribute(f, node, "user.mapping.commit", value, sizeof value);
	return strtoull(value, NULL, 10);
}

struct statvfs space_of(struct fixture *f, uint64_t node)
{
	struct statvfs st;

	assert_int_equal(core_statfs(f->core, node, &st), 0);
	return st;
}

uint64_t available_in(struct fixture *f, uint64_t node)
{
	struct statvfs st = space_of(f, node);

	return st.f_bavail * st.f_frsize;
}

/* --- what is there --- */

static uint64_t total;
static ino_t seen[512];
static size_t seen_count;

static int add_size(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)type;
	(void)ftw;
	if (!S_ISREG(st->st_mode))
		return 0;
	for (size_t i = 0; i < seen_count; i++)
		if (seen[i] == st->st_ino)
			return 0;
	if (seen_count == ARRAY_SIZE(seen))
		abort();
	seen[seen_count++] = st->st_ino;
	total += page_round_up((uint64_t)st->st_size);
	return 0;
}

uint64_t lies_below(struct fixture *f, const char *path)
{
	char whole[256];

	total = 0;
	seen_count = 0;
	snprintf(whole, sizeof whole, "/proc/self/fd/%d/tree/%s", f->tree_fd, path);
	if (nftw(whole, add_size, 16, FTW_PHYS) != 0)
		abort();
	return total;
}

/* --- requests --- */

int write_at(struct fixture *f, uint64_t node, size_t bytes, uint64_t offset)
{
	static char data[1 << 20];

	begin_request(f);
	return core_write(f->core, node, data, bytes, (off_t)offset);
}

int rename_to(struct fixture *f, uint64_t from, const char *name, uint64_t to, const char *new_name,
	      unsigned flags)
{
	begin_request(f);
	return core_rename(f->core, from, name, to, new_name, flags);
}

int link_to(struct fixture *f, uint64_t node, uint64_t parent, const char *name)
{
	struct core_entry entry;

	begin_request(f);
	return core_link(f->core, node, parent, name, &entry);
}

void remove_dir(struct fixture *f, uint64_t parent, const char *name)
{
	begin_request(f);
	assert_int_equal(core_rmdir(f->core, parent, name), 0);
}

static void take_answer(void *context, int error)
{
	struct growth *growth = context;

	growth->answered = true;
	growth->error = error;
}

void start_growth(struct fixture *f, uint64_t node, uint64_t size, struct growth *growth)
{
	struct stat wanted = {.st_size = (off_t)size}, st;
	double timeout;
	int rc;

	*growth = (struct growth){0};
	begin_request(f);
	rc =
	    core_setattr(f->core, node, CORE_SET_SIZE, &wanted, &st, &timeout, take_answer, growth);
	growth->deferred = rc == CORE_DEFERRED;
	if (!growth->deferred)
		take_answer(growth, rc);
}
