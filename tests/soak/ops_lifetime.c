/* Objects that go by themselves, without a name, or by way of a socket. */
#include "tests/soak/load.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "fs/fdpass.h"

static bool is_gone(const char *path)
{
	return access(path, F_OK) < 0 && errno == ENOENT;
}

static int create(const char *path, enum mapping_lifetime lifetime, uint16_t pages, int *fd)
{
	const struct mapping_attributes attributes = {
	    .lifetime = lifetime, .set_size = true, .size = pages * PAGE_BYTES};

	EXPECT_ROOM(mapping_create(mount_of_mine, path, &attributes, O_RDWR, fd, NULL));
	return 0;
}

static struct entry new_content(uint16_t pages)
{
	return (struct entry){
	    .exists = true, .pages = pages, .stamped = pages, .stamp = next_stamp(me)};
}

int op_temporary(void)
{
	AUTO_CLOSE int fd = -1;
	uint64_t *view;
	int rc = create(scratch("temporary"), MAPPING_TEMPORARY, 2, &fd);

	if (rc)
		return rc;
	view = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT(view != MAP_FAILED);
	if (pick(2))
		close(steal_fd(&fd));
	view[PAGE_BYTES / 8] = me->stamps;
	EXPECT(!is_gone(scratch("temporary")));
	EXPECT(view[PAGE_BYTES / 8] == me->stamps);
	EXPECT(munmap(view, 2 * PAGE_BYTES) == 0);
	if (fd >= 0)
		close(steal_fd(&fd));
	EXPECT(BECOMES(is_gone(scratch("temporary"))));
	return 0;
}

/* The name goes with the handle, the view stays; in the cached mode, where the kernel tells of both
 * together, with the view. */
int op_handle_bound(void)
{
	AUTO_CLOSE int fd = -1;
	uint64_t *view;
	int rc = create(scratch("handle"), MAPPING_HANDLE_BOUND, 1, &fd);

	if (rc)
		return rc;
	view = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT(view != MAP_FAILED);
	*view = me->stamps;
	close(steal_fd(&fd));
	if (!common->cached)
		EXPECT(BECOMES(is_gone(scratch("handle"))));
	EXPECT(*view == me->stamps);
	EXPECT(munmap(view, PAGE_BYTES) == 0);
	EXPECT(BECOMES(is_gone(scratch("handle"))));
	return 0;
}

static int open_unnamed(uint16_t pages, int *fd)
{
	if (pick(2))
		return create(NULL, MAPPING_DEFAULT, pages, fd);
	*fd = open("scratch", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	EXPECT_ROOM(neg_errno(*fd));
	EXPECT_ROOM(neg_errno(ftruncate(*fd, pages * (off_t)PAGE_BYTES)));
	return 0;
}

int op_unnamed(void)
{
	const struct entry content = new_content((uint16_t)(1 + pick(8)));
	AUTO_CLOSE int fd = -1;
	struct stat st;
	int rc = open_unnamed(content.pages, &fd);

	if (rc)
		return rc;
	EXPECT(fstat(fd, &st) == 0 && st.st_nlink == 0);
	EXPECT_OK(content_write(fd, &content, pick(2)));
	EXPECT(content_check(fd, &content, NULL, pick(2)) == NULL);
	return 0;
}

static _Noreturn void receive_and_check(int from, const struct entry *content)
{
	AUTO_CLOSE int fd = -1;
	size_t count;
	char byte;

	if (fdpass_receive(from, &byte, 1, 0, &fd, 1, &count, NULL, NULL) != 1 || count != 1)
		_exit(2);
	_exit(content_check(fd, content, NULL, true) ? 1 : 0);
}

/* For a while nobody but the socket holds it. */
int op_passed(void)
{
	const struct entry content = new_content(4);
	AUTO_CLOSE int fd = -1;
	AUTO_CLOSE int here = -1;
	AUTO_CLOSE int there = -1;
	int pair[2], rc = open_unnamed(content.pages, &fd);
	pid_t pid;

	if (rc)
		return rc;
	EXPECT_OK(content_write(fd, &content, true));
	EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	here = pair[0];
	there = pair[1];
	EXPECT_OK(fdpass_send(here, "x", 1, 0, &fd, 1));
	close(steal_fd(&fd));
	usleep(pick(3000));
	pid = load_fork();
	EXPECT(pid >= 0);
	if (pid == 0)
		receive_and_check(there, &content);
	EXPECT_OK(load_wait_child(pid, 0));
	return 0;
}
