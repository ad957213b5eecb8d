/* Operations on the load's objects: each is in the journal while it is under way. */
#include "tests/soak/load.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static unsigned any_name(void)
{
	return pick(SOAK_NAMES);
}

static uint16_t some_pages(void)
{
	return (uint16_t)(1 + pick(SOAK_PAGES));
}

static int set_size(unsigned k, int fd, uint16_t pages)
{
	struct entry after = me->names[k];
	off_t size = (off_t)pages * (off_t)PAGE_BYTES;

	after.pages = pages;
	if (after.stamped > pages)
		after.stamped = pages;
	journal_name(me, k, &after);
	EXPECT_ROOM(neg_errno(pick(2) ? ftruncate(fd, size) : truncate(name_of(k), size)));
	journal_done(me);
	return 0;
}

static int write_anew(unsigned k, int fd)
{
	struct entry after = me->names[k];

	after.stamp = next_stamp(me);
	after.stamped = after.pages;
	journal_name(me, k, &after);
	EXPECT_OK(content_write(fd, &after, pick(3)));
	journal_done(me);
	return 0;
}

static int check(unsigned k, int fd)
{
	const char *wrong = content_check(fd, &me->names[k], NULL, pick(3));

	if (!wrong)
		return 0;
	soak_violation("mount %u load %u: %s: %s", me->mount, me->number, name_of(k), wrong);
	return 1;
}

static int create(unsigned k)
{
	const struct entry after = {.exists = true};
	AUTO_CLOSE int fd = -1;
	int rc;

	if (me->names[k].exists) {
		fd = open(name_of(k), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
		EXPECT(fd < 0 && errno == EEXIST);
		return 0;
	}
	journal_name(me, k, &after);
	fd = open(name_of(k), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	EXPECT_ROOM(neg_errno(fd));
	journal_done(me);
	rc = set_size(k, fd, some_pages());
	return rc ? rc : write_anew(k, fd);
}

int op_create(void)
{
	return create(any_name());
}

/* Complete, or not there. */
int op_create_object(void)
{
	const unsigned k = any_name();
	const struct entry after = {.exists = true, .pages = some_pages()};
	const struct mapping_attributes attributes = {
	    .set_size = true, .size = after.pages * PAGE_BYTES, .set_mode = true, .mode = 0640};
	AUTO_CLOSE int fd = -1;
	char path[32];

	snprintf(path, sizeof path, "./%s", name_of(k));
	if (me->names[k].exists) {
		EXPECT(mapping_create(mount_of_mine, path, &attributes, O_RDWR, &fd, NULL) ==
		       -EEXIST);
		return 0;
	}
	journal_name(me, k, &after);
	EXPECT_ROOM(mapping_create(mount_of_mine, path, &attributes, O_RDWR, &fd, NULL));
	journal_done(me);
	return pick(2) ? write_anew(k, fd) : check(k, fd);
}

int op_check(void)
{
	const unsigned k = any_name();
	AUTO_CLOSE int fd = open(name_of(k), O_RDONLY | O_CLOEXEC);

	if (!me->names[k].exists) {
		EXPECT(fd < 0 && errno == ENOENT);
		return 0;
	}
	EXPECT(fd >= 0);
	return check(k, fd);
}

int op_rewrite(void)
{
	const unsigned k = any_name();
	AUTO_CLOSE int fd = open(name_of(k), O_RDWR | O_CLOEXEC);

	if (!me->names[k].exists)
		return 0;
	EXPECT(fd >= 0);
	if (write_anew(k, fd))
		return 1;
	if (pick(4) == 0)
		EXPECT_OK(load_flush(fd));
	return check(k, fd);
}

int op_resize(void)
{
	const unsigned k = any_name();
	const struct entry *entry = &me->names[k];
	AUTO_CLOSE int fd = open(name_of(k), O_RDWR | O_CLOEXEC);
	const uint16_t pages = some_pages();
	int rc;

	if (!entry->exists)
		return 0;
	EXPECT(fd >= 0);
	if (pages < entry->pages) { /* refused while it is mapped */
		size_t size = entry->pages * PAGE_BYTES;
		void *view = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

		EXPECT(view != MAP_FAILED);
		EXPECT(ftruncate(fd, (off_t)pages * (off_t)PAGE_BYTES) < 0 && errno == EBUSY);
		EXPECT(munmap(view, size) == 0);
	}
	rc = set_size(k, fd, pages);
	if (rc)
		return rc;
	return pick(2) ? check(k, fd) : write_anew(k, fd);
}

static int remove_name(unsigned k)
{
	const struct entry gone = {0};

	if (!me->names[k].exists) {
		EXPECT(unlink(name_of(k)) < 0 && errno == ENOENT);
		return 0;
	}
	journal_name(me, k, &gone);
	EXPECT(unlink(name_of(k)) == 0);
	journal_done(me);
	return 0;
}

int op_unlink(void)
{
	return remove_name(any_name());
}

/* The name is used anew while the old object is open and mapped. */
int op_unlink_held(void)
{
	const unsigned k = any_name();
	const struct entry old = me->names[k];
	AUTO_CLOSE int fd = open(name_of(k), O_RDWR | O_CLOEXEC);
	struct stat st;
	int rc;

	if (!old.exists)
		return 0;
	EXPECT(fd >= 0);
	rc = remove_name(k);
	if (rc == 0)
		rc = create(k);
	if (rc)
		return rc;
	EXPECT(fstat(fd, &st) == 0 && st.st_nlink == 0);
	EXPECT(content_check(fd, &old, NULL, pick(2)) == NULL);
	return 0;
}

int op_rename(void)
{
	static const unsigned all_flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	const unsigned k = any_name(), l = any_name(), flags = all_flags[pick(3)];
	const struct entry from = me->names[k], to = me->names[l], gone = {0};
	int expected = 0;

	if (!from.exists || (flags == RENAME_EXCHANGE && !to.exists))
		expected = ENOENT;
	else if (flags == RENAME_NOREPLACE && to.exists)
		expected = EEXIST;
	if (expected == 0 && k != l)
		journal_names(me, k, flags == RENAME_EXCHANGE ? &to : &gone, l, &from);
	if (expected) {
		EXPECT(renameat2(AT_FDCWD, name_of(k), AT_FDCWD, name_of(l), flags) < 0 &&
		       errno == expected);
		return 0;
	}
	EXPECT(renameat2(AT_FDCWD, name_of(k), AT_FDCWD, name_of(l), flags) == 0);
	journal_done(me);
	return 0;
}

int op_attribute(void)
{
	const unsigned k = any_name();
	struct entry after = me->names[k];
	char value[8];

	if (!after.exists)
		return 0;
	after.attribute = !after.attribute;
	if (after.attribute)
		EXPECT(removexattr(name_of(k), "user.a") < 0 && errno == ENODATA);
	else
		EXPECT(getxattr(name_of(k), "user.a", value, sizeof value) == 1);
	journal_name(me, k, &after);
	if (after.attribute)
		EXPECT_ROOM(neg_errno(setxattr(name_of(k), "user.a", "v", 1, XATTR_CREATE)));
	else
		EXPECT(removexattr(name_of(k), "user.a") == 0);
	journal_done(me);
	EXPECT(chmod(name_of(k), pick(2) ? 0600 : 0640) == 0);
	return 0;
}

int op_list(void)
{
	unsigned found = 0, expected = 0;
	struct dirent *entry;
	DIR *dir = opendir(".");

	EXPECT(dir);
	while ((errno = 0, entry = readdir(dir)))
		found += entry->d_name[0] == 'f';
	EXPECT(errno == 0);
	closedir(dir);
	for (unsigned k = 0; k < SOAK_NAMES; k++)
		expected += me->names[k].exists;
	EXPECT(found == expected);
	return 0;
}
