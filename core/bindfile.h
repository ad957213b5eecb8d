/* What a store remembers of a file that an object is bound to, so that the next mount finds the
 * very same inode again. Plain functions: the worker writes, the supervisor reads.
 *
 * It is a symbolic link <store>/bindings/<id in hexadecimal>, which nobody follows: made by one
 * call, whole or not at all, and ordered by the disk's journal like every name, so that an object's
 * name never comes before it. (A file would need an fsync(2) of its own.) */
#ifndef MAPPINGFS_CORE_BINDFILE_H
#define MAPPINGFS_CORE_BINDFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define BINDFILE_DIRECTORY  "bindings"
#define BINDFILE_HANDLE_MAX 128 /* MAX_HANDLE_SZ */

struct bindfile {
	bool read_only;
	uint32_t device_major, device_minor; /* st_dev: not the same after a restart, perhaps */
	uint64_t fs_type, fs_id;             /* statfs(2); fs_id 0: it has none */
	uint64_t ino;
	int64_t born;          /* nanoseconds; 0: not known */
	uint32_t handle_type;  /* name_to_handle_at(2), with the inode's generation */
	uint32_t handle_bytes; /* 0: none */
	uint8_t handle[BINDFILE_HANDLE_MAX];
	char path[PATH_MAX]; /* as the kernel told it; "" is possible */
};

/* Of an open descriptor, all but the path. 0 or -errno. */
int bindfile_of(int fd, bool read_only, struct bindfile *out);
/* Are these one inode? What was reused by another file is not. */
bool bindfile_same(const struct bindfile *one, const struct bindfile *other);
/* On one file system? */
bool bindfile_same_fs(const struct bindfile *one, const struct bindfile *other);

/* In the directory `bindings`. 0 or -errno; -EBADMSG: not written by us, or damaged. */
int bindfile_write(int directory, uint64_t id, const struct bindfile *file);
int bindfile_read(int directory, uint64_t id, struct bindfile *out);
int bindfile_remove(int directory, uint64_t id);
/* The id that an entry's name says; 0: it is none. */
uint64_t bindfile_id(const char *name);

#endif
