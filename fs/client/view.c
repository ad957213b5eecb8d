/* Views: mmap(2) with its conditions checked, so that an error says which was not met. */
#include "fs/client/internal.h"

#include "core/util.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define ACCESS_ALL                                                                                 \
	(unsigned)(MAPPING_READ | MAPPING_WRITE | MAPPING_EXECUTE | MAPPING_COPY | MAPPING_FIXED)

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int check_arguments(uint64_t offset, size_t length, unsigned access, const void *address,
			   struct mapping_error *error)
{
	const uint64_t page = page_size();

	if ((access & ~ACCESS_ALL) || !(access & (MAPPING_READ | MAPPING_WRITE | MAPPING_EXECUTE)))
		return mapping_fail(error, EINVAL,
				    "say what the view is for: MAPPING_READ, _WRITE or _EXECUTE");
	if (offset % page)
		return mapping_fail(error, EINVAL,
				    "the offset is not a multiple of the page size, %llu",
				    (unsigned long long)page);
	if ((access & MAPPING_FIXED) && (!address || (uintptr_t)address % page))
		return mapping_fail(error, EINVAL,
				    "a fixed address is a multiple of the page size, %llu, and not "
				    "NULL",
				    (unsigned long long)page);
	if (length > SIZE_MAX - page)
		return mapping_fail(error, EINVAL, "the view is longer than memory");
	return 0;
}

/* How long a view may be from offset on: to the end of the object's last page. */
static int check_range(int fd, uint64_t offset, size_t *length, struct mapping_error *error)
{
	const uint64_t page = page_size();
	uint64_t size, end;
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return mapping_fail_errno(error, errno, "cannot look at it");
	size = (uint64_t)st.st_size;
	end = (size + page - 1) & ~(page - 1);
	if (!size) {
		rc = mapping_check_type(fd, MAPPING_MAPPING, error);
		if (rc)
			return rc == -EINVAL ? mapping_fail(error, ENODEV,
							    "this has no pages to map; open a "
							    "mapping")
					     : rc;
		return mapping_fail(error, EINVAL,
				    "the object is empty; give it a size by ftruncate(2)");
	}
	if (offset >= size)
		return mapping_fail(error, EINVAL, "the object has %llu bytes and ends before",
				    (unsigned long long)size);
	if (!*length)
		*length = (size_t)(size - offset);
	if (*length > end - offset)
		return mapping_fail(error, EINVAL,
				    "the object has %llu bytes: the view would end beyond it",
				    (unsigned long long)size);
	return 0;
}

static int fail_to_map(int fd, unsigned access, int code, struct mapping_error *error)
{
	const int mode = fcntl(fd, F_GETFL) & O_ACCMODE;

	switch (code) {
	case EACCES:
		if (mode == O_WRONLY)
			return mapping_fail(error, code,
					    "this handle cannot read, and a view needs that; open "
					    "it with O_RDONLY or O_RDWR");
		return mapping_fail(error, code,
				    "this handle is for reading: it allows no shared view for "
				    "writing; open it with O_RDWR, or map with MAPPING_COPY");
	case EEXIST:
		return mapping_fail(error, code,
				    "something is mapped at this address; choose another");
	case EPERM:
		return mapping_fail(error, code,
				    access & MAPPING_EXECUTE
					? "execution is not allowed: the mount is noexec"
					: "the view is not permitted");
	case ENODEV:
		return mapping_fail(error, code, "this has no pages to map; open a mapping");
	case ENOMEM:
		return mapping_fail(error, code,
				    "no room for the view: address space, memory or the number of "
				    "views of this process is at its limit");
	default:
		return mapping_fail_errno(error, code, "cannot map it");
	}
}

int mapping_map(int fd, uint64_t offset, size_t length, unsigned access, void *address, void **view,
		size_t *mapped, struct mapping_error *error)
{
	const int protection = (access & MAPPING_READ ? PROT_READ : 0) |
			       (access & MAPPING_WRITE ? PROT_WRITE : 0) |
			       (access & MAPPING_EXECUTE ? PROT_EXEC : 0);
	const int flags = (access & MAPPING_COPY ? MAP_PRIVATE : MAP_SHARED) |
			  (access & MAPPING_FIXED ? MAP_FIXED_NOREPLACE : 0);
	void *at;
	int rc;

	*view = NULL;
	rc = check_arguments(offset, length, access, address, error);
	if (!rc)
		rc = check_range(fd, offset, &length, error);
	if (rc)
		return rc;
	at = mmap(address, length, protection, flags, fd, (off_t)offset);
	if (at == MAP_FAILED)
		return fail_to_map(fd, access, errno, error);
	if ((access & MAPPING_FIXED) && at != address) { /* before Linux 4.17 it is a hint */
		munmap(at, length);
		return fail_to_map(fd, access, EEXIST, error);
	}
	*view = at;
	if (mapped)
		*mapped = length;
	return 0;
}

int mapping_unmap(void *view, size_t length, struct mapping_error *error)
{
	if (!view || !length || munmap(view, length) < 0)
		return mapping_fail_errno(error, view && length ? errno : EINVAL,
					  "this is not a view as it was mapped");
	return 0;
}

int mapping_flush_view(const void *view, size_t length, struct mapping_error *error)
{
	const uintptr_t start = (uintptr_t)view & ~(uintptr_t)(page_size() - 1);

	if (msync((void *)start, length + ((uintptr_t)view - start), MS_SYNC) == 0)
		return 0;
	if (errno == ENOMEM || errno == EINVAL)
		return mapping_fail(error, EINVAL, "not all of this is mapped");
	return mapping_fail(error, errno,
			    "flushing failed: %s; its pages are kept and it is tried again",
			    strerrordesc_np(errno));
}
