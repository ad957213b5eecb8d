/* Named mapping objects of a mappingfs mount, from C.
 *
 * A mapping object is a file: once it is open, mmap(2), ftruncate(2), fsync(2), close(2) and
 * unlink(2) are all there is to know, and programs that only use existing objects do not need this
 * library. It does what plain calls cannot say: create an object with its attributes before anybody
 * sees the name, bind it to a file, ask who uses it.
 *
 * Errors: functions return 0 (or what they say) or a negative errno value; with `error` not NULL
 * they also tell what, why and what to do, in a sentence without the object's name. errno is not
 * used.
 *
 * Names: a name that is absolute or begins with "./" or "../" is a path, and must lead into the
 * mount; so are "." and "..". Any other name is relative to the root of the mount (or of that part
 * of it which was found, where only a directory of it is visible). Names of one component have 1 to
 * 255 bytes. "" is the root itself.
 *
 * Threads: every function may be called from any thread, on the same mount too. There is no global
 * state. The descriptors returned are close-on-exec and the caller's to close.
 *
 * A worker of the file system that is being restarted is waited for, up to about ten seconds. */
#ifndef MAPPING_H
#define MAPPING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mapping_mount;

struct mapping_error {
	int code; /* positive errno value; 0: none */
	char text[512];
};

/* --- mounts --- */

/* Finds a mount in /proc/self/mountinfo (type fuse.mappingfs). inside: any path in it; NULL: the
 * one the working directory is in, else the only one there is.
 * -ENODEV there is none, or the path is in none; -ENOTUNIQ there are several; -ENOTCONN it is dead.
 * On success *out is the caller's, for mapping_mount_close(); it holds a directory open, so
 * the mount is busy until then. */
int mapping_mount_find(const char *inside, struct mapping_mount **out, struct mapping_error *error);
void mapping_mount_close(struct mapping_mount *mount); /* NULL is fine */

/* Where it is mounted. The string is the mount's. */
const char *mapping_mount_path(const struct mapping_mount *mount);

/* --- objects --- */

/* All zero is: memory-backed, empty, lifetime by the mount's default, mode 0666 less the umask. */
struct mapping_attributes {
	bool set_size;  /* `size` is meant; else 0, or the file's size */
	bool sparse;    /* charge memory page by page as it is touched, not with the size */
	bool temporary; /* name and pages go with the last handle and view */
	bool permanent; /* the opposite, where the mount's default is temporary */
	bool read_only; /* of a file: nobody may write, whatever file_fd allows */
	bool bind;      /* `file_fd` is meant: its pages are the object's pages */
	bool set_mode;  /* `mode` is meant, exactly; the umask does not apply */
	bool set_gid;   /* `gid` is meant */
	uint64_t size;  /* 1 to INT64_MAX */
	int file_fd; /* a regular file open for reading, or reading and writing; stays the caller's
		      */
	mode_t mode;
	gid_t gid;
};

/* Creates an object; the name appears only when all is done. name NULL: the object has no name, and
 * lives while it is used. fd not NULL: it is also opened with open_flags (O_RDONLY or O_RDWR) and
 * *fd is the caller's. On failure nothing is left behind. -EEXIST the name is in use; -ENOSPC the
 * mount's limit; -EINVAL, -EFBIG the size; -EACCES; -ENOTCONN or -ENOENT the control socket cannot
 * be reached from here. */
int mapping_create(const struct mapping_mount *mount, const char *name,
		   const struct mapping_attributes *attributes, int open_flags, int *fd,
		   struct mapping_error *error);

/* Opens an existing object: a descriptor, or a negative errno value. */
int mapping_open(const struct mapping_mount *mount, const char *name, int flags,
		 struct mapping_error *error);
/* Opens a directory of the mount. */
int mapping_open_directory(const struct mapping_mount *mount, const char *name,
			   struct mapping_error *error);

/* Makes the object durable now; the error of its file, each time until it succeeds. */
int mapping_flush(const struct mapping_mount *mount, const char *name, struct mapping_error *error);

/* Takes the name away; the object lives on while it is used. */
int mapping_remove(const struct mapping_mount *mount, const char *name,
		   struct mapping_error *error);

#define MAPPING_UNKNOWN (-1LL)

/* What can be read of a name. Text is empty and a number MAPPING_UNKNOWN where the file system does
 * not tell, as for directories. */
struct mapping_info {
	mode_t mode; /* with the file type */
	uid_t uid;
	gid_t gid;
	uint64_t inode;
	int64_t size, resident; /* bytes; resident: in memory, or on the disk for a bound file */
	int64_t committed, handles, views;
	struct timespec modified;
	char type[24];      /* "mapping"; else "directory", "symlink", "fifo", "socket", "file" */
	char lifetime[24];  /* "permanent", "temporary" */
	char backing[4120]; /* "memory", "sparse", "file:PATH", "file-ro:PATH" */
	char flush[96];     /* "never", or "RESULT UNIXTIME.NANOS ERRORS" */
};

int mapping_get(const struct mapping_mount *mount, const char *name, struct mapping_info *out,
		struct mapping_error *error);
/* The same for an entry of an open directory; symbolic links are not followed. */
int mapping_get_at(int directory, const char *name, struct mapping_info *out,
		   struct mapping_error *error);

/* --- the mount's own word, as JSON text; *json is the caller's, for free(3) --- */

int mapping_status(const struct mapping_mount *mount, char **json, struct mapping_error *error);
/* Needs the control socket. root and the object's owner see all processes, others their own. */
int mapping_who(const struct mapping_mount *mount, const char *name, char **json,
		struct mapping_error *error);

#ifdef __cplusplus
}
#endif

#endif
