/* Named objects of a mappingfs mount, from C: mappings, and objects to wait on.
 *
 * An object is a file: once it is open, mmap(2), ftruncate(2), fsync(2), read(2), write(2),
 * poll(2), close(2) and unlink(2) are all there is to know, and programs that only use existing
 * objects do not need this library. It does what plain calls cannot say: create an object with its
 * attributes before anybody sees the name, bind it to a file, take a name only if it means the type
 * wanted, wait with a time-out and for several objects, ask who uses it.
 *
 * Errors: functions return 0 (or what they say) or a negative errno value; with `error` not NULL
 * they also tell what, why and what to do, in a sentence without the object's name. errno is not
 * used. What was allocated or opened on the way is gone again after an error.
 *
 * Names: a name that is absolute or begins with "./" or "../" is a path, and must lead into the
 * mount; so are "." and "..". Any other name is relative to the root of the mount (or of that part
 * of it which was found, where only a directory of it is visible). Names of one component have 1 to
 * 255 bytes. "" is the root itself.
 *
 * Units: bytes; nanoseconds where a name ends in _ns.
 *
 * Threads: every function may be called from any thread, on the same mount and the same descriptor
 * too. There is no global state. The descriptors returned are close-on-exec and the caller's to
 * close. Those given stay the caller's. Waits end with -EINTR when a signal handler ran, or the
 * process was stopped and continued, and have taken nothing then; everything else goes on.
 *
 * A worker of the file system that is being restarted is waited for, up to about ten seconds. */
#ifndef MAPPING_H
#define MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct mapping_mount;

struct mapping_error {
	int code; /* positive errno value; 0: none */
	char text[512];
};

enum mapping_type {
	MAPPING_ANY = -1, /* for asking; and what is none of these, as a directory */
	MAPPING_MAPPING,
	MAPPING_EVENT,
	MAPPING_SEMAPHORE,
	MAPPING_MUTEX,
	MAPPING_TIMER,
	MAPPING_JOB,
};

enum mapping_lifetime {
	MAPPING_DEFAULT,      /* the directory's, else the mount's */
	MAPPING_PERMANENT,    /* the name stays until it is removed */
	MAPPING_TEMPORARY,    /* name and pages go with the last handle and view */
	MAPPING_HANDLE_BOUND, /* the name goes with the last handle, the pages with the last view;
			       * in the cached mode as temporary */
};

/* --- mounts --- */

/* Finds a mount in /proc/self/mountinfo (type fuse.mappingfs). inside: any path in it; NULL: the
 * one the working directory is in, else the only one there is.
 * -ENODEV there is none, or the path is in none; -ENOTUNIQ there are several; -ENOTCONN it is dead.
 * On success *out is the caller's, for mapping_mount_close(); it holds a directory open, so
 * the mount is busy until then. On failure *out is NULL. */
int mapping_mount_find(const char *inside, struct mapping_mount **out, struct mapping_error *error);
void mapping_mount_close(struct mapping_mount *mount); /* NULL is fine */

/* Where it is mounted. The string is the mount's. */
const char *mapping_mount_path(const struct mapping_mount *mount);

/* --- creating and opening --- */

/* All zero is: a mapping, memory-backed, empty, of the default lifetime, mode 0666 less the umask;
 * the name must not be in use. */
struct mapping_attributes {
	enum mapping_type type;
	enum mapping_lifetime lifetime;
	bool existing; /* the name may be in use by an object of this type: then that is opened, and
			* of the attributes nothing counts but that they are valid */
	bool set_mode; /* `mode` is meant, exactly; the umask does not apply */
	bool set_gid;  /* `gid` is meant */
	mode_t mode;
	gid_t gid;
	/* mappings */
	bool set_size;  /* `size` is meant; else 0, or the file's size */
	bool sparse;    /* charge memory page by page as it is touched, not with the size */
	bool bind;      /* `file_fd` is meant: its pages are the object's pages */
	bool read_only; /* of a file: nobody may write, whatever file_fd allows */
	uint64_t size;  /* 1 to INT64_MAX */
	int file_fd;    /* a regular file open for reading, or reading and writing */
	/* objects to wait on */
	bool manual;   /* event, timer: stays signaled until it is reset; else one wait resets */
	bool signaled; /* event: signaled from the start */
	bool owned;    /* mutex: by the handle opened here, before anybody sees the name */
	bool kill_on_close;        /* job: its members are killed when its last handle closes */
	uint32_t initial, maximum; /* semaphore: initial <= maximum, 1 <= maximum <= INT32_MAX */
};

#define MAPPING_EXISTED 1

/* Creates an object; the name appears only when all is done, also if this process is killed at any
 * moment. name NULL: the object has no name, and lives while it is used. fd not NULL: it is also
 * opened with open_flags (O_RDONLY, O_WRONLY or O_RDWR, and O_NONBLOCK) and *fd is the caller's.
 * On failure nothing is left behind, and *fd is -1.
 * Returns 0, or MAPPING_EXISTED with attributes->existing. -EEXIST the name is in use (the text
 * says by what); -ENOSPC the limit of the mount or the directory; -EINVAL, -EFBIG attributes;
 * -EACCES; -ENOTCONN or -ENOENT the control socket cannot be reached from here. */
int mapping_create(const struct mapping_mount *mount, const char *name,
		   const struct mapping_attributes *attributes, int open_flags, int *fd,
		   struct mapping_error *error);

/* Opens an existing object: a descriptor, or a negative errno value. -EINVAL: it is of another type
 * (the text says which); -EISDIR. flags as for mapping_create(), and O_TRUNC. */
int mapping_open(const struct mapping_mount *mount, const char *name, enum mapping_type type,
		 int flags, struct mapping_error *error);
/* Opens a directory of the mount, for reading. */
int mapping_open_directory(const struct mapping_mount *mount, const char *name,
			   struct mapping_error *error);

/* Takes the name away; the object lives on while it is used. */
int mapping_remove(const struct mapping_mount *mount, const char *name,
		   struct mapping_error *error);

/* "mapping", "event", ...; "object" for MAPPING_ANY. The string is static. */
const char *mapping_type_name(enum mapping_type type);
/* The type of that name, or MAPPING_ANY. */
enum mapping_type mapping_type_of(const char *name);

/* --- views of mappings --- */

enum { /* access */
       MAPPING_READ = 1 << 0,
       MAPPING_WRITE = 1 << 1,
       MAPPING_EXECUTE = 1 << 2,
       MAPPING_COPY = 1 << 3,  /* copy on write: own stores are nobody else's, and not the file's;
				* MAPPING_WRITE then needs no more than a handle for reading */
       MAPPING_FIXED = 1 << 4, /* at `address` and nowhere else, and only if that is free */
};

/* Maps length bytes (0: all to the object's end) from offset (a multiple of the page size) on.
 * address: where, as a hint; NULL: anywhere. The view needs no handle: fd may be closed.
 * -EACCES more than the handle allows; -EINVAL offset, address or length, or the view would end
 * beyond the object; -EEXIST with MAPPING_FIXED: something is there; -EPERM execution from a mount
 * with noexec; -ENODEV an object to wait on has no pages; -ENOMEM.
 * *view is for mapping_unmap() with *mapped bytes (NULL: not asked). On failure *view is NULL. */
int mapping_map(int fd, uint64_t offset, size_t length, unsigned access, void *address, void **view,
		size_t *mapped, struct mapping_error *error);
int mapping_unmap(void *view, size_t length, struct mapping_error *error);

/* Makes the object, or the pages of a view, durable now. The error of its file, each time until a
 * flush succeeds; the pages are kept until then. */
int mapping_flush(int fd, struct mapping_error *error);
int mapping_flush_view(const void *view, size_t length, struct mapping_error *error);

/* --- waiting --- */

#define MAPPING_FOREVER   INT64_MAX
#define MAPPING_ABANDONED 1
#define MAPPING_WAIT_MAX  64

/* Waits until the object is signaled for this caller and takes what its type takes; fd is open for
 * reading, O_NONBLOCK does not matter. timeout_ns: 0 tries once, MAPPING_FOREVER does not end.
 * Returns 0, or MAPPING_ABANDONED: this handle owns the mutex now, and the one before it died or
 * closed without a release. -ETIMEDOUT; -EINTR; -EIDRM the object is gone; -EBADF; -EINVAL not an
 * object to wait on. */
int mapping_wait(int fd, int64_t timeout_ns, struct mapping_error *error);
/* The same for the first of 1 to MAPPING_WAIT_MAX objects of one mount that can be taken, in the
 * order given, or (all) for all of them at one moment: then nothing is taken before. *index (may be
 * NULL): which; with all and MAPPING_ABANDONED, which was abandoned. */
int mapping_wait_many(const int *fds, size_t count, bool all, int64_t timeout_ns, size_t *index,
		      struct mapping_error *error);

/* --- changing what is waited for; fd is open for writing --- */

int mapping_event_set(int fd, struct mapping_error *error);
int mapping_event_reset(int fd, struct mapping_error *error);
int mapping_event_pulse(int fd, struct mapping_error *error); /* lets go who waits now */
/* count >= 1; -EOVERFLOW: beyond the maximum, nothing has changed. */
int mapping_semaphore_release(int fd, uint32_t count, struct mapping_error *error);
int mapping_mutex_release(int fd, struct mapping_error *error); /* -EPERM: not this handle's */
/* Unsignaled now, signaled in due_ns, and then every period_ns (0: once). Down to microseconds. */
int mapping_timer_set(int fd, int64_t due_ns, int64_t period_ns, struct mapping_error *error);
/* The same at a moment of CLOCK_REALTIME. */
int mapping_timer_set_at(int fd, const struct timespec *due, int64_t period_ns,
			 struct mapping_error *error);
int mapping_timer_cancel(int fd, struct mapping_error *error); /* it stays as signaled as it is */
/* pid 0: the caller. -EPERM: no right to signal that process; -ESRCH. */
int mapping_job_add(int fd, pid_t pid, struct mapping_error *error);
int mapping_job_kill(int fd, int signal, struct mapping_error *error); /* 0: SIGKILL */
/* One change in words, as one would write it to the file; without a newline. */
int mapping_signal(int fd, const char *words, struct mapping_error *error);

/* The change of one object and the wait for another, between which nobody comes: as
 * mapping_signal() and then mapping_wait(). After -ETIMEDOUT and -EINTR the change was made all the
 * same, after any other error it was not. Words of at most 36 bytes. -EBUSY: another such call
 * waits after a change by the same handle. */
int mapping_signal_and_wait(int signal_fd, const char *words, int wait_fd, int64_t timeout_ns,
			    struct mapping_error *error);

/* --- what can be read and set --- */

#define MAPPING_UNKNOWN (-1LL)

/* Text is empty and a number MAPPING_UNKNOWN where the file system does not tell, as for
 * directories. */
struct mapping_info {
	enum mapping_type type;
	char type_name[24]; /* as mapping_type_name(); or "directory", "symlink", "fifo", "socket",
			       "file" */
	mode_t mode;        /* with the file type */
	uid_t uid;
	gid_t gid;
	uint64_t inode;
	int64_t size, resident; /* resident: in memory, or on the disk for a bound file */
	int64_t committed, handles, views;
	int64_t limit; /* of a directory: what may be committed in it */
	int64_t creator_uid, creator_pid;
	struct timespec modified, created; /* created: 0 if unknown */
	char lifetime[24];                 /* "permanent", "temporary", "handle" */
	char backing[4120];                /* "memory", "sparse", "file:PATH", "file-ro:PATH", or
					    * "file missing: PATH" */
	char flush[96];                    /* "never", or "RESULT UNIXTIME.NANOS ERRORS"; while it
					    * fails and is tried again " SINCE NEXT" behind it */
	char state[96];                    /* of an object to wait on: "signaled", "3 of 5", ... */
};

int mapping_get(const struct mapping_mount *mount, const char *name, struct mapping_info *out,
		struct mapping_error *error);
/* The same for an entry of an open directory; symbolic links are not followed. */
int mapping_get_at(int directory, const char *name, struct mapping_info *out,
		   struct mapping_error *error);
/* The same for what is open, with a name or without. */
int mapping_get_fd(int fd, struct mapping_info *out, struct mapping_error *error);

/* Of an object; of a directory: the default for what is created in it, and in directories made in
 * it from now on (MAPPING_DEFAULT: none of its own any more). Owner only. */
int mapping_set_lifetime(const struct mapping_mount *mount, const char *name,
			 enum mapping_lifetime lifetime, struct mapping_error *error);
/* How much all objects in a directory and below may commit; 0: no limit of its own. The owner of an
 * empty directory, or root. */
int mapping_set_limit(const struct mapping_mount *mount, const char *name, uint64_t bytes,
		      struct mapping_error *error);

/* --- the mount's own word, as JSON text; *json is the caller's, for free(3) --- */

int mapping_status(const struct mapping_mount *mount, char **json, struct mapping_error *error);
/* These two need the control socket. root and the object's owner see all processes, others their
 * own. */
int mapping_who(const struct mapping_mount *mount, const char *name, char **json,
		struct mapping_error *error);
/* All objects in use that the caller owns, or all for root, with their views counted. */
int mapping_top(const struct mapping_mount *mount, char **json, struct mapping_error *error);
/* Has the program on disk take over from the running one; root and who mounted only. *json has a
 * "number": the status tells under it, as "upgrade", what became of it. */
int mapping_upgrade(const struct mapping_mount *mount, char **json, struct mapping_error *error);

/* A descriptor from which each read(2) or recv(2) gives one event, a line of JSON of at most
 * MAPPING_WATCH_MAX bytes; it can be polled, and ends (0 bytes) when the worker is restarted: watch
 * again then. name: a directory, to be told of that tree only, with names as seen from there;
 * NULL: all. root is told of all objects, others of their own. */
#define MAPPING_WATCH_MAX 65536
int mapping_watch(const struct mapping_mount *mount, const char *name, struct mapping_error *error);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
