/* Pages that a file system says it has written, and has not. */
#ifndef MAPPINGFS_CORE_UNWRITTEN_H
#define MAPPINGFS_CORE_UNWRITTEN_H

#include <stdint.h>

/* After a flush that succeeded where an earlier one had failed: how many pages in memory are not on
 * the disk all the same; 0 also where the file system does not tell; or -errno. Blocks. */
int64_t unwritten_pages(int fd);
/* Has them written by the next flush: how many it could do that for, or -errno (-EAGAIN: somebody
 * uses the file). Blocks. */
int64_t unwritten_rewrite(int fd);

#endif
