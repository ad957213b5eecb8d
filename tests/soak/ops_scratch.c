/* Operations in the load's scratch directory, which is empty before and after: directories, links,
 * limits, bound files. */
#include "tests/soak/load.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

static int make_file(const char *path, off_t size)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	EXPECT_ROOM(neg_errno(fd));
	EXPECT_ROOM(neg_errno(ftruncate(fd, size)));
	return 0;
}

int op_tree(void)
{
	const unsigned files = 1 + pick(6);
	struct stat st;
	int rc;

	EXPECT_ROOM(neg_errno(mkdir(scratch("d"), 0755)));
	EXPECT_ROOM(neg_errno(mkdir(scratch("d/e"), 0700)));
	for (unsigned i = 0; i < files; i++) {
		rc = make_file(scratch("d/e/%u", i), 100);
		if (rc)
			return rc;
	}
	EXPECT(rmdir(scratch("d/e")) < 0 && errno == ENOTEMPTY);
	EXPECT(mkdir(scratch("d"), 0755) < 0 && errno == EEXIST);
	EXPECT_ROOM(neg_errno(rename(scratch("d/e"), scratch("moved"))));
	EXPECT(stat(scratch("d/e/0"), &st) < 0 && errno == ENOENT);
	for (unsigned i = 0; i < files; i++) {
		EXPECT(stat(scratch("moved/%u", i), &st) == 0 && st.st_size == 100);
		EXPECT(unlink(scratch("moved/%u", i)) == 0);
	}
	EXPECT(rmdir(scratch("moved")) == 0);
	EXPECT(rmdir(scratch("d")) == 0);
	return 0;
}

int op_links(void)
{
	char target[32] = "";
	struct stat st;
	int rc = make_file(scratch("a"), 5000);

	if (rc)
		return rc;
	EXPECT_ROOM(neg_errno(link(scratch("a"), scratch("b"))));
	EXPECT(stat(scratch("a"), &st) == 0 && st.st_nlink == 2);
	EXPECT(link(scratch("a"), scratch("b")) < 0 && errno == EEXIST);
	EXPECT(unlink(scratch("a")) == 0);
	EXPECT(stat(scratch("b"), &st) == 0 && st.st_nlink == 1 && st.st_size == 5000);
	EXPECT_ROOM(neg_errno(symlink("b", scratch("s"))));
	EXPECT(readlink(scratch("s"), target, sizeof target) == 1 && target[0] == 'b');
	EXPECT(stat(scratch("s"), &st) == 0 && st.st_size == 5000);
	EXPECT(unlink(scratch("b")) == 0);
	EXPECT(unlink(scratch("s")) == 0);
	return 0;
}

/* A directory of eight pages holds eight pages, however often the worker dies meanwhile. */
int op_limit(void)
{
	struct statvfs fs;
	int rc;

	EXPECT_ROOM(neg_errno(mkdir(scratch("l"), 0700)));
	EXPECT_OK(mapping_set_limit(mount_of_mine, scratch("l"), 8 * PAGE_BYTES, NULL));
	for (unsigned turn = 0; turn < 3; turn++) {
		rc = make_file(scratch("l/a"), 5 * PAGE_BYTES);
		if (rc == 0)
			rc = make_file(scratch("l/b"), 0);
		if (rc)
			return rc;
		EXPECT(truncate(scratch("l/b"), 4 * PAGE_BYTES) < 0 && errno == ENOSPC);
		EXPECT_ROOM(neg_errno(truncate(scratch("l/b"), 3 * PAGE_BYTES)));
		EXPECT(statvfs(scratch("l"), &fs) == 0 && fs.f_bavail == 0);
		EXPECT(unlink(scratch("l/a")) == 0 && unlink(scratch("l/b")) == 0);
		EXPECT(BECOMES(statvfs(scratch("l"), &fs) == 0 &&
			       fs.f_bavail * fs.f_frsize == 8 * PAGE_BYTES));
	}
	EXPECT(rmdir(scratch("l")) == 0);
	return 0;
}

/* --- bound files --- */

static int bind_file(const char *file, const char *object, uint16_t pages, int *plain, int *fd)
{
	struct mapping_attributes attributes = {
	    .set_size = true, .size = pages * PAGE_BYTES, .bind = true};

	*plain = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	EXPECT(*plain >= 0);
	attributes.file_fd = *plain;
	EXPECT_ROOM(mapping_create(mount_of_mine, object, &attributes, O_RDWR, fd, NULL));
	return 0;
}

static const char *bound_file(void)
{
	static char path[SOAK_PATH + 32];

	snprintf(path, sizeof path, "%s/bound%u", common->files, me->number);
	return path;
}

int op_bound(void)
{
	const struct entry content = {
	    .exists = true, .pages = 3, .stamped = 3, .stamp = next_stamp(me)};
	AUTO_CLOSE int plain = -1;
	AUTO_CLOSE int fd = -1;
	int rc = bind_file(bound_file(), scratch("bound"), 3, &plain, &fd);

	if (rc)
		return rc;
	EXPECT_OK(content_write(fd, &content, pick(2)));
	EXPECT_OK(load_flush(fd));
	EXPECT(content_check(plain, &content, NULL, false) == NULL);
	EXPECT(content_check(fd, &content, NULL, true) == NULL);
	EXPECT(unlink(scratch("bound")) == 0);
	return 0;
}

static bool is_flushed(const char *path)
{
	char text[96] = "";

	return getxattr(path, "user.mapping.flush", text, sizeof text - 1) > 0 &&
	       strncmp(text, "ok", 2) == 0;
}

/* Flushed without being asked. */
int op_bound_last_view(void)
{
	const struct entry content = {
	    .exists = true, .pages = 2, .stamped = 2, .stamp = next_stamp(me)};
	AUTO_CLOSE int plain = -1;
	AUTO_CLOSE int fd = -1;
	int rc = bind_file(bound_file(), scratch("bound"), 2, &plain, &fd);

	if (rc)
		return rc;
	EXPECT_OK(content_write(fd, &content, true));
	EXPECT(close(steal_fd(&fd)) == 0);
	EXPECT(BECOMES(is_flushed(scratch("bound"))));
	EXPECT(content_check(plain, &content, NULL, true) == NULL);
	EXPECT(unlink(scratch("bound")) == 0);
	return 0;
}
