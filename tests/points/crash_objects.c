/* What the control socket and lifetimes do: objects that are complete when they have a name, bound
 * files, flushes, ends. */
#include "tests/points/crash_table.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static long create_with(struct world *w, const struct mapping_attributes *attributes, int *fd,
			char *text)
{
	struct mapping_error error = {0};
	char name[64];
	int rc;

	snprintf(name, sizeof name, "%s/a", w->name);
	rc = mapping_create(w->mount, name, attributes, O_RDWR, fd, &error);
	if (rc < 0)
		snprintf(text, CRASH_TEXT_MAX, "%.100s", error.text);
	if (rc == -EEXIST)
		text[0] = '\0';
	return rc;
}

static long create_mapping(struct world *w, char *text)
{
	return create_with(w,
			   &(struct mapping_attributes){
			       .set_size = true, .size = 20000, .set_mode = true, .mode = 0614},
			   NULL, text);
}

static long create_sparse(struct world *w, char *text)
{
	return create_with(
	    w, &(struct mapping_attributes){.set_size = true, .size = 1 << 30, .sparse = true},
	    NULL, text);
}

static long create_or_open(struct world *w, char *text)
{
	AUTO_CLOSE int fd = -1;

	return create_with(
	    w, &(struct mapping_attributes){.set_size = true, .size = 20000, .existing = true}, &fd,
	    text);
}

static long create_too_large(struct world *w, char *text)
{
	long rc = create_with(w, &(struct mapping_attributes){.set_size = true, .size = 1ULL << 40},
			      NULL, text);

	text[0] = '\0';
	return rc;
}

static long create_temporary(struct world *w, char *text)
{
	return create_with(w,
			   &(struct mapping_attributes){
			       .set_size = true, .size = 20000, .lifetime = MAPPING_TEMPORARY},
			   NULL, text);
}

static long create_used_temporary(struct world *w, char *text)
{
	AUTO_CLOSE int fd = -1;
	long rc = create_with(w,
			      &(struct mapping_attributes){
				  .set_size = true, .size = 20000, .lifetime = MAPPING_TEMPORARY},
			      &fd, text);

	if (rc == 0 && pwrite(fd, "used", 4, 0) != 4)
		return -(long)errno;
	return rc;
}

static long create_event(struct world *w, char *text)
{
	return create_with(
	    w,
	    &(struct mapping_attributes){.type = MAPPING_EVENT, .manual = true, .signaled = true},
	    NULL, text);
}

static long create_semaphore(struct world *w, char *text)
{
	return create_with(
	    w, &(struct mapping_attributes){.type = MAPPING_SEMAPHORE, .initial = 3, .maximum = 7},
	    NULL, text);
}

static long create_owned_mutex(struct world *w, char *text)
{
	AUTO_CLOSE int fd = -1;
	long rc = create_with(w, &(struct mapping_attributes){.type = MAPPING_MUTEX, .owned = true},
			      &fd, text);

	return rc < 0 ? rc : mapping_mutex_release(fd, NULL);
}

static long create_timer(struct world *w, char *text)
{
	return create_with(w, &(struct mapping_attributes){.type = MAPPING_TIMER, .manual = true},
			   NULL, text);
}

static long create_job(struct world *w, char *text)
{
	return create_with(w, &(struct mapping_attributes){.type = MAPPING_JOB}, NULL, text);
}

static long create_killing_job(struct world *w, char *text)
{
	return create_with(w,
			   &(struct mapping_attributes){.type = MAPPING_JOB, .kill_on_close = true},
			   NULL, text);
}

static long bind(struct world *w, struct mapping_attributes attributes, int flags, char *text)
{
	AUTO_CLOSE int file = openat(w->outside, "f", flags | O_CLOEXEC);

	attributes.bind = true;
	attributes.file_fd = file;
	return create_with(w, &attributes, NULL, text);
}

static long bind_file(struct world *w, char *text)
{
	return bind(w, (struct mapping_attributes){0}, O_RDWR, text);
}

static long bind_grown(struct world *w, char *text)
{
	return bind(w, (struct mapping_attributes){.set_size = true, .size = 30000}, O_RDWR, text);
}

static long bind_read_only(struct world *w, char *text)
{
	return bind(w, (struct mapping_attributes){0}, O_RDONLY, text);
}

static long bind_temporary(struct world *w, char *text)
{
	return bind(w, (struct mapping_attributes){.lifetime = MAPPING_TEMPORARY}, O_RDWR, text);
}

static long status(struct world *w, char *text)
{
	AUTO_FREE char *json = NULL;
	struct mapping_error error = {0};
	int rc = mapping_who(w->mount, sys_path(w->sys, "%s/a", w->name), &json, &error);

	(void)text;
	return rc < 0 ? rc : strstr(json, "\"handles\"") != NULL;
}

/* --- use and end --- */

static long flush_by_fsync(struct world *w, char *text)
{
	(void)text;
	if (pwrite(w->fds[0], "flushed", 7, 0) != 7)
		return -(long)errno;
	return fsync(w->fds[0]) < 0 ? -(long)errno : 0;
}

static bool flush_is_told(struct world *w)
{
	AUTO_FREE char *flush = sys_xattr(sys_path(w->sys, "%s/a", w->name), "user.mapping.flush");

	return flush && strncmp(flush, "ok", 2) == 0;
}

static long use_bound(struct world *w, char *text)
{
	int fd = openat(w->dir, "a", O_RDWR | O_CLOEXEC);
	char *view = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)text;
	if (view == MAP_FAILED)
		return -(long)errno;
	close(fd);
	memcpy(view, "stored", 6);
	munmap(view, 4096);
	return BECOMES_TRUE(20, flush_is_told(w)) ? 0 : -ETIME;
}

static bool is_gone(struct world *w)
{
	return faccessat(w->dir, "a", F_OK, 0) < 0 && errno == ENOENT;
}

static long use_passing(struct world *w, char *text)
{
	int fd = openat(w->dir, "a", O_RDWR | O_CLOEXEC);
	char *view = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)text;
	if (view == MAP_FAILED)
		return -(long)errno;
	close(fd);
	memcpy(view, "stored", 6);
	munmap(view, 4096);
	return BECOMES_TRUE(20, is_gone(w)) ? 0 : -ETIME;
}

static long open_a(struct world *w, char *text)
{
	AUTO_CLOSE int fd = openat(w->dir, "a", O_RDWR | O_CLOEXEC);

	(void)text;
	return fd < 0 ? -(long)errno : (long)pwrite(fd, "opened", 6, 0);
}

static long unlink_a(struct world *w, char *text)
{
	(void)text;
	return unlinkat(w->dir, "a", 0) < 0 ? -(long)errno : 0;
}

static long unlink_used(struct world *w, char *text)
{
	long rc = open_a(w, text);

	if (rc == 6)
		rc = unlink_a(w, text);
	return BECOMES_TRUE(20, sys_status_number(w->sys, "bound_files") == 0) ? rc : -ETIME;
}

static long resize_a(struct world *w, char *text)
{
	(void)text;
	return truncate(sys_path(w->sys, "%s/a", w->name), 50000) < 0 ? -(long)errno : 0;
}

const struct crash_operation crash_objects[] = {
    CRASH_ROW("create a mapping", NULL, create_mapping, 0),
    CRASH_ROW("create a mapping where something is", "file a", create_mapping, -EEXIST),
    CRASH_ROW("create a sparse mapping", NULL, create_sparse, 0),
    CRASH_ROW("create or open a mapping", NULL, create_or_open, 0),
    CRASH_ROW("create or open a mapping that is there", "file a; grow a 20000", create_or_open,
	      MAPPING_EXISTED, .unseen = true),
    CRASH_ROW("create a mapping larger than the mount", NULL, create_too_large, -ENOSPC),
    CRASH_ROW("create a temporary mapping", NULL, create_temporary, 0),
    CRASH_ROW("create a temporary mapping, use it", NULL, create_used_temporary, 0, .unseen = true),
    CRASH_ROW("create an event", NULL, create_event, 0),
    CRASH_ROW("create a semaphore", NULL, create_semaphore, 0),
    CRASH_ROW("create an owned mutex, release it", NULL, create_owned_mutex, 0),
    CRASH_ROW("create a timer", NULL, create_timer, 0),
    CRASH_ROW("create a job", NULL, create_job, 0),
    CRASH_ROW("create a job, kill on close", NULL, create_killing_job, 0),
    CRASH_ROW("bind a file", "outside f 10000", bind_file, 0),
    CRASH_ROW("bind a file, grow it", "outside f 10000", bind_grown, 0),
    CRASH_ROW("bind a file read-only", "outside f 10000", bind_read_only, 0),
    CRASH_ROW("bind a file, temporary", "outside f 10000", bind_temporary, 0),
    CRASH_ROW("ask who uses it", "file a; open a", status, 1, .unseen = true),
    CRASH_ROW("fsync a bound file", "outside f 10000; bound a f; open a", flush_by_fsync, 0),
    CRASH_ROW("last view of a bound file", "outside f 10000; bound a f", use_bound, 0,
	      .goes_on = true),
    CRASH_ROW("last view of a temporary object", "temporary a 10000", use_passing, 0,
	      .goes_on = true),
    CRASH_ROW("last handle of a handle-bound object", "handle a 10000", use_passing, 0,
	      .goes_on = true),
    CRASH_ROW("open, write, close a bound file", "outside f 10000; bound a f", open_a, 6),
    CRASH_ROW("unlink a bound file", "outside f 10000; bound a f", unlink_a, 0),
    CRASH_ROW("unlink a bound file in use", "outside f 10000; bound a f; open a", unlink_a, 0),
    CRASH_ROW("use and unlink a bound file", "outside f 10000; bound a f", unlink_used, 0,
	      .goes_on = true),
    CRASH_ROW("unlink a temporary object in use", "temporary a 10000; open a", unlink_a, 0),
    CRASH_ROW("truncate: grow a bound file", "outside f 10000; bound a f", resize_a, 0),
};
const size_t crash_objects_count = ARRAY_SIZE(crash_objects);
