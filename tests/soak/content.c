/* What objects contain: eight words on each page, made from the object's stamp, the page and the
 * place on it. */
#include "tests/soak/model.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "core/util.h"

enum { WORDS = 8, PAGE = 4096, STEP = PAGE / WORDS / 8 };

const char *name_of(unsigned k)
{
	static char names[4][16];
	static unsigned turn;
	char *name = names[turn++ % 4];

	snprintf(name, sizeof names[0], "f%u", k);
	return name;
}

uint64_t next_stamp(struct load *load)
{
	return ((uint64_t)load->mount << 60 | (uint64_t)load->number << 52) + ++load->stamps;
}

static uint64_t word(const struct entry *entry, unsigned page, unsigned at)
{
	uint64_t z = entry->stamp * 0x9e3779b97f4a7c15ULL + page * 64 + at + 1;

	if (page >= entry->stamped)
		return 0;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	return z ^ z >> 27;
}

static void fill_page(uint64_t *to, const struct entry *entry, unsigned page)
{
	for (unsigned at = 0; at < WORDS; at++)
		to[at * STEP] = word(entry, page, at);
}

static int write_by_view(int fd, const struct entry *entry)
{
	size_t size = (size_t)entry->pages * PAGE;
	uint64_t *view = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (view == MAP_FAILED)
		return -errno;
	for (unsigned page = 0; page < entry->stamped; page++)
		fill_page(view + page * (PAGE / 8), entry, page);
	return neg_errno(munmap(view, size));
}

static int write_by_calls(int fd, const struct entry *entry)
{
	uint64_t page_of[PAGE / 8] = {0};

	for (unsigned page = 0; page < entry->stamped; page++) {
		ssize_t got;

		fill_page(page_of, entry, page);
		got = pwrite(fd, page_of, PAGE, (off_t)page * PAGE);
		if (got != PAGE)
			return got < 0 ? -errno : -EIO;
	}
	return 0;
}

int content_write(int fd, const struct entry *entry, bool by_view)
{
	if (entry->stamped == 0)
		return 0;
	return by_view ? write_by_view(fd, entry) : write_by_calls(fd, entry);
}

static const char *page_check(const uint64_t *is, unsigned page, const struct entry *entry,
			      const struct entry *also)
{
	for (unsigned at = 0; at < WORDS; at++) {
		uint64_t value = is[at * STEP];

		if (value != word(entry, page, at) && !(also && value == word(also, page, at)))
			return value ? "wrong content" : "content is zero";
	}
	return NULL;
}

static const char *check_by_calls(int fd, const struct entry *entry, const struct entry *also)
{
	uint64_t page_of[PAGE / 8];

	for (unsigned page = 0; page < entry->pages; page++) {
		const char *wrong;

		if (pread(fd, page_of, PAGE, (off_t)page * PAGE) != PAGE)
			return "read falls short";
		wrong = page_check(page_of, page, entry, also);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *check_by_view(int fd, const struct entry *entry, const struct entry *also)
{
	size_t size = (size_t)entry->pages * PAGE;
	uint64_t *view = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	const char *wrong = NULL;

	if (view == MAP_FAILED)
		return "cannot be mapped";
	for (unsigned page = 0; page < entry->pages && !wrong; page++)
		wrong = page_check(view + page * (PAGE / 8), page, entry, also);
	if (munmap(view, size) < 0 && !wrong)
		wrong = "cannot be unmapped";
	return wrong;
}

const char *content_check(int fd, const struct entry *entry, const struct entry *also, bool by_view)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return "no attributes";
	if (st.st_size != (off_t)entry->pages * PAGE)
		return "wrong size";
	if (entry->pages == 0)
		return NULL;
	return by_view ? check_by_view(fd, entry, also) : check_by_calls(fd, entry, also);
}

const char *entry_check(int directory, unsigned k, const struct entry *entry,
			const struct entry *also)
{
	AUTO_CLOSE int fd = openat(directory, name_of(k), O_RDONLY | O_CLOEXEC);
	char value[4];

	if (!entry->exists)
		return fd < 0 && errno == ENOENT ? NULL : "is there";
	if (fd < 0)
		return errno == ENOENT ? "is not there" : "cannot be opened";
	if ((fgetxattr(fd, "user.a", value, sizeof value) == 1) != entry->attribute)
		return "wrong attribute";
	return content_check(fd, entry, also, true);
}
