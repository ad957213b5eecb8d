/* The entries of one directory of the tree. */
#ifndef MAPPINGFS_CORE_WALK_H
#define MAPPINGFS_CORE_WALK_H

#include <sys/stat.h>

/* 0: go on; anything else ends the walk and is what it returns. */
typedef int (*walk_visit)(void *context, int dirfd, const char *name, const struct stat *st);

/* Owns fd, a readable directory or -errno, which is returned. Only this directory: a visitor that
 * wants what lies below walks on by itself. It may remove the entry it is shown. */
int walk_directory(int fd, walk_visit visit, void *context);
/* A readable descriptor of an entry that is a directory, for walk_directory(); or -errno. */
int walk_open(int dirfd, const char *name);

#endif
