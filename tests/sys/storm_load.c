#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/sys/storm_model.h"

struct storm_load *load;
struct model_file files[NAMES];
static bool directories[NAMES];
static uint64_t random_state, stamps;

unsigned pick(unsigned below)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(random_state >> 33) % below;
}

const char *name_of(unsigned k)
{
	static char names[4][16];
	static unsigned turn;
	char *name = names[turn++ % 4];
	snprintf(name, sizeof(names[0]), "f%u", k);
	return name;
}

uint64_t next_stamp(void)
{
	return (uint64_t)load->id << 48 | ++stamps;
}

/* --- contents --- */

static int stamp_pages(int fd, struct model_file *f)
{
	uint64_t stamp = next_stamp();
	char *view = mmap(NULL, f->pages * PAGE, RW, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	for (unsigned p = 0; p < f->pages; p++)
		*(uint64_t *)(void *)(view + p * PAGE) = stamp;
	CHECK(munmap(view, f->pages * PAGE) == 0);
	f->stamp = stamp;
	return 0;
}

static int check_pages(int fd, const struct model_file *f)
{
	struct stat st;
	CHECK(fstat(fd, &st) == 0);
	CHECK(st.st_size == f->pages * PAGE);
	if (f->pages == 0)
		return 0;
	char *view = mmap(NULL, f->pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	for (unsigned p = 0; p < f->pages; p++)
		CHECK(*(uint64_t *)(void *)(view + p * PAGE) == f->stamp);
	CHECK(munmap(view, f->pages * PAGE) == 0);
	return 0;
}

/* --- operations: 0, or 1 after saying what is wrong --- */

static int op_create(unsigned k)
{
	struct model_file *f = &files[k];
	AUTO_CLOSE int fd = open(name_of(k), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

	if (f->exists) {
		CHECK(fd < 0 && errno == EEXIST);
		return 0;
	}
	CHECK(fd >= 0);
	*f = (struct model_file){.exists = true, .pages = 1 + pick(MAX_PAGES)};
	CHECK(ftruncate(fd, f->pages * PAGE) == 0);
	return stamp_pages(fd, f);
}

int op_check(unsigned k)
{
	AUTO_CLOSE int fd = open(name_of(k), O_RDONLY | O_CLOEXEC);

	if (!files[k].exists) {
		CHECK(fd < 0 && errno == ENOENT);
		return 0;
	}
	CHECK(fd >= 0);
	return check_pages(fd, &files[k]);
}

static int op_rewrite(unsigned k)
{
	AUTO_CLOSE int fd = open(name_of(k), O_RDWR | O_CLOEXEC);

	if (!files[k].exists)
		return 0;
	CHECK(fd >= 0);
	CHECK(flock(fd, LOCK_EX | LOCK_NB) == 0);
	if (stamp_pages(fd, &files[k]))
		return 1;
	CHECK(pick(2) ? fsync(fd) == 0 : fdatasync(fd) == 0);
	return check_pages(fd, &files[k]);
}

static int op_resize(unsigned k)
{
	struct model_file *f = &files[k];
	unsigned pages = 1 + pick(MAX_PAGES);

	if (!f->exists)
		return 0;
	AUTO_CLOSE int fd = open(name_of(k), O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	if (pages < f->pages && !load->reference) { /* refused while it is mapped */
		char *view = mmap(NULL, f->pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);
		CHECK(view != MAP_FAILED);
		CHECK(ftruncate(fd, pages * PAGE) == -1 && errno == EBUSY);
		CHECK(munmap(view, f->pages * PAGE) == 0);
	}
	CHECK((pick(2) ? ftruncate(fd, pages * PAGE) : truncate(name_of(k), pages * PAGE)) == 0);
	f->pages = pages;
	return stamp_pages(fd, f);
}

static int op_unlink(unsigned k)
{
	int rc = unlink(name_of(k));

	CHECK(files[k].exists ? rc == 0 : rc < 0 && errno == ENOENT);
	files[k].exists = false;
	return 0;
}

static int op_unlink_held(unsigned k)
{
	struct model_file old = files[k];
	struct stat st;

	if (!old.exists)
		return 0;
	AUTO_CLOSE int fd = open(name_of(k), O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	char *view = mmap(NULL, old.pages * PAGE, RW, MAP_SHARED, fd, 0);
	CHECK(view != MAP_FAILED);
	if (op_unlink(k) || op_create(k)) /* the name anew at once */
		return 1;
	CHECK(*(uint64_t *)(void *)view == old.stamp);
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0);
	CHECK(munmap(view, old.pages * PAGE) == 0);
	return check_pages(fd, &old);
}

static int op_rename(unsigned k)
{
	static const unsigned flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	unsigned l = pick(NAMES), flag = flags[pick(3)];
	struct model_file from = files[k], to = files[l];
	int rc = renameat2(AT_FDCWD, name_of(k), AT_FDCWD, name_of(l), flag);

	if (!from.exists || (flag == RENAME_EXCHANGE && !to.exists)) {
		CHECK(rc < 0 && errno == ENOENT);
		return 0;
	}
	if (flag == RENAME_NOREPLACE && to.exists) {
		CHECK(rc < 0 && errno == EEXIST);
		return 0;
	}
	CHECK(rc == 0);
	if (k == l)
		return 0;
	files[l] = from;
	files[k] = to;
	files[k].exists = flag == RENAME_EXCHANGE;
	return 0;
}

static int op_link(unsigned k)
{
	struct stat st;
	int rc = link(name_of(k), "hard");

	if (!files[k].exists) {
		CHECK(rc < 0 && errno == ENOENT);
		return 0;
	}
	CHECK(rc == 0);
	CHECK(stat(name_of(k), &st) == 0 && st.st_nlink == 2);
	CHECK(link(name_of(k), "hard") < 0 && errno == EEXIST);
	CHECK(unlink("hard") == 0);
	CHECK(stat(name_of(k), &st) == 0 && st.st_nlink == 1);
	return 0;
}

static int op_symlink(unsigned k)
{
	char target[32] = "";

	CHECK(symlink(name_of(k), "soft") == 0);
	CHECK(readlink("soft", target, sizeof(target)) == (ssize_t)strlen(name_of(k)));
	CHECK(access("soft", F_OK) == (files[k].exists ? 0 : -1));
	CHECK(unlink("soft") == 0);
	return 0;
}

static int op_directory(unsigned k)
{
	char name[16];

	snprintf(name, sizeof(name), "d%u", k);
	if (directories[k]) {
		CHECK(mkdir(name, 0755) < 0 && errno == EEXIST);
		CHECK(rmdir(name) == 0);
	} else {
		CHECK(rmdir(name) < 0 && errno == ENOENT);
		CHECK(mkdir(name, 0755) == 0);
	}
	directories[k] = !directories[k];
	return 0;
}

static int op_attribute(unsigned k)
{
	struct model_file *f = &files[k];
	char value[8];

	if (!f->exists)
		return 0;
	if (f->attribute) {
		CHECK(setxattr(name_of(k), "user.a", "v", 1, XATTR_CREATE) < 0 && errno == EEXIST);
		CHECK(getxattr(name_of(k), "user.a", value, sizeof(value)) == 1);
		CHECK(removexattr(name_of(k), "user.a") == 0);
	} else {
		CHECK(removexattr(name_of(k), "user.a") < 0 && errno == ENODATA);
		CHECK(setxattr(name_of(k), "user.a", "v", 1, XATTR_CREATE) == 0);
	}
	f->attribute = !f->attribute;
	CHECK(chmod(name_of(k), 0600) == 0);
	return 0;
}

static int op_list(unsigned unused)
{
	unsigned found = 0, expected = 0;
	struct dirent *e;
	DIR *d = opendir(".");

	(void)unused;
	CHECK(d);
	while ((errno = 0, e = readdir(d)))
		found += e->d_name[0] == 'f' || e->d_name[0] == 'd';
	CHECK(errno == 0);
	closedir(d);
	for (unsigned k = 0; k < NAMES; k++)
		expected += (unsigned)files[k].exists + (unsigned)directories[k];
	CHECK(found == expected);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(unsigned k);
	unsigned weight;
} operations[] = {
    {"create", op_create, 6},       {"check", op_check, 6},
    {"rewrite", op_rewrite, 4},     {"resize", op_resize, 2},
    {"unlink", op_unlink, 2},       {"unlink_held", op_unlink_held, 2},
    {"rename", op_rename, 3},       {"link", op_link, 2},
    {"symlink", op_symlink, 2},     {"directory", op_directory, 2},
    {"attribute", op_attribute, 2}, {"list", op_list, 2},
    {"object", op_object, 2},       {"temporary", op_temporary, 1},
    {"bound", op_bound, 1},         {"status", op_status, 1},
    {"lock", op_lock, 3},           {"mapctl", op_mapctl, 1},
};

static int one_operation(void)
{
	unsigned all = 0, chosen, i = 0;

	for (size_t o = 0; o < ARRAY_SIZE(operations); o++)
		all += operations[o].weight;
	for (chosen = pick(all); chosen >= operations[i].weight; i++)
		chosen -= operations[i].weight;
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	int rc = operations[i].run(pick(NAMES));
	uint64_t took = clock_ns(CLOCK_MONOTONIC) - begin;
	if (took > load->storm->longest_ns[load->id]) {
		load->storm->longest_ns[load->id] = took;
		load->storm->longest[load->id] = operations[i].name;
	}
	return rc;
}

static int check_and_remove_all(void)
{
	if (op_list(0))
		return 1;
	for (unsigned k = 0; k < NAMES; k++) {
		if (op_check(k) || op_unlink(k))
			return 1;
		if (directories[k] && op_directory(k))
			return 1;
	}
	return op_list(0);
}

int storm_load_run(void *context)
{
	char directory[256];

	load = context;
	random_state = load->id * 7919 + 1;
	snprintf(directory, sizeof(directory), "%s/load%u", load->mnt, load->id);
	if (load->uid) {
		CHECK(setresgid(load->uid, load->uid, load->uid) == 0);
		CHECK(setresuid(load->uid, load->uid, load->uid) == 0);
	}
	CHECK(chdir(directory) == 0);
	while (!load->storm->stop) {
		if (one_operation())
			return 1;
		load->storm->rounds[load->id]++;
	}
	return check_and_remove_all();
}
